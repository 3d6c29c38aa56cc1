/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Ranked mutexes. The pthread calls here fail only on a bug of ours. */
#include "config.h"

#include "util/lock.h"
#include "util/time.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#ifdef GARNER_DEBUG

enum { LOCK_HELD_MAX = 16 };

/* The calling thread's locks, in the order of taking. */
static _Thread_local const struct lock *lock_held[LOCK_HELD_MAX];
static _Thread_local unsigned lock_held_count;

static void lock_check_order(const struct lock *l)
{
	for (unsigned i = 0; i < lock_held_count; i++) {
		const struct lock *held = lock_held[i];

		if (held->rank < l->rank || (held->rank == l->rank && held < l))
			continue;
		fprintf(stderr, "lock of rank %d taken under one of rank %d\n", (int)l->rank,
			(int)held->rank);
		abort();
	}
}

static void lock_note_taken(const struct lock *l)
{
	assert(lock_held_count < LOCK_HELD_MAX);
	lock_held[lock_held_count++] = l;
}

static void lock_note_given(const struct lock *l)
{
	unsigned i = lock_held_count;

	while (i && lock_held[i - 1] != l)
		i--;
	assert(i > 0);
	for (; i < lock_held_count; i++)
		lock_held[i - 1] = lock_held[i];
	lock_held_count--;
}

void lock_assert_held(struct lock *l)
{
	unsigned i = lock_held_count;

	while (i && lock_held[i - 1] != l)
		i--;
	assert(i > 0);
}

#else

static void lock_check_order(const struct lock *l)
{
	(void)l;
}

static void lock_note_taken(const struct lock *l)
{
	(void)l;
}

static void lock_note_given(const struct lock *l)
{
	(void)l;
}

void lock_assert_held(struct lock *l)
{
	(void)l;
}

#endif

static void lock_must(int result)
{
	assert(result == 0);
}

void lock_init(struct lock *l, enum lock_rank rank)
{
	l->rank = rank;
	lock_must(pthread_mutex_init(&l->mutex, NULL));
}

void lock_release(struct lock *l)
{
	lock_must(pthread_mutex_destroy(&l->mutex));
}

void lock_lock(struct lock *l) LOCK_UNCHECKED
{
	lock_check_order(l);
	lock_must(pthread_mutex_lock(&l->mutex));
	lock_note_taken(l);
}

void lock_unlock(struct lock *l) LOCK_UNCHECKED
{
	lock_note_given(l);
	lock_must(pthread_mutex_unlock(&l->mutex));
}

void lock_cond_init(struct lock_cond *c)
{
	pthread_condattr_t attr;

	lock_must(pthread_condattr_init(&attr));
	lock_must(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC));
	lock_must(pthread_cond_init(&c->cond, &attr));
	lock_must(pthread_condattr_destroy(&attr));
}

void lock_cond_release(struct lock_cond *c)
{
	lock_must(pthread_cond_destroy(&c->cond));
}

void lock_cond_wait(struct lock_cond *c, struct lock *l)
{
	lock_note_given(l);
	lock_must(pthread_cond_wait(&c->cond, &l->mutex));
	lock_note_taken(l);
}

int lock_cond_wait_until(struct lock_cond *c, struct lock *l, int64_t deadline_ns)
{
	struct timespec deadline = time_to_spec(deadline_ns);

	lock_note_given(l);
	int result = pthread_cond_timedwait(&c->cond, &l->mutex, &deadline);

	assert(result == 0 || result == ETIMEDOUT);
	lock_note_taken(l);
	return -result;
}

void lock_cond_signal(struct lock_cond *c)
{
	lock_must(pthread_cond_signal(&c->cond));
}

void lock_cond_broadcast(struct lock_cond *c)
{
	lock_must(pthread_cond_broadcast(&c->cond));
}
