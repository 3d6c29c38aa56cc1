/* SPDX-License-Identifier: GPL-3.0-or-later */
/* content/cut.h, against cutting and hashing one chunk after the other. */
#include "config.h"

#include "../unit.h"
#include "content/cut.h"
#include "stream.h"
#include "util/cleanup.h"
#include "util/lock.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

enum { LEN = 600000, CHUNKS_MAX = 2000 };

static const struct chunker_params kinds[] = { { CHUNKER_FASTCDC, 1024, 4096, 8192 },
					       { CHUNKER_FIXED, 5000, 5000, 5000 } };

/* One content, what was read of it and what came out. */
struct trial {
	const uint8_t *data;
	struct cut_extent extents[64];
	size_t extent_count;
	uint64_t random; /* nonzero: reads are short at random */
	uint64_t read_to;
	int reads, fail_read, fail_read_err; /* the read of that number fails */
	int emits, fail_emit, fail_emit_err;
	int asks, stop_at;
	const uint8_t *buffers[CHUNKS_MAX];
	size_t buffer_count;
	struct cut_chunk chunks[CHUNKS_MAX];
};

static ssize_t trial_read(void *arg, void *buf, size_t len, uint64_t off)
{
	struct trial *t = arg;

	ck_assert_uint_ge(off, t->read_to);
	ck_assert_uint_gt(len, 0);
	if (++t->reads == t->fail_read)
		return t->fail_read_err;
	if (t->random)
		len = 1 + stream_below(&t->random, len);
	memcpy(buf, t->data + off, len);
	t->read_to = off + len;
	return (ssize_t)len;
}

static int trial_emit(void *arg, const struct cut_chunk *chunk, const uint8_t *data)
{
	struct trial *t = arg;
	size_t i = 0;

	ck_assert_int_lt(t->emits, CHUNKS_MAX);
	ck_assert_mem_eq(data, t->data + chunk->offset, chunk->len);
	t->chunks[t->emits] = *chunk;
	while (i < t->buffer_count && t->buffers[i] != data)
		i++;
	if (i == t->buffer_count)
		t->buffers[t->buffer_count++] = data;
	return ++t->emits == t->fail_emit ? t->fail_emit_err : 0;
}

static int trial_stop(void *arg)
{
	struct trial *t = arg;

	return ++t->asks == t->stop_at;
}

static int trial_run(struct trial *t, struct cut *c)
{
	struct cut_source source = { trial_read, t, t->extents, t->extent_count };
	struct cut_sink sink = { trial_emit, trial_stop, t };

	return cut_run(c, &source, &sink);
}

/*
 * Whether the first `count` chunks are those of the definition; with all of them, that there are no
 * more.
 */
static void trial_check(const struct trial *t, const struct chunker *chunker, bool all)
{
	int n = 0;

	for (size_t e = 0; e < t->extent_count; e++) {
		uint64_t at = t->extents[e].offset, end = at + t->extents[e].len;

		while (at < end && n < t->emits) {
			size_t len = chunker_cut(chunker, t->data + at, end - at, true);
			struct hash h;

			ck_assert_int_eq(hash_data(HASH_SHA256, t->data + at, len, &h), 0);
			ck_assert_uint_eq(t->chunks[n].offset, at);
			ck_assert_uint_eq(t->chunks[n].len, len);
			ck_assert(hash_equal(&t->chunks[n].hash, &h));
			at += len;
			n++;
		}
		ck_assert(!all || at == end);
	}
	ck_assert_int_eq(n, t->emits);
}

static struct trial *trial_new(const uint8_t *data, size_t len)
{
	struct trial *t = calloc(1, sizeof(*t));

	t->data = data;
	t->extents[0] = (struct cut_extent){ 0, len };
	t->extent_count = len > 0;
	return t;
}

static void trial_again(struct trial *t)
{
	t->read_to = 0;
	t->reads = t->emits = t->asks = 0;
	t->fail_read = t->fail_emit = t->stop_at = 0;
	t->buffer_count = 0;
}

