/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Opening and closing what handles the bytes of one library. */
#include "config.h"

#include "content/content-internal.h"
#include "content/fetch.h"
#include "util/cleanup.h"
#include "util/pool.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum { CONTENT_BUNDLE_LIMIT = 64 * 1024, CONTENT_BUNDLE_SIZE = 64 * 1024 * 1024 };

int content_open(struct meta *meta, struct blobs *blobs, struct pool *pool,
		 const struct content_params *params, struct content **out)
{
	if (!hash_available(params->algo))
		return -EINVAL;
	struct content *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	if (chunker_init(&c->chunker, &params->chunker)) {
		free(c);
		return -EINVAL;
	}
	c->meta = meta;
	c->blobs = blobs;
	c->pool = pool;
	c->params = *params;
	if (!c->params.bundle_limit)
		c->params.bundle_limit = CONTENT_BUNDLE_LIMIT;
	if (!c->params.bundle_size)
		c->params.bundle_size = CONTENT_BUNDLE_SIZE;
	draft_pool_init(&c->drafts);
	bundle_set_init(&c->bundles);
	view_open_init(&c->views);
	used_init(&c->used);
	space_init(&c->space);
	lock_init(&c->trim_lock, LOCK_RANK_CONTENT);
	lock_cond_init(&c->trimmed);
	*out = c;
	return 0;
}

void content_close(struct content *c)
{
	if (!c)
		return;
	(void)used_record(c);
	fetch_stop(c);
	/* A task may be making drafts. */
	if (c->pool)
		pool_drain(c->pool);
	bundle_set_release(c);
	draft_pool_release(&c->drafts);
	view_open_release(&c->views);
	used_release(&c->used);
	collect_release(&c->collect);
	space_release(&c->space);
	lock_cond_release(&c->trimmed);
	lock_release(&c->trim_lock);
	free(c);
}

struct blobs *content_blobs(struct content *c)
{
	return c->blobs;
}

void content_move_begin(struct content *c)
{
	__atomic_add_fetch(&c->moves_begun, 1, __ATOMIC_SEQ_CST);
}

void content_move_end(struct content *c)
{
	__atomic_add_fetch(&c->moves_ended, 1, __ATOMIC_SEQ_CST);
}

void content_trim_begin(struct content *c)
{
	lock_lock(&c->trim_lock);
	while (c->trimming)
		lock_cond_wait(&c->trimmed, &c->trim_lock);
	c->trimming = true;
	lock_unlock(&c->trim_lock);
}

void content_trim_end(struct content *c)
{
	lock_lock(&c->trim_lock);
	c->trimming = false;
	lock_cond_broadcast(&c->trimmed);
	lock_unlock(&c->trim_lock);
}

int content_change(struct content *c, void (*fill)(struct meta_op *op, void *arg), void *arg)
{
	struct meta_op *op = meta_op_new();

	if (!op)
		return -ENOMEM;
	fill(op, arg);
	int err = meta_apply(c->meta, op);

	meta_op_free(op);
	return err;
}

int content_empty_file(struct content *c, int64_t blob)
{
	int err = blobs_create(c->blobs, blob);

	if (err != -EEXIST)
		return err;
	CLEANUP_CLOSE int fd = blobs_open_write(c->blobs, blob);

	if (fd < 0)
		return fd;
	return ftruncate(fd, 0) ? -errno : 0;
}
