/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the files of an import share. Not for others.
 *
 * A walker lists folders and gives out batches of items; workers take them up. An item goes FOUND (by the walker) -> QUEUED in a batch, or WAITING for the
 * first of its hard links -> taken by a worker, which tries it with its whole batch and, where that fails, alone -> done or failed. A folder lives while
 * the walker, an item or a folder below refers to it; with the last reference it gets its times.
 */
#ifndef GARNER_AGENT_IMPORT_INTERNAL_H
#define GARNER_AGENT_IMPORT_INTERNAL_H

#define HASH_NONFATAL_OOM 1
#define uthash_nonfatal_oom(element) ((void)(element))
#include <pthread.h>
#include <sys/stat.h>
#include <uthash.h>
#include <utlist.h>

#include "agent/import.h"
#include "content/seal.h"
#include "library/tree.h"
#include "util/buf.h"
#include "util/lock.h"

enum {
	IMPORT_BATCH = 256,            /* items at once */
	IMPORT_BATCH_BYTES = 16 << 20, /* their content, but for the last */
	IMPORT_BATCH_HOMES = 24,       /* of them, those that get a blob of their own */
	IMPORT_ALONE_BYTES = 8 << 20,  /* larger files are a batch each */
	IMPORT_TRIES = 3,              /* when others change the same names */
	IMPORT_TRIES_CHANGED = 2,      /* when the file changes while it is read */
};

/* A folder of the source. */
struct import_folder {
	struct import_folder *parent; /* referred to; NULL: `name` is a path of its own */
	char *name; /* in the parent's folder, or a path; "" is the working folder */
	struct stat st;
	int64_t node; /* the folder in the library; 0 in a dry run: it would be made */
	bool fresh;   /* made by this run: nothing is in it that the run did not put there */
	bool base;    /* the place of a SOURCE: not itself imported */
	bool keep;    /* not removed in a move */
	struct buf xattrs;
	/* Under the run's lock. */
	bool changed; /* its row differs from `st` by now */
	unsigned refs;
	int fd; /* -1: closed */
	unsigned fd_users;
	struct import_folder *prev, *next; /* among the idle ones whose fd is open */
};

struct import_item {
	struct import_folder *folder; /* referred to */
	char *name;
	struct stat st; /* as the walker found it, then as it was when opened */
	struct import_link *
		link; /* its file has several names; this is the first of them, or `link_to` is set */
	int64_t link_to;
	unsigned tries;
	int held; /* the descriptor whose lease keeps a writer waiting while an adoption is undone; else -1 */
	uint64_t counted; /* bytes that were told as read */

	/* While a worker tries it. */
	struct import *run;
	int err; /* it failed */
	int fd;
	bool leased; /* no one may write it, as long as the lease holds */
	bool again;  /* to be tried once more, alone */
	enum import_do {
		IMPORT_NOTHING, /* there already */
		IMPORT_VERIFY,  /* the same, and its bytes are compared before the source goes */
		IMPORT_ATTRS,   /* only mode, owner, times */
		IMPORT_CONTENT, /* other content for an asset that is there */
		IMPORT_MAKE,
		IMPORT_LINK,
	} what;
	bool replace;          /* what has the name goes first */
	bool sealed;           /* part of the operation as number `source` of the seal */
	struct node was, node; /* under its name before (ino 0: nothing) and after */
	struct buf xattrs, target;
	uint64_t (*holes)[2];
	size_t hole_count, hole_cap;
	size_t source;
};

struct import_batch {
	struct import_batch *prev, *next;
	size_t count, homes;
	uint64_t bytes;
	struct import_item items[IMPORT_BATCH];
};

/* A file with several names. All under the run's lock. */
struct import_link {
	struct {
		dev_t dev;
		ino_t ino;
	} key;
	int64_t node;  /* in the library; 0: not there yet */
	bool pending;  /* an item is bringing it */
	nlink_t names; /* that were not seen yet */
	struct import_item *waiting;
	size_t count, cap;
	UT_hash_handle hh;
};

struct import {
	struct library *lib;
	const struct import_options *o;
	char *const *sources;
	size_t source_count;
	struct stat library; /* its folder */
	struct stat mount;   /* st_ino 0: none */
	dev_t blobs_dev;
	size_t batch_max;
	struct import_batch *open; /* the walker's: not queued yet */

	struct lock lock;      /* guards what follows */
	struct lock_cond work; /* a batch was queued, or the end of the walk */
	struct lock_cond room; /* one was taken */
	struct lock_cond ended;
	struct import_batch *queue;
	size_t queued, queue_max;
	bool walked;
	unsigned threads; /* that are running */
	int err;          /* what ends the run */
	struct import_link *links;
	struct import_folder *idle;
	size_t idle_count;
	struct import_stats stats;
};

/* import.c */

/* Whether the run is to end now. Any thread. */
bool import_stopped(struct import *run);
/* seal_import()'s form of the same: 1 or 0. */
int import_stop_asked(void *arg);
/* Ends the run with `err`, unless it is ending already. */
void import_fail(struct import *run, int err);
/* Whether an error is of the library as a whole, so that going on makes no sense. */
bool import_is_fatal(int err);
/* Adds `n` to a field of run->stats. */
void import_count(struct import *run, uint64_t *field, uint64_t n);
/* Counts and tells that the path (`name` in `folder`, or the folder where that is NULL) failed, or was left out. */
void import_tell(struct import *run, struct import_folder *folder, const char *name, bool failed,
		 const char *why);
