/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the cases of the test of calls share: each has an empty folder of its own. */
#ifndef TESTS_MOUNT_CALLS_H
#define TESTS_MOUNT_CALLS_H

#include <check.h>
#include <stddef.h>
#include <sys/stat.h>

#define BLOCK 4096

enum { CALLS_BYTES = 256 * 1024 };

extern int dir;                                    /* the case's folder */
extern char bytes[CALLS_BYTES], back[CALLS_BYTES]; /* what is written; what is read */

/* A new file of the case with the first `len` of `bytes`, open. */
int make(const char *name, size_t len);

/* lstat(2), which must go well. */
struct stat stat_of(const char *name);

/* The call that was just made gave `result`, which must be -1, with errno `wanted`. */
void assert_fails(int result, int wanted);

/* The cases of each file: an array of *count. */
typedef const TTest *const *calls_group(size_t *count);
calls_group calls_names, calls_bytes, calls_attributes;

#endif
