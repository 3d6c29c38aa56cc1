/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a write does to times and set-id bits. */
#include "config.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pass.h"

START_TEST(times_follow_the_writes)
{
	struct timespec past[2] = { { .tv_sec = 1000000000 }, { .tv_sec = 1000000000 } };
	struct stat st;
	int w = open_file("a", O_CREAT | O_WRONLY);

	write_at(w, 0, "one");
	ck_assert_int_eq(futimens(w, past), 0);
	ck_assert_int_eq(fstat(w, &st), 0);
	ck_assert_int_eq(st.st_mtim.tv_sec, 1000000000);
	close(w);
	seal();
	ck_assert_int_eq(fstatat(dir, "a", &st, 0), 0);
	ck_assert_int_eq(st.st_mtim.tv_sec, 1000000000);
	w = open_file("a", O_WRONLY | O_TRUNC);
	ck_assert_int_eq(futimens(w, past), 0);
	write_at(w, 0, "two");
	ck_assert_int_eq(fstat(w, &st), 0);
	ck_assert_int_gt(st.st_mtim.tv_sec, 1000000000);
	ck_assert_int_eq(st.st_size, 3);
	close(w);
	ck_assert_int_eq(fstatat(dir, "a", &st, 0), 0);
	ck_assert_int_gt(st.st_mtim.tv_sec, 1000000000);
}
END_TEST

/* As `uid`, opens the file, waits until it has set-id bits, and writes into it. */
static void write_as(uid_t uid, const char *name)
{
	int opened[2], go[2], status;
	char byte = 0;
	pid_t pid;

	ck_assert_int_eq(pipe(opened), 0);
	ck_assert_int_eq(pipe(go), 0);
	pid = fork();
	if (pid == 0) {
		int fd = setuid(uid) ? -1 : openat(dir, name, O_WRONLY);

		_exit(fd < 0 || write(opened[1], &byte, 1) != 1 || read(go[0], &byte, 1) != 1 ||
		      pwrite(fd, "x", 1, 0) != 1);
	}
	ck_assert_int_eq(read(opened[0], &byte, 1), 1);
	ck_assert_int_eq(fchmodat(dir, name, 06777, 0), 0);
	ck_assert_int_eq(write(go[1], &byte, 1), 1);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	close(opened[0]);
	close(opened[1]);
	close(go[0]);
	close(go[1]);
}

START_TEST(privileges_go_with_a_strangers_write)
{
	struct stat st;
	int fd;

	make_file("a");
	ck_assert_int_eq(fchmodat(dir, "a", 06777, 0), 0);
	ck_assert_int_eq(fchmod(dir, 0777), 0);
	write_as(1234, "a");
	ck_assert_int_eq(fstatat(dir, "a", &st, 0), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0777);
	/* The bits come while it is open. */
	fd = open_file("a", O_RDONLY);
	ck_assert_int_eq(fchmodat(dir, "a", 06777, 0), 0);
	ck_assert_int_eq(fchownat(dir, "a", 1234, 1234, 0), 0);
	ck_assert_int_eq(fstatat(dir, "a", &st, 0), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0777);
	close(fd);
}
END_TEST

/* Of what is no file too, but of no folder. */
START_TEST(privileges_go_with_the_owner)
{
	struct stat st;

	ck_assert_int_eq(mknodat(dir, "pipe", S_IFIFO | 0600, 0), 0);
	ck_assert_int_eq(fchmodat(dir, "pipe", 06777, 0), 0);
	ck_assert_int_eq(fchownat(dir, "pipe", 1234, 1234, 0), 0);
	ck_assert_int_eq(fstatat(dir, "pipe", &st, 0), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0777);
	ck_assert_int_eq(mkdirat(dir, "folder", 0700), 0);
	ck_assert_int_eq(fchmodat(dir, "folder", 06777, 0), 0);
	ck_assert_int_eq(fchownat(dir, "folder", 1234, 1234, 0), 0);
	ck_assert_int_eq(fstatat(dir, "folder", &st, 0), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 06777);
}
END_TEST

const TTest *const *pass_attributes(size_t *count)
{
	static const TTest *cases[3];
	size_t n = 0;

	cases[n++] = times_follow_the_writes;
	cases[n++] = privileges_go_with_a_strangers_write;
	cases[n++] = privileges_go_with_the_owner;
	*count = n;
	return cases;
}
