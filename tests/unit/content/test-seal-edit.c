/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Editing what is sealed: costs what changed, and gives the very object that the whole content would have given, cut from
 * the front.
 */
#include "config.h"

#include "world.h"

enum { LEN = 1000000, CHUNK_MAX = 8192 };

struct trial {
	struct world w;
	struct asset a;
	uint8_t *data;
	size_t len;
};

static void trial_open(struct trial *t, uint64_t seed)
{
	world_open(&t->w);
	t->data = stream_new(seed, LEN * 2);
	t->len = LEN;
	asset_of(&t->w, &t->a, t->data, LEN);
}

static void trial_close(struct trial *t)
{
	free(t->data);
	world_close(&t->w);
}

/* Seals the edit; a fresh file of the same bytes must come to the same object. */
static struct seal_stats trial_seal(struct trial *t)
{
	struct asset fresh;
	struct seal_stats stats = asset_seal(&t->w, &t->a);

	asset_is(&t->w, &t->a, t->data, t->len);
	struct seal_stats whole = asset_of(&t->w, &fresh, t->data, t->len);

	ck_assert_uint_eq(whole.new_chunks, 0);
	ck_assert_uint_eq(whole.healed, 0);
	ck_assert_int_eq(fresh.object, t->a.object);
	asset_remove(&t->w, &fresh);
	return stats;
}

static void trial_write(struct trial *t, size_t off, size_t len, uint64_t seed)
{
	stream_fill(&seed, t->data + off, len);
	draft_put(t->a.draft, t->data + off, len, off);
	if (off + len > t->len)
		t->len = off + len;
}

START_TEST(a_small_edit_reads_at_most_three_chunks)
{
	struct trial t;
	uint64_t state = 1, written = 0;

	trial_open(&t, 1);
	uint64_t before = world_bytes(&t.w);

	for (int i = 0; i < 60; i++) {
		size_t len = 1 + stream_below(&state, 512);
		size_t off = stream_below(&state, LEN - len);

		asset_edit(&t.w, &t.a);
		trial_write(&t, off, len, 1000 + (uint64_t)i);
		struct seal_stats stats = trial_seal(&t);

		ck_assert_uint_ge(stats.new_chunks, 1);
		ck_assert_uint_le(stats.new_chunks, 4);
		ck_assert_uint_le(stats.read_bytes, 3 * CHUNK_MAX);
		ck_assert_uint_le(stats.new_bytes, 4 * CHUNK_MAX);
		written += stats.new_bytes;
	}
	world_check(&t.w);
	/* Each edit has a blob, whose ends are rounded to blocks; what else its draft had in it is given back. */
	world_restart(&t.w);
	ck_assert_uint_le(world_bytes(&t.w), before + written + 60 * 2 * 4096);
	trial_close(&t);
}
END_TEST

/* With the chunks that libraries have: 4 KiB changed in 96 MiB. */
START_TEST(with_default_chunks_too)
{
	struct world w;
	struct asset a;
	size_t len = 96 * 1048576;
	uint8_t *data = stream_new(2, len);
	char dir[64];
	int fd = unit_make_dir(dir);
	uint64_t most = 0;

	world_open_in(&w, dir, &CHUNKER_DEFAULT, 0);
	w.dir_fd = fd;
	asset_of(&w, &a, data, len);
	for (size_t i = 0; i < 6; i++) {
		size_t off = (i * 2 + 1) * len / 12;

		asset_edit(&w, &a);
		memset(data + off, (int)i, 4096);
		draft_put(a.draft, data + off, 4096, off);
		struct seal_stats stats = asset_seal(&w, &a);

		ck_assert_uint_le(stats.new_chunks, 3);
		most = stats.read_bytes > most ? stats.read_bytes : most;
	}
	ck_assert_uint_le(most, 3 * 4 * 1048576);
	asset_is(&w, &a, data, len);
	world_check(&w);
	free(data);
	world_close(&w);
}
END_TEST

START_TEST(nothing_changed_reads_nothing)
{
	struct trial t;
	int64_t object;

	trial_open(&t, 3);
	object = t.a.object;
	asset_edit(&t.w, &t.a);
	struct seal_stats stats = trial_seal(&t);

	ck_assert_int_eq(t.a.object, object);
	ck_assert_uint_eq(stats.read_bytes, 0);
	ck_assert_uint_eq(stats.new_chunks, 0);
	trial_close(&t);
}
END_TEST

START_TEST(appending_reads_the_last_chunk)
{
	struct trial t;

	trial_open(&t, 4);
	for (uint64_t i = 0; i < 20; i++) {
		asset_edit(&t.w, &t.a);
		trial_write(&t, t.len, 100 + i * 300, 100 + i);
		struct seal_stats stats = trial_seal(&t);

		ck_assert_uint_le(stats.read_bytes, CHUNK_MAX + 100 + i * 300);
	}
	world_check(&t.w);
	trial_close(&t);
}
END_TEST

