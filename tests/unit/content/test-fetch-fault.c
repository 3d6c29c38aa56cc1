/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Fetching from a bucket that fails, and onto a disk that does: nothing wrong is shown, nobody waits for ever. */
#include "config.h"

#include "../wrap.h"
#define AWAY_STALL_S 1
#include "fetch-unit.h"

#include <pthread.h>
#include <stdatomic.h>

enum { LEN = 60 * 1000 };

/* What there is no room for. */
enum { FULL_BYTES = 1, FULL_ROWS = 2 };

static atomic_int sync_failures, full, refused;

WRAP(int, io_sync_data, (int fd))
{
	if (atomic_load(&sync_failures) > 0 && atomic_fetch_sub(&sync_failures, 1) > 0)
		return -EIO;
	return __real_io_sync_data(fd);
}

static struct fetch_params patience(int64_t ms)
{
	return (struct fetch_params){ .keep = true, .timeout_ns = ms * TIME_NS_PER_MS };
}

/* As a disk that fills up while it is written: a part is there. */
WRAP(int, io_pwrite_full, (int fd, const void *data, size_t len, uint64_t off))
{
	if (!(atomic_load(&full) & FULL_BYTES))
		return __real_io_pwrite_full(fd, data, len, off);
	atomic_fetch_add(&refused, 1);
	(void)__real_io_pwrite_full(fd, data, len / 2, off);
	return -ENOSPC;
}

WRAP(int, meta_apply, (struct meta * m, struct meta_op *op))
{
	if (!(atomic_load(&full) & FULL_ROWS))
		return __real_meta_apply(m, op);
	atomic_fetch_add(&refused, 1);
	return -ENOSPC;
}

/* Whatever passes is waited out. */
static void reads_in_spite_of(struct fault fault)
{
	struct away a;
	struct asset asset;
	uint8_t *data = stream_new(1, LEN);

	away_open(&a, FETCH_KEEP);
	away_asset(&a, &asset, data, LEN);
	struct view *v = away_view(&a, &asset);

	server_fault(a.lab.server, fault);
	away_reads(v, data, LEN, 4096);
	ck_assert_uint_gt(server_faults(a.lab.server), 0);
	view_put(v);
	world_check(&a.w);
	away_close(&a);
	free(data);
}

START_TEST(faults_that_pass)
{
	static const struct fault faults[] = {
		{ .kind = FAULT_CORRUPT, .method = "GET", .skip = 2, .count = 2 },
		{ .kind = FAULT_TRUNCATE, .method = "GET", .count = 2 },
		{ .kind = FAULT_CUT, .method = "GET", .skip = 1, .count = 2 },
		{ .kind = FAULT_RESET, .method = "GET", .count = 2 },
		{ .kind = FAULT_WRONG_PART, .method = "GET", .count = 1 },
		{ .kind = FAULT_NO_RANGE, .method = "GET", .count = 2 },
		{ .kind = FAULT_STATUS,
		  .method = "GET",
		  .count = 3,
		  .status = 503,
		  .code = "SlowDown" },
		{ .kind = FAULT_STATUS, .method = "GET", .count = 3, .status = 500 },
	};

	reads_in_spite_of(faults[_i]);
}
END_TEST

/* Bytes that are not the chunk's are never shown, however often they come. */
START_TEST(wrong_bytes_are_never_shown)
{
	struct away a;
	struct asset asset;
	uint8_t *data = stream_new(2, LEN), *got = malloc(LEN);

	away_open(&a, FETCH_KEEP);
	away_asset(&a, &asset, data, LEN);
	struct view *v = away_view(&a, &asset);

	server_fault(a.lab.server, (struct fault){ .kind = FAULT_CORRUPT, .method = "GET" });
	ck_assert_int_eq(view_read(v, got, LEN, 0), -EIO);
	ck_assert_int_eq(view_read_here(v, got, 1, 0), -EREMOTE);
	server_heal(a.lab.server);
	away_reads(v, data, LEN, LEN);
	view_put(v);
	away_close(&a);
	free(got);
	free(data);
}
END_TEST

START_TEST(a_chunk_that_is_nowhere_fails)
{
	struct away a;
	struct asset asset;
	uint8_t *data = stream_new(3, LEN), byte;

	away_open(&a, FETCH_KEEP);
	asset_of(&a.w, &asset, data, LEN);
	away_evict(&a);
	struct view *v = away_view(&a, &asset);

	ck_assert_int_eq(view_read(v, &byte, 1, 0), -EIO);
	view_put(v);
	away_close(&a);
	free(data);
}
END_TEST

