/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Every call that a local disk answers, in the folder that $CALLS_DIR names: what is asked here holds on ext4 as well, so the same program run there checks
 * the test itself. One case for each call; test-calls.sh runs it on a mount, as root.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "calls.h"

char bytes[CALLS_BYTES], back[CALLS_BYTES];

static void begin(void)
{
	cases_folder(getenv("CALLS_DIR"));
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (char)(i * 31 + i / 251);
}

int make(const char *name, size_t len)
{
	int fd = openat(dir, name, O_CREAT | O_RDWR | O_EXCL, 0644);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pwrite(fd, bytes, len, 0), (ssize_t)len);
	return fd;
}

struct stat stat_of(const char *name)
{
	struct stat st;

	ck_assert_int_eq(fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW), 0);
	return st;
}

void assert_fails(int result, int wanted)
{
	int got = errno;

	ck_assert_int_eq(result, -1);
	ck_assert_int_eq(got, wanted);
}

int main(void)
{
	static cases_group *const groups[] = { calls_names, calls_bytes, calls_attributes };

	if (!getenv("CALLS_DIR")) {
		fprintf(stderr, "calls: set CALLS_DIR to the folder to be tested\n");
		return 2;
	}
	return cases_run("calls", begin, groups, sizeof groups / sizeof *groups);
}
