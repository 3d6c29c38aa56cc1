/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the files of the local store share; nobody else includes it. */
#ifndef BACKEND_STORE_STORE_LOCAL_INTERNAL_H
#define BACKEND_STORE_STORE_LOCAL_INTERNAL_H

#include "backend/store/store-local.h"
#include "util/lock.h"

/*
 * A bundle of this process. Phases: open (the store's current one), full (no longer current, its
 * last users still write), closed (row without owner; freed).
 */
struct store_local_bundle {
	int64_t blob;
	uint64_t end;   /* where the next chunk goes; guarded by the store's lock */
	unsigned users; /* guarded by the store's lock */
	bool full;      /* guarded by the store's lock */
};

struct store_local {
	struct store store;
	struct blobs *blobs;
	struct meta *meta;
	uint8_t owner[STORE_OWNER_LEN];
	store_verify_fn *verify;
	void *verify_arg;

	struct lock lock; /* guards all that follows */
	struct lock_cond made;
	bool making;                        /* one thread makes the next bundle */
	struct store_local_bundle *current; /* NULL or not full */
};

/* Where a chunk lies. */
struct store_local_place {
	int64_t blob;
	uint64_t start;
	char *path; /* of a blob held elsewhere, else NULL */
};

struct store_local_places {
	uint64_t size; /* of the chunk */
	size_t count, room;
	struct store_local_place *list;
};

#define STORE_LOCAL_PLACES __attribute__((cleanup(store_local_places_release)))

/*
 * The places of chunk NAME, into the empty *OUT, which store_local_places_release() ends. 0; -ENOENT
 * when there is none; or a negative error of meta_query() or blobs_refer().
 */
int store_local_places_find(struct store_local *s, const uint8_t name[STORE_NAME_LEN],
			    struct store_local_places *out);
void store_local_places_release(struct store_local_places *places);

/*
 * Reads LEN bytes from OFF within the chunk at PLACE. 0; ERR_CORRUPT when the file is gone or too
 * short; or the error of blobs_get() or pread.
 */
int store_local_place_read(struct store_local *s, const struct store_local_place *place, void *buf,
			   size_t len, uint64_t off);

/* All SIZE bytes at PLACE, freed by the caller. Errors as store_local_place_read(), -ENOMEM. */
int store_local_place_load(struct store_local *s, const struct store_local_place *place,
			   uint64_t size, void **out);

/* Whether the metadata still has this place: 1, 0, or a negative error of meta_query(). */
int store_local_place_listed(struct store_local *s, const uint8_t name[STORE_NAME_LEN],
			     const struct store_local_place *place);

/* Whether an error of reading says that the bytes are bad, not that reading was impossible now. */
bool store_local_place_bad(int err);

/* Callbacks of the driver that change something. */
int store_local_put(struct store *s, const uint8_t name[STORE_NAME_LEN], const void *bytes,
		    size_t len);
int store_local_del(struct store *s, const uint8_t name[STORE_NAME_LEN]);

/* Room for one chunk, reserved in a bundle that stays owned until it is given back. */
struct store_local_room {
	struct store_local_bundle *bundle;
	uint64_t start, len;
};

/* What became of a room. */
enum store_local_room_end {
	STORE_LOCAL_ROOM_USED,   /* a row may tell of it */
	STORE_LOCAL_ROOM_UNUSED, /* no row ever did: the next chunk may lie there */
	STORE_LOCAL_ROOM_SPOILT, /* the disk failed: no more is to go into that bundle */
};

/*
 * Reserves LEN bytes. 0 and *OUT is given back with store_local_bundle_leave(), or a negative
 * error of blobs_create() or meta_apply().
 */
int store_local_bundle_enter(struct store_local *s, uint64_t len, struct store_local_room *out);

/* Ends the use of a reserved room. */
void store_local_bundle_leave(struct store_local *s, struct store_local_room *room,
			      enum store_local_room_end end);

/* Closes the current bundle if there is one; nobody uses the store any more. */
void store_local_bundle_end(struct store_local *s);

#endif
