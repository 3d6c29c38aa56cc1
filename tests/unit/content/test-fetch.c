/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Fetching: what comes, how often it is asked for, where it is kept, and who is told. */
#include "config.h"

#include "fetch-unit.h"
#include "content/space.h"

#include <pthread.h>
#include <stdatomic.h>

enum { LEN = 100 * 1000, LONG = 1000 * 1000, READERS = 8 };

START_TEST(each_chunk_is_fetched_once)
{
	struct away a;
	struct asset asset;
	uint8_t *data = stream_new(1, LEN);

	away_open(&a, FETCH_KEEP);
	size_t chunks = away_asset(&a, &asset, data, LEN);
	unsigned before = away_gets(&a);
	struct view *v = away_view(&a, &asset);
	uint8_t byte;

	ck_assert_uint_gt(chunks, 10);
	ck_assert_int_eq(view_read_here(v, &byte, 1, 0), -EREMOTE);
	ck_assert_int_eq(view_read_now(v, &byte, 1, 0), -EAGAIN);
	away_reads(v, data, LEN, 777);
	away_reads(v, data, LEN, LEN);
	ck_assert_uint_eq(away_gets(&a) - before, chunks);
	ck_assert_int_eq(view_read_here(v, &byte, 1, LEN / 2), 1);
	view_put(v);
	away_close(&a);
	free(data);
}
END_TEST

START_TEST(a_small_read_fetches_one_chunk)
{
	struct away a;
	struct asset asset;
	uint8_t *data = stream_new(2, LEN), got[64];

	away_open(&a, FETCH_KEEP);
	away_asset(&a, &asset, data, LEN);
	unsigned before = away_gets(&a);
	struct view *v = away_view(&a, &asset);

	ck_assert_int_eq(view_read(v, got, 64, LEN / 2), 64);
	ck_assert(!memcmp(got, data + LEN / 2, 64));
	ck_assert_uint_le(away_gets(&a) - before, 2);
	view_put(v);
	away_close(&a);
	free(data);
}
END_TEST

/* What was fetched is found by whoever comes later, and all of an object is a home like any other. */
START_TEST(what_was_fetched_is_kept)
{
	struct away a;
	struct asset asset;
	uint8_t *data = stream_new(3, LEN);

	away_open(&a, FETCH_KEEP);
	size_t chunks = away_asset(&a, &asset, data, LEN);
	struct view *v = away_view(&a, &asset);

	away_reads(v, data, LEN, 4096);
	ck_assert_int_eq(fetch_record(a.w.content), 0);
	ck_assert_uint_eq(away_places(&a), chunks);
	view_put(v);
	unsigned before = away_gets(&a);

	v = away_view(&a, &asset);
	ck_assert_uint_eq(v->count, 1);
	ck_assert_ptr_nonnull(view_whole(v));
	away_reads(v, data, LEN, LEN);
	view_put(v);
	away_restart(&a, FETCH_KEEP);
	world_collect(&a.w, INT64_C(1) << 60, 0, 100);
	v = away_view(&a, &asset);
	away_reads(v, data, LEN, LEN);
	view_put(v);
	ck_assert_uint_eq(away_gets(&a), before);
	ck_assert_uint_eq(world_check(&a.w), chunks);
	away_close(&a);
	free(data);
}
END_TEST

/* Some of it, by the clock, and by the end of the process. */
START_TEST(a_part_is_kept_too)
{
	struct away a;
	struct asset asset;
	uint8_t *data = stream_new(4, LEN), got[3000];
	size_t places = 0;

	away_open(&a, FETCH_KEEP);
	away_asset(&a, &asset, data, LEN);
	struct view *v = away_view(&a, &asset);

	ck_assert_int_eq(view_read(v, got, sizeof got, 50000), sizeof got);
	int64_t end = time_mono_ns() + UNIT_PATIENCE_NS;

	while (!places && time_mono_ns() < end) {
		usleep(10000);
		places = away_places(&a);
	}
	ck_assert_uint_gt(places, 0);
	ck_assert_int_eq(view_read(v, got, sizeof got, 10000), sizeof got);
	view_put(v);
	away_restart(&a, FETCH_KEEP);
	ck_assert_uint_gt(away_places(&a), places);
	v = away_view(&a, &asset);
	unsigned before = away_gets(&a);

	ck_assert_int_eq(view_read(v, got, sizeof got, 10000), sizeof got);
	ck_assert(!memcmp(got, data + 10000, sizeof got));
	ck_assert_uint_eq(away_gets(&a), before);
	away_reads(v, data, LEN, 5000);
	view_put(v);
	away_close(&a);
	free(data);
}
END_TEST

