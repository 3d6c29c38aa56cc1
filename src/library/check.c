/* SPDX-License-Identifier: GPL-3.0-or-later */
/* fsck: the walk over all checks, and who is to blame for damage. */
#include "config.h"

#include "library/check.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>

#include "library/check-internal.h"
#include "library/tree.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/log.h"
#include "util/time.h"

void check_fault(struct check *c, const char *format, ...)
{
	CLEANUP_BUF struct buf line = BUF_INIT;
	va_list args;

	c->result.faults++;
	va_start(args, format);
	if (!buf_vprintf(&line, format, args))
		c->watch->fault(c->watch->arg, buf_str(&line));
	va_end(args);
}

static void take_line(void *arg, const char *line)
{
	check_fault(arg, "%s", line);
}

static int add_number(struct check_inodes *all, int64_t ino)
{
	if (all->count == all->room) {
		size_t room = all->room ? 2 * all->room : 16;
		int64_t *list = realloc(all->list, room * sizeof *list);

		if (!list)
			return -ENOMEM;
		all->list = list;
		all->room = room;
	}
	all->list[all->count++] = ino;
	return 0;
}

static int add_inode(void *arg, const struct meta_row *row)
{
	return add_number(arg, meta_row_int(row, 0));
}

static int mark(struct check *c, int64_t ino)
{
	struct meta_op *op = meta_op_new();
	int err;

	if (!op)
		return -ENOMEM;
	META_ADD(op, CHECK_MARK, META_ANY, 0, META_I(ino), META_I(NODE_INCONSISTENT),
		 META_I(time_now_ns()));
	err = meta_apply(c->meta, op);
	meta_op_free(op);
	return err;
}

static int blame_one(struct check *c, int64_t ino)
{
	CLEANUP_BUF struct buf path = BUF_INIT;
	int err = add_number(&c->blamed, ino);

	if (!err)
		err = tree_path(c->lib, ino, &path);
	if (err && err != -ENOENT)
		return err;
	c->result.damaged_assets++;
	if (err)
		check_fault(c, "asset with inode %lld (in the trash): its content is damaged",
			    (long long)ino);
	else
		check_fault(c, "%s: its content is damaged", log_name(path.data, path.len));
	return c->flags & CHECK_REPAIR ? mark(c, ino) : 0;
}

static int blame_all(struct check *c, struct check_inodes *all, int err)
{
	for (size_t i = 0; err >= 0 && i < all->count; i++)
		err = blame_one(c, all->list[i]);
	free(all->list);
	return err < 0 ? err : 0;
}

int check_blame(struct check *c, int64_t chunk)
{
	struct check_inodes all = { 0 };
	int err = META_QUERY(c->meta, CHECK_USERS, add_inode, &all, META_I(chunk));

	return blame_all(c, &all, err);
}

int check_absolve(struct check *c, int64_t chunk)
{
	int err = META_QUERY(c->meta, CHECK_MARKED, add_inode, &c->healed, META_I(chunk));

	return err < 0 ? err : 0;
}

static bool is_blamed(const struct check *c, int64_t ino)
{
	for (size_t i = 0; i < c->blamed.count; i++)
		if (c->blamed.list[i] == ino)
			return true;
	return false;
}

/* One that was found damaged by a run before. 0 also when it was dealt with for another chunk. */
static int absolve_one(struct check *c, int64_t ino)
{
	CLEANUP_BUF struct buf path = BUF_INIT;
	struct meta_op *op = meta_op_new();
	int err;

	if (!op)
		return -ENOMEM;
	META_ADD(op, CHECK_UNMARK, META_ONE, -ENOENT, META_I(ino), META_I(time_now_ns()));
	err = meta_apply(c->meta, op);
	meta_op_free(op);
	if (err)
		return err == -ENOENT ? 0 : err;
	err = tree_path(c->lib, ino, &path);
	if (err && err != -ENOENT)
		return err;
	check_fault(c, "%s: its content is whole again",
		    err ? "an asset in the trash" : log_name(path.data, path.len));
	c->result.mended++;
	return 0;
}

static int absolve_all(struct check *c)
{
	int err = 0;

	if (!(c->flags & CHECK_DEEP))
		return 0;
	for (size_t i = 0; i < c->healed.count && !err; i++)
		if (!is_blamed(c, c->healed.list[i]))
			err = absolve_one(c, c->healed.list[i]);
	return err;
}

/* Assets and versions whose object is not there at all. */
static int check_dangling(struct check *c)
{
	struct check_inodes all = { 0 };
	int err = meta_query(c->meta, META_CHECK_DANGLING, 0, NULL, add_inode, &all);

	err = blame_all(c, &all, err);
	if (err)
		return err;
	all = (struct check_inodes){ 0 };
	err = meta_query(c->meta, META_CHECK_VERSIONS, 0, NULL, add_inode, &all);
	if (err > 0)
		check_fault(c, "%d former versions have lost their content", err);
	free(all.list);
	return err < 0 ? err : 0;
}

static int check_all(struct check *c)
{
	int err = meta_check(c->meta, take_line, c);

	if (err > 0)
		return 0; /* a damaged database: what its rows say is worth nothing */
	if (err >= 0)
		err = tree_check(c->lib, take_line, c);
	if (err >= 0)
		err = check_objects(c);
	if (!err)
		err = check_dangling(c);
	if (!err)
		err = check_places(c);
	if (!err)
		err = check_edges(c);
	return err ? err : absolve_all(c);
}

int check_library(struct library *lib, int flags, const struct check_watch *watch,
		  struct check_result *out)
{
	struct check c = { .lib = lib, .meta = library_meta(lib), .flags = flags, .watch = watch };
	int err = check_all(&c);

	store_close(c.local);
	free(c.buf);
	free(c.blamed.list);
	free(c.healed.list);
	*out = c.result;
	return err < 0 ? err : 0;
}
