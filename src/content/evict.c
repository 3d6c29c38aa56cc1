/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Eviction: the bucket is asked, rows go, bytes go. */
#include "config.h"

#include "content/evict-internal.h"
#include "util/cleanup.h"
#include "util/err.h"
#include "util/log.h"
#include "util/time.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

/* Whether the item is another place of the chunk before it: then both stay or go. */
static bool evict_same_chunk(const struct evict *e, size_t i)
{
	return i > 0 && e->items[i - 1].chunk == e->items[i].chunk &&
	       e->items[i - 1].object == e->items[i].object;
}

static int evict_apply(struct evict *e, struct meta_op *op)
{
	return meta_op_count(op) ? meta_apply(e->content->meta, op) : 0;
}

static void evict_tell_lost(const struct evict_item *it, size_t count)
{
	char name[HASH_TEXT_LEN];

	hash_hex(&it->hash, name);
	log_error("the bucket has lost %zu chunks that it had, such as %s; they are kept here and "
		  "sent "
		  "again",
		  count, name);
}

static void evict_add_lost(const struct evict_item *it, struct meta_op *op)
{
	struct meta_value chunk = META_I(it->chunk), now = META_I(time_now_ns());

	META_ADD(op, EVICT_LOST, META_ANY, 0, chunk);
	META_ADD(op, EVICT_LOST_OBJECTS, META_ANY, 0, chunk);
	META_ADD(op, EVICT_LOST_QUEUE, META_ANY, 0, chunk, now);
	META_ADD(op, EVICT_LOST_MANIFESTS, META_ANY, 0, chunk, now);
}

/* Chunks that the bucket does not have are to be sent again. */
static int evict_take_answers(struct evict *e, const struct evict_ask *asks, struct meta_op *op)
{
	const struct evict_item *last = NULL;
	int64_t object = 0;
	size_t ask = 0, lost = 0;

	meta_op_reset(op);
	for (size_t i = 0; i < e->count; i++) {
		struct evict_item *it = &e->items[i];

		if (it->stays)
			continue;
		ask += !evict_same_chunk(e, i);
		int there = asks[ask - 1].there;

		if (there == 0 && !evict_same_chunk(e, i)) {
			last = it;
			lost++;
			evict_add_lost(it, op);
		}
		if (there < 0 && it->object != object) {
			object = it->object;
			e->stats->unanswered++;
		}
		it->stays = there != 1;
	}
	e->stats->lost += lost;
	if (last)
		evict_tell_lost(last, lost);
	return evict_apply(e, op);
}

/* Asks for every chunk that may go. */
static int evict_ask_bucket(struct evict *e, struct meta_op *op)
{
	CLEANUP_FREE struct evict_ask *asks = calloc(e->count + 1, sizeof(*asks));
	size_t count = 0;

	if (!asks)
		return -ENOMEM;
	for (size_t i = 0; i < e->count; i++) {
		const struct evict_item *it = &e->items[i];

		if (!it->stays && !evict_same_chunk(e, i))
			asks[count++] = (struct evict_ask){ it->hash, it->size, -EAGAIN };
	}
	if (!count)
		return 0;
	e->params->ask(e->params->arg, asks, count);
	return evict_take_answers(e, asks, op);
}

/* What someone has open stays. One blob is tried once. */
static void evict_leave_open(struct evict *e)
{
	int64_t last = 0, object = 0;
	bool alone = false;

	for (size_t i = 0; i < e->count; i++) {
		struct evict_item *it = &e->items[i];

		if (it->stays)
			continue;
		if (it->blob != last)
			alone = blobs_alone(e->content->blobs, it->blob) != 0;
		last = it->blob;
		it->stays = !alone;
		if (!alone && it->object != object) {
			object = it->object;
			e->stats->open++;
		}
	}
}

/* The chunk at that blob, if it goes from there, else NULL. */
static const struct evict_item *evict_going(const struct evict *e, int64_t chunk, int64_t blob)
{
	for (size_t i = 0; i < e->count; i++) {
		if (e->items[i].chunk == chunk && e->items[i].blob == blob)
			return e->items[i].stays ? NULL : &e->items[i];
	}
	return NULL;
}

/* Reads the whole chunk: 1, and they are its bytes; 0: not, or they cannot be read; or an error. */
static int evict_read_chunk(struct content *c, const struct evict_item *it, uint8_t *bytes)
{
	struct blob *blob = NULL;
	struct hash hash;

	if (blobs_get(c->blobs, it->blob, &blob))
		return 0;
	ssize_t got = blob_read(blob, bytes, it->size, it->at);

	blob_put(blob);
	if (got != (ssize_t)it->size)
		return 0;
	int err = hash_data(c->params.algo, bytes, it->size, &hash);

	if (!err && !hash_equal(&hash, &it->hash))
		log_error("blob %" PRId64 " at %" PRIu64
			  ": a damaged chunk; it is evicted whole, for the bucket has it",
			  it->blob, it->at);
	return err ? err : hash_equal(&hash, &it->hash);
}

