/* SPDX-License-Identifier: GPL-3.0-or-later */
/* util/pool.h */
#include "config.h"

#include "../unit.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/lock.h"
#include "util/pool.h"
#include "util/time.h"

#include <dirent.h>
#include <errno.h>
#include <linux/ioprio.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>

static atomic_int ran;

static void count(void *arg)
{
	(void)arg;
	atomic_fetch_add(&ran, 1);
}

/* A gate that holds tasks until it is opened. */
static struct {
	struct lock lock;
	struct lock_cond cond;
	int waiting;
	bool open;
} gate;

static void gate_init(void)
{
	lock_init(&gate.lock, LOCK_RANK_LEAF);
	lock_cond_init(&gate.cond);
	gate.waiting = 0;
	gate.open = false;
	ran = 0;
}

static void gate_pass(void *arg)
{
	lock_lock(&gate.lock);
	gate.waiting++;
	lock_cond_broadcast(&gate.cond);
	while (!gate.open)
		lock_cond_wait(&gate.cond, &gate.lock);
	lock_unlock(&gate.lock);
	count(arg);
}

static void gate_await(int waiting)
{
	int64_t deadline = time_mono_ns() + UNIT_PATIENCE_NS;

	lock_lock(&gate.lock);
	while (gate.waiting < waiting)
		ck_assert_int_eq(lock_cond_wait_until(&gate.cond, &gate.lock, deadline), 0);
	lock_unlock(&gate.lock);
}

static void gate_open(void)
{
	lock_lock(&gate.lock);
	gate.open = true;
	lock_cond_broadcast(&gate.cond);
	lock_unlock(&gate.lock);
}

/* The threads of this process that are called "counted"; a sanitizer has some of its own. */
static int threads_counted(void)
{
	DIR *dir = opendir("/proc/self/task");
	struct dirent *entry;
	int n = 0;

	while ((entry = readdir(dir))) {
		CLEANUP_BUF struct buf path = BUF_INIT;
		CLEANUP_BUF struct buf name = BUF_INIT;

		buf_printf(&path, "/proc/self/task/%s/comm", entry->d_name);
		if (entry->d_name[0] != '.' && !io_read_file(AT_FDCWD, path.data, 100, &name))
			n += strcmp(buf_str(&name), "counted\n") == 0;
	}
	closedir(dir);
	return n;
}

/* A thread that was joined may be seen for a moment more. */
static void threads_become(int wanted)
{
	int64_t end = time_mono_ns() + UNIT_PATIENCE_NS;

	while (threads_counted() != wanted && time_mono_ns() < end)
		usleep(1000);
	ck_assert_int_eq(threads_counted(), wanted);
}

START_TEST(parameters_are_checked)
{
	struct pool *p = NULL;

	ck_assert_int_eq(pool_new("p", 0, 1, &p), -EINVAL);
	ck_assert_int_eq(pool_new("p", 1, 0, &p), -EINVAL);
	ck_assert_int_eq(pool_new("sixteen-letters!", 1, 1, &p), -EINVAL);
	ck_assert_ptr_null(p);
	pool_free(NULL);
}
END_TEST

START_TEST(no_thread_before_start)
{
	struct pool *p;

	ran = 0;
	ck_assert_int_eq(pool_new("counted", 3, 2, &p), 0);
	ck_assert_uint_eq(pool_threads(p), 3);
	ck_assert_int_eq(pool_submit(p, count, NULL), 0);
	ck_assert_int_eq(pool_submit(p, count, NULL), 0);
	ck_assert_int_eq(pool_submit(p, count, NULL), -EAGAIN);
	pool_drain(p);
	ck_assert_int_eq(threads_counted(), 0);
	ck_assert_int_eq(ran, 0);
	ck_assert_int_eq(pool_start(p), 0);
	ck_assert_int_eq(pool_start(p), -EALREADY);
	ck_assert_int_eq(threads_counted(), 3);
	pool_drain(p);
	ck_assert_int_eq(ran, 2);
	pool_stop(p);
	threads_become(0);
	ck_assert_int_eq(pool_start(p), -ECANCELED);
	pool_free(p);
}
END_TEST

START_TEST(everything_submitted_runs)
{
	struct pool *p;

	ran = 0;
	ck_assert_int_eq(pool_new("p", 4, 8, &p), 0);
	ck_assert_int_eq(pool_start(p), 0);
	for (int i = 0; i < 20000; i++)
		ck_assert_int_eq(pool_submit(p, count, NULL), 0);
	pool_drain(p);
	ck_assert_int_eq(ran, 20000);
	pool_free(p);
}
END_TEST

static int order[100];
static int order_count;

static void note(void *arg)
{
	order[order_count++] = *(int *)arg;
}

START_TEST(one_thread_runs_in_order)
{
	struct pool *p;
	int numbers[100];

	order_count = 0;
	ck_assert_int_eq(pool_new("p", 1, 7, &p), 0);
	ck_assert_int_eq(pool_start(p), 0);
	for (int i = 0; i < 100; i++) {
		numbers[i] = i;
		ck_assert_int_eq(pool_submit(p, note, &numbers[i]), 0);
	}
	pool_stop(p);
	ck_assert_int_eq(order_count, 100);
	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(order[i], i);
	pool_free(p);
}
END_TEST

START_TEST(the_queue_is_bounded)
{
	struct pool *p;

	gate_init();
	ck_assert_int_eq(pool_new("p", 2, 3, &p), 0);
	ck_assert_int_eq(pool_start(p), 0);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(pool_submit(p, gate_pass, NULL), 0);
	gate_await(2);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(pool_try_submit(p, count, NULL), 0);
	ck_assert_int_eq(pool_try_submit(p, count, NULL), -EAGAIN);
	ck_assert_int_eq(ran, 0);
	gate_open();
	pool_drain(p);
	ck_assert_int_eq(ran, 5);
	pool_free(p);
}
END_TEST