/* What a process began to fetch another goes on with: all of it is one file in the end. */
START_TEST(a_part_is_gone_on_with)
{
	struct away a;
	struct asset asset;
	uint8_t *data = stream_new(3, LEN), got[3000];

	away_open(&a, FETCH_KEEP);
	away_asset(&a, &asset, data, LEN);
	for (uint64_t at = 0; at < LEN / 2; at += LEN / 5) {
		struct view *v = away_view(&a, &asset);

		ck_assert_int_eq(view_read(v, got, sizeof got, at), sizeof got);
		view_put(v);
		away_restart(&a, FETCH_KEEP);
	}
	size_t places = away_places(&a);
	struct view *v = away_view(&a, &asset);

	ck_assert_uint_ge(places, 3);
	away_reads(v, data, LEN, LEN);
	ck_assert_int_eq(fetch_record(a.w.content), 0);
	view_put(v);
	v = away_view(&a, &asset);
	ck_assert_ptr_nonnull(view_whole(v));
	away_reads(v, data, LEN, LEN);
	view_put(v);
	world_check(&a.w);
	away_close(&a);
	free(data);
}
END_TEST

/* Contents that would lie in a bundle do so again. */
START_TEST(small_contents_share_a_bundle)
{
	struct away a;
	struct asset assets[20];
	uint8_t *data = stream_new(5, 20 * 300);

	away_open(&a, FETCH_KEEP);
	for (int i = 0; i < 20; i++)
		ck_assert_uint_eq(away_asset(&a, &assets[i], data + 300 * i, 300), 1);
	for (int i = 0; i < 20; i++) {
		struct view *v = away_view(&a, &assets[i]);

		away_reads(v, data + 300 * i, 300, 300);
		view_put(v);
	}
	ck_assert_int_eq(fetch_record(a.w.content), 0);
	ck_assert_uint_eq(away_places(&a), 20);
	int64_t blob = 0;

	for (int i = 0; i < 20; i++) {
		struct view *v = away_view(&a, &assets[i]);

		ck_assert_int_eq(v->runs[0].kind, VIEW_BLOB);
		blob = blob ? blob : blob_id(v->runs[0].blob);
		ck_assert_int_eq(blob_id(v->runs[0].blob), blob);
		view_put(v);
	}
	world_check(&a.w);
	away_close(&a);
	free(data);
}
END_TEST

struct reader {
	pthread_t thread;
	const struct view *view;
	const uint8_t *data;
	size_t step;
};

static void *read_all(void *arg)
{
	const struct reader *r = arg;

	away_reads(r->view, r->data, LEN, r->step);
	return NULL;
}

START_TEST(many_readers_wait_for_one_transfer)
{
	struct away a;
	struct asset asset;
	uint8_t *data = stream_new(6, LEN);
	struct reader readers[READERS];

	away_open(&a, FETCH_KEEP);
	size_t chunks = away_asset(&a, &asset, data, LEN);
	unsigned before = away_gets(&a);
	struct view *views[2] = { away_view(&a, &asset), away_view(&a, &asset) };

	for (size_t i = 0; i < READERS; i++) {
		readers[i] = (struct reader){ .view = views[i % 2], .data = data, .step = 997 + i };
		ck_assert_int_eq(pthread_create(&readers[i].thread, NULL, read_all, &readers[i]),
				 0);
	}
	for (size_t i = 0; i < READERS; i++)
		pthread_join(readers[i].thread, NULL);
	ck_assert_uint_eq(away_gets(&a) - before, chunks);
	view_put(views[0]);
	view_put(views[1]);
	world_check(&a.w);
	away_close(&a);
	free(data);
}
END_TEST

