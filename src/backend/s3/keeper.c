/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One thread that sleeps until credentials are asked for, refused or about to lapse. */
#include "config.h"

#include "backend/s3/keeper.h"
#include "util/cleanup.h"
#include "util/err.h"
#include "util/lock.h"
#include "util/log.h"
#include "util/thread.h"
#include "util/time.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 * The AWS tools begin to look for new ones a quarter of an hour before the old lapse. Of credentials that
 * are short-lived altogether, the last third.
 */
#define EARLY_NS (15 * 60 * TIME_NS_PER_S)
#define AGAIN_NS (5 * TIME_NS_PER_S)
#define AGAIN_LATER_NS (60 * TIME_NS_PER_S)

struct s3_keeper {
	char *profile;
	s3_keeper_find_fn *find;
	void (*changed)(void *arg);
	void *arg;
	pthread_t thread;

	struct lock lock; /* guards all that follows, but `stop`, which is atomic */
	struct lock_cond cond, searched;
	bool started, searching; /* searching: asked for, until the search has ended */
	bool stop;
	bool usable;    /* `kept` is there, and no server refused it */
	int err;        /* of the last search */
	struct buf why; /* the same in words */
	struct s3_credentials kept;
	int64_t renew_ns;  /* time_now_ns() from which newer ones are looked for; 0: never */
	int64_t failed_ns; /* time_mono_ns() of the last search, if it failed */
};

int s3_keeper_new(const char *profile, s3_keeper_find_fn *find, void (*changed)(void *arg),
		  void *arg, struct s3_keeper **out)
{
	struct s3_keeper *k = calloc(1, sizeof *k);

	if (!k)
		return -ENOMEM;
	k->profile = profile ? strdup(profile) : NULL;
	if (profile && !k->profile) {
		free(k);
		return -ENOMEM;
	}
	k->find = find;
	k->changed = changed;
	k->arg = arg;
	lock_init(&k->lock, LOCK_RANK_S3);
	lock_cond_init(&k->cond);
	lock_cond_init(&k->searched);
	*out = k;
	return 0;
}

static int64_t renewal_of(const struct s3_credentials *c, int64_t now)
{
	int64_t left = c->expires_ns - now, early = EARLY_NS;

	if (!c->expires_ns)
		return 0;
	if (left < 3 * EARLY_NS)
		early = left / 3;
	return c->expires_ns - early;
}

static bool lapsed(const struct s3_credentials *c, int64_t now)
{
	return c->expires_ns && c->expires_ns <= now;
}

/* Takes over what a search gave. */
static void note_locked(struct s3_keeper *k, int err, struct s3_credentials *found,
			const struct buf *why) LOCK_REQUIRES(&k->lock)
{
	int64_t now = time_now_ns();

	buf_reset(&k->why);
	k->err = err;
	if (!err) {
		s3_credentials_release(&k->kept);
		k->kept = *found;
		k->usable = true;
		k->renew_ns = renewal_of(&k->kept, now);
	} else {
		/* Those that are kept serve until they lapse. */
		buf_add_str(&k->why, why->len ? buf_str(why) : err_text(err));
		k->failed_ns = time_mono_ns();
		k->renew_ns = k->kept.expires_ns ? now + AGAIN_LATER_NS : 0;
	}
	k->searching = false;
	lock_cond_broadcast(&k->searched);
}

static void search(struct s3_keeper *k)
{
	CLEANUP_BUF struct buf why = BUF_INIT;
	struct s3_credentials found = { 0 };
	int err = k->find(k->profile, &k->stop, &found, &why);

	bool serving;

	lock_lock(&k->lock);
	note_locked(k, err, &found, &why);
	serving = k->usable && !k->stop;
	lock_unlock(&k->lock);
	/* Without any, each request tells of it. */
	if (err && serving)
		log_warn("S3 credentials are not renewed: %s",
			 why.len ? buf_str(&why) : err_text(err));
	k->changed(k->arg);
}

/* Waits until there is something to look for; false: the end. */
static bool wait_for_search(struct s3_keeper *k)
{
	bool stop;

	lock_lock(&k->lock);
	while (!k->stop && !k->searching) {
		int64_t now = time_now_ns();

		if (k->renew_ns && k->renew_ns <= now)
			k->searching = true;
		else if (k->renew_ns)
			lock_cond_wait_until(&k->cond, &k->lock,
					     time_mono_ns() + (k->renew_ns - now));
		else
			lock_cond_wait(&k->cond, &k->lock);
	}
	stop = k->stop;
	lock_unlock(&k->lock);
	return !stop;
}

static void *run(void *arg)
{
	struct s3_keeper *k = arg;

	while (wait_for_search(k))
		search(k);
	return NULL;
}

static int ask_locked(struct s3_keeper *k) LOCK_REQUIRES(&k->lock)
{
	int err = k->started ? 0 : thread_start("garner-s3-keys", run, k, &k->thread);

	if (err)
		return err;
	k->started = true;
	k->searching = true;
	lock_cond_signal(&k->cond);
	return 0;
}

static int get_locked(struct s3_keeper *k, struct s3_credentials *out, struct buf *why)
	LOCK_REQUIRES(&k->lock)
{
	int err;

	if (k->usable && !lapsed(&k->kept, time_now_ns()))
		return s3_credentials_copy(&k->kept, out);
	if (k->searching)
		return -EAGAIN;
	if (k->err && time_mono_ns() - k->failed_ns < AGAIN_NS) {
		if (why)
			buf_add_str(why, buf_str(&k->why));
		return k->err;
	}
	err = ask_locked(k);
	return err ? err : -EAGAIN;
}

int s3_keeper_get(struct s3_keeper *k, struct s3_credentials *out, struct buf *why)
{
	int err;

	lock_lock(&k->lock);
	err = get_locked(k, out, why);
	lock_unlock(&k->lock);
	return err;
}

int s3_keeper_wait(struct s3_keeper *k, int64_t deadline_ns, struct s3_credentials *out,
		   struct buf *why)
{
	int err, late = 0;

	lock_lock(&k->lock);
	while ((err = get_locked(k, out, why)) == -EAGAIN && !late)
		late = lock_cond_wait_until(&k->searched, &k->lock, deadline_ns);
	lock_unlock(&k->lock);
	return err == -EAGAIN ? -ETIMEDOUT : err;
}

void s3_keeper_refused(struct s3_keeper *k, const struct s3_credentials *bad)
{
	lock_lock(&k->lock);
	if (!k->searching && k->kept.id && s3_credentials_same(&k->kept, bad)) {
		/* Whoever asks from now on waits for the search. */
		if (!ask_locked(k))
			k->usable = false;
	}
	lock_unlock(&k->lock);
}

void s3_keeper_free(struct s3_keeper *k)
{
	bool started;

	if (!k)
		return;
	lock_lock(&k->lock);
	__atomic_store_n(&k->stop, true, __ATOMIC_RELAXED);
	started = k->started;
	lock_cond_signal(&k->cond);
	lock_unlock(&k->lock);
	if (started)
		pthread_join(k->thread, NULL);
	s3_credentials_release(&k->kept);
	buf_release(&k->why);
	lock_cond_release(&k->cond);
	lock_cond_release(&k->searched);
	lock_release(&k->lock);
	free(k->profile);
	free(k);
}
