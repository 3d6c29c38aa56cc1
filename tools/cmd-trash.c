/* SPDX-License-Identifier: GPL-3.0-or-later */
/* garner restore and purge: what is in the trash comes back, or goes for good. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "library/control.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/parse.h"

enum { KEY_JSON = 'j', KEY_ALL = 'a', KEY_RECURSIVE = 'r' };

/* What of an item is kept while the trash is walked. */
struct item {
	int64_t ino, parent, deleted_ns;
	uint64_t size;
	char *name; /* owned, NUL-terminated */
};

struct items {
	struct item *list;
	size_t count, room;
};

static int keep_item(void *arg, const struct tree_trash_item *t)
{
	struct items *all = arg;
	struct item *it;

	if (all->count == all->room) {
		size_t room = all->room ? 2 * all->room : 64;
		struct item *list = realloc(all->list, room * sizeof *list);

		if (!list)
			return -ENOMEM;
		all->list = list;
		all->room = room;
	}
	it = &all->list[all->count];
	*it = (struct item){ .ino = t->node.ino,
			     .parent = t->parent,
			     .deleted_ns = t->deleted_ns,
			     .size = t->node.size };
	it->name = strndup(t->name, t->len);
	if (!it->name)
		return -ENOMEM;
	all->count++;
	return 0;
}

static void free_items(struct items *all)
{
	for (size_t i = 0; i < all->count; i++)
		free(all->list[i].name);
	free(all->list);
}

static void print_item(const struct item *it, const struct buf *path, bool gone)
{
	printf("%10lld  %12llu  ", (long long)it->ino, (unsigned long long)it->size);
	cmd_print_name(path->data, path->len);
	puts(gone ? "  (the folder it was in is gone; here it comes back)" : "");
}

static int list_trash(const struct cmd *cmd, struct library *lib, const struct items *all,
		      bool json)
{
	json_t *list = json ? json_array() : NULL;

	for (size_t i = 0; i < all->count; i++) {
		const struct item *it = &all->list[i];
		CLEANUP_BUF struct buf path = BUF_INIT;
		bool gone;
		int err = tree_path_was(lib, it->ino, &gone, &path);

		if (err) {
			json_decref(list);
			return cmd_fail(cmd, NULL, err);
		}
		if (json)
			json_array_append_new(list, json_pack("{s:I, s:o, s:b, s:I, s:o}", "item",
							      (json_int_t)it->ino, "path",
							      cmd_json_text(path.data, path.len),
							      "folder_gone", gone, "size",
							      (json_int_t)it->size, "deleted",
							      cmd_json_time(it->deleted_ns)));
		else
			print_item(it, &path, gone);
	}
	return json ? cmd_print_json(list) : CMD_OK;
}

/* The same path, with or without slashes in front. */
static bool same_path(const char *a, const char *b)
{
	return strcmp(a + strspn(a, "/"), b + strspn(b, "/")) == 0;
}

/* The item called `text`: its number, or the path that it had (of several, the one deleted last). 0: none. */
static int64_t find_item(struct library *lib, const struct items *all, const char *text)
{
	int64_t found = 0;
	uint64_t number = 0;

	if (parse_u64(text, INT64_MAX, &number))
		number = 0;
	for (size_t i = 0; i < all->count; i++) {
		CLEANUP_BUF struct buf path = BUF_INIT;
		bool gone;

		if ((uint64_t)all->list[i].ino == number)
			return all->list[i].ino;
		if (!tree_path_was(lib, all->list[i].ino, &gone, &path) &&
		    same_path(buf_str(&path), text))
			found = all->list[i].ino;
	}
	return found;
}

static int restore_item(struct library *lib, const struct actor *who, int64_t ino)
{
	CLEANUP_BUF struct buf path = BUF_INIT;
	struct node n;
	int err = tree_restore(lib, who, ino, &n);

	if (!err && !tree_path(lib, n.ino, &path)) {
		cmd_print_name(path.data, path.len);
		putchar('\n');
	}
	return err;
}

/*
 * What was deleted from a folder before the folder itself was, as rm(1) and file managers take a tree apart: with `deep` it is restored too, each with what was
 * deleted from it; else counted in *left.
 */
static int restore_within(struct library *lib, const struct actor *who, const struct items *all,
			  int64_t folder, bool deep, uint64_t *left)
{
	int err = 0;

	for (size_t i = 0; i < all->count && !err; i++) {
		const struct item *it = &all->list[i];

		if (it->parent != folder)
			continue;
		if (!deep) {
			++*left;
			continue;
		}
		err = restore_item(lib, who, it->ino);
		if (!err)
			err = restore_within(lib, who, all, it->ino, true, left);
	}
	return err;
}

