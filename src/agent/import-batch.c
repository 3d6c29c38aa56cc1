/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a worker does with items: open and decide, seal the content of all at once, one operation for all. Where that fails for one of many, each is tried
 * alone, so that the one is found and the others are done.
 */
#include "config.h"

#include "agent/import-internal.h"
#include "backend/meta/meta.h"
#include "util/err.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Items that are tried together. */
struct import_try {
	struct import *run;
	struct import_item *items;
	size_t count;
	struct seal_source *sources;
	size_t source_count;
	struct seal *seal; /* NULL: nothing to seal */
};

static void import_try_items(struct import *run, struct import_item *items, size_t count);

void import_item_release(struct import *run, struct import_item *item)
{
	import_source_close(item);
	if (item->held >= 0)
		close(item->held);
	item->held = -1;
	free(item->name);
	item->name = NULL;
	if (item->folder)
		import_folder_put(run, item->folder);
	item->folder = NULL;
}

static ssize_t import_read(void *arg, void *buf, size_t len, uint64_t off)
{
	struct import_item *item = arg;
	ssize_t got;

	do
		got = pread(item->fd, buf, len, (off_t)off);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return -errno;
	item->counted += (uint64_t)got;
	import_count(item->run, &item->run->stats.bytes, (uint64_t)got);
	return got;
}

/* Opens what is to be read and decides. In a move no one else may be writing the file. */
static int import_item_begin(struct import *run, struct import_item *item)
{
	int at = import_folder_enter(run, item->folder);
	int err = at < 0 ? at : 0;

	item->run = run;
	if (!err && !item->link_to)
		err = import_source_open(item, at);
	if (at >= 0)
		import_folder_leave(run, item->folder);
	if (!err && run->o->move && item->fd >= 0 && item->held < 0 && !import_source_lease(item))
		err = -ETXTBSY;
	if (!err)
		err = import_plan_decide(run, item);
	item->sealed = !err && item->fd >= 0 &&
		       (item->what == IMPORT_MAKE || item->what == IMPORT_CONTENT ||
			item->what == IMPORT_VERIFY);
	if (!item->sealed && !run->o->move && item->fd >= 0) {
		close(item->fd);
		item->fd = -1;
	}
	return err;
}

static int import_try_seal(struct import_try *t)
{
	struct import *run = t->run;

	t->source_count = 0;
	for (size_t i = 0; i < t->count; i++) {
		struct import_item *item = &t->items[i];

		if (item->err || !item->sealed)
			continue;
		item->source = t->source_count;
		t->sources[t->source_count++] = (struct seal_source){
			.read = import_read,
			.arg = item,
			.size = (uint64_t)item->st.st_size,
			.holes = (const uint64_t(*)[2])item->holes,
			.hole_count = item->hole_count,
			.reuse = import_move_reuse(run, item),
			.fd = item->fd,
		};
	}
	if (!t->source_count)
		return 0;
	return seal_import(library_content(run->lib), t->sources, t->source_count,
			   import_stop_asked, run, &t->seal);
}

/* What was read is only good if nobody wrote meanwhile. */
static void import_try_check(struct import_try *t)
{
	for (size_t i = 0; i < t->count; i++) {
		struct import_item *item = &t->items[i];

		if (item->err || !item->sealed)
			continue;
		item->again = !import_source_same(item) ||
			      (item->held < 0 && !import_source_quiet(item));
		if (!item->again)
			item->err = import_plan_content(t->run, item,
							seal_root(t->seal, item->source));
	}
}

static int import_try_apply(struct import_try *t)
{
	struct meta_op *op = meta_op_new();
	int err = op ? 0 : -ENOMEM;

	for (size_t i = 0; i < t->count && !err; i++) {
		struct import_item *item = &t->items[i];

		if (!item->err && !item->again)
			err = import_plan_add(t->run, item, t->seal, op);
	}
	if (!err && meta_op_count(op))
		err = meta_apply(library_meta(t->run->lib), op);
	meta_op_free(op);
	return err;
}

static void import_count_item(struct import *run, const struct import_item *item,
			      const struct seal_stats *sealed)
{
	struct import_stats *s = &run->stats;

	lock_lock(&run->lock);
	switch (item->what) {
	case IMPORT_NOTHING:
	case IMPORT_VERIFY:
		s->unchanged++;
		break;
	case IMPORT_ATTRS:
	case IMPORT_CONTENT:
		s->changed++;
		break;
	case IMPORT_MAKE:
		*(S_ISREG(item->st.st_mode) ? &s->added : &s->others) += 1;
		break;
	case IMPORT_LINK:
		s->linked++;
		break;
	}
	if (item->what == IMPORT_MAKE || item->what == IMPORT_LINK)
		item->folder->changed = true;
	/* What was cut from a clone, or from the file as a blob, did not come through import_read(). */
	s->bytes += sealed && sealed->read_bytes > item->counted
			    ? sealed->read_bytes - item->counted
			    : 0;
	s->stored_bytes += sealed ? sealed->new_bytes : 0;
	lock_unlock(&run->lock);
}

/* The next name of a file whose first one failed has its turn. */
static void import_item_next(struct import *run, struct import_item *next)
{
	struct import_batch *batch = calloc(1, sizeof(*batch));

	if (!batch) {
		import_fail(run, -ENOMEM);
		return;
	}
	batch->items[batch->count++] = *next;
	*next = (struct import_item){ .fd = -1, .held = -1 };
	import_queue(run, batch, false);
}

