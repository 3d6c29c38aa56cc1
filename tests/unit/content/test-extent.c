/* SPDX-License-Identifier: GPL-3.0-or-later */
/* content/extent.h, against an array that says of each byte where it comes from. */
#include "config.h"

#include "../unit.h"
#include "content/extent.h"
#include "stream.h"

#include <stdbool.h>

enum { SPACE = 1500 };

struct model_byte {
	enum extent_kind kind;
	int64_t object;
	uint64_t source;
};

static void model_set(struct model_byte *model, uint64_t *size, const struct extent *e)
{
	uint64_t end = e->start + e->len;

	if (!e->len)
		return;
	for (uint64_t i = *size; i < e->start; i++)
		model[i] = (struct model_byte){ .kind = EXTENT_ZERO };
	for (uint64_t i = e->start; i < end; i++)
		model[i] = (struct model_byte){ e->kind, e->object,
						e->kind == EXTENT_BASE ? e->source + i - e->start
								       : 0 };
	*size = end > *size ? end : *size;
}

static int model_continues(const struct model_byte *a, const struct model_byte *b)
{
	return a->kind == b->kind && a->object == b->object &&
	       (a->kind != EXTENT_BASE || a->source + 1 == b->source);
}

/* That the map says what the model says, with as few extents as that takes. */
static void check_map(const struct extent_map *m, const struct model_byte *model, uint64_t size)
{
	struct extent e;
	size_t runs = 0;

	ck_assert_uint_eq(m->size, size);
	for (uint64_t i = 0; i < size; i++)
		runs += !i || !model_continues(&model[i - 1], &model[i]);
	ck_assert_uint_eq(extent_count(m), runs);
	for (uint64_t i = 0; i < size; i++) {
		bool there = extent_at(m, i, &e) == 1 && e.start == i && e.kind == model[i].kind &&
			     e.object == model[i].object && e.source == model[i].source;
		uint64_t last = i + e.len - 1;

		if (!there || last >= size ||
		    (last + 1 < size && model_continues(&model[last], &model[last + 1])))
			ck_abort_msg("wrong at %llu", (unsigned long long)i);
	}
	ck_assert_int_eq(extent_at(m, size, &e), 0);
	ck_assert_int_eq(extent_at(m, UINT64_MAX, &e), 0);
}

START_TEST(an_empty_map_has_nothing)
{
	struct extent_map m = { 0 };
	struct extent e = { .start = 7, .kind = EXTENT_DRAFT };

	check_map(&m, NULL, 0);
	ck_assert_int_eq(extent_set(&m, &e), 0);
	check_map(&m, NULL, 0);
	ck_assert_int_eq(extent_resize(&m, 0), 0);
	check_map(&m, NULL, 0);
	extent_release(&m);
}
END_TEST

START_TEST(neighbours_that_continue_are_one)
{
	struct extent_map m = { 0 };
	struct extent left = { 0, 10, EXTENT_BASE, 4, 100 },
		      right = { 20, 10, EXTENT_BASE, 4, 120 };
	struct extent middle = { 10, 10, EXTENT_BASE, 4, 110 }, e;

	ck_assert_int_eq(extent_set(&m, &left), 0);
	ck_assert_int_eq(extent_set(&m, &right), 0);
	ck_assert_uint_eq(extent_count(&m), 3);
	ck_assert_int_eq(extent_set(&m, &middle), 0);
	ck_assert_uint_eq(extent_count(&m), 1);
	ck_assert_int_eq(extent_at(&m, 5, &e), 1);
	ck_assert_uint_eq(e.len, 25);
	ck_assert_uint_eq(e.source, 105);
	middle.source = 111;
	ck_assert_int_eq(extent_set(&m, &middle), 0);
	ck_assert_uint_eq(extent_count(&m), 3);
	extent_release(&m);
}
END_TEST

START_TEST(the_largest_offset_can_be_used)
{
	struct extent_map m = { 0 };
	struct extent e = { INT64_MAX - 1, 1, EXTENT_DRAFT, 0, 0 };

	ck_assert_int_eq(extent_set(&m, &e), 0);
	ck_assert_uint_eq(m.size, INT64_MAX);
	ck_assert_int_eq(extent_at(&m, 0, &e), 1);
	ck_assert_int_eq(e.kind, EXTENT_ZERO);
	ck_assert_uint_eq(e.len, INT64_MAX - 1);
	ck_assert_int_eq(extent_resize(&m, 1), 0);
	ck_assert_uint_eq(extent_count(&m), 1);
	extent_release(&m);
}
END_TEST

START_TEST(random_changes_agree_with_the_model)
{
	static struct model_byte model[SPACE];

	for (uint64_t seed = 1; seed <= 40; seed++) {
		struct extent_map m = { 0 };
		uint64_t state = seed, size = 0;

		for (int step = 0; step < 60; step++) {
			struct extent e = { .start = stream_below(&state, SPACE) };
			size_t longest = stream_below(&state, 4) ? 40 : SPACE;

			e.kind = (enum extent_kind)(1 + stream_below(&state, 3));
			e.len = stream_below(&state, longest);
			if (e.len > SPACE - e.start)
				e.len = SPACE - e.start;
			if (e.kind == EXTENT_BASE) {
				e.object = 1 + (int64_t)stream_below(&state, 2);
				e.source = e.start + (stream_below(&state, 3) ? 0 : 5);
			}
			if (stream_below(&state, 8)) {
				model_set(model, &size, &e);
				ck_assert_int_eq(extent_set(&m, &e), 0);
			} else {
				struct extent zero = { size, e.start > size ? e.start - size : 0,
						       EXTENT_ZERO, 0, 0 };

				model_set(model, &size, &zero);
				size = e.start;
				ck_assert_int_eq(extent_resize(&m, e.start), 0);
			}
			check_map(&m, model, size);
		}
		extent_release(&m);
	}
}
END_TEST

UNIT_MAIN("extent", 120, an_empty_map_has_nothing, neighbours_that_continue_are_one,
	  the_largest_offset_can_be_used, random_changes_agree_with_the_model)
