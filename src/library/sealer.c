/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The sealing thread: takes batches from the queue, seals them, and removes orphans. */
#include "config.h"

#include "content/seal.h"
#include "library/journal.h"
#include "library/sealer-internal.h"
#include "library/uploader.h"
#include "util/err.h"
#include "util/log.h"
#include "util/thread.h"
#include "util/time.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SEALER_LEASE "seal"
#define SEALER_LEASE_NS (60 * TIME_NS_PER_S)

/* Some drafts that are prepared and committed together. */
struct sealer_group {
	struct sealer *s;
	struct file_seal *items;
	size_t count;
	struct seal *seal; /* NULL: the drafts are empty */
};

bool sealer_stopping(struct sealer *s)
{
	lock_lock(&s->lock);
	bool stop = s->stop;

	lock_unlock(&s->lock);
	return stop;
}

/*
 * Ends an item without a seal: a change overtook it (its last close queued it again), or `rc`
 * stands in the way for now.
 */
static void sealer_give_up(struct sealer *s, struct file_seal *item, int rc)
{
	int64_t ino = file_ino(item->file);
	bool lost = !item->committing && file_seal_lost(item);

	(void)file_seal_end(item, false);
	if (lost) {
		lock_lock(&s->lock);
		s->status.given_up++;
		lock_unlock(&s->lock);
	}
	if (lost || rc == -ECANCELED)
		sealer_item_done(s, ino);
	else if (rc == -EAGAIN)
		sealer_item_busy(s, ino, true);
	else if (rc == -EREMOTE)
		sealer_item_away(s, ino);
	else
		sealer_item_failed(s, ino, rc);
}

static void sealer_count(struct sealer *s, const struct seal_stats *stats)
{
	lock_lock(&s->lock);
	s->logged = 0;
	s->status.last_error = 0;
	s->status.sealed_files++;
	s->status.sealed_bytes += stats ? stats->size : 0;
	s->status.new_bytes += stats ? stats->new_bytes : 0;
	lock_unlock(&s->lock);
}

static struct meta_value sealer_time(const struct file_seal *item, int64_t ns)
{
	return item->unsaved ? META_I(ns) : META_N();
}

/* The rows of one item: object and node, version, journal; `index` is its number in the seal. */
static int sealer_add(struct sealer *s, struct seal *seal, size_t index,
		      const struct file_seal *item, int64_t now, struct meta_op *op)
{
	int64_t ino = file_ino(item->file), draft = draft_blob(item->draft);
	const struct seal_stats *stats = seal ? seal_stats(seal, index) : NULL;
	const uint8_t *root = seal ? seal_root(seal, index) : NULL;
	struct actor who = { .uid = item->actor };
	int rc = 0;

	if (seal)
		rc = seal_add(seal, index, op);
	else
		draft_add_release(item->draft, op);
	if (rc)
		return rc;
	if (!root && !item->object) {
		META_ADD(op, FILE_UNDRAFT, META_ONE, -ESTALE, META_I(ino), META_I(draft));
		return 0;
	}
	META_ADD(op, FILE_SEAL, META_ONE, -ESTALE, META_I(ino), META_I(draft),
		 root ? META_B(root, 32) : META_N(), META_I(stats ? stats->size : 0),
		 META_I(stats ? stats->data : 0), sealer_time(item, item->atime_ns),
		 sealer_time(item, item->mtime_ns), sealer_time(item, item->ctime_ns));
	META_ADD(op, VERSION_RECORD, META_ONE, 0, META_I(ino), META_I(now), META_I(item->actor));
	journal_add(op, s->lib, &who, now,
		    &(struct journal_row){ .action = JOURNAL_SEAL, .ino = ino });
	return 0;
}

/* Items [from, from + count) that are committing as one operation. */
static int sealer_apply(const struct sealer_group *g, size_t from, size_t count)
{
	struct meta_op *op = meta_op_new();
	int64_t now = time_now_ns();
	int rc = op ? 0 : -ENOMEM;

	for (size_t i = from; rc == 0 && i < from + count; i++)
		if (g->items[i].committing)
			rc = sealer_add(g->s, g->seal, i, &g->items[i], now, op);
	if (rc == 0 && meta_op_count(op))
		rc = meta_apply(library_meta(g->s->lib), op);
	meta_op_free(op);
	return rc;
}

/*
 * The rows are there: readers turn to the object, the draft becomes its blob or goes back to the
 * pool.
 */
