/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How fast the metadata is: bench-meta [FOLDER [SECONDS]] makes a database in FOLDER (default .) and
 * prints operations per second of creates (four statements each, as the tree makes them) and of lookups
 * by name, from one thread and from eight, and of creates that are each synced; beside it the
 * processor time of one, which a busy machine changes less.
 */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "backend/meta/meta.h"
#include "util/buf.h"
#include "util/err.h"
#include "util/time.h"

enum { BENCH_THREADS = 8, BENCH_NAME_MAX = 32, BENCH_FOLDERS = 64 };

struct bench {
	struct meta *meta;
	int64_t until_ns;
	atomic_llong created; /* files 0 .. created - 1 exist */
	bool sync;
};

struct bench_run {
	struct bench *bench;
	unsigned seed;
	long long done;
	int err;
};

static int64_t bench_folder(long long number)
{
	return 1 + number % BENCH_FOLDERS;
}

static size_t bench_name(long long number, char *name)
{
	return (size_t)snprintf(name, BENCH_NAME_MAX, "IMG_%08lld.jpeg", number);
}

static void bench_add_node(struct meta_op *op, int64_t ino, int kind, int64_t now)
{
	unsigned char id[16] = { 0 };

	memcpy(id, &ino, sizeof(ino));
	META_ADD(op, NODE_INSERT, META_ONE, 0, META_I(ino), META_B(id, sizeof(id)), META_I(kind),
		 META_I(1), META_I(0644), META_I(1000), META_I(1000), META_I(0), META_I(0),
		 META_I(0), META_I(now), META_I(now), META_I(now), META_I(now), META_I(1), META_N(),
		 META_I(1), META_N());
}

static void bench_build(struct meta_op *op, struct meta *m, long long number)
{
	int64_t now = time_now_ns(), ino = meta_next_id(m, META_SEQ_INO) + BENCH_FOLDERS;
	int64_t folder = bench_folder(number);
	unsigned char instance[16] = { 7 };
	char name[BENCH_NAME_MAX];
	size_t len = bench_name(number, name);

	meta_op_reset(op);
	META_ADD(op, FOLDER_TOUCH, META_ONE, -ENOENT, META_I(folder), META_I(0), META_I(now));
	bench_add_node(op, ino, 2, now);
	META_ADD(op, ENTRY_INSERT, META_ONE, -EEXIST, META_I(meta_next_id(m, META_SEQ_ENTRY)),
		 META_I(folder), META_B(name, len), META_N(), META_I(ino));
	META_ADD(op, JOURNAL_ADD, META_ONE, 0, META_I(now), META_B(instance, sizeof(instance)),
		 META_I(1000), META_T("create", 6), META_I(ino), META_I(folder), META_B(name, len),
		 META_N(), META_N(), META_N(), META_N(), META_N());
}

static int bench_make_folders(struct meta *m)
{
	struct meta_op *op = meta_op_new();

	if (!op)
		return -ENOMEM;
	for (int64_t ino = 1; ino <= BENCH_FOLDERS; ino++)
		bench_add_node(op, ino, 1, 0);
	int err = meta_apply(m, op);

	meta_op_free(op);
	return err;
}

static void *bench_create(void *arg)
{
	struct bench_run *run = arg;
	struct bench *b = run->bench;
	struct meta_op *op = meta_op_new();

	while (op && !run->err && time_mono_ns() < b->until_ns) {
		bench_build(op, b->meta, atomic_fetch_add(&b->created, 1));
		run->err = meta_apply(b->meta, op);
		if (!run->err && b->sync)
			run->err = meta_sync(b->meta);
		run->done++;
	}
	meta_op_free(op);
	return NULL;
}

static int bench_row(void *arg, const struct meta_row *row)
{
	*(int64_t *)arg = meta_row_int(row, 0);
	return 0;
}

static void *bench_lookup(void *arg)
{
	struct bench_run *run = arg;
	struct bench *b = run->bench;
	long long created = atomic_load(&b->created);
	char name[BENCH_NAME_MAX];

	while (!run->err && (run->done % 64 || time_mono_ns() < b->until_ns)) {
		long long number = rand_r(&run->seed) % created;
		int64_t ino = 0;
		int rows = META_QUERY(b->meta, NODE_LOOKUP, bench_row, &ino,
				      META_I(bench_folder(number)),
				      META_B(name, bench_name(number, name)));

		run->err = rows < 0 ? rows : rows == 1 && ino > 0 ? 0 : -ENOENT;
		run->done++;
	}
	return NULL;
}

/* Processor time of the process so far. */
static double bench_cpu_us(void)
{
	struct rusage use;

	getrusage(RUSAGE_SELF, &use);
	return (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1e6 +
	       (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec);
}

static int bench_phase(struct bench *b, const char *title, void *(*work)(void *), int threads,
		       int seconds)
{
	struct bench_run runs[BENCH_THREADS];
	pthread_t ids[BENCH_THREADS];
	long long done = 0;
	int64_t begin_ns = time_mono_ns();
	double begin_us = bench_cpu_us();
	int err = 0;

	b->until_ns = begin_ns + seconds * TIME_NS_PER_S;
	for (int i = 0; i < threads; i++) {
		runs[i] = (struct bench_run){ .bench = b, .seed = (unsigned)i + 1 };
		pthread_create(&ids[i], NULL, work, &runs[i]);
	}
	for (int i = 0; i < threads; i++) {
		pthread_join(ids[i], NULL);
		done += runs[i].done;
		err = err ? err : runs[i].err;
	}
	double elapsed_s = (double)(time_mono_ns() - begin_ns) / (double)TIME_NS_PER_S;

	if (err)
		fprintf(stderr, "bench-meta: %s: %s\n", title, err_text(err));
	else
		printf("%-14s %d thread%s %9.0f /s %7.1f us\n", title, threads,
		       threads > 1 ? "s" : " ", (double)done / elapsed_s,
		       (bench_cpu_us() - begin_us) / (double)done);
	return err;
}

static int bench_all(struct meta *m, int seconds)
{
	struct bench b = { .meta = m };
	int err = bench_make_folders(m);

	if (!err)
		err = bench_phase(&b, "create", bench_create, 1, seconds);
	if (!err)
		err = bench_phase(&b, "create", bench_create, BENCH_THREADS, seconds);
	if (!err)
		err = bench_phase(&b, "lookup", bench_lookup, 1, seconds);
	if (!err)
		err = bench_phase(&b, "lookup", bench_lookup, 2, seconds);
	if (!err)
		err = bench_phase(&b, "lookup", bench_lookup, BENCH_THREADS, seconds);
	b.sync = true;
	if (!err)
		err = bench_phase(&b, "create + sync", bench_create, 1, seconds);
	if (!err)
		err = bench_phase(&b, "create + sync", bench_create, BENCH_THREADS, seconds);
	return err;
}

int main(int argc, char **argv)
{
	struct buf path = BUF_INIT;
	struct meta *m = NULL;
	int err = buf_printf(&path, "%s/bench-meta.db", argc > 1 ? argv[1] : ".");

	if (!err)
		err = meta_open(buf_str(&path), META_OPEN_CREATE, &m);
	if (err) {
		fprintf(stderr, "bench-meta: %s: %s\n", buf_str(&path), err_text(err));
		return EXIT_FAILURE;
	}
	err = bench_all(m, argc > 2 ? atoi(argv[2]) : 3);
	meta_close(m);
	unlink(buf_str(&path));
	buf_release(&path);
	return err ? EXIT_FAILURE : EXIT_SUCCESS;
}
