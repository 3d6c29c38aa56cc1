/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the files of a draft share, and what sealing may do to one. Not for other folders.
 *
 * A change (write, truncation, …) goes on between draft_change_begin() and draft_change_end(), many at a time, without the lock. What must
 * have the draft's file or map for itself is exclusive: it goes on while no change does, and changes wait for it.
 *
 * The file of an overlay draft outside of its EXTENT_DRAFT extents is never read, whatever it holds; truncation leaves bytes there, and
 * sealing fills chunks in there.
 */
#ifndef GARNER_CONTENT_DRAFT_INTERNAL_H
#define GARNER_CONTENT_DRAFT_INTERNAL_H

#include "content/content-internal.h"
#include "content/draft.h"
#include "content/extent.h"

/* A view of an object that the map has named; kept until the draft is freed. */
struct draft_base {
	int64_t object;
	struct view *view;
};

struct draft {
	struct content *content;
	int64_t blob;
	bool read_only;
	bool frozen;       /* see draft_is_frozen(); constant once others know the draft */
	bool passed;       /* atomic; others than this process have had the file */
	struct blob *file; /* for reading */

	struct lock lock;      /* guards what follows */
	struct lock_cond calm; /* changes came to 0, or exclusive ended */
	unsigned changes;      /* under way */
	bool exclusive;
	uint64_t epoch;        /* goes up with each change that begins */
	int fd;                /* for writing; -1: none; closed only while no change is under way */
	bool plain;            /* changes only while exclusive */
	bool doubt;            /* the disk failed to keep bytes of the file */
	bool doubt_told;       /* the row may say so */
	struct extent_map map; /* of an overlay; empty for a plain draft */
	struct draft_base *bases;
	size_t base_count;

	/* What draft_save() has to record. */
	struct extent_map
		dirty; /* EXTENT_DRAFT: the map changed there since the last save; EXTENT_ZERO: it did not */
	uint64_t cut;    /* the map was as short as this since; UINT64_MAX: it was not cut */
	bool rewrite;    /* the log is of no use: write the whole map */
	uint64_t seq;    /* of the last row */
	uint64_t logged; /* rows in the log */
};

/* A plain draft on the file of `blob`, whatever its row says. On 0 *out is the caller's, for draft_free(); errors of blobs_get(), -ENOMEM. */
int draft_new(struct content *c, int64_t blob, bool read_only, struct draft **out);

/* The same without its file yet: NULL when memory is out. */
struct draft *draft_new_bare(struct content *c, int64_t blob, bool read_only);

/* Begins a change: opens the descriptor, which is *fd, waits for what is exclusive. 0, -EROFS, -EIO (frozen) or an errno of open. */
int draft_change_begin(struct draft *d, int *fd);
void draft_change_end_locked(struct draft *d) LOCK_REQUIRES(&d->lock);
void draft_change_end(struct draft *d);

/* Waits until the draft is this thread's alone. */
void draft_exclude(struct draft *d);
void draft_include(struct draft *d);

/* Makes sure that the view of `object` is among the bases. 0 or as view_of_object(). No lock held. */
int draft_need_base(struct draft *d, int64_t object);

/* The view of a base that was needed before. */
struct view *draft_base_locked(struct draft *d, int64_t object) LOCK_REQUIRES(&d->lock);

/* Sets the map of an overlay and notes the change for the next save. -ENOMEM: the map is as it was. */
int draft_map_set_locked(struct draft *d, const struct extent *e) LOCK_REQUIRES(&d->lock);
int draft_map_resize_locked(struct draft *d, uint64_t size) LOCK_REQUIRES(&d->lock);

/* Replays the log into the map of an overlay. ERR_CORRUPT, -ENOMEM or as meta_query(). */
int draft_load(struct draft *d, uint64_t size);

/* 0, or -EIO where the disk is known to have failed to keep bytes of the file; starts no writing. Errors that nobody was told of are found. */
int draft_check(struct draft *d);

/* The file is empty: what was lost is lost on purpose. */
void draft_emptied_locked(struct draft *d) LOCK_REQUIRES(&d->lock);

/* Adds to `op` that the draft is in doubt no more, where the row may say so. */
void draft_save_doubt_locked(struct draft *d, struct meta_op *op) LOCK_REQUIRES(&d->lock);

/* The draft's state of change, to compare: equal values mean that nothing changed between. */
uint64_t draft_epoch(struct draft *d);

/*
 * Writes to the file of an overlay where its map does not say EXTENT_DRAFT, unless the draft changed since it had `epoch`: then
 * -ECANCELED. Invisible to readers. Else 0 or negative errno.
 */
int draft_fill(struct draft *d, uint64_t epoch, const void *buf, size_t len, uint64_t off);

#endif
