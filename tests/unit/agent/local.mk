# SPDX-License-Identifier: GPL-3.0-or-later
UNIT_TESTS += tests/unit/agent/test-import
tests_unit_agent_test_import_LDADD = $(UNIT_AGENT_LIBS)
tests_unit_agent_test_import_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=pread -Wl,--wrap=unlinkat
UNIT_TESTS += tests/unit/agent/test-export
tests_unit_agent_test_export_LDADD = $(UNIT_AGENT_LIBS)
