/* SPDX-License-Identifier: GPL-3.0-or-later */
/* library/file.h: what is left to the draft's own file at close(2), and what is given away at open(2). */
#include "config.h"

#include "library/tree-internal.h"
#include "pass-unit.h"

#include <pthread.h>
#include <stdatomic.h>

enum { BIG = 300000 };

/* An asset of `len` bytes that was written while it was passed, and closed. */
static int64_t put_passed(struct lab *lab, const char *name, const uint8_t *data, size_t len)
{
	struct node node;
	struct file *f = lab_create(lab, name, &node);
	int fd = lab_pass(f, O_RDWR);

	ck_assert_int_eq(pwrite(fd, data, len, 0), (ssize_t)len);
	close(fd);
	ck_assert_int_eq(file_closing(f), 0);
	file_pass_end(f);
	file_close(f, O_RDWR);
	return node.ino;
}

static void set_times(struct lab *lab, int64_t ino, int set, int64_t ns)
{
	struct node values = { .atime_ns = ns, .mtime_ns = ns }, out;

	ck_assert_int_eq(file_set_times(lab->lib, &lab_who, ino, set, &values, &out), 0);
	ck_assert_int_eq(out.mtime_ns, ns);
}

static struct node row(struct lab *lab, int64_t ino)
{
	struct node node;

	ck_assert_int_eq(tree_row(lab->lib, ino, &node), 0);
	return node;
}

/* What close(2) promises of new files costs no transaction: it is all in the draft's file. */
START_TEST(what_was_passed_and_closed_is_found_after_a_crash)
{
	const int64_t old = 1000000007 * TIME_NS_PER_S + 9;
	struct lab lab, after = { .dir_fd = -1 };
	uint8_t *data = lab_bytes(11, BIG);
	char command[2048];

	lab_make(&lab, NULL, LAB_LAZY);
	lab_open(&lab);
	library_kernel_clock(lab.lib);
	int64_t a = put_passed(&lab, "a", data, 1000), b = put_passed(&lab, "b", data, 2000),
		c = put_passed(&lab, "c", data, 3000);

	set_times(&lab, b, TREE_SET_MTIME, old);
	ck_assert_uint_eq(row(&lab, a).size, 0);
	ck_assert_uint_eq(row(&lab, b).size, 0);
	set_times(&lab, c, TREE_SET_MTIME | TREE_SET_ATIME, old);
	ck_assert_uint_eq(row(&lab, c).size, 3000);
	struct node seen = lab_node(&lab, a);

	ck_assert_uint_eq(seen.size, 1000);
	snprintf(after.path, sizeof(after.path), "%s/after", lab.dir);
	snprintf(command, sizeof(command), "cp -a '%s' '%s'", lab.path, after.path);
	ck_assert_int_eq(system(command), 0);
	lab_open(&after);
	lab_holds(&after, a, data, 1000);
	lab_holds(&after, b, data, 2000);
	lab_holds(&after, c, data, 3000);
	ck_assert_int_eq(row(&after, a).mtime_ns, seen.mtime_ns);
	ck_assert_int_ge(row(&after, a).ctime_ns, seen.ctime_ns);
	ck_assert_int_eq(row(&after, b).mtime_ns, old);
	ck_assert_int_eq(row(&after, c).mtime_ns, old);
	ck_assert_int_eq(row(&after, c).atime_ns, old);
	lab_close(&after);
	lab_sync(&lab);
	ck_assert_int_eq(row(&lab, a).mtime_ns, seen.mtime_ns);
	ck_assert_int_eq(row(&lab, b).mtime_ns, old);
	ck_assert_uint_eq(row(&lab, b).size, 2000);
	lab_remove(&lab);
	free(data);
}
END_TEST

