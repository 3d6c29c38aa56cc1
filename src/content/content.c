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
	*out = c;
	return 0;
}

void content_close(struct content *c)
{
	if (!c)
		return;
	fetch_stop(c);
	/* A task may be making drafts. */
	if (c->pool)
		pool_drain(c->pool);
	bundle_set_release(c);
	draft_pool_release(&c->drafts);
	view_open_release(&c->views);
	collect_release(&c->collect);
	free(c);
}

struct blobs *content_blobs(struct content *c)
{
	return c->blobs;
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
