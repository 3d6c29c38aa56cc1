/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The walker: lists folder after folder, the files of one before the folders in it, without recursion and without paths, so that neither the depth of a
 * tree nor the length of its paths is limited. Symlinks are not followed.
 */
#include "config.h"

#include "agent/import-internal.h"
#include "util/cleanup.h"
#include "util/io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A folder whose files are done, with the names of those in it. */
struct import_level {
	struct import_folder *folder; /* referred to */
	struct buf names;             /* each with its NUL */
	size_t at;
};

struct import_stack {
	struct import_level *levels;
	size_t count, cap;
};

static void import_flush(struct import *run)
{
	struct import_batch *batch = run->open;

	run->open = NULL;
	if (batch)
		import_queue(run, batch, true);
}

static struct import_batch *import_batch_open(struct import *run)
{
	if (!run->open)
		run->open = calloc(1, sizeof(*run->open));
	return run->open;
}

/* Puts the item into the open batch, or into one of its own; takes it over. */
static void import_add(struct import *run, struct import_item *item)
{
	uint64_t bytes = S_ISREG(item->st.st_mode) && !item->link_to ? (uint64_t)item->st.st_size
								     : 0;
	struct import_batch *b;

	if (bytes > IMPORT_ALONE_BYTES && run->open) {
		struct import_batch *open = run->open;

		run->open = NULL;
		b = import_batch_open(run);
		run->open = open;
	} else {
		b = import_batch_open(run);
	}
	if (!b) {
		import_item_release(run, item);
		import_fail(run, -ENOMEM);
		return;
	}
	b->items[b->count++] = *item;
	b->bytes += bytes;
	b->homes += bytes > 65536;
	if (b != run->open)
		import_queue(run, b, true);
	else if (b->count >= run->batch_max || b->bytes >= IMPORT_BATCH_BYTES ||
		 b->homes >= IMPORT_BATCH_HOMES)
		import_flush(run);
}

static void import_found(struct import *run, struct import_folder *f, const char *name,
			 const struct stat *st)
{
	struct import_item item = { .st = *st, .fd = -1, .held = -1 };
	int rc = 0;

	item.name = strdup(name);
	item.folder = import_folder_ref(run, f);
	if (!item.name)
		rc = -ENOMEM;
	else if (st->st_nlink > 1)
		rc = import_link_found(run, &item);
	if (!rc) {
		import_add(run, &item);
	} else if (rc < 0) {
		import_item_release(run, &item);
		import_fail(run, rc);
	}
}

/* Reads the folder `f`, open as `dir`: files go out as items, the names of folders into `subs`. */
static int import_list(struct import *run, struct import_folder *f, DIR *dir, struct buf *subs)
{
	while (!import_stopped(run)) {
		struct stat st;

		errno = 0;
		const struct dirent *e = readdir(dir);

		if (!e)
			return -errno;
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		if (fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW)) {
			if (errno != ENOENT)
				import_tell_err(run, f, e->d_name, -errno);
		} else if (S_ISDIR(st.st_mode)) {
			int err = buf_add(subs, e->d_name, strlen(e->d_name) + 1);

			if (err)
				return err;
		} else {
			import_found(run, f, e->d_name, &st);
		}
	}
	return 0;
}

static int import_level_list(struct import *run, struct import_level *level)
{
	CLEANUP_DIR DIR *dir = NULL;
	int at = import_folder_enter(run, level->folder);

	if (at < 0)
		return at;
	int fd = openat(at, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int err = fd < 0 ? -errno : 0;

	import_folder_leave(run, level->folder);
	if (err)
		return err;
	dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return -ENOMEM;
	}
	return import_list(run, level->folder, dir, &level->names);
}

/* Goes into a folder that was found or made in the library; takes the reference over. */
static void import_push(struct import *run, struct import_stack *s, struct import_folder *f)
{
	if (s->count == s->cap) {
		size_t cap = s->cap ? s->cap * 2 : 64;
		struct import_level *levels = reallocarray(s->levels, cap, sizeof(*levels));

		if (!levels) {
			import_folder_put(run, f);
			import_fail(run, -ENOMEM);
			return;
		}
		s->levels = levels;
		s->cap = cap;
	}
	struct import_level *level = &s->levels[s->count++];

	*level = (struct import_level){ .folder = f };
	int err = import_level_list(run, level);

	if (err)
		import_tell_err(run, f, NULL, err);
}

static void import_pop(struct import *run, struct import_stack *s)
{
	struct import_level *level = &s->levels[--s->count];

	import_folder_put(run, level->folder);
	buf_release(&level->names);
}

