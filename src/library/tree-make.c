/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Making nodes and giving them names. */
#include "config.h"

#include "library/acl.h"
#include "library/identity.h"
#include "library/tree-internal.h"
#include "util/uuid.h"

#include <errno.h>
#include <string.h>

enum { TREE_TARGET_MAX = 4095 };

/* What the folder of a new node says about it. */
struct tree_place {
	int kind, state;
	mode_t mode;
	gid_t gid;
	int64_t given_up; /* the node whose name was given up moments ago, or 0 */
	bool taken;
	struct buf acl; /* the default ACL, empty for none */
};

static int tree_place_read(void *arg, const struct meta_row *row)
{
	struct tree_place *place = arg;
	size_t len;
	const void *acl = meta_row_bytes(row, 4, &len);

	place->kind = (int)meta_row_int(row, 0);
	place->state = (int)meta_row_int(row, 1);
	place->mode = (mode_t)meta_row_int(row, 2);
	place->gid = (gid_t)meta_row_int(row, 3);
	place->given_up = meta_row_int(row, 5);
	place->taken = !meta_row_null(row, 6);
	return acl ? buf_add(&place->acl, acl, len) : 0;
}

/* Reads *place, which must be zeroed; its acl is to be released also on failure. */
static int tree_place_get(struct tree_op *t, const struct tree_name *name, struct tree_place *place)
{
	int count = META_QUERY(t->lib->meta, FOLDER_FOR_NEW, tree_place_read, place,
			       META_I(name->parent), tree_name_value(name),
			       META_B(ACL_DEFAULT_NAME, strlen(ACL_DEFAULT_NAME)), META_I(t->now));

	if (count < 0)
		return count;
	if (!count || (place->kind == NODE_FOLDER && place->state == NODE_DELETED))
		return -ENOENT;
	if (place->kind != NODE_FOLDER)
		return -ENOTDIR;
	return place->taken ? -EEXIST : 0;
}

static void tree_place_given(const struct node *parent, struct tree_place *place)
{
	place->mode = parent->mode;
	place->gid = parent->gid;
}

/* Values that the caller gives win over those that follow from the request. */
static void tree_make_given(const struct tree_new *what, struct node *node)
{
	const struct node *values = &what->values;

	if (what->set & TREE_SET_MODE)
		node->mode = values->mode & 07777;
	if (what->set & TREE_SET_UID)
		node->uid = values->uid;
	if (what->set & TREE_SET_GID)
		node->gid = values->gid;
	if (what->set & TREE_SET_ATIME)
		node->atime_ns = values->atime_ns;
	if (what->set & TREE_SET_MTIME)
		node->mtime_ns = values->mtime_ns;
	if (what->set & TREE_SET_CTIME)
		node->ctime_ns = values->ctime_ns;
}

static int tree_make_node(struct tree_op *t, const struct tree_new *what,
			  const struct tree_place *place, struct node *node)
{
	struct uuid id;
	int64_t ino = meta_next_id(t->lib->meta, META_SEQ_INO);

	if (ino < 0)
		return (int)ino;
	uuid_ordered(&id);
	*node = (struct node){ .ino = ino,
			       .kind = node_kind_of(what->mode),
			       .state = NODE_ACTIVE,
			       .rdev = what->rdev,
			       .mode = what->mode & 07777,
			       .uid = t->who->uid,
			       .gid = t->who->gid,
			       .atime_ns = t->now,
			       .mtime_ns = t->now,
			       .ctime_ns = t->now,
			       .created_ns = t->now,
			       .nlink = 1,
			       .draft = what->draft,
			       .version = 1 };
	memcpy(node->asset_id, id.b, sizeof(node->asset_id));
	if (node->kind == NODE_FOLDER) {
		node->nlink = 2;
		node->size = node->alloc = TREE_FOLDER_SIZE;
	} else if (node->kind == NODE_SYMLINK) {
		node->mode = 0777;
		node->size = strlen(what->target);
	}
	if (node->kind != NODE_CHAR && node->kind != NODE_BLOCK)
		node->rdev = 0;
	if (place->mode & S_ISGID) {
		node->gid = place->gid;
		if (node->kind == NODE_FOLDER)
			node->mode |= S_ISGID;
	}
	return 0;
}

static void tree_add_node(struct tree_op *t, const struct node *node, const char *target)
{
	META_ADD(t->op, NODE_INSERT, META_ONE, 0, META_I(node->ino),
		 META_B(node->asset_id, sizeof(node->asset_id)), META_I(node->kind),
		 META_I(node->state), META_I(node->mode), META_I(node->uid), META_I(node->gid),
		 META_I(node->rdev), META_I(node->size), META_I(node->alloc),
		 META_I(node->atime_ns), META_I(node->mtime_ns), META_I(node->ctime_ns),
		 META_I(node->created_ns), META_I(node->nlink),
		 node->draft ? META_I(node->draft) : META_N(), META_I(node->version),
		 target ? META_B(target, strlen(target)) : META_N());
}

/* Mode, and the ACLs that come from the folder's default ACL. */
static int tree_make_acl(struct tree_op *t, const struct tree_new *what,
			 const struct tree_place *place, struct node *node)
{
	if (node->kind == NODE_SYMLINK || what->set & TREE_SET_MODE)
		return 0;
	if (!place->acl.len) {
		node->mode &= ~(t->who->umask & 0777);
		return 0;
	}
	return acl_add_inherited(t->op, place->acl.data, place->acl.len, node);
}

