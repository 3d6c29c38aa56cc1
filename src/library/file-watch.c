/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What another process changed about a node that is open here. */
#include "config.h"

#include "library/file-internal.h"

/*
 * Times set by another process hold unless newer ones are unsaved here. The content of an open file
 * stays what it was; one that is only kept is read anew.
 */
static struct view *file_take_locked(struct file *f, const struct file_row *n, bool content)
	LOCK_REQUIRES(&f->shard->lock)
{
	if (f->changes == f->saved) {
		f->atime_ns = n->atime_ns;
		f->mtime_ns = n->mtime_ns;
		f->ctime_ns = n->ctime_ns;
	}
	if (!content || !f->known || f->busy || f->phase != FILE_SEALED)
		return NULL;
	if (!f->opens)
		return file_forget_locked(f);
	f->stale = true;
	return NULL;
}

void files_changed(struct library *lib, int64_t ino, bool content)
{
	struct file *f = files_find(lib, ino);
	struct file_row n = { 0 };

	if (!f)
		return;
	int rc = file_row_get(lib, ino, &n);

	file_lock(f);
	struct view *old = rc == 0 ? file_take_locked(f, &n, content) : NULL;

	f->pins--;
	file_unlock_drop(f);
	view_put(old);
	if (rc == 0 && n.orphan)
		files_unlinked(lib, ino);
}
