/* SPDX-License-Identifier: GPL-3.0-or-later */
/* library/file.h: what becomes of content from the first write to the seal and after. */
#include "config.h"

#include "file-unit.h"

#include <errno.h>
#include <fcntl.h>

enum { BIG = 300000 };

START_TEST(new_content_is_read_before_and_after_the_seal)
{
	struct lab lab;
	uint8_t *data = lab_bytes(1, BIG);

	lab_make(&lab, NULL, LAB_LAZY);
	lab_open(&lab);
	int64_t small = lab_put(&lab, "small", data, 100), big = lab_put(&lab, "big", data, BIG);
	int64_t empty = lab_put(&lab, "empty", NULL, 0);

	ck_assert_int_ne(lab_node(&lab, big).draft, 0);
	lab_holds(&lab, small, data, 100);
	lab_holds(&lab, big, data, BIG);
	lab_sync(&lab);
	ck_assert_int_eq(lab_node(&lab, big).draft, 0);
	ck_assert_int_ne(lab_node(&lab, big).object, 0);
	ck_assert_int_eq(lab_node(&lab, big).version, 2);
	ck_assert_int_eq(lab_node(&lab, empty).draft, 0);
	ck_assert_int_eq(lab_node(&lab, empty).object, 0);
	ck_assert_int_eq(lab_node(&lab, empty).version, 1);
	for (int i = 0; i < 2; i++) {
		lab_holds(&lab, small, data, 100);
		lab_holds(&lab, big, data, BIG);
		lab_holds(&lab, empty, data, 0);
		lab_reopen(&lab);
	}
	lab_remove(&lab);
	free(data);
}
END_TEST

START_TEST(an_edit_lies_over_what_was_sealed)
{
	struct lab lab;
	uint8_t *data = lab_bytes(2, BIG);

	lab_make(&lab, NULL, LAB_LAZY);
	lab_open(&lab);
	int64_t ino = lab_put(&lab, "a", data, BIG);

	lab_sync(&lab);
	struct node sealed = lab_node(&lab, ino);
	struct file *f = lab_open_file(&lab, ino, O_RDWR);

	memcpy(data + 150000, "an edit", 7);
	ck_assert_int_eq(file_write(f, "an edit", 7, 150000), 7);
	lab_same(f, data, BIG);
	lab_close_file(f, O_RDWR);
	struct node edited = lab_node(&lab, ino);

	ck_assert_int_eq(edited.object, sealed.object);
	ck_assert_int_ne(edited.draft, 0);
	lab_holds(&lab, ino, data, BIG);
	lab_reopen(&lab);
	lab_holds(&lab, ino, data, BIG);
	lab_sync(&lab);
	lab_holds(&lab, ino, data, BIG);
	ck_assert_int_ne(lab_node(&lab, ino).object, sealed.object);
	ck_assert_int_eq(lab_node(&lab, ino).version, sealed.version + 1);
	lab_remove(&lab);
	free(data);
}
END_TEST

START_TEST(truncation_to_nothing_and_back)
{
	struct lab lab;
	uint8_t *data = lab_bytes(3, BIG), zeros[1000] = { 0 };

	lab_make(&lab, NULL, LAB_LAZY);
	lab_open(&lab);
	int64_t ino = lab_put(&lab, "a", data, BIG);

	lab_sync(&lab);
	int64_t object = lab_node(&lab, ino).object;
	struct file *f = lab_open_file(&lab, ino, O_WRONLY | O_TRUNC);

	ck_assert_uint_eq(lab_node(&lab, ino).size, 0);
	ck_assert_int_eq(lab_node(&lab, ino).object, object);
	ck_assert_int_eq(file_truncate(f, 1000), 0);
	lab_close_file(f, O_WRONLY);
	lab_holds(&lab, ino, zeros, 1000);
	lab_sync(&lab);
	lab_holds(&lab, ino, zeros, 1000);
	f = lab_open_file(&lab, ino, O_WRONLY | O_TRUNC);
	lab_close_file(f, O_WRONLY);
	lab_sync(&lab);
	ck_assert_int_eq(lab_node(&lab, ino).object, 0);
	ck_assert_int_eq(lab_node(&lab, ino).draft, 0);
	lab_holds(&lab, ino, zeros, 0);
	lab_remove(&lab);
	free(data);
}
END_TEST

