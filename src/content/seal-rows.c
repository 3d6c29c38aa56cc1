/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The rows of a sealed item. Rows are named by hash: where another process was faster with a chunk or with the whole object, its rows stay and the statements
 * here do nothing. What is relied on without new bytes has to be there still, or the operation fails with -EAGAIN.
 */
#include "config.h"

#include "content/seal-internal.h"
#include "util/time.h"

#include <assert.h>
#include <errno.h>

enum { SEAL_REFLINK_ALIGN = 4096 };

bool seal_can_reflink(const struct seal *s, const struct seal_item *it,
		      const struct seal_chunk *chunk)
{
	return it->home && it->plain && (!it->own || it->filled) && chunk->from == SEAL_HELD &&
	       blobs_caps(s->content->blobs)->reflink &&
	       (chunk->at - chunk->start) % SEAL_REFLINK_ALIGN == 0;
}

/* The chunk's own rows, or the check that they are there. */
static void seal_add_held(const struct seal_chunk *chunk, int64_t now_ns, struct meta_op *op)
{
	struct meta_value hash = META_B(chunk->hash.b, HASH_LEN);

	switch (chunk->from) {
	case SEAL_NEW:
	case SEAL_HEAL:
	case SEAL_SHARED:
		META_ADD(op, CHUNK_ADD, META_ANY, 0, META_I(chunk->id), hash, META_I(chunk->len),
			 META_I(now_ns));
		break;
	case SEAL_HELD:
		META_ADD(op, CHUNK_AT, META_ONE, -EAGAIN, hash, META_I(chunk->blob),
			 META_I(chunk->at));
		break;
	case SEAL_BASE:
		META_ADD(op, CHUNK_HAS, META_ONE, -EAGAIN, hash);
		break;
	case SEAL_HOLE:
	case SEAL_REPEAT:
		break;
	}
}

/* Places: damaged copies go before the new ones come. */
static void seal_add_places(const struct seal_item *it, struct meta_op *op)
{
	for (size_t i = 0; i < it->bad_count; i++) {
		const struct seal_bad *b = &it->bads[i];

		META_ADD(op, PLACE_DROP, META_ANY, 0, META_B(it->chunks[b->chunk].hash.b, HASH_LEN),
			 META_I(b->blob), META_I(b->at));
	}
	for (size_t i = 0; i < it->count; i++) {
		const struct seal_chunk *chunk = &it->chunks[i];

		if (chunk->from == SEAL_NEW || chunk->from == SEAL_HEAL ||
		    chunk->from == SEAL_SHARED)
			META_ADD(op, PLACE_ADD, META_ANY, 0, META_B(chunk->hash.b, HASH_LEN),
				 META_I(chunk->blob), META_I(chunk->at));
	}
}

/* What the bucket does not have is queued in the operation that makes it: so nothing is forgotten. */
static void seal_add_upload(const struct seal_item *it, int64_t now_ns, struct meta_op *op)
{
	META_ADD(op, UPLOAD_QUEUE_CHUNKS, META_ANY, 0, META_I(it->object), META_I(now_ns));
	META_ADD(op, UPLOAD_QUEUE_MANIFEST, META_ANY, 0, META_I(it->object), META_I(now_ns));
	for (size_t i = 0; i < it->count; i++) {
		if (it->chunks[i].from == SEAL_HEAL)
			META_ADD(op, UPLOAD_HEALED, META_ANY, 0,
				 META_B(it->chunks[i].hash.b, HASH_LEN));
	}
}

static void seal_add_object(const struct seal_item *it, struct meta_op *op)
{
	META_ADD(op, OBJECT_ADD, META_ANY, 0, META_I(it->object), META_B(it->root.b, HASH_LEN),
		 META_I(it->size), META_I(it->stats.data), META_I(it->count));
	META_ADD(op, OBJECT_MADE, META_ANY, 0, META_B(it->root.b, HASH_LEN), META_I(time_now_ns()));
	for (size_t i = 0; i < it->count; i++) {
		const struct seal_chunk *chunk = &it->chunks[i];

		if (chunk->from == SEAL_HOLE)
			META_ADD(op, OBJECT_HOLE_ADD, META_ANY, 0, META_I(it->object), META_I(i),
				 META_I(chunk->start), META_I(chunk->len));
		else
			META_ADD(op, OBJECT_CHUNK_ADD, META_ANY, 0, META_I(it->object), META_I(i),
				 META_I(chunk->start), META_I(chunk->len),
				 META_B(chunk->hash.b, HASH_LEN));
	}
	META_ADD(op, OBJECT_REF, META_ANY, 0, META_I(it->object));
}

/*
 * The draft becomes a home, or is released. A home whose ranges may yet be shared with held copies stays this instance's until
 * that is done, so that collection keeps off.
 */
static void seal_add_draft(const struct seal *s, const struct seal_item *it, struct meta_op *op)
{
	bool reflink = false;

	if (!it->draft)
		return;
	if (!it->home && !it->adopted) {
		draft_add_release(it->draft, op);
		return;
	}
	for (size_t i = 0; i < it->count && !reflink; i++)
		reflink = seal_can_reflink(s, it, &it->chunks[i]);
	struct meta_value owner = reflink ? CONTENT_OWNER(s->content) : META_N();

	if (it->adopted) {
		seal_reuse_add(it, &owner, op);
		return;
	}
	META_ADD(op, DRAFT_HOME, META_ONE, -ESTALE, META_I(draft_blob(it->draft)), META_I(it->size),
		 owner);
	META_ADD(op, DRAFT_EXTENT_CLEAR, META_ANY, 0, META_I(draft_blob(it->draft)));
}

int seal_add(struct seal *s, size_t i, struct meta_op *op)
{
	struct seal_item *it = &s->items[i];
	int64_t now_ns = time_now_ns();

	assert(i < s->count && it->phase != SEAL_FINISHED);
	if (it->draft && !it->own && draft_epoch(it->draft) != it->epoch)
		return -ECANCELED;
	it->phase = SEAL_ADDED;
	if (it->size) {
		for (size_t k = 0; k < it->count; k++)
			seal_add_held(&it->chunks[k], now_ns, op);
		seal_add_places(it, op);
		seal_add_object(it, op);
		if (s->content->params.remote)
			seal_add_upload(it, now_ns, op);
	}
	seal_add_draft(s, it, op);
	return 0;
}
