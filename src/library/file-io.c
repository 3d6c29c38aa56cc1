/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reading and changing the content of an open file. */
#include "config.h"

#include "library/cache.h"
#include "library/file-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <unistd.h>

/*
 * fallocate(2)'s modes that draft_allocate() knows; told apart here so that no draft is taken in
 * vain.
 */
static bool file_mode_known(int mode)
{
	switch (mode) {
	case 0:
	case FALLOC_FL_KEEP_SIZE:
	case FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE:
	case FALLOC_FL_ZERO_RANGE:
	case FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE:
		return true;
	default:
		return false;
	}
}

static bool file_beyond(uint64_t off, uint64_t len)
{
	return off > INT64_MAX || len > INT64_MAX - off;
}

/* Reads what the file has now: a draft by `draft`, sealed content by `view`. */
static ssize_t file_read_by(ssize_t (*draft)(struct draft *, void *, size_t, uint64_t),
			    ssize_t (*view)(const struct view *, void *, size_t, uint64_t),
			    struct file *f, void *buf, size_t len, uint64_t off)
{
	struct file_source src;
	int rc = file_source_get(f, &src);

	if (rc)
		return rc;
	ssize_t n = src.draft ? draft(src.draft, buf, len, off) : view(src.view, buf, len, off);

	file_source_put(f, &src);
	return n;
}

ssize_t file_read(struct file *f, void *buf, size_t len, uint64_t off)
{
	return file_read_by(draft_read, view_read, f, buf, len, off);
}

ssize_t file_read_here(struct file *f, void *buf, size_t len, uint64_t off)
{
	return file_read_by(draft_read_here, view_read_here, f, buf, len, off);
}

ssize_t file_read_now(struct file *f, void *buf, size_t len, uint64_t off)
{
	ssize_t n = file_read_by(draft_read_now, view_read_now, f, buf, len, off);

	return n < 0 ? -EAGAIN : n;
}

static ssize_t file_write_once(struct file *f, const void *buf, size_t len, uint64_t off)
{
	int rc = file_change_begin(f, false);

	if (rc)
		return rc;
	ssize_t n = draft_write(f->draft, buf, len, off);

	file_change_end(f, n > 0);
	return n;
}

ssize_t file_write(struct file *f, const void *buf, size_t len, uint64_t off)
{
	if (file_beyond(off, len))
		return -EFBIG;
	if (len == 0)
		return 0;
	ssize_t n = file_write_once(f, buf, len, off);

	if (n == -ENOSPC && cache_relieve(f->lib, len))
		n = file_write_once(f, buf, len, off);
	return n;
}

/* A sealed file that has this size already changes its times only. 1: done. */
static int file_truncate_same(struct file *f, uint64_t size)
{
	file_lock(f);
	int rc = file_load_locked(f);

	if (rc == 0 && f->phase == FILE_SEALED && f->size == size && !f->busy) {
		file_changed_locked(f);
		rc = 1;
	}
	file_unlock(f);
	return rc;
}

int file_truncate(struct file *f, uint64_t size)
{
	if (file_beyond(size, 0))
		return -EFBIG;
	if (library_read_only(f->lib))
		return -EROFS;
	int rc = file_truncate_same(f, size);

	if (rc)
		return rc < 0 ? rc : 0;
	rc = file_change_begin(f, size == 0);
	if (rc)
		return rc;
	rc = draft_truncate(f->draft, size);
	file_change_end(f, rc == 0);
	return rc;
}

static int file_allocate_once(struct file *f, int mode, uint64_t off, uint64_t len)
{
	int rc = file_change_begin(f, false);

	if (rc)
		return rc;
	rc = draft_allocate(f->draft, mode, off, len);
	file_change_end(f, rc == 0);
	return rc;
}

int file_allocate(struct file *f, int mode, uint64_t off, uint64_t len)
{
	if (len == 0)
		return -EINVAL;
	if (!file_mode_known(mode))
		return -EOPNOTSUPP;
	if (file_beyond(off, len))
		return -EFBIG;
	int rc = file_allocate_once(f, mode, off, len);

	if (rc == -ENOSPC && cache_relieve(f->lib, len))
		rc = file_allocate_once(f, mode, off, len);
	return rc;
}

int64_t file_seek(struct file *f, uint64_t off, int whence)
{
	struct file_source src;

	if (whence != SEEK_DATA && whence != SEEK_HOLE)
		return -EINVAL;
	int rc = file_source_get(f, &src);

	if (rc)
		return rc;
	int64_t at = src.draft ? draft_seek(src.draft, off, whence)
			       : view_seek(src.view, off, whence);

	file_source_put(f, &src);
	return at;
}
