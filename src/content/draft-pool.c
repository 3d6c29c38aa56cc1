/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The pool of draft files. Rows come before files, so that a file without a row belongs to no one; a file is emptied only after
 * the metadata was synced, so that no row that a power cut brings back misses its bytes.
 */
#include "config.h"

#include "content/content-internal.h"
#include "util/err.h"
#include "util/log.h"
#include "util/pool.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
	DRAFT_BATCH_MIN = 8,
	DRAFT_BATCH_MAX = 64,
	DRAFT_LOW = 64,   /* who takes many finds more that were made before there are none, … */
	DRAFT_MANY = 256, /* … after so many */
	DRAFT_STALE_MAX = 256,
	DRAFT_STALE_BYTES = 32 * 1024 * 1024,
	DRAFT_READY_MAX = 4096, /* more than these are removed */
	DRAFT_ADOPT_MAX = 64,
};

void draft_pool_init(struct draft_pool *p)
{
	*p = (struct draft_pool){ .batch = DRAFT_BATCH_MIN };
	lock_init(&p->lock, LOCK_RANK_CONTENT);
	lock_cond_init(&p->changed);
}

void draft_pool_release(struct draft_pool *p)
{
	free(p->ready.ids);
	free(p->stale.ids);
	lock_cond_release(&p->changed);
	lock_release(&p->lock);
}

static int draft_ids_add(struct draft_ids *d, int64_t id)
{
	if (d->count == d->cap) {
		size_t cap = d->cap ? d->cap * 2 : DRAFT_BATCH_MAX;
		int64_t *ids = reallocarray(d->ids, cap, sizeof(*ids));

		if (!ids)
			return -ENOMEM;
		d->ids = ids;
		d->cap = cap;
	}
	d->ids[d->count++] = id;
	return 0;
}

/* A draft that finds no room in the list stays this instance's and is collected when the instance is dead. */
static void draft_pool_add_ready(struct draft_pool *p, int64_t id)
{
	lock_lock(&p->lock);
	int err = draft_ids_add(&p->ready, id);

	lock_cond_broadcast(&p->changed);
	lock_unlock(&p->lock);
	if (err)
		log_warn("draft %" PRId64 " is left unused: %s", id, err_text(err));
}

/* What one round of making or taking over drafts works on. */
struct draft_batch {
	struct content *c;
	int64_t ids[DRAFT_ADOPT_MAX];
	size_t count;
};

static void draft_pool_fill_new(struct meta_op *op, void *arg)
{
	const struct draft_batch *b = arg;

	for (size_t i = 0; i < b->count; i++)
		META_ADD(op, BLOB_ADD, META_ONE, -EEXIST, META_I(b->ids[i]),
			 META_I(CONTENT_BLOB_DRAFT), CONTENT_OWNER(b->c));
}

static int draft_pool_make(struct content *c)
{
	struct draft_pool *p = &c->drafts;
	struct draft_batch b = { .c = c };
	size_t want = p->batch;
	int err = 0;

	while (b.count < want) {
		int64_t id = meta_next_id(c->meta, META_SEQ_BLOB);

		if (id < 0)
			return (int)id;
		b.ids[b.count++] = id;
	}
	err = content_change(c, draft_pool_fill_new, &b);
	if (err)
		return err;
	p->batch = want * 2 < DRAFT_BATCH_MAX ? want * 2 : DRAFT_BATCH_MAX;
	p->made += want;
	/* Made from the last on, as they are taken from the end: in the order of their ids. */
	size_t made = 0;

	while (made < want) {
		int64_t id = b.ids[want - 1 - made];

		err = content_empty_file(c, id);
		if (err)
			break;
		draft_pool_add_ready(p, id);
		made++;
	}
	return made ? 0 : err;
}

static int draft_pool_spare_row(void *arg, const struct meta_row *row)
{
	struct draft_batch *b = arg;

	b->ids[b->count++] = meta_row_int(row, 0);
	return b->count == DRAFT_ADOPT_MAX;
}

static void draft_pool_fill_adopt(struct meta_op *op, void *arg)
{
	const struct draft_batch *b = arg;

	for (size_t i = 0; i < b->count; i++) {
		META_ADD(op, BLOB_ADOPT, META_ONE, -EAGAIN, META_I(b->ids[i]),
			 META_I(CONTENT_BLOB_DRAFT), CONTENT_OWNER(b->c));
		META_ADD(op, DRAFT_EXTENT_CLEAR, META_ANY, 0, META_I(b->ids[i]));
	}
}

/* Takes over spare drafts of dead instances. Failure costs only the making of new ones. */
static void draft_pool_adopt(struct content *c)
{
	struct draft_pool *p = &c->drafts;
	struct draft_batch b = { .c = c };
	int got = META_QUERY(c->meta, DRAFT_SPARE, draft_pool_spare_row, &b,
			     META_I(DRAFT_ADOPT_MAX));
	int err = got < 0 ? got : 0;

	if (!err && b.count)
		err = content_change(c, draft_pool_fill_adopt, &b);
	if (err) {
		log_warn("spare drafts were not taken over: %s", err_text(err));
		return;
	}
	lock_lock(&p->lock);
	for (size_t i = 0; i < b.count; i++)
		draft_ids_add(&p->stale, b.ids[i]);
	lock_unlock(&p->lock);
}

static void draft_pool_fill_drop(struct meta_op *op, void *arg)
{
	META_ADD(op, DRAFT_DROP, META_ONE, -EAGAIN, META_I(*(int64_t *)arg));
}

/* Removes a draft for which the pool has no room, or that someone else has open. */
static void draft_pool_drop(struct content *c, int64_t id)
{
	int err = content_change(c, draft_pool_fill_drop, &id);

	if (!err)
		err = blobs_unlink(c->blobs, id);
	if (err && err != -ENOENT)
		log_warn("draft %" PRId64 " was not removed: %s", id, err_text(err));
}

