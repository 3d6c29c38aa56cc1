/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Random changes of several files, each compared with a byte array: by one thread with sealing and
 * reopening at every point, then by many at once while the sealer seals as fast as it can.
 * GARNER_SEED and GARNER_ROUNDS repeat or lengthen a run.
 */
#include "config.h"

#include "file-unit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>

enum {
	FILES = 5,
	SIZE_MAX_BYTES = 220000,
	PIECE = 40000,
	ROUNDS = 2500,
	THREADS = 4,
	STRIPE = 30000
};

struct model {
	struct lab *lab;
	int64_t ino;
	struct file *file; /* open for reading and writing, or NULL */
	size_t size;
	uint8_t bytes[SIZE_MAX_BYTES];
};

static uint64_t number(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 0) : otherwise;
}

static void model_open(struct model *m)
{
	if (!m->file)
		m->file = lab_open_file(m->lab, m->ino, O_RDWR);
}

static void model_close(struct model *m)
{
	if (m->file)
		lab_close_file(m->file, O_RDWR);
	m->file = NULL;
}

static void model_check(struct model *m, size_t off, size_t len)
{
	static _Thread_local uint8_t got[SIZE_MAX_BYTES];
	size_t want = off >= m->size ? 0 : len < m->size - off ? len : m->size - off;
	struct file *f = m->file ? m->file : lab_open_file(m->lab, m->ino, O_RDONLY);

	/* Both ways of reading have their turn. */
	ssize_t now = off % 2 ? file_read_now(f, got, len, off) : -EAGAIN;

	ck_assert(now == -EAGAIN || now == (ssize_t)want);
	if (now == -EAGAIN)
		ck_assert_int_eq(file_read(f, got, len, off), (ssize_t)want);
	lab_equal(got, m->bytes + off, want, off);
	if (!m->file)
		file_close(f, O_RDONLY);
	ck_assert_uint_eq(lab_node(m->lab, m->ino).size, m->size);
}

static void model_grow(struct model *m, size_t size)
{
	if (size > m->size) {
		memset(m->bytes + m->size, 0, size - m->size);
		m->size = size;
	}
}

/* A range within the largest size. */
static size_t range(uint64_t *state, size_t *off)
{
	*off = lab_random(state) % (SIZE_MAX_BYTES - PIECE);
	return 1 + lab_random(state) % PIECE;
}

static void do_write(struct model *m, uint64_t *state)
{
	size_t off, len = range(state, &off);

	if (lab_random(state) % 2 && m->size <= SIZE_MAX_BYTES - PIECE)
		off = lab_random(state) % 2 ? m->size : lab_random(state) % (m->size + 1);
	model_open(m);
	model_grow(m, off);
	lab_fill(state, m->bytes + off, len);
	if (off + len > m->size)
		m->size = off + len;
	ck_assert_int_eq(file_write(m->file, m->bytes + off, len, off), (ssize_t)len);
}

static void do_truncate(struct model *m, uint64_t *state)
{
	size_t size = lab_random(state) % 4 ? lab_random(state) % SIZE_MAX_BYTES : 0;

	model_open(m);
	ck_assert_int_eq(file_truncate(m->file, size), 0);
	model_grow(m, size);
	m->size = size;
}

static void do_allocate(struct model *m, uint64_t *state)
{
	static const int modes[] = { 0, FALLOC_FL_KEEP_SIZE,
				     FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				     FALLOC_FL_ZERO_RANGE,
				     FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE };
	int mode = modes[lab_random(state) % 5];
	size_t off, len = range(state, &off);

	model_open(m);
	ck_assert_int_eq(file_allocate(m->file, mode, off, len), 0);
	if (!(mode & FALLOC_FL_KEEP_SIZE))
		model_grow(m, off + len);
	if (!(mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) || off >= m->size)
		return;
	memset(m->bytes + off, 0, off + len > m->size ? m->size - off : len);
}

