/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Groups of statements that several operations of the tree are made of. */
#include "config.h"

#include "library/tree-internal.h"

#include <errno.h>
#include <string.h>

int tree_add_entry(struct meta_op *op, int64_t id, const struct tree_name *name, int64_t ino,
		   int err)
{
	CLEANUP_BUF struct buf folded = BUF_INIT;
	bool same;
	int bad = name_fold(name->name, name->len, &folded);

	if (bad)
		return bad;
	same = folded.len == name->len && !memcmp(folded.data, name->name, name->len);
	META_ADD(op, ENTRY_INSERT, META_ONE, err, META_I(id), META_I(name->parent),
		 tree_name_value(name), same ? META_N() : META_B(folded.data, folded.len),
		 META_I(ino));
	return 0;
}

void tree_add_touch(struct tree_op *t, int64_t folder, int links)
{
	META_ADD(t->op, FOLDER_TOUCH, META_ONE, -ENOENT, META_I(folder), META_I(links),
		 META_I(t->now));
}

void tree_add_empty_guard(struct meta_op *op, int64_t folder)
{
	META_ADD(op, FOLDER_ENTRY, META_NONE, -ENOTEMPTY, META_I(folder));
}

static void tree_add_trash(struct tree_op *t, const struct tree_name *name, int64_t ino)
{
	META_ADD(t->op, TRASH_INSERT, META_ONE, -EAGAIN, META_I(ino), META_I(name->parent),
		 tree_name_value(name), META_I(t->now), META_I(t->who ? t->who->uid : 0));
}

static void tree_add_gone_row(struct tree_op *t, const struct tree_name *name, int64_t ino,
			      const char *action)
{
	journal_add(t->op, t->lib, t->who, t->now,
		    &(struct journal_row){ .action = action,
					   .ino = ino,
					   .parent = name->parent,
					   .name = name->name,
					   .name_len = name->len });
}

void tree_add_unlink(struct tree_op *t, const struct tree_name *name, const struct node *node,
		     bool *gone)
{
	META_ADD(t->op, ENTRY_DELETE, META_ONE, -EAGAIN, META_I(name->parent),
		 tree_name_value(name), META_I(node->ino));
	*gone = false;
	if (node->nlink > 1) {
		META_ADD(t->op, NODE_UNLINK, META_ONE, -EAGAIN, META_I(node->ino), META_I(t->now));
	} else {
		META_ADD(t->op, NODE_UNLINK_LAST, META_ONE, -EAGAIN, META_I(node->ino),
			 META_I(t->now), META_I(node->object));
		*gone = !node->object || t->lib->settings.retention_ns <= 0;
		if (*gone)
			META_ADD(t->op, ORPHAN_INSERT, META_ONE, -EAGAIN, META_I(node->ino),
				 META_I(t->now));
		else
			tree_add_trash(t, name, node->ino);
	}
	tree_add_gone_row(t, name, node->ino, JOURNAL_UNLINK);
}

void tree_add_folder_unlink(struct tree_op *t, const struct tree_name *name,
			    const struct node *node, const char *action)
{
	META_ADD(t->op, ENTRY_DELETE, META_ONE, -EAGAIN, META_I(name->parent),
		 tree_name_value(name), META_I(node->ino));
	META_ADD(t->op, FOLDER_UNLINK, META_ONE, -EAGAIN, META_I(node->ino), META_I(t->now));
	if (t->lib->settings.retention_ns > 0)
		tree_add_trash(t, name, node->ino);
	else
		META_ADD(t->op, ORPHAN_INSERT, META_ONE, -EAGAIN, META_I(node->ino),
			 META_I(t->now));
	tree_add_gone_row(t, name, node->ino, action);
}

void tree_add_purge(struct meta_op *op, int64_t ino)
{
	META_ADD(op, VERSION_PURGE, META_ANY, 0, META_I(ino));
	META_ADD(op, XATTR_DELETE_ALL, META_ANY, 0, META_I(ino));
	META_ADD(op, PIN_DROP, META_ANY, 0, META_I(ino));
	META_ADD(op, NODE_PURGE, META_ONE, -EBUSY, META_I(ino));
	META_ADD(op, ORPHAN_DELETE, META_ANY, 0, META_I(ino));
}