static void *submit_one(void *arg)
{
	ck_assert_int_eq(pool_submit(arg, count, NULL), 0);
	return NULL;
}

START_TEST(a_full_queue_makes_submitters_wait)
{
	struct pool *p;
	pthread_t ids[3];

	gate_init();
	ck_assert_int_eq(pool_new("p", 1, 1, &p), 0);
	ck_assert_int_eq(pool_start(p), 0);
	ck_assert_int_eq(pool_submit(p, gate_pass, NULL), 0);
	gate_await(1);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(pthread_create(&ids[i], NULL, submit_one, p), 0);
	gate_open();
	for (int i = 0; i < 3; i++)
		pthread_join(ids[i], NULL);
	pool_drain(p);
	ck_assert_int_eq(ran, 4);
	pool_free(p);
}
END_TEST

START_TEST(stop_runs_what_is_queued_and_refuses_more)
{
	struct pool *p;

	gate_init();
	ck_assert_int_eq(pool_new("p", 1, 10, &p), 0);
	ck_assert_int_eq(pool_start(p), 0);
	ck_assert_int_eq(pool_submit(p, gate_pass, NULL), 0);
	gate_await(1);
	for (int i = 0; i < 10; i++)
		ck_assert_int_eq(pool_submit(p, count, NULL), 0);
	gate_open();
	pool_stop(p);
	ck_assert_int_eq(ran, 11);
	ck_assert_int_eq(pool_submit(p, count, NULL), -ECANCELED);
	ck_assert_int_eq(pool_try_submit(p, count, NULL), -ECANCELED);
	pool_stop(p);
	pool_drain(p);
	pool_free(p);
	ck_assert_int_eq(ran, 11);
}
END_TEST

START_TEST(a_pool_never_started_drops_its_tasks)
{
	struct pool *p;

	ran = 0;
	ck_assert_int_eq(pool_new("p", 1, 1, &p), 0);
	ck_assert_int_eq(pool_submit(p, count, NULL), 0);
	pool_free(p);
	ck_assert_int_eq(ran, 0);
}
END_TEST

static atomic_int refused;

static void submit_much(void *arg)
{
	for (int i = 0; i < 5; i++) {
		int err = pool_submit(arg, count, NULL);

		ck_assert(err == 0 || err == -EAGAIN);
		if (err)
			atomic_fetch_add(&refused, 1);
	}
}

START_TEST(a_task_never_waits_for_its_own_pool)
{
	struct pool *p;

	ran = 0;
	refused = 0;
	ck_assert_int_eq(pool_new("p", 1, 2, &p), 0);
	ck_assert_int_eq(pool_start(p), 0);
	ck_assert_int_eq(pool_submit(p, submit_much, p), 0);
	pool_drain(p);
	ck_assert_int_eq(ran, 2);
	ck_assert_int_eq(refused, 3);
	pool_free(p);
}
END_TEST

static int signals_blocked;

static void look_at_signals(void *arg)
{
	sigset_t set;
	char name[16];

	(void)arg;
	pthread_sigmask(SIG_SETMASK, NULL, &set);
	signals_blocked = sigismember(&set, SIGTERM) && sigismember(&set, SIGHUP);
	pthread_getname_np(pthread_self(), name, sizeof(name));
	ck_assert_str_eq(name, "signal-test");
}

START_TEST(threads_have_a_name_and_no_signals)
{
	struct pool *p;
	sigset_t set;

	ck_assert_int_eq(pool_new("signal-test", 1, 2, &p), 0);
	ck_assert_int_eq(pool_start(p), 0);
	ck_assert_int_eq(pool_submit(p, look_at_signals, NULL), 0);
	pool_free(p);
	ck_assert(signals_blocked);
	pthread_sigmask(SIG_SETMASK, NULL, &set);
	ck_assert(!sigismember(&set, SIGTERM));
}
END_TEST

static void note_priority(void *arg)
{
	int *seen = arg;

	seen[0] = getpriority(PRIO_PROCESS, (id_t)gettid());
	seen[1] = sched_getscheduler(0);
	seen[2] = (int)syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, gettid());
}

START_TEST(background_threads_give_way)
{
	int seen[2][3], mine = getpriority(PRIO_PROCESS, 0);
	struct pool *p;

	for (int background = 0; background < 2; background++) {
		ck_assert_int_eq(pool_new("p", 1, 1, &p), 0);
		if (background)
			pool_background(p);
		ck_assert_int_eq(pool_start(p), 0);
		ck_assert_int_eq(pool_submit(p, note_priority, seen[background]), 0);
		pool_free(p);
	}
	ck_assert_int_eq(seen[0][0], mine);
	ck_assert_int_eq(seen[1][0], 10);
	ck_assert_int_eq(seen[1][1], SCHED_BATCH);
	ck_assert_int_eq(seen[1][2], IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, 7));
	ck_assert_int_eq(getpriority(PRIO_PROCESS, 0), mine);
}
END_TEST

UNIT_MAIN("pool", 60, parameters_are_checked, no_thread_before_start, everything_submitted_runs,
	  one_thread_runs_in_order, the_queue_is_bounded, a_full_queue_makes_submitters_wait,
	  stop_runs_what_is_queued_and_refuses_more, a_pool_never_started_drops_its_tasks,
	  a_task_never_waits_for_its_own_pool, threads_have_a_name_and_no_signals,
	  background_threads_give_way)
