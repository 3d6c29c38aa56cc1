/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Attributes of nodes. */
#include "config.h"

#include "library/acl.h"
#include "library/file.h"
#include "library/times.h"
#include "library/tree-internal.h"

#include <errno.h>
#include <string.h>

struct tree_set_arg {
	int64_t ino;
	int set;
	const struct node *values;
	struct node node; /* as it is afterwards */
};

static struct meta_value tree_set_value(const struct tree_set_arg *set, int flag, int64_t value)
{
	return set->set & flag ? META_I(value) : META_N();
}

static int tree_set_acl_read(void *arg, const struct meta_row *row)
{
	size_t len;
	const void *bytes = meta_row_bytes(row, 0, &len);

	return buf_add(arg, bytes, len);
}

/* chmod(2) of a node with an access ACL changes that too. */
static int tree_set_acl(struct tree_op *t, int64_t ino, mode_t mode)
{
	CLEANUP_BUF struct buf stored = BUF_INIT;
	CLEANUP_BUF struct buf changed = BUF_INIT;
	struct meta_value name = META_B(ACL_ACCESS_NAME, strlen(ACL_ACCESS_NAME));
	struct acl acl;
	int count = META_QUERY(t->lib->meta, XATTR_GET, tree_set_acl_read, &stored, META_I(ino),
			       name);
	int err;

	if (count <= 0)
		return count;
	err = acl_parse(stored.data, stored.len, &acl);
	if (!err && acl.count) {
		acl_chmod(&acl, mode);
		err = acl_write(&acl, &changed);
	}
	acl_release(&acl);
	if (err)
		return err == -ENOMEM ? err : ERR_CORRUPT;
	META_ADD(t->op, XATTR_UPDATE, META_ONE, -EAGAIN, META_I(ino), name,
		 META_B(changed.data, changed.len));
	return 0;
}

/* Changes *node to what it will be. */
static void tree_set_apply(const struct tree_set_arg *set, struct node *node, int64_t now)
{
	const struct node *values = set->values;

	if (set->set & TREE_SET_MODE)
		node->mode = values->mode & 07777;
	if (set->set & TREE_SET_UID)
		node->uid = values->uid;
	if (set->set & TREE_SET_GID)
		node->gid = values->gid;
	if (set->set & TREE_SET_ATIME)
		node->atime_ns = values->atime_ns;
	if (set->set & TREE_SET_MTIME)
		node->mtime_ns = values->mtime_ns;
	node->ctime_ns = set->set & TREE_SET_CTIME ? values->ctime_ns : now;
	node->version++;
}

static int tree_set_text(struct buf *out, int set, const struct node *node)
{
	const char *comma = "";
	int err = buf_add_byte(out, '{');

	if (!err && set & TREE_SET_MODE) {
		err = buf_printf(out, "\"mode\":\"%04o\"", (unsigned)node->mode);
		comma = ",";
	}
	if (!err && set & (TREE_SET_UID | TREE_SET_GID)) {
		err = buf_printf(out, "%s\"uid\":%u,\"gid\":%u", comma, (unsigned)node->uid,
				 (unsigned)node->gid);
		comma = ",";
	}
	if (!err && set & TREE_SET_ATIME) {
		err = buf_printf(out, "%s\"atime_ns\":%lld", comma, (long long)node->atime_ns);
		comma = ",";
	}
	if (!err && set & TREE_SET_MTIME)
		err = buf_printf(out, "%s\"mtime_ns\":%lld", comma, (long long)node->mtime_ns);
	return err ? err : buf_add_byte(out, '}');
}

static int tree_set_journal(struct tree_op *t, const struct tree_set_arg *set,
			    const struct node *was)
{
	CLEANUP_BUF struct buf before = BUF_INIT;
	CLEANUP_BUF struct buf after = BUF_INIT;
	int err = tree_set_text(&before, set->set, was);

	if (!err)
		err = tree_set_text(&after, set->set, &set->node);
	if (err)
		return err;
	journal_add(t->op, t->lib, t->who, t->now,
		    &(struct journal_row){ .action = JOURNAL_SET,
					   .ino = set->ino,
					   .before = before.data,
					   .after = after.data });
	return 0;
}

static int tree_set_plan(struct tree_op *t, void *arg)
{
	struct tree_set_arg *set = arg;
	struct node was;
	int err = tree_row(t->lib, set->ino, &was);

	if (err)
		return err;
	set->node = was;
	tree_set_apply(set, &set->node, t->now);
	META_ADD(t->op, NODE_SET, META_ONE, -ENOENT, META_I(set->ino),
		 tree_set_value(set, TREE_SET_MODE, set->node.mode),
		 tree_set_value(set, TREE_SET_UID, set->node.uid),
		 tree_set_value(set, TREE_SET_GID, set->node.gid),
		 tree_set_value(set, TREE_SET_ATIME, set->node.atime_ns),
		 tree_set_value(set, TREE_SET_MTIME, set->node.mtime_ns),
		 META_I(set->node.ctime_ns));
	if (set->set & TREE_SET_MODE)
		err = tree_set_acl(t, set->ino, set->node.mode);
	return err ? err : tree_set_journal(t, set, &was);
}

int tree_set(struct library *lib, const struct actor *who, int64_t ino, int set,
	     const struct node *values, struct node *out)
{
	struct tree_set_arg arg = { .ino = ino, .set = set, .values = values };

	if (set & TREE_SET_ATIME)
		times_forget_access(lib, ino);
	int err = tree_run(lib, who, tree_set_plan, &arg);

	if (err)
		return err;
	if (arg.node.kind == NODE_ASSET)
		files_times(lib, ino, set | TREE_SET_CTIME, &arg.node);
	if (out) {
		*out = arg.node;
		file_overlay(lib, out);
	}
	return 0;
}

struct tree_touch_arg {
	int64_t ino, atime_ns;
};

static int tree_touch_plan(struct tree_op *t, void *arg)
{
	const struct tree_touch_arg *touch = arg;

	META_ADD(t->op, NODE_ATIME, META_ONE, -ENOENT, META_I(touch->ino), META_I(touch->atime_ns));
	return 0;
}

int tree_touch(struct library *lib, int64_t ino, int64_t atime_ns)
{
	struct tree_touch_arg touch = { ino, atime_ns };
	struct node values = { .ino = ino, .atime_ns = atime_ns };
	int err = times_keep_access(lib, ino, atime_ns)
			  ? 0
			  : tree_run(lib, NULL, tree_touch_plan, &touch);

	if (!err)
		files_times(lib, ino, TREE_SET_ATIME, &values);
	return err;
}
