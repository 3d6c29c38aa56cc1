/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Calls about what a file has besides: extended attributes, times, owners, permissions. See calls.c. */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "calls.h"

START_TEST(extended_attributes)
{
	static char big[65536];
	char list[1024];
	ssize_t n;
	int fd = make("a", 1);

	memset(big, 'v', sizeof big);
	ck_assert_int_eq(fsetxattr(fd, "user.small", "abc", 3, 0), 0);
	ck_assert_int_eq(fgetxattr(fd, "user.small", list, sizeof list), 3);
	ck_assert_int_eq(fgetxattr(fd, "user.small", NULL, 0), 3);
	assert_fails((int)fgetxattr(fd, "user.small", list, 2), ERANGE);
	assert_fails(fsetxattr(fd, "user.small", "x", 1, XATTR_CREATE), EEXIST);
	assert_fails(fsetxattr(fd, "user.none", "x", 1, XATTR_REPLACE), ENODATA);
	assert_fails((int)fgetxattr(fd, "user.none", list, sizeof list), ENODATA);
	ck_assert_int_eq(fsetxattr(fd, "user.empty", "", 0, 0), 0);
	ck_assert_int_eq(fgetxattr(fd, "user.empty", list, sizeof list), 0);
	ck_assert_int_eq(fsetxattr(fd, "trusted.t", "1", 1, 0), 0);
	ck_assert_int_eq(fsetxattr(fd, "security.s", "1", 1, 0), 0);
	n = flistxattr(fd, list, sizeof list);
	ck_assert_ptr_nonnull(memmem(list, (size_t)n, "user.small\0", 11));
	ck_assert_ptr_nonnull(memmem(list, (size_t)n, "trusted.t\0", 10));
	ck_assert_int_eq(fremovexattr(fd, "user.small"), 0);
	assert_fails(fremovexattr(fd, "user.small"), ENODATA);
	if (!getenv("CALLS_NATIVE")) { /* ext4 has no room for it */
		ck_assert_int_eq(fsetxattr(fd, "user.big", big, sizeof big, 0), 0);
		ck_assert_int_eq(fgetxattr(fd, "user.big", back, sizeof back), (ssize_t)sizeof big);
		ck_assert_int_eq(memcmp(big, back, sizeof big), 0);
		/* ls(1) asks no more after it; a label that someone keeps here is given all the same. */
		assert_fails((int)fgetxattr(fd, "security.selinux", list, sizeof list), EOPNOTSUPP);
		ck_assert_int_eq(fsetxattr(fd, "security.selinux", "a:b:c", 6, 0), 0);
		ck_assert_int_eq(fgetxattr(fd, "security.selinux", list, sizeof list), 6);
	}
	close(fd);
}
END_TEST

/* Stamps go by the tick, and two changes may have the same one: waits until it has passed that of `name`. */
static void pass_stamp(const char *name)
{
	struct timespec last = stat_of(name).st_ctim, now;

	do
		clock_gettime(CLOCK_REALTIME_COARSE, &now);
	while (now.tv_sec < last.tv_sec ||
	       (now.tv_sec == last.tv_sec && now.tv_nsec <= last.tv_nsec));
}

START_TEST(times_in_nanoseconds)
{
	const struct timespec set[2] = { { 1, 123456789 }, { -100, 987654321 } };
	const struct timespec some[2] = { { 0, UTIME_OMIT }, { 5000000000, 1 } };
	struct stat before, after;
	struct statx x;
	int fd = make("a", 1);

	before = stat_of("a");
	pass_stamp("a");
	ck_assert_int_eq(futimens(fd, set), 0);
	after = stat_of("a");
	ck_assert_int_eq(after.st_atim.tv_sec, 1);
	ck_assert_int_eq(after.st_atim.tv_nsec, 123456789);
	ck_assert_int_eq(after.st_mtim.tv_sec, -100);
	ck_assert_int_eq(after.st_mtim.tv_nsec, 987654321);
	ck_assert(after.st_ctim.tv_sec > before.st_ctim.tv_sec ||
		  after.st_ctim.tv_nsec > before.st_ctim.tv_nsec);
	ck_assert_int_eq(futimens(fd, some), 0);
	ck_assert_int_eq(statx(dir, "a", 0, STATX_BASIC_STATS, &x), 0);
	ck_assert_int_eq(x.stx_atime.tv_sec, 1);
	ck_assert_int_eq(x.stx_mtime.tv_sec, 5000000000);
	ck_assert_int_eq(x.stx_mtime.tv_nsec, 1);
	close(fd);
	ck_assert_int_eq(stat_of("a").st_mtim.tv_sec,
			 5000000000); /* the close does not change it */
}
END_TEST

START_TEST(parents_times_and_links)
{
	struct stat before = stat_of("."), after;

	pass_stamp(".");
	ck_assert_int_eq(mkdirat(dir, "d", 0755), 0);
	after = stat_of(".");
	ck_assert_int_eq(after.st_nlink, before.st_nlink + 1);
	ck_assert(after.st_mtim.tv_sec > before.st_mtim.tv_sec ||
		  after.st_mtim.tv_nsec != before.st_mtim.tv_nsec);
	ck_assert_int_eq(stat_of("d").st_nlink, 2);
	ck_assert_int_eq(unlinkat(dir, "d", AT_REMOVEDIR), 0);
	ck_assert_int_eq(stat_of(".").st_nlink, before.st_nlink);
}
END_TEST