/* The items of the command line, and what was deleted from them. */
static int restore_named(const struct cmd *cmd, struct library *lib, const struct items *all,
			 int count, char **names, bool deep)
{
	struct actor who = cmd_actor();
	int code = CMD_OK;

	for (int i = 0; i < count; i++) {
		int64_t ino = find_item(lib, all, names[i]);
		uint64_t left = 0;
		int one = ino ? cmd_fail(cmd, names[i], restore_item(lib, &who, ino))
			      : cmd_refuse(cmd, CMD_NOT_FOUND, names[i],
					   "not in the trash; 'garner restore LIBRARY' lists it");

		if (!one)
			one = cmd_fail(cmd, names[i],
				       restore_within(lib, &who, all, ino, deep, &left));
		if (left)
			fprintf(stderr,
				"garner restore: %s: %llu more that were deleted from it before "
				"are in the trash; --recursive brings them too\n",
				names[i], (unsigned long long)left);
		code = code ? code : one;
	}
	return code;
}

typedef int item_action(struct library *lib, const struct actor *who, int64_t ino);

static int act_on(const struct cmd *cmd, struct library *lib, const struct items *all, int count,
		  char **names, item_action *act)
{
	struct actor who = cmd_actor();
	int code = CMD_OK;

	for (int i = 0; i < count; i++) {
		int64_t ino = find_item(lib, all, names[i]);
		int one = ino ? cmd_fail(cmd, names[i], act(lib, &who, ino))
			      : cmd_refuse(cmd, CMD_NOT_FOUND, names[i],
					   "not in the trash; 'garner restore LIBRARY' lists it");

		code = code ? code : one;
	}
	return code;
}

static int act_on_all(const struct cmd *cmd, struct library *lib, const struct items *all,
		      item_action *act)
{
	struct actor who = cmd_actor();
	int code = CMD_OK;

	for (size_t i = 0; i < all->count; i++) {
		int one = cmd_fail(cmd, all->list[i].name, act(lib, &who, all->list[i].ino));

		code = code ? code : one;
	}
	return code;
}

static int run_action(const struct cmd *cmd, int argc, char **argv, item_action *act)
{
	struct items all = { 0 };
	bool json = false, every = false, deep = false;
	struct library *lib;
	struct cmd_line l;
	int key, code;

	cmd_begin(&l, cmd, argc, argv);
	while ((key = cmd_next(&l)) >= 0) {
		json = json || key == KEY_JSON;
		every = every || key == KEY_ALL;
		deep = deep || key == KEY_RECURSIVE;
	}
	if (key == CMD_STOP)
		return l.exit;
	if (every && l.argc > 1)
		return cmd_usage(cmd, "either --all or an ITEM ('%s')", l.argv[1]);
	lib = cmd_open(cmd, l.argv[0], every || l.argc > 1 ? 0 : LIBRARY_RDONLY, &code);
	if (!lib)
		return code;
	code = cmd_fail(cmd, l.argv[0], tree_trash_list(lib, keep_item, &all));
	if (!code && every)
		code = act_on_all(cmd, lib, &all, act);
	else if (!code && l.argc > 1 && act == restore_item)
		code = restore_named(cmd, lib, &all, l.argc - 1, l.argv + 1, deep);
	else if (!code && l.argc > 1)
		code = act_on(cmd, lib, &all, l.argc - 1, l.argv + 1, act);
	else if (!code)
		code = list_trash(cmd, lib, &all, json);
	if (every || l.argc > 1)
		library_changed(lib);
	library_close(lib);
	free_items(&all);
	return code;
}

static int run_restore(const struct cmd *cmd, int argc, char **argv)
{
	return run_action(cmd, argc, argv, restore_item);
}

static int run_purge(const struct cmd *cmd, int argc, char **argv)
{
	return run_action(cmd, argc, argv, tree_purge);
}

static const struct cmd_option restore_options[] = {
	{ "all", KEY_ALL, NULL, "everything in the trash" },
	{ "recursive", KEY_RECURSIVE, NULL, "also what was deleted from the item before" },
	{ "json", KEY_JSON, NULL, "list the trash as JSON" },
	{ 0 },
};

static const struct cmd_option purge_options[] = {
	{ "all", KEY_ALL, NULL, "everything in the trash" },
	{ "json", KEY_JSON, NULL, "list the trash as JSON" },
	{ 0 },
};

const struct cmd cmd_restore = {
	.name = "restore",
	.operands = "LIBRARY [ITEM…]",
	.summary = "List the trash, or put items back where they were",
	.options = restore_options,
	.min_operands = 1,
	.max_operands = -1,
	.run = run_restore,
};

const struct cmd cmd_purge = {
	.name = "purge",
	.operands = "LIBRARY [ITEM…]",
	.summary = "List the trash, or remove items for good",
	.options = purge_options,
	.min_operands = 1,
	.max_operands = -1,
	.run = run_purge,
};
