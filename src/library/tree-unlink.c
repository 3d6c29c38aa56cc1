/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Giving nodes another name and taking names away. */
#include "config.h"

#include "library/file.h"
#include "library/identity.h"
#include "library/tree-internal.h"

#include <errno.h>

struct tree_link_arg {
	int64_t ino;
	struct tree_name name;
	struct node node;
};

static int tree_link_guard(const struct node *node)
{
	if (node->kind == NODE_FOLDER)
		return -EPERM;
	if (node->state == NODE_DELETED)
		return -ENOENT;
	return node->nlink >= TREE_LINK_MAX ? -EMLINK : 0;
}

/* A node made without a name gets its first one: it is no orphan any more. */
static int tree_link_first(struct tree_op *t, struct tree_link_arg *link)
{
	int took = identity_take_tunnel(t, &link->name, &link->node, link->node.asset_id);

	if (took < 0)
		return took;
	META_ADD(t->op, NODE_LINK_FIRST, META_ONE, -EAGAIN, META_I(link->ino), META_I(t->now));
	META_ADD(t->op, ORPHAN_DELETE, META_ONE, -EAGAIN, META_I(link->ino));
	return 0;
}

static int tree_link_plan(struct tree_op *t, void *arg)
{
	struct tree_link_arg *link = arg;
	int64_t entry = meta_next_id(t->lib->meta, META_SEQ_ENTRY);
	int err;

	if (entry < 0)
		return (int)entry;
	err = tree_row(t->lib, link->ino, &link->node);
	if (!err)
		err = tree_link_guard(&link->node);
	if (err)
		return err;
	tree_add_touch(t, link->name.parent, 0);
	if (!link->node.nlink)
		err = tree_link_first(t, link);
	else
		META_ADD(t->op, NODE_LINK, META_ONE, -EAGAIN, META_I(link->ino), META_I(t->now),
			 META_I(TREE_LINK_MAX));
	if (!err)
		err = tree_add_entry(t->op, entry, &link->name, link->ino, 0);
	if (err)
		return err;
	journal_add(t->op, t->lib, t->who, t->now,
		    &(struct journal_row){ .action = JOURNAL_LINK,
					   .ino = link->ino,
					   .parent = link->name.parent,
					   .name = link->name.name,
					   .name_len = link->name.len });
	return 0;
}

int tree_link(struct library *lib, const struct actor *who, int64_t ino, int64_t parent,
	      const char *name, size_t len, struct node *out)
{
	struct tree_link_arg link = { .ino = ino, .name = { parent, name, len } };
	int err = name_check(name, len);

	if (!err)
		err = tree_run(lib, who, tree_link_plan, &link);
	if (!err && !link.node.nlink)
		files_linked(lib, ino);
	return err ? err : tree_get(lib, ino, out);
}

int tree_plan_link(struct library *lib, const struct actor *who, int64_t ino,
		   const struct tree_new *where, struct meta_op *op)
{
	struct tree_op t = { .lib = lib, .who = who, .op = op, .now = library_now_ns(lib) };
	struct tree_name name = { where->parent, where->name, where->len };
	int err = name_check(name.name, name.len);
	int64_t entry = err ? 0 : meta_next_id(lib->meta, META_SEQ_ENTRY);

	if (err || entry < 0)
		return err ? err : (int)entry;
	tree_add_touch(&t, name.parent, 0);
	META_ADD(op, NODE_LINK, META_ONE, -EAGAIN, META_I(ino), META_I(t.now),
		 META_I(TREE_LINK_MAX));
	err = tree_add_entry(op, entry, &name, ino, 0);
	if (err)
		return err;
	journal_add(op, lib, who, t.now,
		    &(struct journal_row){ .action = JOURNAL_LINK,
					   .ino = ino,
					   .parent = name.parent,
					   .name = name.name,
					   .name_len = name.len });
	return 0;
}

struct tree_unlink_arg {
	struct tree_name name;
	struct tree_found found;
	int64_t now;
	bool gone;
};

static int tree_unlink_plan(struct tree_op *t, void *arg)
{
	struct tree_unlink_arg *unlink = arg;
	int err = tree_find(t->lib, &unlink->name, &unlink->found);

	if (err)
		return err;
	if (unlink->found.node.kind == NODE_FOLDER)
		return -EISDIR;
	unlink->now = t->now;
	tree_add_touch(t, unlink->name.parent, 0);
	tree_add_unlink(t, &unlink->name, &unlink->found.node, &unlink->gone);
	identity_add_tunnel(t, &unlink->name, &unlink->found.node);
	return 0;
}

int tree_unlink(struct library *lib, const struct actor *who, int64_t parent, const char *name,
		size_t len, struct node *out)
{
	struct tree_unlink_arg unlink = { .name = { parent, name, len } };
	struct node *node = &unlink.found.node;
	int err = name_check(name, len);

	if (!err)
		err = tree_run(lib, who, tree_unlink_plan, &unlink);
	if (err)
		return err;
	if (--node->nlink == 0)
		node->state = NODE_DELETED;
	node->ctime_ns = unlink.now;
	node->version++;
	if (unlink.gone)
		files_unlinked(lib, node->ino);
	if (out) {
		*out = *node;
		file_overlay(lib, out);
	}
	return 0;
}

static int tree_rmdir_plan(struct tree_op *t, void *arg)
{
	struct tree_unlink_arg *unlink = arg;
	int err = tree_find(t->lib, &unlink->name, &unlink->found);

	if (err)
		return err;
	if (unlink->found.node.kind != NODE_FOLDER)
		return -ENOTDIR;
	tree_add_empty_guard(t->op, unlink->found.node.ino);
	tree_add_touch(t, unlink->name.parent, -1);
	tree_add_folder_unlink(t, &unlink->name, &unlink->found.node, JOURNAL_RMDIR);
	return 0;
}

int tree_rmdir(struct library *lib, const struct actor *who, int64_t parent, const char *name,
	       size_t len)
{
	struct tree_unlink_arg unlink = { .name = { parent, name, len } };
	int err = name_check(name, len);

	return err ? err : tree_run(lib, who, tree_rmdir_plan, &unlink);
}

static int tree_remove_plan(struct tree_op *t, void *arg)
{
	struct tree_unlink_arg *unlink = arg;
	int err = tree_find(t->lib, &unlink->name, &unlink->found);

	if (err)
		return err;
	unlink->gone = false;
	if (unlink->found.node.kind != NODE_FOLDER) {
		tree_add_touch(t, unlink->name.parent, 0);
		tree_add_unlink(t, &unlink->name, &unlink->found.node, &unlink->gone);
	} else {
		tree_add_touch(t, unlink->name.parent, -1);
		tree_add_folder_unlink(t, &unlink->name, &unlink->found.node, JOURNAL_REMOVE);
	}
	return 0;
}

int tree_remove(struct library *lib, const struct actor *who, int64_t parent, const char *name,
		size_t len)
{
	struct tree_unlink_arg unlink = { .name = { parent, name, len } };
	int err = name_check(name, len);

	if (!err)
		err = tree_run(lib, who, tree_remove_plan, &unlink);
	if (!err && unlink.gone)
		files_unlinked(lib, unlink.found.node.ino);
	return err;
}
