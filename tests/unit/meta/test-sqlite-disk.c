/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The SQLite driver on disks that are read-only, forbidden or full. Each case runs in a child that gives up its
 * rights or makes a mount namespace of its own.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "meta-test.h"
#include "util/err.h"
#include "util/io.h"

static struct meta_test_place place;
static const struct meta_test_driver *const sqlite = &meta_test_drivers[0];

/* In a child: ends it with the line on which something was not as it should be. */
#define REQUIRE(condition)                                                                         \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);    \
			return 1;                                                                  \
		}                                                                                  \
	} while (0)

static int try_open(int flags)
{
	struct meta *m = NULL;
	int err = meta_open(place.path, flags, &m);

	meta_close(m);
	return err;
}

/* A library with one row at (1, "a"), closed. */
static void begin(void)
{
	meta_test_begin(&place, sqlite);
	struct meta *m = meta_test_open(&place, sqlite, META_OPEN_CREATE);

	ck_assert_int_eq(meta_test_put(m, 1, "a", ""), 0);
	meta_close(m);
}

static void run_child(int (*work)(void *arg))
{
	ck_assert_int_eq(meta_test_wait(meta_test_fork(work, NULL)), 0);
}

/* A mount namespace of this process's own, as root of a user namespace if it is not root already. */
static int own_mounts(void)
{
	if (unshare(geteuid() == 0 ? CLONE_NEWNS : CLONE_NEWUSER | CLONE_NEWNS) < 0)
		return -errno;
	return mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) < 0 ? -errno : 0;
}

static int make_read_only(void)
{
	int err = own_mounts();

	if (!err && mount(place.folder, place.folder, "none", MS_BIND, NULL) < 0)
		err = -errno;
	if (!err && mount("none", place.folder, "none", MS_BIND | MS_REMOUNT | MS_RDONLY, NULL) < 0)
		err = -errno;
	return err;
}

/* Reads the one row, and is told that nothing can be written. */
static int read_one_row(int refusal)
{
	struct meta *m = NULL;

	REQUIRE(meta_open(place.path, META_OPEN_RDONLY, &m) == 0);
	REQUIRE(meta_test_count(m, 1) == 1);
	REQUIRE(meta_test_put(m, 1, "b", "") == -EROFS);
	REQUIRE(meta_version(m) == meta_catalogue_schema.count);
	meta_close(m);
	REQUIRE(try_open(0) == refusal);
	REQUIRE(try_open(META_OPEN_MIGRATE) == refusal);
	return 0;
}

static int use_read_only_disk(void *arg)
{
	(void)arg;
	REQUIRE(make_read_only() == 0);
	return read_one_row(-EROFS);
}

START_TEST(a_read_only_disk_can_be_read)
{
	begin();
	run_child(use_read_only_disk);
	meta_test_end(&place);
}
END_TEST

static int lose_rights(void)
{
	if (geteuid() == 0 && (setgid(65534) < 0 || setuid(65534) < 0))
		return -errno;
	return 0;
}

static int use_forbidden_folder(void *arg)
{
	(void)arg;
	REQUIRE(lose_rights() == 0);
	return read_one_row(-EACCES);
}

static int use_forbidden_file(void *arg)
{
	(void)arg;
	REQUIRE(lose_rights() == 0);
	REQUIRE(try_open(META_OPEN_RDONLY) == -EACCES);
	REQUIRE(try_open(0) == -EACCES);
	return 0;
}

static int create_in_forbidden_folder(void *arg)
{
	(void)arg;
	REQUIRE(lose_rights() == 0);
	snprintf(place.path, sizeof(place.path), "%s/other.db", place.folder);
	REQUIRE(try_open(META_OPEN_CREATE) == -EACCES);
	REQUIRE(access(place.path, F_OK) < 0 && errno == ENOENT);
	return 0;
}

START_TEST(rights_that_lack_are_told)
{
	begin();
	ck_assert_int_eq(chmod(place.path, 0444), 0);
	ck_assert_int_eq(chmod(place.folder, 0555), 0);
	run_child(use_forbidden_folder);
	run_child(create_in_forbidden_folder);
	ck_assert_int_eq(chmod(place.path, 0), 0);
	run_child(use_forbidden_file);
	ck_assert_int_eq(chmod(place.folder, 0755), 0);
	meta_test_end(&place);
}
END_TEST

static int write_and_die(void *arg)
{
	struct meta *m = NULL;

	(void)arg;
	if (meta_open(place.path, 0, &m) == 0 && meta_test_put(m, 2, "a", "") == 0)
		raise(SIGKILL);
	return 1;
}

static int read_what_cannot_be(void *arg)
{
	(void)arg;
	REQUIRE(make_read_only() == 0);
	REQUIRE(try_open(META_OPEN_RDONLY) == -EROFS);
	return 0;
}

