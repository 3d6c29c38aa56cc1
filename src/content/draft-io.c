/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reading and changing a draft's bytes. */
#include "config.h"

#include "content/draft-internal.h"
#include "content/fetch.h"
#include "util/err.h"
#include "util/io.h"
#include "util/log.h"
#include "util/time.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/falloc.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DRAFT_PEEK = 32 }; /* extents that are looked at under the lock at a time */

/* What a reader learns under the lock. */
struct draft_part {
	struct extent extent;
	struct view *view; /* of a base */
};

int draft_set_mtime(struct draft *d, int64_t mtime_ns, struct stat *out)
{
	struct timespec times[] = { { .tv_nsec = UTIME_OMIT }, time_to_spec(mtime_ns) };
	int fd = blob_fd(d->file);

	return futimens(fd, times) || fstat(fd, out) ? -errno : 0;
}

uint64_t draft_size(struct draft *d)
{
	struct stat st;

	lock_lock(&d->lock);
	bool plain = d->plain;
	uint64_t size = d->map.size;

	lock_unlock(&d->lock);
	if (!plain)
		return size;
	/* The kernel may write to the file itself, so the file alone knows. */
	return fstat(blob_fd(d->file), &st) ? 0 : (uint64_t)st.st_size;
}

/* The bytes of the part that are not holes. */
static uint64_t draft_part_alloc(const struct draft_part *p)
{
	const struct extent *e = &p->extent;
	uint64_t sum = 0, end = e->source + e->len;

	if (e->kind != EXTENT_BASE)
		return e->kind == EXTENT_DRAFT ? e->len : 0;
	for (uint64_t at = e->source; at < end;) {
		const struct view_run *run = view_find(p->view, at);
		uint64_t stop = run ? run->start + run->len : end;

		stop = stop < end ? stop : end;
		if (run && run->kind != VIEW_ZERO)
			sum += stop - at;
		at = stop;
	}
	return sum;
}

/* Up to DRAFT_PEEK parts of [off, end) of an overlay, as they are now. Their number. */
static size_t draft_peek(struct draft *d, uint64_t off, uint64_t end, struct draft_part *parts)
{
	size_t count = 0;

	lock_lock(&d->lock);
	while (count < DRAFT_PEEK && off < end) {
		struct draft_part *p = &parts[count];

		if (!extent_at(&d->map, off, &p->extent))
			break;
		if (p->extent.len > end - off)
			p->extent.len = end - off;
		p->view = p->extent.kind == EXTENT_BASE ? draft_base_locked(d, p->extent.object)
							: NULL;
		off += p->extent.len;
		count++;
	}
	lock_unlock(&d->lock);
	return count;
}

uint64_t draft_alloc(struct draft *d)
{
	struct draft_part parts[DRAFT_PEEK];
	uint64_t sum = 0, at = 0;
	struct stat st;
	size_t count;

	if (draft_is_plain(d))
		return fstat(blob_fd(d->file), &st) ? 0 : (uint64_t)st.st_blocks * 512;
	while ((count = draft_peek(d, at, UINT64_MAX, parts)) > 0) {
		for (size_t i = 0; i < count; i++) {
			sum += draft_part_alloc(&parts[i]);
			at += parts[i].extent.len;
		}
	}
	return sum;
}

/* Reads from the file; what the file does not reach is zeros. */
static int draft_read_file(struct draft *d, uint8_t *buf, size_t len, uint64_t off)
{
	ssize_t got = io_pread_full(blob_fd(d->file), buf, len, off);

	if (got < 0) {
		log_error("draft %" PRId64 " at %" PRIu64 ": %s", d->blob, off, err_text((int)got));
		return (int)got;
	}
	memset(buf + got, 0, len - (size_t)got);
	return 0;
}

/* How a view is read: view_read() or view_read_here(). */
typedef ssize_t draft_view_fn(const struct view *v, void *buf, size_t len, uint64_t off);

static int draft_read_part(struct draft *d, const struct draft_part *p, uint8_t *buf,
			   draft_view_fn *read)
{
	const struct extent *e = &p->extent;

	switch (e->kind) {
	case EXTENT_DRAFT:
		return draft_read_file(d, buf, e->len, e->start);
	case EXTENT_BASE: {
		ssize_t got = read(p->view, buf, e->len, e->source);

		return got < 0 ? (int)got : (size_t)got == e->len ? 0 : -EIO;
	}
	case EXTENT_ZERO:
		memset(buf, 0, e->len);
		return 0;
	}
	return -EIO;
}

