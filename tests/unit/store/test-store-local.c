/* SPDX-License-Identifier: GPL-3.0-or-later */
/* backend/store/store-local.h: what only this driver has: rows, bundles, places, files held elsewhere. */
#include "config.h"

#include "store-unit.h"

#include <inttypes.h>
#include <sqlite3.h>

/* Runs one statement on the database beside the library's own connections. */
static int64_t sql(struct fixture *f, const char *text)
{
	sqlite3 *db = NULL;
	sqlite3_stmt *statement = NULL;
	int64_t value = 0;

	ck_assert_int_eq(sqlite3_open(f->db, &db), SQLITE_OK);
	sqlite3_busy_timeout(db, UNIT_PATIENCE_MS);
	ck_assert_msg(sqlite3_prepare_v2(db, text, -1, &statement, NULL) == SQLITE_OK, "%s: %s",
		      text, sqlite3_errmsg(db));
	switch (sqlite3_step(statement)) {
	case SQLITE_ROW:
		value = sqlite3_column_int64(statement, 0);
		break;
	case SQLITE_DONE:
		break;
	default:
		ck_abort_msg("%s: %s", text, sqlite3_errmsg(db));
	}
	sqlite3_finalize(statement);
	sqlite3_close(db);
	return value;
}

static uint64_t allocated(struct fixture *f, int64_t blob)
{
	return blob_allocated(f->place.blobs, blob);
}

START_TEST(rows_of_a_put)
{
	struct fixture f;
	struct chunk c = chunk_make(1, 1000);
	int64_t freed;

	fixture_open(&f, FIXTURE_LOCAL);
	ck_assert_int_eq(chunk_put(f.store, &c), 0);
	ck_assert_int_eq(sql(&f, "SELECT count(*) FROM chunk WHERE size = 1000 AND refcount = 0"
				 " AND remote = 0"),
			 1);
	ck_assert_int_eq(sql(&f, "SELECT count(*) FROM blob WHERE kind = 3 AND owner IS NOT NULL"),
			 1);
	freed = sql(&f, "SELECT freed_ns FROM chunk");
	ck_assert_int_gt(freed, 0);
	/* A second put begins the grace time anew, unless an object has the chunk. */
	ck_assert_int_eq(chunk_put(f.store, &c), 0);
	ck_assert_int_gt(sql(&f, "SELECT freed_ns FROM chunk"), freed);
	sql(&f, "UPDATE chunk SET refcount = 1, freed_ns = NULL");
	ck_assert_int_eq(chunk_put(f.store, &c), 0);
	ck_assert_int_eq(sql(&f, "SELECT count(*) FROM chunk WHERE freed_ns IS NULL"), 1);
	ck_assert_int_eq(sql(&f, "SELECT refcount FROM chunk"), 1);
	fixture_close(&f);
	chunk_free(&c);
}
END_TEST

START_TEST(a_known_chunk_without_a_place)
{
	struct fixture f;
	struct chunk c = chunk_make(1, 1000);

	fixture_open(&f, FIXTURE_LOCAL);
	ck_assert_int_eq(chunk_put(f.store, &c), 0);
	sql(&f, "UPDATE chunk SET refcount = 5, freed_ns = NULL, remote = 1");
	ck_assert_int_eq(store_delete(f.store, c.name), 0);
	ck_assert_int_eq(store_has(f.store, c.name), 0);
	ck_assert_int_eq(sql(&f, "SELECT refcount FROM chunk"), 5);
	ck_assert_int_eq(chunk_put(f.store, &c), 0);
	ck_assert(chunk_is_there(f.store, &c));
	ck_assert_int_eq(sql(&f, "SELECT count(*) FROM chunk"), 1);
	ck_assert_int_eq(
		sql(&f, "SELECT refcount FROM chunk WHERE freed_ns IS NULL AND remote = 1"), 5);
	fixture_close(&f);
	chunk_free(&c);
}
END_TEST

START_TEST(opened_again)
{
	struct fixture f;
	struct chunk a = chunk_make(1, 100000), b = chunk_make(2, 100000);

	fixture_open(&f, FIXTURE_LOCAL);
	ck_assert_int_eq(chunk_put(f.store, &a), 0);
	fixture_close_local(&f);
	ck_assert_int_eq(sql(&f, "SELECT count(*) FROM blob WHERE owner IS NOT NULL"), 0);
	ck_assert_int_eq(sql(&f, "SELECT size FROM blob"), 100000);
	fixture_open_local(&f, 0, false);
	ck_assert(chunk_is_there(f.store, &a));
	ck_assert_int_eq(store_scan(f.store, a.name), 0);
	/* A bundle is appended to by the one that made it, never by the next. */
	ck_assert_int_eq(chunk_put(f.store, &b), 0);
	ck_assert_int_ne(fixture_places(&f, a.name).blob[0], fixture_places(&f, b.name).blob[0]);
	fixture_close(&f);
	chunk_free(&a);
	chunk_free(&b);
}
END_TEST

