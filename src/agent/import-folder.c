/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The folders of a source. Their descriptors: open while used; the last few that were used stay open; one that was closed is opened again from the
 * nearest above it that is open, step by step, and is then checked to be the same folder.
 */
#include "config.h"

#include "agent/import-internal.h"
#include "backend/meta/meta.h"
#include "library/journal.h"
#include "util/cleanup.h"
#include "util/time.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { IMPORT_IDLE_MAX = 64, IMPORT_OPEN_FLAGS = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK };

struct import_folder *import_folder_new(struct import *run, struct import_folder *parent,
					char *name)
{
	struct import_folder *f = name ? calloc(1, sizeof(*f)) : NULL;

	if (!f) {
		free(name);
		return NULL;
	}
	f->name = name;
	f->fd = -1;
	f->refs = 1;
	f->parent = parent ? import_folder_ref(run, parent) : NULL;
	return f;
}

struct import_folder *import_folder_ref(struct import *run, struct import_folder *f)
{
	lock_lock(&run->lock);
	f->refs++;
	lock_unlock(&run->lock);
	return f;
}

/* Takes it out of the idle ones; its descriptor stays. */
static void import_wake_locked(struct import *run, struct import_folder *f)
{
	DL_DELETE(run->idle, f);
	run->idle_count--;
}

/* The descriptor, in use by one more; -1 when it is closed. */
static int import_use(struct import *run, struct import_folder *f)
{
	lock_lock(&run->lock);
	if (f->fd >= 0 && !f->fd_users)
		import_wake_locked(run, f);
	if (f->fd >= 0)
		f->fd_users++;
	int fd = f->fd;

	lock_unlock(&run->lock);
	return fd;
}

void import_folder_leave(struct import *run, struct import_folder *f)
{
	int old = -1;

	lock_lock(&run->lock);
	if (--f->fd_users == 0) {
		DL_APPEND(run->idle, f);
		if (++run->idle_count > IMPORT_IDLE_MAX) {
			struct import_folder *first = run->idle;

			import_wake_locked(run, first);
			old = first->fd;
			first->fd = -1;
		}
	}
	lock_unlock(&run->lock);
	if (old >= 0)
		close(old);
}

/* Opens `f` in its parent, open as `at`; the first time it is what is there, later it must be the same. */
static int import_open_in(struct import *run, struct import_folder *f, int at)
{
	int follow = f->parent && f->parent->base ? 0 : O_NOFOLLOW;
	struct stat st;
	int fd = openat(at,
			f->parent  ? f->name
			: *f->name ? f->name
				   : ".",
			IMPORT_OPEN_FLAGS | (f->parent ? follow : 0));

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) ||
	    (f->st.st_ino && (st.st_ino != f->st.st_ino || st.st_dev != f->st.st_dev))) {
		close(fd);
		return -ESTALE;
	}
	lock_lock(&run->lock);
	int spare = f->fd >= 0 ? fd : -1;

	if (f->fd < 0)
		f->fd = fd;
	else if (!f->fd_users)
		import_wake_locked(run, f);
	f->fd_users++;
	fd = f->fd;
	if (!f->st.st_ino)
		f->st = st;
	lock_unlock(&run->lock);
	if (spare >= 0)
		close(spare);
	return fd;
}

int import_folder_enter(struct import *run, struct import_folder *f)
{
	int fd = import_use(run, f);

	while (fd < 0) {
		struct import_folder *low = f, *up = f->parent;
		int at = AT_FDCWD;

		/* Up to the first that is open, then down by one; again, until it is this one. */
		while (up && (at = import_use(run, up)) < 0) {
			low = up;
			up = up->parent;
			at = AT_FDCWD;
		}
		fd = import_open_in(run, low, at);
		if (up)
			import_folder_leave(run, up);
		if (fd < 0 || low == f)
			return fd;
		import_folder_leave(run, low);
		fd = import_use(run, f);
	}
	return fd;
}