/* A log that was left by a crash: to read it without its index is possible, to leave it out would be a lie. */
START_TEST(changes_in_a_log_are_not_left_out)
{
	char name[160];

	begin();
	ck_assert_int_eq(meta_test_wait(meta_test_fork(write_and_die, NULL)), -1);
	snprintf(name, sizeof(name), "%s-shm", place.path);
	ck_assert_int_eq(unlink(name), 0);
	run_child(read_what_cannot_be);
	/* Where it can be written, the change is there. */
	struct meta *m = meta_test_open(&place, sqlite, META_OPEN_RDONLY);

	ck_assert_int_eq(meta_test_count(m, 2), 1);
	meta_close(m);
	meta_test_end(&place);
}
END_TEST

enum { FILL_BYTES = 3000, FILL_THREADS = 4, FILL_MAX = 4096 };

struct filler {
	struct meta *meta;
	int64_t base;
	int applied; /* rows base .. base + applied - 1 were promised */
	int err;
};

/* Until the disk is full. */
static void *fill(void *arg)
{
	static const char value[FILL_BYTES + 1];
	struct filler *f = arg;
	struct meta_op *op = meta_op_new();

	while (op && !f->err && f->applied < FILL_MAX) {
		meta_op_reset(op);
		META_ADD(op, XATTR_INSERT, META_ONE, -EEXIST, META_I(f->base + f->applied),
			 META_B("a", 1), META_B(value, FILL_BYTES));
		f->err = meta_apply(f->meta, op);
		if (!f->err)
			f->applied++;
	}
	meta_op_free(op);
	return NULL;
}

/* What was promised is there, what was refused is not, and the database is sound. */
static int check_filled(struct meta *m, const struct filler *fillers)
{
	int faults = 0;

	for (int i = 0; i < FILL_THREADS; i++) {
		REQUIRE(fillers[i].err == -ENOSPC);
		for (int n = 0; n < fillers[i].applied; n++)
			REQUIRE(meta_test_count(m, fillers[i].base + n) == 1);
		REQUIRE(meta_test_count(m, fillers[i].base + fillers[i].applied) == 0);
	}
	REQUIRE(meta_test_count(m, 1) == 1);
	REQUIRE(meta_check(m, meta_test_report, &faults) == 0);
	return 0;
}

static int fill_and_check(struct meta *m)
{
	struct filler fillers[FILL_THREADS];

	for (int i = 0; i < FILL_THREADS; i++)
		fillers[i] = (struct filler){ .meta = m, .base = (i + 1) * 100000 };
	meta_test_threads(FILL_THREADS, fill, fillers, sizeof(fillers[0]));
	return check_filled(m, fillers);
}

/* Files may grow to a size no more, which the kernel answers with another error than a full disk. */
static int use_limit(void *arg)
{
	struct rlimit limit = { .rlim_cur = 3 << 20, .rlim_max = RLIM_INFINITY };
	struct meta *m = NULL;

	(void)arg;
	signal(SIGXFSZ, SIG_IGN);
	REQUIRE(meta_open(place.path, 0, &m) == 0);
	REQUIRE(setrlimit(RLIMIT_FSIZE, &limit) == 0);
	if (fill_and_check(m))
		return 1;
	limit.rlim_cur = RLIM_INFINITY;
	REQUIRE(setrlimit(RLIMIT_FSIZE, &limit) == 0);
	REQUIRE(meta_test_put(m, 3, "room again", "") == 0);
	REQUIRE(meta_sync(m) == 0);
	REQUIRE(meta_test_count(m, 3) == 1);
	meta_close(m);
	return try_open(0) == 0 ? 0 : 1;
}

START_TEST(a_limit_on_files_is_a_full_disk)
{
	begin();
	run_child(use_limit);
	meta_test_end(&place);
}
END_TEST

static int use_full_disk(void *arg)
{
	char spare[160];
	struct meta *m = NULL;

	(void)arg;
	REQUIRE(own_mounts() == 0);
	REQUIRE(mount("tmpfs", place.folder, "tmpfs", 0, "size=4m") == 0);
	snprintf(spare, sizeof(spare), "%s/spare", place.folder);
	int fd = open(spare, O_WRONLY | O_CREAT, 0600);

	REQUIRE(fd >= 0 && posix_fallocate(fd, 0, 1 << 20) == 0 && close(fd) == 0);
	REQUIRE(meta_open(place.path, META_OPEN_CREATE, &m) == 0);
	REQUIRE(meta_test_put(m, 1, "a", "") == 0);
	if (fill_and_check(m))
		return 1;
	char copy[160];

	snprintf(copy, sizeof(copy), "%s-copy", place.path);
	REQUIRE(meta_copy(m, copy) == -ENOSPC);
	REQUIRE(access(copy, F_OK) < 0);
	/* With room again all goes on. */
	REQUIRE(unlink(spare) == 0);
	REQUIRE(meta_test_put(m, 3, "room again", "") == 0);
	REQUIRE(meta_next_id(m, META_SEQ_INO) > 1);
	meta_close(m);
	return try_open(0) == 0 ? 0 : 1;
}