START_TEST(read_only)
{
	struct fixture f;
	struct chunk a = chunk_make(1, 1000), b = chunk_make(2, 1000);
	struct store_health health;

	fixture_open(&f, FIXTURE_LOCAL);
	ck_assert_int_eq(chunk_put(f.store, &a), 0);
	fixture_close_local(&f);
	fixture_open_local(&f, META_OPEN_RDONLY, true);
	ck_assert(chunk_is_there(f.store, &a));
	ck_assert_int_eq(store_scan(f.store, a.name), 0);
	ck_assert_int_eq(chunk_put(f.store, &b), -EROFS);
	ck_assert_int_eq(store_delete(f.store, a.name), -EROFS);
	ck_assert_int_eq(store_health(f.store, &health), 0);
	ck_assert_int_eq(health.status, -EROFS);
	ck_assert(chunk_is_there(f.store, &a));
	fixture_close(&f);
	chunk_free(&a);
	chunk_free(&b);
}
END_TEST

START_TEST(two_stores_of_one_library)
{
	static const uint8_t other_owner[STORE_OWNER_LEN] = "another one";
	struct fixture f;
	struct chunk a = chunk_make(1, 50000), b = chunk_make(2, 50000);
	struct blobs *blobs;
	struct meta *meta;
	struct store *other;

	fixture_open(&f, FIXTURE_LOCAL);
	ck_assert_int_eq(blobs_open(f.place.path, false, false, &blobs), 0);
	ck_assert_int_eq(meta_open(f.db, 0, &meta), 0);
	ck_assert_int_eq(store_local_open(blobs, meta, other_owner, fixture_verify, NULL, &other),
			 0);
	ck_assert_int_eq(chunk_put(f.store, &a), 0);
	ck_assert_int_eq(chunk_put(other, &b), 0);
	ck_assert(chunk_is_there(other, &a));
	ck_assert(chunk_is_there(f.store, &b));
	ck_assert_int_eq(chunk_put(other, &a), 0);
	ck_assert_uint_eq(fixture_places(&f, a.name).count, 1);
	ck_assert_int_eq(store_delete(other, a.name), 0);
	ck_assert_int_eq(store_has(f.store, a.name), 0);
	ck_assert_int_eq(chunk_put(f.store, &a), 0);
	ck_assert(chunk_is_there(other, &a));
	store_close(other);
	meta_close(meta);
	blobs_close(blobs);
	fixture_close(&f);
	chunk_free(&a);
	chunk_free(&b);
}
END_TEST

START_TEST(deleting_gives_space_back)
{
	enum { SIZE = 1 << 20 };
	struct fixture f;
	struct chunk chunks[3];
	int64_t blob;
	uint64_t before;

	fixture_open(&f, FIXTURE_LOCAL);
	for (unsigned i = 0; i < 3; i++) {
		chunks[i] = chunk_make(i, SIZE);
		ck_assert_int_eq(chunk_put(f.store, &chunks[i]), 0);
	}
	blob = fixture_places(&f, chunks[0].name).blob[0];
	before = allocated(&f, blob);
	ck_assert_uint_ge(before, 3 * SIZE);
	ck_assert_int_eq(store_delete(f.store, chunks[1].name), 0);
	ck_assert_uint_eq(allocated(&f, blob), before - SIZE);
	ck_assert(chunk_is_there(f.store, &chunks[0]));
	ck_assert(chunk_is_there(f.store, &chunks[2]));
	fixture_close(&f);
	for (unsigned i = 0; i < 3; i++)
		chunk_free(&chunks[i]);
}
END_TEST

START_TEST(a_full_bundle_is_closed)
{
	enum { SIZE = 8 << 20, COUNT = 9 };
	struct fixture f;
	int64_t first = 0, last = 0;

	fixture_open(&f, FIXTURE_LOCAL);
	for (unsigned i = 0; i < COUNT; i++) {
		struct chunk c = chunk_make(i, SIZE);

		ck_assert_int_eq(chunk_put(f.store, &c), 0);
		last = fixture_places(&f, c.name).blob[0];
		first = i == 0 ? last : first;
		chunk_free(&c);
	}
	ck_assert_int_ne(first, last);
	ck_assert_int_eq(sql(&f, "SELECT count(*) FROM blob WHERE kind = 3"), 2);
	ck_assert_int_eq(sql(&f, "SELECT count(*) FROM blob WHERE owner IS NOT NULL"), 1);
	ck_assert_int_eq(sql(&f, "SELECT size FROM blob WHERE owner IS NULL"), 8 * SIZE);
	fixture_close(&f);
}
END_TEST

