/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Bundles: blobs that hold many small objects one after the other. A process appends to one bundle of its own at a time; beyond the set
 * size it is closed, which makes it no one's, and collection may then give back ranges of it that no place names.
 *
 * A range that was appended is safe from collection while its bundle is held, so it is held until the rows that name
 * it are applied.
 */
#ifndef GARNER_CONTENT_BUNDLE_H
#define GARNER_CONTENT_BUNDLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/lock.h"

struct content;
struct bundle;

struct bundle_set {
	struct lock lock; /* guards what follows, and users and size of every bundle */
	struct lock_cond opened;
	struct lock_cond synced; /* a thread has ended its sync of a bundle */
	bool busy;               /* one thread makes or takes over a bundle */
	bool adopted;
	struct bundle *open; /* what is appended to; NULL: none yet */
};

/* An empty set, ended with bundle_set_release(). */
void bundle_set_init(struct bundle_set *s);

/* Closes the open bundle; none is held. */
void bundle_set_release(struct content *c);

/*
 * Appends `len` bytes. On 0 they are at *start of *out, which the caller puts with bundle_put(), and durable after bundle_sync(). Errors: those
 * of blobs_create(), meta_apply() and pwrite(). Any thread.
 */
int bundle_append(struct content *c, const void *data, size_t len, struct bundle **out,
		  uint64_t *start);

/*
 * Makes what was appended before the call durable, name included. 0 or negative errno; after a failure all who hold the bundle get one, since any of
 * their bytes may be lost, and further appends go to another.
 */
int bundle_sync(struct content *c, struct bundle *b);

/* The id of its blob. */
int64_t bundle_blob(const struct bundle *b);

/* Lets go of it. NULL allowed. */
void bundle_put(struct content *c, struct bundle *b);

#endif
