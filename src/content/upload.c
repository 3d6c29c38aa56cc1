/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The engine: one thread that takes rows, sends them and records what came of them, in rounds. A round takes in what is back, records when enough has come
 * together (a transaction for each small chunk would cost more than the chunk), and begins one request.
 */
#include "config.h"

#include "content/upload-internal.h"
#include "util/err.h"
#include "util/log.h"
#include "util/time.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <utlist.h>

enum { WINDOW = 16, WINDOW_FIRST = 8, RECORD_ITEMS = 64 };
#define MEMORY_BYTES (UINT64_C(48) << 20)
#define PAUSE_NS TIME_NS_PER_S
#define DEADLINE_NS (600 * TIME_NS_PER_S)
#define RECORD_NS (200 * TIME_NS_PER_MS)
#define IDLE_NS (5 * TIME_NS_PER_S)
#define SWEEP_NS (3600 * TIME_NS_PER_S)

int upload_new(struct content *c, struct s3_client **client, const struct upload_params *params,
	       struct upload **out)
{
	struct upload *u = calloc(1, sizeof(*u));

	if (!u)
		return -ENOMEM;
	u->content = c;
	u->client = *client;
	*client = NULL;
	u->params = *params;
	if (!u->params.window)
		u->params.window = WINDOW;
	if (!u->params.memory_bytes)
		u->params.memory_bytes = MEMORY_BYTES;
	if (!u->params.pause_ns)
		u->params.pause_ns = PAUSE_NS;
	if (!u->params.deadline_ns)
		u->params.deadline_ns = DEADLINE_NS;
	u->window = u->params.window < WINDOW_FIRST ? u->params.window : WINDOW_FIRST;
	lock_init(&u->lock, LOCK_RANK_CONTENT);
	lock_cond_init(&u->wake);
	*out = u;
	return 0;
}

void upload_free(struct upload *u)
{
	if (!u)
		return;
	assert(!u->ready && !u->aloft && !u->over);
	s3_client_free(u->client);
	upload_list_release(u);
	lock_cond_release(&u->wake);
	lock_release(&u->lock);
	free(u);
}

void upload_stop(struct upload *u)
{
	lock_lock(&u->lock);
	u->stop = true;
	lock_cond_signal(&u->wake);
	lock_unlock(&u->lock);
}

void upload_kick(struct upload *u, bool hurry)
{
	lock_lock(&u->lock);
	u->kicked = true;
	u->hurry |= hurry;
	lock_cond_signal(&u->wake);
	lock_unlock(&u->lock);
}

/* Tells an error of the metadata when it is another than the last time. */
static int note(struct upload *u, int err)
{
	if (err < 0 && err != u->logged)
		log_error("the upload queue: %s", err_text(err));
	u->logged = err < 0 ? err : 0;
	return err;
}

static void record(struct upload *u)
{
	if (!note(u, upload_record(u)))
		u->dry_ns = 0;
	else
		u->over_ns = time_mono_ns() + IDLE_NS;
}

/* Rows that were taken and not tried go back. */
static void give_back(struct upload *u)
{
	struct upload_item *item, *next;

	DL_FOREACH_SAFE(u->ready, item, next)
	{
		DL_DELETE(u->ready, item);
		upload_over(u, item, UPLOAD_UNDONE);
	}
}

static void tell_state(struct upload *u, bool paused)
{
	lock_lock(&u->lock);
	u->status.paused = paused;
	u->status.window = upload_window(u);
	lock_unlock(&u->lock);
}

/* Fills `ready`. False: there is nothing to be sent for now. */
static bool take(struct upload *u, int64_t now)
{
	int got = upload_paused(u->content->meta);

	tell_state(u, got == 1);
	got = got ? (got < 0 ? got : 0) : upload_take(u);
	/* Rows that failed are due one by one. */
	if (note(u, got) <= 0)
		u->dry_ns = now + (now <= u->due_ns ? u->params.pause_ns / 4 : IDLE_NS);
	if (u->ready)
		upload_list_begin(u);
	return u->ready;
}

