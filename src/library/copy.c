/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Copies within the tree. The top of a copy is one operation; below a folder the nodes of one page of a listing share
 * one, and where it fails each is tried by itself. Folders that wait are a list, so depth costs no stack.
 */
#include "config.h"

#include "library/copy.h"

#include "library/tree-internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#define uthash_nonfatal_oom(element) ((void)(element))
#include <uthash.h>

enum { COPY_PAGE = 128 /* nodes in one operation */ };

/* A node with several entries that was copied: the next of them becomes a link. */
struct copy_link {
	int64_t ino, copy;
	UT_hash_handle hh;
};

/* A folder that was made and is still to be filled. */
struct copy_folder {
	int64_t from, to;
	int64_t atime_ns, mtime_ns; /* what filling it must not change */
};

struct copy_item {
	struct node was, made;
	bool linked; /* made as one more entry of a copy; `made` is not set */
	size_t len;
	char name[NAME_LEN_MAX];
};

/* One copy while it runs. */
struct copy_run {
	struct library *lib;
	const struct actor *who;
	const struct copy *what;
	int64_t first; /* inode number of the top's copy: what has a higher one was made meanwhile */
	uint64_t count;
	struct copy_link *links;
	struct copy_folder *folders;
	size_t folder_count, folder_room;
	struct copy_item *page;
	size_t page_count;
	int64_t cookie; /* the listing goes on after it */
	bool more;      /* the page is full, and there is more to list */
};

static bool copy_owns(const struct copy_run *run, const struct node *was)
{
	return run->who->uid == 0 || run->who->uid == was->uid;
}

/* What tree_plan_make() is to make of a node. */
static void copy_values(const struct copy_run *run, const struct node *was, struct tree_new *what)
{
	struct stat st;

	node_stat(was, &st);
	what->mode = st.st_mode;
	what->rdev = was->rdev;
	what->set = TREE_SET_MODE | TREE_SET_ATIME | TREE_SET_MTIME;
	what->values = *was;
	if (copy_owns(run, was))
		what->set |= TREE_SET_UID | TREE_SET_GID;
	else if (was->kind != NODE_FOLDER)
		what->values.mode &= (mode_t) ~(S_ISUID | S_ISGID);
}

static struct meta_value copy_object(const struct node *n)
{
	return n->object ? META_I(n->object) : META_N();
}

static void copy_add_version(struct tree_op *t, const struct tree_name *name, int64_t ino)
{
	META_ADD(t->op, VERSION_RECORD, META_ONE, 0, META_I(ino), META_I(t->now),
		 META_I(t->who->uid));
	journal_add(t->op, t->lib, t->who, t->now,
		    &(struct journal_row){ .action = JOURNAL_SEAL,
					   .ino = ino,
					   .parent = name->parent,
					   .name = name->name,
					   .name_len = name->len });
}

/* The statements for a copy of `was` under a name that is free. `parent` as in tree_plan_make(). */
static int copy_plan_new(const struct copy_run *run, struct tree_op *t, const struct node *was,
			 const struct tree_name *name, const struct node *parent, struct node *made)
{
	CLEANUP_BUF struct buf target = BUF_INIT;
	struct tree_new what = { .parent = name->parent, .name = name->name, .len = name->len };
	int err = was->draft ? -EBUSY : 0;

	if (!err && was->kind == NODE_SYMLINK)
		err = tree_readlink(t->lib, was->ino, &target);
	if (err)
		return err;
	copy_values(run, was, &what);
	what.target = buf_str(&target);
	err = tree_plan_make(t->lib, t->who, &what, parent, t->op, made);
	if (err)
		return err;
	META_ADD(t->op, XATTR_COPY_ALL, META_ANY, 0, META_I(was->ino), META_I(made->ino));
	if (was->object) {
		META_ADD(t->op, COPY_ATTACH, META_ONE, -EAGAIN, META_I(made->ino), META_I(was->ino),
			 copy_object(was));
		copy_add_version(t, name, made->ino);
	}
	return 0;
}

