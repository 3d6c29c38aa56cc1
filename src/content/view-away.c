/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The runs of a view that were not here when it was made: what of them was fetched since, and fetching ahead of a reader.
 *
 * A chunk that is found stays where it is as long as the view is there, like all that a view reads; so its place is noted with the run, once.
 */
#include "config.h"

#include "content/view-internal.h"
#include "util/err.h"
#include "util/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
	VIEW_SLACK =
		1
		<< 20, /* the kernel's own reading ahead comes out of order, by this much at most */
	VIEW_STEADY = 512 << 10, /* who has read this much without a gap goes on, as a rule */
};

int view_away_init(struct view_held *held)
{
	held->found = calloc(held->view.count, sizeof(*held->found));
	if (!held->found)
		return -ENOMEM;
	lock_init(&held->ahead.lock, LOCK_RANK_CONTENT);
	return 0;
}

void view_away_release(struct view_held *held)
{
	if (!held->found)
		return;
	for (size_t i = 0; i < held->view.count; i++) {
		if (held->found[i])
			fetch_file_put(held->found[i]->file);
		free(held->found[i]);
	}
	lock_release(&held->ahead.lock);
	free(held->found);
}

static struct view_found *view_found(struct view_held *held, size_t i)
{
	struct view_found *found = __atomic_load_n(&held->found[i], __ATOMIC_ACQUIRE);

	return found && !fetch_file_bad(found->file) ? found : NULL;
}

/* Notes where run `i` is; the reference on *file is the view's, unless another thread was faster. */
static void view_note(struct view_held *held, size_t i, struct fetch_file **file, uint64_t off)
{
	struct view_found *none = NULL, *found = calloc(1, sizeof(*found));

	if (!found)
		return;
	found->file = *file;
	found->off = off;
	if (__atomic_compare_exchange_n(&held->found[i], &none, found, false, __ATOMIC_RELEASE,
					__ATOMIC_RELAXED))
		*file = NULL;
	else
		free(found);
}

static int view_file_read(const struct fetch_file *file, void *buf, size_t len, uint64_t off)
{
	struct blob *blob = fetch_file_blob(file);
	ssize_t got = blob_read(blob, buf, len, off);

	if (got == (ssize_t)len)
		return 0;
	log_error("blob %" PRId64 " at %" PRIu64 ": %s", blob_id(blob), off,
		  got < 0 ? err_text((int)got) : "shorter than its chunks");
	return got < 0 ? (int)got : -EIO;
}

int view_away_read(struct view_held *held, size_t i, void *buf, size_t len, uint64_t skip)
{
	const struct view_run *run = &held->view.runs[i];
	const struct view_found *found = view_found(held, i);
	struct fetch_file *file = NULL;
	uint64_t at = 0;

	if (found)
		return view_file_read(found->file, buf, len, found->off + skip);
	if (!held->content->fetch) {
		log_error("object %" PRId64 " at %" PRIu64 " is not on this machine", held->object,
			  run->start + skip);
		return -EIO;
	}
	int got = fetch_read(held->content, run->chunk, run->off + skip, buf, len, &file, &at);

	if (got)
		return got > 0 ? 0 : got;
	got = view_file_read(file, buf, len, at);
	if (!got)
		view_note(held, i, &file, at - skip);
	fetch_file_put(file);
	return got;
}

ssize_t view_away_read_now(struct view_held *held, size_t i, void *buf, size_t len, uint64_t skip)
{
	const struct view_found *found = view_found(held, i);

	return found ? blob_read_now(fetch_file_blob(found->file), buf, len, found->off + skip)
		     : -EAGAIN;
}

int view_want(const struct view *v, uint64_t off, uint64_t len, struct fetch_wait *w)
{
	/* What is noted of a view does not change it. */
	struct view_held *held = (struct view_held *)(uintptr_t)v;
	const struct view_run *run = view_find(v, off);
	uint64_t end;
	int err = 0;

	if (!held->found || !run || !len)
		return 0;
	end = len > v->size - off ? v->size : off + len;
	for (size_t i = (size_t)(run - v->runs); i < v->count && !err; i++) {
		run = &v->runs[i];
		if (run->start >= end)
			break;
		if (run->kind == VIEW_MISSING && !view_found(held, i))
			err = fetch_wait_add(w, run->chunk, held->object, run->start - run->off);
	}
	return err;
}

