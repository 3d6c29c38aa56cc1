/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Waiting for chunks. */
#include "config.h"

#include "content/fetch-internal.h"
#include "util/log.h"
#include "util/time.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <utlist.h>

#define FETCH_VAIN_NS (5 * TIME_NS_PER_S)

int fetch_wait_new(struct content *c, int64_t deadline_ns, struct fetch_wait **out)
{
	struct fetch *f = c->fetch;
	struct fetch_wait *w;

	if (!f)
		return -EIO;
	lock_lock(&f->lock);
	bool cancelled = f->cancelled;

	lock_unlock(&f->lock);
	if (cancelled)
		return -ECANCELED;
	w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	w->fetch = f;
	w->deadline_ns = deadline_ns;
	*out = w;
	return 0;
}

void fetch_wait_brief(struct fetch_wait *w)
{
	w->brief = true;
}

int fetch_wait_add(struct fetch_wait *w, int64_t chunk, int64_t object, uint64_t at)
{
	if (w->count && w->links[w->count - 1].entry->chunk == chunk)
		return 0;
	if (w->count == w->cap) {
		size_t cap = w->cap ? w->cap * 2 : 4;
		struct fetch_link *links = reallocarray(w->links, cap, sizeof(*links));

		if (!links)
			return -ENOMEM;
		w->links = links;
		w->cap = cap;
	}
	struct fetch_entry *e = fetch_entry_get(w->fetch, chunk, object, at, false);

	if (!e)
		return -ENOMEM;
	w->links[w->count++] = (struct fetch_link){ .wait = w, .entry = e };
	return 0;
}

static bool fetch_is_here(const struct fetch_entry *e)
{
	return e->phase == FETCH_HELD || e->phase == FETCH_PLACED;
}

/* Under the lock. */
static void fetch_link_add(struct fetch_link *l)
{
	struct fetch_entry *e = l->entry;

	l->prev = NULL;
	l->next = e->links;
	if (e->links)
		e->links->prev = l;
	e->links = l;
	l->linked = true;
}

static void fetch_link_drop(struct fetch_link *l)
{
	if (!l->linked)
		return;
	if (l->prev)
		l->prev->next = l->next;
	else
		l->entry->links = l->next;
	if (l->next)
		l->next->prev = l->prev;
	l->linked = false;
}

static void fetch_wait_due_locked(struct fetch *f, struct fetch_wait *w, int err)
	LOCK_REQUIRES(&f->lock)
{

	if (w->phase != FETCH_WAIT_ARMED)
		return;
	for (size_t i = 0; i < w->count; i++)
		fetch_link_drop(&w->links[i]);
	w->phase = FETCH_WAIT_DUE;
	w->err = err;
	DL_DELETE(f->armed, w);
	DL_APPEND(f->due, w);
	lock_cond_signal(&f->work);
}

void fetch_wait_ready_locked(struct fetch *f, struct fetch_wait *w, int err)
{
	w->left--;
	if (err || !w->left)
		fetch_wait_due_locked(f, w, err);
}

void fetch_note_vain_locked(struct fetch *f, struct fetch_entry *e)
{

	f->vain[f->vain_next++ % FETCH_VAIN] = (struct fetch_vain){ .chunk = e->chunk,
								    .at_ns = time_mono_ns() };
}

bool fetch_was_vain_locked(const struct fetch *f, const struct fetch_entry *e)
{
	int64_t while_ns = f->params.timeout_ns < FETCH_VAIN_NS ? f->params.timeout_ns
								: FETCH_VAIN_NS;
	int64_t since = time_mono_ns() - while_ns;

	for (size_t i = 0; i < FETCH_VAIN; i++) {
		const struct fetch_vain *v = &f->vain[i];

		if (v->chunk == e->chunk && v->at_ns > since && v->at_ns > f->came_ns)
			return true;
	}
	return false;
}

/* The first error of what it waits for; *left chunks are not here. */
static int fetch_wait_look_locked(struct fetch *f, struct fetch_wait *w, size_t *left)
	LOCK_REQUIRES(&f->lock)
{
	int err = w->fetch->cancelled ? -ECANCELED : w->err;

	*left = 0;
	for (size_t i = 0; i < w->count && !err; i++) {
		const struct fetch_entry *e = w->links[i].entry;

		if (e->phase == FETCH_FAILED)
			err = e->err;
		else if (!fetch_is_here(e) && fetch_was_vain_locked(f, e))
			err = -EIO;
		else
			*left += !fetch_is_here(e);
	}
	return err;
}

