/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Extended attributes, POSIX ACLs among them. */
#include "config.h"

#include "library/acl.h"
#include "library/file.h"
#include "library/tree-internal.h"

#include <errno.h>
#include <linux/limits.h>
#include <linux/xattr.h>
#include <string.h>
#include <sys/xattr.h>

static struct meta_value tree_xattr_name(const char *name)
{
	return META_B(name, strlen(name));
}

static int tree_xattr_read(void *arg, const struct meta_row *row)
{
	size_t len;
	const void *bytes = meta_row_bytes(row, 0, &len);

	return len ? buf_add(arg, bytes, len) : 0;
}

int tree_xattr_get(struct library *lib, int64_t ino, const char *name, struct buf *out)
{
	int count = META_QUERY(lib->meta, XATTR_GET, tree_xattr_read, out, META_I(ino),
			       tree_xattr_name(name));

	return count > 0 ? 0 : count < 0 ? count : -ENODATA;
}

static int tree_xattr_list_read(void *arg, const struct meta_row *row)
{
	int err = tree_xattr_read(arg, row);

	return err ? err : buf_add_byte(arg, '\0');
}

int tree_xattr_list(struct library *lib, int64_t ino, struct buf *out)
{
	int count = META_QUERY(lib->meta, XATTR_LIST, tree_xattr_list_read, out, META_I(ino));

	return count < 0 ? count : 0;
}

struct tree_xattr_arg {
	int64_t ino;
	const char *name;
	const void *value;
	size_t len;
	int flags;
};

static int tree_xattr_journal(struct tree_op *t, const struct tree_xattr_arg *xattr, bool removed)
{
	CLEANUP_BUF struct buf after = BUF_INIT;
	int err = buf_add_str(&after, "{\"name\":");

	if (!err)
		err = journal_quote(&after, xattr->name, strlen(xattr->name));
	if (!err && !removed)
		err = buf_printf(&after, ",\"bytes\":%zu", xattr->len);
	if (!err)
		err = buf_add_byte(&after, '}');
	if (err)
		return err;
	journal_add(t->op, t->lib, t->who, t->now,
		    &(struct journal_row){
			    .action = JOURNAL_XATTR, .ino = xattr->ino, .after = after.data });
	return 0;
}

static bool tree_xattr_listed(const struct buf *names, const char *name)
{
	for (size_t at = 0; at < names->len; at += strlen(names->data + at) + 1) {
		if (!strcmp(names->data + at, name))
			return true;
	}
	return false;
}

/* listxattr(2) gives at most XATTR_LIST_MAX bytes: more names could not be listed. */
static int tree_xattr_room(struct tree_op *t, const struct tree_xattr_arg *xattr)
{
	CLEANUP_BUF struct buf names = BUF_INIT;
	int err = tree_xattr_list(t->lib, xattr->ino, &names);

	if (err || names.len + strlen(xattr->name) + 1 <= XATTR_LIST_MAX)
		return err;
	return tree_xattr_listed(&names, xattr->name) ? 0 : -ENOSPC;
}

static int tree_xattr_put_plan(struct tree_op *t, void *arg)
{
	const struct tree_xattr_arg *xattr = arg;
	struct meta_value name = tree_xattr_name(xattr->name),
			  value = META_B(xattr->value, xattr->len);
	int err = tree_xattr_room(t, xattr);

	if (err)
		return err;
	META_ADD(t->op, NODE_CHANGED, META_ONE, -ENOENT, META_I(xattr->ino), META_I(t->now));
	if (xattr->flags & XATTR_CREATE)
		META_ADD(t->op, XATTR_INSERT, META_ONE, -EEXIST, META_I(xattr->ino), name, value);
	else if (xattr->flags & XATTR_REPLACE)
		META_ADD(t->op, XATTR_UPDATE, META_ONE, -ENODATA, META_I(xattr->ino), name, value);
	else
		META_ADD(t->op, XATTR_PUT, META_ONE, -EIO, META_I(xattr->ino), name, value);
	return tree_xattr_journal(t, xattr, false);
}

/* An ACL that says no more than the mode is not kept. */
static void tree_acl_add(struct tree_op *t, const struct tree_xattr_arg *xattr, bool keep)
{
	struct meta_value name = tree_xattr_name(xattr->name);

	if (keep)
		META_ADD(t->op, XATTR_PUT, META_ONE, -EIO, META_I(xattr->ino), name,
			 META_B(xattr->value, xattr->len));
	else
		META_ADD(t->op, XATTR_DELETE, META_ANY, 0, META_I(xattr->ino), name);
}

