/* SPDX-License-Identifier: GPL-3.0-or-later */
/* util/cleanup.h; that memory is freed is seen by the address sanitizer. */
#include "config.h"

#include "../unit.h"
#include "util/cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>

START_TEST(descriptors_are_closed)
{
	int one, two, three;

	errno = E2BIG;
	{
		CLEANUP_CLOSE int fd = open("/dev/null", O_RDONLY);
		CLEANUP_FILE FILE *file = fopen("/dev/null", "r");
		CLEANUP_DIR DIR *dir = opendir("/");

		ck_assert_int_ge(fd, 0);
		one = fd;
		two = fileno(file);
		three = dirfd(dir);
		errno = E2BIG;
	}
	ck_assert_int_eq(errno, E2BIG);
	ck_assert_int_eq(fcntl(one, F_GETFD), -1);
	ck_assert_int_eq(fcntl(two, F_GETFD), -1);
	ck_assert_int_eq(fcntl(three, F_GETFD), -1);
}
END_TEST

START_TEST(nothing_is_cleaned_where_nothing_is)
{
	CLEANUP_CLOSE int fd = -1;
	CLEANUP_FILE FILE *file = NULL;
	CLEANUP_DIR DIR *dir = NULL;
	CLEANUP_FREE char *text = NULL;
	CLEANUP_BUF struct buf b = BUF_INIT;

	ck_assert(fd < 0 && !file && !dir && !text && !b.data);
}
END_TEST

START_TEST(memory_is_freed)
{
	CLEANUP_FREE char *text = strdup("text");
	CLEANUP_BUF struct buf b = BUF_INIT;

	ck_assert_int_eq(buf_add_str(&b, text), 0);
	ck_assert_str_eq(buf_str(&b), text);
}
END_TEST

UNIT_MAIN("cleanup", 10, descriptors_are_closed, nothing_is_cleaned_where_nothing_is,
	  memory_is_freed)
