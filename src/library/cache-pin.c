/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Pins, and evicting what lies at a path. */
#include "config.h"

#include "content/fetch.h"
#include "library/cache-internal.h"
#include "util/time.h"

#include <errno.h>
#include <stdlib.h>

enum { CACHE_PAGE = 256 };

static int cache_change(struct library *lib, struct meta_op *op)
{
	int err = op ? library_read_only(lib) ? -EROFS : meta_apply(lib->meta, op) : -ENOMEM;

	meta_op_free(op);
	return err;
}

int cache_pin(struct library *lib, int64_t ino)
{
	struct meta_op *op = meta_op_new();
	struct node n;
	int err = tree_get(lib, ino, &n);

	if (op && !err)
		META_ADD(op, PIN_ADD, META_ANY, 0, META_I(ino), META_I(time_now_ns()));
	if (!err)
		return cache_change(lib, op);
	meta_op_free(op);
	return err;
}

int cache_unpin(struct library *lib, int64_t ino)
{
	struct meta_op *op = meta_op_new();

	if (op)
		META_ADD(op, PIN_DROP, META_ONE, -ENOENT, META_I(ino));
	return cache_change(lib, op);
}

static int cache_any_row(void *arg, const struct meta_row *row)
{
	(void)arg;
	(void)row;
	return 1;
}

int cache_pinned(struct library *lib, int64_t ino)
{
	return META_QUERY(lib->meta, PIN_OF_NODE, cache_any_row, NULL, META_I(ino));
}

struct cache_page {
	int64_t ids[CACHE_PAGE], values[CACHE_PAGE];
	size_t count;
};

static int cache_pin_row(void *arg, const struct meta_row *row)
{
	struct cache_page *p = arg;

	p->ids[p->count] = meta_row_int(row, 0);
	p->values[p->count++] = meta_row_int(row, 1);
	return 0;
}

int cache_pins(struct library *lib, int (*fn)(void *arg, int64_t ino, int64_t since_ns), void *arg)
{
	struct cache_page p;
	int64_t last = 0;
	int rc = 0;

	do {
		p.count = 0;
		int got = META_QUERY(lib->meta, PIN_LIST, cache_pin_row, &p, META_I(last),
				     META_I(CACHE_PAGE));

		if (got < 0)
			return got;
		for (size_t i = 0; i < p.count && !rc; i++) {
			last = p.ids[i];
			rc = fn(arg, p.ids[i], p.values[i]);
		}
	} while (!rc && p.count == CACHE_PAGE);
	return rc;
}

struct cache_ids {
	int64_t *ids;
	size_t count, cap;
};

static int cache_id_row(void *arg, const struct meta_row *row)
{
	struct cache_ids *all = arg;

	if (all->count == all->cap) {
		size_t cap = all->cap ? 2 * all->cap : CACHE_PAGE;
		int64_t *ids = reallocarray(all->ids, cap, sizeof(*ids));

		if (!ids)
			return -ENOMEM;
		all->ids = ids;
		all->cap = cap;
	}
	all->ids[all->count++] = meta_row_int(row, 0);
	return 0;
}

static int cache_count_row(void *arg, const struct meta_row *row)
{
	*(uint64_t *)arg = (uint64_t)meta_row_int(row, 0);
	return 0;
}

void cache_sum(struct evict_stats *sum, const struct evict_stats *more)
{
	sum->objects += more->objects;
	sum->evicted += more->evicted;
	sum->chunks += more->chunks;
	sum->freed_bytes += more->freed_bytes;
	sum->pinned += more->pinned;
	sum->open += more->open;
	sum->unsent += more->unsent;
	sum->unanswered += more->unanswered;
	sum->small += more->small;
	sum->lost += more->lost;
}

int cache_evict_below(struct library *lib, struct cache_asker *asker, int64_t ino, const int *stop,
		      struct cache_result *out)
{
	struct evict_params params = { .edge = lib->settings.cache_edge,
				       .before_ns = INT64_MAX,
				       .ask = cache_ask,
				       .arg = asker };
	struct cache_ids all = { 0 };
	int err = 0;

	*out = (struct cache_result){ 0 };
	fetch_let_go(lib->content);
	int got = META_QUERY(lib->meta, EVICT_UNSEALED, cache_count_row, &out->unsealed,
			     META_I(ino));

	if (got >= 0)
		got = META_QUERY(lib->meta, EVICT_BELOW, cache_id_row, &all, META_I(ino));
	err = got < 0 ? got : 0;
	for (size_t at = 0; at < all.count && !err; at += EVICT_BATCH) {
		size_t count = all.count - at < EVICT_BATCH ? all.count - at : EVICT_BATCH;
		struct evict_stats stats = { 0 };

		if (stop && __atomic_load_n(stop, __ATOMIC_ACQUIRE))
			err = -ECANCELED;
		else
			err = evict_objects(lib->content, all.ids + at, count, &params, &stats);
		cache_sum(&out->stats, &stats);
	}
	free(all.ids);
	return err;
}
