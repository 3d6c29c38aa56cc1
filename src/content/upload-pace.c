/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How fast: the number of requests at a time follows how long they take, as TCP's does (the client besides halves its own when the server asks
 * for that). How soon again: pauses double, and a random half is taken off so that many machines do not come back together.
 */
#include "config.h"

#include "content/upload-internal.h"
#include "util/err.h"
#include "util/log.h"
#include "util/time.h"

#include <errno.h>
#include <stdio.h>
#include <sys/random.h>
#include <utlist.h>

#define QUICK_NS (5 * TIME_NS_PER_S)
#define SLOW_NS (20 * TIME_NS_PER_S)
#define RATE_NS (10 * TIME_NS_PER_S)
#define STANDSTILL_NS (10 * TIME_NS_PER_S)
#define STUCK_NS (3600 * TIME_NS_PER_S)

enum {
	PAUSE_DOUBLINGS = 5,
	PAUSE_MOST = 10,
	PAUSE_MOST_REFUSED = 30,
	DELAY_FIRST = 2, /* of one row, in pauses */
	DELAY_MOST = 600,
	FAILURES = 3, /* of items in a row: then it is not the items */
};

/* Between half of `ns` and all of it. */
static int64_t jitter(int64_t ns)
{
	uint32_t random = 0;

	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) < 0)
		random = UINT32_MAX / 2;
	return ns / 2 + (int64_t)((double)(ns - ns / 2) * random / UINT32_MAX);
}

int64_t upload_delay_ns(const struct upload *u, const struct upload_item *item)
{
	int64_t most = DELAY_MOST * u->params.pause_ns;
	int64_t wait = item->tries < 16 ? DELAY_FIRST * u->params.pause_ns << item->tries : most;

	if (item->end == UPLOAD_STUCK)
		wait = STUCK_NS;
	else if (wait > most)
		wait = most;
	return jitter(wait);
}

unsigned upload_window(const struct upload *u)
{
	/* Until the first answer shows what the server makes of a condition: that may cost the body. */
	return u->failures || !u->answered ? 1 : u->window;
}

static void slow_down(struct upload *u, int64_t now)
{
	if (u->slowed_ns && now - u->slowed_ns < TIME_NS_PER_S)
		return;
	u->slowed_ns = now;
	u->well = 0;
	u->window = u->window > 1 ? u->window / 2 : 1;
}

/* Each good answer adds one until it was too much for the first time; then as many as are under way together do. */
static bool is_time_to_grow(struct upload *u)
{
	return !u->slowed_ns || ++u->well >= u->window;
}

void upload_pace(struct upload *u, const struct upload_item *item)
{
	int64_t now = time_mono_ns(), took = now - item->started_ns;

	if (item->err == -EBUSY || item->err == -ETIMEDOUT || took > SLOW_NS) {
		slow_down(u, now);
	} else if (!item->err && item->ask != UPLOAD_LOOK && took < QUICK_NS &&
		   u->window < u->params.window && is_time_to_grow(u)) {
		u->window++;
		u->well = 0;
	}
}

/* How many pauses at most lie between two tries when the error says that nothing can be sent now, whatever it is: 0 if it does not say so. */
static int outage(int err)
{
	switch (err) {
	case -EBUSY:
	case -ECONNREFUSED:
	case -EHOSTUNREACH:
	case -ENETUNREACH:
	case -ENETDOWN:
	case -ENOMEM:
		return PAUSE_MOST;
	/* These mostly wait for a person, who says so when it is done. */
	case -ENODEV:
	case -ENOENT:
	case -EACCES:
	case -ENOKEY:
	case -ENOSPC:
	case -EPROTO:
		return PAUSE_MOST_REFUSED;
	default:
		return 0;
	}
}

static void hold(struct upload *u, int most)
{
	unsigned doublings = u->failures > FAILURES ? u->failures - FAILURES : 0;
	int pauses = doublings < PAUSE_DOUBLINGS ? 1 << doublings : most;

	u->held_ns = time_mono_ns();
	u->hold_ns = u->held_ns + jitter(u->params.pause_ns * (pauses < most ? pauses : most));
}

bool upload_failure(struct upload *u, const struct upload_item *item)
{
	int most = outage(item->err);
	const char *why = item->why.len ? buf_str(&item->why) : err_text(item->err);

	/* Of those that were under way together one tells as much as all. */
	if (item->started_ns < u->held_ns)
		return !most;
	u->failures++;
	if (most && u->failures < FAILURES)
		u->failures = FAILURES;
	lock_lock(&u->lock);
	u->status.err = item->err;
	u->status.err_ns = time_now_ns();
	snprintf(u->status.why, sizeof(u->status.why), "%s", why);
	lock_unlock(&u->lock);
	if (u->failures < FAILURES)
		return true;
	if (!u->troubled)
		log_warn("uploads wait: %s", why);
	u->troubled = true;
	hold(u, most ? most : PAUSE_MOST);
	return !most;
}

void upload_hurried(struct upload *u)
{
	bool stands = u->aloft && time_mono_ns() - u->landed_ns > STANDSTILL_NS;
	struct upload_item *item;

	/* What was begun while the bucket was away may wait for long without need. */
	if (u->failures || stands) {
		DL_FOREACH (u->aloft, item)
			s3_client_cancel(u->client, item->ticket);
	}
	u->failures = u->failures ? 1 : 0;
	u->hold_ns = 0;
}

void upload_success(struct upload *u)
{
	if (u->troubled)
		log_info("uploads go on");
	u->troubled = false;
	u->failures = 0;
	u->hold_ns = 0;
	lock_lock(&u->lock);
	u->status.err = 0;
	u->status.why[0] = '\0';
	lock_unlock(&u->lock);
}

void upload_rate_add_locked(struct upload *u, uint64_t bytes, int64_t now)
{
	struct upload_rate *r = &u->rate;

	if (!r->this_ns || now - r->this_ns > 2 * RATE_NS)
		*r = (struct upload_rate){ .last_ns = now, .this_ns = now };
	if (now - r->this_ns > RATE_NS)
		*r = (struct upload_rate){ r->this_ns, now, r->this, 0 };
	r->this += bytes;
}

void upload_status(struct upload *u, struct upload_status *out)
{
	int64_t now = time_mono_ns();

	lock_lock(&u->lock);
	const struct upload_rate *r = &u->rate;
	int64_t took = now - r->last_ns;

	*out = u->status;
	if (r->this_ns && now - r->this_ns <= 2 * RATE_NS && took > 0)
		out->bytes_per_s = (uint64_t)((double)(r->last + r->this) * TIME_NS_PER_S /
					      (double)took);
	lock_unlock(&u->lock);
}