static struct cut *make_cut(const struct chunker *chunker, struct pool *pool, unsigned buffers)
{
	struct cut_params params = { chunker, HASH_SHA256, pool, buffers };
	struct cut *c = NULL;

	ck_assert_int_eq(cut_new(&params, &c), 0);
	return c;
}

static struct pool *make_pool(unsigned threads, size_t queue)
{
	struct pool *p = NULL;

	ck_assert_int_eq(pool_new("cut-test", threads, queue, &p), 0);
	ck_assert_int_eq(pool_start(p), 0);
	return p;
}

START_TEST(parameters_are_checked)
{
	struct chunker chunker;
	struct cut *c = NULL;

	ck_assert_int_eq(chunker_init(&chunker, &kinds[0]), 0);
	ck_assert_int_eq(cut_new(&(struct cut_params){ &chunker, HASH_SHA256, NULL, 1 }, &c),
			 -EINVAL);
	ck_assert_int_eq(cut_new(&(struct cut_params){ &chunker, 0, NULL, 2 }, &c), -ENOTSUP);
	ck_assert_ptr_null(c);
	cut_free(NULL);
}
END_TEST

START_TEST(results_do_not_depend_on_threads)
{
	CLEANUP_FREE uint8_t *data = stream_new(31, LEN);

	for (int k = 0; k < 2; k++) {
		struct chunker chunker;

		ck_assert_int_eq(chunker_init(&chunker, &kinds[k]), 0);
		for (unsigned threads = 0; threads <= 3; threads++) {
			for (unsigned buffers = 2; buffers <= 6; buffers += 2) {
				struct pool *pool = threads ? make_pool(threads, buffers) : NULL;
				struct cut *c = make_cut(&chunker, pool, buffers);
				CLEANUP_FREE struct trial *t = trial_new(data, LEN);

				t->random = threads & 1;
				ck_assert_int_eq(trial_run(t, c), 0);
				trial_check(t, &chunker, true);
				ck_assert_uint_le(t->buffer_count, buffers);
				cut_free(c);
				pool_free(pool);
			}
		}
	}
}
END_TEST

START_TEST(extents_are_cut_on_their_own)
{
	CLEANUP_FREE uint8_t *data = stream_new(32, LEN);
	struct pool *pool = make_pool(2, 8);
	uint64_t random = 33;
	struct chunker chunker;

	ck_assert_int_eq(chunker_init(&chunker, &kinds[0]), 0);
	struct cut *c = make_cut(&chunker, pool, 4);

	for (int round = 0; round < 100; round++) {
		CLEANUP_FREE struct trial *t = trial_new(data, 0);
		uint64_t at = 0;

		t->random = stream_next(&random);
		while (t->extent_count < 64) {
			uint64_t start = at + stream_below(&random, 9000);
			uint64_t len = 1 + stream_below(&random, round % 2 ? 30000 : 2000);

			if (start + len > LEN)
				break;
			t->extents[t->extent_count++] = (struct cut_extent){ start, len };
			at = start + len;
		}
		ck_assert_int_eq(trial_run(t, c), 0);
		trial_check(t, &chunker, true);
	}
	cut_free(c);
	pool_free(pool);
}
END_TEST

START_TEST(nothing_gives_nothing)
{
	struct chunker chunker;

	ck_assert_int_eq(chunker_init(&chunker, &kinds[0]), 0);
	struct cut *c = make_cut(&chunker, NULL, 2);
	CLEANUP_FREE struct trial *t = trial_new(NULL, 0);

	ck_assert_int_eq(trial_run(t, c), 0);
	ck_assert_int_eq(t->emits, 0);
	cut_free(c);
}
END_TEST

