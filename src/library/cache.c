/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The thread that keeps the limits. Each round: measure, evict what is too much (cache-round.c), say how much may be fetched until the next. Between rounds it
 * does what it was asked to evict.
 */
#include "config.h"

#include "library/cache-internal.h"
#include "content/space.h"
#include "library/sealer.h"
#include "util/err.h"
#include "util/log.h"
#include "util/thread.h"
#include "util/time.h"

#include <errno.h>
#include <stdlib.h>

enum { CACHE_PAUSE_SHARE = 20 };

#define CACHE_EVERY_NS (2 * TIME_NS_PER_S)
#define CACHE_LEAST_NS (100 * TIME_NS_PER_MS)
#define CACHE_SELDOM_NS (60 * TIME_NS_PER_S)
#define CACHE_PAUSE_MAX_NS (30 * TIME_NS_PER_S)
#define CACHE_AGAIN_NS TIME_NS_PER_S /* after a round in which nothing could go */
#define CACHE_RELIEF_NS (2 * TIME_NS_PER_S)
#define CACHE_RELIEF_MORE (UINT64_C(16) << 20) /* beyond what a write wants */
#define CACHE_CHANGE (UINT64_C(1) << 20)       /* free space that tells of a change */

bool cache_stopping(struct cache *c)
{
	return __atomic_load_n(&c->stop, __ATOMIC_ACQUIRE);
}

static uint64_t cache_take_relief(struct cache *c, uint64_t *asked)
{
	lock_lock(&c->lock);
	uint64_t relief = c->relief;

	*asked = c->relief_asked;
	c->relief = 0;
	lock_unlock(&c->lock);
	return relief;
}

static void cache_round_over(struct cache *c, const struct cache_use *use,
			     const struct cache_need *n, const struct evict_stats *sum,
			     uint64_t asked)
{
	lock_lock(&c->lock);
	c->status.use = *use;
	c->status.min_free_bytes = cache_min_free(c->lib);
	c->status.evicted_bytes += sum->freed_bytes;
	c->status.evicted_objects += sum->evicted;
	c->status.full = n->now > sum->freed_bytes;
	c->status.unanswered = sum->unanswered > 0;
	c->relief_done = asked;
	c->relief_freed = sum->freed_bytes;
	lock_cond_broadcast(&c->changed);
	lock_unlock(&c->lock);
}

/* How much may be fetched from here on. */
static void cache_allow(struct cache *c, uint64_t taken, const struct cache_need *n, uint64_t freed)
{
	uint64_t gain = freed > n->now ? freed - n->now : 0;
	uint64_t room = n->room < UINT64_MAX - gain ? n->room + gain : UINT64_MAX;

	/* Where nothing more can go nobody need call for it. */
	space_allow(c->lib->content, taken, room, freed < n->soon ? 0 : n->low);
}

/* One round. 0 or an error. */
static int cache_keep(struct cache *c)
{
	struct evict_stats sum = { 0 };
	struct cache_use use;
	uint64_t asked, taken = space_taken(c->lib->content);
	uint64_t relief = cache_take_relief(c, &asked);
	int64_t begun_ns = time_mono_ns();
	int err = cache_measure(c->lib, &use);

	if (err)
		return err;
	c->measuring_ns = time_mono_ns() - begun_ns;
	struct cache_need n = cache_needs(c, &use, relief);

	cache_allow(c, taken, &n, 0);
	if (n.soon)
		err = cache_make_room(c, &n, &sum);
	if (sum.freed_bytes < n.soon)
		sealer_collect(c->lib);
	cache_allow(c, taken, &n, sum.freed_bytes);
	use.total_bytes -= sum.freed_bytes < use.total_bytes ? sum.freed_bytes : use.total_bytes;
	cache_round_over(c, &use, &n, &sum, asked);
	c->pause_until_ns = time_mono_ns() + (sum.freed_bytes < n.soon ? CACHE_AGAIN_NS : 0);
	return err;
}

