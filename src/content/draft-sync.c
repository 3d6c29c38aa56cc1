/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A draft's bytes on the disk, and what becomes of it when the disk failed to keep them.
 *
 * The kernel tells of a failed write-back once for each descriptor, calls the pages clean, and may drop them: a second fdatasync that succeeds proves
 * nothing, nor does reading, which may find either what was written or what was on the disk before. (PostgreSQL, which learnt it the hard way in 2018, stops
 * and replays its log; here there is no log of content.) So the doubt stays with the draft, in its row too: it cannot be synced nor sealed until it
 * was emptied, or removed, or someone who knows takes what the disk has (draft_trust()).
 */
#include "config.h"

#include "content/draft-internal.h"
#include "util/cleanup.h"
#include "util/err.h"
#include "util/io.h"
#include "util/log.h"
#include "util/time.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

static void doubt_fill(struct meta_op *op, void *arg)
{
	const struct draft *d = arg;

	META_ADD(op, DRAFT_DOUBT, META_ANY, 0, META_I(d->blob), META_I(time_now_ns()));
}

static void draft_doubt(struct draft *d, int why)
{
	lock_lock(&d->lock);
	bool first = !d->doubt;

	d->doubt = d->doubt_told = true;
	lock_unlock(&d->lock);
	if (!first)
		return;
	log_error("draft %" PRId64 ": the disk failed to keep what was written: %s", d->blob,
		  err_text(why));
	int err = d->read_only ? 0 : content_change(d->content, doubt_fill, d);

	if (err)
		log_error("draft %" PRId64 ": that could not be recorded: %s", d->blob,
			  err_text(err));
}

static bool draft_in_doubt(struct draft *d)
{
	lock_lock(&d->lock);
	bool doubt = d->doubt;

	lock_unlock(&d->lock);
	return doubt;
}

/* A copy of the writer's descriptor where there is one, which is sure to hear of an error of its own pages; -1: none. */
static int draft_writer(struct draft *d)
{
	lock_lock(&d->lock);
	int fd = d->fd >= 0 ? dup(d->fd) : -1;

	lock_unlock(&d->lock);
	return fd;
}

static int draft_sync_with(struct draft *d, int (*sync)(int fd))
{
	CLEANUP_CLOSE int fd = draft_writer(d);
	int err = draft_in_doubt(d) ? -EIO : sync(fd >= 0 ? fd : blob_fd(d->file));

	if (err)
		draft_doubt(d, err);
	return err ? err : blobs_sync_names(d->content->blobs);
}

int draft_sync(struct draft *d)
{
	return draft_sync_with(d, io_sync_data);
}

int draft_sync_all(struct draft *d)
{
	return draft_sync_with(d, io_sync_file);
}

int draft_check(struct draft *d)
{
	CLEANUP_CLOSE int fd = draft_writer(d);

	if (draft_in_doubt(d))
		return -EIO;
	if (!sync_file_range(fd >= 0 ? fd : blob_fd(d->file), 0, 0, SYNC_FILE_RANGE_WAIT_BEFORE) ||
	    (errno != EIO && errno != ENOSPC && errno != EDQUOT))
		return 0;
	draft_doubt(d, -errno);
	return -EIO;
}

void draft_emptied_locked(struct draft *d)
{
	d->doubt = false;
}

void draft_save_doubt_locked(struct draft *d, struct meta_op *op)
{
	if (!d->doubt_told || d->doubt)
		return;
	META_ADD(op, DRAFT_TRUST, META_ANY, 0, META_I(d->blob));
}

static void trust_fill(struct meta_op *op, void *arg)
{
	META_ADD(op, DRAFT_TRUST, META_ONE, -ESTALE, META_I(*(int64_t *)arg));
}

int draft_trust(struct content *c, int64_t blob)
{
	CLEANUP_CLOSE int fd = blobs_open_write(c->blobs, blob);
	int err = fd < 0 ? fd : io_sync_data(fd);

	/* What is read from now on comes from the disk. */
	if (!err)
		err = -posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	return err ? err : content_change(c, trust_fill, &blob);
}
