/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The subcommands that change the tree: mkdir, mv, rm. Each tells a running mount before it returns. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cmd-change.h"

enum { KEY_PARENTS = 'p', KEY_RECURSIVE = 'r', KEY_FORCE = 'f', KEY_NO_CLOBBER = 'n' };

/* mkdir */

static int tell_mkdir(const struct change *c, const char *path, int err)
{
	struct node n;

	if (err == -ENOENT && strchr(path, '/') && !cmd_path_below(c->lib, path))
		return cmd_refuse(c->cmd, CMD_NOT_FOUND, path,
				  "the folder to make it in does not exist; --parents makes it");
	if (err == -EINVAL && !tree_resolve(c->lib, path, &n))
		err = -EEXIST;
	return change_tell(c, path, err);
}

static int make_folder(struct change *c, const char *path, struct node *out)
{
	struct node parent;
	const char *name;
	size_t len;
	int err = tree_resolve_parent(c->lib, path, &parent, &name, &len);

	if (err)
		return err;
	return tree_make(
		c->lib, &c->who,
		&(struct tree_new){
			.parent = parent.ino, .name = name, .len = len, .mode = S_IFDIR | 0777 },
		out);
}

/* Every part of the path that is missing. */
static int make_parents(struct change *c, char *path)
{
	struct node n = { 0 };
	int err = 0;

	for (char *end_of = path + strspn(path, "/"); *end_of && !err;) {
		char kept;

		end_of += strcspn(end_of, "/");
		kept = *end_of;
		*end_of = '\0';
		err = tree_resolve(c->lib, path, &n);
		if (err == -ENOENT)
			err = make_folder(c, path, &n);
		if (!err && n.kind != NODE_FOLDER)
			err = -ENOTDIR;
		*end_of = kept;
		end_of += strspn(end_of, "/");
	}
	return err;
}

static int run_mkdir(const struct cmd *cmd, int argc, char **argv)
{
	struct change c;
	struct cmd_line l;
	struct node n;
	bool parents = false;
	int key, code;

	cmd_begin(&l, cmd, argc, argv);
	while ((key = cmd_next(&l)) >= 0)
		parents = parents || key == KEY_PARENTS;
	if (key == CMD_STOP)
		return l.exit;
	code = change_begin(&c, cmd, l.argv[0]);
	if (code)
		return code;
	for (int i = 1; i < l.argc; i++) {
		int err = parents ? make_parents(&c, l.argv[i]) : make_folder(&c, l.argv[i], &n);
		int one = tell_mkdir(&c, l.argv[i], err);

		code = code ? code : one;
	}
	change_end(&c);
	return code;
}

static const struct cmd_option mkdir_options[] = {
	{ "parents", KEY_PARENTS, NULL, "make missing folders above, too; no error if it exists" },
	{ 0 },
};

const struct cmd cmd_mkdir = {
	.name = "mkdir",
	.operands = "LIBRARY PATH…",
	.summary = "Make folders",
	.options = mkdir_options,
	.min_operands = 2,
	.max_operands = -1,
	.run = run_mkdir,
};

/* mv */

static int move(struct change *c, const char *from, const char *to, unsigned flags)
{
	struct change_place old, new;
	int err = change_find(c->lib, from, &old);

	if (!err)
		err = change_find_target(c->lib, &old, to, &new);
	if (!err)
		err = tree_rename(c->lib, &c->who, old.parent, old.name, old.len, new.parent,
				  new.name, new.len, flags);
	return err;
}

static int tell_mv(const struct change *c, const char *from, const char *to, int err)
{
	struct node n;

	switch (err) {
	case -EINVAL:
		if (from[strspn(from, "/")])
			return cmd_refuse(c->cmd, CMD_FAILED, from,
					  "cannot be moved into itself, or to that name");
		break;
	case -ENOENT:
	case -ENOTDIR:
		if (tree_resolve(c->lib, from, &n) != 0)
			break;
		if (tree_resolve(c->lib, to, &n) == 0)
			return cmd_refuse(c->cmd, CMD_NOT_FOUND, to,
					  "not a folder; a folder cannot take its place");
		return cmd_refuse(c->cmd, CMD_NOT_FOUND, to,
				  "the folder to move to does not exist");
	case -EEXIST:
	case -ENOTEMPTY:
		return cmd_refuse(c->cmd, CMD_FAILED, from, "the new name is taken");
	default:
		break;
	}
	return change_tell(c, from, err);
}

