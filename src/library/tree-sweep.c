/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Removing orphans in the background: nodes that neither an entry nor a row of the trash names.
 *
 * A folder that was purged with everything below it is taken apart from the top, a page of entries
 * at a time: each entry goes, and what lost its last one becomes an orphan itself. Every step is
 * an operation of its own that leaves a tree in order, so the work may be cut short anywhere.
 */
#include "config.h"

#include "library/file.h"
#include "library/tree-internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct tree_orphans {
	size_t count;
	struct node nodes[TREE_PAGE];
};

static int tree_orphans_read(void *arg, const struct meta_row *row)
{
	struct tree_orphans *orphans = arg;

	node_read(row, 0, &orphans->nodes[orphans->count++]);
	return 0;
}

struct tree_child {
	struct node node;
	size_t len;
	char name[NAME_LEN_MAX];
};

struct tree_children {
	int64_t folder;
	size_t count;
	struct tree_child items[TREE_PAGE];
};

static int tree_children_read(void *arg, const struct meta_row *row)
{
	struct tree_children *children = arg;
	struct tree_child *child = &children->items[children->count];
	const void *name = meta_row_bytes(row, 1, &child->len);

	if (child->len > NAME_LEN_MAX)
		return ERR_CORRUPT;
	memcpy(child->name, name, child->len);
	node_read(row, 2, &child->node);
	children->count++;
	return 0;
}

static int tree_children_get(struct library *lib, struct tree_children *children)
{
	children->count = 0;
	return META_QUERY(lib->meta, ENTRY_LIST, tree_children_read, children,
			  META_I(children->folder), META_I(0), META_I(TREE_PAGE));
}

/*
 * The entry goes; the node is an orphan when it was its last. The time is that of the folder: the
 * minute has passed.
 */
static void tree_sweep_child(struct tree_op *t, int64_t folder, const struct tree_child *child)
{
	const struct node *node = &child->node;

	META_ADD(t->op, ENTRY_DELETE, META_ONE, -EAGAIN, META_I(folder),
		 META_B(child->name, child->len), META_I(node->ino));
	if (node->kind == NODE_FOLDER)
		META_ADD(t->op, FOLDER_UNLINK, META_ONE, -EAGAIN, META_I(node->ino),
			 META_I(t->now));
	else if (node->nlink > 1)
		META_ADD(t->op, NODE_UNLINK, META_ONE, -EAGAIN, META_I(node->ino), META_I(t->now));
	else
		META_ADD(t->op, NODE_UNLINK_LAST, META_ONE, -EAGAIN, META_I(node->ino),
			 META_I(t->now), META_I(node->object));
	if (node->kind == NODE_FOLDER || node->nlink <= 1)
		META_ADD(t->op, ORPHAN_INSERT, META_ONE, -EAGAIN, META_I(node->ino),
			 META_I(t->now - TREE_SWEEP_AGE_NS));
}

/*
 * A node that has two of its entries on one page is left for the next, since its link count is
 * that of the reading.
 */
static bool tree_sweep_seen(const struct tree_children *children, size_t at)
{
	const struct node *node = &children->items[at].node;

	if (node->kind == NODE_FOLDER || node->nlink < 2)
		return false;
	for (size_t i = 0; i < at; i++) {
		if (children->items[i].node.ino == node->ino)
			return true;
	}
	return false;
}

static int tree_sweep_folder_plan(struct tree_op *t, void *arg)
{
	struct tree_children *children = arg;
	int folders = 0, count = tree_children_get(t->lib, children);

	if (count < 0)
		return count;
	for (size_t i = 0; i < children->count; i++) {
		if (tree_sweep_seen(children, i))
			continue;
		tree_sweep_child(t, children->folder, &children->items[i]);
		folders += children->items[i].node.kind == NODE_FOLDER;
	}
	if (folders)
		META_ADD(t->op, FOLDER_EMPTIED, META_ONE, -EAGAIN, META_I(children->folder),
			 META_I(folders));
	if (count)
		return 0;
	tree_add_empty_guard(t->op, children->folder);
	tree_add_purge(t->op, children->folder);
	return 0;
}