START_TEST(cutting_reads_the_last_chunk)
{
	struct trial t;

	trial_open(&t, 5);
	for (uint64_t i = 0; i < 20; i++) {
		asset_edit(&t.w, &t.a);
		t.len -= 1 + i * 777;
		ck_assert_int_eq(draft_truncate(t.a.draft, t.len), 0);
		struct seal_stats stats = trial_seal(&t);

		ck_assert_uint_le(stats.read_bytes, CHUNK_MAX);
	}
	/* Cut and written on: what lay beyond in the draft's file must not come back. */
	asset_edit(&t.w, &t.a);
	trial_write(&t, 300000, 50000, 9);
	ck_assert_int_eq(draft_truncate(t.a.draft, 310000), 0);
	memset(t.data + 310000, 0, 500);
	t.len = 310000;
	trial_write(&t, 310500, 2000, 10);
	trial_seal(&t);
	world_check(&t.w);
	trial_close(&t);
}
END_TEST

/* Long changes go through the parallel cutter, and fall back into step behind them. */
START_TEST(a_long_edit_reads_little_more_than_it_wrote)
{
	struct trial t;

	trial_open(&t, 6);
	asset_edit(&t.w, &t.a);
	trial_write(&t, 200000, 300000, 11);
	trial_write(&t, 700000, 100, 12);
	struct seal_stats stats = trial_seal(&t);

	ck_assert_uint_le(stats.read_bytes, 300000 + 16 * CHUNK_MAX);
	ck_assert_uint_le(stats.new_bytes, 300000 + 5 * CHUNK_MAX);
	world_check(&t.w);
	trial_close(&t);
}
END_TEST

START_TEST(random_edits_give_the_object_of_the_bytes)
{
	struct trial t;
	uint64_t state = 7;

	trial_open(&t, 7);
	for (int i = 0; i < 40; i++) {
		asset_edit(&t.w, &t.a);
		for (size_t k = 1 + stream_below(&state, 12); k > 0; k--) {
			size_t len = 1 +
				     stream_below(&state, stream_below(&state, 6) ? 2000 : 60000);
			size_t off = stream_below(&state, t.len);

			if (off + len > LEN * 2)
				len = LEN * 2 - off;
			trial_write(&t, off, len, stream_next(&state));
		}
		if (!stream_below(&state, 4)) {
			t.len -= stream_below(&state, t.len / 4);
			ck_assert_int_eq(draft_truncate(t.a.draft, t.len), 0);
		}
		if (stream_below(&state, 2)) {
			asset_save(&t.w, &t.a);
			asset_reopen(&t.w, &t.a);
		}
		trial_seal(&t);
	}
	world_check(&t.w);
	trial_close(&t);
}
END_TEST

/* Bytes of one object shifted within another: cut positions differ at first, then chunks are taken over. */
START_TEST(shared_ranges_are_taken_over)
{
	struct trial t;
	struct asset b;
	uint8_t *want = malloc(LEN);

	trial_open(&t, 8);
	asset_new(&t.w, &b);
	draft_put(b.draft, "heading", 7, 0);
	memcpy(want, "heading", 7);
	memcpy(want + 7, t.data + 100, 500000);
	ck_assert_int_eq(draft_share(b.draft, 7, t.a.object, 100, 500000), 0);
	asset_save(&t.w, &b);
	struct seal_stats stats = asset_seal(&t.w, &b);

	ck_assert_uint_le(stats.read_bytes, 10 * CHUNK_MAX);
	ck_assert_uint_le(stats.new_chunks, 6);
	asset_is(&t.w, &b, want, 500007);
	struct asset fresh;

	ck_assert_uint_eq(asset_of(&t.w, &fresh, want, 500007).new_chunks, 0);
	ck_assert_int_eq(fresh.object, b.object);
	world_check(&t.w);
	free(want);
	trial_close(&t);
}
END_TEST

/*
 * A sealer that has not noticed yet must not write over what is written meanwhile. The change is in many places, so that it is
 * streamed, and chunks are stored well after they were read.
 */
struct race {
	struct trial *t;
	uint64_t state;
	int left;
};

static int race_stop(void *arg)
{
	struct race *r = arg;

	if (--r->left)
		return 0;
	trial_write(r->t, 400000 + stream_below(&r->state, 100000), 50, stream_next(&r->state));
	r->left = 1 + (int)stream_below(&r->state, 20);
	return 0;
}

START_TEST(writing_while_it_is_sealed_wins)
{
	struct trial t;
	struct race r = { .t = &t, .state = 9 };
	int canceled = 0;

	trial_open(&t, 9);
	asset_edit(&t.w, &t.a);
	for (size_t i = 0; i < 100; i++)
		trial_write(&t, 400000 + 1000 * i, 10, i);
	for (int i = 0; i < 60; i++) {
		struct seal *s = NULL;
		struct meta_op *op = meta_op_new();

		r.left = 1 + (int)stream_below(&r.state, 20);
		int err = seal_prepare(t.w.content, &t.a.draft, 1, race_stop, &r, &s);

		if (!err)
			err = seal_add(s, 0, op);
		canceled += err == -ECANCELED;
		ck_assert(!err || err == -ECANCELED);
		seal_free(s);
		meta_op_free(op);
		draft_is(t.a.draft, t.data, t.len);
	}
	ck_assert_int_gt(canceled, 20);
	trial_seal(&t);
	trial_close(&t);
}
END_TEST

UNIT_MAIN("seal-edit", 240, a_small_edit_reads_at_most_three_chunks, with_default_chunks_too,
	  nothing_changed_reads_nothing, appending_reads_the_last_chunk,
	  cutting_reads_the_last_chunk, a_long_edit_reads_little_more_than_it_wrote,
	  random_edits_give_the_object_of_the_bytes, shared_ranges_are_taken_over,
	  writing_while_it_is_sealed_wins)
