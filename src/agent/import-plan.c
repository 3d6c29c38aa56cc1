/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What an import does about one name, and the statements for it. */
#include "config.h"

#include "agent/import-internal.h"
#include "backend/meta/meta.h"
#include "library/acl.h"
#include "library/journal.h"
#include "library/node.h"
#include "util/cleanup.h"
#include "util/err.h"
#include "util/time.h"

#include <errno.h>
#include <string.h>

void import_plan_values(const struct stat *st, struct tree_new *what)
{
	what->set = TREE_SET_MODE | TREE_SET_UID | TREE_SET_GID | TREE_SET_ATIME | TREE_SET_MTIME;
	what->values.mode = st->st_mode & 07777;
	what->values.uid = st->st_uid;
	what->values.gid = st->st_gid;
	what->values.atime_ns = time_from_spec(st->st_atim);
	what->values.mtime_ns = time_from_spec(st->st_mtim);
}

bool import_plan_same(const struct node *n, const struct stat *st)
{
	return (n->mode == (st->st_mode & 07777) || n->kind == NODE_SYMLINK) &&
	       n->uid == st->st_uid && n->gid == st->st_gid &&
	       n->mtime_ns == time_from_spec(st->st_mtim);
}

/* An extended attribute that goes into an operation. */
struct import_xattr {
	struct import *run;
	int64_t ino;
	struct meta_op *op;
	bool acl; /* there was an access ACL */
};

/* An ACL that says no more than the mode is not kept. */
static int import_plan_acl(struct import_xattr *x, const char *name, const void *value, size_t len)
{
	bool more = true;
	struct acl acl;
	int err = acl_parse(value, len, &acl);

	if (!err && !strcmp(name, ACL_ACCESS_NAME)) {
		acl_mode(&acl, &more);
		x->acl = more;
	}
	if (!err && acl.count && more)
		META_ADD(x->op, XATTR_PUT, META_ONE, -EIO, META_I(x->ino),
			 META_B(name, strlen(name)), META_B(value, len));
	acl_release(&acl);
	return err;
}

static int import_plan_xattr(void *arg, const char *name, const void *value, size_t len)
{
	struct import_xattr *x = arg;

	if (!strcmp(name, ACL_ACCESS_NAME) || !strcmp(name, ACL_DEFAULT_NAME))
		return import_plan_acl(x, name, value, len);
	return tree_plan_xattr(x->run->lib, x->ino, name, value, len, x->op);
}

int import_plan_xattrs(struct import *run, int64_t ino, const struct buf *xattrs,
		       struct meta_op *op)
{
	struct import_xattr x = { run, ino, op, false };

	return import_source_each(xattrs, import_plan_xattr, &x);
}

/* Extended attributes of a node that was there: tags that someone gave it stay. */
static int import_plan_xattrs_over(struct import *run, int64_t ino, const struct buf *xattrs,
				   struct meta_op *op)
{
	struct import_xattr x = { run, ino, op, false };
	int err = import_source_each(xattrs, import_plan_xattr, &x);

	if (!err && !x.acl)
		META_ADD(op, XATTR_DELETE, META_ANY, 0, META_I(ino),
			 META_B(ACL_ACCESS_NAME, strlen(ACL_ACCESS_NAME)));
	return err;
}

/*
 * The row names the entry of an asset: a mount that caches what is written is the authority on size and times of files that it knows, and takes new ones only
 * after it has let go of the name.
 */
static void import_journal(struct import *run, const char *action, int64_t ino,
			   const struct import_item *item, struct meta_op *op)
{
	struct journal_row row = { .action = action, .ino = ino };

	if (item) {
		row.parent = item->folder->node;
		row.name = item->name;
		row.name_len = strlen(item->name);
	}
	journal_add(op, run->lib, &run->o->who, time_now_ns(), &row);
}