/* An exit code: that of the first failure. */
static int move_all(struct change *c, int count, char **from, const char *to, unsigned flags)
{
	int code = count > 1 ? change_need_folder(c, to, "no folder to move several into") : CMD_OK;

	if (code)
		return code;
	for (int i = 0; i < count; i++) {
		int one = tell_mv(c, from[i], to, move(c, from[i], to, flags));

		code = code ? code : one;
	}
	return code;
}

static int run_mv(const struct cmd *cmd, int argc, char **argv)
{
	struct change c;
	struct cmd_line l;
	unsigned flags = 0;
	int key, code;

	cmd_begin(&l, cmd, argc, argv);
	while ((key = cmd_next(&l)) >= 0)
		flags = key == KEY_NO_CLOBBER ? RENAME_NOREPLACE : flags;
	if (key == CMD_STOP)
		return l.exit;
	code = change_begin(&c, cmd, l.argv[0]);
	if (code)
		return code;
	code = move_all(&c, l.argc - 2, l.argv + 1, l.argv[l.argc - 1], flags);
	change_end(&c);
	return code;
}

static const struct cmd_option mv_options[] = {
	{ "no-clobber", KEY_NO_CLOBBER, NULL, "fail if the new name is taken" },
	{ 0 },
};

const struct cmd cmd_mv = {
	.name = "mv",
	.operands = "LIBRARY FROM… TO",
	.summary = "Move or rename assets and folders",
	.options = mv_options,
	.min_operands = 3,
	.max_operands = -1,
	.run = run_mv,
};

/* rm */

static int remove_path(struct change *c, const char *path, bool recursive)
{
	struct change_place at;
	struct node n;
	int err = change_find(c->lib, path, &at);

	if (!err)
		err = tree_lookup(c->lib, at.parent, at.name, at.len, &n);
	if (err)
		return err;
	if (n.kind != NODE_FOLDER)
		return tree_unlink(c->lib, &c->who, at.parent, at.name, at.len, NULL);
	if (recursive)
		return tree_remove(c->lib, &c->who, at.parent, at.name, at.len);
	return -EISDIR;
}

static int tell_rm(const struct change *c, const char *path, bool force, int err)
{
	if (force && err == -ENOENT && !cmd_path_below(c->lib, path))
		return CMD_OK;
	if (err == -EISDIR)
		return cmd_refuse(c->cmd, CMD_FAILED, path,
				  "a folder; --recursive moves it to the trash with what is in it");
	return change_tell(c, path, err);
}

static int run_rm(const struct cmd *cmd, int argc, char **argv)
{
	struct change c;
	struct cmd_line l;
	bool recursive = false, force = false;
	int key, code;

	cmd_begin(&l, cmd, argc, argv);
	while ((key = cmd_next(&l)) >= 0) {
		recursive = recursive || key == KEY_RECURSIVE;
		force = force || key == KEY_FORCE;
	}
	if (key == CMD_STOP)
		return l.exit;
	code = change_begin(&c, cmd, l.argv[0]);
	if (code)
		return code;
	for (int i = 1; i < l.argc; i++) {
		int err = remove_path(&c, l.argv[i], recursive);
		int one = tell_rm(&c, l.argv[i], force, err);

		code = code ? code : one;
	}
	change_end(&c);
	return code;
}

static const struct cmd_option rm_options[] = {
	{ "recursive", KEY_RECURSIVE, NULL, "also folders, with all that is in them" },
	{ "force", KEY_FORCE, NULL, "what is not there is no error" },
	{ 0 },
};

const struct cmd cmd_rm = {
	.name = "rm",
	.operands = "LIBRARY PATH…",
	.summary = "Move assets and folders to the trash",
	.options = rm_options,
	.min_operands = 2,
	.max_operands = -1,
	.run = run_rm,
};
