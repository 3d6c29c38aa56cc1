/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The thread that reads the journal of other processes. */
#include "config.h"

#include "library/watch.h"
#include "library/file-internal.h"
#include "library/journal.h"
#include "util/err.h"
#include "util/log.h"
#include "util/thread.h"
#include "util/time.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { WATCH_PAGE = 256, WATCH_ACTION = 16, WATCH_NAME = 256 };
#define WATCH_EVERY_NS TIME_NS_PER_S

typedef void watch_fn(void *arg, const struct watch_change *c);

struct watch_row {
	int64_t seq, ino, parent, old_parent;
	char action[WATCH_ACTION];
	char name[WATCH_NAME], old_name[WATCH_NAME];
	size_t len, old_len;
};

struct watch {
	struct library *lib;
	struct lock lock;      /* guards what follows up to `thread` */
	struct lock_cond wake; /* poked, stop */
	struct lock_cond told; /* a round or a call has ended */
	uint64_t poked, done;  /* tickets */
	watch_fn *fn;
	void *arg;
	unsigned calls; /* of fn under way */
	bool stop;
	pthread_t thread;
	int64_t last; /* the thread's: rows up to this one were told */
	int logged;   /* the thread's: the error that was logged last */
	size_t count; /* the thread's */
	struct watch_row rows[WATCH_PAGE];
};

static void watch_text(const struct meta_row *row, int col, char *out, size_t room, size_t *len)
{
	size_t n = 0;
	const void *bytes = meta_row_bytes(row, col, &n);

	*len = bytes && n < room ? n : 0;
	if (*len)
		memcpy(out, bytes, *len);
	out[*len] = 0;
}

static int watch_row(void *arg, const struct meta_row *row)
{
	struct watch *w = arg;
	struct watch_row *r = &w->rows[w->count++];
	size_t len;

	r->seq = meta_row_int(row, 0);
	watch_text(row, 1, r->action, sizeof(r->action), &len);
	r->ino = meta_row_int(row, 2);
	r->parent = meta_row_int(row, 3);
	watch_text(row, 4, r->name, sizeof(r->name), &r->len);
	r->old_parent = meta_row_int(row, 5);
	watch_text(row, 6, r->old_name, sizeof(r->old_name), &r->old_len);
	return 0;
}

static void watch_call(struct watch *w, const struct watch_change *c)
{
	lock_lock(&w->lock);
	watch_fn *fn = w->fn;
	void *arg = w->arg;

	w->calls++;
	lock_unlock(&w->lock);
	if (fn)
		fn(arg, c);
	lock_lock(&w->lock);
	w->calls--;
	lock_cond_broadcast(&w->told);
	lock_unlock(&w->lock);
}

/* Actions after which other bytes are read through the node. */
static bool watch_is_content(const char *action)
{
	return !strcmp(action, JOURNAL_SEAL) || !strcmp(action, JOURNAL_LOST);
}

static void watch_tell(struct watch *w, const struct watch_row *r)
{
	struct watch_change c = {
		.action = r->action,
		.ino = r->ino,
		.parent = r->parent,
		.old_parent = r->old_parent,
		.name = r->len ? r->name : NULL,
		.old_name = r->old_len ? r->old_name : NULL,
		.len = r->len,
		.old_len = r->old_len,
		.content = watch_is_content(r->action),
	};

	if (r->ino)
		files_changed(w->lib, r->ino, c.content);
	watch_call(w, &c);
}

static int watch_top(void *arg, const struct meta_row *row)
{
	*(int64_t *)arg = meta_row_int(row, 0);
	return 0;
}

static int watch_journal_end(struct library *lib, int64_t *top)
{
	int rc = meta_query(library_meta(lib), META_WATCH_TOP, 0, NULL, watch_top, top);

	return rc < 0 ? rc : 0;
}