START_TEST(times_that_were_set_survive_flush_and_seal)
{
	struct lab lab;
	struct node times = { .mtime_ns = 1000000007, .atime_ns = 2000000011 };

	lab_make(&lab, NULL, LAB_LAZY);
	lab_open(&lab);
	struct node node, set;
	struct file *f = lab_create(&lab, "a", &node);

	ck_assert_int_eq(file_write(f, "abc", 3, 0), 3);
	ck_assert_int_gt(lab_node(&lab, node.ino).mtime_ns, node.mtime_ns);
	ck_assert_int_eq(file_set_times(lab.lib, &lab_who, node.ino,
					TREE_SET_MTIME | TREE_SET_ATIME, &times, &set),
			 0);
	ck_assert_int_eq(lab_node(&lab, node.ino).mtime_ns, times.mtime_ns);
	lab_close_file(f, O_RDWR);
	ck_assert_int_eq(lab_node(&lab, node.ino).mtime_ns, times.mtime_ns);
	lab_sync(&lab);
	struct node sealed = lab_node(&lab, node.ino);

	ck_assert_int_eq(sealed.mtime_ns, times.mtime_ns);
	ck_assert_int_eq(sealed.atime_ns, times.atime_ns);
	ck_assert_int_ge(sealed.ctime_ns, node.ctime_ns);
	times.mtime_ns = 5;
	ck_assert_int_eq(file_set_times(lab.lib, &lab_who, node.ino, TREE_SET_MTIME, &times, &set),
			 0);
	lab_reopen(&lab);
	ck_assert_int_eq(lab_node(&lab, node.ino).mtime_ns, 5);
	ck_assert_int_eq(lab_node(&lab, node.ino).atime_ns, times.atime_ns);
	lab_remove(&lab);
}
END_TEST

START_TEST(chmod_of_an_open_file_keeps_its_unsaved_times)
{
	struct lab lab;
	struct node node, mode = { .mode = 0600 };

	lab_make(&lab, NULL, LAB_LAZY);
	lab_open(&lab);
	struct file *f = lab_create(&lab, "a", &node);

	ck_assert_int_eq(file_write(f, "abc", 3, 0), 3);
	int64_t mtime = lab_node(&lab, node.ino).mtime_ns;

	ck_assert_int_eq(tree_set(lab.lib, &lab_who, node.ino, TREE_SET_MODE, &mode, &node), 0);
	ck_assert_int_eq(node.mtime_ns, mtime);
	ck_assert_uint_eq(node.size, 3);
	int64_t ctime = node.ctime_ns;

	lab_close_file(f, O_RDWR);
	ck_assert_int_ge(lab_node(&lab, node.ino).ctime_ns, ctime);
	ck_assert_int_eq(lab_node(&lab, node.ino).mtime_ns, mtime);
	lab_remove(&lab);
}
END_TEST