static ssize_t draft_read_overlay(struct draft *d, uint8_t *buf, size_t len, uint64_t off,
				  draft_view_fn *read)
{
	struct draft_part parts[DRAFT_PEEK];
	size_t done = 0, count;

	while (done < len && (count = draft_peek(d, off + done, off + len, parts)) > 0) {
		for (size_t i = 0; i < count; i++) {
			int err = draft_read_part(d, &parts[i], buf + done, read);

			if (err)
				return err;
			done += parts[i].extent.len;
		}
	}
	return (ssize_t)done;
}

static ssize_t draft_read_with(struct draft *d, void *buf, size_t len, uint64_t off,
			       draft_view_fn *read)
{
	if (off > INT64_MAX)
		return 0;
	if (len > INT64_MAX - off)
		len = INT64_MAX - off;
	if (draft_is_plain(d))
		return io_pread_full(blob_fd(d->file), buf, len, off);
	return draft_read_overlay(d, buf, len, off, read);
}

ssize_t draft_read(struct draft *d, void *buf, size_t len, uint64_t off)
{
	return draft_read_with(d, buf, len, off, view_read);
}

ssize_t draft_read_here(struct draft *d, void *buf, size_t len, uint64_t off)
{
	return draft_read_with(d, buf, len, off, view_read_here);
}

int draft_want(struct draft *d, uint64_t off, uint64_t len, struct fetch_wait *w)
{
	struct draft_part parts[DRAFT_PEEK];
	uint64_t done = 0;
	size_t count;
	int err = 0;

	if (draft_is_plain(d) || off > INT64_MAX)
		return 0;
	if (len > INT64_MAX - off)
		len = INT64_MAX - off;
	while (!err && done < len && (count = draft_peek(d, off + done, off + len, parts)) > 0) {
		for (size_t i = 0; i < count && !err; i++) {
			const struct extent *e = &parts[i].extent;

			if (e->kind == EXTENT_BASE)
				err = view_want(parts[i].view, e->source, e->len, w);
			done += e->len;
		}
	}
	return err;
}

ssize_t draft_read_now(struct draft *d, void *buf, size_t len, uint64_t off)
{
	uint64_t size;

	if (!draft_is_plain(d))
		return -EAGAIN;
	size = draft_size(d);
	if (off >= size)
		return 0;
	return io_pread_now(blob_fd(d->file), buf, len < size - off ? len : size - off, off);
}

/* Writes as much as goes: the count, or a negative errno when that is 0. */
static ssize_t draft_pwrite(int fd, const uint8_t *buf, size_t len, uint64_t off)
{
	size_t done = 0;

	while (done < len) {
		ssize_t put = pwrite(fd, buf + done, len - done, (off_t)(off + done));

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0 && !done)
			return -errno;
		if (put <= 0)
			break;
		done += (size_t)put;
	}
	return (ssize_t)done;
}

ssize_t draft_write(struct draft *d, const void *buf, size_t len, uint64_t off)
{
	struct extent e = { .start = off, .kind = EXTENT_DRAFT };
	int fd, err;

	if (off > INT64_MAX || len > INT64_MAX - off)
		return -EFBIG;
	err = draft_change_begin(d, &fd);
	if (err)
		return err;
	ssize_t put = draft_pwrite(fd, buf, len, off);

	lock_lock(&d->lock);
	if (put > 0 && !d->plain) {
		e.len = (uint64_t)put;
		err = draft_map_set_locked(d, &e);
	}
	draft_change_end_locked(d);
	lock_unlock(&d->lock);
	return err ? err : put;
}

int draft_truncate(struct draft *d, uint64_t size)
{
	int fd, err = size > INT64_MAX ? -EFBIG : draft_change_begin(d, &fd);

	if (err)
		return err;
	lock_lock(&d->lock);
	bool plain = d->plain;

	if (!plain)
		err = draft_map_resize_locked(d, size);
	lock_unlock(&d->lock);
	if (plain && ftruncate(fd, (off_t)size))
		err = -errno;
	lock_lock(&d->lock);
	if (!err && !size)
		draft_emptied_locked(d);
	draft_change_end_locked(d);
	lock_unlock(&d->lock);
	return err;
}

/* fallocate() of the draft's own file. */
static int draft_fallocate(int fd, int mode, uint64_t off, uint64_t len)
{
	int result;

	do {
		result = fallocate(fd, mode, (off_t)off, (off_t)len);
	} while (result && errno == EINTR);
	return result ? -errno : 0;
}

