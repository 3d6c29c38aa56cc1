# SPDX-License-Identifier: GPL-3.0-or-later
META_TEST_SOURCES = tests/unit/meta/meta-test.c tests/unit/meta/meta-test.h

UNIT_TESTS += tests/unit/meta/test-dialect
tests_unit_meta_test_dialect_LDADD = $(UNIT_META_LIBS)
UNIT_TESTS += tests/unit/meta/test-apply
tests_unit_meta_test_apply_SOURCES = tests/unit/meta/test-apply.c $(META_TEST_SOURCES)
tests_unit_meta_test_apply_LDADD = $(UNIT_META_LIBS)
UNIT_TESTS += tests/unit/meta/test-service
tests_unit_meta_test_service_SOURCES = tests/unit/meta/test-service.c $(META_TEST_SOURCES)
tests_unit_meta_test_service_LDADD = $(UNIT_META_LIBS)
UNIT_TESTS += tests/unit/meta/test-crash
tests_unit_meta_test_crash_SOURCES = tests/unit/meta/test-crash.c $(META_TEST_SOURCES)
tests_unit_meta_test_crash_LDADD = $(UNIT_META_LIBS)
UNIT_TESTS += tests/unit/meta/test-sqlite-open
tests_unit_meta_test_sqlite_open_SOURCES = tests/unit/meta/test-sqlite-open.c $(META_TEST_SOURCES)
tests_unit_meta_test_sqlite_open_LDADD = $(UNIT_META_LIBS)
UNIT_TESTS += tests/unit/meta/test-sqlite-migrate
tests_unit_meta_test_sqlite_migrate_SOURCES = tests/unit/meta/test-sqlite-migrate.c $(META_TEST_SOURCES)
tests_unit_meta_test_sqlite_migrate_LDADD = $(UNIT_META_LIBS)
UNIT_TESTS += tests/unit/meta/test-sqlite-disk
tests_unit_meta_test_sqlite_disk_SOURCES = tests/unit/meta/test-sqlite-disk.c $(META_TEST_SOURCES)
tests_unit_meta_test_sqlite_disk_LDADD = $(UNIT_META_LIBS)
UNIT_TESTS += tests/unit/meta/test-statements
tests_unit_meta_test_statements_SOURCES = tests/unit/meta/test-statements.c $(META_TEST_SOURCES)
tests_unit_meta_test_statements_LDADD = $(UNIT_META_LIBS)

check_PROGRAMS += tests/unit/meta/print-postgres
tests_unit_meta_print_postgres_LDADD = $(META_LIBS)
CHECK_SHELL += tests/unit/meta/postgres.sh
UNIT_TESTS += tests/unit/meta/test-sqlite-power
tests_unit_meta_test_sqlite_power_SOURCES = tests/unit/meta/test-sqlite-power.c $(META_TEST_SOURCES)
tests_unit_meta_test_sqlite_power_LDADD = $(UNIT_META_LIBS)
UNIT_TESTS += tests/unit/meta/test-sqlite-log
tests_unit_meta_test_sqlite_log_LDADD = $(UNIT_META_LIBS)
UNIT_TESTS += tests/unit/meta/test-pages
tests_unit_meta_test_pages_SOURCES = tests/unit/meta/test-pages.c $(META_TEST_SOURCES)
tests_unit_meta_test_pages_LDADD = $(UNIT_META_LIBS)
