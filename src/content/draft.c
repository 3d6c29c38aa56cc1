/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The life of a draft: taken, opened, laid over an object, made quiet, given back. */
#include "config.h"

#include "content/draft-internal.h"
#include "util/err.h"
#include "util/io.h"
#include "util/log.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct draft *draft_new_bare(struct content *c, int64_t blob, bool read_only)
{
	struct draft *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->content = c;
	d->blob = blob;
	d->read_only = read_only;
	d->fd = -1;
	d->plain = true;
	d->cut = UINT64_MAX;
	lock_init(&d->lock, LOCK_RANK_CONTENT);
	lock_cond_init(&d->calm);
	return d;
}

int draft_new(struct content *c, int64_t blob, bool read_only, struct draft **out)
{
	struct draft *d = draft_new_bare(c, blob, read_only);

	if (!d)
		return -ENOMEM;
	int err = blobs_get(c->blobs, blob, &d->file);

	if (err) {
		d->file = NULL;
		draft_free(d);
		return err;
	}
	*out = d;
	return 0;
}

int draft_take(struct content *c, struct draft **out)
{
	int64_t blob;
	int err = draft_pool_take(c, &blob);

	if (err)
		return err;
	err = draft_new(c, blob, false, out);
	if (err)
		draft_pool_return(c, blob);
	return err;
}

struct draft_row {
	bool plain, doubt;
};

static int draft_row(void *arg, const struct meta_row *row)
{
	struct draft_row *r = arg;

	if (meta_row_int(row, 0) != CONTENT_BLOB_DRAFT)
		return ERR_CORRUPT;
	r->plain = meta_row_int(row, 1) != 0;
	r->doubt = meta_row_int(row, 2) != 0;
	return 0;
}

int draft_open(struct content *c, int64_t blob, uint64_t size, bool read_only, struct draft **out)
{
	struct draft *d = NULL;
	struct draft_row r = { 0 };
	int got = META_QUERY(c->meta, BLOB_GET, draft_row, &r, META_I(blob));

	if (got <= 0) {
		int err = got ? got : ERR_CORRUPT;

		if (err == ERR_CORRUPT)
			log_error("blob %" PRId64 " is not a draft", blob);
		return err;
	}
	int err = draft_new(c, blob, read_only, &d);

	if (!err) {
		/* It may be the very one. */
		d->frozen = __atomic_load_n(&c->frozen, __ATOMIC_ACQUIRE);
		d->doubt = d->doubt_told = r.doubt;
	}
	if (!err && !r.plain) {
		d->plain = false;
		err = draft_load(d, size);
	}
	if (err)
		draft_free(d);
	else
		*out = d;
	return err;
}

void draft_free(struct draft *d)
{
	if (!d)
		return;
	assert(!d->changes && !d->exclusive);
	if (d->file)
		blob_put(d->file);
	if (d->fd >= 0)
		close(d->fd);
	for (size_t i = 0; i < d->base_count; i++)
		view_put(d->bases[i].view);
	free(d->bases);
	extent_release(&d->map);
	extent_release(&d->dirty);
	lock_cond_release(&d->calm);
	lock_release(&d->lock);
	free(d);
}

int64_t draft_blob(const struct draft *d)
{
	return d->blob;
}

bool draft_is_plain(struct draft *d)
{
	lock_lock(&d->lock);
	bool plain = d->plain;

	lock_unlock(&d->lock);
	return plain;
}

bool draft_is_frozen(const struct draft *d)
{
	return d->frozen;
}

/* Waits for whatever is exclusive. */
static void draft_wait_locked(struct draft *d) LOCK_REQUIRES(&d->lock)
{
	while (d->exclusive)
		lock_cond_wait(&d->calm, &d->lock);
}

int draft_change_begin(struct draft *d, int *fd)
{
	if (d->read_only)
		return -EROFS;
	if (d->frozen)
		return -EIO;
	lock_lock(&d->lock);
	draft_wait_locked(d);
	while (d->fd < 0) {
		lock_unlock(&d->lock);
		int fresh = blobs_open_write(d->content->blobs, d->blob);

		if (fresh < 0)
			return fresh;
		lock_lock(&d->lock);
		if (d->fd >= 0)
			close(fresh);
		else
			d->fd = fresh;
		draft_wait_locked(d);
	}
	d->changes++;
	d->epoch++;
	*fd = d->fd;
	lock_unlock(&d->lock);
	return 0;
}

void draft_change_end_locked(struct draft *d)
{
	assert(d->changes);
	if (--d->changes == 0)
		lock_cond_broadcast(&d->calm);
}

void draft_change_end(struct draft *d)
{
	lock_lock(&d->lock);
	draft_change_end_locked(d);
	lock_unlock(&d->lock);
}

