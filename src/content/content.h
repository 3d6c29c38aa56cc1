/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What everything that handles bytes needs of one library: its metadata, its blobs, how it cuts and names chunks, and the threads that
 * hash. Made once per process by the library, borrowed by all of src/content.
 */
#ifndef GARNER_CONTENT_CONTENT_H
#define GARNER_CONTENT_CONTENT_H

#include <stdbool.h>
#include <stdint.h>

#include "backend/meta/meta.h"
#include "backend/store/blobs.h"
#include "content/chunker.h"
#include "content/hash.h"
#include "util/pool.h"

struct content; /* opaque: also holds the draft pool and the open bundle */

struct content_params {
	struct chunker_params chunker;
	enum hash_algo algo;
	uint64_t
		bundle_limit; /* content up to this many bytes goes into a bundle; 0: the default, 64 KiB */
	uint64_t
		bundle_size; /* a bundle is closed for appending beyond this; 0: the default, 64 MiB */
	uint8_t instance
		[16]; /* owner of the bundles and pooled drafts that this process makes; its row in `instance` exists */
	bool adopt; /* take over spare drafts and bundles of dead instances; for the process that mounts */
	bool remote; /* the library has a bucket: what is sealed is queued for it (upload.h) */
};

/*
 * An instance is dead when it has no row in `instance`, or one with ended_ns set. What a dead instance owned is free to be taken over or
 * collected, so a process writes its row before content_open(), and whoever finds that a process died without ending its row ends it.
 */

/*
 * `meta`, `blobs` and `pool` are borrowed and outlive *out. `pool` may be NULL for a process that only reads. On 0 *out is the caller's.
 * Errors: -EINVAL (parameters), -ENOMEM.
 */
int content_open(struct meta *meta, struct blobs *blobs, struct pool *pool,
		 const struct content_params *params, struct content **out);
/* No draft, view or seal may be out. NULL allowed. */
void content_close(struct content *c);

/* What was given to content_open(). */
struct blobs *content_blobs(struct content *c);

#endif
