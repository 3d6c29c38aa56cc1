/* SPDX-License-Identifier: GPL-3.0-or-later */
/* content/seal.h: what sealing reads, keeps and gives back. Importing, editing and healing have tests of their own. */
#include "config.h"

#include "world.h"

enum { LEN = 200000 };

static int count_file(void *arg, int64_t id)
{
	(void)id;
	++*(size_t *)arg;
	return 0;
}

START_TEST(a_sealed_draft_becomes_its_object)
{
	struct world w;
	struct asset a;
	uint8_t *data = stream_new(1, LEN);

	world_open(&w);
	struct seal_stats stats = asset_of(&w, &a, data, LEN);

	ck_assert_int_gt(a.object, 0);
	ck_assert_uint_eq(stats.size, LEN);
	ck_assert_uint_eq(stats.data, LEN);
	ck_assert_uint_eq(stats.read_bytes, LEN);
	ck_assert_uint_eq(stats.new_bytes, LEN);
	ck_assert_uint_eq(stats.chunks, stats.new_chunks);
	ck_assert_uint_gt(stats.chunks, 20);
	asset_is(&w, &a, data, LEN);

	/* One blob, at natural offsets: one run. */
	struct view *v = NULL;

	ck_assert_int_eq(view_of_object(w.content, a.object, &v), 0);
	ck_assert_uint_eq(v->count, 1);
	ck_assert_int_eq(v->runs[0].kind, VIEW_BLOB);
	ck_assert_uint_eq(v->runs[0].off, 0);
	view_put(v);
	ck_assert_uint_eq(world_check(&w), stats.chunks);
	world_restart(&w);
	asset_is(&w, &a, data, LEN);
	free(data);
	world_close(&w);
}
END_TEST

START_TEST(empty_content_has_no_object)
{
	struct world w;
	struct asset a;

	world_open(&w);
	asset_of(&w, &a, NULL, 0);
	ck_assert_int_eq(a.object, 0);
	asset_edit(&w, &a);
	draft_put(a.draft, "x", 1, 0);
	asset_seal(&w, &a);
	ck_assert_int_gt(a.object, 0);
	asset_edit(&w, &a);
	ck_assert_int_eq(draft_truncate(a.draft, 0), 0);
	asset_seal(&w, &a);
	ck_assert_int_eq(a.object, 0);
	world_close(&w);
}
END_TEST

START_TEST(the_same_content_is_stored_once)
{
	struct world w;
	struct asset a, b;
	uint8_t *data = stream_new(2, LEN);

	world_open(&w);
	asset_of(&w, &a, data, LEN);
	uint64_t before = world_bytes(&w);
	struct seal_stats stats = asset_of(&w, &b, data, LEN);

	ck_assert_int_eq(a.object, b.object);
	ck_assert_uint_eq(stats.new_chunks, 0);
	ck_assert_uint_eq(stats.new_bytes, 0);
	ck_assert_uint_eq(stats.healed, 0);
	ck_assert_uint_eq(world_bytes(&w), before);
	world_check(&w);
	free(data);
	world_close(&w);
}
END_TEST

/* What is known of a new file is given back, what is new stays, and nothing else is lost. */
START_TEST(known_ranges_are_given_back)
{
	struct world w;
	struct asset a, b;
	uint8_t *data = stream_new(3, 2 * LEN + 4096);

	world_open(&w);
	asset_of(&w, &a, data + LEN + 4096, LEN);
	uint64_t before = world_bytes(&w);
	struct seal_stats stats = asset_of(&w, &b, data, 2 * LEN + 4096);

	ck_assert_uint_lt(stats.new_bytes, LEN + 4096 + 4 * 8192);
	ck_assert_uint_lt(world_bytes(&w), before + LEN + 4096 + 6 * 8192);
	asset_is(&w, &b, data, 2 * LEN + 4096);
	asset_is(&w, &a, data + LEN + 4096, LEN);
	world_check(&w);
	free(data);
	world_close(&w);
}
END_TEST