static void do_copy(struct model *from, struct model *to, uint64_t *state)
{
	size_t off = lab_random(state) % (from->size + 1), len = from->size - off, dst;

	if (lab_random(state) % 2)
		len = lab_random(state) % (len + 1);
	dst = lab_random(state) % (SIZE_MAX_BYTES - len + 1);
	model_open(to);
	struct file *in = from == to ? to->file : lab_open_file(from->lab, from->ino, O_RDONLY);
	ssize_t n = file_copy(in, off, to->file, dst, len);

	if (in != to->file)
		file_close(in, O_RDONLY);
	if (from == to && off < dst + len && dst < off + len) {
		ck_assert_int_eq(n, -EINVAL);
		return;
	}
	ck_assert_int_eq(n, (ssize_t)len);
	if (!len)
		return;
	model_grow(to, dst);
	memmove(to->bytes + dst, from->bytes + off, len);
	if (dst + len > to->size)
		to->size = dst + len;
}

static void do_seek(struct model *m, uint64_t *state)
{
	size_t off = lab_random(state) % SIZE_MAX_BYTES;

	model_open(m);
	int64_t data = file_seek(m->file, off, SEEK_DATA),
		hole = file_seek(m->file, off, SEEK_HOLE);

	if (off >= m->size) {
		ck_assert_int_eq(data, -ENXIO);
		ck_assert_int_eq(hole, -ENXIO);
		return;
	}
	ck_assert(hole >= (int64_t)off && hole <= (int64_t)m->size);
	size_t end = data < 0 ? m->size : (size_t)data;

	for (size_t i = off; i < end; i++)
		if (m->bytes[i])
			ck_abort_msg("byte %zu is data, not a hole", i);
}

/* One step on file `m`; `others` can be copied from. */
static void step(struct model *m, struct model *others, size_t count, uint64_t *state)
{
	size_t off, len = range(state, &off);

	switch (lab_random(state) % 16) {
	case 0 ... 4:
		do_write(m, state);
		break;
	case 5:
		do_truncate(m, state);
		break;
	case 6 ... 7:
		do_allocate(m, state);
		break;
	case 8:
		do_copy(&others[lab_random(state) % count], m, state);
		break;
	case 9:
		do_seek(m, state);
		break;
	case 10:
		model_open(m);
		ck_assert_int_eq(
			lab_random(state) % 4 ? file_flush(m->file) : file_sync(m->file, false), 0);
		break;
	case 11 ... 12:
		model_close(m);
		break;
	default:
		model_check(m, off, len);
	}
}

static struct model *models_new(struct lab *lab, size_t count)
{
	struct model *all = calloc(count, sizeof(*all));
	char name[32];

	ck_assert_ptr_nonnull(all);
	for (size_t i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "f%zu", i);
		all[i].lab = lab;
		all[i].ino = lab_put(lab, name, NULL, 0);
	}
	return all;
}

static void models_check(struct model *all, size_t count)
{
	for (size_t i = 0; i < count; i++)
		model_check(&all[i], 0, SIZE_MAX_BYTES);
}

static void models_close(struct model *all, size_t count)
{
	for (size_t i = 0; i < count; i++)
		model_close(&all[i]);
}

static void run_single(const char *config, uint64_t seed)
{
	struct lab lab;
	uint64_t state = seed, rounds = number("GARNER_ROUNDS", ROUNDS);

	fprintf(stderr, "GARNER_SEED=%llu\n", (unsigned long long)seed);
	lab_make(&lab, NULL, config);
	lab_open(&lab);
	struct model *all = models_new(&lab, FILES);

	for (uint64_t i = 0; i < rounds; i++) {
		step(&all[lab_random(&state) % FILES], all, FILES, &state);
		if (lab_random(&state) % 64 == 0)
			lab_sync(&lab);
		if (lab_random(&state) % 256 == 0) {
			models_close(all, FILES);
			models_check(all, FILES);
			lab_reopen(&lab);
			models_check(all, FILES);
		}
	}
	models_close(all, FILES);
	lab_sync(&lab);
	models_check(all, FILES);
	lab_remove(&lab);
	free(all);
}

START_TEST(one_thread_sealing_when_told)
{
	run_single(LAB_LAZY, number("GARNER_SEED", 11));
}
END_TEST

START_TEST(one_thread_sealing_at_once)
{
	run_single(LAB_EAGER, number("GARNER_SEED", 12));
}
END_TEST

struct worker {
	struct model *model, *source;
	uint64_t state, rounds;
};

static void *work(void *arg)
{
	struct worker *w = arg;

	for (uint64_t i = 0; i < w->rounds; i++)
		step(w->model, lab_random(&w->state) % 2 ? w->source : w->model, 1, &w->state);
	model_close(w->model);
	return NULL;
}