START_TEST(the_kernel_stamps_what_it_writes)
{
	struct lab lab;
	struct node node, times = { .mtime_ns = 1000000007, .ctime_ns = 1000000009 };

	lab_make(&lab, NULL, LAB_LAZY);
	lab_open(&lab);
	library_kernel_stamps(lab.lib);
	struct file *f = lab_create(&lab, "a", &node);

	ck_assert_int_eq(file_set_times(lab.lib, &lab_who, node.ino,
					TREE_SET_MTIME | TREE_SET_CTIME, &times, &node),
			 0);
	ck_assert_int_eq(file_write(f, "abc", 3, 0), 3);
	ck_assert_int_eq(file_allocate(f, 0, 0, 100), 0);
	ck_assert_int_eq(file_truncate(f, 50), 0);
	for (int flushed = 0; flushed < 2; flushed++) {
		struct node now = lab_node(&lab, node.ino);

		ck_assert_uint_eq(now.size, 50);
		ck_assert_int_eq(now.mtime_ns, times.mtime_ns);
		ck_assert_int_eq(now.ctime_ns, times.ctime_ns);
		ck_assert_int_eq(file_flush(f), 0);
	}
	lab_close_file(f, O_RDWR);
	lab_sync(&lab);
	ck_assert_int_eq(lab_node(&lab, node.ino).mtime_ns, times.mtime_ns);
	ck_assert_int_eq(lab_node(&lab, node.ino).ctime_ns, times.ctime_ns);
	lab_remove(&lab);
}
END_TEST

START_TEST(unlinked_files_live_until_their_last_close)
{
	struct lab lab;
	struct node node;
	uint8_t *data = lab_bytes(4, 5000);

	lab_make(&lab, NULL, LAB_LAZY);
	lab_open(&lab);
	struct file *f = lab_create(&lab, "a", &node);

	ck_assert_int_eq(file_write(f, data, 5000, 0), 5000);
	ck_assert_int_eq(tree_unlink(lab.lib, &lab_who, TREE_ROOT, "a", 1, NULL), 0);
	lab_sync(&lab);
	lab_same(f, data, 5000);
	ck_assert_int_eq(file_write(f, "xyz", 3, 10), 3);
	memcpy(data + 10, "xyz", 3);
	lab_same(f, data, 5000);
	lab_close_file(f, O_RDWR);
	lab_sync(&lab);
	ck_assert_int_eq(tree_get(lab.lib, node.ino, &node), -ENOENT);
	ck_assert_int_eq(file_open(lab.lib, &lab_who, node.ino, O_RDONLY, &f), -ENOENT);
	lab_remove(&lab);
	free(data);
}
END_TEST

START_TEST(unlinking_a_draft_that_waits_frees_it)
{
	struct lab lab;
	struct node node;

	lab_make(&lab, NULL, LAB_LAZY);
	lab_open(&lab);
	int64_t ino = lab_put(&lab, "a", "hello", 5);

	ck_assert_int_eq(tree_unlink(lab.lib, &lab_who, TREE_ROOT, "a", 1, NULL), 0);
	lab_sync(&lab);
	ck_assert_int_eq(tree_get(lab.lib, ino, &node), -ENOENT);
	struct sealer_status st;

	sealer_status(lab.lib, &st);
	ck_assert_uint_eq(st.pending_files, 0);
	ck_assert_uint_eq(st.pending_bytes, 0);
	ck_assert_uint_eq(st.sealed_files, 0);
	lab_remove(&lab);
}
END_TEST

START_TEST(an_unnamed_file_can_get_a_name)
{
	struct lab lab;
	struct tree_new what = { .parent = TREE_ROOT, .mode = S_IFREG | 0600 };
	struct node kept, lost;
	struct file *f;

	lab_make(&lab, NULL, LAB_LAZY);
	lab_open(&lab);
	ck_assert_int_eq(file_create(lab.lib, &lab_who, &what, O_RDWR, &kept, &f), 0);
	ck_assert_int_eq(file_write(f, "named", 5, 0), 5);
	ck_assert_int_eq(tree_link(lab.lib, &lab_who, kept.ino, TREE_ROOT, "a", 1, &kept), 0);
	lab_close_file(f, O_RDWR);
	ck_assert_int_eq(file_create(lab.lib, &lab_who, &what, O_RDWR, &lost, &f), 0);
	ck_assert_int_eq(file_write(f, "lost", 4, 0), 4);
	lab_close_file(f, O_RDWR);
	lab_sync(&lab);
	lab_holds(&lab, kept.ino, (const uint8_t *)"named", 5);
	ck_assert_int_ne(lab_node(&lab, kept.ino).object, 0);
	ck_assert_int_eq(tree_get(lab.lib, lost.ino, &lost), -ENOENT);
	lab_remove(&lab);
}
END_TEST