/* Where storage can be shared between files, a file stays whole; else it is read from where its parts are. */
START_TEST(a_shared_beginning_is_kept_where_storage_is_shared)
{
	struct world w;
	struct asset a, b;
	uint8_t *data = stream_new(20, LEN);
	struct view *v = NULL;

	world_open(&w);
	asset_of(&w, &a, data, LEN);
	data[LEN - 1]++;
	struct seal_stats stats = asset_of(&w, &b, data, LEN);

	ck_assert_uint_eq(stats.new_chunks, 1);
	asset_is(&w, &b, data, LEN);
	ck_assert_int_eq(view_of_object(w.content, b.object, &v), 0);
	ck_assert_uint_eq(v->count, blobs_caps(w.blobs)->reflink ? 1 : 2);
	view_put(v);
	world_check(&w);
	/* Collection knows of both copies. */
	world_collect(&w, 1000, 0, 100);
	asset_is(&w, &b, data, LEN);
	data[LEN - 1]--;
	asset_remove(&w, &b);
	world_collect(&w, 1000, 0, 100);
	asset_is(&w, &a, data, LEN);
	world_check(&w);
	free(data);
	world_close(&w);
}
END_TEST

START_TEST(repetition_within_a_file_is_stored_once)
{
	struct world w;
	struct asset a;
	uint8_t *data = calloc(1, LEN);

	world_open(&w);
	memset(data, 'r', LEN);
	struct seal_stats stats = asset_of(&w, &a, data, LEN);

	ck_assert_uint_le(stats.new_chunks, 2);
	ck_assert_uint_lt(world_bytes(&w), 5 * 8192);
	asset_is(&w, &a, data, LEN);
	world_check(&w);
	free(data);
	world_close(&w);
}
END_TEST

/* A front insertion into `len` bytes: at most three chunks of the new file are new. */
static void check_insertion(const struct chunker_params *params, size_t len, size_t insert,
			    uint64_t seed)
{
	struct world w;
	struct asset a, b;
	uint8_t *data = stream_new(seed, insert + len);
	char dir[64];
	int fd = unit_make_dir(dir);

	world_open_in(&w, dir, params, 512);
	w.dir_fd = fd;
	asset_of(&w, &a, data + insert, len);
	struct seal_stats stats = asset_of(&w, &b, data, insert + len);

	ck_assert_uint_ge(stats.new_chunks, 1);
	ck_assert_uint_le(stats.new_chunks, 3);
	asset_is(&w, &b, data, insert + len);
	free(data);
	world_close(&w);
}

START_TEST(an_insertion_at_the_front_costs_three_chunks)
{
	check_insertion(&WORLD_SMALL, 1000000, 1024, 5);
	check_insertion(&WORLD_SMALL, 1000000, 1000, 6);
}
END_TEST

START_TEST(with_default_chunks_too)
{
	check_insertion(&CHUNKER_DEFAULT, 128 * 1048576, 1048576, 7);
}
END_TEST

START_TEST(fixed_chunks_work_too)
{
	struct chunker_params fixed = { CHUNKER_FIXED, 4096, 4096, 4096 };
	struct world w;
	struct asset a, b;
	uint8_t *data = stream_new(8, LEN);
	char dir[64];
	int fd = unit_make_dir(dir);

	world_open_in(&w, dir, &fixed, 512);
	w.dir_fd = fd;
	asset_of(&w, &a, data, LEN);
	data[10000]++;
	ck_assert_uint_eq(asset_of(&w, &b, data, LEN).new_chunks, 1);
	asset_edit(&w, &b);
	data[50000]++;
	draft_put(b.draft, data + 50000, 1, 50000);
	struct seal_stats stats = asset_seal(&w, &b);

	ck_assert_uint_eq(stats.new_chunks, 1);
	ck_assert_uint_eq(stats.read_bytes, 4096);
	asset_is(&w, &b, data, LEN);
	world_check(&w);
	free(data);
	world_close(&w);
}
END_TEST

START_TEST(holes_are_kept)
{
	struct world w;
	struct asset a;
	uint8_t *data = calloc(1, LEN);
	uint64_t state = 9;

	world_open(&w);
	asset_new(&w, &a);
	stream_fill(&state, data, 3000);
	stream_fill(&state, data + 100000, 3000);
	draft_put(a.draft, data, 3000, 0);
	draft_put(a.draft, data + 100000, 3000, 100000);
	ck_assert_int_eq(draft_truncate(a.draft, LEN), 0);
	struct seal_stats stats = asset_seal(&w, &a);
	struct view *v = NULL;

	ck_assert_uint_lt(stats.data, 20000);
	asset_is(&w, &a, data, LEN);
	ck_assert_int_eq(view_of_object(w.content, a.object, &v), 0);
	int64_t hole = view_seek(v, 0, SEEK_HOLE);

	ck_assert_int_ge(hole, 3000);
	ck_assert_int_le(hole, 4096);
	ck_assert_int_gt(view_seek(v, (uint64_t)hole, SEEK_DATA), 90000);
	ck_assert_int_eq(view_seek(v, LEN - 1, SEEK_HOLE), LEN - 1);
	ck_assert_int_eq(view_seek(v, LEN - 1, SEEK_DATA), -ENXIO);
	ck_assert_int_eq(view_seek(v, LEN, SEEK_HOLE), -ENXIO);
	view_put(v);
	world_check(&w);
	free(data);
	world_close(&w);
}
END_TEST