/* Items that waited for this one's file. */
static void import_item_waited(struct import *run, struct import_item *item, int64_t node)
{
	size_t count = 0;
	struct import_link *link = item->link;
	struct import_item *waited = link ? import_link_done(run, link, node, &count) : NULL;

	item->link = NULL;
	if (!node && count)
		import_item_next(run, waited);
	for (size_t at = 0; node && at < count; at += IMPORT_BATCH) {
		size_t n = count - at < IMPORT_BATCH ? count - at : IMPORT_BATCH;

		import_try_items(run, waited + at, n);
	}
	for (size_t i = 0; i < count; i++)
		import_item_release(run, &waited[i]);
	free(waited);
}

static void import_item_done(struct import_try *t, struct import_item *item)
{
	bool sealed = item->sealed && t->seal;

	import_count_item(t->run, item, sealed ? seal_stats(t->seal, item->source) : NULL);
	if (t->run->o->move)
		import_move_source(t->run, item, t->seal);
	import_source_close(item);
	import_item_waited(t->run, item,
			   item->what == IMPORT_MAKE ? item->node.ino : item->was.ino);
}

static void import_item_failed(struct import *run, struct import_item *item, int err)
{
	if (err == -EBUSY)
		import_tell(run, item->folder, item->name, true,
			    "in use: it is being written in the library");
	else if (err == -ETXTBSY)
		import_tell(run, item->folder, item->name, true,
			    "in use: another program has it open for writing");
	else if (err == -ESTALE)
		import_tell(run, item->folder, item->name, true, "changes while it is read");
	else
		import_tell_err(run, item->folder, item->name, err);
	import_source_close(item);
	import_item_waited(run, item, 0);
}

/* Whether it makes sense to try an item alone, or once more. */
static bool import_may_retry(const struct import_item *item, int err)
{
	if (import_is_fatal(err) && err != -ECANCELED)
		return false;
	if (err == -EAGAIN || err == -EEXIST || err == -ENOENT)
		return item->tries + 1 < IMPORT_TRIES;
	return (err == -ESTALE || err == -ECANCELED) && item->tries + 1 < IMPORT_TRIES_CHANGED;
}

static void import_item_again(struct import *run, struct import_item *item)
{
	import_source_close(item);
	item->err = 0;
	item->again = false;
	item->tries++;
	import_try_items(run, item, 1);
}

/* All of the try failed. One alone is tried again if that may help. */
static void import_try_failed(struct import_try *t, int err)
{
	struct import *run = t->run;

	seal_free(t->seal);
	t->seal = NULL;
	for (size_t i = 0; i < t->count && !import_stopped(run); i++) {
		struct import_item *item = &t->items[i];

		if (item->err)
			import_item_failed(run, item, item->err);
		else if (import_is_fatal(err) && err != -ECANCELED)
			import_fail(run, err);
		else if (t->count > 1) {
			item->tries -= item->tries > 0;
			import_item_again(run, item);
		} else if (import_may_retry(item, err))
			import_item_again(run, item);
		else
			import_item_failed(run, item, err == -ECANCELED ? -ESTALE : err);
	}
}

/* The operation was applied. */
static void import_try_done(struct import_try *t)
{
	struct import *run = t->run;
	int synced;

	for (size_t i = 0; i < t->count; i++) {
		struct import_item *item = &t->items[i];

		if (!item->err && !item->again && item->sealed && seal_root(t->seal, item->source))
			seal_finish(t->seal, item->source, NULL);
	}
	synced = run->o->move ? meta_sync(library_meta(run->lib)) : 0;
	if (synced)
		import_fail(run, synced);
	for (size_t i = 0; i < t->count && !synced; i++) {
		struct import_item *item = &t->items[i];

		if (!item->err && !item->again)
			import_item_done(t, item);
	}
	seal_free(t->seal);
	t->seal = NULL;
	for (size_t i = 0; i < t->count && !import_stopped(run); i++) {
		struct import_item *item = &t->items[i];

		if (item->err)
			import_item_failed(run, item, item->err);
		else if (item->again && item->tries + 1 < IMPORT_TRIES_CHANGED)
			import_item_again(run, item);
		else if (item->again)
			import_item_failed(run, item, -ESTALE);
	}
}

static void import_try_dry(struct import_try *t)
{
	for (size_t i = 0; i < t->count; i++) {
		struct import_item *item = &t->items[i];

		if (item->err) {
			import_item_failed(t->run, item, item->err);
			continue;
		}
		import_count_item(t->run, item, NULL);
		import_source_close(item);
		import_item_waited(t->run, item, item->was.ino ? item->was.ino : INT64_MAX);
	}
}

static void import_try_items(struct import *run, struct import_item *items, size_t count)
{
	struct seal_source sources[IMPORT_BATCH];
	struct import_try t = { .run = run, .items = items, .count = count, .sources = sources };

	for (size_t i = 0; i < count && !import_stopped(run); i++)
		items[i].err = import_item_begin(run, &items[i]);
	if (import_stopped(run))
		return;
	if (run->o->dry_run) {
		import_try_dry(&t);
		return;
	}
	int err = import_try_seal(&t);

	if (!err) {
		import_try_check(&t);
		err = import_try_apply(&t);
	}
	if (err)
		import_try_failed(&t, err);
	else
		import_try_done(&t);
}

void import_batch_run(struct import *run, struct import_batch *batch)
{
	if (!import_stopped(run))
		import_try_items(run, batch->items, batch->count);
	for (size_t i = 0; i < batch->count; i++)
		import_item_release(run, &batch->items[i]);
	free(batch);
}
