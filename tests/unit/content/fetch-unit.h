/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the tests of fetching share: a world whose chunks are in the bucket of a test server, and not here. */
#ifndef GARNER_TESTS_UNIT_CONTENT_FETCH_UNIT_H
#define GARNER_TESTS_UNIT_CONTENT_FETCH_UNIT_H

#include "../s3/s3-unit.h"
#include "backend/store/store-s3.h"
#include "content/fetch.h"
#include "content/view.h"
#include "world.h"

#define FETCH_KEEP ((struct fetch_params){ .keep = true, .timeout_ns = UNIT_PATIENCE_NS })

/* When a transfer that stands still is given up; 0: the usual time, in which no test makes one stand still. */
#ifndef AWAY_STALL_S
#define AWAY_STALL_S 0
#endif

struct away {
	struct lab lab;
	struct world w;
};

static inline bool away_verify(void *arg, const uint8_t name[STORE_NAME_LEN], const void *bytes,
			       size_t len)
{
	struct hash hash;

	(void)arg;
	return !hash_data(HASH_SHA256, bytes, len, &hash) && !memcmp(hash.b, name, HASH_LEN);
}

static inline struct store *away_store(struct away *a)
{
	struct s3_client *client = NULL;
	struct store *store = NULL;

	ck_assert_int_eq(s3_client_new(&a->lab.settings, lab_find, &client), 0);
	ck_assert_int_eq(store_s3_open(&client, away_verify, NULL, 0, &store), 0);
	return store;
}

static inline void away_start(struct away *a, struct fetch_params params)
{
	struct store *store = away_store(a);

	ck_assert_int_eq(fetch_start(a->w.content, &store, &params), 0);
	ck_assert_ptr_null(store);
}

static inline void away_open(struct away *a, struct fetch_params params)
{
	lab_open(&a->lab);
	a->lab.settings.stall_s = AWAY_STALL_S;
	world_open(&a->w);
	away_start(a, params);
}

static inline void away_close(struct away *a)
{
	world_close(&a->w);
	lab_close(&a->lab);
}

/* A new process. */
static inline void away_restart(struct away *a, struct fetch_params params)
{
	world_restart(&a->w);
	away_start(a, params);
}

struct away_pieces {
	struct store *store;
	const uint8_t *data;
	size_t count;
};

static inline int away_put(void *arg, const struct meta_row *row)
{
	struct away_pieces *p = arg;
	size_t len;
	const void *hash = meta_row_bytes(row, 2, &len);

	if (!hash)
		return 0;
	p->count++;
	ck_assert_int_eq(store_put(p->store, hash, p->data + meta_row_int(row, 0),
				   (size_t)meta_row_int(row, 1)),
			 0);
	return 0;
}

static inline int away_drop(void *arg, const struct meta_row *row)
{
	struct meta_op *op = arg;
	size_t len;
	const void *hash = meta_row_bytes(row, 1, &len);

	META_ADD(op, UPLOAD_CHUNK_SENT, META_ONE, -ENOENT, META_I(meta_row_int(row, 0)));
	if (!meta_row_null(row, 4))
		META_ADD(op, STORE_PLACE_DEL, META_ONE, -ENOENT, META_B(hash, len),
			 META_I(meta_row_int(row, 4)), META_I(meta_row_int(row, 5)));
	return 0;
}

/* No chunk has a place any more. */
static inline void away_evict(struct away *a)
{
	struct meta_op *op = meta_op_new();

	ck_assert_int_ge(
		META_QUERY(a->w.meta, CHECK_PLACES, away_drop, op, META_I(0), META_I(1000000)), 0);
	ck_assert_int_eq(meta_apply(a->w.meta, op), 0);
	meta_op_free(op);
}

/* An asset of these bytes, all of whose chunks are in the bucket alone. Their number. */
static inline size_t away_asset(struct away *a, struct asset *asset, const uint8_t *data,
				size_t len)
{
	struct away_pieces p = { away_store(a), data, 0 };

	asset_of(&a->w, asset, data, len);
	ck_assert_int_ge(META_QUERY(a->w.meta, OBJECT_CHUNKS, away_put, &p, META_I(asset->object)),
			 0);
	store_close(p.store);
	away_evict(a);
	return p.count;
}

static inline int away_place_row(void *arg, const struct meta_row *row)
{
	*(size_t *)arg += !meta_row_null(row, 4);
	return 0;
}

/* Places that are recorded. */
static inline size_t away_places(struct away *a)
{
	size_t count = 0;

	ck_assert_int_ge(META_QUERY(a->w.meta, CHECK_PLACES, away_place_row, &count, META_I(0),
				    META_I(1000000)),
			 0);
	return count;
}

/* Gets so far. */
static inline unsigned away_gets(struct away *a)
{
	return server_requests(a->lab.server, "GET");
}

static inline struct view *away_view(struct away *a, const struct asset *asset)
{
	struct view *v = NULL;

	ck_assert_int_eq(view_of_object(a->w.content, asset->object, &v), 0);
	return v;
}

/* That the view reads as these bytes, `step` at a time. */
static inline void away_reads(const struct view *v, const uint8_t *data, size_t len, size_t step)
{
	uint8_t *got = malloc(step);

	for (size_t at = 0; at < len; at += step) {
		size_t want = step < len - at ? step : len - at;

		memset(got, 0x5a, step);
		ck_assert_int_eq(view_read(v, got, step, at), (ssize_t)want);
		ck_assert(!memcmp(got, data + at, want));
	}
	free(got);
}

#endif
