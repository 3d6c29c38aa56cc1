/* SPDX-License-Identifier: GPL-3.0-or-later */
/* library/times.h: times that are known and not recorded yet. */
#include "config.h"

#include "file-unit.h"
#include "library/times.h"
#include "library/tree-internal.h"

#include <fcntl.h>

/* The row itself, without what is known beside it. */
static struct node row(struct lab *lab, int64_t ino)
{
	struct node node;

	ck_assert_int_eq(tree_row(lab->lib, ino, &node), 0);
	return node;
}

static int64_t begin(struct lab *lab)
{
	lab_make(lab, NULL, LAB_LAZY);
	lab_open(lab);
	int64_t ino = lab_put(lab, "a", "abc", 3);

	lab_sync(lab);
	return ino;
}

static void set(struct lab *lab, int64_t ino, int which, int64_t atime, int64_t mtime,
		int64_t ctime)
{
	struct node values = { .atime_ns = atime, .mtime_ns = mtime, .ctime_ns = ctime }, out;

	ck_assert_int_eq(file_set_times(lab->lib, &lab_who, ino, which, &values, &out), 0);
	if (which & TREE_SET_CTIME)
		ck_assert_int_eq(out.ctime_ns, ctime);
}

START_TEST(an_access_time_is_seen_at_once_and_recorded_later)
{
	struct lab lab;
	int64_t ino = begin(&lab);
	struct node was = row(&lab, ino);

	ck_assert_int_eq(tree_touch(lab.lib, ino, was.atime_ns + 5), 0);
	ck_assert_int_eq(tree_touch(lab.lib, TREE_ROOT, 77), 0);
	ck_assert_int_eq(lab_node(&lab, ino).atime_ns, was.atime_ns + 5);
	ck_assert_int_eq(lab_node(&lab, TREE_ROOT).atime_ns, 77);
	ck_assert_int_eq(row(&lab, ino).atime_ns, was.atime_ns);
	ck_assert_int_eq(times_record(lab.lib), 0);
	ck_assert_int_eq(row(&lab, ino).atime_ns, was.atime_ns + 5);
	ck_assert_int_eq(row(&lab, TREE_ROOT).atime_ns, 77);
	ck_assert_int_eq(row(&lab, ino).version, was.version);
	ck_assert_int_eq(tree_touch(lab.lib, ino, was.atime_ns + 9), 0);
	lab_reopen(&lab);
	ck_assert_int_eq(row(&lab, ino).atime_ns, was.atime_ns + 9);
	lab_remove(&lab);
}
END_TEST

START_TEST(fsync_records_them)
{
	struct lab lab;
	int64_t ino = begin(&lab);
	struct file *f = lab_open_file(&lab, ino, O_RDONLY);

	ck_assert_int_eq(tree_touch(lab.lib, ino, 4711), 0);
	ck_assert_int_eq(file_sync(f, false), 0);
	ck_assert_int_eq(row(&lab, ino).atime_ns, 4711);
	lab_close_file(f, O_RDONLY);
	lab_remove(&lab);
}
END_TEST

START_TEST(a_time_that_is_set_wins_over_one_that_is_kept)
{
	struct lab lab;
	int64_t ino = begin(&lab);

	ck_assert_int_eq(tree_touch(lab.lib, ino, 4711), 0);
	set(&lab, ino, TREE_SET_ATIME | TREE_SET_MTIME, 5, 6, 0);
	ck_assert_int_eq(lab_node(&lab, ino).atime_ns, 5);
	ck_assert_int_eq(times_record(lab.lib), 0);
	ck_assert_int_eq(row(&lab, ino).atime_ns, 5);
	ck_assert_int_eq(row(&lab, ino).mtime_ns, 6);
	lab_remove(&lab);
}
END_TEST

/* What the kernel hands in after a rename: its own status change time, which may be a tick earlier. */
START_TEST(a_change_time_alone_is_kept)
{
	struct lab lab;
	int64_t ino = begin(&lab);
	struct node was = row(&lab, ino);

	for (int i = 1; i <= 3; i++) {
		set(&lab, ino, TREE_SET_MTIME | TREE_SET_CTIME, 0, was.mtime_ns,
		    was.ctime_ns - 1000 * i);
		ck_assert_int_eq(lab_node(&lab, ino).ctime_ns, was.ctime_ns - 1000 * i);
	}
	ck_assert_int_eq(row(&lab, ino).ctime_ns, was.ctime_ns);
	ck_assert_int_eq(row(&lab, ino).version, was.version);
	ck_assert_int_eq(times_record(lab.lib), 0);
	ck_assert_int_eq(row(&lab, ino).ctime_ns, was.ctime_ns - 3000);
	ck_assert_int_eq(row(&lab, ino).version, was.version);
	lab_remove(&lab);
}
END_TEST

START_TEST(a_later_change_wins)
{
	struct lab lab;
	int64_t ino = begin(&lab);
	struct node was = row(&lab, ino), values = { .mode = 0600 }, node;

	set(&lab, ino, TREE_SET_MTIME | TREE_SET_CTIME, 0, was.mtime_ns, was.ctime_ns - 1000);
	ck_assert_int_eq(tree_set(lab.lib, &lab_who, ino, TREE_SET_MODE, &values, &node), 0);
	ck_assert_int_gt(node.ctime_ns, was.ctime_ns);
	ck_assert_int_eq(lab_node(&lab, ino).ctime_ns, node.ctime_ns);
	ck_assert_int_eq(times_record(lab.lib), 0);
	ck_assert_int_eq(row(&lab, ino).ctime_ns, node.ctime_ns);
	lab_remove(&lab);
}
END_TEST

/* Another modification time is a change like any other: recorded at once, with a row of the journal. */
START_TEST(a_modification_time_is_recorded_at_once)
{
	struct lab lab;
	int64_t ino = begin(&lab);
	struct node was = row(&lab, ino);

	set(&lab, ino, TREE_SET_MTIME | TREE_SET_CTIME, 0, was.mtime_ns - 1, was.ctime_ns + 1);
	ck_assert_int_eq(row(&lab, ino).mtime_ns, was.mtime_ns - 1);
	ck_assert_int_eq(row(&lab, ino).ctime_ns, was.ctime_ns + 1);
	lab_remove(&lab);
}
END_TEST

START_TEST(many_do_not_gather_without_end)
{
	struct lab lab;
	int64_t ino = begin(&lab), first = 0;

	ck_assert_int_eq(tree_touch(lab.lib, ino, 4711), 0);
	for (int i = 0; i < 5000 && row(&lab, ino).atime_ns != 4711; i++) {
		ck_assert_int_eq(tree_touch(lab.lib, 1000000 + i, 1), 0);
		first = i;
	}
	ck_assert_int_eq(row(&lab, ino).atime_ns, 4711);
	ck_assert_int_gt(first, 1000);
	lab_remove(&lab);
}
END_TEST

UNIT_MAIN("times", 60, an_access_time_is_seen_at_once_and_recorded_later, fsync_records_them,
	  a_time_that_is_set_wins_over_one_that_is_kept, a_change_time_alone_is_kept,
	  a_later_change_wins, a_modification_time_is_recorded_at_once,
	  many_do_not_gather_without_end)
