/* SPDX-License-Identifier: GPL-3.0-or-later */
/* util/lock.h. With GARNER_DEBUG also that a breach of the order aborts. */
#include "config.h"

#include "../unit.h"
#include "util/lock.h"
#include "util/time.h"

#include <errno.h>
#include <sys/resource.h>
#include <sys/wait.h>

static struct lock counter_lock;
static unsigned counter; /* under counter_lock */

static void *count_up(void *arg)
{
	for (int i = 0; i < 20000; i++) {
		lock_lock(&counter_lock);
		counter++;
		lock_unlock(&counter_lock);
	}
	return arg;
}

START_TEST(one_thread_at_a_time)
{
	pthread_t ids[4];

	counter = 0;
	lock_init(&counter_lock, LOCK_RANK_LEAF);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&ids[i], NULL, count_up, NULL), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(ids[i], NULL);
	ck_assert_uint_eq(counter, 80000);
	lock_release(&counter_lock);
}
END_TEST

static void *try_it(void *arg)
{
	static int yes, no;

	struct lock *l = arg;

	if (pthread_mutex_trylock(&l->mutex))
		return &no;
	pthread_mutex_unlock(&l->mutex);
	return &yes;
}

/* Whether another thread can take `l`, which the caller holds, as it can when it is free. */
static bool others_can_take(struct lock *l) LOCK_UNCHECKED
{
	pthread_t id;
	void *result, *again;

	ck_assert_int_eq(pthread_create(&id, NULL, try_it, l), 0);
	pthread_join(id, &result);
	lock_unlock(l);
	ck_assert_int_eq(pthread_create(&id, NULL, try_it, l), 0);
	pthread_join(id, &again);
	lock_lock(l);
	return result == again;
}

START_TEST(a_held_lock_is_not_free)
{
	struct lock l;

	lock_init(&l, LOCK_RANK_LEAF);
	lock_lock(&l);
	lock_assert_held(&l);
	ck_assert(!others_can_take(&l));
	lock_unlock(&l);
	lock_release(&l);
}
END_TEST

START_TEST(a_wait_ends_at_its_deadline)
{
	struct lock l;
	struct lock_cond c;
	int64_t deadline = time_mono_ns() + 30 * TIME_NS_PER_MS;
	int err = 0;

	lock_init(&l, LOCK_RANK_LEAF);
	lock_cond_init(&c);
	lock_lock(&l);
	while (!err)
		err = lock_cond_wait_until(&c, &l, deadline);
	lock_assert_held(&l);
	lock_unlock(&l);
	ck_assert_int_eq(err, -ETIMEDOUT);
	ck_assert_int_ge(time_mono_ns(), deadline);
	lock_cond_release(&c);
	lock_release(&l);
}
END_TEST

static struct {
	struct lock lock;
	struct lock_cond cond;
	unsigned turn; /* under lock */
} game;

static void *play(void *arg)
{
	unsigned me = *(unsigned *)arg;

	lock_lock(&game.lock);
	for (int i = 0; i < 1000; i++) {
		while (game.turn % 3 != me)
			lock_cond_wait(&game.cond, &game.lock);
		game.turn++;
		lock_cond_broadcast(&game.cond);
	}
	lock_unlock(&game.lock);
	return NULL;
}

START_TEST(conditions_wake)
{
	unsigned seats[3] = { 0, 1, 2 };
	pthread_t ids[3];

	game.turn = 0;
	lock_init(&game.lock, LOCK_RANK_LEAF);
	lock_cond_init(&game.cond);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(pthread_create(&ids[i], NULL, play, &seats[i]), 0);
	for (int i = 0; i < 3; i++)
		pthread_join(ids[i], NULL);
	ck_assert_uint_eq(game.turn, 3000);
	lock_cond_release(&game.cond);
	lock_release(&game.lock);
}
END_TEST

/* clang does not tell the locks of an array apart. */
static void follow_the_order(struct lock l[3]) LOCK_UNCHECKED
{
	lock_lock(&l[0]);
	lock_lock(&l[1]);
	lock_lock(&l[2]);
	lock_unlock(&l[1]);
	lock_unlock(&l[2]);
	lock_lock(&l[1]);
	lock_unlock(&l[0]);
	lock_unlock(&l[1]);
}

START_TEST(the_order_may_be_followed)
{
	struct lock l[3];

	lock_init(&l[0], LOCK_RANK_LIBRARY);
	lock_init(&l[1], LOCK_RANK_META);
	lock_init(&l[2], LOCK_RANK_META);
	follow_the_order(l);
	for (int i = 0; i < 3; i++)
		lock_release(&l[i]);
}
END_TEST

#ifdef GARNER_DEBUG
/* Whether taking a lock of `second` under one of `first` aborts. */
static bool order_aborts(enum lock_rank first, enum lock_rank second, bool swap) LOCK_UNCHECKED
{
	struct lock l[2];
	int status;
	pid_t child = fork();

	ck_assert_int_ge(child, 0);
	if (child == 0) {
		setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
		close(STDERR_FILENO);
		lock_init(&l[0], first);
		lock_init(&l[1], second);
		lock_lock(&l[swap]);
		lock_lock(&l[!swap]);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

START_TEST(a_breach_of_the_order_aborts)
{
	ck_assert(!order_aborts(LOCK_RANK_MOUNT, LOCK_RANK_META, false));
	ck_assert(order_aborts(LOCK_RANK_META, LOCK_RANK_MOUNT, false));
	ck_assert(order_aborts(LOCK_RANK_MOUNT, LOCK_RANK_META, true));
	ck_assert(!order_aborts(LOCK_RANK_META, LOCK_RANK_META, false));
	ck_assert(order_aborts(LOCK_RANK_META, LOCK_RANK_META, true));
}
END_TEST

UNIT_MAIN("lock", 60, one_thread_at_a_time, a_held_lock_is_not_free, a_wait_ends_at_its_deadline,
	  conditions_wake, the_order_may_be_followed, a_breach_of_the_order_aborts)
#else
UNIT_MAIN("lock", 60, one_thread_at_a_time, a_held_lock_is_not_free, a_wait_ends_at_its_deadline,
	  conditions_wake, the_order_may_be_followed)
#endif
