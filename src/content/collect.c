/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Collection, phase by phase; each call of collect_step() does a part of one. */
#include "config.h"

#include "content/collect-internal.h"
#include "util/err.h"
#include "util/log.h"
#include "util/time.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#define COLLECT_SEARCH_EVERY_NS (24 * 3600 * TIME_NS_PER_S)

enum { COLLECT_LIST_MIN = 64 };

enum collect_phase {
	COLLECT_OBJECTS,
	COLLECT_CHUNKS,
	COLLECT_DRAFTS,
	COLLECT_BLOBS, /* this and the next look for what crashes left */
	COLLECT_STRAYS,
	COLLECT_DONE,
};

int collect_ids_add(struct collect_ids *list, int64_t id)
{
	if (list->count == list->cap) {
		size_t cap = list->cap ? list->cap * 2 : COLLECT_LIST_MIN;
		int64_t *ids = reallocarray(list->ids, cap, sizeof(*ids));

		if (!ids)
			return -ENOMEM;
		list->ids = ids;
		list->cap = cap;
	}
	list->ids[list->count++] = id;
	return 0;
}

static int collect_compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

void collect_ids_unique(struct collect_ids *list)
{
	size_t kept = 0;

	if (!list->count)
		return;
	qsort(list->ids, list->count, sizeof(*list->ids), collect_compare);
	for (size_t i = 1; i < list->count; i++) {
		if (list->ids[i] != list->ids[kept])
			list->ids[++kept] = list->ids[i];
	}
	list->count = kept + 1;
}

void collect_ids_release(struct collect_ids *list)
{
	free(list->ids);
	*list = (struct collect_ids){ 0 };
}

void collect_release(struct collect_state *state)
{
	collect_ids_release(&state->files);
}

/* What a query of a window of rows finds. */
struct collect_window {
	struct collect_ids ids;
	struct collect_ids blobs;
	int64_t last;
	size_t seen;
	uint64_t bytes;
};

static void collect_window_release(struct collect_window *w)
{
	collect_ids_release(&w->ids);
	collect_ids_release(&w->blobs);
}

static int collect_object_row(void *arg, const struct meta_row *row)
{
	struct collect_window *w = arg;

	w->last = meta_row_int(row, 0);
	w->seen++;
	return meta_row_int(row, 1) ? 0 : collect_ids_add(&w->ids, w->last);
}

static int collect_id_row(void *arg, const struct meta_row *row)
{
	return collect_ids_add(arg, meta_row_int(row, 0));
}

/* Removes one object. -EAGAIN: something refers to it by now. */
static int collect_object(struct collect *k, struct meta_op *op, int64_t id)
{
	meta_op_reset(op);
	META_ADD(op, TOMBSTONE_OBJECT, META_ANY, 0, META_I(id), META_I(k->content->params.remote));
	META_ADD(op, COLLECT_OBJECT, META_ONE, -EAGAIN, META_I(id));
	META_ADD(op, COLLECT_UNREF, META_ANY, 0, META_I(id), META_I(k->now_ns));
	META_ADD(op, COLLECT_OBJECT_CHUNKS, META_ANY, 0, META_I(id));
	META_ADD(op, EDGE_DROP, META_ANY, 0, META_I(id));
	int err = meta_apply(k->content->meta, op);

	if (!err)
		k->stats->objects++;
	return err == -EAGAIN ? 0 : err;
}

/* Each phase: 1 when there is more of it, 0 at its end, or a negative error. */
static int collect_objects(struct collect *k)
{
	struct collect_state *st = &k->content->collect;
	struct collect_window w = { .last = st->cursor };
	struct meta_op *op = meta_op_new();
	int got = op ? META_QUERY(k->content->meta, COLLECT_OBJECTS, collect_object_row, &w,
				  META_I(st->cursor), META_I(k->limit))
		     : -ENOMEM;
	int err = got < 0 ? got : 0;

	for (size_t i = 0; i < w.ids.count && !err; i++) {
		if (view_open_has(&k->content->views, w.ids.ids[i]))
			continue;
		got = META_QUERY(k->content->meta, COLLECT_EDGES, collect_id_row, &w.blobs,
				 META_I(w.ids.ids[i]));
		err = got < 0 ? got : collect_object(k, op, w.ids.ids[i]);
	}
	if (!err && w.blobs.count) {
		collect_ids_unique(&w.blobs);
		err = collect_blobs(k, &w.blobs);
	}
	if (!err)
		st->cursor = w.last;
	meta_op_free(op);
	collect_window_release(&w);
	return err ? err : w.seen == k->limit;
}

static int collect_chunk_row(void *arg, const struct meta_row *row)
{
	struct collect_window *w = arg;
	int64_t id = meta_row_int(row, 0);
	int err = 0;

	/* A chunk with several places comes in several rows. */
	if (!w->ids.count || w->ids.ids[w->ids.count - 1] != id) {
		w->bytes += (uint64_t)meta_row_int(row, 1);
		err = collect_ids_add(&w->ids, id);
	}
	if (!err && !meta_row_null(row, 2))
		err = collect_ids_add(&w->blobs, meta_row_int(row, 2));
	return err;
}

