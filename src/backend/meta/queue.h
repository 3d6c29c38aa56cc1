/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Group commit: threads bring operations, one of them at a time is the leader and commits what is
 * there, the others wait. The leader is whoever stands first in the queue when no one leads, so a
 * lone caller does its own work on its own thread.
 */
#ifndef GARNER_BACKEND_META_QUEUE_H
#define GARNER_BACKEND_META_QUEUE_H

#include <stdbool.h>

#include "backend/meta/meta-driver.h"
#include "util/lock.h"

/* Most operations that share a transaction: bounds what a crash undoes and how long one waits. */
enum { META_QUEUE_BATCH_MAX = 128 };

/* A thread's place in the queue, on its stack. */
struct meta_queue_place {
	struct meta_call call; /* `op` is NULL where a thread wants the writer for itself */
	struct lock_cond wake;
	bool done;                     /* guarded by the queue's lock */
	struct meta_queue_place *next; /* guarded by the queue's lock */
};

/*
 * While the lock is free: a place is in the list from its coming until its work is done; the first
 * one's thread leads, has been woken to lead, or is about to lock; `busy` says that it leads.
 */
struct meta_queue {
	struct lock lock;
	struct meta_queue_place *first, **last; /* guarded by lock */
	bool busy;                              /* guarded by lock */
};

/* Prepares Q, ended with meta_queue_release(). Cannot fail. */
void meta_queue_init(struct meta_queue *q);

/* Ends Q, in which no one waits. */
void meta_queue_release(struct meta_queue *q);

/* Commits OP (one statement at least) through D, alone or with others. As meta_apply(). */
int meta_queue_apply(struct meta_queue *q, struct meta_driver *d, const struct meta_op *op);

/*
 * Waits for the writer and keeps it: until meta_queue_give() no other thread runs a callback that
 * excludes commit. PLACE is the caller's, untouched in between.
 */
void meta_queue_take(struct meta_queue *q, struct meta_queue_place *place);

/* meta_queue_take() if no one has or waits for the writer; else false, and nothing was done. */
bool meta_queue_try(struct meta_queue *q, struct meta_queue_place *place);

/* Ends what meta_queue_take() or meta_queue_try() began. */
void meta_queue_give(struct meta_queue *q, struct meta_queue_place *place);

#endif