/* A pool that was never started shows whether a task was queued. */
START_TEST(one_chunk_never_leaves_the_caller)
{
	CLEANUP_FREE uint8_t *data = stream_new(34, LEN);
	struct pool *pool = NULL;
	struct chunker chunker;

	ck_assert_int_eq(chunker_init(&chunker, &kinds[0]), 0);
	ck_assert_int_eq(pool_new("cut-test", 1, 1, &pool), 0);
	struct cut *c = make_cut(&chunker, pool, 4);

	for (size_t len = 1; len <= 1024; len += 31) {
		CLEANUP_FREE struct trial *t = trial_new(data, len);

		ck_assert_int_eq(trial_run(t, c), 0);
		ck_assert_int_eq(t->emits, 1);
		ck_assert_int_eq(t->reads, 1);
		ck_assert_uint_eq(t->buffer_count, 1);
		trial_check(t, &chunker, true);
	}
	cut_free(c);
	ck_assert_int_eq(pool_try_submit(pool, free, NULL), 0);
	pool_free(pool);
}
END_TEST

START_TEST(a_failing_read_ends_it)
{
	CLEANUP_FREE uint8_t *data = stream_new(35, LEN);
	struct pool *pool = make_pool(2, 8);
	struct chunker chunker;

	ck_assert_int_eq(chunker_init(&chunker, &kinds[0]), 0);
	struct cut *c = make_cut(&chunker, pool, 4);
	CLEANUP_FREE struct trial *t = trial_new(data, LEN);

	ck_assert_int_eq(trial_run(t, c), 0);
	int reads = t->reads, chunks = t->emits;

	for (int n = 1; n <= reads; n += 7) {
		trial_again(t);
		t->fail_read = n;
		t->fail_read_err = n % 2 ? -EIO : 0;
		ck_assert_int_eq(trial_run(t, c), n % 2 ? -EIO : -ESTALE);
		ck_assert_int_eq(t->reads, n);
		ck_assert_int_lt(t->emits, chunks);
		trial_check(t, &chunker, false);
	}
	trial_again(t);
	ck_assert_int_eq(trial_run(t, c), 0);
	trial_check(t, &chunker, true);
	cut_free(c);
	pool_free(pool);
}
END_TEST

START_TEST(a_sink_can_end_it)
{
	CLEANUP_FREE uint8_t *data = stream_new(36, LEN);
	struct pool *pool = make_pool(2, 8);
	struct chunker chunker;

	ck_assert_int_eq(chunker_init(&chunker, &kinds[0]), 0);
	struct cut *c = make_cut(&chunker, pool, 4);
	CLEANUP_FREE struct trial *t = trial_new(data, LEN);

	ck_assert_int_eq(trial_run(t, c), 0);
	int chunks = t->emits;

	for (int n = 1; n <= chunks; n += 5) {
		trial_again(t);
		t->fail_emit = n;
		t->fail_emit_err = n % 2 ? -ENOSPC : 7;
		ck_assert_int_eq(trial_run(t, c), n % 2 ? -ENOSPC : 7);
		ck_assert_int_eq(t->emits, n);
		trial_check(t, &chunker, false);
	}
	cut_free(c);
	pool_free(pool);
}
END_TEST

START_TEST(it_stops_when_told)
{
	CLEANUP_FREE uint8_t *data = stream_new(37, LEN);
	struct pool *pool = make_pool(2, 8);
	struct chunker chunker;

	ck_assert_int_eq(chunker_init(&chunker, &kinds[1]), 0);
	struct cut *c = make_cut(&chunker, pool, 4);
	CLEANUP_FREE struct trial *t = trial_new(data, LEN);

	for (int n = 1; n <= 100; n += 9) {
		trial_again(t);
		t->stop_at = n;
		ck_assert_int_eq(trial_run(t, c), -ECANCELED);
		ck_assert_int_eq(t->reads, n - 1);
		trial_check(t, &chunker, false);
	}
	cut_free(c);
	pool_free(pool);
}
END_TEST

