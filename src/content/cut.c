/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The cutter. Chunks stand in a ring of slots in the order of their offsets; each slot has its own
 * buffer.
 *
 * A slot's states: FREE (being filled, or unused) -> QUEUED (whole; whoever comes first hashes it)
 * -> HASHING -> DONE -> FREE (emitted). The calling thread alone moves slots into and out of the
 * ring. For each chunk one helper is submitted to the pool; it hashes the oldest QUEUED slot, if
 * there is one. A helper that comes late finds nothing, or helps the next run, so nobody ever waits
 * for the pool's queue: the caller waits only for a hash that is being computed. Each helper holds
 * a reference, which keeps the cutter in memory.
 */
#include "config.h"

#include "content/cut.h"
#include "util/lock.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum cut_state { CUT_FREE, CUT_QUEUED, CUT_HASHING, CUT_DONE };

enum {
	CUT_READ_STEP = 256 * 1024, /* stays in the second-level cache from read to cut */
	CUT_ALIGN = 4096,
};

struct cut_slot {
	uint8_t *data; /* chunker's max bytes, NULL until first used */
	struct cut_chunk chunk;
	enum cut_state state; /* under the lock */
	int err;              /* of hashing */
};

struct cut {
	const struct chunker *chunker;
	enum hash_algo algo;
	struct pool *pool;
	unsigned count; /* of slots */

	struct lock lock;      /* guards what follows, but for the buffers' bytes */
	struct lock_cond done; /* a slot became DONE */
	unsigned refs;         /* the owner's and the helpers' */
	unsigned head; /* the oldest slot of the ring; written by the calling thread alone */
	unsigned used; /* slots in the ring; as head */
	struct cut_slot slots[];
};

/* What one run needs beside the cutter; the calling thread's own. */
struct cut_run {
	struct cut *cut;
	const struct cut_source *source;
	const struct cut_sink *sink;
	const uint8_t *
		tail; /* bytes that were read but lie behind the last cut, in the last slot's buffer */
	size_t tail_len;
};

int cut_new(const struct cut_params *params, struct cut **out)
{
	if (params->buffers < 2)
		return -EINVAL;
	if (!hash_available(params->algo))
		return -ENOTSUP;
	struct cut *c = calloc(1, sizeof(*c) + params->buffers * sizeof(c->slots[0]));

	if (!c)
		return -ENOMEM;
	c->chunker = params->chunker;
	c->algo = params->algo;
	c->pool = params->pool;
	c->count = params->buffers;
	c->refs = 1;
	lock_init(&c->lock, LOCK_RANK_CUT);
	lock_cond_init(&c->done);
	*out = c;
	return 0;
}

/* Gives one reference back; the last one frees. */
static void cut_put(struct cut *c)
{
	lock_lock(&c->lock);
	bool last = --c->refs == 0;

	lock_unlock(&c->lock);
	if (!last)
		return;
	for (unsigned i = 0; i < c->count; i++)
		free(c->slots[i].data);
	lock_cond_release(&c->done);
	lock_release(&c->lock);
	free(c);
}

void cut_free(struct cut *c)
{
	if (!c)
		return;
	assert(c->used == 0);
	cut_put(c);
}

static struct cut_slot *cut_slot(struct cut *c, unsigned i)
{
	return &c->slots[(c->head + i) % c->count];
}

/*
 * Hashes the oldest slot that waits for it; false if there is none. Gives the lock back meanwhile.
 */
static bool cut_hash_one_locked(struct cut *c) LOCK_REQUIRES(&c->lock)
{
	unsigned i = 0;

	while (i < c->used && cut_slot(c, i)->state != CUT_QUEUED)
		i++;
	if (i == c->used)
		return false;
	struct cut_slot *slot = cut_slot(c, i);

	slot->state = CUT_HASHING;
	lock_unlock(&c->lock);
	slot->err = hash_data(c->algo, slot->data, slot->chunk.len, &slot->chunk.hash);
	lock_lock(&c->lock);
	slot->state = CUT_DONE;
	lock_cond_broadcast(&c->done);
	return true;
}

/* A helper: a task of the pool. */
static void cut_help(void *arg)
{
	struct cut *c = arg;

	lock_lock(&c->lock);
	cut_hash_one_locked(c);
	lock_unlock(&c->lock);
	cut_put(c);
}

/*
 * Puts the slot behind the ring's last into the ring. No helper is called for a run's last chunk:
 * the caller would only wait for it. So content of one chunk never leaves the caller's thread.
 */
static void cut_queue(struct cut *c, bool last)
{
	bool help = c->pool && !last;

	lock_lock(&c->lock);
	cut_slot(c, c->used)->state = CUT_QUEUED;
	c->used++;
	if (help)
		c->refs++;
	lock_unlock(&c->lock);
	if (help && pool_try_submit(c->pool, cut_help, c))
		cut_put(c);
}

