/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Fetching chunks that are in the bucket and not here. One transfer for a chunk, however many wait for it; its bytes are hashed before anyone sees
 * one of them, and then written to a cache blob, at their offset in the object, from where they are read from then on. Where nothing can be written they are
 * read from memory.
 *
 * Who wants bytes makes a wait, adds chunks (view_want(), draft_want()), and lets it go: then it is told when all are here, or why not, within its
 * deadline; a transfer that takes longer goes on for whoever comes next. As long as the wait is there what it waited for stays where it can be read.
 *
 * Any thread. Nothing is asked of anyone, and no thread is started, before the first chunk is wanted.
 */
#ifndef GARNER_CONTENT_FETCH_H
#define GARNER_CONTENT_FETCH_H

#include <stdbool.h>
#include <stdint.h>

#include "backend/store/store.h"

struct content;
struct fetch_wait;

struct fetch_params {
	unsigned transfers;    /* at a time; 0: 16 */
	uint64_t memory_bytes; /* of chunks under way or kept in memory; 0: 96 MiB */
	int64_t timeout_ns;    /* how long a reader waits at most; 0: 30 s */
	bool keep;             /* in cache blobs; false: this process writes nothing */
};

/*
 * From now on chunks without a place are fetched from *REMOTE, a store_s3_open(), which is taken over and set NULL. Once, before
 * views are read. 0 or -ENOMEM, with *REMOTE still the caller's.
 */
int fetch_start(struct content *c, struct store **remote, const struct fetch_params *params);

/*
 * Ends all transfers and tells whoever waits -ECANCELED, now and from now on; when it returns nobody is being told any more. Not from a
 * fetch_done_fn. For a content that fetches nothing too.
 */
void fetch_cancel(struct content *c);

/* fetch_cancel(), then records what was fetched and frees. By content_close(). */
void fetch_stop(struct content *c);

/* Records which chunks were fetched so far: on 0 every process finds them. 0, or an error of the disk or of meta_apply(). */
int fetch_record(struct content *c);

/*
 * Lets go of the cache blobs of objects that nobody has a view of, after recording what they have, so that they can be evicted. Who fetches more of such an object
 * later takes over what is left of it. Waits for the disk.
 */
void fetch_let_go(struct content *c);

/* When a reader who begins now is to be told, at the latest (time_mono_ns()). */
int64_t fetch_deadline_ns(const struct content *c);

/* What is under way, and what came of the rest; zeros where nothing was fetched yet. */
struct fetch_status {
	uint64_t transfers, waiting; /* chunks */
	uint64_t memory_bytes;       /* held now */
	uint64_t chunks, bytes;      /* fetched since the start */
	uint64_t corrupt, failed;    /* bodies that were not the chunk's; chunks that nobody got */
	int last_error;              /* 0: none since a chunk came */
	int64_t last_error_ns;       /* when that was, by time_now_ns() */
};
/* False, with zeros: there is nowhere to fetch from. */
bool fetch_status(struct content *c, struct fetch_status *out);

/*
 * A wait of the caller's, for fetch_wait_free(). 0; -EIO: there is no bucket to fetch from; -ECANCELED, -ENOMEM.
 */
int fetch_wait_new(struct content *c, int64_t deadline_ns, struct fetch_wait **out);

/* It ends at its deadline to be made anew: who waits goes on waiting. */
void fetch_wait_brief(struct fetch_wait *w);

/* Adds chunk `chunk`, which is `at` bytes into `object`; its transfer begins. Asks the metadata. 0, -ENOMEM. */
int fetch_wait_add(struct fetch_wait *w, int64_t chunk, int64_t object, uint64_t at);

/*
 * Called once, by a thread of the fetching, when the wait is over: err 0, all is here; -EIO (logged), -ETIMEDOUT, -ECANCELED, or what it was cancelled
 * with. May free the wait; must not wait itself.
 */
typedef void fetch_done_fn(void *arg, int err);

/* 1: all is here already. 0: done() will be called. Else negative, as to done(), and it will not. Once for each wait. */
int fetch_wait_go(struct fetch_wait *w, fetch_done_fn *done, void *arg);

/* The same, waiting: 0 or negative. */
int fetch_wait_block(struct fetch_wait *w);

/* Has it end soon with `err` (negative), unless it is over; before it was let go, as it is. The wait must be there until this returns. */
void fetch_wait_cancel(struct fetch_wait *w, int err);

/* Lets go of what it waited for. Not while it waits. NULL allowed. */
void fetch_wait_free(struct fetch_wait *w);

/* Begins to fetch a chunk that nobody waits for yet, after all that somebody waits for. */
void fetch_ahead(struct content *c, int64_t chunk, int64_t object, uint64_t at);

/* Chunks that may be fetched ahead for one reader. */
unsigned fetch_ahead_max(const struct content *c);

/* A file that fetched chunks are in; counted. */
struct fetch_file;
struct blob *fetch_file_blob(const struct fetch_file *file);
/* Whether the disk failed to keep what was written to it: then it is not read any more. */
bool fetch_file_bad(const struct fetch_file *file);
void fetch_file_put(struct fetch_file *file);

/*
 * Up to the end of the chunk: copies `len` bytes from `off` of it to `buf`, where it is in memory: 1. 0: it is at *at of *file, which the caller puts with
 * fetch_file_put(). -EREMOTE: it is not known to be here.
 */
int fetch_read(struct content *c, int64_t chunk, uint64_t off, void *buf, size_t len,
	       struct fetch_file **file, uint64_t *at);

#endif
