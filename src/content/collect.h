/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Collection of content: finds what nothing refers to any more and gives its space back.
 *
 *   objects   that no node, version or draft refers to go, and their chunks count one use less
 *   chunks    without a use for longer than the grace time go, and their ranges are given back
 *   blobs     ranges that no chunk names (a crash left them) are given back, blobs without any are removed
 *   drafts    of dead instances that no node has are removed
 *   strays    are files in the blobs folder without a row; they are removed
 *
 * Of objects and chunks that the bucket may have a tombstone stays, in the operation that removes the row (library/reap.h).
 *
 * Never touched: objects that this process has a view of, drafts of nodes, what belongs to a living instance, what one is sending to the bucket. Rows go first, then
 * the metadata is synced, then the bytes go: a crash at any point leaves space for the next pass and no row without its bytes.
 */
#ifndef GARNER_CONTENT_COLLECT_H
#define GARNER_CONTENT_COLLECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct content;

/* Sums over the steps of a pass; the caller clears it. */
struct collect_stats {
	uint64_t objects, chunks, blobs, drafts, strays; /* removed */
	uint64_t chunk_bytes;                            /* of the chunks removed */
	uint64_t punched_bytes;                          /* given back within blobs that stay */
};

/*
 * Does one step of a pass, that looks at about `limit` rows (at least 1). 1: call again; 0: the pass is complete, the next call begins another;
 * negative: an error of the metadata, and the next call tries the same step. Chunks freed after now_ns - grace_ns stay. Looking for what crashes left
 * is part of the first pass and then of one pass a day. One thread at a time, and one process (the caller has a lease).
 */
int collect_step(struct content *c, int64_t now_ns, int64_t grace_ns, unsigned limit,
		 struct collect_stats *stats);

/* A list of ids. All zero: empty. */
struct collect_ids {
	int64_t *ids;
	size_t count, cap;
};

/* Where a pass has come to; of struct content. All zero: at the beginning of the first. */
struct collect_state {
	int phase;
	int64_t cursor; /* the last id that was looked at */
	bool searched;  /* what crashes left was looked for, at searched_ns */
	int64_t searched_ns;
	struct collect_ids files; /* that may be strays */
};

/* Frees what a pass holds. */
void collect_release(struct collect_state *state);

#endif
