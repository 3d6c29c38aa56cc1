/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A draft's content as runs of bytes and holes, for seeking and for cutting. */
#include "config.h"

#include "content/draft-internal.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * The run of the draft's file at `off`, of at most `len` bytes: data, or a hole, also beyond the file's end. 0 or negative errno; a filesystem that
 * cannot tell has data everywhere.
 */
static int draft_file_run(struct draft *d, uint64_t off, uint64_t len, struct draft_run *out)
{
	int fd = blob_fd(d->file);
	off_t data = lseek(fd, (off_t)off, SEEK_DATA);

	*out = (struct draft_run){ .start = off, .len = len, .kind = VIEW_ZERO };
	if (data < 0 && errno == ENXIO)
		return 0;
	if (data < 0 && errno != EINVAL)
		return -errno;
	if (data > (off_t)off) {
		if ((uint64_t)data - off < len)
			out->len = (uint64_t)data - off;
		return 0;
	}
	off_t hole = lseek(fd, (off_t)off, SEEK_HOLE);

	out->kind = VIEW_BLOB;
	if (hole > (off_t)off && (uint64_t)hole - off < len)
		out->len = (uint64_t)hole - off;
	return 0;
}

/* The run at `off`: 1, 0 at or beyond the end, or negative errno. */
static int draft_run_at(struct draft *d, uint64_t off, struct draft_run *out)
{
	struct extent e = { .start = off, .kind = EXTENT_DRAFT };
	int err;

	lock_lock(&d->lock);
	bool plain = d->plain;
	int found = extent_at(&d->map, off, &e);

	lock_unlock(&d->lock);
	if (plain) {
		uint64_t size = draft_size(d);

		found = off < size;
		e.len = size - off;
	}
	if (!found)
		return 0;
	if (e.kind == EXTENT_DRAFT) {
		err = draft_file_run(d, off, e.len, out);
		return err ? err : 1;
	}
	*out = (struct draft_run){ .start = off, .len = e.len, .kind = VIEW_ZERO };
	if (e.kind == EXTENT_BASE) {
		out->kind = VIEW_BLOB;
		out->object = e.object;
		out->off = e.source;
	}
	return 1;
}

int draft_runs(struct draft *d, int (*fn)(void *arg, const struct draft_run *run), void *arg)
{
	struct draft_run run;
	uint64_t at = 0;
	int got;

	while ((got = draft_run_at(d, at, &run)) > 0) {
		int stop = fn(arg, &run);

		if (stop)
			return stop;
		at += run.len;
	}
	return got;
}

/* Where what is sought begins within the run of a base, or -1. */
static int64_t draft_seek_base(struct draft *d, const struct draft_run *run, int whence)
{
	lock_lock(&d->lock);
	struct view *view = draft_base_locked(d, run->object);

	lock_unlock(&d->lock);
	int64_t at = view_seek(view, run->off, whence);

	if (at < 0 || (uint64_t)at - run->off >= run->len)
		return -1;
	return (int64_t)(run->start + ((uint64_t)at - run->off));
}

int64_t draft_seek(struct draft *d, uint64_t off, int whence)
{
	struct draft_run run;
	uint64_t at = off;
	int got;

	if (whence != SEEK_DATA && whence != SEEK_HOLE)
		return -EINVAL;
	if (off >= draft_size(d))
		return -ENXIO;
	while ((got = draft_run_at(d, at, &run)) > 0) {
		if (run.object) {
			int64_t found = draft_seek_base(d, &run, whence);

			if (found >= 0)
				return found;
		} else if ((run.kind == VIEW_ZERO) == (whence == SEEK_HOLE)) {
			return (int64_t)at;
		}
		at += run.len;
	}
	if (got < 0)
		return got;
	return whence == SEEK_HOLE ? (int64_t)at : -ENXIO;
}