/* Who reads on has what follows fetched at the same time, and nothing twice. */
START_TEST(a_steady_reader_is_fetched_for_ahead)
{
	struct away a;
	struct asset asset;
	uint8_t *data = stream_new(7, LONG);

	away_open(&a, FETCH_KEEP);
	size_t chunks = away_asset(&a, &asset, data, LONG);
	unsigned before = away_gets(&a);
	struct view *v = away_view(&a, &asset);

	away_reads(v, data, LONG, 1000);
	ck_assert_uint_eq(away_gets(&a) - before, chunks);
	view_put(v);
	away_close(&a);
	free(data);
}
END_TEST

/* How many come ahead of the reader: nothing comes any more, and he reads as far as he can. */
START_TEST(as_many_come_ahead_as_may)
{
	struct away a;
	struct asset asset;
	uint8_t *data = stream_new(7, LONG), got[1000];
	struct fetch_status st = { .transfers = 1 };
	size_t at = LONG * 7 / 10;

	away_open(&a, FETCH_KEEP);
	away_asset(&a, &asset, data, LONG);
	struct view *v = away_view(&a, &asset);

	away_reads(v, data, at, 1000);
	int64_t end = time_mono_ns() + UNIT_PATIENCE_NS;

	while (st.transfers + st.waiting && time_mono_ns() < end) {
		usleep(5000);
		fetch_status(a.w.content, &st);
	}
	server_fault(a.lab.server, (struct fault){ .kind = FAULT_HANG, .method = "GET" });
	while (view_read_here(v, got, 1000, at) == 1000)
		at += 1000;
	fetch_status(a.w.content, &st);
	ck_assert_uint_gt(st.transfers + st.waiting, 4);
	ck_assert_uint_le(st.transfers + st.waiting, fetch_ahead_max(a.w.content));
	view_put(v);
	away_close(&a);
	free(data);
}
END_TEST

/* A library that is opened for reading, say: nothing is written, and memory is all there is. */
START_TEST(memory_is_limited)
{
	struct away a;
	struct asset asset;
	uint8_t *data = stream_new(8, LONG);
	struct fetch_params params = { .memory_bytes = 32768, .timeout_ns = UNIT_PATIENCE_NS };
	struct fetch_status st;

	away_open(&a, params);
	size_t chunks = away_asset(&a, &asset, data, LONG);
	unsigned before = away_gets(&a);
	struct view *v = away_view(&a, &asset);

	for (size_t at = 0; at < LONG; at += 10000) {
		uint8_t got[10000];

		ck_assert_int_eq(view_read(v, got, sizeof got, at), sizeof got);
		ck_assert(!memcmp(got, data + at, sizeof got));
		fetch_status(a.w.content, &st);
		ck_assert_uint_le(st.memory_bytes, 32768 + 8192);
	}
	ck_assert_uint_lt(away_gets(&a) - before, chunks * 5 / 4);
	ck_assert_uint_eq(away_places(&a), 0);
	away_reads(v, data, LONG, LONG);
	view_put(v);
	away_close(&a);
	free(data);
}
END_TEST

/* What there was no room for stays in memory, and is kept when someone asks for it and there is. */
START_TEST(what_found_no_room_is_kept_later)
{
	struct away a;
	struct asset asset;
	uint8_t *data = stream_new(18, LEN);
	uint64_t bytes = 0;

	away_open(&a, FETCH_KEEP);
	size_t chunks = away_asset(&a, &asset, data, LEN);
	struct view *v = away_view(&a, &asset);

	space_allow(a.w.content, space_taken(a.w.content), 0, 0);
	ck_assert_int_eq(view_pull(v, NULL, NULL, &bytes), 0);
	ck_assert_int_eq(fetch_record(a.w.content), 0);
	ck_assert_uint_eq(away_places(&a), 0);
	unsigned before = away_gets(&a);

	space_allow(a.w.content, space_taken(a.w.content), UINT64_MAX, 0);
	ck_assert_int_eq(view_pull(v, NULL, NULL, &bytes), 0);
	ck_assert_int_eq(fetch_record(a.w.content), 0);
	ck_assert_uint_eq(away_places(&a), chunks);
	ck_assert_uint_eq(away_gets(&a), before);
	away_reads(v, data, LEN, LEN);
	view_put(v);
	away_close(&a);
	free(data);
}
END_TEST