/* Takes a folder apart, up to about `limit` entries. The count of what was done, or an error. */
static int tree_sweep_folder(struct library *lib, struct tree_children *children, int limit)
{
	int err, done = 0;

	do {
		err = tree_run(lib, NULL, tree_sweep_folder_plan, children);
		done += children->count ? (int)children->count : 1;
	} while (!err && children->count && done < limit);
	return err ? err : done;
}

struct tree_sweep_arg {
	size_t count;
	int64_t inos[TREE_PAGE];
};

static int tree_sweep_nodes_plan(struct tree_op *t, void *arg)
{
	const struct tree_sweep_arg *sweep = arg;

	for (size_t i = 0; i < sweep->count; i++)
		tree_add_purge(t->op, sweep->inos[i]);
	return sweep->count ? 0 : 1;
}

/*
 * Together, and one by one where that fails because one of them has a name again. The count of
 * those removed, or an error.
 */
static int tree_sweep_nodes(struct library *lib, struct tree_sweep_arg *sweep)
{
	struct tree_sweep_arg one = { .count = 1 };
	int done = 0, err = tree_run(lib, NULL, tree_sweep_nodes_plan, sweep);

	if (err != -EBUSY)
		return err ? err : (int)sweep->count;
	for (size_t i = 0; i < sweep->count; i++) {
		one.inos[0] = sweep->inos[i];
		err = tree_run(lib, NULL, tree_sweep_nodes_plan, &one);
		if (err && err != -EBUSY)
			return err;
		done += !err;
	}
	return done;
}

/*
 * Folders are taken apart here; of the rest, what has a draft goes by those who know who has it
 * open.
 */
static int tree_sweep_page(struct library *lib, const struct tree_orphans *orphans,
			   struct tree_children *children, int limit)
{
	struct tree_sweep_arg sweep = { 0 };
	int got, done = 0;

	for (size_t i = 0; i < orphans->count && done < limit; i++) {
		const struct node *node = &orphans->nodes[i];

		if (node->kind != NODE_FOLDER && node->draft) {
			files_unlinked(lib, node->ino);
		} else if (node->kind != NODE_FOLDER) {
			if (!files_is_open(lib, node->ino))
				sweep.inos[sweep.count++] = node->ino;
		} else {
			children->folder = node->ino;
			got = tree_sweep_folder(lib, children, limit - done);
			if (got < 0 && got != -EBUSY)
				return got;
			done += got > 0 ? got : 0;
		}
	}
	got = tree_sweep_nodes(lib, &sweep);
	return got < 0 ? got : done + got;
}

static int tree_tunnels_plan(struct tree_op *t, void *arg)
{
	(void)arg;
	META_ADD(t->op, TUNNEL_EXPIRE, META_ANY, 0, META_I(t->now));
	return 0;
}

static int tree_tunnels_read(void *arg, const struct meta_row *row)
{
	(void)arg;
	(void)row;
	return 1;
}

/* Writes nothing where nothing is outdated: an idle library's disk may sleep. */
static int tree_sweep_tunnels(struct library *lib)
{
	int count = META_QUERY(lib->meta, TUNNEL_OLD, tree_tunnels_read, NULL,
			       META_I(time_now_ns()));

	return count > 0 ? tree_run(lib, NULL, tree_tunnels_plan, NULL) : count;
}

static int tree_sweep_orphans(struct library *lib, int64_t age_ns, int limit)
{
	CLEANUP_FREE struct tree_orphans *orphans = malloc(sizeof(*orphans));
	CLEANUP_FREE struct tree_children *children = malloc(sizeof(*children));
	int64_t last = 0, before = time_now_ns() - age_ns;
	int count, got, done = 0;

	if (!orphans || !children)
		return -ENOMEM;
	do {
		orphans->count = 0;
		count = META_QUERY(lib->meta, ORPHAN_LIST, tree_orphans_read, orphans, META_I(last),
				   META_I(before), META_I(TREE_PAGE));
		if (count <= 0)
			break;
		last = orphans->nodes[count - 1].ino;
		got = tree_sweep_page(lib, orphans, children, limit - done);
		if (got < 0)
			return got;
		done += got;
	} while (done < limit);
	return count < 0 ? count : done;
}

int tree_sweep(struct library *lib, int64_t age_ns, int limit)
{
	int err = tree_sweep_tunnels(lib);

	return err ? err : tree_sweep_orphans(lib, age_ns, limit);
}
