/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Export. */
#include "config.h"

#include "agent/export-internal.h"

#define HASH_NONFATAL_OOM 1
#define uthash_nonfatal_oom(element) ((void)(element))
#include <uthash.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "util/buf.h"
#include "util/cleanup.h"
#include "util/err.h"
#include "util/time.h"

#define PART_SUFFIX ".garner-part"

struct export
{
	struct library *lib;
	const struct export_watch *watch;
	struct export_stats *stats;
	struct link_seen *links;
};

/* An asset with several placements, and where it was written first. */
struct link_seen {
	int64_t ino;
	char *path;
	UT_hash_handle hh;
};

/* Where a node is written: a name in an open folder, so that no path is too long; and its path, for messages and links. */
struct spot {
	int dir;
	const char *name;
	struct buf *path;
};

/* Owner and mode are set, and of the attributes those that may be: by the open file, or by the path of what cannot be opened. */
static int copy_xattrs(struct export *x, int64_t ino, int fd, const char *path)
{
	CLEANUP_BUF struct buf names = BUF_INIT;
	CLEANUP_BUF struct buf value = BUF_INIT;
	int err = tree_xattr_list(x->lib, ino, &names);

	for (size_t at = 0; at < names.len && !err; at += strlen(names.data + at) + 1) {
		const char *name = names.data + at;
		int rc;

		buf_reset(&value);
		err = tree_xattr_get(x->lib, ino, name, &value);
		if (err)
			break;
		rc = fd >= 0 ? fsetxattr(fd, name, buf_str(&value), value.len, 0)
			     : lsetxattr(path, name, buf_str(&value), value.len, 0);
		if (rc && errno != EPERM && errno != EOPNOTSUPP)
			err = -errno;
	}
	return err;
}

/* Of a file or folder that is open: owner, mode, attributes, times, in the order in which none undoes another. Owners as far as we may. */
static int set_open(struct export *x, const struct node *n, int fd)
{
	struct stat st;
	int err = 0;

	node_stat(n, &st);
	if (fchown(fd, n->uid, n->gid) && geteuid() == 0)
		err = -errno;
	if (!err && fchmod(fd, n->mode))
		err = -errno;
	if (!err)
		err = copy_xattrs(x, n->ino, fd, NULL);
	if (!err && futimens(fd, (struct timespec[]){ st.st_atim, st.st_mtim }))
		err = -errno;
	return err;
}

/* The same for what is not opened. */
static int set_named(struct export *x, const struct node *n, const struct spot *at)
{
	CLEANUP_BUF struct buf path = BUF_INIT;
	struct stat st;
	int err = buf_printf(&path, "/proc/self/fd/%d/%s", at->dir, at->name);

	node_stat(n, &st);
	if (!err && fchownat(at->dir, at->name, n->uid, n->gid, AT_SYMLINK_NOFOLLOW) &&
	    geteuid() == 0)
		err = -errno;
	if (!err && n->kind != NODE_SYMLINK && fchmodat(at->dir, at->name, n->mode, 0))
		err = -errno;
	if (!err)
		err = copy_xattrs(x, n->ino, -1, path.data);
	if (!err && utimensat(at->dir, at->name, (struct timespec[]){ st.st_atim, st.st_mtim },
			      AT_SYMLINK_NOFOLLOW))
		err = -errno;
	return err;
}

static bool same_target(struct export *x, const struct node *n, const struct spot *at)
{
	CLEANUP_BUF struct buf target = BUF_INIT;
	char there[PATH_MAX];
	ssize_t len = readlinkat(at->dir, at->name, there, sizeof there);

	return len >= 0 && !tree_readlink(x->lib, n->ino, &target) && (size_t)len == target.len &&
	       !memcmp(there, buf_str(&target), target.len);
}

