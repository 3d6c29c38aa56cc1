/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the cache-*.c share. Not for other files. */
#ifndef GARNER_LIBRARY_CACHE_INTERNAL_H
#define GARNER_LIBRARY_CACHE_INTERNAL_H

#include <pthread.h>

#include "library/cache.h"
#include "library/internal.h"
#include "util/lock.h"

/* Who asks the bucket whether it has chunks, by a client of its own: neither reads nor uploads stand before it. */
struct cache_asker;
int cache_asker_new(struct library *lib, struct cache_asker **out);
/* Ends what is being asked, now and from now on. Any thread. */
void cache_asker_stop(struct cache_asker *a);
/* NULL allowed. */
void cache_asker_free(struct cache_asker *a);
/* An evict_ask_fn; `arg` is the asker. */
void cache_ask(void *arg, struct evict_ask *asks, size_t count);

/* Evicts what may go at and below `ino`, on this thread. *stop (NULL allowed; atomic): give up. */
int cache_evict_below(struct library *lib, struct cache_asker *asker, int64_t ino, const int *stop,
		      struct cache_result *out);

enum { CACHE_JOBS = 16 };

/* An eviction that was asked for. */
struct cache_job {
	int64_t ticket; /* 0: free */
	int64_t ino;
	bool taken, done;
	int err;
	struct cache_result result;
};

struct cache {
	struct library *lib;
	struct cache_asker *asker;
	pthread_t thread;
	int stop;         /* atomic */
	struct lock lock; /* guards jobs to relief */
	struct lock_cond changed;
	struct cache_job jobs[CACHE_JOBS];
	int64_t tickets;
	struct cache_status status;
	uint64_t relief; /* bytes that writers wait for */
	uint64_t relief_asked,
		relief_done;      /* requests so far, and those that a round has heeded; … */
	uint64_t relief_freed;    /* … what that freed */
	int64_t relief_failed_ns; /* when a writer was not helped last; time_mono_ns() */
	/* The thread's. */
	int64_t cursor_ns, cursor_id;
	int64_t pause_until_ns; /* no round before this; time_mono_ns() */
	uint64_t free_seen, denied_seen;
	int64_t measured_ns, measuring_ns; /* when last, and how long it took */
	int logged;
};

/* What is to be freed: of the reserve, and what is beyond the limit. */
struct cache_need {
	uint64_t soon, now;
	uint64_t room, low; /* for fetching, once that is done */
};

/* Whether the thread is to end. */
bool cache_stopping(struct cache *c);

/* What of the disk fetching leaves alone. */
uint64_t cache_min_free(struct library *lib);

/* What is to be freed as the store stands; `relief`: for writers that wait for so much. */
struct cache_need cache_needs(struct cache *c, const struct cache_use *use, uint64_t relief);

/* Evicts as it is needed, on the thread; *sum goes up. 0 or an error of the metadata. */
int cache_make_room(struct cache *c, const struct cache_need *n, struct evict_stats *sum);

/* Adds up what was done. */
void cache_sum(struct evict_stats *sum, const struct evict_stats *more);

#endif
