/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Opening, creating and closing assets, and what others see of an open one. */
#include "config.h"

#include "library/file-internal.h"
#include "library/sealer.h"
#include "library/times.h"
#include "library/watch.h"
#include "util/err.h"
#include "util/log.h"

#include <errno.h>
#include <fcntl.h>

static bool file_writes(int flags)
{
	return (flags & O_ACCMODE) != O_RDONLY;
}

/* Opening for writing gives up a seal that is under way: the content is about to change. */
static void file_opened_locked(struct file *f, const struct actor *who, int flags)
	LOCK_REQUIRES(&f->shard->lock)
{
	f->opens++;
	if (!file_writes(flags))
		return;
	f->writers++;
	f->actor = who->uid;
	if (f->phase == FILE_SEALING) {
		f->phase = FILE_DRAFT;
		f->epoch++;
	}
}

int file_open(struct library *lib, const struct actor *who, int64_t ino, int flags,
	      struct file **out)
{
	struct file *f;

	if (library_read_only(lib) && (file_writes(flags) || (flags & O_TRUNC)))
		return -EROFS;
	int rc = files_pin(lib, ino, &f);

	if (rc)
		return rc;
	file_lock(f);
	do {
		file_settled_locked(f);
		rc = file_load_locked(f);
	} while (rc == 0 && (f->busy || f->phase == FILE_COMMIT));
	if (rc == 0)
		file_opened_locked(f, who, flags);
	f->pins--;
	file_unlock_drop(f);
	if (rc)
		return rc;
	if (flags & O_TRUNC)
		rc = file_truncate(f, 0);
	if (rc) {
		file_close(f, flags);
		return rc;
	}
	*out = f;
	return 0;
}

/*
 * The table's entry of a node that was just made with `draft` (NULL: none). Nobody else knows the
 * inode number yet.
 */
static int file_enter(struct library *lib, const struct actor *who, const struct node *node,
		      struct draft **draft, int flags, struct file **out)
{
	struct file *f;
	int rc = files_pin(lib, node->ino, &f);

	if (rc)
		return rc;
	file_lock(f);
	f->known = true;
	f->phase = *draft ? FILE_DRAFT : FILE_SEALED;
	f->draft = *draft;
	f->recorded = node->size;
	f->orphan = node->nlink == 0;
	f->mode = node->mode;
	f->atime_ns = node->atime_ns;
	f->mtime_ns = node->mtime_ns;
	f->ctime_ns = node->ctime_ns;
	*draft = NULL;
	file_opened_locked(f, who, flags);
	f->pins--;
	file_unlock(f);
	*out = f;
	return 0;
}

int file_create(struct library *lib, const struct actor *who, const struct tree_new *what,
		int flags, struct node *node, struct file **out)
{
	struct tree_new with = *what;
	struct draft *draft = NULL;
	int rc = 0;

	if (library_read_only(lib))
		return -EROFS;
	if (file_writes(flags))
		rc = draft_take(lib->content, &draft);
	if (rc)
		return rc;
	with.draft = draft ? draft_blob(draft) : 0;
	rc = what->name ? tree_make(lib, who, &with, node)
			: tree_make_unnamed(lib, who, &with, node);
	if (rc && draft) {
		draft_recycle(lib->content, &draft);
		return rc;
	}
	if (rc)
		return rc;
	rc = file_enter(lib, who, node, &draft, flags, out);
	draft_free(draft);
	return rc;
}

/*
 * What a close that was not preceded by file_closing() leaves behind; nobody is there to be told of
 * an error.
 */
static void file_flush_at_close(struct file *f)
{
	int rc = file_closing(f);

	if (rc)
		log_error("asset %lld: size and times cannot be recorded: %s", (long long)f->ino,
			  err_text(rc));
}

/* Gives the draft's writable descriptor back: many files may wait for their seal. */
static void file_rest_locked(struct file *f) LOCK_REQUIRES(&f->shard->lock)
{
	struct draft *draft = f->draft;

	f->readers++;
	file_unlock(f);
	(void)draft_rest(draft);
	file_lock(f);
	f->readers--;
	file_wake_locked(f);
}

void file_close(struct file *f, int flags)
{
	struct library *lib = f->lib;
	int64_t ino = f->ino;
	struct view *old = NULL;
	uint64_t size = 0;
	bool purge, stale, queue = false;

	if (file_writes(flags))
		file_flush_at_close(f);
	file_lock(f);
	f->writers -= file_writes(flags);
	f->opens--;
	purge = f->orphan && !f->opens;
	if (!purge && file_writes(flags) && !f->writers && f->phase == FILE_DRAFT) {
		queue = true;
		file_rest_locked(f);
		size = f->draft ? draft_size(f->draft) : 0;
	}
	stale = f->stale && !f->opens && !f->busy;
	if (stale)
		old = file_forget_locked(f);
	file_unlock_drop(f);
	view_put(old);
	if (stale)
		watch_tell_content(lib, ino);
	if (purge)
		files_purge_later(lib, ino);
	else if (queue)
		sealer_queue(lib, ino, size);
}

int64_t file_ino(const struct file *f)
{
	return f->ino;
}

static void file_overlay_open(struct library *lib, struct node *n)
{
	struct file *f = files_find(lib, n->ino);

	if (!f)
		return;
	file_lock(f);
	struct draft *draft = f->known ? f->draft : NULL;

	file_pass_look_locked(f);
	if (f->changed) {
		n->atime_ns = f->atime_ns;
		n->mtime_ns = f->mtime_ns;
		if (n->ctime_ns < f->ctime_ns)
			n->ctime_ns = f->ctime_ns;
	}
	if (f->known && f->stale) {
		n->size = f->size;
		n->alloc = f->alloc;
	}
	if (draft) {
		f->readers++;
		file_unlock(f);
		n->size = draft_size(draft);
		n->alloc = draft_alloc(draft);
		file_lock(f);
		f->readers--;
		file_wake_locked(f);
	}
	f->pins--;
	file_unlock_drop(f);
}

void file_overlay(struct library *lib, struct node *n)
{
	if (n->kind == NODE_ASSET)
		file_overlay_open(lib, n);
	times_overlay(lib, n);
}
