/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Identity over a save. */
#include "config.h"

#include "library/identity.h"
#include "util/uuid.h"

#include <errno.h>
#include <string.h>

/*
 * Tags that people put on an asset, not on a file:
 * https://www.freedesktop.org/wiki/CommonExtendedAttributes/
 */
static const char *const identity_tags[] = { "user.xdg.tags", "user.xdg.comment",
					     "user.baloo.rating" };

static struct meta_value identity_id(const uint8_t id[16])
{
	return META_B(id, 16);
}

static struct meta_value identity_tag(int i)
{
	return META_B(identity_tags[i], strlen(identity_tags[i]));
}

void identity_add_tunnel(struct tree_op *t, const struct tree_name *name, const struct node *node)
{
	if (node->kind != NODE_ASSET || !node->object || node->nlink != 1)
		return;
	META_ADD(t->op, TUNNEL_PUT, META_ONE, -EAGAIN, META_I(name->parent), tree_name_value(name),
		 META_I(node->ino), META_I(t->now + IDENTITY_TUNNEL_NS));
}

static int identity_nothing(void *arg, const struct meta_row *row)
{
	(void)arg;
	(void)row;
	return 0;
}

/* 1 if the asset is fresh, 0 if not, <0 an error. */
static int identity_is_fresh(struct tree_op *t, const struct node *node)
{
	int count;

	if (node->kind != NODE_ASSET || node->created_ns + IDENTITY_FRESH_NS < t->now)
		return 0;
	count = META_QUERY(t->lib->meta, VERSION_SOME, identity_nothing, NULL,
			   identity_id(node->asset_id), META_I(2));
	return count < 0 ? count : count <= 1;
}

struct identity_old {
	struct node node;
	bool in_trash;
};

static int identity_old_read(void *arg, const struct meta_row *row)
{
	struct identity_old *old = arg;

	node_read(row, 0, &old->node);
	old->in_trash = !meta_row_null(row, NODE_COLUMN_COUNT);
	return 0;
}

/*
 * 1 and *old for the asset that gave the name up moments ago and did not get another entry since.
 */
static int identity_old_get(struct tree_op *t, const struct tree_name *name,
			    struct identity_old *old)
{
	int count = META_QUERY(t->lib->meta, TUNNEL_GET, identity_old_read, old,
			       META_I(name->parent), tree_name_value(name), META_I(t->now));

	if (count <= 0)
		return count;
	return old->node.kind == NODE_ASSET && old->node.nlink <= 1 &&
	       (old->in_trash || old->node.state != NODE_DELETED);
}

/* The old node gets another asset id, so that its own is free for the fresh one. */
static void identity_add_yield(struct tree_op *t, const struct node *old)
{
	struct uuid id;

	uuid_ordered(&id);
	META_ADD(t->op, NODE_IDENTITY, META_ONE, -EAGAIN, META_I(old->ino), identity_id(id.b),
		 META_I(old->version), META_I(old->version), identity_id(old->asset_id));
}

/*
 * The old node is in the trash, where it is not needed any more, or lives on under another name as
 * an asset of its own.
 */
static void identity_add_settled(struct tree_op *t, const struct identity_old *old)
{
	if (old->in_trash) {
		META_ADD(t->op, TRASH_DELETE, META_ONE, -EAGAIN, META_I(old->node.ino));
		META_ADD(t->op, ORPHAN_INSERT, META_ONE, -EAGAIN, META_I(old->node.ino),
			 META_I(t->now));
		return;
	}
	META_ADD(t->op, NODE_CHANGED, META_ONE, -EAGAIN, META_I(old->node.ino),
		 META_I(old->node.ctime_ns));
	if (old->node.object)
		META_ADD(t->op, VERSION_RECORD, META_ONE, -EAGAIN, META_I(old->node.ino),
			 META_I(t->now), META_I(t->who->uid));
	journal_add(t->op, t->lib, t->who, t->now,
		    &(struct journal_row){ .action = JOURNAL_SET, .ino = old->node.ino });
}

/*
 * The fresh node, which has a row already, gets the asset id and the next version; what it has as
 * its first version becomes that one.
 */
static void identity_add_take(struct tree_op *t, const struct node *old, const struct node *fresh)
{
	META_ADD(t->op, NODE_IDENTITY, META_ONE, -EAGAIN, META_I(fresh->ino),
		 identity_id(old->asset_id), META_I(old->version), META_I(fresh->version),
		 identity_id(fresh->asset_id));
	META_ADD(t->op, VERSION_TAKE, META_ANY, 0, identity_id(fresh->asset_id),
		 identity_id(old->asset_id), META_I(old->version + 1));
}

static void identity_add_tags(struct tree_op *t, const struct node *old, const struct node *fresh)
{
	META_ADD(t->op, XATTR_COPY, META_ANY, 0, META_I(old->ino), META_I(fresh->ino),
		 identity_tag(0), identity_tag(1), identity_tag(2));
}

static void identity_add_forget(struct tree_op *t, const struct tree_name *name)
{
	META_ADD(t->op, TUNNEL_DROP, META_ANY, 0, META_I(name->parent), tree_name_value(name));
}

int identity_take_new(struct tree_op *t, const struct tree_name *name, struct node *node)
{
	struct identity_old old;
	int got = identity_old_get(t, name, &old);

	if (got <= 0)
		return got;
	identity_add_yield(t, &old.node);
	identity_add_settled(t, &old);
	identity_add_tags(t, &old.node, node);
	identity_add_forget(t, name);
	memcpy(node->asset_id, old.node.asset_id, sizeof(node->asset_id));
	node->version = old.node.version + 1;
	return 0;
}

int identity_take_tunnel(struct tree_op *t, const struct tree_name *name, const struct node *fresh,
			 uint8_t taken[16])
{
	struct identity_old old;
	int got = identity_old_get(t, name, &old);

	if (got <= 0 || old.node.ino == fresh->ino)
		return got < 0 ? got : 0;
	if (!old.in_trash && fresh->object && fresh->created_ns + IDENTITY_TUNNEL_NS < t->now)
		return 0;
	got = identity_is_fresh(t, fresh);
	if (got <= 0)
		return got;
	identity_add_yield(t, &old.node);
	identity_add_settled(t, &old);
	identity_add_take(t, &old.node, fresh);
	identity_add_tags(t, &old.node, fresh);
	identity_add_forget(t, name);
	memcpy(taken, old.node.asset_id, 16);
	return 1;
}

int identity_take_over(struct tree_op *t, const struct node *old, const struct node *fresh)
{
	int got = old->kind == NODE_ASSET && old->nlink == 1 ? identity_is_fresh(t, fresh) : 0;

	if (got <= 0)
		return got;
	identity_add_yield(t, old);
	identity_add_take(t, old, fresh);
	identity_add_tags(t, old, fresh);
	return 1;
}

void identity_add_replaced(struct tree_op *t, const struct tree_name *name, const struct node *old)
{
	META_ADD(t->op, ENTRY_DELETE, META_ONE, -EAGAIN, META_I(name->parent),
		 tree_name_value(name), META_I(old->ino));
	META_ADD(t->op, NODE_UNLINK_LAST, META_ONE, -EAGAIN, META_I(old->ino), META_I(t->now),
		 META_I(old->object));
	META_ADD(t->op, ORPHAN_INSERT, META_ONE, -EAGAIN, META_I(old->ino), META_I(t->now));
	journal_add(t->op, t->lib, t->who, t->now,
		    &(struct journal_row){ .action = JOURNAL_UNLINK,
					   .ino = old->ino,
					   .parent = name->parent,
					   .name = name->name,
					   .name_len = name->len });
}
