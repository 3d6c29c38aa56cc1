/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Recording where fetched chunks are, for many together some time after they came: one sync of each file, then one operation with all their rows. What a crash leaves
 * is space that collection finds.
 */
#include "config.h"

#include "content/fetch-internal.h"
#include "util/err.h"
#include "util/io.h"
#include "util/log.h"
#include "util/time.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

enum { FETCH_RECORD_MAX = 256 }; /* chunks that wait for it */

#define FETCH_RECORD_NS TIME_NS_PER_S
#define FETCH_AGAIN_NS (5 * TIME_NS_PER_S)

void fetch_record_soon_locked(struct fetch *f)
{
	int64_t now = time_mono_ns();
	int64_t at = f->unrecorded >= FETCH_RECORD_MAX ? now : now + FETCH_RECORD_NS;

	if (!f->record_ns || at < f->record_ns)
		f->record_ns = at;
	lock_cond_signal(&f->work);
}

/* What one recording is about. */
struct fetch_batch {
	struct fetch *fetch;
	struct meta_op *op;
	int64_t now_ns;
	struct fetch_cache *
		*caches; /* each with one more writer, and with its entries, in `lists` */
	struct fetch_list *lists;
	bool *failed;
	size_t count;
	struct fetch_list bundled;
};

/* Moves a list, whose entries know it. */
static void fetch_list_move(struct fetch_list *to, struct fetch_list *from)
{
	*to = *from;
	*from = (struct fetch_list){ NULL, NULL };
	for (struct fetch_entry *e = to->first; e; e = e->next)
		e->list = to;
}

static int fetch_batch_begin_locked(struct fetch *f, struct fetch_batch *b) LOCK_REQUIRES(&f->lock)
{
	size_t max = HASH_COUNT(f->caches);
	struct fetch_cache *k, *next;

	*b = (struct fetch_batch){ .fetch = f, .now_ns = time_now_ns() };
	b->op = meta_op_new();
	b->caches = calloc(max + 1, sizeof(*b->caches));
	b->lists = calloc(max + 1, sizeof(*b->lists));
	b->failed = calloc(max + 1, sizeof(*b->failed));
	if (!b->op || !b->caches || !b->lists || !b->failed)
		return -ENOMEM;
	HASH_ITER (hh, f->caches, k, next) {
		if (!k->unrecorded.first)
			continue;
		k->writers++;
		fetch_list_move(&b->lists[b->count], &k->unrecorded);
		b->caches[b->count++] = k;
	}
	fetch_list_move(&b->bundled, &f->bundled);
	return 0;
}

static void fetch_batch_release(struct fetch_batch *b)
{
	meta_op_free(b->op);
	free(b->caches);
	free(b->lists);
	free(b->failed);
}

static size_t fetch_list_count(const struct fetch_list *list)
{
	size_t count = 0;

	for (const struct fetch_entry *e = list->first; e; e = e->next)
		count++;
	return count;
}

/* The rows of one cache; it may be complete with them. */
static void fetch_add_cache(struct fetch_batch *b, size_t i)
{
	struct fetch_cache *k = b->caches[i];

	for (const struct fetch_entry *e = b->lists[i].first; e; e = e->next)
		META_ADD(b->op, FETCH_PLACE_ADD, META_ANY, 0, META_I(e->chunk), META_I(k->blob),
			 META_I(e->off));
	META_ADD(b->op, FETCH_USED, META_ANY, 0, META_I(k->object), META_I(b->now_ns));
	if (k->recorded + (int64_t)fetch_list_count(&b->lists[i]) >= k->pieces)
		META_ADD(b->op, FETCH_HOME, META_ANY, 0, META_I(k->blob), META_I(k->object));
}

static int fetch_sync_caches(struct fetch_batch *b)
{
	struct content *c = b->fetch->content;
	int err = b->count ? blobs_sync_names(c->blobs) : 0;

	for (size_t i = 0; i < b->count && !err; i++) {
		int one = io_sync_data(b->caches[i]->fd);

		b->failed[i] = one != 0;
		if (one)
			log_error("blob %" PRId64 ": what was fetched is not kept: %s",
				  b->caches[i]->blob, err_text(one));
		else
			fetch_add_cache(b, i);
	}
	return err;
}