static int tree_make_check(const struct tree_new *what, bool named)
{
	enum node_kind kind = node_kind_of(what->mode);
	size_t len;

	if (!kind || (!named && kind != NODE_ASSET) || (what->draft && kind != NODE_ASSET))
		return -EINVAL;
	if (kind == NODE_SYMLINK) {
		len = what->target ? strlen(what->target) : 0;
		if (!len || len > TREE_TARGET_MAX)
			return len ? -ENAMETOOLONG : -EINVAL;
	}
	return named ? name_check(what->name, what->len) : 0;
}

static int tree_make_journal(struct tree_op *t, const struct tree_new *what,
			     const struct node *node, bool named)
{
	CLEANUP_BUF struct buf after = BUF_INIT;
	int err = buf_printf(&after, "{\"kind\":\"%s\",\"mode\":\"%04o\",\"uid\":%u,\"gid\":%u}",
			     node_kind_text(node->kind), (unsigned)node->mode, (unsigned)node->uid,
			     (unsigned)node->gid);

	if (err)
		return err;
	journal_add(t->op, t->lib, t->who, t->now,
		    &(struct journal_row){ .action = JOURNAL_CREATE,
					   .ino = node->ino,
					   .parent = named ? what->parent : 0,
					   .name = named ? what->name : NULL,
					   .name_len = what->len,
					   .after = after.data });
	return 0;
}

/* The statements for a node with a name, in a place that was read or is known. */
static int tree_make_named(struct tree_op *t, const struct tree_new *what,
			   const struct tree_place *place, struct node *node)
{
	struct tree_name name = { what->parent, what->name, what->len };
	int64_t entry = meta_next_id(t->lib->meta, META_SEQ_ENTRY);
	int err;

	if (entry < 0)
		return (int)entry;
	err = tree_make_node(t, what, place, node);
	if (err)
		return err;
	tree_add_touch(t, what->parent, node->kind == NODE_FOLDER ? 1 : 0);
	err = tree_make_acl(t, what, place, node);
	if (!err && place->given_up && node->kind == NODE_ASSET)
		err = identity_take_new(t, &name, node);
	if (err)
		return err;
	tree_make_given(what, node);
	tree_add_node(t, node, node->kind == NODE_SYMLINK ? what->target : NULL);
	err = tree_add_entry(t->op, entry, &name, node->ino, 0);
	return err ? err : tree_make_journal(t, what, node, true);
}

struct tree_make_arg {
	const struct tree_new *what;
	const struct node *parent;
	struct node node;
};

static int tree_make_plan(struct tree_op *t, void *arg)
{
	struct tree_make_arg *make = arg;
	struct tree_place place = { 0 };
	int err = 0;

	if (make->parent)
		tree_place_given(make->parent, &place);
	else
		err = tree_place_get(t,
				     &(struct tree_name){ make->what->parent, make->what->name,
							  make->what->len },
				     &place);
	if (!err)
		err = tree_make_named(t, make->what, &place, &make->node);
	buf_release(&place.acl);
	return err;
}

int tree_make(struct library *lib, const struct actor *who, const struct tree_new *what,
	      struct node *out)
{
	struct tree_make_arg make = { .what = what };
	int err = tree_make_check(what, true);

	if (!err)
		err = tree_run(lib, who, tree_make_plan, &make);
	if (!err)
		*out = make.node;
	return err;
}

int tree_plan_make(struct library *lib, const struct actor *who, const struct tree_new *what,
		   const struct node *parent, struct meta_op *op, struct node *out)
{
	struct tree_op t = { .lib = lib, .who = who, .op = op, .now = library_now_ns(lib) };
	struct tree_make_arg make = { .what = what, .parent = parent };
	int err = tree_make_check(what, true);

	if (!err)
		err = tree_make_plan(&t, &make);
	if (!err)
		*out = make.node;
	return err;
}

static int tree_unnamed_plan(struct tree_op *t, void *arg)
{
	struct tree_make_arg *make = arg;
	struct tree_place place = { 0 };
	int err = tree_place_get(t, &(struct tree_name){ make->what->parent, "", 0 }, &place);

	if (!err)
		err = tree_make_node(t, make->what, &place, &make->node);
	if (!err)
		err = tree_make_acl(t, make->what, &place, &make->node);
	if (!err) {
		tree_make_given(make->what, &make->node);
		make->node.nlink = 0;
		tree_add_node(t, &make->node, NULL);
		META_ADD(t->op, ORPHAN_INSERT, META_ONE, -EAGAIN, META_I(make->node.ino),
			 META_I(t->now));
		err = tree_make_journal(t, make->what, &make->node, false);
	}
	buf_release(&place.acl);
	return err;
}

int tree_make_unnamed(struct library *lib, const struct actor *who, const struct tree_new *what,
		      struct node *out)
{
	struct tree_make_arg make = { .what = what };
	int err = tree_make_check(what, false);

	if (!err)
		err = tree_run(lib, who, tree_unnamed_plan, &make);
	if (!err)
		*out = make.node;
	return err;
}
