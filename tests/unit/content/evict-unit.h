/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the tests of eviction share: rows set as uploading would set them, and what must hold whatever was evicted. */
#ifndef GARNER_TESTS_UNIT_CONTENT_EVICT_UNIT_H
#define GARNER_TESTS_UNIT_CONTENT_EVICT_UNIT_H

#include "content/evict.h"
#include "world.h"

#include <sqlite3.h>

static inline int64_t sql_number(struct world *w, const char *sql)
{
	sqlite3 *db = NULL;
	sqlite3_stmt *st = NULL;
	int64_t number = -1;

	ck_assert_int_eq(sqlite3_open(w->db, &db), SQLITE_OK);
	sqlite3_busy_timeout(db, UNIT_PATIENCE_MS);
	ck_assert_int_eq(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
	if (sqlite3_step(st) == SQLITE_ROW)
		number = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	sqlite3_close(db);
	return number;
}

static inline void sql_run(struct world *w, const char *sql)
{
	sqlite3 *db = NULL;

	ck_assert_int_eq(sqlite3_open(w->db, &db), SQLITE_OK);
	sqlite3_busy_timeout(db, UNIT_PATIENCE_MS);
	ck_assert_int_eq(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

/* Everything is in the bucket. */
static inline void send_all(struct world *w)
{
	sql_run(w, "UPDATE chunk SET remote = 1");
}

static inline int64_t places(struct world *w)
{
	return sql_number(w, "SELECT count(*) FROM place");
}

static inline int64_t used_of(struct world *w, const struct asset *a)
{
	char sql[96];

	snprintf(sql, sizeof(sql), "SELECT used_ns FROM object WHERE id = %lld",
		 (long long)a->object);
	return sql_number(w, sql);
}

static inline struct evict_stats evict_with(struct world *w, const struct asset *a,
					    const struct evict_params *p)
{
	struct evict_stats stats = { 0 };

	ck_assert_int_eq(evict_objects(w->content, &a->object, 1, p, &stats), 0);
	return stats;
}

static inline struct evict_stats evict_one(struct world *w, const struct asset *a, uint64_t edge)
{
	return evict_with(w, a, &(struct evict_params){ .edge = edge, .before_ns = INT64_MAX });
}

static inline int evict_check_row(void *arg, const struct meta_row *row)
{
	/* Nowhere: it has to be in the bucket, which is asked below. */
	return meta_row_null(row, 4) ? 0 : world_check_row(arg, row);
}

/* That every place has its bytes, every edge too, and what has no place is in the bucket. */
static inline void evict_check(struct world *w)
{
	struct world_check k = { .w = w };
	sqlite3 *db = NULL;
	sqlite3_stmt *st = NULL;

	ck_assert_int_ge(
		META_QUERY(w->meta, CHECK_PLACES, evict_check_row, &k, META_I(0), META_I(1000000)),
		0);
	ck_assert_uint_eq(k.bad, 0);
	ck_assert_int_eq(
		sql_number(w, "SELECT count(*) FROM chunk WHERE refcount > 0 AND remote = 0"
			      " AND NOT EXISTS (SELECT 1 FROM place WHERE place.chunk = chunk.id)"),
		0);
	ck_assert_int_eq(sql_number(w, "SELECT count(*) FROM edge WHERE NOT EXISTS"
				       " (SELECT 1 FROM object WHERE object.id = edge.object)"),
			 0);
	ck_assert_int_eq(sqlite3_open(w->db, &db), SQLITE_OK);
	ck_assert_int_eq(
		sqlite3_prepare_v2(db, "SELECT blob, off, length, sum FROM edge", -1, &st, NULL),
		0);
	while (sqlite3_step(st) == SQLITE_ROW) {
		size_t len = (size_t)sqlite3_column_int64(st, 2);
		uint8_t *bytes = malloc(len);
		struct blob *blob = NULL;
		struct hash sum;

		ck_assert_int_eq(blobs_get(w->blobs, sqlite3_column_int64(st, 0), &blob), 0);
		ck_assert_int_eq(blob_read(blob, bytes, len, (uint64_t)sqlite3_column_int64(st, 1)),
				 (ssize_t)len);
		ck_assert_int_eq(hash_data(HASH_SHA256, bytes, len, &sum), 0);
		ck_assert_mem_eq(sum.b, sqlite3_column_blob(st, 3), HASH_LEN);
		blob_put(blob);
		free(bytes);
	}
	sqlite3_finalize(st);
	sqlite3_close(db);
}

enum { EVICT_LEN = 100000, EVICT_EDGE = 8192 };

/* One sealed asset of EVICT_LEN bytes that the bucket has. */
static inline uint8_t *evict_sent(struct world *w, struct asset *a, uint64_t seed)
{
	uint8_t *data = stream_new(seed, EVICT_LEN);

	asset_of(w, a, data, EVICT_LEN);
	send_all(w);
	return data;
}

/* The blob that has its content. */
static inline int64_t evict_home(struct world *w, const struct asset *a)
{
	struct view *v = NULL;

	ck_assert_int_eq(view_of_object(w->content, a->object, &v), 0);
	int64_t home = blob_id(v->runs[0].blob);

	view_put(v);
	return home;
}

#endif
