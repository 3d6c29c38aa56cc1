/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Requests about extended attributes; POSIX ACLs come as system.posix_acl_*. */
#include "config.h"

#include <errno.h>
#include <linux/xattr.h>
#include <string.h>

#include "fuse/mount-internal.h"
#include "library/state.h"

/* Size 0 asks for the length alone. */
static void reply_bytes(fuse_req_t req, int err, const struct buf *b, size_t size)
{
	if (err)
		mount_reply_err(req, err);
	else if (!size)
		fuse_reply_xattr(req, b->len);
	else if (b->len > size)
		mount_reply_err(req, -ERANGE);
	else
		fuse_reply_buf(req, b->data, b->len);
}

/* Whether an attribute is an ACL, in a mount that shows none. */
static bool is_hidden(fuse_req_t req, const char *name)
{
	return !mount_of(req)->opts.acl && strncmp(name, "system.posix_acl_", 17) == 0;
}

static bool is_state(const char *name)
{
	return strcmp(name, FILE_STATE_XATTR) == 0;
}

/* Where the content is. Not listed, so that nobody takes it for an attribute to copy. */
static int get_state(struct library *lib, int64_t ino, struct buf *value)
{
	enum file_state state;
	struct node n;
	int err = tree_get(lib, ino, &n);

	if (!err && n.kind != NODE_ASSET)
		err = -ENODATA;
	if (!err)
		err = file_state(lib, &n, &state);
	return err ? err : buf_add_str(value, file_state_word(state));
}

/* The kernel asks for capabilities before the first write to each file. */
static int get(struct library *lib, int64_t ino, const char *name, struct buf *value)
{
	if (strcmp(name, XATTR_NAME_CAPS) == 0 && files_incapable(lib, ino))
		return -ENODATA;
	if (is_state(name))
		return get_state(lib, ino, value);
	return tree_xattr_get(lib, ino, name, value);
}

static void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	struct buf value = BUF_INIT;
	int err = is_hidden(req, name) ? -EOPNOTSUPP
				       : get(mount_of(req)->lib, (int64_t)ino, name, &value);

	/*
	 * ls(1) asks every file for its label, but after this answer no other of the filesystem. Where labels mean
	 * something, the kernel's SELinux answers itself.
	 */
	if (err == -ENODATA && strcmp(name, "security.selinux") == 0)
		err = -EOPNOTSUPP;
	reply_bytes(req, err, &value, size);
	buf_release(&value);
}

static void drop_hidden(fuse_req_t req, struct buf *names)
{
	size_t kept = 0;

	for (size_t at = 0, len; at < names->len; at += len) {
		len = strlen(names->data + at) + 1;
		if (is_hidden(req, names->data + at))
			continue;
		memmove(names->data + kept, names->data + at, len);
		kept += len;
	}
	names->len = kept;
}

static void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	struct buf names = BUF_INIT;
	int err = tree_xattr_list(mount_of(req)->lib, (int64_t)ino, &names);

	drop_hidden(req, &names);
	reply_bytes(req, err, &names, size);
	buf_release(&names);
}

/*
 * Whether the caller is neither privileged nor in the group of the node: then an access ACL takes set-gid away, as chmod(2) would. The kernel says so
 * only to newer libfuse (FUSE_SETXATTR_EXT).
 */
static bool kills_sgid(fuse_req_t req, int64_t ino)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);
	gid_t groups[256];
	struct node n;
	int count;

	if (ctx->uid == 0 || tree_get(mount_of(req)->lib, ino, &n) || ctx->gid == n.gid)
		return false;
	count = fuse_req_getgroups(req, sizeof groups / sizeof *groups, groups);
	for (int i = 0; i < count && i < (int)(sizeof groups / sizeof *groups); i++)
		if (groups[i] == n.gid)
			return false;
	return true;
}

static void op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value,
			size_t size, int flags)
{
	struct actor who = mount_actor(req);

	if (is_hidden(req, name) || is_state(name)) {
		mount_reply_err(req, is_state(name) ? -EPERM : -EOPNOTSUPP);
		return;
	}
	if (strcmp(name, "system.posix_acl_access") == 0 && kills_sgid(req, (int64_t)ino))
		flags |= TREE_XATTR_KILL_SGID;
	mount_reply_err(req, tree_xattr_set(mount_of(req)->lib, &who, (int64_t)ino, name, value,
					    size, flags));
}

static void op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
	struct actor who = mount_actor(req);
	int err = is_hidden(req, name) ? -EOPNOTSUPP : is_state(name) ? -EPERM : 0;

	if (!err)
		err = tree_xattr_remove(mount_of(req)->lib, &who, (int64_t)ino, name);
	mount_reply_err(req, err);
}

void mount_add_xattr_ops(struct fuse_lowlevel_ops *ops)
{
	ops->getxattr = op_getxattr;
	ops->listxattr = op_listxattr;
	ops->setxattr = op_setxattr;
	ops->removexattr = op_removexattr;
}
