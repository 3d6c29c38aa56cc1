/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Preparing seals.
 *
 * An item's phases: PREPARED (bytes durable, no rows) -> ADDED (its statements are in the caller's operation) -> FINISHED
 * (the operation was applied, the draft is the seal's). seal_free() acts on what each has come to.
 */
#include "config.h"

#include "content/seal-internal.h"

#include <errno.h>
#include <stdlib.h>

enum { SEAL_LIST_MIN = 8 };

void *seal_grow(void *list, size_t count, size_t *cap, size_t size)
{
	if (count < *cap)
		return list;
	size_t more = *cap ? *cap * 2 : SEAL_LIST_MIN;
	void *grown = reallocarray(list, more, size);

	if (grown)
		*cap = more;
	return grown;
}

bool seal_stopped(const struct seal *s)
{
	return s->stop && s->stop(s->stop_arg);
}

/* Frees what an item needs only while it is prepared. */
static void seal_item_settle(struct seal_item *it)
{
	free(it->pieces);
	free(it->extents);
	free(it->takes);
	it->pieces = NULL;
	it->extents = NULL;
	it->takes = NULL;
	it->piece_count = it->extent_count = it->take_count = 0;
	it->source = NULL;
}

/* Frees what the seal needs only while it is prepared. */
static void seal_settle(struct seal *s)
{
	for (size_t i = 0; i < s->base_count; i++) {
		free(s->bases[i]->parts);
		free(s->bases[i]);
	}
	free(s->bases);
	s->bases = NULL;
	s->base_count = 0;
	cut_free(s->cut);
	s->cut = NULL;
	free(s->window.data);
	s->window.data = NULL;
	buf_release(&s->pending);
	seal_known_free(s);
}

void seal_free(struct seal *s)
{
	if (!s)
		return;
	seal_give_back(s);
	for (size_t i = 0; i < s->count; i++) {
		seal_item_settle(&s->items[i]);
		free(s->items[i].chunks);
		free(s->items[i].bads);
	}
	seal_settle(s);
	for (size_t i = 0; i < s->bundle_count; i++)
		bundle_put(s->content, s->bundles[i]);
	free(s->bundles);
	free(s->items);
	free(s);
}

static int seal_new(struct content *c, size_t count, int (*stop)(void *arg), void *arg,
		    struct seal **out)
{
	struct seal *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->content = c;
	s->stop = stop;
	s->stop_arg = arg;
	s->items = calloc(count ? count : 1, sizeof(*s->items));
	if (!s->items) {
		free(s);
		return -ENOMEM;
	}
	s->count = count;
	*out = s;
	return 0;
}

static int seal_root_hash(struct seal *s, struct seal_item *it)
{
	struct manifest m;
	int err = manifest_init(&m, s->content->params.algo, it->size);

	for (size_t i = 0; i < it->count && !err; i++) {
		const struct seal_chunk *chunk = &it->chunks[i];

		if (chunk->from == SEAL_HOLE)
			err = manifest_add_hole(&m, chunk->len);
		else
			err = manifest_add_chunk(&m, (uint32_t)chunk->len, &chunk->hash);
	}
	if (!err)
		err = manifest_end(&m, &it->root);
	manifest_release(&m);
	return err;
}

/* Decides the ids of the rows that may have to be made. */
static int seal_ids(struct seal *s, struct seal_item *it)
{
	struct meta *meta = s->content->meta;

	it->object = meta_next_id(meta, META_SEQ_OBJECT);
	if (it->object < 0)
		return (int)it->object;
	for (size_t i = 0; i < it->count; i++) {
		struct seal_chunk *chunk = &it->chunks[i];

		if (chunk->from != SEAL_NEW && chunk->from != SEAL_HEAL &&
		    chunk->from != SEAL_SHARED)
			continue;
		chunk->id = meta_next_id(meta, META_SEQ_CHUNK);
		if (chunk->id < 0)
			return (int)chunk->id;
	}
	return 0;
}

static int seal_prepare_item(struct seal *s, struct seal_item *it)
{
	int err = 0;

	it->small = it->size <= s->content->params.bundle_limit;
	it->stats.size = it->size;
	if (!it->size)
		return 0;
	if (it->size > INT64_MAX)
		return -EFBIG;
	if (it->draft)
		err = draft_check(it->draft);
	if (!err)
		err = seal_reuse(s, it);
	if (!err)
		err = seal_survey(s, it);
	if (!err)
		err = seal_cut(s, it);
	if (!err)
		err = seal_root_hash(s, it);
	if (!err)
		err = seal_ids(s, it);
	return err;
}

/* Prepares the items, whose drafts or sources are set. On failure the seal is freed. */
static int seal_prepare_items(struct seal *s, struct seal **out)
{
	int err = 0;

	for (size_t i = 0; i < s->count && !err; i++) {
		struct seal_item *it = &s->items[i];

		err = seal_stopped(s) ? -ECANCELED : seal_prepare_item(s, it);
		/* It has ended before its size. */
		if (err == -ESTALE)
			err = -ECANCELED;
		seal_item_settle(it);
	}
	if (!err)
		err = seal_sync(s);
	seal_settle(s);
	if (err)
		seal_free(s);
	else
		*out = s;
	return err;
}

int seal_prepare(struct content *c, struct draft *const *drafts, size_t count,
		 int (*stop)(void *arg), void *arg, struct seal **out)
{
	struct seal *s = NULL;
	int err = seal_new(c, count, stop, arg, &s);

	if (err)
		return err;
	for (size_t i = 0; i < count; i++) {
		struct seal_item *it = &s->items[i];

		it->draft = drafts[i];
		it->epoch = draft_epoch(drafts[i]);
		it->plain = draft_is_plain(drafts[i]);
		it->size = draft_size(drafts[i]);
	}
	return seal_prepare_items(s, out);
}

int seal_import(struct content *c, const struct seal_source *src, size_t count,
		int (*stop)(void *arg), void *stop_arg, struct seal **out)
{
	struct seal *s = NULL;
	int err = seal_new(c, count, stop, stop_arg, &s);

	if (err)
		return err;
	for (size_t i = 0; i < count; i++) {
		s->items[i].source = &src[i];
		s->items[i].plain = true;
		s->items[i].size = src[i].size;
	}
	return seal_prepare_items(s, out);
}

const uint8_t *seal_root(const struct seal *s, size_t i)
{
	return s->items[i].size ? s->items[i].root.b : NULL;
}

const struct seal_stats *seal_stats(const struct seal *s, size_t i)
{
	return &s->items[i].stats;
}