START_TEST(copies_share_sealed_bytes_and_copy_the_rest)
{
	struct lab lab;
	uint8_t *data = lab_bytes(5, BIG);
	struct node node;

	lab_make(&lab, NULL, LAB_LAZY);
	lab_open(&lab);
	int64_t from = lab_put(&lab, "from", data, BIG);

	for (int sealed = 0; sealed < 2; sealed++) {
		struct file *in = lab_open_file(&lab, from, O_RDONLY);
		struct file *out = lab_create(&lab, sealed ? "to1" : "to0", &node);

		ck_assert_int_eq(file_copy(in, 0, out, 0, BIG + 1000), BIG);
		lab_same(out, data, BIG);
		ck_assert_int_eq(file_copy(in, 1000, out, 0, 100000), 100000);
		ck_assert_int_eq(file_copy(out, 0, out, 50, 100), -EINVAL);
		ck_assert_int_eq(file_copy(in, BIG, out, 0, 100), 0);
		uint8_t *want = malloc(BIG);

		memcpy(want, data, BIG);
		memcpy(want, data + 1000, 100000);
		lab_same(out, want, BIG);
		lab_close_file(out, O_RDWR);
		file_close(in, O_RDONLY);
		lab_holds(&lab, node.ino, want, BIG);
		lab_sync(&lab);
		lab_holds(&lab, node.ino, want, BIG);
		free(want);
	}
	lab_remove(&lab);
	free(data);
}
END_TEST

START_TEST(errors_are_those_of_the_system_calls)
{
	struct lab lab;
	struct file *f;

	lab_make(&lab, NULL, LAB_LAZY);
	lab_open(&lab);
	int64_t ino = lab_put(&lab, "a", "hello", 5);

	ck_assert_int_eq(file_open(lab.lib, &lab_who, TREE_ROOT, O_RDONLY, &f), -EISDIR);
	ck_assert_int_eq(file_open(lab.lib, &lab_who, 999999, O_RDONLY, &f), -ENOENT);
	f = lab_open_file(&lab, ino, O_RDWR);
	ck_assert_int_eq(file_write(f, "x", 1, INT64_MAX), -EFBIG);
	ck_assert_int_eq(file_truncate(f, (uint64_t)INT64_MAX + 1), -EFBIG);
	ck_assert_int_eq(file_allocate(f, FALLOC_FL_COLLAPSE_RANGE, 0, 4096), -EOPNOTSUPP);
	ck_assert_int_eq(file_allocate(f, 0, 0, 0), -EINVAL);
	ck_assert_int_eq(file_seek(f, 5, SEEK_DATA), -ENXIO);
	ck_assert_int_eq(file_seek(f, 0, SEEK_HOLE), 5);
	lab_close_file(f, O_RDWR);
	lab_close(&lab);
	ck_assert_int_eq(library_open(lab.path, LIBRARY_RDONLY, &lab.lib), 0);
	ck_assert_int_eq(file_open(lab.lib, &lab_who, ino, O_RDWR, &f), -EROFS);
	lab_holds(&lab, ino, (const uint8_t *)"hello", 5);
	lab_remove(&lab);
}
END_TEST

UNIT_MAIN("file", 60, new_content_is_read_before_and_after_the_seal,
	  an_edit_lies_over_what_was_sealed, truncation_to_nothing_and_back,
	  times_that_were_set_survive_flush_and_seal, the_kernel_stamps_what_it_writes,
	  chmod_of_an_open_file_keeps_its_unsaved_times, unlinked_files_live_until_their_last_close,
	  unlinking_a_draft_that_waits_frees_it, an_unnamed_file_can_get_a_name,
	  copies_share_sealed_bytes_and_copy_the_rest, errors_are_those_of_the_system_calls)
