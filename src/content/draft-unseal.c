/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Bytes that must lie in one given file: copies into a draft that others write too, and a home whose file becomes a draft again. What shares storage
 * where the filesystem can is a copy elsewhere.
 */
#include "config.h"

#include "content/draft-internal.h"
#include "util/cleanup.h"
#include "util/err.h"
#include "util/io.h"
#include "util/log.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { UNSEAL_PIECE = 8 << 20, COPY_BUFFER = 1 << 20 };

struct blob *draft_pass(struct draft *d)
{
	__atomic_store_n(&d->passed, true, __ATOMIC_RELAXED);
	return d->file;
}

int draft_fd(const struct draft *d)
{
	return blob_fd(d->file);
}

/* The whole clusters of a range that lies in one blob. 0, or an errno where they cannot be shared. */
static int draft_clone_run(int fd, uint64_t dst, const struct view_run *run, uint64_t skip,
			   uint64_t len)
{
	struct file_clone_range range = { .src_fd = blob_fd(run->blob),
					  .src_offset = run->off + skip,
					  .src_length = len,
					  .dest_offset = dst };

	return ioctl(fd, FICLONERANGE, &range) ? -errno : 0;
}

/* Reads and writes at most one buffer. The count, or negative errno. */
static ssize_t draft_copy_piece(struct draft *d, uint64_t dst, const struct view *v, uint64_t src,
				uint64_t len)
{
	CLEANUP_FREE char *buffer = malloc(COPY_BUFFER);

	if (!buffer)
		return -ENOMEM;
	ssize_t got = view_read_here(v, buffer, len < COPY_BUFFER ? len : COPY_BUFFER, src);

	return got > 0 ? draft_write(d, buffer, (size_t)got, dst) : got;
}

/* Clones what is asked for, where it is all in one blob and the draft is its file alone. True if it did. */
static bool draft_copy_clone(struct draft *d, uint64_t dst, const struct view *v, uint64_t src,
			     uint64_t len)
{
	const struct view_run *run = view_find(v, src);
	int fd;

	if (!blobs_caps(d->content->blobs)->reflink || !run || run->kind != VIEW_BLOB ||
	    src + len > run->start + run->len || draft_change_begin(d, &fd))
		return false;
	bool done = draft_is_plain(d) && !draft_clone_run(fd, dst, run, src - run->start, len);

	draft_change_end(d);
	return done;
}

ssize_t draft_copy(struct draft *d, uint64_t dst, int64_t object, uint64_t src, uint64_t len)
{
	struct view *v = NULL;
	uint64_t done = 0;
	ssize_t n = view_of_object(d->content, object, &v);

	if (n)
		return n;
	if (src >= v->size)
		len = 0;
	else if (len > v->size - src)
		len = v->size - src;
	if (len && draft_copy_clone(d, dst, v, src, len))
		done = len;
	while (done < len) {
		n = draft_copy_piece(d, dst + done, v, src + done, len - done);
		if (n <= 0)
			break;
		done += (uint64_t)n;
	}
	view_put(v);
	return done ? (ssize_t)done : n;
}

/* [off, off + len) of one file to the same place in another. */
static int unseal_copy_range(int from, int to, uint64_t off, uint64_t end)
{
	off_t in = (off_t)off, out = (off_t)off;

	while ((uint64_t)in < end) {
		uint64_t want = end - (uint64_t)in;
		ssize_t n = copy_file_range(from, &in, to, &out,
					    want < UNSEAL_PIECE ? want : UNSEAL_PIECE, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return ERR_CORRUPT;
	}
	return 0;
}

/* All data of a file; holes stay holes. */
static int unseal_copy(int from, int to, uint64_t size)
{
	uint64_t at = 0;
	int err = ftruncate(to, (off_t)size) ? -errno : 0;

	while (!err && at < size) {
		off_t data = lseek(from, (off_t)at, SEEK_DATA);
		off_t hole = data < 0 ? -1 : lseek(from, data, SEEK_HOLE);

		if (data < 0 && errno == ENXIO)
			break;
		if (data < 0 || hole < 0)
			return -errno;
		err = unseal_copy_range(from, to, (uint64_t)data, (uint64_t)hole);
		at = (uint64_t)hole;
	}
	return err;
}

/* Fills the file of `copy` with that of `home`. Durable. */
static int unseal_fill(struct draft *copy, const struct blob *home, uint64_t size)
{
	struct content *c = copy->content;
	int fd, err = draft_change_begin(copy, &fd);

	if (err)
		return err;
	if (!blobs_caps(c->blobs)->reflink || ioctl(fd, FICLONE, blob_fd(home)))
		err = unseal_copy(blob_fd(home), fd, size);
	draft_change_end(copy);
	return err ? err : draft_sync(copy);
}

/* A copy of the home in a draft of its own. */
static int unseal_copied(struct content *c, int64_t home, uint64_t size, struct draft **copy)
{
	struct blob *blob = NULL;
	int err = blobs_get(c->blobs, home, &blob);

	if (!err)
		err = draft_take(c, copy);
	if (!err)
		err = unseal_fill(*copy, blob, size);
	blob_put(blob);
	if (err && *copy)
		draft_recycle(c, copy);
	return err;
}

int draft_unseal(struct content *c, int64_t home, uint64_t size, struct draft **copy,
		 struct draft **out, struct meta_op *op)
{
	struct draft *twin = NULL, *d = draft_new_bare(c, home, false);
	int err = d ? unseal_copied(c, home, size, &twin) : -ENOMEM;

	if (err) {
		draft_free(d);
		return err;
	}
	content_move_begin(c);
	err = blobs_stand_in(c->blobs, home, draft_blob(twin), &d->file);
	if (err) {
		content_move_end(c);
		draft_free(d);
		draft_recycle(c, &twin);
		return err;
	}
	META_ADD(op, HOME_DRAFT, META_ONE, -EAGAIN, META_I(home), CONTENT_OWNER(c));
	META_ADD(op, DRAFT_HOME, META_ONE, -EAGAIN, META_I(draft_blob(twin)), META_I(size),
		 META_N());
	META_ADD(op, HOME_PLACES_MOVE, META_ANY, 0, META_I(home), META_I(draft_blob(twin)));
	META_ADD(op, EDGES_MOVE, META_ANY, 0, META_I(home), META_I(draft_blob(twin)));
	*copy = twin;
	*out = d;
	return 0;
}

int draft_unsealed(struct draft *d, bool applied, struct draft **copy)
{
	struct content *c = d->content;
	int err;

	content_move_end(c);
	if (!applied) {
		/* Where views read it, it loses its name and no more. */
		draft_recycle(c, copy);
		return 0;
	}
	draft_free(*copy);
	*copy = NULL;
	err = meta_sync(c->meta);
	if (err) {
		d->frozen = true;
		__atomic_store_n(&c->frozen, true, __ATOMIC_RELEASE);
		log_error("blob %" PRId64 " cannot be written again: %s", d->blob, err_text(err));
	}
	return err;
}
