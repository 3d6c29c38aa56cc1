/* SPDX-License-Identifier: GPL-3.0-or-later */
/* content/evict.h: heads and tails stay, checked, and go with the object that they are of; bundles are all edge. */
#include "config.h"

#include "evict-unit.h"
#include "util/cleanup.h"

/* What of the content is here reads as it should; how much that is. */
static uint64_t here(struct world *w, const struct asset *a, const uint8_t *data)
{
	uint8_t *back = malloc(a->size);
	struct view *v = NULL;
	uint64_t sum = 0, at = 0;

	ck_assert_int_eq(view_of_object(w->content, a->object, &v), 0);
	for (size_t i = 0; i < v->count; i++) {
		const struct view_run *run = &v->runs[i];

		ck_assert_uint_eq(run->start, at);
		at += run->len;
		if (run->kind == VIEW_MISSING)
			continue;
		ck_assert_int_eq(view_read(v, back, run->len, run->start), (ssize_t)run->len);
		ck_assert_mem_eq(back, data + run->start, run->len);
		sum += run->len;
	}
	ck_assert_uint_eq(at, a->size);
	view_put(v);
	free(back);
	return sum;
}

START_TEST(edges_stay)
{
	struct world w;
	struct asset a;
	uint8_t *data;
	struct evict_params all = { .edge = EVICT_EDGE, .before_ns = INT64_MAX, .edges_too = true };

	world_open(&w);
	data = evict_sent(&w, &a, 8);
	ck_assert_uint_ge(evict_one(&w, &a, EVICT_EDGE).freed_bytes,
			  EVICT_LEN - 2 * EVICT_EDGE - 6 * 4096);
	ck_assert_int_eq(places(&w), 0);
	ck_assert_int_lt(used_of(&w, &a), 0);
	ck_assert_int_eq(sql_number(&w, "SELECT sum(length) FROM edge"), 2 * EVICT_EDGE);
	ck_assert_int_eq(sql_number(&w, "SELECT min(start) FROM edge"), 0);
	ck_assert_int_eq(sql_number(&w, "SELECT max(start + length) FROM edge"), EVICT_LEN);
	evict_check(&w);
	ck_assert_uint_eq(here(&w, &a, data), 2 * EVICT_EDGE);
	/* Neither collection nor evicting once more takes them. */
	world_restart(&w);
	world_collect(&w, 1000, 0, 5);
	evict_one(&w, &a, EVICT_EDGE);
	evict_check(&w);
	ck_assert_int_eq(sql_number(&w, "SELECT sum(length) FROM edge"), 2 * EVICT_EDGE);
	/* Here again, and gone again: the edges of before serve. */
	struct asset b;

	asset_of(&w, &b, data, EVICT_LEN);
	ck_assert_int_gt(used_of(&w, &a), 0);
	evict_one(&w, &a, EVICT_EDGE);
	ck_assert_int_eq(sql_number(&w, "SELECT sum(length) FROM edge"), 2 * EVICT_EDGE);
	evict_check(&w);
	ck_assert_uint_eq(here(&w, &a, data), 2 * EVICT_EDGE);
	/* Larger edges than before: the others are among them. */
	asset_of(&w, &b, data, EVICT_LEN);
	evict_one(&w, &a, 2 * EVICT_EDGE);
	ck_assert_uint_ge(here(&w, &a, data), 3 * EVICT_EDGE);
	evict_check(&w);
	evict_with(&w, &a, &all);
	ck_assert_uint_eq(here(&w, &a, data), 0);
	ck_assert_int_eq(sql_number(&w, "SELECT count(*) FROM edge"), 0);
	ck_assert_int_eq(used_of(&w, &a), 0);
	ck_assert_uint_eq(world_bytes(&w), 0);
	free(data);
	world_close(&w);
}
END_TEST

/* What is damaged here is no edge, or its sum would call it good from then on. */
START_TEST(what_is_damaged_is_no_edge)
{
	struct world w;
	struct asset a;
	uint8_t *data;

	world_open(&w);
	data = evict_sent(&w, &a, 10);
	CLEANUP_BUF struct buf path = BUF_INIT;

	ck_assert_int_eq(blobs_path(w.blobs, evict_home(&w, &a), &path), 0);
	int fd = open(buf_str(&path), O_WRONLY);
	uint8_t wrong = data[100] ^ 1;

	ck_assert_int_eq(pwrite(fd, &wrong, 1, 100), 1);
	close(fd);
	evict_one(&w, &a, EVICT_EDGE);
	ck_assert_int_eq(places(&w), 0);
	/* The other end is as good as it was. */
	uint64_t left = here(&w, &a, data);

	ck_assert(left >= EVICT_EDGE && left < 2 * EVICT_EDGE);
	evict_check(&w);
	free(data);
	world_close(&w);
}
END_TEST

/* A chunk that goes with one object leaves the edges of all that begin or end in it; and edges go with their object. */
START_TEST(edges_of_all_who_share)
{
	struct world w;
	struct asset a, b;
	uint8_t *data;

	world_open(&w);
	data = evict_sent(&w, &a, 9);
	asset_of(&w, &b, data, EVICT_LEN / 2);
	send_all(&w);
	evict_one(&w, &a, 1024);
	evict_one(&w, &b, 1024);
	ck_assert_int_eq(places(&w), 0);
	ck_assert_int_eq(sql_number(&w, "SELECT sum(length) FROM edge"), 4 * 1024);
	evict_check(&w);
	ck_assert_uint_eq(here(&w, &a, data), 2 * 1024);
	ck_assert_uint_eq(here(&w, &b, data), 2 * 1024);
	asset_remove(&w, &a);
	world_collect(&w, 1000, 0, 5);
	ck_assert_int_eq(sql_number(&w, "SELECT sum(length) FROM edge"), 2 * 1024);
	evict_check(&w);
	asset_remove(&w, &b);
	world_collect(&w, 1000, 0, 5);
	ck_assert_int_eq(sql_number(&w, "SELECT count(*) FROM edge"), 0);
	ck_assert_uint_eq(world_bytes(&w), 0);
	free(data);
	world_close(&w);
}
END_TEST

/* What is small is all edge, and goes last. */
START_TEST(bundles_lose_what_goes)
{
	struct world w;
	struct asset assets[300];
	struct evict_params all = { .before_ns = INT64_MAX, .edges_too = true };
	uint8_t data[500];
	uint64_t state = 3;

	world_open(&w);
	for (size_t i = 0; i < 300; i++) {
		stream_fill(&state, data, 500);
		asset_of(&w, &assets[i], data, 500);
	}
	send_all(&w);
	uint64_t before = world_bytes(&w);

	for (size_t i = 0; i < 150; i++) {
		ck_assert_uint_eq(evict_one(&w, &assets[i], 512).evicted, 0);
		if (i % 50)
			evict_with(&w, &assets[i], &all);
	}
	ck_assert_uint_lt(world_bytes(&w), before - 4096);
	state = 3;
	for (size_t i = 0; i < 300; i++) {
		stream_fill(&state, data, 500);
		if (i >= 150 || i % 50 == 0)
			asset_is(&w, &assets[i], data, 500);
	}
	evict_check(&w);
	world_close(&w);
}
END_TEST

UNIT_MAIN("evict-edge", 60, edges_stay, what_is_damaged_is_no_edge, edges_of_all_who_share,
	  bundles_lose_what_goes)
