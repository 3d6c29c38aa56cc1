/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A held chunk is relied on only if its bytes are there: damaged copies are healed by the new ones. And what views say of damage. */
#include "config.h"

#include "util/cleanup.h"
#include "world.h"

enum { LEN = 100000 };

static int place_row(void *arg, const struct meta_row *row)
{
	int64_t *place = arg;

	if (meta_row_null(row, 4) || meta_row_int(row, 3) == 0)
		return 0;
	place[0] = meta_row_int(row, 4);
	place[1] = meta_row_int(row, 5);
	return ++place[2] == place[3];
}

/* Blob and offset of the chunk number `nth`, in the order of their ids. */
static int64_t place_of(struct world *w, int nth, uint64_t *off)
{
	int64_t place[4] = { 0, 0, 0, nth };

	ck_assert_int_gt(
		META_QUERY(w->meta, CHECK_PLACES, place_row, place, META_I(0), META_I(1000)), 0);
	ck_assert_int_eq(place[2], nth);
	*off = (uint64_t)place[1];
	return place[0];
}

static void flip(struct world *w, int64_t blob, uint64_t off)
{
	CLEANUP_CLOSE int fd = blobs_open_write(w->blobs, blob);
	uint8_t byte;

	ck_assert_int_eq(pread(fd, &byte, 1, (off_t)off), 1);
	byte ^= 1;
	ck_assert_int_eq(pwrite(fd, &byte, 1, (off_t)off), 1);
}

/* Stores the content again over whatever has become of the first copy; both assets must be whole then. */
static struct seal_stats heal(struct world *w, struct asset *a, const uint8_t *data, size_t len)
{
	struct asset b;
	struct seal_stats stats = asset_of(w, &b, data, len);

	ck_assert_int_eq(b.object, a->object);
	ck_assert_uint_eq(stats.new_chunks, 0);
	asset_is(w, a, data, len);
	asset_is(w, &b, data, len);
	world_check(w);
	/* What was healed lives on in the second asset's blob; the first goes, with what is damaged. */
	world_collect(w, 1000, 0, 100);
	asset_is(w, a, data, len);
	world_check(w);
	ck_assert_uint_eq(asset_of(w, &b, data, len).healed, 0);
	return stats;
}

START_TEST(a_flipped_byte_is_healed)
{
	struct world w;
	struct asset a;
	uint8_t *data = stream_new(1, LEN);

	world_open(&w);
	uint32_t chunks = asset_of(&w, &a, data, LEN).chunks;

	for (int i = 0; i < 5; i++) {
		uint64_t off;
		int64_t blob = place_of(&w, 1 + i * 3, &off);

		flip(&w, blob, off + 500);
		ck_assert_uint_eq(heal(&w, &a, data, LEN).healed, 1);
	}
	ck_assert_uint_gt(chunks, 15);
	free(data);
	world_close(&w);
}
END_TEST

START_TEST(a_short_blob_is_healed)
{
	struct world w;
	struct asset a;
	uint8_t *data = stream_new(2, LEN);
	uint64_t off;
	CLEANUP_BUF struct buf path = BUF_INIT;

	world_open(&w);
	uint32_t chunks = asset_of(&w, &a, data, LEN).chunks;

	ck_assert_int_eq(blobs_path(w.blobs, place_of(&w, 1, &off), &path), 0);
	ck_assert_int_eq(truncate(path.data, LEN / 2), 0);
	struct seal_stats stats = heal(&w, &a, data, LEN);

	ck_assert_uint_gt(stats.healed, chunks / 4);
	ck_assert_uint_lt(stats.healed, chunks);
	free(data);
	world_close(&w);
}
END_TEST

START_TEST(a_missing_blob_is_healed)
{
	struct world w;
	struct asset a;
	uint8_t *data = stream_new(3, LEN);
	uint64_t off;

	world_open(&w);
	uint32_t chunks = asset_of(&w, &a, data, LEN).chunks;

	ck_assert_int_eq(blobs_unlink(w.blobs, place_of(&w, 1, &off)), 0);
	struct view *v = NULL;
	uint8_t back[10];

	ck_assert_int_eq(view_of_object(w.content, a.object, &v), 0);
	ck_assert_uint_eq(v->count, chunks);
	for (size_t i = 0; i < v->count; i++)
		ck_assert_int_eq(v->runs[i].kind, VIEW_MISSING);
	ck_assert_int_eq(view_read(v, back, 10, 0), -EIO);
	ck_assert_int_eq(view_seek(v, 0, SEEK_DATA), 0);
	view_put(v);
	ck_assert_uint_eq(heal(&w, &a, data, LEN).healed, chunks);
	free(data);
	world_close(&w);
}
END_TEST

START_TEST(a_punched_range_is_healed)
{
	struct world w;
	struct asset a;
	uint8_t *data = stream_new(4, LEN);
	uint64_t off;

	world_open(&w);
	asset_of(&w, &a, data, LEN);
	int64_t blob = place_of(&w, 1, &off);

	ck_assert_int_eq(blobs_punch(w.blobs, blob, 40960, 4096), 0);
	uint32_t healed = heal(&w, &a, data, LEN).healed;

	ck_assert_uint_ge(healed, 1);
	ck_assert_uint_le(healed, 6);
	free(data);
	world_close(&w);
}
END_TEST

