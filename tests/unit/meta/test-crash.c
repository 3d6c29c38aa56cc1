/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What survives kill -9, and what several processes may do at once, over every driver. A child tells through
 * a pipe what it was promised; the parent holds the database to it.
 */
#include "config.h"

#include "meta-test.h"
#include "util/io.h"
#include "util/time.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <unistd.h>

static struct meta_test_place place;

#define EACH_DRIVER for (int driver = 0; driver < meta_test_driver_count; driver++)

/* What a child works on; it opens the database itself. */
struct job {
	const struct meta_test_driver *driver;
	int pipe[2];
	int64_t base; /* where its numbers begin */
	int amount;
};

static struct meta *job_open(const struct job *job)
{
	struct meta *m = NULL;

	close(job->pipe[0]);
	return meta_open_with(job->driver->ops, place.path, 0, &meta_catalogue_schema, &m) == 0
		       ? m
		       : NULL;
}

static void job_start(struct job *job, int driver, int64_t base, int amount)
{
	*job = (struct job){ .driver = &meta_test_drivers[driver], .base = base, .amount = amount };
	ck_assert_int_eq(pipe(job->pipe), 0);
}

/* Reads what the child told into `numbers`, until the end of the pipe. How many. */
static int job_told(struct job *job, int64_t *numbers, int max)
{
	ssize_t len = io_read_full(job->pipe[0], numbers, (size_t)max * sizeof(*numbers));

	ck_assert_int_ge(len, 0);
	close(job->pipe[0]);
	return (int)((size_t)len / sizeof(*numbers));
}

static void make_database(int driver)
{
	meta_test_begin(&place, &meta_test_drivers[driver]);
	meta_close(meta_test_open(&place, &meta_test_drivers[driver], META_OPEN_CREATE));
}

/* Waits until the child told something or ended, then for `more_ms`. */
static void let_run(const struct job *job, int more_ms)
{
	struct pollfd readable = { .fd = job->pipe[0], .events = POLLIN };

	ck_assert_int_eq(poll(&readable, 1, UNIT_PATIENCE_MS), 1);
	poll(NULL, 0, more_ms);
}

static int take_ids(void *arg)
{
	struct job *job = arg;
	struct meta *m = job_open(job);

	for (int i = 0; m && i < job->amount; i++) {
		int64_t id = meta_next_id(m, META_SEQ_BLOB);

		if (id < 0 || io_write_full(job->pipe[1], &id, sizeof(id)))
			return 1;
	}
	meta_close(m);
	return m ? 0 : 1;
}

enum { IDS = 5000, IDS_MAX = 3 * IDS + 1 };