static bool there_already(struct export *x, const struct node *n, const struct spot *at)
{
	struct stat st, want;

	node_stat(n, &want);
	if (fstatat(at->dir, at->name, &st, AT_SYMLINK_NOFOLLOW) ||
	    (st.st_mode & S_IFMT) != (want.st_mode & S_IFMT))
		return false;
	switch (n->kind) {
	case NODE_ASSET:
		return st.st_size == want.st_size && time_from_spec(st.st_mtim) == n->mtime_ns;
	case NODE_SYMLINK:
		return same_target(x, n, at);
	default:
		return st.st_rdev == want.st_rdev;
	}
}

/* The name under which a file is written until it is whole: the same each time, so that what was left behind is used again. */
static int part_name(const char *name, struct buf *out)
{
	size_t len = strlen(name), most = NAME_MAX - strlen(PART_SUFFIX);
	int err = buf_add(out, name, len < most ? len : most);

	return err ? err : buf_add_str(out, PART_SUFFIX);
}

static int write_part(struct export *x, const struct node *n, int fd)
{
	struct node now = *n;
	int err = export_content_write(x->lib, &now, fd, true);

	if (!err && ftruncate(fd, (off_t)now.size))
		err = -errno;
	return err ? err : set_open(x, &now, fd);
}

/* Writes under another name beside it; nothing is left on failure. */
static int write_asset(struct export *x, const struct node *n, const struct spot *at)
{
	CLEANUP_BUF struct buf part = BUF_INIT;
	int err = part_name(at->name, &part);

	if (err)
		return err;
	if (unlinkat(at->dir, part.data, 0) && errno != ENOENT)
		return -errno;
	int fd = openat(at->dir, part.data, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
			0600);

	if (fd < 0)
		return -errno;
	err = write_part(x, n, fd);
	if (close(fd) && !err)
		err = -errno;
	if (!err && renameat(at->dir, part.data, at->dir, at->name))
		err = -errno;
	if (err)
		unlinkat(at->dir, part.data, 0);
	return err;
}

/* Notes where the node was written first. */
static int note_link(struct export *x, const struct node *n, const struct spot *at)
{
	struct link_seen *l = calloc(1, sizeof *l);

	if (!l)
		return -ENOMEM;
	l->ino = n->ino;
	l->path = strdup(at->path->data);
	if (l->path)
		HASH_ADD(hh, x->links, ino, sizeof l->ino, l);
	if (l->path && l->hh.tbl)
		return 0;
	free(l->path);
	free(l);
	return -ENOMEM;
}

/* One more name of what was written as `first`. */
static int link_again(struct export *x, const struct link_seen *first, const struct spot *at)
{
	CLEANUP_BUF struct buf part = BUF_INIT;
	struct stat one, two;
	int err = part_name(at->name, &part);

	if (err)
		return err;
	if (fstatat(AT_FDCWD, first->path, &one, AT_SYMLINK_NOFOLLOW))
		return -errno;
	if (!fstatat(at->dir, at->name, &two, AT_SYMLINK_NOFOLLOW) && one.st_ino == two.st_ino &&
	    one.st_dev == two.st_dev) {
		x->stats->skipped++;
		return 0;
	}
	if (unlinkat(at->dir, part.data, 0) && errno != ENOENT)
		return -errno;
	if (linkat(AT_FDCWD, first->path, at->dir, part.data, 0) ||
	    renameat(at->dir, part.data, at->dir, at->name))
		return -errno;
	x->stats->links++;
	return 0;
}

static int write_other(struct export *x, const struct node *n, const struct spot *at)
{
	CLEANUP_BUF struct buf target = BUF_INIT;
	struct stat st;
	int err = n->kind == NODE_SYMLINK ? tree_readlink(x->lib, n->ino, &target) : 0;

	node_stat(n, &st);
	if (!err && unlinkat(at->dir, at->name, 0) && errno != ENOENT)
		err = -errno;
	if (!err && n->kind == NODE_SYMLINK)
		err = symlinkat(buf_str(&target), at->dir, at->name) ? -errno : 0;
	else if (!err)
		err = mknodat(at->dir, at->name, st.st_mode, n->rdev) ? -errno : 0;
	return err ? err : set_named(x, n, at);
}