int import_plan_attrs(struct import *run, int64_t ino, const struct import_item *item,
		      const struct stat *st, const struct buf *xattrs, struct meta_op *op)
{
	int64_t now = time_now_ns();
	mode_t mode = S_ISLNK(st->st_mode) ? 0777 : st->st_mode & 07777;

	META_ADD(op, IMPORT_ATTRS, META_ONE, -EAGAIN, META_I(ino), META_I(mode), META_I(st->st_uid),
		 META_I(st->st_gid), META_I(time_from_spec(st->st_atim)),
		 META_I(time_from_spec(st->st_mtim)), META_I(now));
	int err = import_plan_xattrs_over(run, ino, xattrs, op);

	if (!err)
		import_journal(run, JOURNAL_SET, ino, item, op);
	return err;
}

/* Compares with an asset of that name: by size and mtime, as long as no bytes were read. */
static void import_decide_asset(struct import *run, struct import_item *item)
{
	const struct node *n = &item->was;
	bool same = n->size == (uint64_t)item->st.st_size &&
		    n->mtime_ns == time_from_spec(item->st.st_mtim);

	if (!same)
		item->what = IMPORT_CONTENT;
	else if (run->o->move)
		item->what = IMPORT_VERIFY;
	else
		item->what = import_plan_same(n, &item->st) ? IMPORT_NOTHING : IMPORT_ATTRS;
}

/* The same for symlinks and special files: whether they are the same. */
static int import_decide_other(struct import *run, struct import_item *item)
{
	CLEANUP_BUF struct buf target = BUF_INIT;
	const struct node *n = &item->was;
	bool same = n->rdev == item->st.st_rdev || (n->kind != NODE_CHAR && n->kind != NODE_BLOCK);
	int err = n->kind == NODE_SYMLINK ? tree_readlink(run->lib, n->ino, &target) : 0;

	if (err)
		return err;
	if (n->kind == NODE_SYMLINK)
		same = !strcmp(buf_str(&target), buf_str(&item->target));
	item->replace = !same;
	if (same)
		item->what = import_plan_same(n, &item->st) ? IMPORT_NOTHING : IMPORT_ATTRS;
	return 0;
}

int import_plan_decide(struct import *run, struct import_item *item)
{
	const struct import_folder *f = item->folder;
	int err = f->fresh && !item->tries ? -ENOENT
					   : tree_lookup(run->lib, f->node, item->name,
							 strlen(item->name), &item->was);

	item->replace = item->sealed = false;
	item->what = item->link_to ? IMPORT_LINK : IMPORT_MAKE;
	if (err) {
		item->was.ino = 0;
		return err == -ENOENT ? 0 : err;
	}
	if (item->was.kind == NODE_FOLDER)
		return -EISDIR;
	if (item->link_to) {
		item->replace = item->was.ino != item->link_to;
		if (!item->replace)
			item->what = IMPORT_NOTHING;
	} else if (item->was.kind != node_kind_of(item->st.st_mode)) {
		item->replace = true;
	} else if (item->was.kind == NODE_ASSET) {
		import_decide_asset(run, item);
	} else {
		return import_decide_other(run, item);
	}
	if (item->what == IMPORT_CONTENT || item->what == IMPORT_VERIFY)
		return item->was.draft ? -EBUSY : 0;
	return 0;
}

struct import_root {
	const uint8_t *root;
	bool same;
};

static int import_root_row(void *arg, const struct meta_row *row)
{
	struct import_root *r = arg;
	size_t len;
	const void *root = meta_row_bytes(row, 0, &len);

	r->same = len == 32 && !memcmp(root, r->root, 32);
	return 0;
}

int import_plan_content(struct import *run, struct import_item *item, const uint8_t *root)
{
	struct import_root r = { .root = root };

	if (item->what != IMPORT_CONTENT && item->what != IMPORT_VERIFY)
		return 0;
	if (!root) {
		r.same = !item->was.size;
	} else if (item->was.object) {
		int got = META_QUERY(library_meta(run->lib), IMPORT_ROOT, import_root_row, &r,
				     META_I(item->was.object));

		if (got < 0)
			return got;
	}
	if (!r.same)
		item->what = IMPORT_CONTENT;
	else
		item->what = import_plan_same(&item->was, &item->st) ? IMPORT_NOTHING
								     : IMPORT_ATTRS;
	return 0;
}

