# SPDX-License-Identifier: GPL-3.0-or-later
EXTRA_DIST += tests/unit/content/fetch-unit.h tests/unit/content/chunker-vectors.h tests/unit/content/stream.h

UNIT_TESTS += tests/unit/content/test-chunker
tests_unit_content_test_chunker_LDADD = $(UNIT_CONTENT_LIBS)
UNIT_TESTS += tests/unit/content/test-cut
tests_unit_content_test_cut_LDADD = $(UNIT_CONTENT_LIBS)
UNIT_TESTS += tests/unit/content/test-hash
tests_unit_content_test_hash_LDADD = $(UNIT_CONTENT_LIBS)
UNIT_TESTS += tests/unit/content/test-manifest
tests_unit_content_test_manifest_LDADD = $(UNIT_CONTENT_LIBS)

EXTRA_DIST += tests/unit/content/world.h
UNIT_TESTS += tests/unit/content/test-extent
tests_unit_content_test_extent_LDADD = $(UNIT_CONTENT_LIBS)
UNIT_TESTS += tests/unit/content/test-draft
tests_unit_content_test_draft_LDADD = $(UNIT_CONTENT_LIBS)
UNIT_TESTS += tests/unit/content/test-draft-random
tests_unit_content_test_draft_random_LDADD = $(UNIT_CONTENT_LIBS)
UNIT_TESTS += tests/unit/content/test-seal
tests_unit_content_test_seal_LDADD = $(UNIT_CONTENT_LIBS)
UNIT_TESTS += tests/unit/content/test-seal-edit
tests_unit_content_test_seal_edit_LDADD = $(UNIT_CONTENT_LIBS)
UNIT_TESTS += tests/unit/content/test-seal-heal
tests_unit_content_test_seal_heal_LDADD = $(UNIT_CONTENT_LIBS)
UNIT_TESTS += tests/unit/content/test-collect
tests_unit_content_test_collect_LDADD = $(UNIT_CONTENT_LIBS)
UNIT_TESTS += tests/unit/content/test-content-threads
tests_unit_content_test_content_threads_LDADD = $(UNIT_CONTENT_LIBS)
UNIT_TESTS += tests/unit/content/test-content-order
tests_unit_content_test_content_order_LDADD = $(UNIT_CONTENT_LIBS)
tests_unit_content_test_content_order_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=io_sync_data \
	-Wl,--wrap=blobs_punch -Wl,--wrap=blobs_unlink -Wl,--wrap=ftruncate \
	-Wl,--wrap=blobs_punch_held
UNIT_TESTS += tests/unit/content/test-content-fault
tests_unit_content_test_content_fault_LDADD = $(UNIT_CONTENT_LIBS)
tests_unit_content_test_content_fault_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=calloc \
	-Wl,--wrap=reallocarray -Wl,--wrap=meta_apply -Wl,--wrap=meta_query \
	-Wl,--wrap=meta_next_id -Wl,--wrap=blobs_get -Wl,--wrap=blobs_open_write \
	-Wl,--wrap=blobs_create -Wl,--wrap=io_pwrite_full -Wl,--wrap=io_pread_full \
	-Wl,--wrap=io_sync_data
UNIT_TESTS += tests/unit/content/test-seal-reuse
tests_unit_content_test_seal_reuse_LDADD = $(UNIT_CONTENT_LIBS)
UNIT_TESTS += tests/unit/content/test-draft-log
tests_unit_content_test_draft_log_LDADD = $(UNIT_CONTENT_LIBS)
UNIT_TESTS += tests/unit/content/test-seal-import
tests_unit_content_test_seal_import_LDADD = $(UNIT_CONTENT_LIBS)
UNIT_TESTS += tests/unit/content/test-bundle
tests_unit_content_test_bundle_LDADD = $(UNIT_CONTENT_LIBS)
UNIT_TESTS += tests/unit/content/test-draft-doubt
tests_unit_content_test_draft_doubt_LDADD = $(UNIT_CONTENT_LIBS)
tests_unit_content_test_draft_doubt_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=io_sync_data \
	-Wl,--wrap=sync_file_range
UNIT_TESTS += tests/unit/content/test-unseal-race
tests_unit_content_test_unseal_race_LDADD = $(UNIT_CONTENT_LIBS)
tests_unit_content_test_unseal_race_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=blobs_get
EXTRA_DIST += tests/unit/content/evict-unit.h
UNIT_TESTS += tests/unit/content/test-evict
tests_unit_content_test_evict_LDADD = $(UNIT_CONTENT_LIBS)
UNIT_TESTS += tests/unit/content/test-evict-edge
tests_unit_content_test_evict_edge_LDADD = $(UNIT_CONTENT_LIBS)
UNIT_TESTS += tests/unit/content/test-evict-race
tests_unit_content_test_evict_race_LDADD = tests/unit/s3/libserver.a $(UNIT_CONTENT_LIBS)
tests_unit_content_test_evict_race_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=blobs_hold \
	-Wl,--wrap=blobs_alone -Wl,--wrap=view_plan_read -Wl,--wrap=blobs_get
UNIT_TESTS += tests/unit/content/test-fetch
tests_unit_content_test_fetch_LDADD = tests/unit/s3/libserver.a $(UNIT_CONTENT_LIBS)
UNIT_TESTS += tests/unit/content/test-fetch-fault
tests_unit_content_test_fetch_fault_LDADD = tests/unit/s3/libserver.a $(UNIT_CONTENT_LIBS)
tests_unit_content_test_fetch_fault_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=io_sync_data -Wl,--wrap=io_pwrite_full -Wl,--wrap=meta_apply
EXTRA_DIST += tests/unit/content/upload-unit.h
UNIT_TESTS += tests/unit/content/test-upload
tests_unit_content_test_upload_LDADD = tests/unit/s3/libserver.a $(UNIT_CONTENT_LIBS)
UNIT_TESTS += tests/unit/content/test-upload-list
tests_unit_content_test_upload_list_LDADD = tests/unit/s3/libserver.a $(UNIT_CONTENT_LIBS)
UNIT_TESTS += tests/unit/content/test-upload-fault
tests_unit_content_test_upload_fault_LDADD = tests/unit/s3/libserver.a $(UNIT_CONTENT_LIBS)