START_TEST(without_a_bucket_it_fails_at_once)
{
	struct world w;
	struct asset asset;
	uint8_t *data = stream_new(3, LEN), byte;
	struct away a;

	world_open(&w);
	asset_of(&w, &asset, data, LEN);
	a.w = w;
	away_evict(&a);
	struct view *v = NULL;

	ck_assert_int_eq(view_of_object(w.content, asset.object, &v), 0);
	ck_assert_int_eq(view_read(v, &byte, 1, 0), -EIO);
	ck_assert_int_eq(view_read_here(v, &byte, 1, 0), -EIO);
	view_put(v);
	world_close(&w);
	free(data);
}
END_TEST

static void nobody_is_told(void *arg, int err)
{
	(void)arg;
	ck_abort_msg("told of %d", err);
}

/* What one is told at once who wants the byte at `off`. */
static int view_want_again(struct away *a, const struct view *v, uint64_t off)
{
	struct fetch_wait *w = NULL;

	ck_assert_int_eq(fetch_wait_new(a->w.content, fetch_deadline_ns(a->w.content), &w), 0);
	ck_assert_int_eq(view_want(v, off, 1, w), 0);
	int err = fetch_wait_go(w, nobody_is_told, NULL);

	fetch_wait_free(w);
	return err;
}

/* The transfer of before may still be failing. */
static void reads_at_last(const struct view *v, uint64_t off)
{
	int64_t end = time_mono_ns() + UNIT_PATIENCE_NS;
	uint8_t byte;

	while (view_read(v, &byte, 1, off) != 1) {
		ck_assert_int_lt(time_mono_ns(), end);
		usleep(20000);
	}
}

/* A server that never answers, and one that is not there: an error when the time is over, bytes when it is back. */
START_TEST(a_deadline_is_kept)
{
	struct away a;
	struct asset asset;
	uint8_t *data = stream_new(4, LEN), byte;
	bool hangs = _i;

	away_open(&a, patience(300));
	away_asset(&a, &asset, data, LEN);
	struct view *v = away_view(&a, &asset);

	if (hangs)
		server_fault(a.lab.server, (struct fault){ .kind = FAULT_HANG, .method = "GET" });
	else
		server_pause(a.lab.server);
	int64_t begun = time_mono_ns();

	ck_assert_int_eq(view_read(v, &byte, 1, LEN / 2), -EIO);
	ck_assert_int_ge(time_mono_ns() - begun, 300 * TIME_NS_PER_MS);
	/* Who asks again right away is told at once. */
	ck_assert_int_eq(view_want_again(&a, v, LEN / 2), -EIO);
	if (hangs)
		server_heal(a.lab.server);
	else
		server_resume(a.lab.server);
	reads_at_last(v, LEN / 2);
	view_put(v);
	v = away_view(&a, &asset);
	reads_at_last(v, 0);
	view_put(v);
	away_restart(&a, FETCH_KEEP);
	v = away_view(&a, &asset);
	away_reads(v, data, LEN, LEN);
	view_put(v);
	away_close(&a);
	free(data);
}
END_TEST

/* How a wait ended. */
struct ended {
	atomic_int count, err;
};

static void note_end(void *arg, int err)
{
	struct ended *e = arg;

	atomic_store(&e->err, err);
	atomic_fetch_add(&e->count, 1);
}

static void await_end(struct ended *e)
{
	int64_t end = time_mono_ns() + UNIT_PATIENCE_NS;

	while (!atomic_load(&e->count) && time_mono_ns() < end)
		usleep(10000);
	ck_assert_int_eq(atomic_load(&e->count), 1);
}