START_TEST(a_thread_for_each_file)
{
	struct lab lab;
	struct worker workers[THREADS];
	pthread_t ids[THREADS];
	uint64_t seed = number("GARNER_SEED", 13);

	lab_make(&lab, NULL, LAB_EAGER);
	lab_open(&lab);
	struct model *all = models_new(&lab, THREADS + 1);
	uint64_t state = seed;

	do_write(&all[THREADS], &state);
	model_close(&all[THREADS]);
	for (int i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){ .model = &all[i],
					      .source = &all[THREADS],
					      .state = seed * 100 + (uint64_t)i,
					      .rounds = number("GARNER_ROUNDS", ROUNDS) / 3 };
		ck_assert_int_eq(pthread_create(&ids[i], NULL, work, &workers[i]), 0);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(ids[i], NULL);
	lab_sync(&lab);
	models_check(all, THREADS + 1);
	lab_reopen(&lab);
	models_check(all, THREADS + 1);
	lab_remove(&lab);
	free(all);
}
END_TEST

/* One stripe of a file that all threads share. */
struct stripe {
	struct lab *lab;
	int64_t ino;
	size_t start;
	uint64_t state, rounds;
	uint8_t bytes[STRIPE];
};

static void stripe_step(struct stripe *s, struct file *f)
{
	static _Thread_local uint8_t got[STRIPE];
	size_t off = lab_random(&s->state) % STRIPE,
	       len = 1 + lab_random(&s->state) % (STRIPE - off);

	if (lab_random(&s->state) % 2) {
		lab_fill(&s->state, s->bytes + off, len);
		ck_assert_int_eq(file_write(f, s->bytes + off, len, s->start + off), (ssize_t)len);
	}
	ck_assert_int_eq(file_read(f, got, STRIPE, s->start), STRIPE);
	lab_equal(got, s->bytes, STRIPE, s->start);
}

static void *stripe_work(void *arg)
{
	struct stripe *s = arg;

	for (uint64_t i = 0; i < s->rounds; i++) {
		struct file *f = lab_open_file(s->lab, s->ino, O_RDWR);

		for (uint64_t n = lab_random(&s->state) % 4; n; n--)
			stripe_step(s, f);
		lab_close_file(f, O_RDWR);
		if (lab_random(&s->state) % 8 == 0)
			(void)sealer_sync(s->lab->lib, time_mono_ns() + 100 * TIME_NS_PER_MS, NULL);
	}
	return NULL;
}

START_TEST(many_threads_in_one_file)
{
	struct lab lab;
	struct stripe *stripes = calloc(THREADS, sizeof(*stripes));
	pthread_t ids[THREADS];

	lab_make(&lab, NULL, LAB_EAGER);
	lab_open(&lab);
	int64_t ino = lab_put(&lab, "shared", NULL, 0);
	struct file *f = lab_open_file(&lab, ino, O_RDWR);

	ck_assert_int_eq(file_truncate(f, THREADS * STRIPE), 0);
	lab_close_file(f, O_RDWR);
	for (int i = 0; i < THREADS; i++) {
		stripes[i] = (struct stripe){ .lab = &lab,
					      .ino = ino,
					      .start = (size_t)i * STRIPE,
					      .state = number("GARNER_SEED", 14) * 100 +
						       (uint64_t)i,
					      .rounds = number("GARNER_ROUNDS", ROUNDS) / 10 };
		ck_assert_int_eq(pthread_create(&ids[i], NULL, stripe_work, &stripes[i]), 0);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(ids[i], NULL);
	lab_sync(&lab);
	f = lab_open_file(&lab, ino, O_RDONLY);
	for (int i = 0; i < THREADS; i++) {
		uint8_t got[STRIPE];

		ck_assert_int_eq(file_read(f, got, STRIPE, stripes[i].start), STRIPE);
		lab_equal(got, stripes[i].bytes, STRIPE, stripes[i].start);
	}
	file_close(f, O_RDONLY);
	lab_remove(&lab);
	free(stripes);
}
END_TEST

UNIT_MAIN("file-random", 240, one_thread_sealing_when_told, one_thread_sealing_at_once,
	  a_thread_for_each_file, many_threads_in_one_file)