START_TEST(a_terabyte_of_nothing_costs_nothing)
{
	struct world w;
	struct asset a, b;
	uint64_t tera = UINT64_C(1) << 40;

	world_open(&w);
	asset_new(&w, &a);
	ck_assert_int_eq(draft_truncate(a.draft, tera), 0);
	draft_put(a.draft, "middle", 6, tera / 2);
	struct seal_stats stats = asset_seal(&w, &a);

	ck_assert_uint_eq(stats.size, tera);
	ck_assert_uint_le(stats.read_bytes, 8192);
	asset_new(&w, &b);
	ck_assert_int_eq(draft_truncate(b.draft, tera), 0);
	stats = asset_seal(&w, &b);
	ck_assert_uint_eq(stats.chunks, 0);
	ck_assert_uint_eq(stats.data, 0);
	asset_edit(&w, &b);
	draft_put(b.draft, "late", 4, tera - 4);
	stats = asset_seal(&w, &b);
	ck_assert_uint_le(stats.read_bytes, 8192);

	struct view *v = NULL;
	char back[4];

	ck_assert_int_eq(view_of_object(w.content, b.object, &v), 0);
	ck_assert_int_eq(view_read(v, back, 4, tera - 4), 4);
	ck_assert_mem_eq(back, "late", 4);
	view_put(v);
	world_check(&w);
	world_close(&w);
}
END_TEST

START_TEST(small_files_share_a_bundle)
{
	struct world w;
	struct asset assets[100], *list[100];
	uint8_t data[100][500];
	size_t files = 0, before;
	uint64_t state = 10;

	world_open(&w);
	for (size_t i = 0; i < 100; i++) {
		list[i] = &assets[i];
		asset_new(&w, list[i]);
		stream_fill(&state, data[i], 500);
		/* Every tenth is as the one before. */
		if (i % 10 == 9)
			memcpy(data[i], data[i - 1], 500);
		draft_put(list[i]->draft, data[i], 400 + i, 0);
		if (i % 10 == 9)
			ck_assert_int_eq(draft_truncate(list[i]->draft, 400 + i - 1), 0);
	}
	ck_assert_int_eq(blobs_scan(w.blobs, count_file, &files), 0);
	before = files;
	files = 0;
	struct seal_stats stats[100];

	ck_assert_int_eq(assets_seal(&w, list, 100, stats), 0);
	ck_assert_int_eq(blobs_scan(w.blobs, count_file, &files), 0);
	ck_assert_uint_eq(files, before + 1);
	for (size_t i = 0; i < 100; i++) {
		asset_is(&w, list[i], data[i], 400 + i - (i % 10 == 9));
		ck_assert_uint_eq(stats[i].new_chunks, i % 10 != 9);
		if (i % 10 == 9)
			ck_assert_int_eq(list[i]->object, list[i - 1]->object);
	}
	ck_assert_uint_lt(world_bytes(&w), 65536);
	ck_assert_uint_eq(world_check(&w), 90);
	world_close(&w);
}
END_TEST

static int bundle_count(struct world *w, int64_t *blob_of, struct asset *assets, size_t count)
{
	int different = 0;

	for (size_t i = 0; i < count; i++) {
		struct view *v = NULL;

		ck_assert_int_eq(view_of_object(w->content, assets[i].object, &v), 0);
		ck_assert_uint_eq(v->count, 1);
		blob_of[i] = blob_id(v->runs[0].blob);
		view_put(v);
		different += !i || blob_of[i] != blob_of[i - 1];
	}
	return different;
}

