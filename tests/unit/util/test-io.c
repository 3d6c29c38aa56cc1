/* SPDX-License-Identifier: GPL-3.0-or-later */
/* util/io.h */
#include "config.h"

#include "../unit.h"
#include "util/cleanup.h"
#include "util/io.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

static char dir_path[64];
static int dir_fd;

START_TEST(positions_are_kept)
{
	char back[16];

	dir_fd = unit_make_dir(dir_path);
	int fd = openat(dir_fd, "f", O_RDWR | O_CREAT, 0600);

	ck_assert_int_eq(io_pwrite_full(fd, "hello", 5, 7), 0);
	ck_assert_int_eq(io_pread_full(fd, back, 16, 5), 7);
	ck_assert_mem_eq(back, "\0\0hello", 7);
	ck_assert_int_eq(io_pread_full(fd, back, 5, 7), 5);
	ck_assert_int_eq(io_pread_full(fd, back, 5, 100), 0);
	ssize_t now = io_pread_now(fd, back, 5, 7);

	ck_assert(now == -EAGAIN || (now == 5 && !memcmp(back, "hello", 5)));
	ck_assert_int_eq(io_pread_now(fd, back, 16, 5), -EAGAIN);
	ck_assert_int_eq(io_pread_now(fd, back, 1, 100), -EAGAIN);
	ck_assert_int_eq(io_write_full(fd, "ab", 2), 0);
	ck_assert_int_eq(io_read_full(fd, back, 16), 10);
	ck_assert_mem_eq(back, "\0\0\0\0\0hello", 10);
	ck_assert_int_eq(io_sync_data(fd), 0);
	ck_assert_int_eq(io_sync_dir(dir_fd), 0);
	close(fd);
	unit_remove_dir(dir_path, dir_fd);
}
END_TEST

START_TEST(errors_come_back_negative)
{
	char byte = 0;
	int full = open("/dev/full", O_RDWR);

	ck_assert_int_eq(io_pread_full(-1, &byte, 1, 0), -EBADF);
	ck_assert_int_eq(io_pread_now(-1, &byte, 1, 0), -EAGAIN);
	ck_assert_int_eq(io_read_full(-1, &byte, 1), -EBADF);
	ck_assert_int_eq(io_pwrite_full(-1, &byte, 1, 0), -EBADF);
	ck_assert_int_eq(io_write_full(full, &byte, 1), -ENOSPC);
	ck_assert_int_eq(io_pwrite_full(full, &byte, 1, 0), -ENOSPC);
	ck_assert_int_eq(io_sync_data(-1), -EBADF);
	ck_assert_int_eq(io_sync_dir(-1), -EBADF);
	close(full);
}
END_TEST

static void on_signal(int number)
{
	(void)number;
}

static atomic_bool pinging;

static void *ping(void *arg)
{
	while (pinging) {
		pthread_kill(*(pthread_t *)arg, SIGUSR1);
		usleep(200);
	}
	return NULL;
}

static void *drip(void *arg)
{
	int fd = *(int *)arg;

	for (int i = 0; i < 100; i++) {
		usleep(300);
		ck_assert_int_eq(write(fd, "0123456789", 10), 10);
	}
	close(fd);
	return NULL;
}

/* A pipe gives short counts, and signals without SA_RESTART give EINTR. */
START_TEST(short_counts_and_signals_do_not_show)
{
	struct sigaction action = { .sa_handler = on_signal };
	pthread_t self = pthread_self(), pinger, dripper;
	char back[2000];
	int ends[2];

	sigaction(SIGUSR1, &action, NULL);
	ck_assert_int_eq(pipe(ends), 0);
	pinging = true;
	ck_assert_int_eq(pthread_create(&dripper, NULL, drip, &ends[1]), 0);
	ck_assert_int_eq(pthread_create(&pinger, NULL, ping, &self), 0);
	ck_assert_int_eq(io_read_full(ends[0], back, sizeof(back)), 1000);
	pinging = false;
	pthread_join(pinger, NULL);
	pthread_join(dripper, NULL);
	close(ends[0]);
	for (int i = 0; i < 1000; i++)
		ck_assert_int_eq(back[i], '0' + i % 10);
}
END_TEST

