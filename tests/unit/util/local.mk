# SPDX-License-Identifier: GPL-3.0-or-later
UNIT_TESTS += tests/unit/util/test-version
tests_unit_util_test_version_LDADD = $(UNIT_UTIL_LIBS)