void draft_exclude(struct draft *d)
{
	lock_lock(&d->lock);
	while (d->exclusive || d->changes)
		lock_cond_wait(&d->calm, &d->lock);
	d->exclusive = true;
	lock_unlock(&d->lock);
}

void draft_include(struct draft *d)
{
	lock_lock(&d->lock);
	d->exclusive = false;
	lock_cond_broadcast(&d->calm);
	lock_unlock(&d->lock);
}

uint64_t draft_epoch(struct draft *d)
{
	lock_lock(&d->lock);
	uint64_t epoch = d->epoch;

	lock_unlock(&d->lock);
	return epoch;
}

int draft_fill(struct draft *d, uint64_t epoch, const void *buf, size_t len, uint64_t off)
{
	lock_lock(&d->lock);
	draft_wait_locked(d);
	if (d->changes || d->epoch != epoch) {
		lock_unlock(&d->lock);
		return -ECANCELED;
	}
	d->exclusive = true;
	lock_unlock(&d->lock);
	int fd = blobs_open_write(d->content->blobs, d->blob);
	int err = fd < 0 ? fd : io_pwrite_full(fd, buf, len, off);

	if (fd >= 0)
		close(fd);
	draft_include(d);
	return err;
}

struct view *draft_base_locked(struct draft *d, int64_t object)
{
	for (size_t i = 0; i < d->base_count; i++) {
		if (d->bases[i].object == object)
			return d->bases[i].view;
	}
	return NULL;
}

/* Adds a base unless it is there; takes the view over when it returns 1. */
static int draft_add_base_locked(struct draft *d, int64_t object, struct view *view)
	LOCK_REQUIRES(&d->lock)
{
	if (draft_base_locked(d, object))
		return 0;
	struct draft_base *bases = reallocarray(d->bases, d->base_count + 1, sizeof(*bases));

	if (!bases)
		return -ENOMEM;
	d->bases = bases;
	bases[d->base_count++] = (struct draft_base){ .object = object, .view = view };
	return 1;
}

int draft_need_base(struct draft *d, int64_t object)
{
	struct view *view = NULL;

	lock_lock(&d->lock);
	bool there = draft_base_locked(d, object) != NULL;

	lock_unlock(&d->lock);
	if (there)
		return 0;
	int err = view_of_object(d->content, object, &view);

	if (err)
		return err;
	lock_lock(&d->lock);
	int added = draft_add_base_locked(d, object, view);

	lock_unlock(&d->lock);
	if (added <= 0)
		view_put(view);
	return added < 0 ? added : 0;
}

int draft_lay_over(struct draft *d, int64_t object, uint64_t size, struct meta_op *op)
{
	struct extent e = { .len = size, .kind = EXTENT_BASE, .object = object };
	int err = draft_need_base(d, object);

	if (err)
		return err;
	draft_exclude(d);
	lock_lock(&d->lock);
	bool fits = d->plain && size <= draft_base_locked(d, object)->size;

	err = fits ? extent_set(&d->map, &e) : -EINVAL;
	if (!err) {
		d->plain = false;
		d->seq = d->logged = 1;
	}
	lock_unlock(&d->lock);
	draft_include(d);
	if (err)
		return err;
	META_ADD(op, DRAFT_OVERLAY, META_ONE, -ESTALE, META_I(d->blob));
	META_ADD(op, DRAFT_EXTENT_ADD, META_ONE, 0, META_I(d->blob), META_I(1), META_I(EXTENT_BASE),
		 META_I(0), META_I(size), META_I(object), META_I(0));
	return 0;
}

bool draft_rest(struct draft *d)
{
	int fd = -1;

	lock_lock(&d->lock);
	bool changing = d->changes || d->exclusive;

	if (!changing) {
		fd = d->fd;
		d->fd = -1;
	}
	lock_unlock(&d->lock);
	if (fd >= 0)
		close(fd);
	return !changing;
}

int draft_quiesce(struct draft *d)
{
	return draft_rest(d) ? blobs_quiet(d->content->blobs, d->blob) : 0;
}

void draft_add_release(struct draft *d, struct meta_op *op)
{
	META_ADD(op, DRAFT_RELEASE, META_ONE, -ESTALE, META_I(d->blob), CONTENT_OWNER(d->content));
	META_ADD(op, DRAFT_EXTENT_CLEAR, META_ANY, 0, META_I(d->blob));
}

void draft_recycle(struct content *c, struct draft **d)
{
	int64_t blob = (*d)->blob;
	uint64_t bytes = 0;

	blobs_stat(c->blobs, blob, NULL, &bytes);
	draft_free(*d);
	*d = NULL;
	draft_pool_give(c, blob, bytes);
}
