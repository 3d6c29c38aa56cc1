/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The pool of draft files of this process. A draft in the pool has a blob row (draft, plain, owned by this instance, no node's) and is
 *
 *   stale -> it may hold bytes of its former life, and a power cut may yet bring back the row that needs them
 *   ready -> its release is durable and its file is empty
 *
 * Emptying costs one sync of the metadata for all that are stale, so it waits until they are many or big.
 */
#ifndef GARNER_CONTENT_DRAFT_POOL_H
#define GARNER_CONTENT_DRAFT_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/lock.h"

struct content;

struct draft_ids {
	int64_t *ids;
	size_t count, cap;
};

struct draft_pool {
	struct lock lock; /* guards what follows */
	struct lock_cond changed;
	bool busy;    /* one thread makes, takes over or empties drafts */
	bool filling; /* a task is to make some */
	bool adopted;
	struct draft_ids ready, stale;
	uint64_t stale_bytes;
	size_t batch; /* drafts that are made at once */
	size_t made;  /* so far; both are of the thread that has the pool busy */
};

/* An empty pool, ended with draft_pool_release(). */
void draft_pool_init(struct draft_pool *p);

/* Frees the memory; the drafts in the pool are spare for whoever comes next. */
void draft_pool_release(struct draft_pool *p);

/* Takes a ready draft, making some where there is none. 0 and its blob id, or a negative error as blobs_create(), meta_apply(). Any thread. */
int draft_pool_take(struct content *c, int64_t *blob);

/* Gives a draft with `bytes` allocated back as stale; its row is released already. Empties the stale ones where it is time to. */
void draft_pool_give(struct content *c, int64_t blob, uint64_t bytes);

/* Gives back a draft that holds nothing and was never given to a node. */
void draft_pool_return(struct content *c, int64_t blob);

/* Empties all that are stale now. What cannot be emptied stays stale and is logged. Any thread; blocks for a sync. */
void draft_pool_clean(struct content *c);

#endif
