/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Several handles and mappings on one asset at once, whichever way its bytes go (src/fuse/mount-way.c has the table): what one writes all others see, and what was
 * kept elsewhere, in a copy or another asset with the same bytes, does not change with it. In the folder $PASS_DIR of a mount; the command $PASS_SEAL seals what is
 * closed. What is asked here holds on a disk as well.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pass.h"

char bytes[LEN], back[LEN];

static void begin(void)
{
	unsigned x = (unsigned)getpid();

	cases_folder(getenv("PASS_DIR"));
	for (size_t i = 0; i < LEN; i++) {
		x = x * 1103515245 + 12345;
		bytes[i] = (char)(x >> 16);
	}
}

void seal(void)
{
	ck_assert_int_eq(system(getenv("PASS_SEAL")), 0);
}

int open_file(const char *name, int flags)
{
	int fd = openat(dir, name, flags, 0644);

	ck_assert_msg(fd >= 0, "%s: %s", name, strerror(errno));
	return fd;
}

void make_file(const char *name)
{
	int fd = open_file(name, O_CREAT | O_EXCL | O_WRONLY);

	ck_assert_int_eq(write(fd, bytes, LEN), LEN);
	ck_assert_int_eq(close(fd), 0);
}

void assert_bytes(int fd, const char *wanted, size_t len)
{
	ck_assert_int_eq(pread(fd, back, LEN, 0), (ssize_t)len);
	ck_assert_int_eq(memcmp(back, wanted, len), 0);
}

void assert_file(const char *name, const char *wanted, size_t len)
{
	int fd = open_file(name, O_RDONLY);

	assert_bytes(fd, wanted, len);
	close(fd);
}

void assert_at(int fd, off_t off, const char *text)
{
	size_t len = strlen(text);

	ck_assert_int_eq(pread(fd, back, len, off), (ssize_t)len);
	ck_assert_int_eq(memcmp(back, text, len), 0);
}

void write_at(int fd, off_t off, const char *text)
{
	ck_assert_int_eq(pwrite(fd, text, strlen(text), off), (ssize_t)strlen(text));
}

off_t size_of(int fd)
{
	struct stat st;

	ck_assert_int_eq(fstat(fd, &st), 0);
	return st.st_size;
}

int main(void)
{
	static cases_group *const groups[] = { pass_edit, pass_map, pass_attributes };

	if (!getenv("PASS_DIR") || !getenv("PASS_SEAL")) {
		fprintf(stderr, "pass: set PASS_DIR to the folder, PASS_SEAL to a command\n");
		return 2;
	}
	return cases_run("pass", begin, groups, sizeof groups / sizeof *groups);
}