START_TEST(a_bundled_chunk_is_healed)
{
	struct world w;
	struct asset a, b, c;
	uint8_t *data = stream_new(5, 400);
	uint64_t off;

	world_open(&w);
	asset_of(&w, &a, data, 400);
	int64_t blob = place_of(&w, 1, &off);

	flip(&w, blob, off);
	/* Two of the same in one batch: both come out whole, with one copy. */
	asset_new(&w, &b);
	asset_new(&w, &c);
	draft_put(b.draft, data, 400, 0);
	draft_put(c.draft, data, 400, 0);
	struct asset *both[] = { &b, &c };
	struct seal_stats stats[2];

	ck_assert_int_eq(assets_seal(&w, both, 2, stats), 0);
	ck_assert_uint_eq(stats[0].healed + stats[1].healed, 1);
	asset_is(&w, &a, data, 400);
	asset_is(&w, &c, data, 400);
	world_check(&w);
	free(data);
	world_close(&w);
}
END_TEST

/* An import heals as well. */
static ssize_t read_all(void *arg, void *buf, size_t len, uint64_t off)
{
	memcpy(buf, (const uint8_t *)arg + off, len);
	return (ssize_t)len;
}

START_TEST(an_import_heals)
{
	struct world w;
	struct asset a;
	uint8_t *data = stream_new(6, LEN);
	uint64_t off;
	struct seal_source src = { .read = read_all, .arg = data, .size = LEN };
	struct seal *s = NULL;
	struct meta_op *op = meta_op_new();

	world_open(&w);
	asset_of(&w, &a, data, LEN);
	int64_t blob = place_of(&w, 4, &off);

	flip(&w, blob, off);
	ck_assert_int_eq(seal_import(w.content, &src, 1, NULL, NULL, &s), 0);
	ck_assert_uint_eq(seal_stats(s, 0)->healed, 1);
	ck_assert_int_eq(seal_add(s, 0, op), 0);
	ck_assert_int_eq(meta_apply(w.meta, op), 0);
	seal_finish(s, 0, NULL);
	seal_free(s);
	meta_op_free(op);
	asset_is(&w, &a, data, LEN);
	world_check(&w);
	free(data);
	world_close(&w);
}
END_TEST

START_TEST(a_blob_shorter_than_its_rows_is_an_error)
{
	struct world w;
	struct asset a;
	uint8_t *data = stream_new(7, LEN), *back = malloc(LEN);
	uint64_t off;
	struct view *v = NULL;
	CLEANUP_BUF struct buf path = BUF_INIT;

	world_open(&w);
	asset_of(&w, &a, data, LEN);
	ck_assert_int_eq(blobs_path(w.blobs, place_of(&w, 1, &off), &path), 0);
	ck_assert_int_eq(truncate(path.data, LEN / 2), 0);
	ck_assert_int_eq(view_of_object(w.content, a.object, &v), 0);
	ck_assert_int_eq(view_read(v, back, 1000, 0), 1000);
	ck_assert_mem_eq(back, data, 1000);
	ck_assert_int_eq(view_read(v, back, LEN, 0), -EIO);
	ck_assert_int_eq(view_read(v, back, 10, LEN - 10), -EIO);
	view_put(v);
	/* An edit that has to read there fails and leaves the draft. */
	asset_edit(&w, &a);
	draft_put(a.draft, "x", 1, LEN - 100);
	struct seal *s = NULL;

	ck_assert_int_eq(seal_prepare(w.content, &a.draft, 1, NULL, NULL, &s), -EIO);
	ck_assert_ptr_null(s);
	draft_free(a.draft);
	free(back);
	free(data);
	world_close(&w);
}
END_TEST

START_TEST(views_of_what_is_not_there)
{
	struct world w;
	struct view *v = NULL;
	uint8_t back[4] = "abc";

	world_open(&w);
	ck_assert_int_eq(view_of_object(w.content, 12345, &v), -ENOENT);
	ck_assert_ptr_null(v);
	ck_assert_int_eq(view_of_zeros(0, &v), 0);
	ck_assert_int_eq(view_read(v, back, 4, 0), 0);
	ck_assert_int_eq(view_seek(v, 0, SEEK_HOLE), -ENXIO);
	ck_assert_ptr_null(view_find(v, 0));
	view_put(v);
	ck_assert_int_eq(view_of_zeros(3, &v), 0);
	ck_assert_ptr_eq(view_get(v), v);
	view_put(v);
	ck_assert_int_eq(view_read(v, back, 4, 1), 2);
	ck_assert_mem_eq(back, "\0\0c", 4);
	ck_assert_int_eq(view_seek(v, 1, SEEK_HOLE), 1);
	ck_assert_int_eq(view_seek(v, 1, SEEK_DATA), -ENXIO);
	view_put(v);
	view_put(NULL);
	world_close(&w);
}
END_TEST

UNIT_MAIN("seal-heal", 120, a_flipped_byte_is_healed, a_short_blob_is_healed,
	  a_missing_blob_is_healed, a_punched_range_is_healed, a_bundled_chunk_is_healed,
	  an_import_heals, a_blob_shorter_than_its_rows_is_an_error, views_of_what_is_not_there)
