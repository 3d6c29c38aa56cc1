# SPDX-License-Identifier: GPL-3.0-or-later
EXTRA_DIST += tests/unit/store/blobs-unit.h tests/unit/store/store-unit.h

UNIT_TESTS += tests/unit/store/test-blobs
tests_unit_store_test_blobs_LDADD = $(UNIT_STORE_LIBS)
UNIT_TESTS += tests/unit/store/test-blobs-share
tests_unit_store_test_blobs_share_LDADD = $(UNIT_STORE_LIBS)
UNIT_TESTS += tests/unit/store/test-store
tests_unit_store_test_store_LDADD = $(UNIT_STORE_LIBS)
UNIT_TESTS += tests/unit/store/test-store-random
tests_unit_store_test_store_random_LDADD = $(UNIT_STORE_LIBS)
UNIT_TESTS += tests/unit/store/test-store-fault
tests_unit_store_test_store_fault_LDADD = $(UNIT_STORE_LIBS)
UNIT_TESTS += tests/unit/store/test-store-local
tests_unit_store_test_store_local_LDADD = $(UNIT_STORE_LIBS)
UNIT_TESTS += tests/unit/store/test-store-disk
tests_unit_store_test_store_disk_LDADD = $(UNIT_STORE_LIBS)
UNIT_TESTS += tests/unit/store/test-store-s3
tests_unit_store_test_store_s3_LDADD = $(UNIT_STORE_LIBS)