/* Waits until the oldest slot is hashed, hashing whatever nobody has taken up. */
static void cut_finish_oldest(struct cut *c)
{
	lock_lock(&c->lock);
	while (cut_slot(c, 0)->state != CUT_DONE) {
		if (!cut_hash_one_locked(c))
			lock_cond_wait(&c->done, &c->lock);
	}
	lock_unlock(&c->lock);
}

/* Emits the oldest slot, which is DONE, and frees it. Its bytes stay where they are. */
static int cut_emit_oldest(struct cut_run *run)
{
	struct cut *c = run->cut;
	struct cut_slot *slot = cut_slot(c, 0);
	int err = slot->err;

	if (!err)
		err = run->sink->emit(run->sink->arg, &slot->chunk, slot->data);
	lock_lock(&c->lock);
	slot->state = CUT_FREE;
	c->head = (c->head + 1) % c->count;
	c->used--;
	lock_unlock(&c->lock);
	return err;
}

/* Emits what is ready at the front of the ring, and further until at most `keep` slots are used. */
static int cut_emit(struct cut_run *run, unsigned keep)
{
	struct cut *c = run->cut;
	int err = 0;

	while (!err && c->used) {
		if (c->used > keep)
			cut_finish_oldest(c);
		lock_lock(&c->lock);
		bool ready = cut_slot(c, 0)->state == CUT_DONE;

		lock_unlock(&c->lock);
		if (!ready)
			break;
		err = cut_emit_oldest(run);
	}
	return err;
}

/*
 * Empties the ring, at the end of a run of whatever outcome: waits for hashes that are being
 * computed, drops the rest.
 */
static void cut_drop(struct cut *c)
{
	lock_lock(&c->lock);
	c->used = 0;
	c->head = 0;
	for (unsigned i = 0; i < c->count; i++) {
		while (c->slots[i].state == CUT_HASHING)
			lock_cond_wait(&c->done, &c->lock);
		c->slots[i].state = CUT_FREE;
	}
	lock_unlock(&c->lock);
}

/* Reads at least one byte and at most `want`. The count, or a negative error. */
static ssize_t cut_read(struct cut_run *run, uint8_t *data, size_t want, uint64_t offset)
{
	if (run->sink->stop && run->sink->stop(run->sink->arg))
		return -ECANCELED;
	ssize_t got = run->source->read(run->source->arg, data, want, offset);

	assert(got <= (ssize_t)want);
	return got ? got : -ESTALE;
}

/*
 * Fills the slot from `offset` on until a chunk is whole; what was read beyond it becomes the tail.
 * The chunk's length, or a negative error. Up to min it reads in one go, as no cut can come before
 * that.
 */
static ssize_t cut_fill(struct cut_run *run, struct cut_slot *slot, uint64_t offset, uint64_t end)
{
	const struct chunker_params *p = &run->cut->chunker->params;
	size_t have = run->tail_len, done = 0, len;

	if (!slot->data && posix_memalign((void **)&slot->data, CUT_ALIGN, p->max))
		return -ENOMEM;
	if (have)
		memcpy(slot->data, run->tail, have);
	for (;;) {
		uint64_t left = end - offset - have;

		len = chunker_resume(run->cut->chunker, slot->data, have, !left, &done);
		if (len)
			break;
		size_t want = have < p->min ? p->min - have : CUT_READ_STEP;

		want = want < p->max - have ? want : p->max - have;
		want = want < left ? want : left;
		ssize_t got = cut_read(run, slot->data + have, want, offset + have);

		if (got < 0)
			return got;
		have += (size_t)got;
	}
	run->tail = slot->data + len;
	run->tail_len = have - len;
	return (ssize_t)len;
}

static int cut_extent(struct cut_run *run, const struct cut_extent *extent, bool last)
{
	struct cut *c = run->cut;
	uint64_t at = extent->offset;
	uint64_t end = extent->offset + extent->len;

	while (at < end) {
		/* One slot stays free for what comes next, and it is never that of the tail. */
		int err = cut_emit(run, c->count - 1);

		if (err)
			return err;
		struct cut_slot *slot = cut_slot(c, c->used);
		ssize_t len = cut_fill(run, slot, at, end);

		if (len < 0)
			return (int)len;
		slot->chunk.offset = at;
		slot->chunk.len = (uint32_t)len;
		at += (uint64_t)len;
		cut_queue(c, last && at == end);
	}
	return 0;
}

int cut_run(struct cut *c, const struct cut_source *source, const struct cut_sink *sink)
{
	struct cut_run run = { .cut = c, .source = source, .sink = sink };
	int err = 0;

	for (size_t i = 0; i < source->extent_count && !err; i++)
		err = cut_extent(&run, &source->extents[i], i + 1 == source->extent_count);
	if (!err)
		err = cut_emit(&run, 0);
	cut_drop(c);
	return err;
}
