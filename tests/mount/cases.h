/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The frame of the tests that make calls in a folder, of a mount or of a disk: cases in several files, each with an empty folder of its own. */
#ifndef TESTS_MOUNT_CASES_H
#define TESTS_MOUNT_CASES_H

#include <check.h>
#include <stddef.h>

extern int dir; /* the case's folder */

/* Makes the folder of a case in `parent`, open to all. */
void cases_folder(const char *parent);

/* The cases of one file: an array of *count. */
typedef const TTest *const *cases_group(size_t *count);

/* Runs all cases of the groups, `begin` before each, which calls cases_folder(). What main() returns. */
int cases_run(const char *name, void (*begin)(void), cases_group *const *groups, size_t count);

#endif