static int compare_ids(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* Two processes at once, one killed half-way and never closed, then one more. */
START_TEST(ids_are_given_once_among_processes)
{
	static int64_t ids[IDS_MAX];

	EACH_DRIVER
	{
		struct job jobs[3];
		pid_t children[3];
		int count = 0;

		make_database(driver);
		for (int i = 0; i < 3; i++)
			job_start(&jobs[i], driver, 0, i == 1 ? 1 << 30 : IDS);
		for (int i = 0; i < 2; i++) {
			children[i] = meta_test_fork(take_ids, &jobs[i]);
			close(jobs[i].pipe[1]);
		}
		let_run(&jobs[1], 5);
		count += job_told(&jobs[0], ids, IDS);
		ck_assert_int_eq(meta_test_wait(children[0]), 0);
		ck_assert_int_eq(count, IDS);
		ck_assert_int_eq(kill(children[1], SIGKILL), 0);
		ck_assert_int_eq(meta_test_wait(children[1]), -1);
		count += job_told(&jobs[1], ids + count, IDS);
		ck_assert_int_gt(count, IDS);
		children[2] = meta_test_fork(take_ids, &jobs[2]);
		close(jobs[2].pipe[1]);
		count += job_told(&jobs[2], ids + count, IDS);
		ck_assert_int_eq(meta_test_wait(children[2]), 0);
		qsort(ids, (size_t)count, sizeof(ids[0]), compare_ids);
		for (int i = 1; i < count; i++)
			ck_assert_int_ne(ids[i], ids[i - 1]);
		meta_test_end(&place);
	}
}
END_TEST

enum { ACK_THREADS = 4, ACKS_MAX = 1 << 18 };

struct acker {
	struct meta *meta;
	int fd;
	int64_t next;
};

/* Two rows per operation, and word of it to the parent once it is promised. */
static void *apply_and_tell(void *arg)
{
	struct acker *a = arg;
	struct meta_op *op = meta_op_new();
	int err = op ? 0 : -ENOMEM;

	while (!err) {
		meta_op_reset(op);
		meta_test_add(op, a->next, "a", "left");
		meta_test_add(op, a->next, "b", "right");
		err = meta_apply(a->meta, op);
		if (!err)
			err = io_write_full(a->fd, &a->next, sizeof(a->next));
		a->next += ACK_THREADS;
	}
	meta_op_free(op);
	return NULL;
}

static int apply_until_killed(void *arg)
{
	struct job *job = arg;
	struct acker ackers[ACK_THREADS];
	pthread_t ids[ACK_THREADS];
	struct meta *m = job_open(job);

	for (int i = 0; m && i < ACK_THREADS; i++) {
		ackers[i] = (struct acker){ .meta = m, .fd = job->pipe[1], .next = job->base + i };
		if (pthread_create(&ids[i], NULL, apply_and_tell, &ackers[i]))
			return 1;
	}
	for (int i = 0; m && i < ACK_THREADS; i++)
		pthread_join(ids[i], NULL);
	return 1;
}

/* Every number told has both its rows, and no number has one alone. */
static void check_promises(int driver, const int64_t *told, int count, int64_t base)
{
	struct meta *m = meta_test_open(&place, &meta_test_drivers[driver], 0);
	int64_t last = base;
	int faults = 0;

	for (int i = 0; i < count; i++) {
		ck_assert_int_eq(meta_test_count(m, told[i]), 2);
		if (told[i] > last)
			last = told[i];
	}
	for (int64_t number = base; number < last + 100; number++) {
		int rows = meta_test_count(m, number);

		ck_assert(rows == 0 || rows == 2);
	}
	ck_assert_int_eq(meta_check(m, meta_test_report, &faults), 0);
	meta_close(m);
}

START_TEST(what_was_promised_survives_a_kill)
{
	static int64_t told[ACKS_MAX];

	EACH_DRIVER
	{
		int64_t base = 1;

		make_database(driver);
		for (int round = 0; round < 6; round++) {
			struct job job;

			job_start(&job, driver, base, 0);
			pid_t child = meta_test_fork(apply_until_killed, &job);

			close(job.pipe[1]);
			let_run(&job, 1 + round * 7);
			ck_assert_int_eq(kill(child, SIGKILL), 0);
			ck_assert_int_eq(meta_test_wait(child), -1);
			int count = job_told(&job, told, ACKS_MAX);

			ck_assert_int_gt(count, 0);
			check_promises(driver, told, count, base);
			base += 1000000;
		}
		meta_test_end(&place);
	}
}
END_TEST

static int apply_some(void *arg)
{
	struct job *job = arg;
	struct meta *m = job_open(job);
	struct meta_op *op = meta_op_new();
	int err = m && op ? 0 : -ENOMEM;

	for (int i = 0; !err && i < job->amount; i++) {
		meta_op_reset(op);
		META_ADD(op, FOLDER_TOUCH, META_ONE, -EIO, META_I(500000), META_I(1), META_I(0));
		meta_test_add(op, job->base + i, "a", "");
		err = meta_apply(m, op);
		/* At once in the sight of this process, whoever wrote in between. */
		if (!err && meta_test_count(m, job->base + i) != 1)
			err = -ENODATA;
	}
	meta_op_free(op);
	meta_close(m);
	return err ? 1 : 0;
}

START_TEST(two_processes_write)
{
	enum { AMOUNT = 1500 };

	EACH_DRIVER
	{
		struct job jobs[2];
		pid_t children[2];

		meta_test_begin(&place, &meta_test_drivers[driver]);
		struct meta *m = meta_test_open(&place, &meta_test_drivers[driver],
						META_OPEN_CREATE);
		struct meta_op *op = meta_op_new();

		meta_test_add_folder(op, 500000);
		ck_assert_int_eq(meta_apply(m, op), 0);
		meta_op_free(op);
		meta_close(m);
		for (int i = 0; i < 2; i++) {
			job_start(&jobs[i], driver, 1 + i * 100000, AMOUNT);
			children[i] = meta_test_fork(apply_some, &jobs[i]);
		}
		for (int i = 0; i < 2; i++) {
			ck_assert_int_eq(meta_test_wait(children[i]), 0);
			close(jobs[i].pipe[0]);
			close(jobs[i].pipe[1]);
		}
		m = meta_test_open(&place, &meta_test_drivers[driver], 0);
		ck_assert_int_eq(meta_test_links(m, 500000), 2 + 2 * AMOUNT);
		for (int i = 0; i < AMOUNT; i++) {
			ck_assert_int_eq(meta_test_count(m, 1 + i), 1);
			ck_assert_int_eq(meta_test_count(m, 100001 + i), 1);
		}
		meta_close(m);
		meta_test_end(&place);
	}
}
END_TEST

UNIT_MAIN("crash", 120, ids_are_given_once_among_processes, what_was_promised_survives_a_kill,
	  two_processes_write)