int fetch_wait_go(struct fetch_wait *w, fetch_done_fn *done, void *arg)
{
	struct fetch *f = w->fetch;

	lock_lock(&f->lock);
	int err = fetch_wait_look_locked(f, w, &w->left);

	if (!err && w->left)
		err = fetch_work_start_locked(f);
	if (err || !w->left) {
		w->phase = FETCH_WAIT_OVER;
		fetch_unlock(f);
		return err ? err : 1;
	}
	for (size_t i = 0; i < w->count; i++) {
		if (!fetch_is_here(w->links[i].entry))
			fetch_link_add(&w->links[i]);
	}
	w->done = done;
	w->arg = arg;
	w->phase = FETCH_WAIT_ARMED;
	DL_APPEND(f->armed, w);
	/* Someone has to look at the deadline. */
	lock_cond_signal(&f->work);
	fetch_unlock(f);
	return 0;
}

static void fetch_wait_time_out_locked(struct fetch *f, struct fetch_wait *w)
	LOCK_REQUIRES(&f->lock)
{
	for (size_t i = 0; i < w->count && !w->brief; i++) {
		if (!fetch_is_here(w->links[i].entry))
			fetch_note_vain_locked(f, w->links[i].entry);
	}
	fetch_wait_due_locked(f, w, -ETIMEDOUT);
}

int64_t fetch_wait_expire_locked(struct fetch *f, int64_t now_ns)
{
	struct fetch_wait *w, *next;
	int64_t first = INT64_MAX;

	DL_FOREACH_SAFE(f->armed, w, next)
	{
		if (w->deadline_ns <= now_ns)
			fetch_wait_time_out_locked(f, w);
		else if (w->deadline_ns < first)
			first = w->deadline_ns;
	}
	return first;
}

void fetch_wait_end_all_locked(struct fetch *f, int err)
{
	while (f->armed)
		fetch_wait_due_locked(f, f->armed, err);
}

void fetch_wait_tell_locked(struct fetch *f)
{
	struct fetch_wait *w = f->due;

	DL_DELETE(f->due, w);
	w->phase = FETCH_WAIT_OVER;
	f->telling++;
	fetch_unlock(f);
	if (w->err == -ETIMEDOUT && !w->brief)
		log_error("the bucket did not give what a reader asked for in time");
	w->done(w->arg, w->err);
	lock_lock(&f->lock);
	f->telling--;
	lock_cond_broadcast(&f->change);
}

void fetch_wait_cancel(struct fetch_wait *w, int err)
{
	struct fetch *f = w->fetch;

	lock_lock(&f->lock);
	if (w->phase == FETCH_WAIT_ADDING)
		w->err = err;
	fetch_wait_due_locked(f, w, err);
	fetch_unlock(f);
}

void fetch_wait_free(struct fetch_wait *w)
{
	if (!w)
		return;
	struct fetch *f = w->fetch;

	lock_lock(&f->lock);
	assert(w->phase != FETCH_WAIT_ARMED && w->phase != FETCH_WAIT_DUE);
	for (size_t i = 0; i < w->count; i++)
		fetch_entry_put_locked(f, w->links[i].entry);
	/* What it kept in memory may be what others wait for. */
	fetch_pump_locked(f);
	fetch_unlock(f);
	free(w->links);
	free(w);
}

struct fetch_block {
	struct lock lock;
	struct lock_cond cond;
	bool over;
	int err;
};

static void fetch_block_done(void *arg, int err)
{
	struct fetch_block *b = arg;

	lock_lock(&b->lock);
	b->over = true;
	b->err = err;
	lock_cond_signal(&b->cond);
	lock_unlock(&b->lock);
}

int fetch_wait_block(struct fetch_wait *w)
{
	struct fetch_block b = { .over = false };

	lock_init(&b.lock, LOCK_RANK_CONTENT);
	lock_cond_init(&b.cond);
	int err = fetch_wait_go(w, fetch_block_done, &b);

	lock_lock(&b.lock);
	while (!err && !b.over)
		lock_cond_wait(&b.cond, &b.lock);
	lock_unlock(&b.lock);
	lock_cond_release(&b.cond);
	lock_release(&b.lock);
	return err > 0 ? 0 : err ? err : b.err;
}
