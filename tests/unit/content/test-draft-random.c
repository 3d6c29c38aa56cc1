/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Drafts against an array of bytes: random writes, truncations, holes, zeros, shared ranges, saves, restarts and seals,
 * in small chunks.
 */
#include "config.h"

#include "world.h"

#include <fcntl.h>
#include <linux/falloc.h>

enum { SPACE = 150000, DONOR = 60000, STEPS = 250 };

struct trial {
	struct world w;
	struct asset a, donor;
	uint64_t state;
	uint8_t *bytes; /* what the draft must read as */
	size_t size;
	uint8_t *given; /* the donor's bytes */
};

/* A range within [0, limit), mostly short. */
static void trial_range(struct trial *t, size_t limit, size_t *off, size_t *len)
{
	size_t longest = stream_below(&t->state, 5) ? 3000 : limit;

	*off = stream_below(&t->state, limit);
	*len = 1 + stream_below(&t->state, longest);
	if (*len > limit - *off)
		*len = limit - *off;
}

static void trial_grow(struct trial *t, size_t end)
{
	if (end > t->size) {
		memset(t->bytes + t->size, 0, end - t->size);
		t->size = end;
	}
}

static void trial_write(struct trial *t)
{
	size_t off, len;

	trial_range(t, SPACE, &off, &len);
	trial_grow(t, off);
	stream_fill(&t->state, t->bytes + off, len);
	if (off + len > t->size)
		t->size = off + len;
	draft_put(t->a.draft, t->bytes + off, len, off);
}

static void trial_truncate(struct trial *t)
{
	size_t size = stream_below(&t->state, SPACE);

	trial_grow(t, size);
	t->size = size;
	ck_assert_int_eq(draft_truncate(t->a.draft, size), 0);
}

static void trial_zero(struct trial *t, int mode)
{
	size_t off, len;

	trial_range(t, SPACE, &off, &len);
	size_t end = off + len;

	if (!(mode & FALLOC_FL_KEEP_SIZE))
		trial_grow(t, end);
	if (end > t->size)
		end = t->size;
	if (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE) && end > off)
		memset(t->bytes + off, 0, end - off);
	ck_assert_int_eq(draft_allocate(t->a.draft, mode, off, len), 0);
}

static void trial_share(struct trial *t)
{
	size_t from, len, off = stream_below(&t->state, SPACE);

	trial_range(t, DONOR, &from, &len);
	if (len > SPACE - off)
		len = SPACE - off;
	trial_grow(t, off);
	memcpy(t->bytes + off, t->given + from, len);
	if (off + len > t->size)
		t->size = off + len;
	ck_assert_int_eq(draft_share(t->a.draft, off, t->donor.object, from, len), 0);
}

static void trial_seal(struct trial *t)
{
	struct seal_stats stats;

	ck_assert_int_eq(draft_sync(t->a.draft), 0);
	stats = asset_seal(&t->w, &t->a);
	ck_assert_uint_eq(stats.size, t->size);
	asset_is(&t->w, &t->a, t->bytes, t->size);
	asset_edit(&t->w, &t->a);
}

/* Whether seeking tells data and holes apart in a way that reading can agree with. */
static void trial_seek(struct trial *t)
{
	size_t at = 0;

	while (at < t->size) {
		int64_t data = draft_seek(t->a.draft, at, SEEK_DATA);
		size_t end = data < 0 ? t->size : (size_t)data;

		ck_assert(data >= 0 || data == -ENXIO);
		for (; at < end; at++)
			ck_assert_msg(!t->bytes[at], "data in a hole at %zu", at);
		if (data < 0)
			break;
		int64_t hole = draft_seek(t->a.draft, at, SEEK_HOLE);

		ck_assert_int_gt(hole, data);
		ck_assert_int_le(hole, (int64_t)t->size);
		at = (size_t)hole;
	}
}

static void trial_step(struct trial *t)
{
	switch (stream_below(&t->state, 16)) {
	case 0:
		trial_truncate(t);
		break;
	case 1:
		trial_zero(t, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE);
		break;
	case 2:
		trial_zero(t, FALLOC_FL_ZERO_RANGE);
		break;
	case 3:
		trial_zero(t, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE);
		break;
	case 4:
		trial_zero(t, stream_below(&t->state, 2) ? FALLOC_FL_KEEP_SIZE : 0);
		break;
	case 5:
		trial_share(t);
		break;
	case 6:
		asset_save(&t->w, &t->a);
		break;
	case 7:
		asset_save(&t->w, &t->a);
		asset_reopen(&t->w, &t->a);
		break;
	case 8:
		trial_seek(t);
		break;
	case 9:
		if (!stream_below(&t->state, 3))
			trial_seal(t);
		break;
	default:
		trial_write(t);
	}
}

/* A part of the draft at a random place reads right. */
static void trial_look(struct trial *t)
{
	static uint8_t back[SPACE];
	size_t off, len;

	trial_range(t, SPACE, &off, &len);
	size_t want = off >= t->size ? 0 : len < t->size - off ? len : t->size - off;

	ck_assert_int_eq(draft_read(t->a.draft, back, len, off), (ssize_t)want);
	ck_assert(!memcmp(back, t->bytes + off, want));
}

static void trial_run(uint64_t seed, bool restart)
{
	struct trial t = { .state = seed };

	world_open(&t.w);
	t.given = stream_new(seed + 1000, DONOR);
	t.bytes = calloc(1, SPACE + 1);
	asset_of(&t.w, &t.donor, t.given, DONOR);
	asset_new(&t.w, &t.a);
	for (int i = 0; i < STEPS; i++) {
		trial_step(&t);
		trial_look(&t);
		if (i % 25 == 24)
			draft_is(t.a.draft, t.bytes, t.size);
		if (restart && i % 80 == 79) {
			int64_t blob = draft_blob(t.a.draft);

			asset_save(&t.w, &t.a);
			draft_free(t.a.draft);
			world_restart(&t.w);
			ck_assert_int_eq(draft_open(t.w.content, blob, t.a.size, false, &t.a.draft),
					 0);
			draft_is(t.a.draft, t.bytes, t.size);
		}
	}
	trial_seal(&t);
	draft_is(t.a.draft, t.bytes, t.size);
	draft_free(t.a.draft);
	free(t.bytes);
	free(t.given);
	world_close(&t.w);
}

START_TEST(random_changes_read_back)
{
	for (uint64_t seed = 1; seed <= 4; seed += unit_stride())
		trial_run(seed, false);
}
END_TEST

START_TEST(random_changes_survive_restarts)
{
	for (uint64_t seed = 101; seed <= 103; seed += unit_stride())
		trial_run(seed, true);
}
END_TEST

UNIT_MAIN("draft-random", 240, random_changes_read_back, random_changes_survive_restarts)
