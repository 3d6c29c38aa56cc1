/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Stores under random calls: one thread against the memory driver as the model, then many threads at
 * once. GARNER_SEED repeats a run.
 */
#include "config.h"

#include "store-unit.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

enum { NAMES = 40, CALLS = 3000, THREADS = 4, LARGEST = 100000 };

static unsigned seed;

static void draw_chunks(struct chunk chunks[NAMES])
{
	for (unsigned i = 0; i < NAMES; i++)
		chunks[i] = chunk_make(i, 1 + (i * 7919U * (i % 3 ? 1 : 31)) % LARGEST);
}

static void free_chunks(struct chunk chunks[NAMES])
{
	for (unsigned i = 0; i < NAMES; i++)
		chunk_free(&chunks[i]);
}

static void compare_get(struct store *model, struct store *subject, const struct chunk *c,
			unsigned *random)
{
	static uint8_t expected[LARGEST], bytes[LARGEST];
	uint64_t off = (unsigned)rand_r(random) % (c->len + 10);
	size_t len = (unsigned)rand_r(random) % LARGEST;
	ssize_t count = store_get(model, c->name, expected, len, off);

	ck_assert_int_eq(store_get(subject, c->name, bytes, len, off), count);
	if (count > 0)
		ck_assert_mem_eq(bytes, expected, (size_t)count);
}

static void compare_stat(struct store *model, struct store *subject, const struct chunk *c)
{
	struct store_info expected = { 0 }, info = { 0 };

	ck_assert_int_eq(store_stat(subject, c->name, &info),
			 store_stat(model, c->name, &expected));
	ck_assert_uint_eq(info.size, expected.size);
}

struct listing {
	unsigned count;
	uint8_t names[NAMES][STORE_NAME_LEN];
};

static int add_name(void *arg, const uint8_t name[STORE_NAME_LEN], uint64_t size)
{
	struct listing *listing = arg;

	(void)size;
	ck_assert_uint_lt(listing->count, NAMES);
	memcpy(listing->names[listing->count++], name, STORE_NAME_LEN);
	return 0;
}

static void compare_list(struct store *model, struct store *subject, const uint8_t *after)
{
	struct listing expected = { 0 }, listing = { 0 };

	ck_assert_int_eq(store_list(model, after, add_name, &expected), 0);
	ck_assert_int_eq(store_list(subject, after, add_name, &listing), 0);
	ck_assert_uint_eq(listing.count, expected.count);
	ck_assert_mem_eq(listing.names, expected.names, sizeof expected.names);
}

static void compare_call(struct fixture *f, struct store *model, const struct chunk *c,
			 unsigned *random)
{
	switch (rand_r(random) % 8) {
	case 0:
	case 1:
		ck_assert_int_eq(chunk_put(f->store, c), chunk_put(model, c));
		break;
	case 2:
		ck_assert_int_eq(store_delete(f->store, c->name), store_delete(model, c->name));
		break;
	case 3:
		ck_assert_int_eq(store_has(f->store, c->name), store_has(model, c->name));
		compare_stat(model, f->store, c);
		break;
	case 4:
		ck_assert_int_eq(store_scan(f->store, c->name), store_scan(model, c->name));
		break;
	case 5:
		compare_list(model, f->store, rand_r(random) % 2 ? c->name : NULL);
		break;
	case 6:
		if (store_scan(model, c->name) == 0 && rand_r(random) % 4 == 0) {
			fixture_damage(f, c->name);
			ck_assert_int_eq(store_memory_damage(model, c->name), 0);
		}
		break;
	default:
		compare_get(model, f->store, c, random);
	}
}

START_TEST(as_the_model_says)
{
	struct chunk chunks[NAMES];
	struct store *model;
	struct fixture f;
	unsigned random = seed;

	draw_chunks(chunks);
	fixture_open(&f, _i);
	ck_assert_int_eq(store_memory_new(1 << 30, fixture_verify, NULL, &model), 0);
	for (unsigned i = 0; i < CALLS; i += unit_stride())
		compare_call(&f, model, &chunks[rand_r(&random) % NAMES], &random);
	compare_list(model, f.store, NULL);
	store_close(model);
	fixture_close(&f);
	free_chunks(chunks);
}
END_TEST

struct worker {
	struct store *store;
	const struct chunk *chunks;
	unsigned random;
	int wrong; /* the call that gave what it must not */
};