START_TEST(a_bundle_that_is_gone)
{
	struct fixture f;
	struct chunk c = chunk_make(1, 5000);
	uint8_t byte;

	fixture_open(&f, FIXTURE_LOCAL);
	ck_assert_int_eq(chunk_put(f.store, &c), 0);
	fixture_close_local(&f);
	fixture_open_local(&f, 0, false);
	ck_assert_int_eq(blobs_unlink(f.place.blobs, fixture_places(&f, c.name).blob[0]), 0);
	ck_assert_int_eq(store_get(f.store, c.name, &byte, 1, 0), ERR_CORRUPT);
	ck_assert_int_eq(store_scan(f.store, c.name), ERR_CORRUPT);
	ck_assert_int_eq(chunk_put(f.store, &c), 0);
	ck_assert(chunk_is_there(f.store, &c));
	ck_assert_int_eq(store_scan(f.store, c.name), 0);
	fixture_close(&f);
	chunk_free(&c);
}
END_TEST

START_TEST(a_bundle_cut_short)
{
	struct fixture f;
	struct chunk c = chunk_make(1, 5000);
	uint8_t bytes[5000];
	int fd;

	fixture_open(&f, FIXTURE_LOCAL);
	ck_assert_int_eq(chunk_put(f.store, &c), 0);
	fd = blobs_open_write(f.place.blobs, fixture_places(&f, c.name).blob[0]);
	ck_assert_int_eq(ftruncate(fd, 3000), 0);
	close(fd);
	ck_assert_int_eq(store_get(f.store, c.name, bytes, 3000, 0), 3000);
	ck_assert_int_eq(store_get(f.store, c.name, bytes, 5000, 0), ERR_CORRUPT);
	ck_assert_int_eq(store_get(f.store, c.name, bytes, 1, 3000), ERR_CORRUPT);
	ck_assert_int_eq(store_scan(f.store, c.name), ERR_CORRUPT);
	ck_assert_int_eq(chunk_put(f.store, &c), 0);
	ck_assert(chunk_is_there(f.store, &c));
	fixture_close(&f);
	chunk_free(&c);
}
END_TEST

START_TEST(rows_that_lie)
{
	static const char *const lies[] = {
		"UPDATE chunk SET size = 0",
		"UPDATE chunk SET size = -1",
		"UPDATE chunk SET size = 9223372036854775807",
		"UPDATE chunk SET size = 4999",
		"UPDATE place SET start = -5000",
		"UPDATE place SET start = 9223372036854775807",
		"UPDATE place SET start = 1",
	};
	struct fixture f;
	struct chunk c = chunk_make(1, 5000);
	uint8_t bytes[5000];

	fixture_open(&f, FIXTURE_LOCAL);
	ck_assert_int_eq(chunk_put(f.store, &c), 0);
	for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
		int64_t start = sql(&f, "SELECT start FROM place");
		char back[100];

		sql(&f, lies[i]);
		ck_assert_int_eq(store_scan(f.store, c.name), ERR_CORRUPT);
		ck_assert_int_ne(store_get(f.store, c.name, bytes, 5000, 0), -ENOENT);
		snprintf(back, sizeof back, "UPDATE place SET start = %" PRId64, start);
		sql(&f, back);
		sql(&f, "UPDATE chunk SET size = 5000");
		ck_assert_int_eq(store_scan(f.store, c.name), 0);
	}
	fixture_close(&f);
	chunk_free(&c);
}
END_TEST

/* Makes blob 900, held elsewhere, the file `name` in the folder, and the chunk's second place. */
static void place_elsewhere(struct fixture *f, const char *name, const struct chunk *c)
{
	char text[400];

	ck_assert_int_eq(io_write_file(f->place.dir_fd, name, c->bytes, c->len, 0400), 0);
	snprintf(text, sizeof text,
		 "INSERT INTO blob (id, kind, size, path) VALUES (900, 5, %zu, CAST('%s/%s' AS "
		 "BLOB))",
		 c->len, f->place.dir, name);
	sql(f, text);
	sql(f, "INSERT INTO place (chunk, blob, start) SELECT id, 900, 0 FROM chunk");
}