START_TEST(files_are_read_whole)
{
	CLEANUP_BUF struct buf out = BUF_INIT;
	static char data[100000];

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (char)(i * 7 >> 3);
	dir_fd = unit_make_dir(dir_path);
	ck_assert_int_eq(io_write_file(dir_fd, "f", data, sizeof(data), 0640), 0);
	ck_assert_int_eq(buf_add_str(&out, "front"), 0);
	ck_assert_int_eq(io_read_file(dir_fd, "f", sizeof(data) - 1, &out), -EFBIG);
	ck_assert_str_eq(buf_str(&out), "front");
	ck_assert_int_eq(io_read_file(dir_fd, "none", 10, &out), -ENOENT);
	ck_assert_int_eq(io_read_file(dir_fd, ".", 10, &out), -EISDIR);
	ck_assert_str_eq(buf_str(&out), "front");
	ck_assert_int_eq(io_read_file(dir_fd, "f", sizeof(data), &out), 0);
	ck_assert_uint_eq(out.len, 5 + sizeof(data));
	ck_assert_mem_eq(out.data + 5, data, sizeof(data));
	unit_remove_dir(dir_path, dir_fd);
}
END_TEST

START_TEST(a_write_replaces_the_whole_file)
{
	CLEANUP_BUF struct buf out = BUF_INIT;
	struct stat before, after;

	dir_fd = unit_make_dir(dir_path);
	umask(077);
	ck_assert_int_eq(io_write_file(dir_fd, "f", "long content", 12, 0600), 0);
	ck_assert_int_eq(fstatat(dir_fd, "f", &before, 0), 0);
	/* What a crash left behind is no obstacle. */
	ck_assert_int_eq(symlinkat("elsewhere", dir_fd, "other.tmp"), 0);
	ck_assert_int_eq(io_write_file(dir_fd, "other", "x", 1, 0600), -ELOOP);
	ck_assert_int_eq(io_write_file(dir_fd, "other", "x", 1, 0600), 0);
	int left = openat(dir_fd, "f.tmp", O_WRONLY | O_CREAT, 0400);

	ck_assert_int_eq(io_write_full(left, "longer than what follows", 24), 0);
	close(left);
	ck_assert_int_eq(io_write_file(dir_fd, "f", "new", 3, 0644), 0);
	ck_assert_int_eq(fstatat(dir_fd, "f", &after, 0), 0);
	ck_assert_int_eq(io_read_file(dir_fd, "f", 100, &out), 0);
	ck_assert_str_eq(buf_str(&out), "new");
	ck_assert_uint_eq(after.st_mode & 07777, 0644);
	ck_assert_uint_ne(before.st_ino, after.st_ino);
	ck_assert_int_eq(faccessat(dir_fd, "f.tmp", F_OK, 0), -1);
	unit_remove_dir(dir_path, dir_fd);
}
END_TEST

START_TEST(a_failed_write_changes_nothing)
{
	dir_fd = unit_make_dir(dir_path);
	ck_assert_int_eq(io_write_file(dir_fd, "none/f", "new", 3, 0644), -ENOENT);
	ck_assert_int_eq(mkdirat(dir_fd, "d", 0755), 0);
	ck_assert_int_eq(io_write_file(dir_fd, "d", "new", 3, 0644), -EISDIR);
	ck_assert_int_eq(faccessat(dir_fd, "d.tmp", F_OK, 0), -1);
	unit_remove_dir(dir_path, dir_fd);
}
END_TEST

UNIT_MAIN("io", 30, positions_are_kept, errors_come_back_negative,
	  short_counts_and_signals_do_not_show, files_are_read_whole,
	  a_write_replaces_the_whole_file, a_failed_write_changes_nothing)