static void *put_all(void *arg)
{
	struct worker *w = arg;

	for (unsigned i = 0; i < NAMES && !w->wrong; i++)
		if (chunk_put(w->store, &w->chunks[i]) != 0)
			w->wrong = 1;
	return NULL;
}

static void work(struct store *store, const struct chunk *chunks, void *(*routine)(void *))
{
	struct worker workers[THREADS];
	pthread_t threads[THREADS];

	for (unsigned i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){ .store = store,
					      .chunks = chunks,
					      .random = seed + i };
		ck_assert_int_eq(pthread_create(&threads[i], NULL, routine, &workers[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		ck_assert_int_eq(workers[i].wrong, 0);
	}
}

static uint64_t allocated_all;

static int add_allocated(void *arg, int64_t id)
{
	allocated_all += blob_allocated(arg, id);
	return 0;
}

START_TEST(all_put_the_same)
{
	struct chunk chunks[NAMES];
	struct fixture f;
	uint64_t bytes = 0;

	for (unsigned i = 0; i < NAMES; i++) {
		chunks[i] = chunk_make(i, 65536);
		bytes += 65536;
	}
	fixture_open(&f, _i);
	work(f.store, chunks, put_all);
	for (unsigned i = 0; i < NAMES; i++) {
		ck_assert(chunk_is_there(f.store, &chunks[i]));
		ck_assert_int_eq(store_scan(f.store, chunks[i].name), 0);
		if (f.kind == FIXTURE_LOCAL)
			ck_assert_uint_eq(fixture_places(&f, chunks[i].name).count, 1);
	}
	/* What the slower writers wrote was given back. */
	allocated_all = 0;
	if (f.kind == FIXTURE_LOCAL)
		ck_assert_int_eq(blobs_scan(f.place.blobs, add_allocated, f.place.blobs), 0);
	ck_assert_uint_le(allocated_all, bytes + 65536);
	fixture_close(&f);
	free_chunks(chunks);
}
END_TEST

/* What a get may give while others put and delete: all of the chunk, or that it is not there. */
static bool get_is_right(struct worker *w, const struct chunk *c)
{
	uint8_t *bytes = malloc(c->len);
	ssize_t count = store_get(w->store, c->name, bytes, c->len, 0);
	bool right = count == -ENOENT ||
		     (count == (ssize_t)c->len && memcmp(bytes, c->bytes, c->len) == 0);

	free(bytes);
	return right;
}

static void *do_anything(void *arg)
{
	struct worker *w = arg;

	for (unsigned i = 0; i < CALLS / 4 && !w->wrong; i += unit_stride()) {
		const struct chunk *c = &w->chunks[rand_r(&w->random) % 4];
		int result, call = rand_r(&w->random) % 6;

		switch (call) {
		case 0:
		case 1:
			w->wrong = chunk_put(w->store, c) ? 1 : 0;
			break;
		case 2:
			result = store_delete(w->store, c->name);
			w->wrong = result && result != -ENOENT ? 2 : 0;
			break;
		case 3:
			result = store_scan(w->store, c->name);
			w->wrong = result && result != -ENOENT ? 3 : 0;
			break;
		default:
			w->wrong = get_is_right(w, c) ? 0 : 4;
		}
	}
	return NULL;
}

START_TEST(all_do_anything)
{
	struct chunk chunks[NAMES];
	struct fixture f;

	draw_chunks(chunks);
	fixture_open(&f, _i);
	work(f.store, chunks, do_anything);
	for (unsigned i = 0; i < 4; i++) {
		ck_assert_int_eq(chunk_put(f.store, &chunks[i]), 0);
		ck_assert(chunk_is_there(f.store, &chunks[i]));
	}
	fixture_close(&f);
	free_chunks(chunks);
}
END_TEST

int main(void)
{
	const char *told = getenv("GARNER_SEED");
	Suite *suite = suite_create("store at random");
	const TTest *const cases[] = { as_the_model_says, all_put_the_same, all_do_anything };
	SRunner *runner = srunner_create(suite);
	int failed;

	seed = told ? (unsigned)strtoul(told, NULL, 10) : (unsigned)time(NULL);
	printf("GARNER_SEED=%u\n", seed);
	fflush(stdout);
	fixture_add_cases(suite, cases, sizeof cases / sizeof *cases, 120);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
