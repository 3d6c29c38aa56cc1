# SPDX-License-Identifier: GPL-3.0-or-later
EXTRA_DIST += tests/unit/library/file-unit.h tests/unit/library/pass-unit.h tests/unit/library/tree-unit.h

UNIT_TESTS += tests/unit/library/test-library
tests_unit_library_test_library_LDADD = $(UNIT_LIBRARY_LIBS)

UNIT_TESTS += tests/unit/library/test-file
tests_unit_library_test_file_LDADD = $(UNIT_LIBRARY_LIBS)

UNIT_TESTS += tests/unit/library/test-pass
tests_unit_library_test_pass_LDADD = $(UNIT_LIBRARY_LIBS)

UNIT_TESTS += tests/unit/library/test-closing
tests_unit_library_test_closing_LDADD = $(UNIT_LIBRARY_LIBS)

UNIT_TESTS += tests/unit/library/test-unseal
tests_unit_library_test_unseal_LDADD = $(UNIT_LIBRARY_LIBS)
tests_unit_library_test_unseal_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=calloc -Wl,--wrap=meta_apply \
	-Wl,--wrap=blobs_get -Wl,--wrap=blobs_open_write -Wl,--wrap=blobs_open_read \
	-Wl,--wrap=meta_sync -Wl,--wrap=io_sync_data

UNIT_TESTS += tests/unit/library/test-file-random
tests_unit_library_test_file_random_LDADD = $(UNIT_LIBRARY_LIBS)
UNIT_TESTS += tests/unit/library/test-tree
tests_unit_library_test_tree_LDADD = $(UNIT_LIBRARY_LIBS)
UNIT_TESTS += tests/unit/library/test-tree-rename
tests_unit_library_test_tree_rename_LDADD = $(UNIT_LIBRARY_LIBS)
UNIT_TESTS += tests/unit/library/test-tree-random
tests_unit_library_test_tree_random_LDADD = $(UNIT_LIBRARY_LIBS)
UNIT_TESTS += tests/unit/library/test-tree-shared
tests_unit_library_test_tree_shared_LDADD = $(UNIT_LIBRARY_LIBS)
UNIT_TESTS += tests/unit/library/test-acl
tests_unit_library_test_acl_LDADD = $(UNIT_LIBRARY_LIBS)
UNIT_TESTS += tests/unit/library/test-identity
tests_unit_library_test_identity_LDADD = $(UNIT_LIBRARY_LIBS)
UNIT_TESTS += tests/unit/library/test-tree-trash
tests_unit_library_test_tree_trash_LDADD = $(UNIT_LIBRARY_LIBS)
UNIT_TESTS += tests/unit/library/test-copy
tests_unit_library_test_copy_LDADD = $(UNIT_LIBRARY_LIBS)
UNIT_TESTS += tests/unit/library/test-journal
tests_unit_library_test_journal_LDADD = $(UNIT_LIBRARY_LIBS)

UNIT_TESTS += tests/unit/library/test-sealer
tests_unit_library_test_sealer_LDADD = $(UNIT_LIBRARY_LIBS)

UNIT_TESTS += tests/unit/library/test-recover
tests_unit_library_test_recover_LDADD = $(UNIT_LIBRARY_LIBS)

UNIT_TESTS += tests/unit/library/test-control
tests_unit_library_test_control_LDADD = $(UNIT_LIBRARY_LIBS)

UNIT_TESTS += tests/unit/library/test-watch
tests_unit_library_test_watch_LDADD = $(UNIT_LIBRARY_LIBS)
UNIT_TESTS += tests/unit/library/test-times
tests_unit_library_test_times_LDADD = $(UNIT_LIBRARY_LIBS)

EXTRA_DIST += tests/unit/library/backup-unit.h
UNIT_TESTS += tests/unit/library/test-backup
tests_unit_library_test_backup_LDADD = tests/unit/s3/libserver.a $(UNIT_LIBRARY_LIBS)
UNIT_TESTS += tests/unit/library/test-backup-mount
tests_unit_library_test_backup_mount_LDADD = tests/unit/s3/libserver.a $(UNIT_LIBRARY_LIBS)
UNIT_TESTS += tests/unit/library/test-backup-kill
tests_unit_library_test_backup_kill_LDADD = tests/unit/s3/libserver.a $(UNIT_LIBRARY_LIBS)
UNIT_TESTS += tests/unit/library/test-backup-damage
tests_unit_library_test_backup_damage_LDADD = tests/unit/s3/libserver.a $(UNIT_LIBRARY_LIBS)
EXTRA_DIST += tests/unit/library/reap-unit.h
UNIT_TESTS += tests/unit/library/test-reap
tests_unit_library_test_reap_LDADD = tests/unit/s3/libserver.a $(UNIT_LIBRARY_LIBS)