/* Whether anything has happened that a round is worth. */
static bool cache_is_due(struct cache *c, bool wanted, int64_t now_ns)
{
	uint64_t total = 0, free_bytes = 0;

	if (!wanted && now_ns < c->pause_until_ns)
		return false;
	if (blobs_space(c->lib->blobs, &total, &free_bytes))
		return false;
	uint64_t change = free_bytes > c->free_seen ? free_bytes - c->free_seen
						    : c->free_seen - free_bytes;

	if (!wanted && change < CACHE_CHANGE && now_ns - c->measured_ns < CACHE_SELDOM_NS)
		return false;
	c->free_seen = free_bytes;
	c->measured_ns = now_ns;
	return true;
}

/* A round, and a pause that is in proportion to what looking at the store took. */
static void cache_run_round(struct cache *c)
{
	int err = cache_keep(c);

	if (err && err != c->logged && !cache_stopping(c))
		log_error("keeping the store within its limits: %s", err_text(err));
	c->logged = err;
	int64_t now_ns = time_mono_ns(), pause_ns = c->measuring_ns * CACHE_PAUSE_SHARE;

	if (pause_ns < CACHE_LEAST_NS)
		pause_ns = CACHE_LEAST_NS;
	if (pause_ns > CACHE_PAUSE_MAX_NS)
		pause_ns = CACHE_PAUSE_MAX_NS;
	if (c->pause_until_ns < now_ns + pause_ns)
		c->pause_until_ns = now_ns + pause_ns;
}

/* An eviction that was asked for; NULL: none is. */
static struct cache_job *cache_next_job(struct cache *c)
{
	struct cache_job *job = NULL;

	lock_lock(&c->lock);
	for (int i = 0; i < CACHE_JOBS; i++) {
		struct cache_job *j = &c->jobs[i];

		if (j->ticket && !j->taken && (!job || j->ticket < job->ticket))
			job = j;
	}
	if (job)
		job->taken = true;
	lock_unlock(&c->lock);
	return job;
}

static void cache_run_jobs(struct cache *c)
{
	struct cache_job *job;

	while (!cache_stopping(c) && (job = cache_next_job(c)) != NULL) {
		struct cache_result result;
		int err = cache_evict_below(c->lib, c->asker, job->ino, &c->stop, &result);

		lock_lock(&c->lock);
		job->result = result;
		job->err = err;
		job->done = true;
		c->status.evicted_bytes += result.stats.freed_bytes;
		c->status.evicted_objects += result.stats.evicted;
		lock_cond_broadcast(&c->changed);
		lock_unlock(&c->lock);
	}
}

static bool cache_writers_wait(struct cache *c)
{
	lock_lock(&c->lock);
	bool wait = c->relief_asked != c->relief_done;

	lock_unlock(&c->lock);
	return wait;
}

static void *cache_main(void *arg)
{
	struct cache *c = arg;
	bool wanted = true;

	thread_background();
	while (!cache_stopping(c)) {
		int64_t until_ns = wanted ? c->pause_until_ns : time_mono_ns() + CACHE_EVERY_NS;

		wanted |= space_wait(c->lib->content, until_ns);
		cache_run_jobs(c);
		int64_t now_ns = time_mono_ns();
		bool relief = cache_writers_wait(c);

		if (cache_stopping(c) || (wanted && now_ns < c->pause_until_ns && !relief))
			continue;
		if (!cache_is_due(c, wanted || relief, now_ns))
			continue;
		wanted = false;
		cache_run_round(c);
	}
	return NULL;
}

static void cache_free(struct cache *c)
{
	cache_asker_free(c->asker);
	lock_cond_release(&c->changed);
	lock_release(&c->lock);
	free(c);
}

int cache_start(struct library *lib)
{
	struct cache *c;

	if (!lib->settings.s3.bucket || library_read_only(lib))
		return 0;
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->lib = lib;
	c->status.limit_bytes = lib->settings.cache_limit;
	lock_init(&c->lock, LOCK_RANK_LIBRARY);
	lock_cond_init(&c->changed);
	int err = cache_asker_new(lib, &c->asker);

	if (!err)
		err = thread_start("garner-cache", cache_main, c, &c->thread);
	if (err) {
		cache_free(c);
		return err;
	}
	lib->cache = c;
	return 0;
}

void cache_stop(struct library *lib)
{
	struct cache *c = lib->cache;

	if (!c)
		return;
	__atomic_store_n(&c->stop, 1, __ATOMIC_RELEASE);
	cache_asker_stop(c->asker);
	space_kick(lib->content);
	lock_lock(&c->lock);
	lock_cond_broadcast(&c->changed);
	lock_unlock(&c->lock);
	pthread_join(c->thread, NULL);
	lib->cache = NULL;
	cache_free(c);
}