/* FALLOC_FL_ZERO_RANGE where the filesystem does not have it: a hole reads as zeros, too. */
static int draft_zero_file(int fd, int mode, uint64_t off, uint64_t len)
{
	int err = draft_fallocate(fd, mode, off, len);

	if (err != -EOPNOTSUPP || !(mode & FALLOC_FL_ZERO_RANGE))
		return err;
	err = draft_fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off, len);
	return err ? err : draft_fallocate(fd, mode & FALLOC_FL_KEEP_SIZE, off, len);
}

/* Zeros in the map, within the size or up to `size`. */
static int draft_zero_map(struct draft *d, uint64_t off, uint64_t len, bool keep)
{
	struct extent e = { .start = off, .len = len, .kind = EXTENT_ZERO };
	int err = 0;

	lock_lock(&d->lock);
	uint64_t size = d->map.size;

	if (keep && off >= size)
		e.len = 0;
	else if (keep && len > size - off)
		e.len = size - off;
	if (e.len)
		err = draft_map_set_locked(d, &e);
	lock_unlock(&d->lock);
	return err;
}

/* Space for [off, off + len) of the file, so that no later write there finds the disk full. */
static int draft_reserve(struct draft *d, int fd, int mode, uint64_t off, uint64_t len)
{
	int err = draft_fallocate(fd, FALLOC_FL_KEEP_SIZE, off, len);

	lock_lock(&d->lock);
	if (!err && !(mode & FALLOC_FL_KEEP_SIZE) && off + len > d->map.size)
		err = draft_map_resize_locked(d, off + len);
	lock_unlock(&d->lock);
	return err;
}

static int draft_allocate_overlay(struct draft *d, int fd, int mode, uint64_t off, uint64_t len)
{
	bool keep = mode & FALLOC_FL_KEEP_SIZE;
	int err;

	if (!(mode & ~FALLOC_FL_KEEP_SIZE))
		return draft_reserve(d, fd, mode, off, len);
	err = draft_zero_map(d, off, len, keep);
	/* That the space is free again is a courtesy: the map says what is there. */
	if (!err && (mode & FALLOC_FL_PUNCH_HOLE))
		draft_fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off, len);
	return err;
}

int draft_allocate(struct draft *d, int mode, uint64_t off, uint64_t len)
{
	int what = mode & ~FALLOC_FL_KEEP_SIZE;
	int fd, err;

	if (what && what != FALLOC_FL_ZERO_RANGE &&
	    mode != (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE))
		return -EOPNOTSUPP;
	if (!len)
		return -EINVAL;
	if (off > INT64_MAX || len > INT64_MAX - off)
		return -EFBIG;
	err = draft_change_begin(d, &fd);
	if (err)
		return err;
	if (draft_is_plain(d))
		err = draft_zero_file(fd, mode, off, len);
	else
		err = draft_allocate_overlay(d, fd, mode, off, len);
	draft_change_end(d);
	return err;
}

/* Turns a plain draft into an overlay whose bytes are all in its file. The draft is exclusive. */
static int draft_map_file(struct draft *d)
{
	struct extent e = { .len = draft_size(d), .kind = EXTENT_DRAFT };
	int err = 0;

	lock_lock(&d->lock);
	if (d->plain) {
		err = extent_set(&d->map, &e);
		d->plain = err != 0;
		d->rewrite = !err;
	}
	lock_unlock(&d->lock);
	return err;
}

int draft_share(struct draft *d, uint64_t dst, int64_t object, uint64_t src, uint64_t len)
{
	struct extent e = { dst, len, EXTENT_BASE, object, src };
	int fd, err;

	if (d->read_only)
		return -EROFS;
	if (dst > INT64_MAX || len > INT64_MAX - dst)
		return -EFBIG;
	err = draft_need_base(d, object);
	if (err)
		return err;
	lock_lock(&d->lock);
	uint64_t have = draft_base_locked(d, object)->size;

	lock_unlock(&d->lock);
	if (src > have || len > have - src)
		return -EINVAL;
	draft_exclude(d);
	err = draft_map_file(d);
	draft_include(d);
	if (!err)
		err = draft_change_begin(d, &fd);
	if (err)
		return err;
	lock_lock(&d->lock);
	err = draft_map_set_locked(d, &e);
	draft_change_end_locked(d);
	lock_unlock(&d->lock);
	return err;
}