/* The statements for the content of `was` as the next version of `old`. 1: it has it already. */
static int copy_plan_over(struct tree_op *t, const struct node *was, const struct node *old,
			  const struct tree_name *name)
{
	if (was->ino == old->ino)
		return -EINVAL;
	if (was->kind != NODE_ASSET || old->kind != NODE_ASSET)
		return -EEXIST;
	if (was->draft || old->draft)
		return -EBUSY;
	if (was->object == old->object)
		return 1;
	META_ADD(t->op, COPY_CONTENT, META_ONE, -EAGAIN, META_I(old->ino), META_I(was->ino),
		 copy_object(was), copy_object(old), META_I(t->now));
	copy_add_version(t, name, old->ino);
	return 0;
}

struct copy_top {
	struct copy_run *run;
	struct node was, made;
};

static int copy_plan_top(struct tree_op *t, void *arg)
{
	struct copy_top *top = arg;
	const struct copy *what = top->run->what;
	struct tree_name name = { what->parent, what->name, what->len };
	struct tree_found found;
	int err = tree_row(t->lib, what->ino, &top->was);

	if (err)
		return err;
	if (top->was.state == NODE_DELETED)
		return -ENOENT;
	if (top->was.kind == NODE_FOLDER) {
		if (!(what->flags & COPY_TREE))
			return -EISDIR;
		META_ADD(t->op, FOLDER_ABOVE, META_NONE, -EINVAL, META_I(what->parent),
			 META_I(what->ino));
	}
	err = tree_find(t->lib, &name, &found);
	if (err == -ENOENT)
		return copy_plan_new(top->run, t, &top->was, &name, NULL, &top->made);
	if (err)
		return err;
	top->made = found.node;
	if (what->flags & COPY_NOREPLACE)
		return -EEXIST;
	return copy_plan_over(t, &top->was, &found.node, &name);
}

static int copy_folder_wait(struct copy_run *run, const struct node *was, const struct node *made)
{
	if (run->folder_count == run->folder_room) {
		size_t room = run->folder_room ? 2 * run->folder_room : 64;
		struct copy_folder *folders = realloc(run->folders, room * sizeof(*folders));

		if (!folders)
			return -ENOMEM;
		run->folders = folders;
		run->folder_room = room;
	}
	run->folders[run->folder_count++] = (struct copy_folder){
		.from = was->ino,
		.to = made->ino,
		.atime_ns = was->atime_ns,
		.mtime_ns = was->mtime_ns,
	};
	return 0;
}

static int copy_link_keep(struct copy_run *run, int64_t ino, int64_t copy)
{
	struct copy_link *link = calloc(1, sizeof(*link));

	if (!link)
		return -ENOMEM;
	link->ino = ino;
	link->copy = copy;
	HASH_ADD(hh, run->links, ino, sizeof(link->ino), link);
	if (link->hh.tbl)
		return 0;
	free(link);
	return -ENOMEM;
}

static void copy_link_drop(struct copy_run *run, struct copy_link *link)
{
	HASH_DEL(run->links, link);
	free(link);
}

static struct copy_link *copy_link_find(struct copy_run *run, int64_t ino)
{
	struct copy_link *link = NULL;

	HASH_FIND(hh, run->links, &ino, sizeof(ino), link);
	return link;
}

static int copy_plan_item(struct copy_run *run, struct tree_op *t, int64_t to,
			  struct copy_item *item)
{
	static const struct node parent = { .kind = NODE_FOLDER };
	struct tree_name name = { to, item->name, item->len };
	bool several = item->was.kind != NODE_FOLDER && item->was.nlink > 1;
	struct copy_link *link = several ? copy_link_find(run, item->was.ino) : NULL;

	item->linked = link != NULL;
	if (link)
		return tree_plan_link(
			t->lib, t->who, link->copy,
			&(struct tree_new){ .parent = to, .name = item->name, .len = item->len },
			t->op);
	int err = copy_plan_new(run, t, &item->was, &name, &parent, &item->made);

	if (!err && several)
		err = copy_link_keep(run, item->was.ino, item->made.ino);
	return err;
}

/* The items were not made after all: none of them can be linked to. */
static void copy_forget(struct copy_run *run, const struct copy_item *items, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct copy_link *link = copy_link_find(run, items[i].was.ino);

		if (link && !items[i].linked && link->copy == items[i].made.ino)
			copy_link_drop(run, link);
	}
}