static bool has_room(struct upload *u, const struct upload_item *item)
{
	if (!u->aloft)
		return true;
	if (u->aloft_count >= upload_window(u))
		return false;
	/* Only the engine's thread changes the sum. */
	return u->status.flying_bytes + item->room <= u->params.memory_bytes;
}

/* Begins one request. 0: at once again; else when there may be something to do without news. */
static int64_t feed(struct upload *u, int64_t now)
{
	struct upload_item *item;

	if (now < u->hold_ns) {
		give_back(u);
		return u->hold_ns;
	}
	if (u->aloft_count >= upload_window(u))
		return INT64_MAX;
	if (!u->ready && (now < u->dry_ns || !take(u, now)))
		return u->dry_ns;
	item = u->ready;
	if (upload_list_awaited(u) || !has_room(u, item))
		return INT64_MAX;
	DL_DELETE(u->ready, item);
	upload_send(u, item);
	return 0;
}

static void hurry(struct upload *u)
{
	note(u, upload_retry(u->content->meta));
	upload_hurried(u);
	/* So that a pause counts from now on. */
	give_back(u);
}

/* What others asked for since the last round. False: to end. */
static bool listen(struct upload *u)
{
	lock_lock(&u->lock);
	bool stop = u->stop, kicked = u->kicked, hurried = u->hurry;

	u->kicked = u->hurry = false;
	lock_unlock(&u->lock);
	if (kicked)
		u->dry_ns = 0;
	if (hurried && !stop)
		hurry(u);
	return !stop;
}

static void wait_until(struct upload *u, int64_t until)
{
	lock_lock(&u->lock);
	while (!u->stop && !u->kicked && !u->back && !u->list.back &&
	       lock_cond_wait_until(&u->wake, &u->lock, until) == 0)
		continue;
	lock_unlock(&u->lock);
}

static bool stopped(void *arg)
{
	struct upload *u = arg;

	lock_lock(&u->lock);
	bool stop = u->stop;

	lock_unlock(&u->lock);
	return stop;
}

static void round_of(struct upload *u)
{
	int64_t now = time_mono_ns(), until;

	upload_receive(u);
	upload_list_receive(u);
	if (u->over &&
	    (u->over_count >= RECORD_ITEMS || !u->aloft || now - u->over_ns >= RECORD_NS))
		record(u);
	if (now >= u->sweep_ns) {
		int err = upload_sweep(u->content->meta, stopped, u);

		if (err == -ECANCELED)
			return;
		note(u, err);
		u->sweep_ns = now + SWEEP_NS;
	}
	until = feed(u, now);
	if (until && u->over && until > u->over_ns + RECORD_NS)
		until = u->over_ns + RECORD_NS;
	if (until)
		wait_until(u, until);
}

/* Cuts off what is under way; all that is not done stays queued, free for others. */
static void end(struct upload *u)
{
	struct upload_item *item, *next;

	u->ending = true;
	DL_FOREACH (u->aloft, item)
		s3_client_cancel(u->client, item->ticket);
	upload_list_cancel(u);
	while (u->aloft || u->list.asked) {
		lock_lock(&u->lock);
		while (!u->back && !u->list.back)
			lock_cond_wait(&u->wake, &u->lock);
		lock_unlock(&u->lock);
		upload_receive(u);
		upload_list_receive(u);
	}
	upload_list_release(u);
	give_back(u);
	note(u, upload_record(u));
	/* What could not be recorded is found to be there next time. */
	DL_FOREACH_SAFE(u->over, item, next)
	{
		DL_DELETE(u->over, item);
		upload_item_free(item);
	}
	u->over_count = 0;
	lock_lock(&u->lock);
	u->stop = false;
	lock_unlock(&u->lock);
	u->ending = false;
}

void upload_run(struct upload *u)
{
	u->sweep_ns = 0;
	while (listen(u))
		round_of(u);
	end(u);
}
