/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * After the rows: gives back what is not kept. Nothing is punched or emptied before the metadata is durable, or a power cut could bring back
 * rows whose bytes are gone.
 */
#include "config.h"

#include "content/seal-internal.h"
#include "util/err.h"
#include "util/log.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>

enum { SEAL_BLOCK = 4096 };

/* Whether the item's draft is its home and keeps all that is in it. */
static bool seal_item_stays(const struct seal_item *it)
{
	if (!it->home || !it->plain || it->adopted)
		return false;
	for (size_t i = 0; i < it->count; i++) {
		enum seal_from from = it->chunks[i].from;

		if (from != SEAL_NEW && from != SEAL_HEAL && from != SEAL_HOLE)
			return false;
	}
	return true;
}

bool seal_stays(const struct seal *s, size_t i)
{
	return seal_item_stays(&s->items[i]);
}

/* What the trimming of one home goes through. */
struct seal_trim {
	struct seal *seal;
	struct seal_item *item;
	int64_t blob;
	struct meta_op *op; /* NULL: nothing is shared */
};

/*
 * Lets the chunk's range share the storage of the held copy. Where the ends are not on block boundaries, the blocks there keep their own
 * bytes. True if the range may stay.
 */
static bool seal_reflink(struct seal_trim *t, const struct seal_chunk *chunk)
{
	uint64_t from = (chunk->start + SEAL_BLOCK - 1) / SEAL_BLOCK * SEAL_BLOCK;
	uint64_t to = (chunk->start + chunk->len) / SEAL_BLOCK * SEAL_BLOCK;

	if (!t->op || !seal_can_reflink(t->seal, t->item, chunk))
		return false;
	if (to > from && blobs_dedupe(t->seal->content->blobs, chunk->blob,
				      chunk->at + (from - chunk->start), t->blob, from, to - from))
		return false;
	META_ADD(t->op, PLACE_COPY, META_ANY, 0, META_B(chunk->hash.b, HASH_LEN), META_I(t->blob),
		 META_I(chunk->start));
	return true;
}

static bool seal_keeps(struct seal_trim *t, const struct seal_chunk *chunk)
{
	if (chunk->from == SEAL_NEW || chunk->from == SEAL_HEAL)
		return true;
	return chunk->from == SEAL_HELD && seal_reflink(t, chunk);
}

static void seal_punch(struct seal_trim *t, uint64_t from, uint64_t to)
{
	int err = to > from ? blobs_punch(t->seal->content->blobs, t->blob, from, to - from) : 0;

	if (err && err != -EOPNOTSUPP && err != -EBUSY)
		log_warn("blob %" PRId64 ": space was not given back: %s", t->blob, err_text(err));
}

/* Records the copies that stay and ends this instance's ownership. */
static void seal_record_copies(struct seal_trim *t)
{
	struct content *c = t->seal->content;

	if (!t->op)
		return;
	META_ADD(t->op, BLOB_DISOWN, META_ANY, 0, META_I(t->blob), CONTENT_OWNER(c));
	int err = meta_apply(c->meta, t->op);

	if (err)
		log_warn("blob %" PRId64 ": its shared copies were not recorded: %s", t->blob,
			 err_text(err));
	meta_op_free(t->op);
}

/* Whether anything of the home is to be given back: then nobody may look at its file. */
static bool seal_may_trim(struct seal *s, struct seal_item *it)
{
	bool passed = __atomic_load_n(&it->draft->passed, __ATOMIC_RELAXED);
	int64_t blob = draft_blob(it->draft);

	if (!passed || seal_item_stays(it))
		return true;
	draft_free(it->draft);
	it->draft = NULL;
	return blobs_alone(s->content->blobs, blob) == 1;
}

/* Gives back all of a home that is not kept. */
static void seal_trim_home(struct seal *s, struct seal_item *it)
{
	struct seal_trim t = { .seal = s, .item = it, .blob = draft_blob(it->draft) };
	uint64_t at = 0, size = it->size;

	if (!seal_may_trim(s, it))
		return;

	if (blobs_caps(s->content->blobs)->reflink && it->plain)
		t.op = meta_op_new();
	blobs_stat(s->content->blobs, t.blob, &size, NULL);
	for (size_t i = 0; i < it->count; i++) {
		const struct seal_chunk *chunk = &it->chunks[i];

		if (!seal_keeps(&t, chunk))
			continue;
		seal_punch(&t, at, chunk->start);
		at = chunk->start + chunk->len;
	}
	seal_punch(&t, at, size);
	seal_record_copies(&t);
}

static int seal_kind_row(void *arg, const struct meta_row *row)
{
	*(int64_t *)arg = meta_row_int(row, 0);
	return 0;
}

/* Whether the draft is a draft still: the operation that makes it a home was not applied. */
static bool seal_is_draft(struct content *c, const struct draft *d)
{
	int64_t kind = 0;

	META_QUERY(c->meta, BLOB_GET, seal_kind_row, &kind, META_I(draft_blob(d)));
	return kind == CONTENT_BLOB_DRAFT;
}

static void seal_give_back_item(struct seal *s, struct seal_item *it, bool durable)
{
	struct content *c = s->content;

	if (!it->draft)
		return;
	if (it->adopted && (it->phase != SEAL_FINISHED || !it->home)) {
		seal_reuse_drop(s, it);
	} else if (it->phase != SEAL_FINISHED) {
		if (!it->own)
			it->draft = NULL;
		else if (it->phase == SEAL_PREPARED || seal_is_draft(c, it->draft))
			draft_recycle(c, &it->draft);
	} else if (!it->home) {
		draft_recycle(c, &it->draft);
	} else if (durable) {
		seal_trim_home(s, it);
	}
	draft_free(it->draft);
	it->draft = NULL;
}

void seal_give_back(struct seal *s)
{
	bool finished = false;

	for (size_t i = 0; i < s->count && !finished; i++)
		finished = s->items[i].phase == SEAL_FINISHED && s->items[i].draft;
	int err = finished ? meta_sync(s->content->meta) : 0;

	if (err)
		log_error("space of sealed drafts is left to collection: %s", err_text(err));
	for (size_t i = 0; i < s->count; i++)
		seal_give_back_item(s, &s->items[i], !err);
	if (finished && !err)
		draft_pool_clean(s->content);
}

void seal_finish(struct seal *s, size_t i, struct draft **draft)
{
	struct seal_item *it = &s->items[i];

	assert(i < s->count && it->phase == SEAL_ADDED);
	it->phase = SEAL_FINISHED;
	if (!draft)
		return;
	assert(*draft == it->draft);
	*draft = NULL;
}
