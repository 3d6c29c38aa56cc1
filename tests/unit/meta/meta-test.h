/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the tests of the metadata share: the drivers that there are, a database in a folder of its
 * own, and short forms for a table of (number, name) -> bytes, for which the extended attributes
 * serve.
 */
#ifndef GARNER_TESTS_UNIT_META_META_TEST_H
#define GARNER_TESTS_UNIT_META_META_TEST_H

#include <pthread.h>
#include <string.h>

#include "../unit.h"
#include "backend/meta/meta-driver.h"

/* A driver to run the conformance suite over. */
struct meta_test_driver {
	const char *name;
	const struct meta_ops *ops;
	/* Where a new database of it goes; `folder` is empty. */
	void (*locate)(const char *folder, char path[128]);
};

extern const struct meta_test_driver meta_test_drivers[];
extern const int meta_test_driver_count;

/* A folder and the path of a database in it. */
struct meta_test_place {
	char folder[64];
	int folder_fd;
	char path[128];
};

/* Makes the folder; the database is not there yet. */
void meta_test_begin(struct meta_test_place *p, const struct meta_test_driver *d);

/* Removes the folder and all in it. */
void meta_test_end(struct meta_test_place *p);

/* Opens, with FLAGS, or fails the test. */
struct meta *meta_test_open(const struct meta_test_place *p, const struct meta_test_driver *d,
			    int flags);

/* Appends to OP: the row (NUMBER, NAME) is made and must be new, else -EEXIST. */
void meta_test_add(struct meta_op *op, int64_t number, const char *name, const char *value);

/* meta_test_add() as an operation of its own. Its result. */
int meta_test_put(struct meta *m, int64_t number, const char *name, const char *value);

/* How many rows there are under NUMBER, or a negative error. */
int meta_test_count(struct meta *m, int64_t number);

/* Appends to OP a folder that is node INO, without an entry. */
void meta_test_add_folder(struct meta_op *op, int64_t ino);

/* The link count of node INO, to which FOLDER_TOUCH adds; -1 if there is none. */
int64_t meta_test_links(struct meta *m, int64_t ino);

/* For meta_query(): keeps the first column in the int64_t at ARG. */
int meta_test_number_row(void *arg, const struct meta_row *row);

/* For meta_query(): does nothing. */
int meta_test_any_row(void *arg, const struct meta_row *row);

/* For meta_check(): counts in the int at ARG. */
void meta_test_report(void *arg, const char *line);

/* Runs WORK in COUNT threads, each with its element of ARGS, of SIZE bytes, and waits for them. */
void meta_test_threads(int count, void *(*work)(void *arg), void *args, size_t size);

/* Runs WORK(ARG) in a child process. The child ends with its result as exit status. */
pid_t meta_test_fork(int (*work)(void *arg), void *arg);

/* Waits for the child's end; its exit status, or -1 if it did not exit. */
int meta_test_wait(pid_t child);

#endif
