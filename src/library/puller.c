/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The mount's thread that pulls, made when it is first asked; tickets are done in their order. */
#include "config.h"

#include "library/internal.h"
#include "library/pull.h"
#include "util/lock.h"
#include "util/thread.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum { PULLER_DONE_MAX = 16 }; /* answers that nobody has taken */

struct pull_ticket {
	struct pull_ticket *prev, *next;
	uint64_t id;
	int64_t inos[PULL_MAX];
	size_t count;
	bool done;
	int err;
	struct pull_result result;
};

struct puller {
	struct library *lib;
	struct lock lock; /* guards what follows */
	struct lock_cond work;
	struct pull_ticket *tickets; /* those that are done come first */
	uint64_t last;
	size_t done;
	bool stop, running;
	pthread_t thread;
};

static struct pull_ticket *puller_next_locked(struct puller *p) LOCK_REQUIRES(&p->lock)
{
	struct pull_ticket *t;

	DL_FOREACH (p->tickets, t) {
		if (!t->done)
			return t;
	}
	return NULL;
}

static void puller_forget_locked(struct puller *p, struct pull_ticket *t) LOCK_REQUIRES(&p->lock)
{
	DL_DELETE(p->tickets, t);
	p->done -= t->done;
	free(t);
}

static bool puller_stopped(void *arg)
{
	struct puller *p = arg;

	lock_lock(&p->lock);
	bool stop = p->stop;

	lock_unlock(&p->lock);
	return stop;
}

static void *puller_main(void *arg)
{
	struct puller *p = arg;

	thread_background();
	lock_lock(&p->lock);
	while (!p->stop) {
		struct pull_ticket *t = puller_next_locked(p);

		if (!t) {
			lock_cond_wait(&p->work, &p->lock);
			continue;
		}
		lock_unlock(&p->lock);
		/* Nobody else touches one that is not done. */
		int err = pull_assets(p->lib, t->inos, t->count, puller_stopped, p, &t->result);

		lock_lock(&p->lock);
		t->err = err;
		t->done = true;
		if (++p->done > PULLER_DONE_MAX)
			puller_forget_locked(p, p->tickets);
	}
	lock_unlock(&p->lock);
	return NULL;
}

static int puller_run_locked(struct puller *p) LOCK_REQUIRES(&p->lock)
{
	int err = 0;

	if (p->stop)
		return -ECANCELED;
	if (!p->running)
		err = thread_start("garner-pull", puller_main, p, &p->thread);
	p->running = p->running || !err;
	return err;
}

int puller_ask(struct library *lib, const int64_t *inos, size_t count, uint64_t *ticket)
{
	struct puller *p = lib->puller;
	struct pull_ticket *t = count <= PULL_MAX ? calloc(1, sizeof(*t)) : NULL;

	if (!p || !t) {
		free(t);
		return !p || count > PULL_MAX ? -EINVAL : -ENOMEM;
	}
	memcpy(t->inos, inos, count * sizeof(*inos));
	t->count = count;
	lock_lock(&p->lock);
	int err = puller_run_locked(p);

	if (!err) {
		*ticket = t->id = ++p->last;
		DL_APPEND(p->tickets, t);
		t = NULL;
		lock_cond_signal(&p->work);
	}
	lock_unlock(&p->lock);
	free(t);
	return err;
}

bool puller_answer(struct library *lib, uint64_t ticket, int *err, struct pull_result *out)
{
	struct puller *p = lib->puller;
	struct pull_ticket *t;
	bool found = false;

	lock_lock(&p->lock);
	DL_FOREACH (p->tickets, t) {
		if (t->id == ticket) {
			found = true;
			break;
		}
	}
	bool done = !found || t->done;

	if (done) {
		*err = found ? t->err : -ECANCELED;
		*out = found ? t->result : (struct pull_result){ 0 };
	}
	if (found && done)
		puller_forget_locked(p, t);
	lock_unlock(&p->lock);
	return done;
}

int puller_new(struct library *lib)
{
	struct puller *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->lib = lib;
	lock_init(&p->lock, LOCK_RANK_SEALER);
	lock_cond_init(&p->work);
	lib->puller = p;
	return 0;
}

void puller_stop(struct library *lib)
{
	struct puller *p = lib->puller;

	if (!p)
		return;
	lock_lock(&p->lock);
	p->stop = true;
	lock_cond_broadcast(&p->work);
	lock_unlock(&p->lock);
	if (p->running)
		pthread_join(p->thread, NULL);
	lock_lock(&p->lock);
	while (p->tickets)
		puller_forget_locked(p, p->tickets);
	lock_unlock(&p->lock);
	lib->puller = NULL;
	lock_cond_release(&p->work);
	lock_release(&p->lock);
	free(p);
}
