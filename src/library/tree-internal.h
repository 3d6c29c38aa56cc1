/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the tree-*.c share: planning an operation and running it.
 *
 * A plan reads what it needs with queries, decides every id, time and value, and adds statements
 * whose guards name the state that was read. A guard that finds another state fails the operation
 * with -EAGAIN, and it is planned anew.
 */
#ifndef GARNER_LIBRARY_TREE_INTERNAL_H
#define GARNER_LIBRARY_TREE_INTERNAL_H

#include "library/internal.h"
#include "library/journal.h"
#include "library/node.h"
#include "util/cleanup.h"
#include "util/err.h"
#include "util/name.h"
#include "util/time.h"

enum {
	TREE_PAGE = 256,         /* rows read at once where a list may be long */
	TREE_FOLDER_SIZE = 4096, /* st_size of a folder */
	TREE_DEPTH_MAX = 100000, /* folders above one another; more is a circle */
};
#define TREE_LINK_MAX INT64_C(2147483647)

/* A name as it is handed about; the bytes are borrowed. */
struct tree_name {
	int64_t parent;
	const char *name;
	size_t len;
};

/* One run of a plan. */
struct tree_op {
	struct library *lib;
	const struct actor *who;
	struct meta_op *op;
	int64_t now;
};

/* What is found under a name. */
struct tree_found {
	struct node node;
	int64_t entry;
};

/*
 * Fills t->op; may be called several times, each time with an empty op. 0: apply; 1: nothing to
 * do, success; <0: the result.
 */
typedef int tree_plan_fn(struct tree_op *t, void *arg);

/*
 * Plans and applies until it is not -EAGAIN any more (bounded). 0 or negative; -EROFS when the
 * library is read-only.
 */
int tree_run(struct library *lib, const struct actor *who, tree_plan_fn *plan, void *arg);

/* The value of a name as parameter. */
struct meta_value tree_name_value(const struct tree_name *name);

/* Row of `ino` as it is in the database, without what is known of open files. -ENOENT. */
int tree_row(struct library *lib, int64_t ino, struct node *out);

/* tree_row() of what the name points at, with its entry. -ENOENT. */
int tree_find(struct library *lib, const struct tree_name *name, struct tree_found *out);

/*
 * Adds the new entry `id` for `ino`. `op` fails with -EEXIST, or `err` where that is not 0. 0 or
 * -ENOMEM.
 */
int tree_add_entry(struct meta_op *op, int64_t id, const struct tree_name *name, int64_t ino,
		   int err);

/*
 * Adds the change of a folder's times, version and link count; `op` fails with -ENOENT when it is
 * none any more.
 */
void tree_add_touch(struct tree_op *t, int64_t folder, int links);

/*
 * Adds what happens to a node that is no folder when the entry `name` of it goes: the entry, link
 * count, trash row or orphan row, journal row. *gone: the caller must call files_unlinked() after
 * the operation.
 */
void tree_add_unlink(struct tree_op *t, const struct tree_name *name, const struct node *node,
		     bool *gone);

/* The same for a folder, whether it is empty or not; action: JOURNAL_RMDIR, JOURNAL_REMOVE. */
void tree_add_folder_unlink(struct tree_op *t, const struct tree_name *name,
			    const struct node *node, const char *action);

/* Adds the guard that the folder is empty: -ENOTEMPTY. */
void tree_add_empty_guard(struct meta_op *op, int64_t folder);

#endif