START_TEST(a_full_disk_loses_nothing)
{
	begin();
	run_child(use_full_disk);
	meta_test_end(&place);
}
END_TEST

/* Fills what is left of the disk, to the last block. */
static int fill_disk(void)
{
	static const char zeros[4096];
	char name[160];

	snprintf(name, sizeof(name), "%s/fill", place.folder);
	int fd = open(name, O_WRONLY | O_CREAT | O_APPEND, 0600);

	REQUIRE(fd >= 0);
	while (write(fd, zeros, sizeof(zeros)) > 0)
		;
	REQUIRE(errno == ENOSPC && close(fd) == 0);
	return 0;
}

static int read_rows(int64_t first, int64_t second)
{
	struct meta *m = NULL;
	int faults = 0;

	REQUIRE(meta_open(place.path, META_OPEN_RDONLY, &m) == 0);
	REQUIRE(meta_test_count(m, 1) == first);
	REQUIRE(meta_test_count(m, 2) == second);
	REQUIRE(meta_check(m, meta_test_report, &faults) == 0);
	REQUIRE(meta_test_put(m, 1, "b", "") == -EROFS);
	meta_close(m);
	return 0;
}

static int open_and_wait(void *arg)
{
	const int *ends = arg;
	struct meta *m = NULL;
	char byte;

	REQUIRE(meta_open(place.path, 0, &m) == 0);
	REQUIRE(write(ends[1], "o", 1) == 1);
	REQUIRE(read(ends[2], &byte, 1) == 1);
	meta_close(m);
	return 0;
}

/* Closed; left by a crash, with changes in the log and an index that counts for nothing; and open elsewhere. */
static int read_full_disk(void *arg)
{
	int there[2], back[2];
	struct meta *m = NULL;
	char name[160];

	(void)arg;
	REQUIRE(own_mounts() == 0);
	REQUIRE(mount("tmpfs", place.folder, "tmpfs", 0, "size=4m") == 0);
	REQUIRE(meta_open(place.path, META_OPEN_CREATE, &m) == 0);
	REQUIRE(meta_test_put(m, 1, "a", "") == 0);
	meta_close(m);
	if (fill_disk() || read_rows(1, 0))
		return 1;
	snprintf(name, sizeof(name), "%s/fill", place.folder);
	REQUIRE(unlink(name) == 0);
	REQUIRE(meta_test_wait(meta_test_fork(write_and_die, NULL)) == -1);
	if (fill_disk() || read_rows(1, 1) || read_rows(1, 1))
		return 1;
	REQUIRE(unlink(name) == 0);
	REQUIRE(pipe(there) == 0 && pipe(back) == 0);
	pid_t pid = meta_test_fork(open_and_wait, (int[]){ -1, there[1], back[0] });
	char byte;

	REQUIRE(read(there[0], &byte, 1) == 1);
	if (fill_disk() || read_rows(1, 1))
		return 1;
	REQUIRE(write(back[1], "e", 1) == 1);
	return meta_test_wait(pid);
}

START_TEST(a_full_disk_can_be_read)
{
	begin();
	run_child(read_full_disk);
	meta_test_end(&place);
}
END_TEST

static int create_on_full_disk(void *arg)
{
	(void)arg;
	REQUIRE(own_mounts() == 0);
	REQUIRE(mount("tmpfs", place.folder, "tmpfs", 0, "size=64k") == 0);
	REQUIRE(try_open(META_OPEN_CREATE) == -ENOSPC);
	REQUIRE(access(place.path, F_OK) < 0);
	int fd = open(place.folder, O_RDONLY | O_DIRECTORY);
	struct stat st;

	/* Not even what it was made in is left. */
	REQUIRE(fstat(fd, &st) == 0 && st.st_nlink == 2);
	return rmdir(place.folder) < 0 && errno == EBUSY ? 0 : 1;
}

START_TEST(a_create_that_finds_no_room_leaves_nothing)
{
	begin();
	run_child(create_on_full_disk);
	meta_test_end(&place);
}
END_TEST

UNIT_MAIN("sqlite-disk", 120, a_read_only_disk_can_be_read, rights_that_lack_are_told,
	  changes_in_a_log_are_not_left_out, a_limit_on_files_is_a_full_disk,
	  a_full_disk_loses_nothing, a_full_disk_can_be_read,
	  a_create_that_finds_no_room_leaves_nothing)