bool cache_status(struct library *lib, struct cache_status *out)
{
	struct cache *c = lib->cache;

	*out = (struct cache_status){ 0 };
	if (!c)
		return false;
	lock_lock(&c->lock);
	*out = c->status;
	lock_unlock(&c->lock);
	out->denied = space_denied(lib->content);
	return true;
}

int64_t cache_evict_begin(struct library *lib, int64_t ino)
{
	struct cache *c = lib->cache;
	int64_t ticket = -EBUSY;

	if (!c)
		return -ENODEV;
	lock_lock(&c->lock);
	struct cache_job *free_job = NULL;

	/* One that is done, and that nobody has asked after, is some client's who has left. */
	for (int i = 0; i < CACHE_JOBS; i++) {
		struct cache_job *j = &c->jobs[i];

		if (!j->ticket || (j->done && (!free_job || (free_job->ticket > j->ticket))))
			free_job = j;
		if (!j->ticket)
			break;
	}
	if (free_job) {
		ticket = ++c->tickets;
		*free_job = (struct cache_job){ .ticket = ticket, .ino = ino };
	}
	lock_unlock(&c->lock);
	if (ticket > 0)
		space_kick(lib->content);
	return ticket;
}

static int cache_job_done_locked(struct cache *c, int64_t ticket, struct cache_result *out,
				 int *err) LOCK_REQUIRES(&c->lock)
{
	for (int i = 0; i < CACHE_JOBS; i++) {
		struct cache_job *j = &c->jobs[i];

		if (j->ticket != ticket)
			continue;
		if (!j->done)
			return 0;
		*out = j->result;
		*err = j->err;
		*j = (struct cache_job){ 0 };
		return 1;
	}
	*out = (struct cache_result){ 0 };
	*err = -EINVAL;
	return 1;
}

int cache_evict_done(struct library *lib, int64_t ticket, struct cache_result *out, int *err)
{
	struct cache *c = lib->cache;

	lock_lock(&c->lock);
	int done = cache_job_done_locked(c, ticket, out, err);

	lock_unlock(&c->lock);
	return done;
}

static int cache_evict_here(struct library *lib, int64_t ino, struct cache_result *out)
{
	struct cache_asker *asker = NULL;
	int err = cache_asker_new(lib, &asker);

	if (!err)
		err = cache_evict_below(lib, asker, ino, NULL, out);
	cache_asker_free(asker);
	return err;
}

int cache_evict(struct library *lib, int64_t ino, struct cache_result *out)
{
	struct cache *c = lib->cache;
	int err = 0;

	*out = (struct cache_result){ 0 };
	if (!c)
		return cache_evict_here(lib, ino, out);
	int64_t ticket = cache_evict_begin(lib, ino);

	if (ticket < 0)
		return (int)ticket;
	lock_lock(&c->lock);
	while (!cache_stopping(c) && !cache_job_done_locked(c, ticket, out, &err))
		lock_cond_wait(&c->changed, &c->lock);
	if (cache_stopping(c))
		err = -ECANCELED;
	lock_unlock(&c->lock);
	return err;
}

bool cache_relieve(struct library *lib, uint64_t bytes)
{
	struct cache *c = lib->cache;
	int64_t until_ns = time_mono_ns() + CACHE_RELIEF_NS;

	if (!c)
		return false;
	lock_lock(&c->lock);
	/* Who asked before was not helped, and little can have changed: nobody waits for the same again. */
	if (until_ns - c->relief_failed_ns < 2 * CACHE_RELIEF_NS) {
		lock_unlock(&c->lock);
		return false;
	}
	uint64_t mine = ++c->relief_asked;

	c->relief += bytes + CACHE_RELIEF_MORE;
	lock_unlock(&c->lock);
	space_kick(lib->content);
	lock_lock(&c->lock);
	while (!cache_stopping(c) && c->relief_done < mine &&
	       !lock_cond_wait_until(&c->changed, &c->lock, until_ns))
		continue;
	bool relieved = c->relief_done >= mine && c->relief_freed > 0;

	if (!relieved)
		c->relief_failed_ns = time_mono_ns();

	lock_unlock(&c->lock);
	return relieved;
}