START_TEST(an_owner_that_is_set_again_costs_nothing)
{
	struct lab lab, after = { .dir_fd = -1 };
	uint8_t *data = lab_bytes(14, BIG);
	char command[2048];

	lab_make(&lab, NULL, LAB_LAZY);
	lab_open(&lab);
	library_kernel_clock(lab.lib);
	int64_t ino = put_passed(&lab, "a", data, 1000);
	struct node was = lab_node(&lab, ino), other = was, recorded = row(&lab, ino);
	int owner = TREE_SET_UID | TREE_SET_GID;

	other.gid++;
	usleep(20 * 1000);
	ck_assert(!file_set_same(lab.lib, ino, owner, &other));
	other = was;
	other.mode ^= 1;
	ck_assert(!file_set_same(lab.lib, ino, TREE_SET_MODE, &other));
	ck_assert_int_eq(lab_node(&lab, ino).ctime_ns, was.ctime_ns);
	ck_assert(file_set_same(lab.lib, ino, owner, &was));
	struct node is = lab_node(&lab, ino);

	ck_assert_int_gt(is.ctime_ns, was.ctime_ns);
	ck_assert_int_eq(is.mtime_ns, was.mtime_ns);
	ck_assert_int_eq(row(&lab, ino).version, recorded.version);
	snprintf(after.path, sizeof(after.path), "%s/after", lab.dir);
	snprintf(command, sizeof(command), "cp -a '%s' '%s'", lab.path, after.path);
	ck_assert_int_eq(system(command), 0);
	lab_open(&after);
	ck_assert_int_ge(row(&after, ino).ctime_ns, is.ctime_ns);
	ck_assert_int_eq(row(&after, ino).mtime_ns, is.mtime_ns);
	lab_close(&after);
	lab_sync(&lab);
	ck_assert_int_ge(row(&lab, ino).ctime_ns, is.ctime_ns);
	/* Sealed: there is no file of its own that would tell. */
	ck_assert(!file_set_same(lab.lib, ino, owner, &was));
	lab_remove(&lab);
	free(data);
}
END_TEST

/* The file cannot tell of a change that leaves its size as it is recorded. */
START_TEST(a_close_records_what_the_file_cannot_tell)
{
	struct lab lab;
	uint8_t *data = lab_bytes(12, BIG);

	lab_make(&lab, NULL, LAB_LAZY);
	lab_open(&lab);
	library_kernel_clock(lab.lib);
	int64_t ino = put_passed(&lab, "a", data, 1000);
	struct file *f = lab_open_file(&lab, ino, O_RDWR);

	ck_assert_int_eq(file_flush(f), 0);
	ck_assert_uint_eq(row(&lab, ino).size, 1000);
	int fd = lab_pass(f, O_RDWR);
	struct node before = row(&lab, ino);

	do {
		usleep(1000);
		ck_assert_int_eq(pwrite(fd, data + 5000, 1000, 0), 1000);
	} while (lab_node(&lab, ino).mtime_ns == before.mtime_ns);
	ck_assert_int_eq(file_closing(f), 0);
	ck_assert_int_eq(row(&lab, ino).mtime_ns, lab_node(&lab, ino).mtime_ns);
	close(fd);
	file_pass_end(f);
	file_close(f, O_RDWR);
	lab_remove(&lab);
	free(data);
}
END_TEST

struct shortener {
	struct lab *lab;
	int64_t ino;
	atomic_bool done;
};

static void *shorten(void *arg)
{
	struct shortener *s = arg;
	struct file *f = lab_open_file(s->lab, s->ino, O_RDWR);

	ck_assert_int_eq(file_truncate(f, 10), 0);
	atomic_store(&s->done, true);
	lab_close_file(f, O_RDWR);
	return NULL;
}

/* What is given away before a change is not given after it. */
START_TEST(held_content_does_not_change)
{
	struct lab lab;
	uint8_t *data = lab_bytes(13, BIG), got[2000];
	size_t len = 0;

	lab_make(&lab, NULL, LAB_LAZY);
	lab_open(&lab);
	int64_t small = lab_put(&lab, "small", data, 1000), big = lab_put(&lab, "big", data, 2001);
	struct file *f = lab_open_file(&lab, small, O_RDWR),
		    *g = lab_open_file(&lab, big, O_RDONLY);

	ck_assert(!file_hold(f, got, sizeof(got), &len));
	lab_close_file(f, O_RDWR);
	file_close(g, O_RDONLY);
	lab_sync(&lab);
	f = lab_open_file(&lab, small, O_RDONLY);
	g = lab_open_file(&lab, big, O_RDONLY);
	ck_assert(!file_hold(g, got, sizeof(got), &len));
	ck_assert(file_hold(f, got, sizeof(got), &len));
	ck_assert_uint_eq(len, 1000);
	lab_equal(got, data, len, 0);
	struct shortener s = { .lab = &lab, .ino = small };
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, shorten, &s), 0);
	usleep(50 * 1000);
	ck_assert(!atomic_load(&s.done));
	file_hold_end(f);
	pthread_join(thread, NULL);
	ck_assert(!file_hold(f, got, sizeof(got), &len));
	file_close(f, O_RDONLY);
	file_close(g, O_RDONLY);
	lab_remove(&lab);
	free(data);
}
END_TEST
UNIT_MAIN("closing", 60, what_was_passed_and_closed_is_found_after_a_crash,
	  an_owner_that_is_set_again_costs_nothing, a_close_records_what_the_file_cannot_tell,
	  held_content_does_not_change)