/* One edge of a chunk that goes, with the sum of its bytes. Of what is damaged there is none: its sum would call it good. */
static int evict_put_edge(struct evict *e, const struct evict_edge *edge,
			  const struct evict_item *it, struct meta_op *op)
{
	CLEANUP_FREE uint8_t *bytes = malloc(it->size);
	struct content *c = e->content;
	struct hash sum;

	if (!bytes)
		return -ENOMEM;
	int good = evict_read_chunk(c, it, bytes);

	if (good != 1)
		return good;
	int err = hash_data(c->params.algo, bytes + (edge->off - it->at), edge->len, &sum);

	if (err)
		return err;
	META_ADD(op, EDGE_ADD, META_ANY, 0, META_I(edge->object), META_I(edge->start),
		 META_I(edge->len), META_I(edge->blob), META_I(edge->off), META_B(sum.b, HASH_LEN));
	return collect_ids_add(&e->objects, edge->object);
}

static int evict_put_edges(struct evict *e, struct meta_op *op)
{
	int err = 0;

	for (size_t i = 0; i < e->edge_count && !err; i++) {
		const struct evict_edge *edge = &e->edges[i];
		const struct evict_item *it = evict_going(e, edge->chunk, edge->blob);

		if (it)
			err = evict_put_edge(e, edge, it, op);
	}
	return err;
}

static int evict_blob_row(void *arg, const struct meta_row *row)
{
	return collect_ids_add(arg, meta_row_int(row, 0));
}

/* The edges of the objects that were looked at go too. */
static int evict_drop_edges(struct evict *e, struct meta_op *op)
{
	int err = 0;

	for (size_t i = 0; i < e->objects.count && !err; i++) {
		int got = META_QUERY(e->content->meta, COLLECT_EDGES, evict_blob_row, &e->blobs,
				     META_I(e->objects.ids[i]));

		err = got < 0 ? got : 0;
		if (got > 0)
			META_ADD(op, EDGE_DROP, META_ANY, 0, META_I(e->objects.ids[i]));
	}
	return err;
}

/* The operation: places go, edges come (or go), blobs without either go, and the objects find their place in the order. */
static int evict_rows(struct evict *e, struct meta_op *op)
{
	int64_t object = 0;
	int err = 0;

	meta_op_reset(op);
	for (size_t i = 0; i < e->count && !err; i++) {
		const struct evict_item *it = &e->items[i];

		if (it->stays)
			continue;
		META_ADD(op, EVICT_PLACE, META_ANY, 0, META_I(it->chunk), META_I(it->blob),
			 META_I(it->at));
		e->stats->chunks++;
		e->stats->evicted += it->object != object;
		object = it->object;
		err = collect_ids_add(&e->blobs, it->blob);
	}
	if (!err && e->params->edges_too)
		err = evict_drop_edges(e, op);
	else if (!err)
		err = evict_put_edges(e, op);
	if (err)
		return err;
	collect_ids_unique(&e->blobs);
	collect_ids_unique(&e->objects);
	for (size_t i = 0; i < e->blobs.count; i++)
		META_ADD(op, EVICT_BLOB, META_ANY, 0, META_I(e->blobs.ids[i]));
	for (size_t i = 0; i < e->objects.count; i++)
		META_ADD(op, EVICT_LEFT, META_ANY, 0, META_I(e->objects.ids[i]));
	return evict_apply(e, op);
}

/* Someone has the blob's file: what was named of it is named again, for its bytes are there still. */
static int evict_undo(struct evict *e, int64_t blob, struct meta_op *op)
{
	meta_op_reset(op);
	for (size_t i = 0; i < e->count; i++) {
		const struct evict_item *it = &e->items[i];

		if (it->stays || it->blob != blob)
			continue;
		META_ADD(op, EVICT_UNDO, META_ANY, 0, META_I(it->chunk), META_I(blob),
			 META_I(it->at));
		META_ADD(op, EVICT_LEFT, META_ANY, 0, META_I(it->object));
		e->stats->chunks--;
	}
	e->stats->open++;
	return evict_apply(e, op);
}

/* Bytes go, now that their rows are gone for good. */
static int evict_bytes(struct evict *e, struct meta_op *op)
{
	int err = e->blobs.count ? meta_sync(e->content->meta) : 0;

	for (size_t i = 0; i < e->blobs.count && !err; i++) {
		int64_t blob = e->blobs.ids[i];
		int done = collect_trim(e->content, blob, &e->stats->freed_bytes);

		if (done == 0)
			err = evict_undo(e, blob, op);
		else if (done < 0 && done != -EOPNOTSUPP)
			log_warn("blob %" PRId64 ": space was not given back: %s", blob,
				 err_text(done));
	}
	return err;
}

static void evict_release(struct evict *e)
{
	free(e->items);
	free(e->edges);
	collect_ids_release(&e->objects);
	collect_ids_release(&e->blobs);
}

int evict_objects(struct content *c, const int64_t *ids, size_t count,
		  const struct evict_params *params, struct evict_stats *stats)
{
	struct evict e = { .content = c, .params = params, .stats = stats };
	struct meta_op *op = meta_op_new();
	int err = op ? 0 : -ENOMEM;

	for (size_t i = 0; i < count && !err; i++)
		err = evict_plan(&e, ids[i]);
	if (!err && params->ask)
		err = evict_ask_bucket(&e, op);
	if (!err) {
		evict_leave_open(&e);
		content_trim_begin(c);
		err = evict_rows(&e, op);
		if (!err)
			err = evict_bytes(&e, op);
		content_trim_end(c);
	}
	meta_op_free(op);
	evict_release(&e);
	return err;
}