/* Asks for up to `most` missing runs from `from` on. */
static void view_ask_from(struct view_held *held, size_t from, unsigned most)
{
	const struct view *v = &held->view;

	for (size_t i = from; i < v->count && most; i++) {
		const struct view_run *run = &v->runs[i];

		if (run->kind != VIEW_MISSING || view_found(held, i))
			continue;
		fetch_ahead(held->content, run->chunk, held->object, run->start - run->off);
		most--;
	}
}

void view_ask(const struct view *v, unsigned most)
{
	struct view_held *held = (struct view_held *)(uintptr_t)v;

	if (held->found)
		view_ask_from(held, 0, most);
}

/* Waits for one missing run. */
static int view_pull_run(struct view_held *held, size_t i)
{
	struct fetch_wait *w = NULL;
	int err = fetch_wait_new(held->content, fetch_deadline_ns(held->content), &w);

	if (!err)
		err = view_want(&held->view, held->view.runs[i].start, 1, w);
	if (!err)
		err = fetch_wait_block(w);
	fetch_wait_free(w);
	return err == -ETIMEDOUT ? -EIO : err;
}

int view_pull(const struct view *v, bool (*stop)(void *arg), void *arg, uint64_t *bytes)
{
	struct view_held *held = (struct view_held *)(uintptr_t)v;
	int err = 0;

	if (!held->found)
		return 0;
	for (size_t i = 0; i < v->count && !err; i++) {
		if (v->runs[i].kind != VIEW_MISSING)
			continue;
		if (stop && stop(arg))
			return -ECANCELED;
		view_ask_from(held, i + 1, fetch_ahead_max(held->content));
		err = view_pull_run(held, i);
		*bytes += err ? 0 : v->runs[i].len;
	}
	return err;
}

/* The reader has come to `next`, in run `cur`. The runs to ask for now: [*from, *to). */
static void view_ahead_step_locked(struct view_ahead *a, uint64_t off, uint64_t next, size_t cur,
				   unsigned most) LOCK_REQUIRES(&a->lock)
{
	bool goes_on = off <= a->next + VIEW_SLACK && off + VIEW_SLACK >= a->next;

	if (!goes_on || next < a->begun) {
		a->begun = off;
		a->next = next;
		a->run = cur;
		a->asked = cur + 1;
		a->window = 0;
		return;
	}
	if (next > a->next)
		a->next = next;
	if (a->next - a->begun < VIEW_STEADY)
		return;
	if (!a->window)
		a->window = 1;
	else if (cur > a->run && a->window < most)
		a->window *= 2;
	if (a->window > most)
		a->window = most;
	if (cur > a->run)
		a->run = cur;
}

void view_away_ahead(struct view_held *held, uint64_t off, size_t len)
{
	const struct view *v = &held->view;
	struct view_ahead *a = &held->ahead;
	const struct view_run *run = len ? view_find(v, off + len - 1) : NULL;
	unsigned most = fetch_ahead_max(held->content);
	size_t from, to;

	if (!run || !most)
		return;
	lock_lock(&a->lock);
	view_ahead_step_locked(a, off, off + len, (size_t)(run - v->runs), most);
	from = a->asked > a->run ? a->asked : a->run + 1;
	to = a->run + 1 + a->window;
	if (to > v->count)
		to = v->count;
	if (to > from)
		a->asked = to;
	lock_unlock(&a->lock);
	for (size_t i = from; i < to; i++) {
		run = &v->runs[i];
		if (run->kind == VIEW_MISSING && !view_found(held, i))
			fetch_ahead(held->content, run->chunk, held->object, run->start - run->off);
	}
}
