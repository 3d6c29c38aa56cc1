/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Requests about listing folders. Offsets are those of tree_list() cookies after the two entries that every folder has: 1 is ".", 2 is "..",
 * an entry's is its cookie + 2; so a position stays valid while entries come and go.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fuse/mount-later.h"

#define OFF_DOT 1
#define OFF_DOTDOT 2

struct listing {
	fuse_req_t req;
	const struct mount *m;
	bool plus;
	char *buf;
	size_t room, used;
};

static void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct node n;
	int err = tree_get(mount_of(req)->lib, (int64_t)ino, &n);

	if (!err && n.kind != NODE_FOLDER)
		err = -ENOTDIR;
	if (err) {
		mount_reply_err(req, err);
		return;
	}
	fi->fh = 0;
	fi->cache_readdir = 1;
	fi->keep_cache = 1;
	fuse_reply_open(req, fi);
}

/* Appends one entry; 1 when it has no room. `known` entries count as looked up by the kernel. */
static int add(struct listing *l, const char *name, off_t off, const struct fuse_entry_param *e)
{
	char *at = l->buf + l->used;
	size_t room = l->room - l->used;
	size_t need = l->plus ? fuse_add_direntry_plus(l->req, at, room, name, e, off)
			      : fuse_add_direntry(l->req, at, room, name, &e->attr, off);

	if (need > room)
		return 1;
	l->used += need;
	return 0;
}

static int add_dot(struct listing *l, int64_t ino, off_t off)
{
	/* ino 0 in the entry part: the kernel does not count a lookup for "." and ".." */
	struct fuse_entry_param e = { .attr.st_ino = (ino_t)ino, .attr.st_mode = S_IFDIR };

	return add(l, off == OFF_DOT ? "." : "..", off, &e);
}

static int add_entry(void *arg, const char *name, size_t len, int64_t cookie,
		     const struct node *node)
{
	struct listing *l = arg;
	struct fuse_entry_param e;
	char text[256];

	memcpy(text, name, len);
	text[len] = '\0';
	mount_fill_entry(l->m, node, &e);
	return add(l, text, cookie + OFF_DOTDOT, &e);
}

static int fill(struct listing *l, int64_t ino, off_t off)
{
	struct library *lib = l->m->lib;
	int64_t parent;
	int err;

	if (off < OFF_DOT && add_dot(l, ino, OFF_DOT))
		return 0;
	if (off < OFF_DOTDOT) {
		err = tree_parent(lib, ino, &parent);
		if (err == -ENOENT)
			parent = ino; /* a removed folder that someone still has open */
		else if (err)
			return err;
		if (add_dot(l, parent, OFF_DOTDOT))
			return 0;
	}
	err = tree_list(lib, ino, off > OFF_DOTDOT ? off - OFF_DOTDOT : 0, add_entry, l);
	return err == -ENOENT ? 0 : err;
}

static void list(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, bool plus)
{
	struct listing l = {
		.req = req, .m = mount_of(req), .plus = plus, .buf = malloc(size), .room = size
	};
	int err = l.buf ? fill(&l, (int64_t)ino, off) : -ENOMEM;

	if (!err && off == 0)
		mount_note_access(mount_of(req), (int64_t)ino);
	if (err && !l.used)
		mount_reply_err(req, err);
	else
		fuse_reply_buf(req, l.buf, l.used);
	free(l.buf);
}

static void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		       struct fuse_file_info *fi)
{
	(void)fi;
	list(req, ino, size, off, false);
}

static void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
			   struct fuse_file_info *fi)
{
	(void)fi;
	list(req, ino, size, off, true);
}

static void op_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	(void)fi;
	mount_reply_err(req, 0);
}

static void do_fsyncdir(struct mount_call *c)
{
	mount_reply_err(c->req, meta_sync(library_meta(mount_of(c->req)->lib)));
}

static void op_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	(void)datasync;
	(void)fi;
	mount_call(
		&(struct mount_call){ .run = do_fsyncdir, .req = req, .slow = true, .ino = ino });
}

void mount_add_dir_ops(struct fuse_lowlevel_ops *ops)
{
	ops->opendir = op_opendir;
	ops->readdir = op_readdir;
	ops->readdirplus = op_readdirplus;
	ops->releasedir = op_releasedir;
	ops->fsyncdir = op_fsyncdir;
}
