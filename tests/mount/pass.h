/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the cases of the test of several handles share. Each function asserts that it goes well. */
#ifndef TESTS_MOUNT_PASS_H
#define TESTS_MOUNT_PASS_H

#include "cases.h"

#define LEN (3 * 1024 * 1024)

extern char bytes[LEN], back[LEN]; /* what is written, other bytes in each run; what is read */

/* Runs $PASS_SEAL. */
void seal(void);

/* open(2) of a name in the case's folder. */
int open_file(const char *name, int flags);

/* A new file with all of `bytes`, closed. */
void make_file(const char *name);

/* That the file has just these bytes. */
void assert_bytes(int fd, const char *wanted, size_t len);
void assert_file(const char *name, const char *wanted, size_t len);

/* Text at an offset: that it is there; and writes it there. */
void assert_at(int fd, off_t off, const char *text);
void write_at(int fd, off_t off, const char *text);

off_t size_of(int fd);

cases_group pass_edit, pass_map, pass_attributes;

#endif
