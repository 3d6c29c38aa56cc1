/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the tests of stores share: one of each kind to test, chunks to put into it. The S3 store is one on
 * the test server, or on the real one that GARNER_TEST_S3 names, "ENDPOINT s3://BUCKET", with keys from
 * where the AWS tools find them.
 */
#ifndef TESTS_UNIT_STORE_STORE_UNIT_H
#define TESTS_UNIT_STORE_STORE_UNIT_H

#include "backend/store/store-fault.h"
#include "backend/store/store-local.h"
#include "backend/store/store-memory.h"
#include "backend/store/store-s3.h"
#include "blobs-unit.h"
#include "../s3/server.h"
#include "util/err.h"
#include "util/hex.h"
#include "util/time.h"
#include "util/uuid.h"

#include <openssl/sha.h>

enum fixture_kind { FIXTURE_MEMORY, FIXTURE_LOCAL, FIXTURE_FAULT, FIXTURE_S3, FIXTURE_KINDS };

static const char *const fixture_names[] = { "memory", "local", "fault", "s3" };

struct fixture {
	enum fixture_kind kind;
	struct store *store;  /* the one to test */
	struct store *memory; /* FIXTURE_MEMORY, FIXTURE_FAULT: where the bytes are */
	/* FIXTURE_LOCAL: */
	struct place place;
	struct meta *meta;
	char db[80];
	struct server *server; /* FIXTURE_S3, unless it is a real one */
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

static inline int fixture_find(const char *profile, const bool *stop, struct s3_credentials *out,
			       struct buf *why)
{
	(void)profile;
	(void)stop;
	(void)why;
	*out = (struct s3_credentials){ .id = strdup(SERVER_KEY), .secret = strdup(SERVER_SECRET) };
	return 0;
}

/* Each on a prefix of its own: a real server may be used by others at the same time. */
static inline void fixture_open_s3(struct fixture *f)
{
	const char *real = getenv("GARNER_TEST_S3");
	struct s3_settings settings = { 0 };
	struct s3_client *client = NULL;
	struct buf why = BUF_INIT;
	char id[UUID_TEXT_LEN], endpoint[100] = "", bucket[100] = "s3://" SERVER_BUCKET, url[200];
	struct uuid uuid;

	uuid_random(&uuid);
	uuid_format(&uuid, id);
	if (real)
		ck_assert_int_eq(sscanf(real, "%99s %99s", endpoint, bucket), 2);
	else
		f->server = server_start();
	snprintf(url, sizeof url, "%s/%s", bucket, id);
	ck_assert_int_eq(s3_settings_url(&settings, url, &why), 0);
	ck_assert_int_eq(
		s3_settings_endpoint(&settings, real ? endpoint : server_url(f->server), &why), 0);
	ck_assert_int_eq(
		s3_client_new(&settings, real ? s3_credentials_find : fixture_find, &client), 0);
	ck_assert_int_eq(store_s3_open(&client, fixture_verify, NULL, 0, &f->store), 0);
	ck_assert_ptr_null(client);
	s3_settings_release(&settings);
	buf_release(&why);
}

static inline void fixture_open(struct fixture *f, enum fixture_kind kind)
{
	*f = (struct fixture){ .kind = kind };
	if (kind == FIXTURE_S3) {
		fixture_open_s3(f);
		return;
	}
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
		if (f->server)
			server_stop(f->server);
	}
}

/*
 * Adds the cases to the suite, for each kind of fixture a group of its name: CK_RUN_CASE=s3 runs those
 * of one kind alone.
 */
static inline void fixture_add_cases(Suite *suite, const TTest *const *cases, size_t count,
				     int seconds)
{
	for (int kind = 0; kind < FIXTURE_KINDS; kind++) {
		TCase *tcase = tcase_create(fixture_names[kind]);

		tcase_set_timeout(tcase, seconds);
		for (size_t i = 0; i < count; i++)
			tcase_add_loop_test(tcase, cases[i], kind, kind + 1);
		suite_add_tcase(suite, tcase);
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

/* Puts other bytes of the same size in the place of the chunk's. */
static inline void fixture_damage_s3(struct fixture *f, const uint8_t *name)
{
	struct s3_client *client = store_s3_client(f->store);
	char key[HEX_TEXT_LEN(STORE_NAME_LEN) + 7] = "chunks/";
	struct store_info info = { 0 };
	struct s3_request r = { .verb = S3_PUT, .key = key };
	uint8_t *bytes;

	ck_assert_int_eq(store_stat(f->store, name, &info), 0);
	bytes = malloc(info.size);
	ck_assert_int_eq(store_get(f->store, name, bytes, info.size, 0), (ssize_t)info.size);
	bytes[0] ^= 0x55;
	hex_encode(name, STORE_NAME_LEN, key + 7);
	r.body = bytes;
	r.body_len = info.size;
	r.deadline_ns = time_mono_ns() + UNIT_PATIENCE_NS;
	ck_assert_int_eq(s3_client_call(client, &r, NULL), 0);
	free(bytes);
}

/* Spoils one byte of the chunk where it is stored. */
static inline void fixture_damage(struct fixture *f, const uint8_t *name)
{
	struct fixture_places places;
	uint8_t byte;
	int fd;

	if (f->kind == FIXTURE_S3) {
		fixture_damage_s3(f, name);
		return;
	}
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