/* Tells all rows up to the journal's end as it is now. */
static int watch_round(struct watch *w)
{
	int64_t top = w->last;
	int rc = watch_journal_end(w->lib, &top);

	while (rc >= 0 && w->last < top) {
		w->count = 0;
		rc = META_QUERY(library_meta(w->lib), WATCH_SINCE, watch_row, w, META_I(w->last),
				META_I(top), META_B(w->lib->instance, sizeof(w->lib->instance)),
				META_I(WATCH_PAGE));
		for (size_t i = 0; rc >= 0 && i < w->count; i++)
			watch_tell(w, &w->rows[i]);
		if (rc >= 0)
			w->last = w->count == WATCH_PAGE ? w->rows[w->count - 1].seq : top;
	}
	return rc < 0 ? rc : 0;
}

/*
 * Waits for a poke or the time; false when the watch stops. *ticket: what the coming round answers.
 */
static bool watch_wait(struct watch *w, uint64_t *ticket)
{
	int64_t until = time_mono_ns() + WATCH_EVERY_NS;

	lock_lock(&w->lock);
	while (!w->stop && w->poked == w->done)
		if (lock_cond_wait_until(&w->wake, &w->lock, until))
			break;
	*ticket = w->poked;
	bool stop = w->stop;

	lock_unlock(&w->lock);
	return !stop;
}

static void *watch_main(void *arg)
{
	struct watch *w = arg;
	uint64_t ticket;

	while (watch_wait(w, &ticket)) {
		int rc = watch_round(w);

		if (rc && rc != w->logged)
			log_error("the journal cannot be read, changes by other processes are seen "
				  "late: %s",
				  err_text(rc));
		w->logged = rc;
		lock_lock(&w->lock);
		w->done = ticket;
		lock_cond_broadcast(&w->told);
		lock_unlock(&w->lock);
	}
	return NULL;
}

void watch_listen(struct library *lib, watch_fn *fn, void *arg)
{
	struct watch *w = lib->watch;

	if (!w)
		return;
	lock_lock(&w->lock);
	w->fn = fn;
	w->arg = arg;
	while (!fn && w->calls)
		lock_cond_wait(&w->told, &w->lock);
	lock_unlock(&w->lock);
}

void watch_tell_content(struct library *lib, int64_t ino)
{
	if (lib->watch)
		watch_call(lib->watch, &(struct watch_change){ .action = JOURNAL_SEAL,
							       .ino = ino,
							       .content = true });
}

uint64_t watch_poke(struct library *lib)
{
	struct watch *w = lib->watch;

	if (!w)
		return 0;
	lock_lock(&w->lock);
	uint64_t ticket = ++w->poked;

	lock_cond_signal(&w->wake);
	lock_unlock(&w->lock);
	return ticket;
}

bool watch_told(struct library *lib, uint64_t ticket)
{
	struct watch *w = lib->watch;

	if (!w)
		return true;
	lock_lock(&w->lock);
	bool told = w->stop || w->done >= ticket;

	lock_unlock(&w->lock);
	return told;
}

static void watch_free(struct watch *w)
{
	lock_cond_release(&w->told);
	lock_cond_release(&w->wake);
	lock_release(&w->lock);
	free(w);
}

int watch_start(struct library *lib)
{
	struct watch *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	w->lib = lib;
	lock_init(&w->lock, LOCK_RANK_SEALER);
	lock_cond_init(&w->wake);
	lock_cond_init(&w->told);
	int rc = watch_journal_end(lib, &w->last);

	if (rc == 0)
		rc = thread_start("garner-watch", watch_main, w, &w->thread);
	if (rc) {
		watch_free(w);
		return rc;
	}
	lib->watch = w;
	return 0;
}

void watch_stop(struct library *lib)
{
	struct watch *w = lib->watch;

	if (!w)
		return;
	lock_lock(&w->lock);
	w->stop = true;
	lock_cond_broadcast(&w->wake);
	lock_unlock(&w->lock);
	pthread_join(w->thread, NULL);
	lib->watch = NULL;
	watch_free(w);
}