START_TEST(a_wait_can_be_cancelled)
{
	struct away a;
	struct asset asset;
	uint8_t *data = stream_new(5, LEN), byte;
	struct fetch_wait *waits[3];
	struct ended ends[3] = { { 0 } };

	away_open(&a, FETCH_KEEP);
	away_asset(&a, &asset, data, LEN);
	struct view *v = away_view(&a, &asset);

	server_fault(a.lab.server, (struct fault){ .kind = FAULT_HANG, .method = "GET" });
	for (int i = 0; i < 3; i++) {
		int64_t deadline = fetch_deadline_ns(a.w.content);

		ck_assert_int_eq(fetch_wait_new(a.w.content, deadline, &waits[i]), 0);
		ck_assert_int_eq(view_want(v, 0, LEN, waits[i]), 0);
	}
	/* Before it is let go, and while it waits; the third is told by the end of all. */
	fetch_wait_cancel(waits[0], -EINTR);
	ck_assert_int_eq(fetch_wait_go(waits[0], note_end, &ends[0]), -EINTR);
	ck_assert_int_eq(fetch_wait_go(waits[1], note_end, &ends[1]), 0);
	ck_assert_int_eq(fetch_wait_go(waits[2], note_end, &ends[2]), 0);
	fetch_wait_cancel(waits[1], -EINTR);
	await_end(&ends[1]);
	ck_assert_int_eq(atomic_load(&ends[1].err), -EINTR);
	ck_assert_int_eq(atomic_load(&ends[2].count), 0);
	fetch_cancel(a.w.content);
	ck_assert_int_eq(atomic_load(&ends[2].count), 1);
	ck_assert_int_eq(atomic_load(&ends[2].err), -ECANCELED);
	ck_assert_int_eq(view_read(v, &byte, 1, 0), -ECANCELED);
	for (int i = 0; i < 3; i++)
		fetch_wait_free(waits[i]);
	view_put(v);
	away_close(&a);
	free(data);
}
END_TEST

static void *read_some(void *arg)
{
	uint8_t got[100];

	for (uint64_t at = 0; at < LEN; at += 1000) {
		if (view_read(arg, got, sizeof got, at) < 0)
			return NULL;
	}
	return arg;
}

/* All that is under way ends with the library, whatever it is at. */
START_TEST(the_end_comes_at_any_time)
{
	struct away a;
	struct asset asset;
	uint8_t *data = stream_new(6, LEN);
	pthread_t threads[4];
	struct view *v;

	away_open(&a, FETCH_KEEP);
	away_asset(&a, &asset, data, LEN);
	if (_i % 2)
		server_fault(a.lab.server, (struct fault){ .kind = FAULT_HANG,
							   .method = "GET",
							   .skip = (unsigned)_i });
	v = away_view(&a, &asset);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, read_some, v), 0);
	usleep((unsigned)_i * 1500);
	fetch_cancel(a.w.content);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	view_put(v);
	server_heal(a.lab.server);
	away_restart(&a, FETCH_KEEP);
	v = away_view(&a, &asset);
	away_reads(v, data, LEN, LEN);
	view_put(v);
	world_check(&a.w);
	away_close(&a);
	free(data);
}
END_TEST

/* The disk does not keep what was fetched: no row names it, and it is fetched again. */
START_TEST(a_failed_sync_leaves_no_row)
{
	struct away a;
	struct asset asset;
	uint8_t *data = stream_new(7, LEN);

	away_open(&a, FETCH_KEEP);
	size_t chunks = away_asset(&a, &asset, data, LEN);
	struct view *v = away_view(&a, &asset);
	unsigned before = away_gets(&a);

	atomic_store(&sync_failures, 1000000);
	away_reads(v, data, LEN, LEN);
	(void)fetch_record(a.w.content);
	ck_assert_uint_eq(away_places(&a), 0);
	atomic_store(&sync_failures, 0);
	away_reads(v, data, LEN, LEN);
	ck_assert_uint_ge(away_gets(&a) - before, 2 * chunks);
	ck_assert_int_eq(fetch_record(a.w.content), 0);
	ck_assert_uint_eq(away_places(&a), chunks);
	view_put(v);
	world_check(&a.w);
	away_close(&a);
	free(data);
}
END_TEST

/* The same of a bundle. */
START_TEST(a_failed_sync_of_a_bundle_leaves_no_row)
{
	struct away a;
	struct asset asset;
	uint8_t *data = stream_new(8, 300);

	away_open(&a, FETCH_KEEP);
	away_asset(&a, &asset, data, 300);
	struct view *v = away_view(&a, &asset);

	atomic_store(&sync_failures, 1000000);
	away_reads(v, data, 300, 300);
	(void)fetch_record(a.w.content);
	atomic_store(&sync_failures, 0);
	ck_assert_uint_eq(away_places(&a), 0);
	away_reads(v, data, 300, 300);
	ck_assert_int_eq(fetch_record(a.w.content), 0);
	ck_assert_uint_eq(away_places(&a), 1);
	view_put(v);
	world_check(&a.w);
	away_close(&a);
	free(data);
}
END_TEST

