/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a reader reads from, and the way of a file from phase SEALED to DRAFT: a draft is taken,
 * laid over the object where content is to be kept, and attached to the node by one operation that
 * fails when someone else attached one or changed the object.
 */
#include "config.h"

#include "library/file-internal.h"
#include "util/err.h"
#include "util/time.h"

#include <errno.h>

enum { FILE_ATTACH_TRIES = 5 };

/* Wakes whoever waits for the draft to be at rest. */
static void file_rested_locked(struct file *f) LOCK_REQUIRES(&f->shard->lock)
{
	if (!f->readers || !f->changers)
		file_wake_locked(f);
}

static int file_view_make(struct file *f, int64_t object, uint64_t size, struct view **out)
{
	if (!object)
		return view_of_zeros(size, out);
	int rc = view_of_object(library_content(f->lib), object, out);

	return rc == -ENOENT ? ERR_CORRUPT : rc;
}

/* Makes the view of a sealed file. The lock is given up meanwhile. */
static int file_view_locked(struct file *f) LOCK_REQUIRES(&f->shard->lock)
{
	struct view *view = NULL;
	int64_t object = f->object;
	uint64_t size = f->size;

	f->busy = true;
	file_unlock(f);
	int rc = file_view_make(f, object, size, &view);

	file_lock(f);
	f->busy = false;
	f->view = view;
	file_wake_locked(f);
	return rc;
}

int file_source_get(struct file *f, struct file_source *out)
{
	int rc;

	*out = (struct file_source){ 0 };
	file_lock(f);
	for (;;) {
		rc = file_load_locked(f);
		if (rc)
			break;
		if (f->draft) {
			f->readers++;
			out->draft = f->draft;
			break;
		}
		if (f->view) {
			out->view = view_get(f->view);
			break;
		}
		if (f->busy) {
			file_wait_locked(f);
			continue;
		}
		rc = file_view_locked(f);
		if (rc)
			break;
	}
	file_unlock(f);
	return rc;
}

void file_source_put(struct file *f, struct file_source *src)
{
	if (src->draft) {
		file_lock(f);
		f->readers--;
		file_rested_locked(f);
		file_unlock(f);
	}
	view_put(src->view);
	*src = (struct file_source){ 0 };
}

/* The operation that gives node `ino` the draft. */
static int file_attach_apply(struct file *f, struct draft *draft, int64_t object, uint64_t size)
{
	struct meta_op *op = meta_op_new();
	int rc = op ? 0 : -ENOMEM;

	if (op && object && size)
		rc = draft_lay_over(draft, object, size, op);
	if (rc == 0) {
		META_ADD(op, FILE_ATTACH, META_ONE, -ESTALE, META_I(f->ino),
			 META_I(draft_blob(draft)), META_I(size),
			 f->object ? META_I(f->object) : META_N());
		rc = meta_apply(library_meta(f->lib), op);
	}
	meta_op_free(op);
	return rc;
}

static int file_attach(struct file *f, uint64_t keep, struct draft **out)
{
	struct draft *draft;
	int rc = draft_take(library_content(f->lib), &draft);

	if (rc)
		return rc;
	rc = file_attach_apply(f, draft, keep ? f->object : 0, keep);
	if (rc) {
		draft_recycle(library_content(f->lib), &draft);
		return rc;
	}
	*out = draft;
	return 0;
}

/*
 * SEALED -> DRAFT. The lock is given up meanwhile; readers go on with the view. -ESTALE: the row is
 * not as it was read.
 */
static int file_attach_locked(struct file *f, bool emptying) LOCK_REQUIRES(&f->shard->lock)
{
	struct draft *draft = NULL;
	uint64_t keep = emptying ? 0 : f->size;

	if (f->pass)
		return file_unseal_locked(f);
	f->busy = true;
	file_unlock(f);
	int rc = file_attach(f, keep, &draft);

	file_lock(f);
	f->busy = false;
	file_wake_locked(f);
	if (rc)
		return rc;
	struct view *old = f->view;

	f->view = NULL;
	f->draft = draft;
	f->phase = FILE_DRAFT;
	f->stale = false;
	f->told = false;
	f->recorded = keep;
	if (keep != f->size)
		file_changed_locked(f);
	file_unlock(f);
	view_put(old);
	file_lock(f);
	return 0;
}

/*
 * Reads the row again after someone else has changed it: what they wrote is then what is changed
 * here.
 */
static int file_reload_locked(struct file *f) LOCK_REQUIRES(&f->shard->lock)
{
	file_settled_locked(f);
	if (f->draft)
		return 0;
	struct view *old = file_forget_locked(f);
	int rc = file_load_locked(f);

	file_unlock(f);
	view_put(old);
	file_lock(f);
	return rc;
}

static int file_draft_locked(struct file *f, bool emptying) LOCK_REQUIRES(&f->shard->lock)
{
	int rc = 0;

	for (int tries = 0; tries < FILE_ATTACH_TRIES; tries++) {
		if (rc == -ESTALE)
			rc = file_reload_locked(f);
		if (rc == 0)
			rc = file_load_locked(f);
		if (rc)
			return rc;
		file_settled_locked(f);
		if (f->phase == FILE_GONE || !f->known)
			continue;
		if (f->phase == FILE_SEALING) {
			f->phase = FILE_DRAFT;
			f->epoch++;
		}
		if (f->phase == FILE_DRAFT)
			return draft_is_frozen(f->draft) ? -EIO : 0;
		rc = file_attach_locked(f, emptying);
		if (rc && rc != -ESTALE)
			return rc;
	}
	return f->phase == FILE_GONE ? -ESTALE : -EBUSY;
}

int file_change_begin(struct file *f, bool emptying)
{
	if (library_read_only(f->lib))
		return -EROFS;
	file_lock(f);
	int rc = file_draft_locked(f, emptying);

	if (rc == 0)
		f->changers++;
	file_unlock(f);
	return rc == -ENOENT ? -ESTALE : rc;
}

void file_changed_locked(struct file *f)
{
	if (!library_has_kernel_stamps(f->lib))
		f->mtime_ns = f->ctime_ns = time_now_ns();
	f->changed = true;
	f->told = false;
	f->changes++;
}

void file_change_end(struct file *f, bool changed)
{
	file_lock(f);
	f->changers--;
	if (changed)
		file_changed_locked(f);
	file_pass_seen_locked(f);
	file_rested_locked(f);
	file_unlock(f);
}
