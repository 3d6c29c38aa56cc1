/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Eviction: chunks that the bucket has lose their place on this machine, and their space goes back to the disk.
 *
 * Never evicted: what the bucket is not known to have, or does not say so when it is asked; what an open file shows, in any process, or a
 * mapping; what a draft lies over; what pinned assets show; chunks that a much used one shares with many others. The first and last bytes of
 * an object stay as its edges.
 *
 * Rows go first, then the metadata is synced, then bytes are punched, and that only while nobody has the file; where someone has it by then,
 * the rows come back. A crash at any point leaves space that collection finds.
 */
#ifndef GARNER_CONTENT_EVICT_H
#define GARNER_CONTENT_EVICT_H

#include <stddef.h>
#include <stdint.h>

#include "content/hash.h"

struct content;

/* What the bucket is asked. */
struct evict_ask {
	struct hash hash;
	uint64_t size;
	int there; /* set by who asks: 1 it has it, whole; 0 it has not; negative: it did not say */
};
typedef void evict_ask_fn(void *arg, struct evict_ask *asks, size_t count);

struct evict_params {
	uint64_t edge; /* bytes that stay at each end of an object */
	int64_t before_ns; /* chunks of objects that were used after this stay; INT64_MAX: none for that */
	bool edges_too;    /* edges go as well, and what is all edge */
	evict_ask_fn *ask; /* NULL: the rows are believed */
	void *arg;
};

/* Sums; the caller clears it. */
struct evict_stats {
	uint64_t objects;     /* looked at */
	uint64_t evicted;     /* of them, such as lost something */
	uint64_t chunks;      /* places given up */
	uint64_t freed_bytes; /* on the disk */
	/* Objects of which something stays, each counted once, for the first of the reasons. */
	uint64_t pinned, open, unsent, unanswered;
	uint64_t small; /* objects that are no longer than their two edges, and stay for that */
	uint64_t
		lost; /* chunks that the bucket turned out not to have: they are to be sent again */
};

enum { EVICT_BATCH = 64 }; /* objects at a time, at most */

/*
 * Evicts what may go of COUNT objects (at most EVICT_BATCH); those that are not there are passed over. 0, or the first error of the
 * metadata, with what was done in *STATS. Where leases are not to be had nothing goes. One thread at a time, and one process (the caller has
 * the library's mount.lock).
 */
int evict_objects(struct content *c, const int64_t *ids, size_t count,
		  const struct evict_params *params, struct evict_stats *stats);

#endif