static void sealer_finish(const struct sealer_group *g, size_t i)
{
	struct file_seal *item = &g->items[i];
	int64_t ino = file_ino(item->file);

	sealer_count(g->s, g->seal ? seal_stats(g->seal, i) : NULL);
	(void)file_seal_end(item, true);
	if (g->seal)
		seal_finish(g->seal, i, &item->draft);
	else
		draft_recycle(library_content(g->s->lib), &item->draft);
	g->s->sealed[g->s->sealed_count++] = ino;
}

/* Gives the space back that a seal has freed; only then is it done for those who wait for it. `seal` may be NULL. */
static void sealer_settle(struct sealer *s, struct seal *seal)
{
	seal_free(seal);
	if (seal)
		uploader_kick(s->lib, false);
	for (size_t i = 0; i < s->sealed_count; i++)
		sealer_item_done(s, s->sealed[i]);
	s->sealed_count = 0;
}

/* Items [from, to). */
static void sealer_commit_slice(const struct sealer_group *g, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++)
		(void)file_seal_commit(&g->items[i], g->seal && seal_stays(g->seal, i));
	int rc = sealer_apply(g, from, to - from);

	for (size_t i = from; i < to; i++) {
		struct file_seal *item = &g->items[i];
		int one = rc;

		if (item->committing && rc && to - from > 1)
			one = sealer_apply(g, i, 1);
		if (!item->committing || one)
			sealer_give_up(g->s, item, item->committing ? one : -ECANCELED);
		else
			sealer_finish(g, i);
	}
}

static void sealer_commit(const struct sealer_group *g)
{
	for (size_t from = 0; from < g->count; from += SEALER_SLICE)
		sealer_commit_slice(
			g, from, g->count - from < SEALER_SLICE ? g->count : from + SEALER_SLICE);
}

/*
 * Asked by seal_prepare() between chunks: a batch ends for a stop only, a single draft also when
 * someone changes it.
 */
static int sealer_stop_asked(void *arg)
{
	const struct sealer_group *g = arg;

	return sealer_stopping(g->s) || (g->count == 1 && file_seal_lost(g->items));
}

static int sealer_prepare(struct sealer_group *g)
{
	struct draft *drafts[SEALER_BATCH];

	for (size_t i = 0; i < g->count; i++)
		drafts[i] = g->items[i].draft;
	return seal_prepare(library_content(g->s->lib), drafts, g->count, sealer_stop_asked, g,
			    &g->seal);
}

/*
 * One bad draft must not hold up the others: what cannot be prepared together is tried one by one.
 */
static void sealer_seal(struct sealer *s, struct file_seal *items, size_t count)
{
	struct sealer_group g = { .s = s, .items = items, .count = count };
	int rc = sealer_prepare(&g);

	if (rc == 0) {
		sealer_commit(&g);
		sealer_settle(s, g.seal);
		return;
	}
	for (size_t i = 0; i < count; i++) {
		g = (struct sealer_group){ .s = s, .items = &items[i], .count = 1 };
		if (count > 1 && rc != -ECANCELED)
			sealer_seal(s, &items[i], 1);
		else
			sealer_give_up(s, &items[i], rc);
	}
}

/*
 * Brings the drafts of the batch to phase SEALING; those that are empty lie at the end, *empty of
 * them.
 */
static size_t sealer_begin(struct sealer *s, const struct sealer_batch *batch, size_t *empty)
{
	size_t full = 0, none = 0;

	for (size_t i = 0; i < batch->count; i++) {
		struct file_seal item;
		int rc = file_seal_begin(s->lib, batch->inos[i], &item);

		if (rc == 1 && item.size)
			s->items[full++] = item;
		else if (rc == 1)
			s->items[SEALER_BATCH - ++none] = item;
		else if (rc == 0)
			sealer_item_done(s, batch->inos[i]);
		else if (rc == -EBUSY || rc == -EAGAIN)
			sealer_item_busy(s, batch->inos[i], rc == -EAGAIN);
		else
			sealer_item_failed(s, batch->inos[i], rc);
	}
	*empty = none;
	return full;
}

static void sealer_run(struct sealer *s, const struct sealer_batch *batch)
{
	size_t full, empty;

	if (batch->purge) {
		files_purge(s->lib, batch->inos, batch->count);
		for (size_t i = 0; i < batch->count; i++)
			sealer_item_done(s, batch->inos[i]);
		return;
	}
	full = sealer_begin(s, batch, &empty);
	if (empty) {
		sealer_commit(&(struct sealer_group){
			.s = s, .items = s->items + SEALER_BATCH - empty, .count = empty });
		sealer_settle(s, NULL);
	}
	if (full)
		sealer_seal(s, s->items, full);
}