/* Sealing an edit does not wait: it is told to come again. */
START_TEST(a_seal_comes_again)
{
	struct away a;
	struct asset asset;
	struct seal_stats stats;
	uint8_t *data = stream_new(9, LEN);
	struct asset *one = &asset;
	int64_t end = time_mono_ns() + UNIT_PATIENCE_NS;
	int tries = 0, err;

	away_open(&a, FETCH_KEEP);
	size_t chunks = away_asset(&a, &asset, data, LEN);
	unsigned before = away_gets(&a);

	asset_edit(&a.w, &asset);
	memset(data + LEN / 2, 'x', 10);
	draft_put(asset.draft, data + LEN / 2, 10, LEN / 2);
	asset_save(&a.w, &asset);
	while ((err = assets_seal(&a.w, &one, 1, &stats)) == -EREMOTE) {
		ck_assert_int_lt(time_mono_ns(), end);
		tries++;
		usleep(10000);
	}
	ck_assert_int_eq(err, 0);
	ck_assert_int_gt(tries, 0);
	ck_assert_uint_lt(away_gets(&a) - before, chunks / 2);
	asset_is(&a.w, &asset, data, LEN);
	away_close(&a);
	free(data);
}
END_TEST

/* Drafts over what is not here read as any. */
START_TEST(a_draft_reads_its_base)
{
	struct away a;
	struct asset asset;
	uint8_t *data = stream_new(10, LEN), byte;

	away_open(&a, FETCH_KEEP);
	away_asset(&a, &asset, data, LEN);
	asset_edit(&a.w, &asset);
	memset(data + 500, 'x', 10);
	draft_put(asset.draft, data + 500, 10, 500);
	ck_assert_int_eq(draft_read_here(asset.draft, &byte, 1, 505), 1);
	ck_assert_int_eq(draft_read_here(asset.draft, &byte, 1, 0), -EREMOTE);
	draft_is(asset.draft, data, LEN);
	ck_assert_int_eq(draft_read_here(asset.draft, &byte, 1, 0), 1);
	draft_free(asset.draft);
	away_close(&a);
	free(data);
}
END_TEST

/* A blob that someone removed is no loss where the bucket has its chunks. */
START_TEST(a_missing_blob_is_fetched)
{
	struct away a;
	struct asset asset;
	uint8_t *data = stream_new(11, LEN);
	struct away_pieces p = { .data = data };

	away_open(&a, FETCH_KEEP);
	asset_of(&a.w, &asset, data, LEN);
	p.store = away_store(&a);
	ck_assert_int_ge(META_QUERY(a.w.meta, OBJECT_CHUNKS, away_put, &p, META_I(asset.object)),
			 0);
	store_close(p.store);
	struct view *v = away_view(&a, &asset);
	int64_t blob = blob_id(v->runs[0].blob);

	view_put(v);
	away_restart(&a, FETCH_KEEP);
	ck_assert_int_eq(blobs_unlink(a.w.blobs, blob), 0);
	v = away_view(&a, &asset);
	away_reads(v, data, LEN, 5000);
	view_put(v);
	away_close(&a);
	free(data);
}
END_TEST

UNIT_MAIN("fetch", 60, each_chunk_is_fetched_once, a_small_read_fetches_one_chunk,
	  what_was_fetched_is_kept, a_part_is_kept_too, a_part_is_gone_on_with,
	  small_contents_share_a_bundle, many_readers_wait_for_one_transfer,
	  a_steady_reader_is_fetched_for_ahead, as_many_come_ahead_as_may, memory_is_limited,
	  what_found_no_room_is_kept_later, a_seal_comes_again, a_draft_reads_its_base,
	  a_missing_blob_is_fetched)