START_TEST(bundles_are_closed_when_full_and_taken_up_after_a_restart)
{
	struct world w;
	struct asset assets[300];
	int64_t blob_of[300];
	uint8_t data[500];
	uint64_t state = 11;

	world_open(&w);
	for (size_t i = 0; i < 300; i++) {
		stream_fill(&state, data, 500);
		asset_of(&w, &assets[i], data, 500);
		asset_is(&w, &assets[i], data, 500);
		if (i % 50 == 49)
			world_restart(&w);
	}
	/* 150 000 bytes in bundles of 65 536. */
	ck_assert_int_eq(bundle_count(&w, blob_of, assets, 300), 3);
	world_check(&w);
	world_close(&w);
}
END_TEST

static int stop_at(void *arg)
{
	return --*(int *)arg <= 0;
}

START_TEST(a_seal_can_be_stopped)
{
	struct world w;
	struct asset a;
	struct seal *s = NULL;
	uint8_t *data = stream_new(12, LEN);
	int stopped = 0;

	world_open(&w);
	asset_new(&w, &a);
	draft_put(a.draft, data, LEN, 0);
	for (int at = 1; at < 1000; at++) {
		int left = at;
		int err = seal_prepare(w.content, &a.draft, 1, stop_at, &left, &s);

		if (!err)
			break;
		ck_assert_int_eq(err, -ECANCELED);
		ck_assert_ptr_null(s);
		stopped++;
	}
	ck_assert_int_gt(stopped, 3);
	draft_is(a.draft, data, LEN);
	seal_free(s);
	/* Not finished: the draft is as it was, and can be sealed again. */
	draft_put(a.draft, "more", 4, 0);
	memcpy(data, "more", 4);
	asset_seal(&w, &a);
	asset_is(&w, &a, data, LEN);
	free(data);
	world_close(&w);
}
END_TEST

START_TEST(a_draft_that_changes_is_not_committed)
{
	struct world w;
	struct asset a;
	struct seal *s = NULL;
	struct meta_op *op = meta_op_new();

	world_open(&w);
	asset_new(&w, &a);
	draft_put(a.draft, "before", 6, 0);
	ck_assert_int_eq(seal_prepare(w.content, &a.draft, 1, NULL, NULL, &s), 0);
	draft_put(a.draft, "after!", 6, 0);
	ck_assert_int_eq(seal_add(s, 0, op), -ECANCELED);
	ck_assert_uint_eq(meta_op_count(op), 0);
	seal_free(s);
	meta_op_free(op);
	asset_seal(&w, &a);
	asset_is(&w, &a, (const uint8_t *)"after!", 6);
	world_close(&w);
}
END_TEST

/* What a seal relies on goes between its two halves: the operation fails and a second try succeeds. */
START_TEST(a_chunk_collected_meanwhile_is_noticed)
{
	struct world w;
	struct asset a, b;
	struct seal *s = NULL;
	struct meta_op *op = meta_op_new();
	uint8_t *data = stream_new(13, LEN);

	world_open(&w);
	asset_of(&w, &a, data, LEN);
	asset_new(&w, &b);
	draft_put(b.draft, data, LEN, 0);
	ck_assert_int_eq(seal_prepare(w.content, &b.draft, 1, NULL, NULL, &s), 0);
	asset_remove(&w, &a);
	world_collect(&w, 1000, 0, 100);
	ck_assert_int_eq(asset_add_seal(&b, s, 0, op), 0);
	ck_assert_int_eq(meta_apply(w.meta, op), -EAGAIN);
	seal_free(s);
	meta_op_free(op);
	ck_assert_uint_gt(asset_seal(&w, &b).new_chunks, 0);
	asset_is(&w, &b, data, LEN);
	world_check(&w);
	free(data);
	world_close(&w);
}
END_TEST

UNIT_MAIN("seal", 240, a_sealed_draft_becomes_its_object, empty_content_has_no_object,
	  the_same_content_is_stored_once, known_ranges_are_given_back,
	  a_shared_beginning_is_kept_where_storage_is_shared,
	  repetition_within_a_file_is_stored_once, an_insertion_at_the_front_costs_three_chunks,
	  with_default_chunks_too, fixed_chunks_work_too, holes_are_kept,
	  a_terabyte_of_nothing_costs_nothing, small_files_share_a_bundle,
	  bundles_are_closed_when_full_and_taken_up_after_a_restart, a_seal_can_be_stopped,
	  a_draft_that_changes_is_not_committed, a_chunk_collected_meanwhile_is_noticed)