START_TEST(owners_and_set_id_bits)
{
	int fd = make("a", 10);
	pid_t child;

	ck_assert_int_eq(fchown(fd, 1000, 1001), 0);
	ck_assert_int_eq(fchmod(fd, 06777), 0);
	ck_assert_int_eq(stat_of("a").st_mode & 07777, 06777);
	child = fork();
	if (child == 0) { /* a write by someone who is not root takes the bits away */
		int own;

		if (setgid(1002) || setuid(1002))
			_exit(2);
		own = openat(dir, "a", O_WRONLY);
		_exit(own < 0 || write(own, "x", 1) != 1);
	}
	waitpid(child, NULL, 0);
	ck_assert_int_eq(stat_of("a").st_mode & 06000, 0);
	ck_assert_int_eq(fchmod(fd, 06777), 0);
	ck_assert_int_eq(fchownat(dir, "a", 1003, (gid_t)-1, 0), 0);
	ck_assert_int_eq(stat_of("a").st_uid, 1003);
	ck_assert_int_eq(stat_of("a").st_gid, 1001);
	close(fd);
	ck_assert_int_eq(mkdirat(dir, "g", 0755), 0);
	ck_assert_int_eq(fchownat(dir, "g", 0, 1234, 0), 0);
	ck_assert_int_eq(fchmodat(dir, "g", 02755, 0), 0);
	ck_assert_int_eq(mkdirat(dir, "g/below", 0755), 0);
	ck_assert_int_eq(stat_of("g/below").st_gid, 1234);
	ck_assert(stat_of("g/below").st_mode & S_ISGID);
}
END_TEST

/* What a child without rights does to "a", which is another's, with `change`; returns the mode bits afterwards. */
static mode_t mode_after(mode_t mode, int (*change)(int fd))
{
	pid_t child;
	int status;

	ck_assert_int_eq(fchownat(dir, "a", 1000, 1001, 0), 0);
	ck_assert_int_eq(fchmodat(dir, "a", mode, 0), 0);
	child = fork();
	if (child == 0) {
		if (setgroups(0, NULL) || setgid(1002) || setuid(1002))
			_exit(2);
		_exit(change(openat(dir, "a", O_RDWR)) < 0);
	}
	waitpid(child, &status, 0);
	ck_assert_int_eq(WEXITSTATUS(status), 0);
	return stat_of("a").st_mode & 07777;
}

static int change_allocate(int fd)
{
	return fallocate(fd, 0, 0, 2 * BLOCK);
}

static int change_punch(int fd)
{
	return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, BLOCK);
}

static int change_zero(int fd)
{
	return fallocate(fd, FALLOC_FL_ZERO_RANGE, 0, BLOCK);
}

static int change_size(int fd)
{
	return ftruncate(fd, 10);
}

static int change_by_copy(int fd)
{
	off64_t from = 0, to = 0;
	int in = openat(dir, "b", O_RDONLY);

	return copy_file_range(in, &from, fd, &to, BLOCK, 0) == BLOCK ? 0 : -1;
}

/* A group's bit goes with the user's also where the group may not execute. */
START_TEST(set_id_bits_after_changes)
{
	static int (*const changes[])(int fd) = { change_allocate, change_punch, change_zero,
						  change_size, change_by_copy };

	close(make("a", 4 * BLOCK));
	close(make("b", 4 * BLOCK));
	for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
		ck_assert_int_eq(mode_after(06777, changes[i]), 0777);
		ck_assert_int_eq(mode_after(06666, changes[i]), 0666);
		ck_assert_int_eq(mode_after(02676, changes[i]), 0676);
		ck_assert_int_eq(mode_after(02666, changes[i]), 0666);
	}
}
END_TEST

static int64_t changed_at(const char *name)
{
	struct stat st = stat_of(name);

	return st.st_ctim.tv_sec * INT64_C(1000000000) + st.st_ctim.tv_nsec;
}

/* Some stamps are the kernel's and some the filesystem's; who changes one thing after another sees them in that order. */
START_TEST(times_in_the_order_of_changes)
{
	int fd = make("a", 1);
	int64_t last = changed_at("a");
	char name[32];

	for (int i = 0; i < 500; i++) {
		int64_t written, made;

		ck_assert_int_eq(pwrite(fd, "x", 1, i), 1);
		written = changed_at("a");
		ck_assert_int_ge(written, last);
		snprintf(name, sizeof name, "d%d", i);
		ck_assert_int_eq(mkdirat(dir, name, 0755), 0);
		made = changed_at(name);
		ck_assert_int_ge(made, written);
		ck_assert_int_eq(fchmod(fd, i & 1 ? 0600 : 0640), 0);
		last = changed_at("a");
		ck_assert_int_ge(last, made);
	}
	close(fd);
}
END_TEST

START_TEST(permissions_are_kept)
{
	pid_t child;
	int status, fd = make("a", 10);

	ck_assert_int_eq(fchmod(fd, 0600), 0);
	close(fd);
	ck_assert_int_eq(mkdirat(dir, "d", 0700), 0);
	child = fork();
	if (child == 0) {
		if (setgid(1002) || setuid(1002))
			_exit(2);
		_exit(openat(dir, "a", O_RDONLY) >= 0 || errno != EACCES ||
		      openat(dir, "d/x", O_CREAT | O_RDWR, 0644) >= 0 || errno != EACCES);
	}
	waitpid(child, &status, 0);
	ck_assert_int_eq(WEXITSTATUS(status), 0);
}
END_TEST

const TTest *const *calls_attributes(size_t *count)
{
	static const TTest *cases[7];
	size_t n = 0;

	cases[n++] = extended_attributes;
	cases[n++] = times_in_nanoseconds;
	cases[n++] = parents_times_and_links;
	cases[n++] = owners_and_set_id_bits;
	cases[n++] = set_id_bits_after_changes;
	cases[n++] = times_in_the_order_of_changes;
	cases[n++] = permissions_are_kept;
	*count = n;
	return cases;
}