/* Entries of a bundle follow one another, as a rule. */
static void fetch_sync_bundles(struct fetch_batch *b)
{
	const struct bundle *last = NULL;
	int err = 0;

	for (struct fetch_entry *e = b->bundled.first; e; e = e->next) {
		if (e->bundle != last)
			err = bundle_sync(b->fetch->content, e->bundle);
		last = e->bundle;
		if (err) {
			__atomic_store_n(&e->file->bad, true, __ATOMIC_RELEASE);
			continue;
		}
		META_ADD(b->op, FETCH_PLACE_ADD, META_ANY, 0, META_I(e->chunk),
			 META_I(bundle_blob(e->bundle)), META_I(e->off));
		META_ADD(b->op, FETCH_USED, META_ANY, 0, META_I(e->object), META_I(b->now_ns));
	}
}

void fetch_record_end_locked(struct fetch *f, struct fetch_list *list)
{
	while (list->first) {
		struct fetch_entry *e = list->first;

		fetch_list_drop(e);
		f->unrecorded--;
		if (fetch_file_bad(e->file) && e->in_table) {
			HASH_DEL(f->table, e);
			e->in_table = false;
		}
		fetch_entry_put_locked(f, e);
	}
}

/* Entries wait for another try, before those that came meanwhile. */
static void fetch_list_back_locked(struct fetch_list *list, struct fetch_list *to)
{
	while (list->last) {
		struct fetch_entry *e = list->last;

		fetch_list_drop(e);
		fetch_list_add_first(to, e);
	}
}

static void fetch_batch_end_locked(struct fetch *f, struct fetch_batch *b, int err)
	LOCK_REQUIRES(&f->lock)
{
	for (size_t i = 0; i < b->count; i++) {
		struct fetch_cache *k = b->caches[i];

		if (b->failed[i])
			__atomic_store_n(&k->file->bad, true, __ATOMIC_RELEASE);
		else if (!err)
			k->recorded += (int64_t)fetch_list_count(&b->lists[i]);
		k->writers--;
		if (err && !b->failed[i])
			fetch_list_back_locked(&b->lists[i], &k->unrecorded);
		else
			fetch_record_end_locked(f, &b->lists[i]);
	}
	if (err)
		fetch_list_back_locked(&b->bundled, &f->bundled);
}

void fetch_record_put_bundles(struct fetch *f, struct fetch_list *list)
{
	for (struct fetch_entry *e = list->first; e; e = e->next) {
		bundle_put(f->content, e->bundle);
		e->bundle = NULL;
	}
}

int fetch_record_locked(struct fetch *f)
{
	struct fetch_batch b;
	int err;

	f->recording = true;
	f->record_ns = 0;
	err = fetch_batch_begin_locked(f, &b);
	fetch_unlock(f);
	if (!err)
		err = fetch_sync_caches(&b);
	if (!err)
		fetch_sync_bundles(&b);
	if (!err && meta_op_count(b.op))
		err = meta_apply(f->content->meta, b.op);
	if (err)
		log_error("what was fetched cannot be recorded: %s", err_text(err));
	else
		fetch_record_put_bundles(f, &b.bundled);
	lock_lock(&f->lock);
	fetch_batch_end_locked(f, &b, err);
	fetch_record_end_locked(f, &b.bundled);
	if (err)
		f->record_ns = time_mono_ns() + FETCH_AGAIN_NS;
	fetch_caches_trim_locked(f);
	f->recording = false;
	lock_cond_broadcast(&f->change);
	fetch_unlock(f);
	fetch_batch_release(&b);
	lock_lock(&f->lock);
	return err;
}

int fetch_record(struct content *c)
{
	struct fetch *f = c->fetch;
	int err = 0;

	if (!f)
		return 0;
	lock_lock(&f->lock);
	while (f->recording || f->keeping || (f->held.first && !f->stop))
		lock_cond_wait(&f->change, &f->lock);
	if (f->unrecorded)
		err = fetch_record_locked(f);
	fetch_unlock(f);
	return err;
}
