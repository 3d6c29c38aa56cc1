/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Mutexes with a rank, and conditions. With GARNER_DEBUG the order of ranks is checked at every
 * lock_lock(): a thread may take a lock only if its rank (see util/ranks.h) is above that of every
 * lock it holds; of one rank, several locks only in ascending order of address. A breach aborts
 * with both ranks on stderr: it is a bug of ours that would be a deadlock one day.
 *
 * No network, SQL, fsync or callback under a lock.
 *
 * The LOCK_* annotations let clang's -Wthread-safety check callers; gcc does not see them. C has
 * them on functions only, so a field says in words what guards it.
 */
#ifndef GARNER_UTIL_LOCK_H
#define GARNER_UTIL_LOCK_H

#include "util/ranks.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#ifdef __clang__
#define LOCK_ATTRIBUTE(x) __attribute__((x))
#else
#define LOCK_ATTRIBUTE(x)
#endif

/* On a function: takes, gives back, must be called with or without LOCK. */
#define LOCK_ACQUIRES(...) LOCK_ATTRIBUTE(acquire_capability(__VA_ARGS__))
#define LOCK_RELEASES(...) LOCK_ATTRIBUTE(release_capability(__VA_ARGS__))
#define LOCK_REQUIRES(...) LOCK_ATTRIBUTE(requires_capability(__VA_ARGS__))
#define LOCK_EXCLUDES(...) LOCK_ATTRIBUTE(locks_excluded(__VA_ARGS__))
#define LOCK_UNCHECKED LOCK_ATTRIBUTE(no_thread_safety_analysis)

struct LOCK_ATTRIBUTE(capability("mutex")) lock {
	pthread_mutex_t mutex;
	enum lock_rank rank;
};

struct lock_cond {
	pthread_cond_t cond;
};

/* Prepares L, whose owner ends it with lock_release(). Cannot fail. */
void lock_init(struct lock *l, enum lock_rank rank);

/* Ends L, which no thread holds. */
void lock_release(struct lock *l);

/* Takes L, waiting for it; not recursive. */
void lock_lock(struct lock *l) LOCK_ACQUIRES(l);

/* Gives L back, which the caller holds. */
void lock_unlock(struct lock *l) LOCK_RELEASES(l);

/* Aborts unless the calling thread holds L; checked with GARNER_DEBUG only. */
void lock_assert_held(struct lock *l) LOCK_ATTRIBUTE(assert_capability(l));

/* Prepares C; ended with lock_cond_release(). Cannot fail. */
void lock_cond_init(struct lock_cond *c);

/* Ends C, on which no thread waits. */
void lock_cond_release(struct lock_cond *c);

/* Gives L back, waits for C, takes L again. Wakes for no reason at times. */
void lock_cond_wait(struct lock_cond *c, struct lock *l) LOCK_REQUIRES(l);

/*
 * As lock_cond_wait(), no longer than until time_mono_ns() is DEADLINE_NS. 0 when woken,
 * -ETIMEDOUT; L is held either way.
 */
int lock_cond_wait_until(struct lock_cond *c, struct lock *l, int64_t deadline_ns) LOCK_REQUIRES(l);

/* Wakes one thread that waits for C. */
void lock_cond_signal(struct lock_cond *c);

/* Wakes all threads that wait for C. */
void lock_cond_broadcast(struct lock_cond *c);

#endif
