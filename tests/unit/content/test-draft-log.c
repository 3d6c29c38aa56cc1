/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The log of an overlay's map: what it brings back, how long it gets, and what of it is refused. */
#include "config.h"

#include "util/err.h"
#include "world.h"

enum { LEN = 40000 };

/* The size in the node is what counts; what the log says beyond it must not come back. */
START_TEST(the_size_of_the_node_cuts_the_log)
{
	struct world w;
	struct asset a;
	uint8_t *data = stream_new(4, LEN);

	world_open(&w);
	asset_of(&w, &a, data, LEN);
	asset_edit(&w, &a);
	draft_put(a.draft, data, 100, LEN - 100);
	memcpy(data + LEN - 100, data, 100);
	asset_save(&w, &a);
	a.size = 1000;
	asset_reopen(&w, &a);
	draft_is(a.draft, data, 1000);
	memset(data + 1000, 0, LEN - 1000);
	draft_put(a.draft, "z", 1, 3000);
	data[3000] = 'z';
	asset_save(&w, &a);
	asset_reopen(&w, &a);
	draft_is(a.draft, data, 3001);
	draft_free(a.draft);
	free(data);
	world_close(&w);
}
END_TEST

/* Nor does it come back where the size is more than the log says. */
START_TEST(what_was_cut_stays_cut)
{
	struct world w;
	struct asset a;
	uint8_t *data = stream_new(14, LEN);

	world_open(&w);
	asset_of(&w, &a, data, LEN);
	asset_edit(&w, &a);
	ck_assert_int_eq(draft_truncate(a.draft, 5000), 0);
	draft_put(a.draft, "y", 1, 8000);
	asset_save(&w, &a);
	ck_assert_int_eq(draft_truncate(a.draft, 2000), 0);
	asset_save(&w, &a);
	memset(data + 2000, 0, LEN - 2000);
	a.size = LEN;
	asset_reopen(&w, &a);
	draft_is(a.draft, data, LEN);
	draft_free(a.draft);
	free(data);
	world_close(&w);
}
END_TEST

START_TEST(a_failed_save_is_made_up_for)
{
	struct world w;
	struct asset a;
	struct meta_op *op = meta_op_new();
	uint8_t *data = stream_new(5, LEN);

	world_open(&w);
	asset_of(&w, &a, data, LEN);
	asset_edit(&w, &a);
	memset(data + 7, 'a', 50);
	draft_put(a.draft, data + 7, 50, 7);
	ck_assert_int_eq(draft_save(a.draft, op), 0);
	ck_assert(!draft_unsaved(a.draft));
	draft_save_failed(a.draft);
	ck_assert(draft_unsaved(a.draft));
	memset(data + 20000, 'b', 50);
	draft_put(a.draft, data + 20000, 50, 20000);
	asset_save(&w, &a);
	asset_reopen(&w, &a);
	draft_is(a.draft, data, LEN);
	/* The operation that was thought to have failed may have been applied before. */
	draft_free(a.draft);
	meta_op_free(op);
	free(data);
	world_close(&w);
}
END_TEST

static int count_rows(void *arg, const struct meta_row *row)
{
	(void)row;
	++*(size_t *)arg;
	return 0;
}

START_TEST(a_long_log_is_written_anew)
{
	struct world w;
	struct asset a;
	uint8_t *data = stream_new(6, LEN);
	size_t most = 0;

	world_open(&w);
	asset_of(&w, &a, data, LEN);
	asset_edit(&w, &a);
	for (int i = 0; i < 3000; i++) {
		size_t rows = 0;

		data[500]++;
		draft_put(a.draft, data + 500, 1, 500);
		asset_save(&w, &a);
		if (i % 100 == 0 || i == 2999)
			META_QUERY(w.meta, DRAFT_EXTENT_LIST, count_rows, &rows,
				   META_I(draft_blob(a.draft)));
		most = rows > most ? rows : most;
	}
	ck_assert_uint_gt(most, 900);
	ck_assert_uint_lt(most, 1100);
	asset_reopen(&w, &a);
	draft_is(a.draft, data, LEN);
	draft_free(a.draft);
	free(data);
	world_close(&w);
}
END_TEST

START_TEST(a_damaged_log_is_refused)
{
	struct world w;
	struct asset a;
	uint8_t *data = stream_new(7, LEN);
	static const int64_t bad[][5] = {
		/* kind, start, length, object, source */
		{ 9, 0, 1, 0, 0 },   { 1, -1, 1, 0, 0 },  { 1, 1, INT64_MAX, 0, 0 },
		{ 2, 0, 10, 0, 0 },  { 2, 0, 10, 99, 0 }, { 2, 0, 10, 1, LEN - 5 },
		{ 2, 0, 10, 1, -1 },
	};

	world_open(&w);
	asset_of(&w, &a, data, LEN);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct meta_op *op = meta_op_new();
		struct draft *d = NULL;
		int64_t object = bad[i][3] == 1 ? a.object : bad[i][3];

		asset_edit(&w, &a);
		META_ADD(op, DRAFT_EXTENT_ADD, META_ONE, 0, META_I(draft_blob(a.draft)), META_I(5),
			 META_I(bad[i][0]), META_I(bad[i][1]), META_I(bad[i][2]), META_I(object),
			 META_I(bad[i][4]));
		ck_assert_int_eq(meta_apply(w.meta, op), 0);
		ck_assert_int_eq(draft_open(w.content, draft_blob(a.draft), LEN, false, &d),
				 ERR_CORRUPT);
		ck_assert_ptr_null(d);
		meta_op_free(op);
		asset_seal(&w, &a);
	}
	struct draft *d = NULL;

	ck_assert_int_eq(draft_open(w.content, 999999, 0, false, &d), ERR_CORRUPT);
	free(data);
	world_close(&w);
}
END_TEST

UNIT_MAIN("draft-log", 120, the_size_of_the_node_cuts_the_log, what_was_cut_stays_cut,
	  a_failed_save_is_made_up_for, a_long_log_is_written_anew, a_damaged_log_is_refused)
