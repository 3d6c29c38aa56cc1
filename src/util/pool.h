/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A persistent pool of threads with a bounded queue: for whatever may block or is worth another
 * core. Tasks start in the order of submission. A pool has no thread before pool_start(), so one
 * can be made before the process goes to the background. Its threads take no signals and exit only
 * in pool_stop().
 */
#ifndef GARNER_UTIL_POOL_H
#define GARNER_UTIL_POOL_H

#include <stddef.h>

struct pool;

typedef void (*pool_task)(void *arg);

/*
 * Makes a pool of THREADS (>= 1) threads that are called NAME (a static string of at most 15 bytes)
 * and room for QUEUE_MAX (>= 1) waiting tasks. *OUT is the caller's, ended with pool_free(). 0,
 * -EINVAL or -ENOMEM.
 */
int pool_new(const char *name, unsigned threads, size_t queue_max, struct pool **out);

/* The threads that pool_start() will start give way to others: thread_background(). */
void pool_background(struct pool *p);

/*
 * Starts the threads. 0, or a negative errno of pthread_create() with no thread left running; it
 * may then be called again. -EALREADY when started, -ECANCELED after pool_stop().
 */
int pool_start(struct pool *p);

/*
 * Queues TASK(ARG), waiting while the queue is full. ARG is the task's. Any thread. 0: it will run.
 * -ECANCELED: the pool was stopped. -EAGAIN: the queue is full and waiting could last for ever,
 * because the pool has not been started or because the caller is a task of this pool.
 */
int pool_submit(struct pool *p, pool_task task, void *arg);

/* As pool_submit(), but -EAGAIN whenever the queue is full. */
int pool_try_submit(struct pool *p, pool_task task, void *arg);

/*
 * Waits until no task is queued or running; other threads may go on submitting, which can make it
 * wait longer. Not from a task. Returns at once from a pool that was never started.
 */
void pool_drain(struct pool *p);

/*
 * Refuses new tasks, runs those that are queued to their end and joins the threads. Queued tasks of
 * a pool that was never started are dropped. Not from a task; a second call does nothing. One
 * thread at a time.
 */
void pool_stop(struct pool *p);

/* pool_stop(), then frees P; nothing may use it any more. NULL is fine. */
void pool_free(struct pool *p);

/* The number of threads given to pool_new(). */
unsigned pool_threads(const struct pool *p);

#endif