/* A disk without room, for bytes, rows or both, of a cache or a bundle: what is read is right, what is recorded is there, and it is kept when there is room. */
START_TEST(a_full_disk)
{
	const struct fetch_params params = { .keep = true,
					     .timeout_ns = UNIT_PATIENCE_NS,
					     .memory_bytes = LEN / 4 };
	size_t len = _i < 6 ? LEN : 300;
	bool ends = _i % 2;
	struct away a;
	struct asset asset;
	uint8_t *data = stream_new(9, len);

	away_open(&a, params);
	size_t chunks = away_asset(&a, &asset, data, len);
	struct view *v = away_view(&a, &asset);

	atomic_store(&full, 1 + _i / 2 % 3);
	for (int i = 0; i < 3; i++) {
		away_reads(v, data, len, 1000);
		(void)fetch_record(a.w.content);
	}
	ck_assert_int_gt(atomic_load(&refused), 0);
	ck_assert_uint_eq(away_places(&a), 0);
	world_check(&a.w);
	/* The process ends while it is full, or finds room again. */
	if (ends) {
		view_put(v);
		content_close(a.w.content);
		a.w.content = NULL;
	}
	atomic_store(&full, 0);
	if (ends) {
		world_restart(&a.w);
		ck_assert_uint_eq(away_places(&a), 0);
		away_start(&a, params);
		v = away_view(&a, &asset);
	}
	away_reads(v, data, len, 1000);
	ck_assert_int_eq(fetch_record(a.w.content), 0);
	if (ends || len == LEN)
		ck_assert_uint_gt(away_places(&a), 0);
	view_put(v);
	world_check(&a.w);

	/* What was still in memory is fetched, and then all is here. */
	away_restart(&a, params);
	v = away_view(&a, &asset);
	away_reads(v, data, len, 1000);
	view_put(v);
	ck_assert_int_eq(fetch_record(a.w.content), 0);
	ck_assert_uint_eq(away_places(&a), chunks);
	world_check(&a.w);
	away_close(&a);
	free(data);
}
END_TEST

/* Bytes found room, and their rows do not yet: they are read, and recorded when there is room, without the bucket. */
START_TEST(rows_that_find_room_later)
{
	struct away a;
	struct asset asset;
	uint8_t *data = stream_new(10, LEN), byte;

	away_open(&a, FETCH_KEEP);
	size_t chunks = away_asset(&a, &asset, data, LEN);
	struct view *v = away_view(&a, &asset);

	ck_assert_int_eq(view_read(v, &byte, 1, 0), 1);
	ck_assert_int_eq(fetch_record(a.w.content), 0);
	size_t before = away_places(&a);

	atomic_store(&full, FULL_ROWS);
	away_reads(v, data, LEN, LEN);
	ck_assert_int_eq(fetch_record(a.w.content), -ENOSPC);
	ck_assert_uint_eq(away_places(&a), before);
	unsigned gets = away_gets(&a);

	away_reads(v, data, LEN, 1000);
	atomic_store(&full, 0);
	ck_assert_int_eq(fetch_record(a.w.content), 0);
	ck_assert_uint_eq(away_places(&a), chunks);
	ck_assert_uint_eq(away_gets(&a), gets);
	view_put(v);
	world_check(&a.w);
	away_close(&a);
	free(data);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("fetch-fault");
	TCase *tcase = tcase_create("all");

	tcase_set_timeout(tcase, 60);
	tcase_add_loop_test(tcase, faults_that_pass, 0, 8);
	tcase_add_test(tcase, wrong_bytes_are_never_shown);
	tcase_add_test(tcase, a_chunk_that_is_nowhere_fails);
	tcase_add_test(tcase, without_a_bucket_it_fails_at_once);
	tcase_add_loop_test(tcase, a_deadline_is_kept, 0, 2);
	tcase_add_test(tcase, a_wait_can_be_cancelled);
	tcase_add_loop_test(tcase, the_end_comes_at_any_time, 0, 12);
	tcase_add_test(tcase, a_failed_sync_leaves_no_row);
	tcase_add_test(tcase, a_failed_sync_of_a_bundle_leaves_no_row);
	tcase_add_loop_test(tcase, a_full_disk, 0, 12);
	tcase_add_test(tcase, rows_that_find_room_later);
	suite_add_tcase(suite, tcase);
	SRunner *runner = srunner_create(suite);

	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);

	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
