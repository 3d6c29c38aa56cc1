/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How fast content is cut and hashed, in GB/s of 10^9 bytes: finding boundaries alone, hashing
 * alone, and both with reading from memory as sealing does it, with no pool and with pools of 1 and
 * 2 threads. Prints one figure per line, the best of several rounds, by the clock and by the time
 * on processors (of all threads), which a busy machine spoils less. An argument is the number of
 * MiB (default 512).
 */
#include "config.h"

#include "content/cut.h"
#include "util/cleanup.h"
#include "util/err.h"
#include "util/time.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BENCH_ROUNDS = 5, BENCH_POOL_QUEUE = 64, BENCH_BUFFERS = 6 };

struct bench {
	uint8_t *data;
	size_t len;
	struct chunker chunker;
	enum hash_algo algo;
	unsigned threads;
	size_t chunks; /* so that nothing is optimised away */
};

/* A cheap generator: what matters is only that nothing repeats. */
static void bench_fill(struct bench *b)
{
	uint64_t state = 88172645463325252;

	for (size_t i = 0; i + 8 <= b->len; i += 8) {
		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		memcpy(b->data + i, &state, 8);
	}
}

static int bench_cut(struct bench *b)
{
	for (size_t at = 0; at < b->len; b->chunks++)
		at += chunker_cut(&b->chunker, b->data + at, b->len - at, true);
	return 0;
}

static int bench_hash(struct bench *b)
{
	struct hash h;
	int err = 0;

	for (size_t at = 0; at < b->len && !err; at += b->chunker.params.avg, b->chunks++) {
		size_t left = b->len - at;

		err = hash_data(b->algo, b->data + at,
				left < b->chunker.params.avg ? left : b->chunker.params.avg, &h);
	}
	return err;
}

static ssize_t bench_read(void *arg, void *buf, size_t len, uint64_t off)
{
	memcpy(buf, ((struct bench *)arg)->data + off, len);
	return (ssize_t)len;
}

static int bench_emit(void *arg, const struct cut_chunk *chunk, const uint8_t *data)
{
	(void)chunk;
	(void)data;
	((struct bench *)arg)->chunks++;
	return 0;
}

static int bench_seal_with(struct bench *b, struct pool *pool)
{
	struct cut_extent all = { 0, b->len };
	struct cut_source source = { bench_read, b, &all, 1 };
	struct cut_sink sink = { bench_emit, NULL, b };
	struct cut_params params = { &b->chunker, b->algo, pool, BENCH_BUFFERS };
	struct cut *c;
	int err = cut_new(&params, &c);

	if (err)
		return err;
	err = cut_run(c, &source, &sink);
	cut_free(c);
	return err;
}

static int bench_seal(struct bench *b)
{
	struct pool *pool = NULL;
	int err = b->threads ? pool_new("bench", b->threads, BENCH_POOL_QUEUE, &pool) : 0;

	if (!err && pool)
		err = pool_start(pool);
	if (!err)
		err = bench_seal_with(b, pool);
	pool_free(pool);
	return err;
}

static int64_t bench_cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return time_from_spec(ts);
}

static int bench_show(const char *what, struct bench *b, int (*run)(struct bench *b))
{
	double best = 0, best_cpu = 0;

	for (int i = 0; i < BENCH_ROUNDS; i++) {
		int64_t start = time_mono_ns(), cpu = bench_cpu_ns();
		int err = run(b);

		if (err)
			return err;
		double rate = (double)b->len / (double)(time_mono_ns() - start);
		double rate_cpu = (double)b->len / (double)(bench_cpu_ns() - cpu);

		best = rate > best ? rate : best;
		best_cpu = rate_cpu > best_cpu ? rate_cpu : best_cpu;
	}
	printf("%-40s %6.2f GB/s %6.2f GB per CPU second\n", what, best, best_cpu);
	return 0;
}

static int bench_algo(struct bench *b)
{
	const char *name = hash_algo_name(b->algo);
	char what[64];

	snprintf(what, sizeof(what), "hash, %s", name);
	int err = bench_show(what, b, bench_hash);

	for (b->threads = 0; b->threads <= 2 && !err; b->threads++) {
		snprintf(what, sizeof(what), "read + cut + hash, %s, pool of %u", name, b->threads);
		err = bench_show(what, b, bench_seal);
	}
	return err;
}

static int bench_all(struct bench *b)
{
	struct chunker_params params = CHUNKER_DEFAULT;
	static const enum hash_algo algos[] = { HASH_SHA256, HASH_BLAKE3 };

	int err = chunker_init(&b->chunker, &params);

	if (!err)
		err = bench_show("cut, FastCDC 1/4/8 MiB", b, bench_cut);
	for (int i = 0; i < 2 && !err; i++) {
		b->algo = algos[i];
		if (hash_available(b->algo))
			err = bench_algo(b);
	}
	return err;
}

int main(int argc, char **argv)
{
	struct bench b = { .len = (size_t)(argc > 1 ? strtoul(argv[1], NULL, 10) : 512) << 20 };
	CLEANUP_FREE uint8_t *data = malloc(b.len);

	if (!data || !b.len) {
		fprintf(stderr, "bench-core: %s\n", err_text(data ? -EINVAL : -ENOMEM));
		return EXIT_FAILURE;
	}
	b.data = data;
	bench_fill(&b);
	int err = bench_all(&b);

	if (err)
		fprintf(stderr, "bench-core: %s\n", err_text(err));
	return err || !b.chunks ? EXIT_FAILURE : EXIT_SUCCESS;
}