static struct meta_value import_root(const struct import_item *item, struct seal *seal)
{
	const uint8_t *root = item->sealed && seal ? seal_root(seal, item->source) : NULL;

	return root ? META_B(root, 32) : META_N();
}

static uint64_t import_data(const struct import_item *item, struct seal *seal)
{
	return item->sealed && seal ? seal_stats(seal, item->source)->data : 0;
}

static void import_add_version(struct import *run, const struct import_item *item, int64_t ino,
			       struct meta_op *op)
{
	META_ADD(op, VERSION_RECORD, META_ONE, 0, META_I(ino), META_I(time_now_ns()),
		 META_I(run->o->who.uid));
	import_journal(run, JOURNAL_SEAL, ino, item, op);
}

/* The folder as it is handed on where nothing more of it has to be known: mode, owner and ACL are given. */
static const struct node import_parent = { .kind = NODE_FOLDER };

static int import_add_make(struct import *run, struct import_item *item, struct seal *seal,
			   struct meta_op *op)
{
	struct tree_new what = {
		.parent = item->folder->node,
		.name = item->name,
		.len = strlen(item->name),
		.mode = item->st.st_mode,
		.rdev = item->st.st_rdev,
		.target = buf_str(&item->target),
	};

	import_plan_values(&item->st, &what);
	if (S_ISLNK(item->st.st_mode))
		what.values.mode = 0777;
	int err = tree_plan_make(run->lib, &run->o->who, &what,
				 item->folder->fresh && !item->tries ? &import_parent : NULL, op,
				 &item->node);

	if (!err)
		err = import_plan_xattrs(run, item->node.ino, &item->xattrs, op);
	if (err || !item->sealed || !seal || !seal_root(seal, item->source))
		return err;
	META_ADD(op, IMPORT_ATTACH, META_ONE, -EAGAIN, META_I(item->node.ino),
		 import_root(item, seal), META_I(item->st.st_size),
		 META_I(import_data(item, seal)));
	import_add_version(run, item, item->node.ino, op);
	return 0;
}

static int import_add_content(struct import *run, struct import_item *item, struct seal *seal,
			      struct meta_op *op)
{
	const struct stat *st = &item->st;
	int64_t ino = item->was.ino;

	META_ADD(op, IMPORT_CONTENT, META_ONE, -EBUSY, META_I(ino),
		 item->was.object ? META_I(item->was.object) : META_N(), import_root(item, seal),
		 META_I(st->st_size), META_I(import_data(item, seal)), META_I(st->st_mode & 07777),
		 META_I(st->st_uid), META_I(st->st_gid), META_I(time_from_spec(st->st_atim)),
		 META_I(time_from_spec(st->st_mtim)), META_I(time_now_ns()));
	int err = import_plan_xattrs_over(run, ino, &item->xattrs, op);

	if (!err)
		import_add_version(run, item, ino, op);
	return err;
}

/* What has the name goes to the trash; the same name is given anew in the operation that follows. */
static int import_replace(struct import *run, struct import_item *item)
{
	int err = tree_unlink(run->lib, &run->o->who, item->folder->node, item->name,
			      strlen(item->name), NULL);

	item->replace = false;
	return err == -ENOENT ? 0 : err;
}

int import_plan_add(struct import *run, struct import_item *item, struct seal *seal,
		    struct meta_op *op)
{
	struct tree_new name = { .parent = item->folder->node,
				 .name = item->name,
				 .len = strlen(item->name) };
	int err = item->replace ? import_replace(run, item) : 0;

	if (!err && item->sealed && seal && seal_root(seal, item->source))
		err = seal_add(seal, item->source, op);
	if (err)
		return err;
	switch (item->what) {
	case IMPORT_MAKE:
		return import_add_make(run, item, seal, op);
	case IMPORT_LINK:
		return tree_plan_link(run->lib, &run->o->who, item->link_to, &name, op);
	case IMPORT_CONTENT:
		return import_add_content(run, item, seal, op);
	case IMPORT_ATTRS:
		return import_plan_attrs(run, item->was.ino, item, &item->st, &item->xattrs, op);
	case IMPORT_NOTHING:
	case IMPORT_VERIFY:
		break;
	}
	return 0;
}
