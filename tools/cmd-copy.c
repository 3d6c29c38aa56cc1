/* SPDX-License-Identifier: GPL-3.0-or-later */
/* garner cp: copies that share their content. */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "cmd-change.h"
#include "library/copy.h"
#include "util/buf.h"
#include "util/cleanup.h"

enum { KEY_RECURSIVE = 'r', KEY_NO_CLOBBER = 'n' };

/* One command while it runs. */
struct copying {
	struct change change;
	unsigned flags;
	int code; /* of the first failure below a folder */
	struct cmd_progress progress;
	uint64_t before; /* nodes copied for the operands that are done */
};

static int tell_cp(const struct change *c, const char *path, int err)
{
	switch (err) {
	case -EBUSY:
		return cmd_refuse(
			c->cmd, CMD_BUSY, path,
			"still being written; garner sync waits until what is closed is stored");
	case -EISDIR:
		return cmd_refuse(c->cmd, CMD_FAILED, path, "a folder; --recursive copies it");
	case -EEXIST:
		return cmd_refuse(c->cmd, CMD_FAILED, path, "the new name is taken");
	case -EINVAL:
		if (path[strspn(path, "/")])
			return cmd_refuse(c->cmd, CMD_FAILED, path,
					  "cannot be copied into itself, or to that name");
		return cmd_refuse(c->cmd, CMD_FAILED, path, "the top folder cannot be copied");
	default:
		return change_tell(c, path, err);
	}
}

static int failed_below(void *arg, int64_t ino, int err)
{
	struct copying *k = arg;
	CLEANUP_BUF struct buf path = BUF_INIT;
	int code;

	cmd_progress_end(&k->progress);
	if (tree_path(k->change.lib, ino, &path))
		code = cmd_fail(k->change.cmd, NULL, err);
	else
		code = tell_cp(&k->change, buf_str(&path), err);
	k->code = k->code ? k->code : code;
	return 0;
}

static void progress_below(void *arg, uint64_t nodes)
{
	struct copying *k = arg;

	k->progress.done_items = k->before + nodes;
	cmd_progress_show(&k->progress);
}

static int copy_one(struct copying *k, const char *from, const char *to)
{
	struct library *lib = k->change.lib;
	struct change_place old, new;
	struct node n;
	int err = tree_resolve(lib, from, &n);

	if (!err)
		err = change_find(lib, from, &old);
	if (!err)
		err = change_find_target(lib, &old, to, &new);
	if (err)
		return err;
	return copy_node(lib, &k->change.who,
			 &(struct copy){ .ino = n.ino,
					 .parent = new.parent,
					 .name = new.name,
					 .len = new.len,
					 .flags = k->flags,
					 .failed = failed_below,
					 .progress = progress_below,
					 .arg = k },
			 NULL);
}

/* What is said of `err` is of `to` where `from` is there. */
static int tell_one(const struct copying *k, const char *from, const char *to, int err)
{
	struct library *lib = k->change.lib;
	struct node n;

	if ((err == -ENOENT || err == -ENOTDIR) && !tree_resolve(lib, from, &n))
		return cmd_refuse(k->change.cmd, CMD_NOT_FOUND, to,
				  err == -ENOENT ? "the folder to copy to does not exist"
						 : "not a folder");
	return tell_cp(&k->change, from, err);
}

static int copy_all(struct copying *k, int count, char **from, const char *to)
{
	int code = CMD_OK;

	if (count > 1)
		code = change_need_folder(&k->change, to, "no folder to copy several into");
	if (code)
		return code;
	cmd_progress_begin(&k->progress, "copying");
	for (int i = 0; i < count; i++) {
		int err = copy_one(k, from[i], to);

		if (err)
			cmd_progress_end(&k->progress);
		int one = tell_one(k, from[i], to, err);

		code = code ? code : one;
		k->before = k->progress.done_items;
	}
	cmd_progress_end(&k->progress);
	return code ? code : k->code;
}

static int run_cp(const struct cmd *cmd, int argc, char **argv)
{
	struct copying k = { 0 };
	struct cmd_line l;
	int key, code;

	cmd_begin(&l, cmd, argc, argv);
	while ((key = cmd_next(&l)) >= 0)
		k.flags |= key == KEY_RECURSIVE ? COPY_TREE : COPY_NOREPLACE;
	if (key == CMD_STOP)
		return l.exit;
	code = change_begin(&k.change, cmd, l.argv[0]);
	if (code)
		return code;
	code = copy_all(&k, l.argc - 2, l.argv + 1, l.argv[l.argc - 1]);
	change_end(&k.change);
	return code;
}

static const struct cmd_option cp_options[] = {
	{ "recursive", KEY_RECURSIVE, NULL, "also folders, with all that is in them" },
	{ "no-clobber", KEY_NO_CLOBBER, NULL, "fail if the new name is taken" },
	{ 0 },
};

const struct cmd cmd_cp = {
	.name = "cp",
	.operands = "LIBRARY FROM… TO",
	.summary = "Copy assets and folders; the content is shared",
	.options = cp_options,
	.min_operands = 3,
	.max_operands = -1,
	.run = run_cp,
};