static int tree_acl_access(struct tree_op *t, const struct tree_xattr_arg *xattr,
			   const struct acl *acl, const struct node *node)
{
	mode_t mode = node->mode;
	bool more = false;

	if (acl->count) {
		mode = (mode & ~0777u) | acl_mode(acl, &more);
		if (xattr->flags & TREE_XATTR_KILL_SGID)
			mode &= ~(mode_t)S_ISGID;
	}
	META_ADD(t->op, NODE_SET, META_ONE, -ENOENT, META_I(xattr->ino),
		 mode == node->mode ? META_N() : META_I(mode), META_N(), META_N(), META_N(),
		 META_N(), META_I(t->now));
	tree_acl_add(t, xattr, more);
	return tree_xattr_journal(t, xattr, !more);
}

static int tree_acl_default(struct tree_op *t, const struct tree_xattr_arg *xattr,
			    const struct acl *acl, const struct node *node)
{
	if (node->kind != NODE_FOLDER)
		return acl->count ? -EACCES : 1;
	META_ADD(t->op, NODE_CHANGED, META_ONE, -ENOENT, META_I(xattr->ino), META_I(t->now));
	tree_acl_add(t, xattr, acl->count > 0);
	return tree_xattr_journal(t, xattr, !acl->count);
}

static int tree_acl_plan(struct tree_op *t, void *arg)
{
	const struct tree_xattr_arg *xattr = arg;
	struct node node;
	struct acl acl = { 0 };
	int err = tree_row(t->lib, xattr->ino, &node);

	if (!err && node.kind == NODE_SYMLINK)
		err = -EOPNOTSUPP;
	if (!err && xattr->len)
		err = acl_parse(xattr->value, xattr->len, &acl);
	if (!err)
		err = strcmp(xattr->name, ACL_ACCESS_NAME) ? tree_acl_default(t, xattr, &acl, &node)
							   : tree_acl_access(t, xattr, &acl, &node);
	acl_release(&acl);
	return err;
}

static bool tree_xattr_is_acl(const char *name)
{
	return !strcmp(name, ACL_ACCESS_NAME) || !strcmp(name, ACL_DEFAULT_NAME);
}

int tree_xattr_set(struct library *lib, const struct actor *who, int64_t ino, const char *name,
		   const void *value, size_t len, int flags)
{
	struct tree_xattr_arg xattr = {
		.ino = ino, .name = name, .value = value, .len = len, .flags = flags
	};
	size_t name_len = strlen(name);

	if (!name_len || name_len > XATTR_NAME_MAX)
		return -ERANGE;
	if (len > TREE_XATTR_MAX)
		return -E2BIG;
	if ((flags & XATTR_CREATE) && (flags & XATTR_REPLACE))
		return -EINVAL;
	int err = tree_run(lib, who, tree_xattr_is_acl(name) ? tree_acl_plan : tree_xattr_put_plan,
			   &xattr);

	if (!err && !strcmp(name, XATTR_NAME_CAPS))
		files_privileged(lib, ino);
	return err;
}

static int tree_xattr_remove_plan(struct tree_op *t, void *arg)
{
	const struct tree_xattr_arg *xattr = arg;

	META_ADD(t->op, NODE_CHANGED, META_ONE, -ENOENT, META_I(xattr->ino), META_I(t->now));
	META_ADD(t->op, XATTR_DELETE, META_ONE, -ENODATA, META_I(xattr->ino),
		 tree_xattr_name(xattr->name));
	return tree_xattr_journal(t, xattr, true);
}

int tree_xattr_remove(struct library *lib, const struct actor *who, int64_t ino, const char *name)
{
	struct tree_xattr_arg xattr = { .ino = ino, .name = name };

	return tree_run(lib, who, tree_xattr_remove_plan, &xattr);
}

int tree_plan_xattr(struct library *lib, int64_t ino, const char *name, const void *value,
		    size_t len, struct meta_op *op)
{
	size_t name_len = strlen(name);

	(void)lib;
	if (!name_len || name_len > XATTR_NAME_MAX)
		return -ERANGE;
	if (len > TREE_XATTR_MAX)
		return -E2BIG;
	if (tree_xattr_is_acl(name))
		return -EINVAL;
	META_ADD(op, XATTR_PUT, META_ONE, -EIO, META_I(ino), tree_xattr_name(name),
		 META_B(value, len));
	return 0;
}
