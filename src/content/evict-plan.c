/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What of an object may go, as far as the rows tell. */
#include "config.h"

#include "content/evict-internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A chunk with more uses stays: it is worth its space. */
enum { EVICT_USERS_MAX = 64, EVICT_ITEMS_MIN = 32 };

/* An object that uses a chunk. */
struct evict_user {
	int64_t object, used_ns;
	uint64_t start, size;
	bool drafted; /* a draft lies over it */
};

struct evict_users {
	struct evict_user user[EVICT_USERS_MAX];
	size_t count;
};

static int evict_any_row(void *arg, const struct meta_row *row)
{
	(void)arg;
	(void)row;
	return 1;
}

static int evict_is_pinned(struct evict *e, int64_t object)
{
	return META_QUERY(e->content->meta, PIN_OF_OBJECT, evict_any_row, NULL, META_I(object));
}

struct evict_state {
	uint64_t size;
	bool drafted;
};

static int evict_state_row(void *arg, const struct meta_row *row)
{
	struct evict_state *st = arg;

	st->size = (uint64_t)meta_row_int(row, 0);
	st->drafted = meta_row_int(row, 2);
	return 0;
}

static int evict_item_row(void *arg, const struct meta_row *row)
{
	struct evict *e = arg;
	size_t len;
	const void *hash = meta_row_bytes(row, 1, &len);

	if (e->count == e->cap) {
		size_t cap = e->cap ? e->cap * 2 : EVICT_ITEMS_MIN;
		struct evict_item *items = reallocarray(e->items, cap, sizeof(*items));

		if (!items)
			return -ENOMEM;
		e->items = items;
		e->cap = cap;
	}
	struct evict_item *it = &e->items[e->count++];

	*it = (struct evict_item){ .chunk = meta_row_int(row, 0),
				   .size = (uint64_t)meta_row_int(row, 2),
				   .stays = meta_row_int(row, 3) == 0 || len != HASH_LEN,
				   .refcount = meta_row_int(row, 4),
				   .blob = meta_row_int(row, 5),
				   .at = (uint64_t)meta_row_int(row, 6),
				   .start = (uint64_t)meta_row_int(row, 7) };
	if (len == HASH_LEN)
		memcpy(it->hash.b, hash, HASH_LEN);
	return 0;
}

static int evict_user_row(void *arg, const struct meta_row *row)
{
	struct evict_users *u = arg;

	u->user[u->count++] = (struct evict_user){ .object = meta_row_int(row, 0),
						   .start = (uint64_t)meta_row_int(row, 1),
						   .size = (uint64_t)meta_row_int(row, 2),
						   .used_ns = meta_row_int(row, 3),
						   .drafted = meta_row_int(row, 4) };
	return 0;
}

/* Whether another object that uses the chunk keeps it here: 1, 0, or an error. */
static int evict_user_keeps(struct evict *e, const struct evict_user *u, int64_t object)
{
	if (u->object == object)
		return 0;
	if (u->drafted || u->used_ns > e->params->before_ns ||
	    view_open_has(&e->content->views, u->object))
		return 1;
	return evict_is_pinned(e, u->object);
}

/* [start, end) of the chunk in the object, as far as it is between `from` and `to`, stays. */
static int evict_add_edge(struct evict *e, const struct evict_item *it, const struct evict_user *u,
			  uint64_t from, uint64_t to)
{
	uint64_t start = u->start > from ? u->start : from;
	uint64_t end = u->start + it->size < to ? u->start + it->size : to;

	if (end <= start)
		return 0;
	if (e->edge_count == e->edge_cap) {
		size_t cap = e->edge_cap ? e->edge_cap * 2 : EVICT_ITEMS_MIN;
		struct evict_edge *edges = reallocarray(e->edges, cap, sizeof(*edges));

		if (!edges)
			return -ENOMEM;
		e->edges = edges;
		e->edge_cap = cap;
	}
	e->edges[e->edge_count++] = (struct evict_edge){ .object = u->object,
							 .chunk = it->chunk,
							 .blob = it->blob,
							 .start = start,
							 .len = end - start,
							 .off = it->at + (start - u->start) };
	return 0;
}

static int evict_add_edges(struct evict *e, const struct evict_item *it, const struct evict_user *u)
{
	uint64_t edge = e->params->edge;
	uint64_t tail = u->size > edge ? u->size - edge : 0;
	int err;

	if (!edge || e->params->edges_too)
		return 0;
	if (tail <= edge)
		return evict_add_edge(e, it, u, 0, u->size);
	err = evict_add_edge(e, it, u, 0, edge);
	return err ? err : evict_add_edge(e, it, u, tail, u->size);
}

/* Whether the others that use the chunk let it go, and which edges it has. Sets stays. */
static int evict_plan_users(struct evict *e, struct evict_item *it, struct evict_users *u)
{
	u->count = 0;
	if (it->refcount > EVICT_USERS_MAX) {
		it->stays = true;
		return 0;
	}
	int got = META_QUERY(e->content->meta, EVICT_USERS, evict_user_row, u, META_I(it->chunk),
			     META_I(EVICT_USERS_MAX));
	int err = got < 0 ? got : 0;

	for (size_t i = 0; i < u->count && !err && !it->stays; i++) {
		int keeps = evict_user_keeps(e, &u->user[i], it->object);

		err = keeps < 0 ? keeps : 0;
		it->stays = keeps != 0;
	}
	for (size_t i = 0; i < u->count && !err && !it->stays; i++)
		err = evict_add_edges(e, it, &u->user[i]);
	return err;
}

/* The items from `from` on, which are those of one object of `size` bytes. */
static int evict_plan_items(struct evict *e, size_t from, int64_t object, uint64_t size,
			    bool *unsent)
{
	struct evict_users users;
	int err = 0;

	for (size_t i = from; i < e->count && !err; i++) {
		struct evict_item *it = &e->items[i];

		it->object = object;
		*unsent |= it->stays;
		if (it->stays)
			continue;
		/* Another place of the chunk before it, or the chunk once more. */
		if (i > from && it[-1].chunk == it->chunk) {
			it->stays = it[-1].stays;
			continue;
		}
		if (it->refcount > 1) {
			err = evict_plan_users(e, it, &users);
		} else {
			struct evict_user own = { object, 0, it->start, size, false };

			err = evict_add_edges(e, it, &own);
		}
	}
	return err;
}

int evict_plan(struct evict *e, int64_t object)
{
	struct meta *meta = e->content->meta;
	struct evict_state st = { 0 };
	size_t from = e->count;
	bool unsent = false;
	int got = META_QUERY(meta, EVICT_STATE, evict_state_row, &st, META_I(object));

	if (got <= 0)
		return got;
	e->stats->objects++;
	if (!e->params->edges_too && st.size <= 2 * e->params->edge) {
		e->stats->small++;
		return 0;
	}
	if (st.drafted || view_open_has(&e->content->views, object)) {
		e->stats->open++;
		return 0;
	}
	got = evict_is_pinned(e, object);
	if (got) {
		e->stats->pinned += got > 0;
		return got < 0 ? got : 0;
	}
	got = META_QUERY(meta, EVICT_PLACES, evict_item_row, e, META_I(object));
	int err = got < 0 ? got : evict_plan_items(e, from, object, st.size, &unsent);

	e->stats->unsent += unsent;
	return err ? err : collect_ids_add(&e->objects, object);
}