/* The reason why a folder is left out, or NULL. */
static const char *import_left_out(struct import *run, const struct stat *st)
{
	if (st->st_dev == run->library.st_dev && st->st_ino == run->library.st_ino)
		return "this is the library itself; left out";
	if (run->mount.st_ino && st->st_dev == run->mount.st_dev)
		return "this is the mount of the library; left out";
	return NULL;
}

/* Opens, finds or makes the folder `name` of `parent`, and goes into it. */
static void import_enter(struct import *run, struct import_stack *s, struct import_folder *parent,
			 const char *name)
{
	struct import_folder *f = import_folder_new(run, parent, strdup(name));
	const char *why = NULL;
	int err = f ? import_folder_enter(run, f) : -ENOMEM;

	if (err < 0) {
		import_tell_err(run, parent, name, err);
	} else {
		why = import_left_out(run, &f->st);
		err = why ? 0 : import_source_xattrs(err, NULL, &f->xattrs);
		import_folder_leave(run, f);
		if (!why && !err)
			err = import_folder_make(run, f);
		if (err)
			import_tell_err(run, f, NULL, err);
		if (why)
			import_tell(run, f, NULL, false, why);
	}
	if (!err && !why) {
		import_push(run, s, f);
	} else if (f) {
		f->base = true;
		import_folder_put(run, f);
	}
}

/* Everything below what was pushed. */
static void import_descend(struct import *run, struct import_stack *s)
{
	while (s->count) {
		struct import_level *level = &s->levels[s->count - 1];

		if (level->at >= level->names.len || import_stopped(run)) {
			import_pop(run, s);
			continue;
		}
		const char *name = level->names.data + level->at;

		level->at += strlen(name) + 1;
		import_enter(run, s, level->folder, name);
	}
}

/* Splits a SOURCE into folder and last name; false when the last is "." or "..", or there is none: then the folder is the whole. */
static bool import_split(const char *source, char **folder, char **name)
{
	size_t end = strlen(source), start;

	while (end > 1 && source[end - 1] == '/')
		end--;
	for (start = end; start && source[start - 1] != '/';)
		start--;
	size_t len = end - start;
	bool whole = !len || (len == 1 && source[start] == '.') ||
		     (len == 2 && !memcmp(source + start, "..", 2));

	*folder = whole ? strdup(source) : strndup(source, start);
	*name = whole ? NULL : strndup(source + start, len);
	return !whole;
}

/* One name in the folder `base`. A slash behind it means what a symlink points at. */
static void import_source(struct import *run, struct import_stack *s, struct import_folder *base,
			  const char *name, bool slash)
{
	struct stat st;
	int at = import_folder_enter(run, base);
	int err = at < 0 ? at : 0;

	if (!err && fstatat(at, name, &st, slash ? 0 : AT_SYMLINK_NOFOLLOW))
		err = -errno;
	if (at >= 0)
		import_folder_leave(run, base);
	if (!err && slash && !S_ISDIR(st.st_mode))
		err = -ENOTDIR;
	if (err)
		import_tell_err(run, base, name, err);
	else if (S_ISDIR(st.st_mode))
		import_enter(run, s, base, name);
	else
		import_found(run, base, name, &st);
}

static void import_walk_source(struct import *run, const char *source)
{
	struct import_stack s = { 0 };
	CLEANUP_FREE char *name = NULL;
	char *path = NULL;
	bool named = import_split(source, &path, &name);
	struct import_folder *base = import_folder_new(run, NULL, path);
	int err = 0;

	if (!base || (named && !name)) {
		err = -ENOMEM;
	} else {
		base->node = run->o->into;
		base->base = named;
		base->keep = true;
		base->fresh = run->o->dry_run && !run->o->into;
		err = import_folder_enter(run, base);
		if (err >= 0)
			err = named ? 0 : import_source_xattrs(err, NULL, &base->xattrs);
	}
	if (err) {
		if (base)
			base->base = true;
		if (import_is_fatal(err))
			import_fail(run, err);
		else
			import_tell_err(run, base, name, err);
	} else {
		import_folder_leave(run, base);
		if (named) {
			import_source(run, &s, base, name, source[strlen(source) - 1] == '/');
		} else if (import_left_out(run, &base->st)) {
			base->base = true;
			import_tell(run, base, NULL, false, import_left_out(run, &base->st));
		} else {
			base->changed = true;
			import_push(run, &s, import_folder_ref(run, base));
		}
		import_descend(run, &s);
	}
	free(s.levels);
	if (base)
		import_folder_put(run, base);
}

void *import_walk(void *arg)
{
	struct import *run = arg;

	for (size_t i = 0; i < run->source_count && !import_stopped(run); i++)
		import_walk_source(run, run->sources[i]);
	import_flush(run);
	return NULL;
}
