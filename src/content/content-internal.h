/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the files of src/content know of struct content. Not for other folders. */
#ifndef GARNER_CONTENT_CONTENT_INTERNAL_H
#define GARNER_CONTENT_CONTENT_INTERNAL_H

#include "content/bundle.h"
#include "content/collect.h"
#include "content/content.h"
#include "content/draft-pool.h"
#include "content/space.h"
#include "content/used.h"
#include "content/view-open.h"

struct fetch;

struct content {
	struct meta *meta;
	struct blobs *blobs;
	struct pool *pool; /* NULL: the caller hashes */
	struct content_params params;
	struct chunker chunker;
	struct draft_pool drafts;
	struct bundle_set bundles;
	struct view_open_set views;
	struct used_set used;
	struct fetch *fetch; /* fetch.h; NULL: there is nowhere to fetch from */
	struct collect_state collect;
	struct space space;
	/* Chunks that are moving to another blob (draft_unseal()) or losing their bytes (eviction): begun and ended. What is found meanwhile may be out of date. Atomic. */
	unsigned moves_begun, moves_ended;
	/* One thread at a time gives space back of which rows are gone: collection, eviction. */
	struct lock trim_lock;
	struct lock_cond trimmed;
	bool trimming; /* under the lock */
	bool frozen;   /* atomic: a home became a draft, and that could not be made durable */
};

/* What blob.kind says: the numbers of the schema. */
enum content_blob_kind {
	CONTENT_BLOB_DRAFT = 1,
	CONTENT_BLOB_HOME = 2,
	CONTENT_BLOB_BUNDLE = 3,
	CONTENT_BLOB_CACHE = 4,
};

/* The instance of this process as a parameter. */
#define CONTENT_OWNER(c) META_B((c)->params.instance, sizeof((c)->params.instance))

/*
 * What is read of rows between the two may be out of date by the time files are opened: views that are built meanwhile are built again. To be ended
 * soon.
 */
void content_move_begin(struct content *c);
void content_move_end(struct content *c);

/* Waits until no other thread gives space back, and keeps them from it. For as long as a step of collection. */
void content_trim_begin(struct content *c);
void content_trim_end(struct content *c);

/* Runs one operation that `fill` makes. 0, -ENOMEM, or as meta_apply(). */
int content_change(struct content *c, void (*fill)(struct meta_op *op, void *arg), void *arg);

/*
 * Makes the file of a blob whose row is there, or empties it. Such a row's id is its alone, so a file that is there without having
 * been made for it was left by a crash, and what it holds is no one's. 0 or negative errno.
 */
int content_empty_file(struct content *c, int64_t blob);

#endif