int import_folder_path(const struct import_folder *f, struct buf *out)
{
	size_t depth = 0, count = 0;
	int err = 0;

	for (const struct import_folder *up = f; up; up = up->parent)
		depth++;
	const struct import_folder **chain = calloc(depth, sizeof(const struct import_folder *));

	if (!chain)
		return -ENOMEM;
	for (const struct import_folder *up = f; up; up = up->parent)
		chain[count++] = up;
	while (count-- && !err) {
		err = buf_add_str(out, chain[count]->name);
		if (!err && count && out->len && out->data[out->len - 1] != '/')
			err = buf_add_byte(out, '/');
	}
	free(chain);
	return err;
}

void import_folder_changed(struct import *run, struct import_folder *f)
{
	lock_lock(&run->lock);
	f->changed = true;
	lock_unlock(&run->lock);
}

static int import_folder_add(struct import *run, struct import_folder *f, struct node *out)
{
	struct tree_new what = {
		.parent = f->parent->node, .name = f->name, .len = strlen(f->name), .mode = S_IFDIR
	};
	struct meta_op *op = meta_op_new();

	if (!op)
		return -ENOMEM;
	import_plan_values(&f->st, &what);
	int err = tree_plan_make(run->lib, &run->o->who, &what, NULL, op, out);

	if (!err)
		err = import_plan_xattrs(run, out->ino, &f->xattrs, op);
	if (!err)
		err = meta_apply(library_meta(run->lib), op);
	meta_op_free(op);
	return err;
}

/* The folder is there: it gets mode, owner and times in the end, if they differ. */
static int import_folder_found(struct import *run, struct import_folder *f, const struct node *n)
{
	if (n->kind != NODE_FOLDER)
		return -ENOTDIR;
	f->node = n->ino;
	if (!import_plan_same(n, &f->st))
		import_folder_changed(run, f);
	return 0;
}

int import_folder_make(struct import *run, struct import_folder *f)
{
	struct node n;
	int err = -ENOENT;

	for (int tries = 0; tries < IMPORT_TRIES; tries++) {
		if (!f->parent->fresh || tries)
			err = tree_lookup(run->lib, f->parent->node, f->name, strlen(f->name), &n);
		if (err != -ENOENT)
			return err ? err : import_folder_found(run, f, &n);
		err = run->o->dry_run ? 0 : import_folder_add(run, f, &n);
		if (!err) {
			f->node = run->o->dry_run ? 0 : n.ino;
			f->fresh = true;
			import_folder_changed(run, f->parent);
			import_count(run, &run->stats.folders, 1);
			return 0;
		}
		if (err != -EEXIST && err != -EAGAIN)
			return err;
	}
	return err;
}

/* Everything is in it: its own attributes are set, which what was put into it has changed. */
static int import_folder_finish(struct import *run, struct import_folder *f)
{
	struct meta_op *op = meta_op_new();
	int err = op ? import_plan_attrs(run, f->node, NULL, &f->st, &f->xattrs, op) : -ENOMEM;

	if (!err)
		err = meta_apply(library_meta(run->lib), op);
	meta_op_free(op);
	return err;
}

/* Frees it; the folder above it. */
static struct import_folder *import_folder_free(struct import *run, struct import_folder *f)
{
	struct import_folder *parent = f->parent;

	lock_lock(&run->lock);
	if (f->fd >= 0)
		import_wake_locked(run, f);
	lock_unlock(&run->lock);
	if (f->fd >= 0)
		close(f->fd);
	buf_release(&f->xattrs);
	free(f->name);
	free(f);
	return parent;
}

void import_folder_put(struct import *run, struct import_folder *f)
{
	while (f) {
		lock_lock(&run->lock);
		bool last = --f->refs == 0;
		bool due = last && f->changed && !f->base && !run->o->dry_run;

		lock_unlock(&run->lock);
		if (!last)
			return;
		int err = due ? import_folder_finish(run, f) : 0;

		if (err)
			import_tell_err(run, f, NULL, err);
		if (run->o->move && !f->base && !f->keep && !run->o->dry_run)
			import_move_folder(run, f);
		f = import_folder_free(run, f);
	}
}
