/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Requests about names: lookup, making and removing nodes, links, rename. */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "fuse/mount-later.h"

static void reply_node(fuse_req_t req, int err, const struct node *n)
{
	struct fuse_entry_param e;

	if (err) {
		mount_reply_err(req, err);
		return;
	}
	mount_fill_entry(mount_of(req), n, &e);
	fuse_reply_entry(req, &e);
}

/* "." and ".." come from NFS file handles (FUSE_CAP_EXPORT_SUPPORT). */
static int lookup(struct library *lib, int64_t parent, const char *name, struct node *n)
{
	int64_t above;
	int err;

	if (!strcmp(name, "."))
		return tree_get(lib, parent, n);
	if (!strcmp(name, "..")) {
		err = tree_parent(lib, parent, &above);
		return err ? err : tree_get(lib, above, n);
	}
	return tree_lookup(lib, parent, name, strlen(name), n);
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param none = { .entry_timeout = MOUNT_TIMEOUT_S };
	struct mount *m = mount_of(req);
	struct node n;
	int err = lookup(m->lib, (int64_t)parent, name, &n);

	mount_ring_note(req);
	if (err == -ENOENT)
		fuse_reply_entry(req, &none);
	else
		reply_node(req, err, &n);
}

static void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t nlookup)
{
	(void)ino;
	(void)nlookup;
	fuse_reply_none(req);
}

static void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	(void)count;
	(void)forgets;
	fuse_reply_none(req);
}

static void make(fuse_req_t req, const struct tree_new *what)
{
	struct mount *m = mount_of(req);
	struct actor who = mount_actor(req);
	struct node n;
	int err = tree_make(m->lib, &who, what, &n);

	reply_node(req, err, &n);
}

static void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
	make(req, &(struct tree_new){ .parent = (int64_t)parent,
				      .name = name,
				      .len = strlen(name),
				      .mode = mode,
				      .rdev = rdev });
}

static void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	make(req, &(struct tree_new){ .parent = (int64_t)parent,
				      .name = name,
				      .len = strlen(name),
				      .mode = (mode & 07777) | S_IFDIR });
}

static void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
	make(req, &(struct tree_new){ .parent = (int64_t)parent,
				      .name = name,
				      .len = strlen(name),
				      .mode = 0777 | S_IFLNK,
				      .target = target });
}

static void op_readlink(fuse_req_t req, fuse_ino_t ino)
{
	struct buf target = BUF_INIT;
	int err = tree_readlink(mount_of(req)->lib, (int64_t)ino, &target);

	if (err)
		mount_reply_err(req, err);
	else
		fuse_reply_readlink(req, target.data);
	buf_release(&target);
}

static void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
	struct mount *m = mount_of(req);
	struct actor who = mount_actor(req);
	struct node n;
	int err = tree_link(m->lib, &who, (int64_t)ino, (int64_t)parent, name, strlen(name), &n);

	reply_node(req, err, &n);
}

static void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct actor who = mount_actor(req);

	mount_reply_err(req, tree_unlink(mount_of(req)->lib, &who, (int64_t)parent, name,
					 strlen(name), NULL));
}

static void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct actor who = mount_actor(req);

	mount_reply_err(req,
			tree_rmdir(mount_of(req)->lib, &who, (int64_t)parent, name, strlen(name)));
}

static void do_rename(struct mount_call *c)
{
	struct actor who = mount_actor(c->req);

	mount_reply_err(c->req, tree_rename(mount_of(c->req)->lib, &who, (int64_t)c->ino, c->name,
					    strlen(c->name), (int64_t)c->other, c->to,
					    strlen(c->to), (unsigned)c->flags));
}

/* What takes the place of another has to be on the disk first. */
static bool rename_at_once(struct mount_call *c)
{
	struct node n;

	if (tree_lookup(mount_of(c->req)->lib, (int64_t)c->other, c->to, strlen(c->to), &n) == 0)
		return false;
	do_rename(c);
	return true;
}

static void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
		      const char *new_name, unsigned flags)
{
	mount_call(&(struct mount_call){ .run = do_rename,
					 .at_once = rename_at_once,
					 .req = req,
					 .slow = true,
					 .ino = parent,
					 .name = name,
					 .other = new_parent,
					 .to = new_name,
					 .flags = (int)flags });
}

void mount_add_name_ops(struct fuse_lowlevel_ops *ops)
{
	ops->lookup = op_lookup;
	ops->forget = op_forget;
	ops->forget_multi = op_forget_multi;
	ops->mknod = op_mknod;
	ops->mkdir = op_mkdir;
	ops->symlink = op_symlink;
	ops->readlink = op_readlink;
	ops->link = op_link;
	ops->unlink = op_unlink;
	ops->rmdir = op_rmdir;
	ops->rename = op_rename;
}
