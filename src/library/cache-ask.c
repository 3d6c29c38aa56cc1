/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Asking the bucket whether it has chunks: all at once, as many at a time as there are connections. */
#include "config.h"

#include "library/cache-internal.h"
#include "util/cleanup.h"
#include "util/log.h"
#include "util/time.h"

#include <errno.h>
#include <stdlib.h>

enum { CACHE_ATTEMPTS = 2 };

/* For a bucket that does not answer nothing is evicted anyway, so it need not be waited for. */
#define CACHE_ASK_NS (10 * TIME_NS_PER_S)
#define CACHE_ASK_EACH_NS (20 * TIME_NS_PER_MS)

struct cache_asker {
	struct s3_client *client;
	struct lock lock;         /* guards the rest */
	struct lock_cond changed; /* left, stop */
	size_t left;              /* answers that are to come */
	bool stop, told;
};

/* One question. */
struct cache_question {
	struct cache_asker *asker;
	struct evict_ask *ask;
	uint64_t ticket;
};

int cache_asker_new(struct library *lib, struct cache_asker **out)
{
	struct cache_asker *a = calloc(1, sizeof(*a));
	int err = a ? library_s3_client(lib, CACHE_ATTEMPTS, &a->client) : -ENOMEM;

	if (err) {
		free(a);
		return err == -ENOENT ? -ENODEV : err;
	}
	lock_init(&a->lock, LOCK_RANK_LIBRARY);
	lock_cond_init(&a->changed);
	*out = a;
	return 0;
}

void cache_asker_stop(struct cache_asker *a)
{
	lock_lock(&a->lock);
	a->stop = true;
	lock_cond_broadcast(&a->changed);
	lock_unlock(&a->lock);
}

void cache_asker_free(struct cache_asker *a)
{
	if (!a)
		return;
	s3_client_free(a->client);
	lock_cond_release(&a->changed);
	lock_release(&a->lock);
	free(a);
}

static void cache_answered(void *arg, const struct s3_reply *reply)
{
	struct cache_question *q = arg;
	struct cache_asker *a = q->asker;
	bool tell = false;

	lock_lock(&a->lock);
	if (!reply->err)
		q->ask->there = reply->size == q->ask->size;
	else
		q->ask->there = reply->err == -ENOENT ? 0 : reply->err;
	tell = q->ask->there < 0 && reply->err != -ECANCELED && !a->told;
	a->told = q->ask->there < 0;
	a->left--;
	lock_cond_broadcast(&a->changed);
	lock_unlock(&a->lock);
	if (tell)
		log_warn("nothing is evicted while the bucket does not answer: %s", reply->why);
}

static void cache_submit(struct cache_question *q, int64_t deadline_ns)
{
	char key[STORE_S3_KEY_LEN];
	struct s3_request request = { .verb = S3_STAT,
				      .key = key,
				      .deadline_ns = deadline_ns,
				      .done = cache_answered,
				      .arg = q };

	store_s3_key(STORE_S3_CHUNKS, q->ask->hash.b, key);
	int err = s3_client_submit(q->asker->client, &request, &q->ticket);

	if (!err)
		return;
	lock_lock(&q->asker->lock);
	q->ask->there = err;
	q->asker->left--;
	lock_unlock(&q->asker->lock);
}

void cache_ask(void *arg, struct evict_ask *asks, size_t count)
{
	struct cache_asker *a = arg;
	int64_t deadline_ns = time_mono_ns() + CACHE_ASK_NS + (int64_t)count * CACHE_ASK_EACH_NS;
	CLEANUP_FREE struct cache_question *all = calloc(count, sizeof(*all));

	if (!all)
		return;
	lock_lock(&a->lock);
	a->left = a->stop ? 0 : count;
	bool stop = a->stop;

	lock_unlock(&a->lock);
	for (size_t i = 0; i < count && !stop; i++) {
		all[i] = (struct cache_question){ .asker = a, .ask = &asks[i] };
		cache_submit(&all[i], deadline_ns);
	}
	lock_lock(&a->lock);
	while (a->left && !a->stop)
		lock_cond_wait(&a->changed, &a->lock);
	bool cancel = a->left > 0;

	lock_unlock(&a->lock);
	for (size_t i = 0; i < count && cancel; i++)
		s3_client_cancel(a->client, all[i].ticket);
	lock_lock(&a->lock);
	while (a->left)
		lock_cond_wait(&a->changed, &a->lock);
	lock_unlock(&a->lock);
}
