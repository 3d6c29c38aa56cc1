/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the tests of stores share: one of each kind to test, chunks to put into it. */
#ifndef TESTS_UNIT_STORE_STORE_UNIT_H
#define TESTS_UNIT_STORE_STORE_UNIT_H

#include "backend/store/store-fault.h"
#include "backend/store/store-local.h"
#include "backend/store/store-memory.h"
#include "blobs-unit.h"
#include "util/err.h"

#include <openssl/sha.h>

enum fixture_kind { FIXTURE_MEMORY, FIXTURE_LOCAL, FIXTURE_FAULT, FIXTURE_KINDS };

struct fixture {
	enum fixture_kind kind;
	struct store *store;  /* the one to test */
	struct store *memory; /* FIXTURE_MEMORY, FIXTURE_FAULT: where the bytes are */
	/* FIXTURE_LOCAL: */
	struct place place;
	struct meta *meta;
	char db[80];
};

static const uint8_t fixture_owner[STORE_OWNER_LEN] = "an instance";

static inline bool fixture_verify(void *arg, const uint8_t name[STORE_NAME_LEN], const void *bytes,
				  size_t len)
{
	uint8_t hash[SHA256_DIGEST_LENGTH];

	(void)arg;
	SHA256(bytes, len, hash);
	return memcmp(hash, name, STORE_NAME_LEN) == 0;
}

static inline void fixture_open_local(struct fixture *f, int meta_flags, bool read_only)
{
	snprintf(f->db, sizeof f->db, "%s/garner.db", f->place.dir);
	ck_assert_int_eq(blobs_open(f->place.path, !read_only, read_only, &f->place.blobs), 0);
	ck_assert_int_eq(meta_open(f->db, meta_flags, &f->meta), 0);
	ck_assert_int_eq(store_local_open(f->place.blobs, f->meta, fixture_owner, fixture_verify,
					  NULL, &f->store),
			 0);
}

static inline void fixture_close_local(struct fixture *f)
{
	store_close(f->store);
	meta_close(f->meta);
	blobs_close(f->place.blobs);
}

static inline void fixture_open(struct fixture *f, enum fixture_kind kind)
{
	*f = (struct fixture){ .kind = kind };
	if (kind == FIXTURE_LOCAL) {
		f->place.dir_fd = unit_make_dir(f->place.dir);
		snprintf(f->place.path, sizeof f->place.path, "%s/blobs", f->place.dir);
		fixture_open_local(f, META_OPEN_CREATE, false);
		return;
	}
	ck_assert_int_eq(store_memory_new(UINT64_C(1) << 30, fixture_verify, NULL, &f->store), 0);
	f->memory = f->store;
	if (kind == FIXTURE_FAULT)
		ck_assert_int_eq(store_fault_new(&f->store, NULL, 0, 1, &f->store), 0);
}

static inline void fixture_close(struct fixture *f)
{
	if (f->kind == FIXTURE_LOCAL) {
		fixture_close_local(f);
		unit_remove_dir(f->place.dir, f->place.dir_fd);
	} else {
		store_close(f->store);
	}
}

struct fixture_places {
	size_t count;
	int64_t blob[16];
	uint64_t start[16];
};

static inline int fixture_note_place(void *arg, const struct meta_row *row)
{
	struct fixture_places *places = arg;

	ck_assert_uint_lt(places->count, 16);
	places->blob[places->count] = meta_row_int(row, 1);
	places->start[places->count++] = (uint64_t)meta_row_int(row, 2);
	return 0;
}

static inline struct fixture_places fixture_places(struct fixture *f, const uint8_t *name)
{
	struct fixture_places places = { 0 };

	ck_assert_int_ge(META_QUERY(f->meta, STORE_PLACES, fixture_note_place, &places,
				    META_B(name, STORE_NAME_LEN)),
			 0);
	return places;
}

/* Spoils one byte of the chunk where it is stored. */
static inline void fixture_damage(struct fixture *f, const uint8_t *name)
{
	struct fixture_places places;
	uint8_t byte;
	int fd;

	if (f->kind != FIXTURE_LOCAL) {
		ck_assert_int_eq(store_memory_damage(f->memory, name), 0);
		return;
	}
	places = fixture_places(f, name);
	ck_assert_uint_eq(places.count, 1);
	fd = blobs_open_write(f->place.blobs, places.blob[0]);
	ck_assert_int_eq(io_pread_full(fd, &byte, 1, places.start[0]), 1);
	byte ^= 0x55;
	ck_assert_int_eq(io_pwrite_full(fd, &byte, 1, places.start[0]), 0);
	close(fd);
}

/* A chunk that `seed` and `len` decide. */
struct chunk {
	uint8_t name[STORE_NAME_LEN];
	size_t len;
	uint8_t *bytes;
};

static inline struct chunk chunk_make(unsigned seed, size_t len)
{
	struct chunk c = { .len = len, .bytes = malloc(len) };
	uint64_t x = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;

	ck_assert_ptr_nonnull(c.bytes);
	for (size_t i = 0; i < len; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		c.bytes[i] = (uint8_t)(x >> 32);
	}
	SHA256(c.bytes, len, c.name);
	return c;
}

static inline void chunk_free(struct chunk *c)
{
	free(c->bytes);
	c->bytes = NULL;
}

static inline int chunk_put(struct store *s, const struct chunk *c)
{
	return store_put(s, c->name, c->bytes, c->len);
}

/* Whether the store gives all of the chunk as it is. */
static inline bool chunk_is_there(struct store *s, const struct chunk *c)
{
	uint8_t *bytes = malloc(c->len + 1);
	bool same;

	ck_assert_ptr_nonnull(bytes);
	same = store_get(s, c->name, bytes, c->len + 1, 0) == (ssize_t)c->len &&
	       memcmp(bytes, c->bytes, c->len) == 0;
	free(bytes);
	return same;
}

#endif