static int collect_chunks(struct collect *k)
{
	int64_t before_ns = k->now_ns - k->grace_ns;
	struct collect_window w = { 0 };
	struct meta_op *op = meta_op_new();
	int got = op ? META_QUERY(k->content->meta, COLLECT_CHUNKS, collect_chunk_row, &w,
				  META_I(before_ns), META_I(k->limit))
		     : -ENOMEM;
	int err = got < 0 ? got : 0;

	for (size_t i = 0; i < w.ids.count && !err; i++) {
		META_ADD(op, TOMBSTONE_CHUNK, META_ANY, 0, META_I(w.ids.ids[i]), META_I(before_ns),
			 META_I(k->content->params.remote));
		META_ADD(op, COLLECT_PLACES, META_ANY, 0, META_I(w.ids.ids[i]), META_I(before_ns));
		META_ADD(op, COLLECT_CHUNK, META_ANY, 0, META_I(w.ids.ids[i]), META_I(before_ns));
	}
	if (!err && w.ids.count)
		err = meta_apply(k->content->meta, op);
	if (!err) {
		k->stats->chunks += w.ids.count;
		k->stats->chunk_bytes += w.bytes;
		collect_ids_unique(&w.blobs);
		err = collect_blobs(k, &w.blobs);
	}
	size_t count = w.ids.count;

	meta_op_free(op);
	collect_window_release(&w);
	return err ? err : count == k->limit;
}

static int collect_draft(struct collect *k, struct meta_op *op, int64_t id)
{
	meta_op_reset(op);
	META_ADD(op, COLLECT_DRAFT, META_ONE, -EAGAIN, META_I(id));
	META_ADD(op, DRAFT_EXTENT_CLEAR, META_ANY, 0, META_I(id));
	return meta_apply(k->content->meta, op);
}

static int collect_drafts(struct collect *k)
{
	struct collect_ids spare = { 0 }, gone = { 0 };
	struct meta_op *op = meta_op_new();
	int got = op ? META_QUERY(k->content->meta, DRAFT_SPARE, collect_id_row, &spare,
				  META_I(k->limit))
		     : -ENOMEM;
	int err = got < 0 ? got : 0;
	bool more = got == (int)k->limit;

	for (size_t i = 0; i < spare.count && !err; i++) {
		err = collect_draft(k, op, spare.ids[i]);
		if (!err)
			err = collect_ids_add(&gone, spare.ids[i]);
		else if (err == -EAGAIN)
			err = 0;
	}
	int synced = gone.count ? meta_sync(k->content->meta) : 0;

	if (!synced) {
		collect_unlink(k, &gone);
		k->stats->drafts += gone.count;
	}
	meta_op_free(op);
	collect_ids_release(&spare);
	collect_ids_release(&gone);
	return err ? err : synced ? synced : more;
}

static int collect_all_blobs(struct collect *k)
{
	struct collect_state *st = &k->content->collect;
	struct collect_ids ids = { 0 };
	int got = META_QUERY(k->content->meta, COLLECT_BLOBS, collect_id_row, &ids,
			     META_I(st->cursor), META_I(k->limit));
	int err = got < 0 ? got : collect_blobs(k, &ids);

	if (!err && ids.count)
		st->cursor = ids.ids[ids.count - 1];
	collect_ids_release(&ids);
	return err ? err : got == (int)k->limit;
}

static int collect_file(void *arg, int64_t id)
{
	return collect_ids_add(arg, id);
}

static int collect_any_row(void *arg, const struct meta_row *row)
{
	(void)arg;
	(void)row;
	return 1;
}

/* The folder is listed once, then its files are looked up in parts. A row is there before its file is made. */
static int collect_strays(struct collect *k)
{
	struct collect_state *st = &k->content->collect;
	struct collect_ids gone = { 0 };
	int err = 0;

	if (!st->cursor) {
		st->files.count = 0;
		err = blobs_scan(k->content->blobs, collect_file, &st->files);
		st->cursor = 1;
	}
	for (unsigned i = 0; i < k->limit && st->files.count && !err; i++) {
		int64_t id = st->files.ids[st->files.count - 1];
		int got = META_QUERY(k->content->meta, BLOB_GET, collect_any_row, NULL, META_I(id));

		err = got < 0 ? got : 0;
		if (!got)
			err = collect_ids_add(&gone, id);
		if (!err)
			st->files.count--;
	}
	collect_unlink(k, &gone);
	k->stats->strays += gone.count;
	collect_ids_release(&gone);
	return err ? err : st->files.count > 0;
}

static int collect_run(struct collect *k, enum collect_phase phase)
{
	switch (phase) {
	case COLLECT_OBJECTS:
		return collect_objects(k);
	case COLLECT_CHUNKS:
		return collect_chunks(k);
	case COLLECT_DRAFTS:
		return collect_drafts(k);
	case COLLECT_BLOBS:
		return collect_all_blobs(k);
	case COLLECT_STRAYS:
		return collect_strays(k);
	case COLLECT_DONE:
		break;
	}
	return 0;
}

/* Goes on to the next phase. */
static void collect_next(struct collect *k)
{
	struct collect_state *st = &k->content->collect;

	st->phase++;
	st->cursor = 0;
	if (st->phase == COLLECT_BLOBS && st->searched &&
	    k->now_ns - st->searched_ns < COLLECT_SEARCH_EVERY_NS)
		st->phase = COLLECT_DONE;
	if (st->phase == COLLECT_BLOBS)
		st->searched_ns = k->now_ns;
}

int collect_step(struct content *c, int64_t now_ns, int64_t grace_ns, unsigned limit,
		 struct collect_stats *stats)
{
	struct collect k = { c, now_ns, grace_ns, limit ? limit : 1, stats };
	struct collect_state *st = &c->collect;

	content_trim_begin(c);
	int more = collect_run(&k, (enum collect_phase)st->phase);

	content_trim_end(c);
	if (more < 0) {
		log_error("collection: %s", err_text(more));
		return more;
	}
	if (!more)
		collect_next(&k);
	if (st->phase != COLLECT_DONE)
		return 1;
	st->searched = true;
	st->phase = COLLECT_OBJECTS;
	collect_ids_release(&st->files);
	return 0;
}
