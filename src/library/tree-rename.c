/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Rename and exchange: a constant number of rows, whatever lies below. */
#include "config.h"

#include "library/file.h"
#include "library/identity.h"
#include "library/tree-internal.h"
#include "util/uuid.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct tree_rename_arg {
	struct tree_name from, to;
	unsigned flags;
	struct tree_found source, target;
	bool has_target;
	bool gone;       /* the target's content may go */
	int64_t settled; /* the asset whose draft was made durable */
	uint8_t taken[16];
	bool took; /* the identity in `taken` passed to the source */
};

/* `folder` must not be `above` or lie below it. */
static void tree_add_above_guard(struct meta_op *op, int64_t folder, int64_t above)
{
	META_ADD(op, FOLDER_ABOVE, META_NONE, -EINVAL, META_I(folder), META_I(above));
}

/* What both names point at, in one look. */
struct tree_rename_found {
	struct tree_rename_arg *rename;
	bool source, target;
};

static int tree_rename_read(void *arg, const struct meta_row *row)
{
	struct tree_rename_found *found = arg;
	bool target = meta_row_int(row, NODE_COLUMN_COUNT + 1) != 0;
	struct tree_found *out = target ? &found->rename->target : &found->rename->source;

	node_read(row, 0, &out->node);
	out->entry = meta_row_int(row, NODE_COLUMN_COUNT);
	*(target ? &found->target : &found->source) = true;
	return 0;
}

static int tree_rename_find(struct tree_op *t, struct tree_rename_arg *rename)
{
	struct tree_rename_found found = { .rename = rename };
	int count = META_QUERY(t->lib->meta, NODE_LOOKUP_TWO, tree_rename_read, &found,
			       META_I(rename->from.parent), tree_name_value(&rename->from),
			       META_I(rename->to.parent), tree_name_value(&rename->to));

	if (count < 0)
		return count;
	rename->has_target = found.target;
	return found.source ? 0 : -ENOENT;
}

static int tree_rename_check(const struct tree_rename_arg *rename)
{
	bool folder = rename->source.node.kind == NODE_FOLDER;

	if (!rename->has_target)
		return rename->flags & RENAME_EXCHANGE ? -ENOENT : 0;
	if (rename->flags & RENAME_NOREPLACE)
		return -EEXIST;
	if (rename->source.node.ino == rename->target.node.ino)
		return 1;
	if (rename->flags & RENAME_EXCHANGE)
		return 0;
	if (folder && rename->target.node.kind != NODE_FOLDER)
		return -ENOTDIR;
	if (!folder && rename->target.node.kind == NODE_FOLDER)
		return -EISDIR;
	return 0;
}

/* Times and link counts of the folders; from_links and to_links are what subfolders add to them. */
static void tree_rename_touch(struct tree_op *t, const struct tree_rename_arg *rename,
			      int from_links, int to_links)
{
	if (rename->from.parent == rename->to.parent) {
		tree_add_touch(t, rename->from.parent, from_links + to_links);
		return;
	}
	tree_add_touch(t, rename->from.parent, from_links);
	tree_add_touch(t, rename->to.parent, to_links);
}

/* The identity that the source takes over, and what becomes of the target. */
static int tree_rename_target(struct tree_op *t, struct tree_rename_arg *rename)
{
	const struct node *old = &rename->target.node;
	const struct node *source = &rename->source.node;
	int took;

	if (!rename->has_target) {
		took = source->kind == NODE_ASSET
			       ? identity_take_tunnel(t, &rename->to, source, rename->taken)
			       : 0;
		rename->took = took > 0;
		return took < 0 ? took : 0;
	}
	if (old->kind == NODE_FOLDER) {
		tree_add_empty_guard(t->op, old->ino);
		tree_add_folder_unlink(t, &rename->to, old, JOURNAL_RMDIR);
		return 0;
	}
	took = source->kind == NODE_ASSET ? identity_take_over(t, old, source) : 0;
	if (took < 0)
		return took;
	if (took) {
		rename->took = rename->gone = true;
		memcpy(rename->taken, old->asset_id, sizeof(rename->taken));
		identity_add_replaced(t, &rename->to, old);
	} else {
		tree_add_unlink(t, &rename->to, old, &rename->gone);
	}
	return 0;
}

static void tree_rename_journal(struct tree_op *t, const struct tree_rename_arg *rename,
				const char *action)
{
	char was[64], is[64], text[UUID_TEXT_LEN];
	struct uuid id;

	if (rename->took) {
		memcpy(id.b, rename->source.node.asset_id, sizeof(id.b));
		uuid_format(&id, text);
		snprintf(was, sizeof(was), "{\"asset\":\"%s\"}", text);
		memcpy(id.b, rename->taken, sizeof(id.b));
		uuid_format(&id, text);
		snprintf(is, sizeof(is), "{\"asset\":\"%s\"}", text);
	}
	journal_add(t->op, t->lib, t->who, t->now,
		    &(struct journal_row){ .action = action,
					   .ino = rename->source.node.ino,
					   .parent = rename->to.parent,
					   .name = rename->to.name,
					   .name_len = rename->to.len,
					   .old_parent = rename->from.parent,
					   .old_name = rename->from.name,
					   .old_name_len = rename->from.len,
					   .before = rename->took ? was : NULL,
					   .after = rename->took ? is : NULL });
}

