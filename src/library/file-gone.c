/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Nodes without any entry: what is left of them goes when no one has them open. A draft is given
 * back to the pool with the row; sealed content is left to collection. Only the process that mounts
 * does this: another one cannot know what is open here.
 */
#include "config.h"

#include "library/file-internal.h"
#include "library/sealer.h"
#include "util/err.h"
#include "util/log.h"

#include <errno.h>
#include <stdlib.h>

/* Pinned and busy: nobody opens or changes the file until file_purge_end(). */
static bool file_purge_begin(struct library *lib, int64_t ino, struct file **out)
{
	struct file *f;

	if (files_pin(lib, ino, &f))
		return false;
	file_lock(f);
	int rc = file_load_locked(f);

	file_resting_locked(f);
	if (rc == 0 && f->orphan && !f->opens && !f->changers && !f->sealing &&
	    f->phase != FILE_GONE) {
		f->busy = true;
		file_unlock(f);
		*out = f;
		return true;
	}
	f->pins--;
	file_unlock_drop(f);
	return false;
}

static void file_purge_end(struct file *f, int rc)
{
	struct draft *draft = NULL;
	bool sealable = false;

	file_lock(f);
	f->busy = false;
	if (rc == 0) {
		f->phase = FILE_GONE;
		draft = f->draft;
		f->draft = NULL;
		while (f->readers)
			file_wait_locked(f);
	} else if (rc == -EBUSY) {
		f->orphan = false;
		sealable = f->draft && !f->writers;
	}
	file_wake_locked(f);
	int64_t ino = f->ino;
	struct library *lib = f->lib;

	f->pins--;
	file_unlock_drop(f);
	if (draft)
		draft_recycle(library_content(lib), &draft);
	if (sealable)
		sealer_queue(lib, ino, 0);
	if (rc && rc != -EBUSY)
		log_error("asset %lld: what is left of it cannot be removed: %s", (long long)ino,
			  err_text(rc));
}

static int files_purge_apply(struct library *lib, struct file *const *files, size_t count)
{
	struct meta_op *op = meta_op_new();

	if (!op)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		if (files[i]->draft)
			draft_add_release(files[i]->draft, op);
		tree_add_purge(op, files[i]->ino);
	}
	int rc = meta_apply(library_meta(lib), op);

	meta_op_free(op);
	return rc;
}

void files_purge(struct library *lib, const int64_t *inos, size_t count)
{
	struct file **files = calloc(count + 1, sizeof(struct file *));
	size_t n = 0;

	for (size_t i = 0; files && i < count; i++)
		n += file_purge_begin(lib, inos[i], &files[n]);
	int rc = n ? files_purge_apply(lib, files, n) : 0;

	for (size_t i = 0; files && i < n; i++) {
		int one = rc;

		if (rc && n > 1)
			one = files_purge_apply(lib, &files[i], 1);
		file_purge_end(files[i], one);
	}
	free(files);
}

void files_purge_later(struct library *lib, int64_t ino)
{
	if (!(lib->flags & LIBRARY_MOUNT))
		return;
	if (!sealer_purge(lib, ino))
		files_purge(lib, &ino, 1);
}

void files_linked(struct library *lib, int64_t ino)
{
	struct file *f = files_find(lib, ino);

	if (!f)
		return;
	file_lock(f);
	f->orphan = false;
	f->pins--;
	file_unlock_drop(f);
}

void files_unlinked(struct library *lib, int64_t ino)
{
	struct file *f = files_find(lib, ino);
	bool open = false;

	if (f) {
		file_lock(f);
		f->orphan = true;
		open = f->opens > 0;
		f->pins--;
		file_unlock_drop(f);
	}
	if (!open)
		files_purge_later(lib, ino);
}
