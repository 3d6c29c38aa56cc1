/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Bundles. A range is reserved under the lock and written outside it, so threads append side by side.
 *
 * A bundle's life: OPEN (set->open) -> closed (no longer there; appends that are under way still hold it) -> freed by the last put, which
 * also takes this instance's name off its row.
 *
 * The kernel tells of a failed write-back once per open file, and calls the pages clean after. All who appended share this one, so whoever is told tells
 * them: one thread at a time syncs, and a failure is the bundle's for good.
 */
#include "config.h"

#include "content/content-internal.h"
#include "util/err.h"
#include "util/io.h"
#include "util/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BUNDLE_ADOPT_TRIES = 4 };

struct bundle {
	int64_t id;
	int fd;
	uint64_t size;  /* where the next append goes; under the set's lock */
	unsigned users; /* the set counts as one while it is open; under the set's lock */
	bool syncing;   /* one thread syncs it; under the set's lock */
	bool failed;    /* a sync failed; under the set's lock */
};

struct bundle_row {
	struct content *c;
	int64_t id;
};

void bundle_set_init(struct bundle_set *s)
{
	*s = (struct bundle_set){ 0 };
	lock_init(&s->lock, LOCK_RANK_CONTENT);
	lock_cond_init(&s->opened);
	lock_cond_init(&s->synced);
}

void bundle_set_release(struct content *c)
{
	bundle_put(c, c->bundles.open);
	lock_cond_release(&c->bundles.synced);
	lock_cond_release(&c->bundles.opened);
	lock_release(&c->bundles.lock);
}

static void bundle_fill_disown(struct meta_op *op, void *arg)
{
	const struct bundle_row *row = arg;

	META_ADD(op, BLOB_DISOWN, META_ANY, 0, META_I(row->id), CONTENT_OWNER(row->c));
}

/* When the row cannot be changed it goes on to name this instance, and is free once that is dead. */
static void bundle_free(struct content *c, struct bundle *b)
{
	struct bundle_row row = { .c = c, .id = b->id };
	int err = content_change(c, bundle_fill_disown, &row);

	if (err)
		log_warn("bundle %" PRId64 " was not given up: %s", b->id, err_text(err));
	close(b->fd);
	free(b);
}

void bundle_put(struct content *c, struct bundle *b)
{
	if (!b)
		return;
	lock_lock(&c->bundles.lock);
	bool last = --b->users == 0;

	lock_unlock(&c->bundles.lock);
	if (last)
		bundle_free(c, b);
}

static int bundle_new(int64_t id, int fd, uint64_t size, struct bundle **out)
{
	struct bundle *b = calloc(1, sizeof(*b));

	if (!b) {
		close(fd);
		return -ENOMEM;
	}
	*b = (struct bundle){ .id = id, .fd = fd, .size = size, .users = 1 };
	*out = b;
	return 0;
}

static void bundle_fill_make(struct meta_op *op, void *arg)
{
	const struct bundle_row *row = arg;

	META_ADD(op, BLOB_ADD, META_ONE, -EEXIST, META_I(row->id), META_I(CONTENT_BLOB_BUNDLE),
		 CONTENT_OWNER(row->c));
}

static int bundle_make(struct content *c, struct bundle **out)
{
	struct bundle_row row = { .c = c, .id = meta_next_id(c->meta, META_SEQ_BLOB) };

	if (row.id < 0)
		return (int)row.id;
	int err = content_change(c, bundle_fill_make, &row);

	if (!err)
		err = content_empty_file(c, row.id);
	if (err)
		return err;
	int fd = blobs_open_write(c->blobs, row.id);

	if (fd < 0)
		return fd;
	return bundle_new(row.id, fd, 0, out);
}

/* Bundles of dead instances, newest first. */
struct bundle_spare {
	int64_t ids[BUNDLE_ADOPT_TRIES];
	uint64_t ends[BUNDLE_ADOPT_TRIES]; /* of their last places */
	size_t count;
};

static int bundle_spare_row(void *arg, const struct meta_row *row)
{
	struct bundle_spare *s = arg;

	s->ids[s->count] = meta_row_int(row, 0);
	s->ends[s->count] = (uint64_t)meta_row_int(row, 1);
	return ++s->count == BUNDLE_ADOPT_TRIES;
}

static void bundle_fill_adopt(struct meta_op *op, void *arg)
{
	const struct bundle_row *row = arg;

	META_ADD(op, BLOB_ADOPT, META_ONE, -EAGAIN, META_I(row->id), META_I(CONTENT_BLOB_BUNDLE),
		 CONTENT_OWNER(row->c));
}

/*
 * Opens spare bundle `id` if it has room. Appends go behind its last byte and its last place, wherever a damaged file may end. 1, 0
 * or negative error.
 */