static int tree_rename_move(struct tree_op *t, struct tree_rename_arg *rename)
{
	CLEANUP_BUF struct buf folded = BUF_INIT;
	const struct tree_name *from = &rename->from, *to = &rename->to;
	const struct node *source = &rename->source.node;
	bool same;
	int err = name_fold(to->name, to->len, &folded);

	if (err)
		return err;
	same = folded.len == to->len && !memcmp(folded.data, to->name, to->len);
	struct meta_value fold = same ? META_N() : META_B(folded.data, folded.len);

	if (from->parent == to->parent)
		META_ADD(t->op, ENTRY_RENAME, META_ONE, -EAGAIN, META_I(from->parent),
			 tree_name_value(from), META_I(source->ino), tree_name_value(to), fold);
	else
		META_ADD(t->op, ENTRY_MOVE, META_ONE, -EAGAIN, META_I(from->parent),
			 tree_name_value(from), META_I(source->ino), META_I(to->parent),
			 tree_name_value(to), fold);
	META_ADD(t->op, NODE_CHANGED, META_ONE, -EAGAIN, META_I(source->ino), META_I(t->now));
	if (from->parent == to->parent)
		identity_add_tunnel(t, from, source);
	return 0;
}

static int tree_rename_replace(struct tree_op *t, struct tree_rename_arg *rename)
{
	const struct node *source = &rename->source.node;
	bool folder = source->kind == NODE_FOLDER;
	int lost = rename->has_target && rename->target.node.kind == NODE_FOLDER;
	int err;

	if (folder && rename->from.parent != rename->to.parent)
		tree_add_above_guard(t->op, rename->to.parent, source->ino);
	rename->gone = rename->took = false;
	err = tree_rename_target(t, rename);
	if (err)
		return err;
	tree_rename_touch(t, rename, folder ? -1 : 0, (folder ? 1 : 0) - lost);
	err = tree_rename_move(t, rename);
	if (!err)
		tree_rename_journal(t, rename, JOURNAL_RENAME);
	return err;
}

/* The names stay and swap what they point at, so a reader of a folder sees each of them once. */
static int tree_rename_exchange(struct tree_op *t, struct tree_rename_arg *rename)
{
	const struct node *a = &rename->source.node, *b = &rename->target.node;
	int links = (b->kind == NODE_FOLDER) - (a->kind == NODE_FOLDER);

	if (rename->from.parent != rename->to.parent) {
		if (a->kind == NODE_FOLDER)
			tree_add_above_guard(t->op, rename->to.parent, a->ino);
		if (b->kind == NODE_FOLDER)
			tree_add_above_guard(t->op, rename->from.parent, b->ino);
	}
	tree_rename_touch(t, rename, links, -links);
	META_ADD(t->op, ENTRY_POINT, META_ONE, -EAGAIN, META_I(rename->from.parent),
		 tree_name_value(&rename->from), META_I(a->ino), META_I(b->ino));
	META_ADD(t->op, ENTRY_POINT, META_ONE, -EAGAIN, META_I(rename->to.parent),
		 tree_name_value(&rename->to), META_I(b->ino), META_I(a->ino));
	META_ADD(t->op, NODE_CHANGED, META_ONE, -EAGAIN, META_I(a->ino), META_I(t->now));
	META_ADD(t->op, NODE_CHANGED, META_ONE, -EAGAIN, META_I(b->ino), META_I(t->now));
	tree_rename_journal(t, rename, JOURNAL_EXCHANGE);
	return 0;
}

/* An asset that is about to take the place of another must be durable first. */
static int tree_rename_settle(struct tree_op *t, struct tree_rename_arg *rename)
{
	int64_t ino = rename->source.node.ino;
	int err;

	if (!rename->has_target || !rename->source.node.draft || rename->settled == ino)
		return 0;
	err = files_settle(t->lib, ino);
	if (!err)
		rename->settled = ino;
	return err;
}

static int tree_rename_plan(struct tree_op *t, void *arg)
{
	struct tree_rename_arg *rename = arg;
	int err = tree_rename_find(t, rename);

	if (!err)
		err = tree_rename_check(rename);
	if (!err)
		err = tree_rename_settle(t, rename);
	if (err)
		return err;
	return rename->flags & RENAME_EXCHANGE ? tree_rename_exchange(t, rename)
					       : tree_rename_replace(t, rename);
}

int tree_rename(struct library *lib, const struct actor *who, int64_t parent, const char *name,
		size_t len, int64_t new_parent, const char *new_name, size_t new_len,
		unsigned flags)
{
	struct tree_rename_arg rename = { .from = { parent, name, len },
					  .to = { new_parent, new_name, new_len },
					  .flags = flags };
	int err = name_check(name, len);

	if (!err)
		err = name_check(new_name, new_len);
	if (!err && (flags & ~(unsigned)(RENAME_NOREPLACE | RENAME_EXCHANGE) ||
		     flags == (RENAME_NOREPLACE | RENAME_EXCHANGE)))
		err = -EINVAL;
	if (!err)
		err = tree_run(lib, who, tree_rename_plan, &rename);
	if (!err && rename.gone)
		files_unlinked(lib, rename.target.node.ino);
	return err;
}