/* Makes the items in one operation, all or none. */
static int copy_apply(struct copy_run *run, struct meta_op *op, const struct copy_folder *folder,
		      struct copy_item *items, size_t count)
{
	struct tree_op t = {
		.lib = run->lib, .who = run->who, .op = op, .now = library_now_ns(run->lib)
	};
	size_t planned = 0;
	int err = 0;

	meta_op_reset(op);
	for (; planned < count && !err; planned++) {
		items[planned].made.ino = 0;
		err = copy_plan_item(run, &t, folder->to, &items[planned]);
	}
	META_ADD(op, NODE_SET, META_ONE, -ENOENT, META_I(folder->to), META_N(), META_N(), META_N(),
		 META_I(folder->atime_ns), META_I(folder->mtime_ns), META_I(t.now));
	if (!err)
		err = meta_apply(run->lib->meta, op);
	if (err) {
		copy_forget(run, items, planned);
		return err;
	}
	for (size_t i = 0; i < count && !err; i++)
		if (items[i].was.kind == NODE_FOLDER)
			err = copy_folder_wait(run, &items[i].was, &items[i].made);
	run->count += count;
	return err;
}

/* One item by itself, with its row read again, since it may have changed. */
static int copy_alone(struct copy_run *run, struct meta_op *op, const struct copy_folder *folder,
		      struct copy_item *item)
{
	int err = tree_row(run->lib, item->was.ino, &item->was);

	if (!err)
		err = copy_apply(run, op, folder, item, 1);
	if (!err || err == -ENOMEM || !run->what->failed)
		return err;
	return run->what->failed(run->what->arg, item->was.ino, err);
}

static int copy_page_apply(struct copy_run *run, const struct copy_folder *folder)
{
	struct meta_op *op = meta_op_new();
	int err;

	if (!op)
		return -ENOMEM;
	err = copy_apply(run, op, folder, run->page, run->page_count);
	if (err && err != -ENOMEM) {
		err = 0;
		for (size_t i = 0; i < run->page_count && !err; i++)
			err = copy_alone(run, op, folder, &run->page[i]);
	}
	meta_op_free(op);
	if (!err && run->what->progress)
		run->what->progress(run->what->arg, run->count);
	return err;
}

static int copy_page_read(void *arg, const char *name, size_t len, int64_t cookie,
			  const struct node *node)
{
	struct copy_run *run = arg;
	struct copy_item *item = &run->page[run->page_count];

	run->more = run->page_count == COPY_PAGE;
	if (run->more)
		return 1;
	run->cookie = cookie;
	if (node->ino >= run->first)
		return 0;
	item->was = *node;
	item->len = len;
	memcpy(item->name, name, len);
	run->page_count++;
	return 0;
}

static int copy_fill(struct copy_run *run, const struct copy_folder *folder)
{
	int err;

	run->cookie = 0;
	do {
		run->page_count = 0;
		run->more = false;
		err = tree_list(run->lib, folder->from, run->cookie, copy_page_read, run);
		if (!err && run->page_count)
			err = copy_page_apply(run, folder);
	} while (!err && run->more);
	return err;
}

/* Fills the copy of a folder, and the folders found on the way. */
static int copy_below(struct copy_run *run, const struct copy_top *top)
{
	int err;

	run->first = top->made.ino;
	run->page = calloc(COPY_PAGE, sizeof(*run->page));
	err = run->page ? copy_folder_wait(run, &top->was, &top->made) : -ENOMEM;
	while (!err && run->folder_count) {
		struct copy_folder folder = run->folders[--run->folder_count];

		err = copy_fill(run, &folder);
	}
	free(run->page);
	free(run->folders);
	while (run->links)
		copy_link_drop(run, run->links);
	return err;
}

int copy_node(struct library *lib, const struct actor *who, const struct copy *what,
	      struct node *out)
{
	struct copy_run run = { .lib = lib, .who = who, .what = what };
	struct copy_top top = { .run = &run };
	int err = tree_run(lib, who, copy_plan_top, &top);

	if (!err && top.was.kind == NODE_FOLDER)
		err = copy_below(&run, &top);
	if (!err && out)
		err = tree_get(lib, top.made.ino, out);
	return err;
}
