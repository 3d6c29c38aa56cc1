/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Requests about attributes: getattr, setattr, statfs; access times. */
#include "config.h"

#include <errno.h>
#include <linux/xattr.h>
#include <sys/statvfs.h>

#include "fuse/mount-later.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/time.h"

#define NS_PER_S INT64_C(1000000000)
#define DAY_NS (86400 * NS_PER_S)

static void reply_attr(fuse_req_t req, int err, const struct node *n)
{
	struct stat st;

	if (err) {
		mount_reply_err(req, err);
		return;
	}
	mount_fill_stat(mount_of(req), n, &st);
	mount_reply_attr(req, &st);
}

static void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct node n;
	int err = tree_get(mount_of(req)->lib, (int64_t)ino, &n);

	(void)fi;
	mount_ring_note(req);
	reply_attr(req, err, &n);
}

static int set_size(struct mount *m, const struct actor *who, int64_t ino, uint64_t size,
		    const struct fuse_file_info *fi)
{
	struct file *f;
	int err;

	if (fi && fi->fh)
		return file_truncate(((struct mount_handle *)(uintptr_t)fi->fh)->file, size);
	err = file_open(m->lib, who, ino, O_WRONLY, &f);
	if (err)
		return err;
	err = file_truncate(f, size);
	if (!err)
		err = file_flush(f);
	file_close(f, O_WRONLY);
	return err;
}

static int64_t stamp(const struct timespec *ts)
{
	return ts->tv_sec * NS_PER_S + ts->tv_nsec;
}

/* The times that the request sets; returns the TREE_SET_* bits. */
static int wanted_times(const struct mount *m, const struct stat *attr, int to_set,
			struct node *values)
{
	int64_t now = to_set & (FUSE_SET_ATTR_ATIME_NOW | FUSE_SET_ATTR_MTIME_NOW)
			      ? library_now_ns(m->lib)
			      : 0;
	int set = 0;

	if (to_set & (FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_ATIME_NOW)) {
		values->atime_ns = to_set & FUSE_SET_ATTR_ATIME_NOW ? now : stamp(&attr->st_atim);
		set |= TREE_SET_ATIME;
	}
	if (to_set & (FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_MTIME_NOW)) {
		values->mtime_ns = to_set & FUSE_SET_ATTR_MTIME_NOW ? now : stamp(&attr->st_mtim);
		set |= TREE_SET_MTIME;
	}
	if (to_set & FUSE_SET_ATTR_CTIME) {
		values->ctime_ns = stamp(&attr->st_ctim);
		set |= TREE_SET_CTIME;
	}
	return set;
}

static int wanted_owner(const struct mount *m, const struct stat *attr, int to_set,
			struct node *values)
{
	int set = 0;

	if (to_set & FUSE_SET_ATTR_MODE) {
		values->mode = attr->st_mode & 07777;
		set |= TREE_SET_MODE;
	}
	if ((to_set & FUSE_SET_ATTR_UID) && !m->opts.squash_uid) {
		values->uid = attr->st_uid;
		set |= TREE_SET_UID;
	}
	if ((to_set & FUSE_SET_ATTR_GID) && !m->opts.squash_gid) {
		values->gid = attr->st_gid;
		set |= TREE_SET_GID;
	}
	return set;
}

static int set_attr(struct mount *m, const struct actor *who, int64_t ino, const struct stat *attr,
		    int to_set, const struct fuse_file_info *fi, struct node *out)
{
	struct node values = { .ino = ino };
	int owner = wanted_owner(m, attr, to_set, &values);
	int times = wanted_times(m, attr, to_set, &values);
	int err = 0;

	if (to_set & FUSE_SET_ATTR_SIZE)
		err = set_size(m, who, ino, (uint64_t)attr->st_size, fi);
	if (!err && owner && !times && file_set_same(m->lib, ino, owner, &values))
		owner = 0;
	if (!err && owner)
		err = tree_set(m->lib, who, ino, owner | (times & TREE_SET_CTIME), &values, out);
	if (!err && (times & ~(owner ? TREE_SET_CTIME : 0)))
		return file_set_times(m->lib, who, ino, times, &values, out);
	return err ? err : tree_get(m->lib, ino, out);
}

static bool in_group(fuse_req_t req, gid_t gid)
{
	gid_t groups[64];
	int count = fuse_req_getgroups(req, (int)(sizeof groups / sizeof *groups), groups);

	for (int i = 0; i < count && i < (int)(sizeof groups / sizeof *groups); i++)
		if (groups[i] == gid)
			return true;
	return fuse_req_ctx(req)->gid == gid;
}

/* The set-id bits that go, as setattr_should_drop_suidgid() of the kernel has it. */
static mode_t setid_dropped(fuse_req_t req, const struct node *n, bool owner_changed)
{
	bool all = mount_of(req)->kills, root = fuse_req_ctx(req)->uid == 0;
	mode_t drop = 0;

	if (root && !(all && owner_changed))
		return 0;
	if (all)
		drop = n->mode & S_ISUID;
	if (!(n->mode & S_ISGID))
		return drop;
	if (n->mode & S_IXGRP)
		return all ? drop | S_ISGID : drop;
	return root || owner_changed || in_group(req, n->gid) ? drop : drop | S_ISGID;
}