/* Empties the drafts in `list`, all of whose releases are durable. */
static void draft_pool_empty(struct content *c, const struct draft_ids *list)
{
	struct draft_pool *p = &c->drafts;

	for (size_t i = list->count; i-- > 0;) {
		lock_lock(&p->lock);
		bool full = p->ready.count >= DRAFT_READY_MAX;

		lock_unlock(&p->lock);
		/* Who has the file mapped still must not see what its next asset is given. */
		if (full || blobs_alone(c->blobs, list->ids[i]) == 0) {
			draft_pool_drop(c, list->ids[i]);
			continue;
		}
		int err = content_empty_file(c, list->ids[i]);

		if (err)
			log_error("draft %" PRId64 " was not emptied: %s", list->ids[i],
				  err_text(err));
		else
			draft_pool_add_ready(p, list->ids[i]);
	}
}

/* draft_pool_clean() for the thread that has the pool busy. */
static void draft_pool_clean_busy(struct content *c)
{
	struct draft_pool *p = &c->drafts;

	lock_lock(&p->lock);
	struct draft_ids list = p->stale;

	p->stale = (struct draft_ids){ 0 };
	p->stale_bytes = 0;
	lock_unlock(&p->lock);
	int err = list.count ? meta_sync(c->meta) : 0;

	if (!err) {
		draft_pool_empty(c, &list);
	} else {
		log_error("drafts were not emptied: %s", err_text(err));
		lock_lock(&p->lock);
		for (size_t i = 0; i < list.count; i++)
			draft_ids_add(&p->stale, list.ids[i]);
		lock_unlock(&p->lock);
	}
	free(list.ids);
}

static void draft_pool_done(struct draft_pool *p)
{
	lock_lock(&p->lock);
	p->busy = false;
	lock_cond_broadcast(&p->changed);
	lock_unlock(&p->lock);
}

static int draft_pool_refill_busy(struct content *c)
{
	struct draft_pool *p = &c->drafts;

	if (c->params.adopt && !p->adopted) {
		p->adopted = true;
		draft_pool_adopt(c);
		draft_pool_clean_busy(c);
	}
	lock_lock(&p->lock);
	bool ready = p->ready.count > 0;

	lock_unlock(&p->lock);
	return ready ? 0 : draft_pool_make(c);
}

/* Makes the pool busy with this thread; false if another thread has it busy and `wait` is not set. */
static bool draft_pool_begin(struct draft_pool *p, bool wait)
{
	lock_lock(&p->lock);
	while (p->busy && wait)
		lock_cond_wait(&p->changed, &p->lock);
	bool mine = !p->busy;

	p->busy = true;
	lock_unlock(&p->lock);
	return mine;
}

static void draft_pool_unfilled(struct draft_pool *p)
{
	lock_lock(&p->lock);
	p->filling = false;
	lock_unlock(&p->lock);
}

/* A task: drafts beside those that are ready. */
static void draft_pool_fill(void *arg)
{
	struct content *c = arg;
	struct draft_pool *p = &c->drafts;

	if (draft_pool_begin(p, false)) {
		lock_lock(&p->lock);
		bool spare = p->stale.count >= DRAFT_LOW;

		lock_unlock(&p->lock);
		/* Who finds none makes some and is told of what fails. */
		if (spare)
			draft_pool_clean_busy(c);
		else
			(void)draft_pool_make(c);
		draft_pool_done(p);
	}
	draft_pool_unfilled(p);
}

/* Whether the pool is to be filled, by the caller. */
static bool draft_pool_low_locked(struct draft_pool *p) LOCK_REQUIRES(&p->lock)
{
	bool low = !p->filling && !p->busy && p->ready.count < DRAFT_LOW && p->made >= DRAFT_MANY;

	p->filling |= low;
	return low;
}

int draft_pool_take(struct content *c, int64_t *blob)
{
	struct draft_pool *p = &c->drafts;
	int err = 0;

	lock_lock(&p->lock);
	while (!err && !p->ready.count) {
		if (p->busy) {
			lock_cond_wait(&p->changed, &p->lock);
			continue;
		}
		p->busy = true;
		lock_unlock(&p->lock);
		err = draft_pool_refill_busy(c);
		draft_pool_done(p);
		lock_lock(&p->lock);
	}
	if (!err)
		*blob = p->ready.ids[--p->ready.count];
	bool fill = !err && c->pool && draft_pool_low_locked(p);

	lock_unlock(&p->lock);
	if (fill && pool_try_submit(c->pool, draft_pool_fill, c))
		draft_pool_unfilled(p);
	return err;
}

void draft_pool_clean(struct content *c)
{
	draft_pool_begin(&c->drafts, true);
	draft_pool_clean_busy(c);
	draft_pool_done(&c->drafts);
}

void draft_pool_give(struct content *c, int64_t blob, uint64_t bytes)
{
	struct draft_pool *p = &c->drafts;

	lock_lock(&p->lock);
	int err = draft_ids_add(&p->stale, blob);

	p->stale_bytes += bytes;
	bool due = p->stale.count >= DRAFT_STALE_MAX || p->stale_bytes >= DRAFT_STALE_BYTES;

	lock_unlock(&p->lock);
	if (err)
		log_warn("draft %" PRId64 " is left unused: %s", blob, err_text(err));
	if (due && draft_pool_begin(p, false)) {
		draft_pool_clean_busy(c);
		draft_pool_done(p);
	}
}

void draft_pool_return(struct content *c, int64_t blob)
{
	draft_pool_add_ready(&c->drafts, blob);
}
