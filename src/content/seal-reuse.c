/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Taking content in without a second copy of its bytes: the home begins as a clone of the source's file, or is that file.
 *
 * An adopted file has two names until the caller removes the source's. Its blob's row is a home of this instance from the start, never a
 * draft: a spare draft would be emptied, and with it the source. Where it is given up only the name goes; its bytes are never changed while
 * there is another name (blobs_punch()).
 */
#include "config.h"

#include "content/seal-internal.h"
#include "util/err.h"
#include "util/log.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

/* The draft is kept for the copy when it cannot be cloned into. */
static int seal_clone(struct seal *s, struct seal_item *it)
{
	int fd, err;

	if (!blobs_caps(s->content->blobs)->reflink)
		return 0;
	err = draft_take(s->content, &it->draft);
	if (err)
		return err;
	it->own = true;
	err = draft_change_begin(it->draft, &fd);
	if (err)
		return err;
	it->filled = ioctl(fd, FICLONE, it->source->fd) == 0;
	draft_change_end(it->draft);
	return it->filled && draft_size(it->draft) != it->size ? -ECANCELED : 0;
}

struct seal_adoption {
	struct content *content;
	int64_t blob;
};

static void seal_adopt_fill(struct meta_op *op, void *arg)
{
	const struct seal_adoption *a = arg;

	META_ADD(op, BLOB_ADD, META_ONE, -EEXIST, META_I(a->blob), META_I(CONTENT_BLOB_HOME),
		 CONTENT_OWNER(a->content));
}

static void seal_drop_fill(struct meta_op *op, void *arg)
{
	const struct seal_adoption *a = arg;

	META_ADD(op, HOME_DROP, META_ONE, -EAGAIN, META_I(a->blob));
}

static int seal_adopt(struct seal *s, struct seal_item *it)
{
	struct seal_adoption a = { s->content, meta_next_id(s->content->meta, META_SEQ_BLOB) };
	int err = a.blob < 0 ? (int)a.blob : content_change(s->content, seal_adopt_fill, &a);

	if (err)
		return err;
	err = blobs_link(s->content->blobs, a.blob, it->source->fd);
	if (!err)
		err = draft_new(s->content, a.blob, true, &it->draft);
	if (err) {
		blobs_unlink(s->content->blobs, a.blob);
		return content_change(s->content, seal_drop_fill, &a);
	}
	it->own = it->filled = it->adopted = true;
	return draft_size(it->draft) != it->size ? -ECANCELED : 0;
}

int seal_reuse(struct seal *s, struct seal_item *it)
{
	if (!it->source || it->small)
		return 0;
	switch (it->source->reuse) {
	case SEAL_CLONE:
		return seal_clone(s, it);
	case SEAL_ADOPT:
		return seal_adopt(s, it);
	case SEAL_COPY:
		break;
	}
	return 0;
}

void seal_reuse_add(const struct seal_item *it, const struct meta_value *owner, struct meta_op *op)
{
	int64_t blob = draft_blob(it->draft);

	if (it->home)
		META_ADD(op, HOME_KEEP, META_ONE, -ESTALE, META_I(blob), META_I(it->size), *owner);
	else
		META_ADD(op, HOME_DROP, META_ONE, -ESTALE, META_I(blob));
}

void seal_reuse_drop(struct seal *s, struct seal_item *it)
{
	struct seal_adoption a = { s->content, draft_blob(it->draft) };
	int err = 0;

	if (it->phase != SEAL_FINISHED)
		err = content_change(s->content, seal_drop_fill, &a);
	/* -EAGAIN: the operation was applied after all, and the file is a home. */
	if (!err)
		err = blobs_unlink(s->content->blobs, a.blob);
	if (err && err != -EAGAIN)
		log_warn("blob %" PRId64 " was not given up: %s", a.blob, err_text(err));
}

bool seal_adopted(const struct seal *s, size_t i)
{
	return s->items[i].adopted && s->items[i].home;
}

static void seal_disown_fill(struct meta_op *op, void *arg)
{
	const struct seal_adoption *a = arg;

	META_ADD(op, HOME_PLACES_DROP, META_ANY, 0, META_I(a->blob));
	META_ADD(op, HOME_DROP, META_ONE, -ESTALE, META_I(a->blob));
}

int seal_disown(struct seal *s, size_t i)
{
	struct seal_item *it = &s->items[i];
	struct seal_adoption a = { s->content, draft_blob(it->draft) };
	int err = content_change(s->content, seal_disown_fill, &a);

	if (!err)
		it->home = false;
	return err;
}