static int sealer_lease_apply(struct sealer *s, bool seize, int64_t now)
{
	struct meta_op *op = meta_op_new();
	struct meta_value values[] = { META_T(SEALER_LEASE, strlen(SEALER_LEASE)),
				       META_B(s->lib->instance, sizeof(s->lib->instance)),
				       META_I(now + SEALER_LEASE_NS), META_I(now) };

	if (!op)
		return -ENOMEM;
	if (seize)
		meta_op_add(op, META_LEASE_SEIZE, META_ONE, -EBUSY, 3, values);
	else
		meta_op_add(op, META_LEASE_TAKE, META_ONE, -EBUSY, 4, values);
	int rc = meta_apply(library_meta(s->lib), op);

	meta_op_free(op);
	return rc;
}

/*
 * The lease is taken when there is work and lasts for a minute, so that an idle mount writes
 * nothing. The first time it is taken whoever has it: mount.lock says that the former owner on this
 * machine is gone.
 */
static int sealer_lease(struct sealer *s)
{
	int64_t now = time_now_ns();

	if (s->lease_until_ns - now > SEALER_LEASE_NS / 2 &&
	    s->lease_until_ns - now <= SEALER_LEASE_NS)
		return 0;
	int rc = sealer_lease_apply(s, s->lease_until_ns == 0, now);

	if (rc == 0)
		s->lease_until_ns = now + SEALER_LEASE_NS;
	return rc;
}

static void sealer_lease_end(struct sealer *s)
{
	struct meta_op *op = s->lease_until_ns ? meta_op_new() : NULL;

	if (!op)
		return;
	META_ADD(op, LEASE_GIVE, META_ANY, 0, META_T(SEALER_LEASE, strlen(SEALER_LEASE)),
		 META_B(s->lib->instance, sizeof(s->lib->instance)));
	(void)meta_apply(library_meta(s->lib), op);
	meta_op_free(op);
}

static void *sealer_main(void *arg)
{
	struct sealer *s = arg;
	struct sealer_batch batch;

	thread_background();
	sealer_backlog(s);
	while (sealer_take(s, &batch)) {
		int rc = sealer_lease(s);

		if (rc == 0)
			sealer_run(s, &batch);
		for (size_t i = 0; rc && i < batch.count; i++)
			sealer_item_failed(s, batch.inos[i], rc);
		sealer_backlog(s);
	}
	sealer_lease_end(s);
	return NULL;
}

static void sealer_free(struct sealer *s)
{
	sealer_queue_release(s);
	lock_cond_release(&s->clock);
	lock_cond_release(&s->progress);
	lock_cond_release(&s->work);
	lock_release(&s->lock);
	free(s);
}

static void sealer_join(struct sealer *s)
{
	lock_lock(&s->lock);
	s->stop = true;
	lock_cond_broadcast(&s->work);
	lock_cond_broadcast(&s->clock);
	lock_cond_broadcast(&s->progress);
	lock_unlock(&s->lock);
	if (s->seal_running)
		pthread_join(s->seal_thread, NULL);
	if (s->clock_running)
		pthread_join(s->clock_thread, NULL);
}

int sealer_start(struct library *lib)
{
	struct sealer *s;

	if (!(lib->flags & LIBRARY_MOUNT) || library_read_only(lib))
		return 0;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->lib = lib;
	lock_init(&s->lock, LOCK_RANK_SEALER);
	lock_cond_init(&s->work);
	lock_cond_init(&s->progress);
	lock_cond_init(&s->clock);
	s->wake_ns = INT64_MIN;
	s->batch_max = lib->files->idle_max < SEALER_BATCH ? lib->files->idle_max : SEALER_BATCH;
	s->crowd = lib->files->idle_max - lib->files->idle_max / 4;
	lib->sealer = s;
	int rc = thread_start("garner-seal", sealer_main, s, &s->seal_thread);

	s->seal_running = rc == 0;
	if (rc == 0)
		rc = thread_start("garner-clock", sealer_clock, s, &s->clock_thread);
	s->clock_running = s->seal_running && rc == 0;
	if (rc)
		sealer_stop(lib);
	return rc;
}

void sealer_stop(struct library *lib)
{
	struct sealer *s = lib->sealer;

	if (!s)
		return;
	sealer_join(s);
	lib->sealer = NULL;
	sealer_free(s);
}