START_TEST(held_elsewhere)
{
	struct fixture f;
	struct chunk c = chunk_make(1, 5000);
	struct stat st;
	uint8_t byte;

	fixture_open(&f, FIXTURE_LOCAL);
	ck_assert_int_eq(chunk_put(f.store, &c), 0);
	place_elsewhere(&f, "original", &c);
	sql(&f, "DELETE FROM place WHERE blob <> 900");
	ck_assert(chunk_is_there(f.store, &c));
	ck_assert_int_eq(store_scan(f.store, c.name), 0);
	/* Not to be given away with the chunk, nor written. */
	ck_assert_int_eq(store_delete(f.store, c.name), 0);
	ck_assert_int_eq(store_has(f.store, c.name), 0);
	ck_assert_int_eq(fstatat(f.place.dir_fd, "original", &st, 0), 0);
	ck_assert_int_eq(st.st_size, 5000);
	ck_assert_int_ge(st.st_blocks * 512, 5000);
	/* Gone: then the row is wrong. */
	sql(&f, "INSERT INTO place (chunk, blob, start) SELECT id, 900, 0 FROM chunk");
	ck_assert(chunk_is_there(f.store, &c));
	ck_assert_int_eq(unlinkat(f.place.dir_fd, "original", 0), 0);
	ck_assert_int_eq(store_scan(f.store, c.name), ERR_CORRUPT);
	ck_assert_int_eq(chunk_put(f.store, &c), 0);
	ck_assert_int_eq(store_scan(f.store, c.name), 0);
	ck_assert_int_eq(store_get(f.store, c.name, &byte, 1, 4999), 1);
	fixture_close(&f);
	chunk_free(&c);
}
END_TEST

START_TEST(one_of_two_places_is_bad)
{
	struct fixture f;
	struct chunk c = chunk_make(1, 5000);
	uint64_t size_before = 0, size_after = 0;
	int64_t blob;

	fixture_open(&f, FIXTURE_LOCAL);
	ck_assert_int_eq(chunk_put(f.store, &c), 0);
	blob = fixture_places(&f, c.name).blob[0];
	place_elsewhere(&f, "original", &c);
	ck_assert_uint_eq(fixture_places(&f, c.name).count, 2);
	ck_assert_int_eq(store_scan(f.store, c.name), 0);
	ck_assert_int_eq(blobs_stat(f.place.blobs, blob, &size_before, NULL), 0);
	/* A put drops the bad one without writing. */
	blob_write(f.place.blobs, blob, "damage", 6, 0);
	ck_assert_int_eq(store_scan(f.store, c.name), ERR_CORRUPT);
	ck_assert_int_eq(chunk_put(f.store, &c), 0);
	ck_assert_uint_eq(fixture_places(&f, c.name).count, 1);
	ck_assert_int_eq(fixture_places(&f, c.name).blob[0], 900);
	ck_assert_int_eq(store_scan(f.store, c.name), 0);
	ck_assert(chunk_is_there(f.store, &c));
	ck_assert_int_eq(blobs_stat(f.place.blobs, blob, &size_after, NULL), 0);
	ck_assert_uint_eq(size_before, size_after);
	fixture_close(&f);
	chunk_free(&c);
}
END_TEST

START_TEST(the_second_place_serves)
{
	struct fixture f;
	struct chunk c = chunk_make(1, 5000);
	int fd;

	fixture_open(&f, FIXTURE_LOCAL);
	ck_assert_int_eq(chunk_put(f.store, &c), 0);
	fd = blobs_open_write(f.place.blobs, fixture_places(&f, c.name).blob[0]);
	place_elsewhere(&f, "original", &c);
	ck_assert_int_eq(ftruncate(fd, 0), 0);
	close(fd);
	ck_assert(chunk_is_there(f.store, &c));
	fixture_close(&f);
	chunk_free(&c);
}
END_TEST

/* As after going back to an older backup of the metadata. */
START_TEST(files_that_no_row_tells_of)
{
	struct fixture f;
	struct chunk c = chunk_make(1, 5000);
	int64_t blob;

	fixture_open(&f, FIXTURE_LOCAL);
	for (int64_t id = 0; id < 20; id++)
		blob_make(f.place.blobs, id, 'f', 1000);
	ck_assert_int_eq(chunk_put(f.store, &c), 0);
	blob = fixture_places(&f, c.name).blob[0];
	ck_assert_int_lt(blob, 20);
	ck_assert(blob_is(f.place.blobs, blob, 'f', 1000, 0));
	ck_assert(chunk_is_there(f.store, &c));
	fixture_close(&f);
	chunk_free(&c);
}
END_TEST

UNIT_MAIN("store-local", 60, rows_of_a_put, a_known_chunk_without_a_place, opened_again, read_only,
	  two_stores_of_one_library, deleting_gives_space_back, a_full_bundle_is_closed,
	  a_bundle_that_is_gone, a_bundle_cut_short, rows_that_lie, held_elsewhere,
	  one_of_two_places_is_bad, the_second_place_serves, files_that_no_row_tells_of)
