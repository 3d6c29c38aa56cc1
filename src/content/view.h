/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A view: where the bytes of one sealed object are, as runs over blobs, zeros and what is not here. Never changes once made; counted; any thread.
 * Reading through a view needs no lock and no SQL. Consecutive chunks that lie side by side in one blob are one run, so a whole home
 * blob is a view of a single run. What was missing when a view was made, and is fetched later, is read through it too.
 */
#ifndef GARNER_CONTENT_VIEW_H
#define GARNER_CONTENT_VIEW_H

#include <sys/types.h>

#include "content/content.h"

struct fetch_wait;

enum view_kind {
	VIEW_BLOB,    /* `len` bytes at `off` of `blob` */
	VIEW_ZERO,    /* a hole */
	VIEW_MISSING, /* of a chunk that had no place on this machine */
};

struct view_run {
	uint64_t start; /* within the content */
	uint64_t len;
	enum view_kind kind;
	struct blob *blob;
	uint64_t off;  /* VIEW_MISSING: of the run within its chunk */
	int64_t chunk; /* VIEW_MISSING: which; a run has no other */
};

struct view {
	uint64_t size;
	size_t count;
	struct view_run *runs; /* by start, gapless from 0 to size */
	unsigned refs;         /* atomic; use view_get() and view_put() */
};

/*
 * The view of object `id`, read from the metadata in one query. On 0 *out is put by the caller with view_put().
 * Errors: -ENOENT (no such object), ERR_CORRUPT (its chunk list has gaps), -ENOMEM, and those of meta_query(). A blob whose file is
 * missing or a chunk without a place makes VIEW_MISSING runs, not an error.
 */
int view_of_object(struct content *c, int64_t id, struct view **out);
/* A view of `size` zeros (0 allowed). */
int view_of_zeros(uint64_t size, struct view **out);
struct view *view_get(struct view *v);
void view_put(struct view *v); /* NULL allowed */

/*
 * Reads up to `len` bytes at `off`; returns the count (short only at the end, 0 beyond it). Waits for what has to be fetched. -EIO where bytes
 * cannot be had in time, or the blob is shorter than its rows say (logged); -ECANCELED; or the errno of pread.
 */
ssize_t view_read(const struct view *v, void *buf, size_t len, uint64_t off);
/* The same where no network has to be waited for; -EREMOTE where bytes have to be fetched: see view_want(). */
ssize_t view_read_here(const struct view *v, void *buf, size_t len, uint64_t off);
/* The same where the bytes are one run that is in memory; else -EAGAIN, also for any error. */
ssize_t view_read_now(const struct view *v, void *buf, size_t len, uint64_t off);

/* Adds to `w` all chunks of [off, off + len) that are not known to be here. 0 or as fetch_wait_add(). */
int view_want(const struct view *v, uint64_t off, uint64_t len, struct fetch_wait *w);

/* Begins to fetch what is missing, the first `most` chunks of it; waits for nothing. */
void view_ask(const struct view *v, unsigned most);
/*
 * Fetches all that is missing, however long it takes as long as something comes; `stop(arg)` is asked between chunks, true ends it with -ECANCELED. *bytes goes up by what
 * came. Errors as view_read().
 */
int view_pull(const struct view *v, bool (*stop)(void *arg), void *arg, uint64_t *bytes);

/* lseek(2) SEEK_DATA or SEEK_HOLE over the runs (missing bytes are data); -ENXIO beyond the end. */
int64_t view_seek(const struct view *v, uint64_t off, int whence);

/*
 * The home whose file is the content, byte for byte, and has no other name; borrowed from the view. NULL where content lies
 * otherwise, or that cannot be found out. Asks the metadata.
 */
struct blob *view_whole(const struct view *v);

/* The first run that covers `off`, or NULL beyond the end. */
const struct view_run *view_find(const struct view *v, uint64_t off);

#endif