static bool has_capabilities(struct mount *m, int64_t ino)
{
	CLEANUP_BUF struct buf value = BUF_INIT;

	return tree_xattr_get(m->lib, ino, XATTR_NAME_CAPS, &value) == 0;
}

int mount_drop_privileges(fuse_req_t req, struct node *n, bool owner_changed)
{
	struct mount *m = mount_of(req);
	struct actor who = mount_actor(req);
	struct node less = *n;
	mode_t drop;
	int err = 0;

	/* A change of the owner takes them from pipes and devices too. */
	if (n->kind == NODE_FOLDER)
		return 0;
	if (m->kills && has_capabilities(m, n->ino))
		err = tree_xattr_remove(m->lib, &who, n->ino, XATTR_NAME_CAPS);
	if (err)
		return err;
	drop = setid_dropped(req, n, owner_changed);
	if (!drop)
		return 0;
	less.mode &= ~drop;
	/* The change of content is what changes the times. */
	err = tree_set(m->lib, &who, n->ino, TREE_SET_MODE | TREE_SET_CTIME, &less, n);
	if (!err)
		fuse_lowlevel_notify_inval_inode(m->se, (fuse_ino_t)n->ino, -1, 0);
	return err;
}

int mount_before_change(fuse_req_t req, fuse_ino_t ino)
{
	struct mount *m = mount_of(req);
	struct node n;
	int err;

	if (fuse_req_ctx(req)->uid == 0 && !m->kills)
		return 0;
	err = tree_get(m->lib, (int64_t)ino, &n);
	return err ? err : mount_drop_privileges(req, &n, false);
}

static void do_setattr(struct mount_call *c)
{
	fuse_req_t req = c->req;
	struct mount *m = mount_of(req);
	struct actor who = mount_actor(req);
	struct node n;
	int err = set_attr(m, &who, (int64_t)c->ino, &c->attr, c->flags, c->handle ? &c->fi : NULL,
			   &n);

	bool owner = c->flags & (FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID);

	/* Nothing to set: a write to a file that is passed through is about to take its privileges away. */
	if (!err && (c->flags & FUSE_SET_ATTR_SIZE || (m->kills && (owner || !c->flags))))
		err = mount_drop_privileges(req, &n, owner);
	reply_attr(req, err, &n);
}

/* A change of the size may mean to copy what stays. */
static void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
		       struct fuse_file_info *fi)
{
	mount_call(&(struct mount_call){ .run = do_setattr,
					 .req = req,
					 .slow = to_set & FUSE_SET_ATTR_SIZE,
					 .ino = ino,
					 .attr = *attr,
					 .flags = to_set,
					 .handle = fi != NULL,
					 .fi = fi ? *fi : (struct fuse_file_info){ 0 } });
}

static void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct statvfs st;

	(void)ino;
	mount_ring_note(req);
	if (statvfs(library_path(mount_of(req)->lib), &st)) {
		mount_reply_err(req, -errno);
		return;
	}
	st.f_namemax = 255;
	fuse_reply_statfs(req, &st);
}

/* relatime as mount(8) describes it: not after the last change, or a day old. */
static bool access_due(const struct mount *m, const struct node *n, int64_t now)
{
	if (m->opts.atime == MOUNT_STRICTATIME)
		return true;
	return n->atime_ns <= n->mtime_ns || n->atime_ns <= n->ctime_ns ||
	       now - n->atime_ns >= DAY_NS;
}

/* The kernel drops its copy of the attributes only after reads that came to us, not after those from its page cache. */
void mount_note_access(struct mount *m, int64_t ino)
{
	int64_t now = time_now_ns();
	struct node n;

	if (m->opts.atime == MOUNT_NOATIME || m->opts.read_only)
		return;
	if (tree_get(m->lib, ino, &n) || !access_due(m, &n, now))
		return;
	if (!tree_touch(m->lib, ino, library_now_ns(m->lib)))
		fuse_lowlevel_notify_inval_inode(m->se, (fuse_ino_t)ino, -1, 0);
}

void mount_fill_stat(const struct mount *m, const struct node *n, struct stat *st)
{
	node_stat(n, st);
	if (m->opts.squash_uid)
		st->st_uid = m->opts.uid;
	if (m->opts.squash_gid)
		st->st_gid = m->opts.gid;
	if (m->opts.squash_umask)
		st->st_mode &= ~(m->opts.umask & 0777);
}

void mount_fill_entry(const struct mount *m, const struct node *n, struct fuse_entry_param *e)
{
	*e = (struct fuse_entry_param){ .ino = (fuse_ino_t)n->ino,
					.generation = 1,
					.attr_timeout = MOUNT_TIMEOUT_S,
					.entry_timeout = MOUNT_TIMEOUT_S };
	mount_fill_stat(m, n, &e->attr);
}

void mount_add_attr_ops(struct fuse_lowlevel_ops *ops)
{
	ops->getattr = op_getattr;
	ops->setattr = op_setattr;
	ops->statfs = op_statfs;
}
