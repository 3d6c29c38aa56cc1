/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The kernel's part, for tests of passing: what is passed is opened anew by its path, as the kernel does, and read and written without asking. */
#ifndef GARNER_TESTS_UNIT_LIBRARY_PASS_UNIT_H
#define GARNER_TESTS_UNIT_LIBRARY_PASS_UNIT_H

#include <fcntl.h>

#include "file-unit.h"

/* Begins passing, which must be possible; a descriptor as the kernel would have it. */
static inline int lab_pass(struct file *f, int flags)
{
	char path[64];
	int fd = -1;

	ck_assert_int_eq(file_pass_begin(f, flags != O_RDONLY, &fd), 1);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	fd = open(path, flags);
	ck_assert_int_ge(fd, 0);
	return fd;
}

static inline void lab_same_fd(int fd, const uint8_t *data, size_t len)
{
	uint8_t *got = malloc(len + 1);

	ck_assert_int_eq(pread(fd, got, len + 1, 0), (ssize_t)len);
	lab_equal(got, data, len, 0);
	free(got);
}

#endif