/* What is no folder. */
static int export_leaf(struct export *x, const struct node *n, const struct spot *at)
{
	struct link_seen *first = NULL;
	bool asset = n->kind == NODE_ASSET;
	int err = 0;

	if (n->nlink > 1)
		HASH_FIND(hh, x->links, &n->ino, sizeof n->ino, first);
	if (first)
		return link_again(x, first, at);
	if (there_already(x, n, at)) {
		x->stats->skipped++;
	} else {
		err = asset ? write_asset(x, n, at) : write_other(x, n, at);
		if (err)
			return err;
		*(asset ? &x->stats->assets : &x->stats->others) += 1;
		x->stats->bytes += asset ? n->size : 0;
	}
	return n->nlink > 1 ? note_link(x, n, at) : 0;
}

static int export_node(struct export *x, const struct node *n, const struct spot *at);

struct folder_walk {
	struct export *x;
	int fd;
	struct buf *path;
	int err;
};

static int export_entry(void *arg, const char *name, size_t len, int64_t cookie,
			const struct node *n)
{
	struct folder_walk *w = arg;
	size_t kept = w->path->len;
	int err;

	(void)cookie;
	if (buf_add_byte(w->path, '/') || buf_add(w->path, name, len))
		return w->err = -ENOMEM;
	struct spot at = { w->fd, w->path->data + kept + 1, w->path };
	CLEANUP_FREE char *own = strdup(at.name); /* the path may move as it grows */

	if (!own)
		return w->err = -ENOMEM;
	at.name = own;
	err = export_node(w->x, n, &at);
	if (err == -ENOSPC || err == -EDQUOT || err == -ENOMEM || err == -EROFS)
		w->err = err;
	else if (err) {
		w->x->stats->failed++;
		w->x->watch->failed(w->x->watch->arg, w->path->data, err);
	}
	w->path->len = kept;
	w->path->data[kept] = '\0';
	return w->err;
}

static int export_folder(struct export *x, const struct node *n, const struct spot *at)
{
	bool made = !mkdirat(at->dir, at->name, 0700);

	if (!made && errno != EEXIST)
		return -errno;
	CLEANUP_CLOSE int fd = openat(at->dir, at->name,
				      O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct folder_walk w = { .x = x, .fd = fd, .path = at->path };

	if (fd < 0)
		return -errno;
	/* One that was left without write permission by an export before is to be filled up. */
	if (!made && fchmod(fd, 0700) && errno != EPERM)
		return -errno;
	int err = tree_list(x->lib, n->ino, 0, export_entry, &w);

	if (!err)
		err = w.err;
	x->stats->folders += !err && made;
	return err ? err : set_open(x, n, fd);
}

static int export_node(struct export *x, const struct node *n, const struct spot *at)
{
	if (x->watch->progress)
		x->watch->progress(x->watch->arg, x->stats);
	return n->kind == NODE_FOLDER ? export_folder(x, n, at) : export_leaf(x, n, at);
}

/* A descriptor is open for each folder above. */
static void raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

int export_begin(struct library *lib, const struct export_watch *watch, struct export_stats *stats,
		 struct export **out)
{
	struct export *x = calloc(1, sizeof *x);

	if (!x)
		return -ENOMEM;
	*x = (struct export){ .lib = lib, .watch = watch, .stats = stats };
	raise_limit();
	*out = x;
	return 0;
}

int export_tree(struct export *x, const struct node *n, const char *target)
{
	CLEANUP_BUF struct buf path = BUF_INIT;
	struct spot at = { AT_FDCWD, target, &path };
	int err = buf_add_str(&path, target);

	return err ? err : export_node(x, n, &at);
}

void export_end(struct export *x)
{
	struct link_seen *l, *next;

	if (!x)
		return;
	HASH_ITER (hh, x->links, l, next) {
		HASH_DEL(x->links, l);
		free(l->path);
		free(l);
	}
	free(x);
}
