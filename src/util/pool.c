/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The thread pool.
 *
 * Phases: IDLE (made, no thread) -> RUNNING (pool_start) -> STOPPING (pool_stop: nothing new, the
 * queue runs dry, threads exit) -> STOPPED. While the lock is free: count <= cap, running <=
 * threads, and in IDLE and STOPPED running is 0.
 */
#include "config.h"

#include "util/pool.h"
#include "util/lock.h"
#include "util/thread.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum pool_phase { POOL_IDLE, POOL_RUNNING, POOL_STOPPING, POOL_STOPPED };

enum { POOL_NAME_MAX = 15 };

struct pool_item {
	pool_task task;
	void *arg;
};

struct pool {
	const char *name;
	unsigned threads;
	size_t cap;
	pthread_t *ids;  /* used by pool_start and pool_stop alone */
	bool background; /* set before pool_start() */

	struct lock lock; /* guards what follows */
	struct lock_cond added;
	struct lock_cond removed;
	struct lock_cond quiet; /* nothing queued or running */
	enum pool_phase phase;
	struct pool_item *items; /* a ring */
	size_t first;
	size_t count;
	unsigned running;
};

static _Thread_local const struct pool *pool_mine;

int pool_new(const char *name, unsigned threads, size_t queue_max, struct pool **out)
{
	if (!threads || !queue_max || strlen(name) > POOL_NAME_MAX)
		return -EINVAL;
	struct pool *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	lock_init(&p->lock, LOCK_RANK_POOL);
	lock_cond_init(&p->added);
	lock_cond_init(&p->removed);
	lock_cond_init(&p->quiet);
	p->name = name;
	p->threads = threads;
	p->cap = queue_max;
	p->ids = calloc(threads, sizeof(*p->ids));
	p->items = calloc(queue_max, sizeof(*p->items));
	if (!p->ids || !p->items) {
		pool_free(p);
		return -ENOMEM;
	}
	*out = p;
	return 0;
}

/* Takes the next task off the queue; false when the thread should exit. */
static bool pool_next_locked(struct pool *p, struct pool_item *out) LOCK_REQUIRES(&p->lock)
{
	while (!p->count && p->phase == POOL_RUNNING)
		lock_cond_wait(&p->added, &p->lock);
	if (!p->count)
		return false;
	*out = p->items[p->first];
	p->first = (p->first + 1) % p->cap;
	p->count--;
	p->running++;
	lock_cond_signal(&p->removed);
	return true;
}

static void *pool_run(void *arg)
{
	struct pool *p = arg;
	struct pool_item item;

	pool_mine = p;
	if (p->background)
		thread_background();
	lock_lock(&p->lock);
	while (pool_next_locked(p, &item)) {
		lock_unlock(&p->lock);
		item.task(item.arg);
		lock_lock(&p->lock);
		p->running--;
		if (!p->running && !p->count)
			lock_cond_broadcast(&p->quiet);
	}
	lock_unlock(&p->lock);
	return NULL;
}

/* Moves to PHASE, wakes everyone and joins the first COUNT threads. */
static void pool_join(struct pool *p, unsigned count, enum pool_phase during, enum pool_phase after)
{
	lock_lock(&p->lock);
	p->phase = during;
	lock_cond_broadcast(&p->added);
	lock_cond_broadcast(&p->removed);
	lock_unlock(&p->lock);
	for (unsigned i = 0; i < count; i++)
		pthread_join(p->ids[i], NULL);
	lock_lock(&p->lock);
	p->phase = after;
	lock_unlock(&p->lock);
}

/* Starts the threads; the number made. */
static unsigned pool_spawn(struct pool *p, int *err)
{
	unsigned made = 0;

	while (made < p->threads) {
		*err = thread_start(p->name, pool_run, p, &p->ids[made]);
		if (*err)
			break;
		made++;
	}
	return made;
}

void pool_background(struct pool *p)
{
	p->background = true;
}

int pool_start(struct pool *p)
{
	lock_lock(&p->lock);
	enum pool_phase was = p->phase;

	if (was == POOL_IDLE)
		p->phase = POOL_RUNNING;
	lock_unlock(&p->lock);
	if (was != POOL_IDLE)
		return was == POOL_RUNNING ? -EALREADY : -ECANCELED;

	int err = 0;
	unsigned made = pool_spawn(p, &err);

	if (err)
		pool_join(p, made, POOL_STOPPING, POOL_IDLE);
	return err;
}

static int pool_add(struct pool *p, pool_task task, void *arg, bool wait)
{
	int err = 0;

	lock_lock(&p->lock);
	while (p->count == p->cap && p->phase == POOL_RUNNING && wait)
		lock_cond_wait(&p->removed, &p->lock);
	if (p->phase == POOL_STOPPING || p->phase == POOL_STOPPED) {
		err = -ECANCELED;
	} else if (p->count == p->cap) {
		err = -EAGAIN;
	} else {
		p->items[(p->first + p->count) % p->cap] = (struct pool_item){ .task = task,
									       .arg = arg };
		p->count++;
		lock_cond_signal(&p->added);
	}
	lock_unlock(&p->lock);
	return err;
}

int pool_submit(struct pool *p, pool_task task, void *arg)
{
	return pool_add(p, task, arg, pool_mine != p);
}

int pool_try_submit(struct pool *p, pool_task task, void *arg)
{
	return pool_add(p, task, arg, false);
}

void pool_drain(struct pool *p)
{
	lock_lock(&p->lock);
	while (p->phase == POOL_RUNNING && (p->count || p->running))
		lock_cond_wait(&p->quiet, &p->lock);
	lock_unlock(&p->lock);
}

void pool_stop(struct pool *p)
{
	lock_lock(&p->lock);
	enum pool_phase was = p->phase;

	lock_unlock(&p->lock);
	if (was != POOL_STOPPED)
		pool_join(p, was == POOL_RUNNING ? p->threads : 0, POOL_STOPPING, POOL_STOPPED);
}

void pool_free(struct pool *p)
{
	if (!p)
		return;
	pool_stop(p);
	lock_cond_release(&p->quiet);
	lock_cond_release(&p->removed);
	lock_cond_release(&p->added);
	lock_release(&p->lock);
	free(p->items);
	free(p->ids);
	free(p);
}

unsigned pool_threads(const struct pool *p)
{
	return p->threads;
}
