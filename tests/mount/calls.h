/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the cases of the test of calls share. */
#ifndef TESTS_MOUNT_CALLS_H
#define TESTS_MOUNT_CALLS_H

#include <sys/stat.h>

#include "cases.h"

#define BLOCK 4096

enum { CALLS_BYTES = 256 * 1024 };

extern char bytes[CALLS_BYTES], back[CALLS_BYTES]; /* what is written; what is read */

/* A new file of the case with the first `len` of `bytes`, open. */
int make(const char *name, size_t len);

/* lstat(2), which must go well. */
struct stat stat_of(const char *name);

/* The call that was just made gave `result`, which must be -1, with errno `wanted`. */
void assert_fails(int result, int wanted);

cases_group calls_names, calls_bytes, calls_attributes;

#endif