/* import_tell() of an error; one of the library ends the run instead. */
void import_tell_err(struct import *run, struct import_folder *folder, const char *name, int err);
/* Queues a batch, which is the queue's afterwards; the walker waits while it is full, a worker does not. */
void import_queue(struct import *run, struct import_batch *batch, bool wait);

/* import-walk.c: the walker's thread. */
void *import_walk(void *arg);

/* import-folder.c */

/* A folder in memory with one reference; takes `name` over, also on failure. NULL: no memory. */
struct import_folder *import_folder_new(struct import *run, struct import_folder *parent,
					char *name);
/* One more reference. */
struct import_folder *import_folder_ref(struct import *run, struct import_folder *f);
/* One less; the last gives it its times, or removes the source's, and frees it. */
void import_folder_put(struct import *run, struct import_folder *f);
/* A descriptor of it, valid until import_folder_leave(). Opens it again where it was closed; -ESTALE: another lies there now; or an errno. */
int import_folder_enter(struct import *run, struct import_folder *f);
/* Ends the use of the descriptor. */
void import_folder_leave(struct import *run, struct import_folder *f);
/* Finds the folder in the library, or makes it. 0 or a negative error. */
int import_folder_make(struct import *run, struct import_folder *f);
/* Notes that something was put into it. */
void import_folder_changed(struct import *run, struct import_folder *f);
/* Appends its path, as the user would write it. 0 or -ENOMEM. */
int import_folder_path(const struct import_folder *f, struct buf *out);

/* import-batch.c */

/* Tries the items of a batch, frees it. A worker's thread. */
void import_batch_run(struct import *run, struct import_batch *batch);
/* Lets go of an item's memory and folder. */
void import_item_release(struct import *run, struct import_item *item);

/* import-link.c */

/*
 * For an item with several names, which the walker found: 1: it waits, and was taken over; 0: the item goes on, as the first of its file or (link_to set) as a
 * link; -ENOMEM.
 */
int import_link_found(struct import *run, struct import_item *item);
/*
 * The first item of a file is done (node) or failed (0). Hands the items that waited to the caller: an array of *count for free(), NULL for none; after a failure
 * the first of them is the first of the file now, and the others go on waiting.
 */
struct import_item *import_link_done(struct import *run, struct import_link *link, int64_t node,
				     size_t *count);
/* Frees the table, and items that wait still. */
void import_link_free(struct import *run);

/* import-source.c: reading sources */

/* Opens the item's file for reading, fills in st, holes, target, xattrs. 0 or negative errno; -ESTALE: it is something else by now. */
int import_source_open(struct import_item *item, int folder);
/* Whether the file is as it was when it was opened. */
bool import_source_same(const struct import_item *item);
/* Takes the lease that tells of writers: true, and leased is set where there are leases; false: someone may write the file. */
bool import_source_lease(struct import_item *item);
/* Whether no writer came since. */
bool import_source_quiet(const struct import_item *item);
/* Closes and frees what a try needed. */
void import_source_close(struct import_item *item);
/* Appends the extended attributes of `fd`, or of `name` in the folder `fd` where that is not NULL. 0 or negative errno. */
int import_source_xattrs(int fd, const char *name, struct buf *out);
/* Calls `fn` for each of them until it returns nonzero, which is returned. */
int import_source_each(const struct buf *xattrs,
		       int (*fn)(void *arg, const char *name, const void *value, size_t len),
		       void *arg);

/* import-plan.c: what is to be done, and the statements for it */

/* Looks the item's name up in the library and decides. 0 or a negative error. */
int import_plan_decide(struct import *run, struct import_item *item);
/* Decides anew after the content was read, whose root hash is `root` (NULL: empty). 0 or a negative error. */
int import_plan_content(struct import *run, struct import_item *item, const uint8_t *root);
/* Adds the statements for the item to `op`; `seal` has its content if item->sealed. 0 or a negative error. */
int import_plan_add(struct import *run, struct import_item *item, struct seal *seal,
		    struct meta_op *op);
/* Adds what a node of `ino` gets of mode, owner, times and extended attributes; `item`: the asset's, NULL for a folder. 0 or a negative error. */
int import_plan_attrs(struct import *run, int64_t ino, const struct import_item *item,
		      const struct stat *st, const struct buf *xattrs, struct meta_op *op);
/* Adds extended attributes alone. 0 or a negative error. */
int import_plan_xattrs(struct import *run, int64_t ino, const struct buf *xattrs,
		       struct meta_op *op);
/* What a new node gets of the source. */
void import_plan_values(const struct stat *st, struct tree_new *what);
/* Whether mode, owner and mtime of the node are those of the source. */
bool import_plan_same(const struct node *n, const struct stat *st);

/* import-move.c */

/* Whether the file itself can be the blob. */
enum seal_reuse import_move_reuse(struct import *run, const struct import_item *item);
/* Removes the source of a done item, whose rows are durable. `seal` may be NULL. */
void import_move_source(struct import *run, struct import_item *item, struct seal *seal);
/* Removes the folder itself, if it is empty. */
void import_move_folder(struct import *run, struct import_folder *f);

#endif
