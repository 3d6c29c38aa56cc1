/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The local store as a cache of the bucket: what may stay here and for how long. In the process that mounts a thread keeps the limits of the settings ([cache]
 * limit, min-free) by evicting what was not used for longest (content/evict.h), and says how much may be fetched (content/space.h). Pins are rows: of nodes, a
 * folder with all in it.
 */
#ifndef GARNER_LIBRARY_CACHE_H
#define GARNER_LIBRARY_CACHE_H

#include "content/evict.h"
#include "library/library.h"

/* What the store takes on the disk. */
struct cache_use {
	uint64_t total_bytes; /* all files of blobs */
	uint64_t
		dirty_bytes; /* of them, what is not in the bucket: drafts, and what waits to be sent */
	uint64_t free_bytes; /* of the disk, for this process */
};

/* Looks at all files of the store. 0, or an error of the disk or of meta_query(). */
int cache_measure(struct library *lib, struct cache_use *out);

struct cache_result {
	struct evict_stats stats;
	uint64_t unsealed; /* assets that are not sealed, and so are not in the bucket */
};

/*
 * Evicts what may go of asset `ino`, or of all assets below folder `ino`. By a process that has the library with LIBRARY_MOUNT; where its thread runs, that
 * does it, else the caller. *out is filled in either case. 0; -ENODEV (the library has no bucket), -ECANCELED (it closes), or an error of the metadata. May take
 * long: the bucket is asked.
 */
int cache_evict(struct library *lib, int64_t ino, struct cache_result *out);

/* The same in two steps, for a thread that cannot wait: a ticket (-ENODEV, -EBUSY: too many wait), and 1 with *out and *err when it is done, else 0. */
int64_t cache_evict_begin(struct library *lib, int64_t ino);
int cache_evict_done(struct library *lib, int64_t ticket, struct cache_result *out, int *err);

/* Pins and unpins a node. 0, -ENOENT (no such node; it is not pinned), or as meta_apply(). */
int cache_pin(struct library *lib, int64_t ino);
int cache_unpin(struct library *lib, int64_t ino);
/* Whether it, or a folder above it, is pinned: 1, 0, or an error. */
int cache_pinned(struct library *lib, int64_t ino);
/* Calls fn for each pin until it returns nonzero, which is returned; 0 or an error. */
int cache_pins(struct library *lib, int (*fn)(void *arg, int64_t ino, int64_t since_ns), void *arg);

/*
 * A write found no space: has the thread evict, and waits for that, two seconds at most. True: space came back, and it is worth another try. False at once where
 * nothing is to be had. Any thread without locks.
 */
bool cache_relieve(struct library *lib, uint64_t bytes);

struct cache_status {
	struct cache_use use;                    /* as measured last */
	uint64_t limit_bytes;                    /* 0: none */
	uint64_t min_free_bytes;                 /* that fetching leaves alone */
	uint64_t evicted_bytes, evicted_objects; /* since the start */
	uint64_t denied;                         /* chunks that were not kept for want of room */
	bool full;       /* over the limit, and nothing more can be evicted now */
	bool unanswered; /* for the bucket does not say whether it has what is to go */
};
/* False where no thread runs. */
bool cache_status(struct library *lib, struct cache_status *out);

#endif
