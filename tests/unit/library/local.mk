# SPDX-License-Identifier: GPL-3.0-or-later
EXTRA_DIST += tests/unit/library/file-unit.h tests/unit/library/tree-unit.h

UNIT_TESTS += tests/unit/library/test-library
tests_unit_library_test_library_LDADD = $(UNIT_LIBRARY_LIBS)

UNIT_TESTS += tests/unit/library/test-file
tests_unit_library_test_file_LDADD = $(UNIT_LIBRARY_LIBS)

UNIT_TESTS += tests/unit/library/test-file-random
tests_unit_library_test_file_random_LDADD = $(UNIT_LIBRARY_LIBS)
