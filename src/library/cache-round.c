/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What is too much, and making room. Some room is kept free below the limit (the reserve), so that fetching seldom has to do without the disk; and it is made
 * when half of it is used up.
 *
 * What was not used for longest goes first, by a hand that goes round (the cursor): what could not go is not looked at again before all others were. Only
 * when nothing else is left, and the limit itself is passed, go edges and what is so small that it is all edge.
 */
#include "config.h"

#include "library/cache-internal.h"

#include "content/fetch.h"
#include "content/space.h"

#include <errno.h>

#define CACHE_RESERVE_MAX (UINT64_C(1) << 30)

/* Of the order: the next objects to look at, as many as should do for `need`. */
struct cache_pick {
	int64_t ids[EVICT_BATCH];
	size_t count;
	int64_t used_ns, id; /* of the last */
	uint64_t need, sum;
};

static int cache_pick_row(void *arg, const struct meta_row *row)
{
	struct cache_pick *p = arg;

	p->used_ns = meta_row_int(row, 0);
	p->id = p->ids[p->count++] = meta_row_int(row, 1);
	p->sum += (uint64_t)meta_row_int(row, 2);
	return p->sum >= p->need || p->count == EVICT_BATCH;
}

/* Evicts what was picked; *sum goes up. 0 or an error. */
static int cache_evict_picked(struct cache *c, const struct cache_pick *p, bool edges_too,
			      struct evict_stats *sum)
{
	struct evict_params params = { .edge = c->lib->settings.cache_edge,
				       .before_ns = p->used_ns > 0 ? p->used_ns : INT64_MAX,
				       .edges_too = edges_too,
				       .ask = cache_ask,
				       .arg = c->asker };
	struct evict_stats stats = { 0 };
	int err = evict_objects(c->lib->content, p->ids, p->count, &params, &stats);

	cache_sum(sum, &stats);
	return err;
}

/* Once round from where the hand is, at most; until `need` is freed. */
static int cache_round(struct cache *c, uint64_t need, bool edges_too, struct evict_stats *sum)
{
	int64_t begun_ns = c->cursor_ns, begun_id = c->cursor_id, up_to_ns = INT64_MAX;
	bool wrapped = false;
	int err = 0;

	while (!err && sum->freed_bytes < need && !sum->unanswered && !cache_stopping(c)) {
		struct cache_pick p = { .need = need - sum->freed_bytes };
		int got = META_QUERY(c->lib->meta, EVICT_ORDER, cache_pick_row, &p,
				     META_I(c->cursor_ns), META_I(c->cursor_id), META_I(up_to_ns),
				     META_I(EVICT_BATCH));

		if (got < 0)
			return got;
		if (got == 0 && (wrapped || !begun_ns))
			break;
		if (got == 0) {
			wrapped = true;
			up_to_ns = begun_ns;
			c->cursor_ns = c->cursor_id = 0;
			continue;
		}
		err = cache_evict_picked(c, &p, edges_too, sum);
		c->cursor_ns = p.used_ns;
		c->cursor_id = p.id;
		if (wrapped && p.used_ns == begun_ns && p.id >= begun_id)
			break;
	}
	return err;
}

/* Edges of objects that have nothing else here. */
static int cache_round_edges(struct cache *c, uint64_t need, struct evict_stats *sum)
{
	uint64_t before = UINT64_MAX;
	int err = 0;

	while (!err && sum->freed_bytes < need && sum->freed_bytes != before &&
	       !cache_stopping(c)) {
		struct cache_pick p = { .need = UINT64_MAX };
		int got = META_QUERY(c->lib->meta, EVICT_EDGES_ORDER, cache_pick_row, &p,
				     META_I(EVICT_BATCH));

		if (got <= 0)
			return got;
		before = sum->freed_bytes;
		err = cache_evict_picked(c, &p, true, sum);
	}
	return err;
}

/* A part of the limit, enough for some chunks where that is possible. */
static uint64_t cache_reserve(struct library *lib, uint64_t limit)
{
	uint64_t part = limit / 8, chunks = UINT64_C(4) * lib->chunker.max;

	if (part < chunks)
		part = chunks;
	if (part > limit / 2)
		part = limit / 2;
	return part < CACHE_RESERVE_MAX ? part : CACHE_RESERVE_MAX;
}

/* One limit: `used` of `limit`. `wanted`: someone found no room. */
static void cache_need_of(struct cache_need *n, uint64_t used, uint64_t limit, uint64_t reserve,
			  bool wanted)
{
	uint64_t room = limit > used ? limit - used : 0;
	uint64_t over = used > limit ? used - limit : 0, soon = 0;

	if (room < reserve / 2 || (wanted && room < reserve))
		soon = over + reserve - room;

	if (n->soon < soon)
		n->soon = soon;
	if (n->now < over)
		n->now = over;
	if (n->room > room)
		n->room = room;
	if (n->low < reserve / 2)
		n->low = reserve / 2;
}

uint64_t cache_min_free(struct library *lib)
{
	uint64_t total = 0, free_bytes = 0, part;

	if (lib->settings.cache_min_free != UINT64_MAX)
		return lib->settings.cache_min_free;
	if (blobs_space(lib->blobs, &total, &free_bytes))
		return 0;
	part = total / 20;
	return part < 10 * CACHE_RESERVE_MAX ? part : 10 * CACHE_RESERVE_MAX;
}

struct cache_need cache_needs(struct cache *c, const struct cache_use *use, uint64_t relief)
{
	uint64_t limit = c->lib->settings.cache_limit, min_free = cache_min_free(c->lib);
	struct cache_need n = { .room = UINT64_MAX };
	uint64_t denied = space_denied(c->lib->content);
	bool wanted = denied != c->denied_seen;

	c->denied_seen = denied;
	if (limit)
		cache_need_of(&n, use->total_bytes - use->dirty_bytes, limit,
			      cache_reserve(c->lib, limit), wanted);
	/* As though all of the disk that is free were the limit, of which so much is used. */
	if (min_free)
		cache_need_of(&n, min_free, use->free_bytes, cache_reserve(c->lib, min_free),
			      wanted);
	if (relief) {
		n.soon = n.soon > relief ? n.soon : relief;
		n.now = n.now > relief ? n.now : relief;
	}
	return n;
}

int cache_make_room(struct cache *c, const struct cache_need *n, struct evict_stats *sum)
{
	int err;

	fetch_let_go(c->lib->content);
	err = cache_round(c, n->soon, false, sum);

	if (!err && sum->freed_bytes < n->now)
		err = cache_round_edges(c, n->now, sum);
	if (!err && sum->freed_bytes < n->now)
		err = cache_round(c, n->now, true, sum);
	return err;
}