static int bundle_take_over(struct content *c, int64_t id, uint64_t end, struct bundle **out)
{
	struct bundle_row row = { .c = c, .id = id };
	uint64_t size;
	int err = blobs_stat(c->blobs, id, &size, NULL);

	if (err)
		return err;
	size = size > end ? size : end;
	if (size >= c->params.bundle_size)
		return 0;
	err = content_change(c, bundle_fill_adopt, &row);
	if (err)
		return err;
	int fd = blobs_open_write(c->blobs, id);

	if (fd < 0)
		return fd;
	err = bundle_new(id, fd, size, out);
	return err ? err : 1;
}

/* Takes over a spare bundle with room, if there is one. True if *out is set. */
static bool bundle_adopt(struct content *c, struct bundle **out)
{
	struct bundle_spare spare = { .count = 0 };
	int got = META_QUERY(c->meta, BUNDLE_SPARE, bundle_spare_row, &spare,
			     META_I(BUNDLE_ADOPT_TRIES));

	if (got < 0)
		log_warn("spare bundles were not found: %s", err_text(got));
	for (size_t i = 0; i < spare.count; i++) {
		got = bundle_take_over(c, spare.ids[i], spare.ends[i], out);
		if (got > 0)
			return true;
		if (got < 0)
			log_warn("bundle %" PRId64 " was not taken over: %s", spare.ids[i],
				 err_text(got));
	}
	return false;
}

/* Opens a bundle for appending; the set is busy with this thread. */
static int bundle_open_busy(struct content *c, struct bundle **out)
{
	bool first = !c->bundles.adopted;

	c->bundles.adopted = true;
	if (first && c->params.adopt && bundle_adopt(c, out))
		return 0;
	return bundle_make(c, out);
}

/* Opens a bundle while the lock is given up, or waits for the thread that does. */
static int bundle_open_locked(struct content *c, struct bundle_set *s) LOCK_REQUIRES(&s->lock)
{
	struct bundle *b = NULL;

	if (s->busy) {
		lock_cond_wait(&s->opened, &s->lock);
		return 0;
	}
	s->busy = true;
	lock_unlock(&s->lock);
	int err = bundle_open_busy(c, &b);

	lock_lock(&s->lock);
	s->busy = false;
	s->open = b;
	lock_cond_broadcast(&s->opened);
	return err;
}

/* Reserves `len` bytes; *closed is a bundle that is full now, to be put, or NULL. */
static int bundle_reserve(struct content *c, size_t len, struct bundle **out, uint64_t *start,
			  struct bundle **closed)
{
	struct bundle_set *s = &c->bundles;
	int err = 0;

	lock_lock(&s->lock);
	while (!err && !s->open)
		err = bundle_open_locked(c, s);
	if (!err) {
		struct bundle *b = s->open;

		*out = b;
		*start = b->size;
		b->size += len;
		b->users++;
		if (b->size >= c->params.bundle_size) {
			*closed = b;
			s->open = NULL;
		}
	}
	lock_unlock(&s->lock);
	return err;
}

int bundle_append(struct content *c, const void *data, size_t len, struct bundle **out,
		  uint64_t *start)
{
	struct bundle *b = NULL, *closed = NULL;
	uint64_t at;
	int err = bundle_reserve(c, len, &b, &at, &closed);

	if (err)
		return err;
	err = io_pwrite_full(b->fd, data, len, at);
	bundle_put(c, closed);
	if (err) {
		bundle_put(c, b);
		return err;
	}
	*out = b;
	*start = at;
	return 0;
}

/* Makes this thread the one that syncs; false when a sync has failed. */
static bool bundle_sync_begin(struct bundle_set *s, struct bundle *b)
{
	lock_lock(&s->lock);
	while (b->syncing)
		lock_cond_wait(&s->synced, &s->lock);
	b->syncing = !b->failed;
	bool begun = b->syncing;

	lock_unlock(&s->lock);
	return begun;
}

/* After a failure nothing more is appended; *closed is to be put. */
static void bundle_sync_end(struct bundle_set *s, struct bundle *b, bool failed,
			    struct bundle **closed)
{
	lock_lock(&s->lock);
	b->syncing = false;
	b->failed = failed;
	if (failed && s->open == b) {
		*closed = b;
		s->open = NULL;
	}
	lock_cond_broadcast(&s->synced);
	lock_unlock(&s->lock);
}

int bundle_sync(struct content *c, struct bundle *b)
{
	struct bundle *closed = NULL;

	if (!bundle_sync_begin(&c->bundles, b))
		return -EIO;
	int err = io_sync_data(b->fd);

	bundle_sync_end(&c->bundles, b, err != 0, &closed);
	if (err)
		log_error("bundle %" PRId64 ": sync: %s", b->id, err_text(err));
	bundle_put(c, closed);
	return err ? err : blobs_sync_names(c->blobs);
}

int64_t bundle_blob(const struct bundle *b)
{
	return b->id;
}
