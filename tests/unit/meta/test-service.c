/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * backend/meta/meta.h as a contract, over every driver: ids, syncs, notice of changes, copies, checks,
 * read-only use.
 */
#include "config.h"

#include "meta-test.h"
#include "util/err.h"
#include "util/lock.h"
#include "util/time.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <unistd.h>

static struct meta_test_place place;

static struct meta *begin(int number)
{
	meta_test_begin(&place, &meta_test_drivers[number]);
	return meta_test_open(&place, &meta_test_drivers[number], META_OPEN_CREATE);
}

static void end(struct meta *m)
{
	meta_close(m);
	meta_test_end(&place);
}

#define EACH_DRIVER for (int driver = 0; driver < meta_test_driver_count; driver++)

enum { THREADS = 8, IDS = 3000 };

struct taker {
	struct meta *meta;
	int64_t ids[META_SEQ_COUNT][IDS];
};

static void *take_ids(void *arg)
{
	struct taker *t = arg;

	for (int i = 0; i < IDS; i++)
		for (enum meta_sequence seq = 0; seq < META_SEQ_COUNT; seq++)
			t->ids[seq][i] = meta_next_id(t->meta, seq);
	return NULL;
}

static int compare_ids(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* All ids of SEQ that the threads took: valid, rising in each thread, none twice. */
static void check_ids(struct taker *takers, enum meta_sequence seq)
{
	static int64_t all[THREADS * IDS];

	for (int t = 0; t < THREADS; t++) {
		memcpy(all + (size_t)t * IDS, takers[t].ids[seq], sizeof(takers[t].ids[seq]));
		ck_assert_int_gt(takers[t].ids[seq][0], 1);
		for (int i = 1; i < IDS; i++)
			ck_assert_int_gt(takers[t].ids[seq][i], takers[t].ids[seq][i - 1]);
	}
	qsort(all, THREADS * IDS, sizeof(all[0]), compare_ids);
	for (int i = 1; i < THREADS * IDS; i++)
		ck_assert_int_ne(all[i], all[i - 1]);
}

START_TEST(ids_are_given_once)
{
	static struct taker takers[THREADS];

	EACH_DRIVER
	{
		struct meta *m = begin(driver);
		int64_t last[META_SEQ_COUNT];

		for (int t = 0; t < THREADS; t++)
			takers[t].meta = m;
		meta_test_threads(THREADS, take_ids, takers, sizeof(takers[0]));
		for (enum meta_sequence seq = 0; seq < META_SEQ_COUNT; seq++) {
			check_ids(takers, seq);
			last[seq] = meta_next_id(m, seq);
		}
		meta_close(m);
		m = meta_test_open(&place, &meta_test_drivers[driver], 0);
		for (enum meta_sequence seq = 0; seq < META_SEQ_COUNT; seq++)
			ck_assert_int_gt(meta_next_id(m, seq), last[seq]);
		end(m);
	}
}
END_TEST

START_TEST(dirty_until_synced)
{
	EACH_DRIVER
	{
		struct meta *m = begin(driver);

		ck_assert(!meta_dirty(m));
		ck_assert_int_eq(meta_sync(m), 0);
		ck_assert_int_eq(meta_test_put(m, 1, "a", ""), 0);
		ck_assert(meta_dirty(m));
		ck_assert_int_eq(meta_test_put(m, 1, "a", ""), -EEXIST);
		ck_assert_int_eq(meta_sync(m), 0);
		ck_assert(!meta_dirty(m));
		ck_assert_int_eq(meta_test_put(m, 1, "a", ""), -EEXIST);
		ck_assert(!meta_dirty(m));
		end(m);
	}
}
END_TEST

/* The driver's ops but for sync, which counts, waits at a gate where asked to, and fails where asked to. */
static struct meta_ops gated;
static const struct meta_ops *real;
static atomic_int syncs, failures;
static atomic_bool gate_shut;

static int gated_sync(struct meta_driver *d)
{
	atomic_fetch_add(&syncs, 1);
	while (atomic_load(&gate_shut))
		usleep(200);
	return atomic_load(&failures) ? -EIO : real->sync(d);
}

static int gated_open(const char *path, int flags, const struct meta_schema *schema,
		      struct meta_driver **out)
{
	int err = real->open(path, flags, schema, out);

	if (!err)
		(*out)->ops = &gated;
	return err;
}

/* A new database behind the gate. */
static struct meta *begin_gated(int number)
{
	struct meta_test_driver d = meta_test_drivers[number];

	real = d.ops;
	gated = *real;
	gated.open = gated_open;
	gated.sync = gated_sync;
	d.ops = &gated;
	atomic_store(&syncs, 0);
	atomic_store(&failures, 0);
	atomic_store(&gate_shut, false);
	meta_test_begin(&place, &d);
	return meta_test_open(&place, &d, META_OPEN_CREATE);
}

static void *sync_once(void *arg)
{
	ck_assert_int_eq(meta_sync(arg), 0);
	return NULL;
}

static void await(atomic_int *value, int wanted)
{
	int64_t deadline_ns = time_mono_ns() + UNIT_PATIENCE_NS;

	while (atomic_load(value) < wanted) {
		ck_assert_int_lt(time_mono_ns(), deadline_ns);
		usleep(200);
	}
}

START_TEST(a_sync_covers_what_came_before_it_only)
{
	EACH_DRIVER
	{
		struct meta *m = begin_gated(driver);
		pthread_t early, late;

		ck_assert_int_eq(meta_test_put(m, 1, "a", ""), 0);
		atomic_store(&gate_shut, true);
		ck_assert_int_eq(pthread_create(&early, NULL, sync_once, m), 0);
		await(&syncs, 1);
		/* Applied while a sync runs: that one may have missed it. */
		ck_assert_int_eq(meta_test_put(m, 1, "b", ""), 0);
		ck_assert_int_eq(pthread_create(&late, NULL, sync_once, m), 0);
		atomic_store(&gate_shut, false);
		ck_assert_int_eq(pthread_join(early, NULL), 0);
		ck_assert_int_eq(pthread_join(late, NULL), 0);
		ck_assert_int_eq(atomic_load(&syncs), 2);
		ck_assert(!meta_dirty(m));
		end(m);
	}
}
END_TEST

START_TEST(those_who_wait_share_a_sync)
{
	EACH_DRIVER
	{
		struct meta *m = begin_gated(driver);
		struct meta *all[THREADS];
		pthread_t first;

		for (int i = 0; i < THREADS; i++)
			all[i] = m;
		ck_assert_int_eq(meta_test_put(m, 1, "a", ""), 0);
		atomic_store(&gate_shut, true);
		ck_assert_int_eq(pthread_create(&first, NULL, sync_once, m), 0);
		await(&syncs, 1);
		ck_assert_int_eq(meta_test_put(m, 1, "b", ""), 0);
		pthread_t ids[THREADS];

		for (int i = 0; i < THREADS; i++)
			ck_assert_int_eq(pthread_create(&ids[i], NULL, sync_once, all[i]), 0);
		atomic_store(&gate_shut, false);
		ck_assert_int_eq(pthread_join(first, NULL), 0);
		for (int i = 0; i < THREADS; i++)
			ck_assert_int_eq(pthread_join(ids[i], NULL), 0);
		/* One for all who waited; a thread that was late to the start may have had one more. */
		ck_assert_int_le(atomic_load(&syncs), 3);
		end(m);
	}
}
END_TEST

START_TEST(a_failed_sync_is_told)
{
	EACH_DRIVER
	{
		struct meta *m = begin_gated(driver);

		ck_assert_int_eq(meta_test_put(m, 1, "a", ""), 0);
		atomic_store(&failures, 1);
		ck_assert_int_eq(meta_sync(m), -EIO);
		ck_assert(meta_dirty(m));
		ck_assert_int_eq(meta_sync(m), -EIO);
		ck_assert_int_eq(meta_next_id(m, META_SEQ_INO), -EIO);
		ck_assert_int_eq(meta_test_count(m, 1), 1);
		end(m);
	}
}
END_TEST

struct writer {
	struct meta *meta;
	atomic_bool stop;
	int64_t written;
	int err;
};

/* Always two rows at once, under numbers from 1 on. */
static void *write_pairs(void *arg)
{
	struct writer *w = arg;
	struct meta_op *op = meta_op_new();

	while (!atomic_load(&w->stop) && !w->err) {
		meta_op_reset(op);
		meta_test_add(op, w->written + 1, "a", "left");
		meta_test_add(op, w->written + 1, "b", "right");
		w->err = meta_apply(w->meta, op);
		if (!w->err)
			w->written++;
	}
	meta_op_free(op);
	return NULL;
}

/* The copy at PATH: whole pairs up to somewhere between the numbers given. */
static void check_copy(int driver, const char *path, int64_t at_least, int64_t at_most)
{
	struct meta *copy = NULL;
	int64_t number = 1;
	int faults = 0;

	ck_assert_int_eq(meta_open_with(meta_test_drivers[driver].ops, path, META_OPEN_RDONLY,
					&meta_catalogue_schema, &copy),
			 0);
	while (meta_test_count(copy, number) == 2)
		number++;
	ck_assert_int_eq(meta_test_count(copy, number), 0);
	ck_assert_int_gt(number, at_least);
	ck_assert_int_le(number - 1, at_most);
	ck_assert_int_eq(meta_check(copy, meta_test_report, &faults), 0);
	meta_close(copy);
}

START_TEST(a_ticket_is_good_for_any_sync_that_begins_after_it)
{
	EACH_DRIVER
	{
		struct meta *m = begin_gated(driver);
		pthread_t other;

		ck_assert_uint_eq(meta_sync_ticket(m), 0);
		ck_assert_int_eq(meta_sync_wait(m, 0), 0);
		ck_assert_int_eq(meta_test_put(m, 1, "a", ""), 0);
		uint64_t ticket = meta_sync_ticket(m);

		ck_assert_uint_gt(ticket, 0);
		atomic_store(&gate_shut, true);
		ck_assert_int_eq(pthread_create(&other, NULL, sync_once, m), 0);
		await(&syncs, 1);
		/* What comes while it is under way is not covered. */
		ck_assert_int_eq(meta_test_put(m, 1, "b", ""), 0);
		uint64_t later = meta_sync_ticket(m);

		atomic_store(&gate_shut, false);
		ck_assert_int_eq(meta_sync_wait(m, ticket), 0);
		pthread_join(other, NULL);
		ck_assert_int_eq(atomic_load(&syncs), 1);
		ck_assert(meta_dirty(m));
		atomic_store(&failures, 1);
		ck_assert_int_eq(meta_sync_wait(m, later), -EIO);
		ck_assert_int_eq(atomic_load(&syncs), 2);
		end(m);
	}
}
END_TEST

START_TEST(a_copy_is_one_moment)
{
	EACH_DRIVER
	{
		struct meta *m = begin(driver);
		struct writer w = { .meta = m };
		char path[160];
		pthread_t thread;

		for (int i = 1; i <= 50; i++) {
			ck_assert_int_eq(meta_test_put(m, i, "a", "left"), 0);
			ck_assert_int_eq(meta_test_put(m, i, "b", "right"), 0);
		}
		w.written = 50;
		ck_assert_int_eq(pthread_create(&thread, NULL, write_pairs, &w), 0);
		for (int i = 0; i < 5; i++) {
			snprintf(path, sizeof(path), "%s-copy-%d", place.path, i);
			ck_assert_int_eq(meta_copy(m, path), 0);
			ck_assert_int_eq(meta_copy(m, path), -EEXIST);
		}
		atomic_store(&w.stop, true);
		ck_assert_int_eq(pthread_join(thread, NULL), 0);
		ck_assert_int_eq(w.err, 0);
		for (int i = 0; i < 5; i++) {
			snprintf(path, sizeof(path), "%s-copy-%d", place.path, i);
			check_copy(driver, path, 50, w.written);
		}
		snprintf(path, sizeof(path), "%s/none/copy", place.folder);
		ck_assert_int_eq(meta_copy(m, path), -ENOENT);
		end(m);
	}
}
END_TEST

START_TEST(tidying_changes_nothing_to_see)
{
	EACH_DRIVER
	{
		struct meta *m = begin(driver);
		struct writer w = { .meta = m };
		pthread_t thread;
		int faults = 0;

		ck_assert_int_eq(meta_tidy(m), 0);
		ck_assert_int_eq(pthread_create(&thread, NULL, write_pairs, &w), 0);
		for (int i = 0; i < 40; i++) {
			ck_assert_int_eq(meta_tidy(m), 0);
			usleep(10000);
		}
		atomic_store(&w.stop, true);
		ck_assert_int_eq(pthread_join(thread, NULL), 0);
		ck_assert_int_eq(w.err, 0);
		ck_assert_int_eq(meta_check(m, meta_test_report, &faults), 0);
		ck_assert_int_eq(faults, 0);
		for (int64_t number = 1; number <= w.written; number += w.written / 100 + 1)
			ck_assert_int_eq(meta_test_count(m, number), 2);
		end(m);
	}
}
END_TEST

START_TEST(read_only_changes_nothing)
{
	EACH_DRIVER
	{
		const struct meta_test_driver *d = &meta_test_drivers[driver];
		struct meta *m = begin(driver);
		char path[160];

		ck_assert_int_eq(meta_test_put(m, 1, "a", ""), 0);
		struct meta *reader = meta_test_open(&place, d, META_OPEN_RDONLY);

		ck_assert_int_eq(meta_test_count(reader, 1), 1);
		ck_assert_int_eq(meta_test_put(reader, 1, "b", ""), -EROFS);
		ck_assert_int_eq(meta_next_id(reader, META_SEQ_INO), -EROFS);
		ck_assert_int_eq(meta_sync(reader), 0);
		ck_assert_int_eq(meta_tidy(reader), 0);
		ck_assert(!meta_dirty(reader));
		/* What others write is seen. */
		ck_assert_int_eq(meta_test_put(m, 1, "c", ""), 0);
		ck_assert_int_eq(meta_test_count(reader, 1), 2);
		snprintf(path, sizeof(path), "%s-copy", place.path);
		ck_assert_int_eq(meta_copy(reader, path), 0);
		meta_close(reader);
		end(m);
	}
}
END_TEST

START_TEST(opening_finds_what_is_there)
{
	EACH_DRIVER
	{
		const struct meta_test_driver *d = &meta_test_drivers[driver];
		struct meta *m = NULL;

		meta_test_begin(&place, d);
		ck_assert_int_eq(meta_open_with(d->ops, place.path, 0, &meta_catalogue_schema, &m),
				 -ENOENT);
		ck_assert_int_eq(meta_open_with(d->ops, place.path, META_OPEN_RDONLY,
						&meta_catalogue_schema, &m),
				 -ENOENT);
		ck_assert_ptr_null(m);
		m = meta_test_open(&place, d, META_OPEN_CREATE);
		ck_assert_int_eq(meta_version(m), meta_catalogue_schema.count);
		struct meta *other = NULL;

		ck_assert_int_eq(meta_open_with(d->ops, place.path, META_OPEN_CREATE,
						&meta_catalogue_schema, &other),
				 -EEXIST);
		ck_assert_ptr_null(other);
		ck_assert_int_eq(meta_open("nosuch://somewhere/else", 0, &other), -EPROTONOSUPPORT);
		end(m);
	}
}
END_TEST

UNIT_MAIN("service", 60, ids_are_given_once, dirty_until_synced,
	  a_sync_covers_what_came_before_it_only, those_who_wait_share_a_sync,
	  a_failed_sync_is_told, a_ticket_is_good_for_any_sync_that_begins_after_it,
	  a_copy_is_one_moment, tidying_changes_nothing_to_see, read_only_changes_nothing,
	  opening_finds_what_is_there)