static struct {
	struct lock lock;
	struct lock_cond cond;
	int waiting;
	bool open;
} gate;

static void wait_at_gate(void *arg)
{
	(void)arg;
	lock_lock(&gate.lock);
	gate.waiting++;
	lock_cond_broadcast(&gate.cond);
	while (!gate.open)
		lock_cond_wait(&gate.cond, &gate.lock);
	lock_unlock(&gate.lock);
}

/* Helpers that get their turn after the cutter's end find nothing to do, and free it. */
START_TEST(a_busy_pool_is_not_waited_for)
{
	CLEANUP_FREE uint8_t *data = stream_new(38, LEN);
	struct pool *pool = make_pool(1, 1000);
	struct chunker chunker;

	lock_init(&gate.lock, LOCK_RANK_LEAF);
	lock_cond_init(&gate.cond);
	ck_assert_int_eq(pool_submit(pool, wait_at_gate, NULL), 0);
	lock_lock(&gate.lock);
	while (!gate.waiting)
		lock_cond_wait(&gate.cond, &gate.lock);
	lock_unlock(&gate.lock);
	ck_assert_int_eq(chunker_init(&chunker, &kinds[0]), 0);
	struct cut *c = make_cut(&chunker, pool, 4);

	for (int round = 0; round < 3; round++) {
		CLEANUP_FREE struct trial *t = trial_new(data, LEN);

		ck_assert_int_eq(trial_run(t, c), 0);
		trial_check(t, &chunker, true);
	}
	cut_free(c);
	lock_lock(&gate.lock);
	gate.open = true;
	lock_cond_broadcast(&gate.cond);
	lock_unlock(&gate.lock);
	pool_free(pool);
}
END_TEST

START_TEST(a_stopped_pool_is_not_needed)
{
	CLEANUP_FREE uint8_t *data = stream_new(39, LEN);
	struct pool *pool = make_pool(2, 8);
	struct chunker chunker;

	ck_assert_int_eq(chunker_init(&chunker, &kinds[0]), 0);
	struct cut *c = make_cut(&chunker, pool, 4);
	CLEANUP_FREE struct trial *t = trial_new(data, LEN);

	pool_stop(pool);
	ck_assert_int_eq(trial_run(t, c), 0);
	trial_check(t, &chunker, true);
	cut_free(c);
	pool_free(pool);
}
END_TEST

static struct {
	const uint8_t *data;
	struct pool *pool;
	struct chunker chunker;
	atomic_int finished;
} shared;

static void cut_in_task(void *arg)
{
	CLEANUP_FREE struct trial *t = trial_new(shared.data, LEN);
	struct cut *c = make_cut(&shared.chunker, shared.pool, 3);

	(void)arg;
	ck_assert_int_eq(trial_run(t, c), 0);
	trial_check(t, &shared.chunker, true);
	cut_free(c);
	atomic_fetch_add(&shared.finished, 1);
}

START_TEST(tasks_of_the_same_pool_can_cut)
{
	CLEANUP_FREE uint8_t *data = stream_new(40, LEN);

	shared.data = data;
	shared.finished = 0;
	shared.pool = make_pool(3, 16);
	ck_assert_int_eq(chunker_init(&shared.chunker, &kinds[0]), 0);
	for (int i = 0; i < 30; i++)
		ck_assert_int_eq(pool_submit(shared.pool, cut_in_task, NULL), 0);
	pool_free(shared.pool);
	ck_assert_int_eq(shared.finished, 30);
}
END_TEST

UNIT_MAIN("cut", 240, parameters_are_checked, results_do_not_depend_on_threads,
	  extents_are_cut_on_their_own, nothing_gives_nothing, one_chunk_never_leaves_the_caller,
	  a_failing_read_ends_it, a_sink_can_end_it, it_stops_when_told,
	  a_busy_pool_is_not_waited_for, a_stopped_pool_is_not_needed,
	  tasks_of_the_same_pool_can_cut)
