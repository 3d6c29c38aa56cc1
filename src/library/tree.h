/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The tree: nodes and the entries that name them. Every change is one operation: its ids, times and values are decided first, then its statements run in
 * one transaction that also appends to the journal; parents' times, link counts and versions change in the same transaction.
 * Permission checks are not made here (the kernel makes them for the mount).
 *
 * Names are bytes (1..255, no '/', no NUL, not "." or ".."). Errors are negative errnos as the system call of the same name gives them, and those of
 * meta_apply(). Any thread. Attributes given out include what is not committed yet of files open in this process (size, times).
 *
 * Deleting is soft: an asset whose last entry goes is kept as DELETED with a row in the trash, unless it was never sealed or the retention is 0: then it is purged as
 * soon as no one has it open. The same for folders (rmdir; kept while in the trash).
 */
#ifndef GARNER_LIBRARY_TREE_H
#define GARNER_LIBRARY_TREE_H

#include <sys/stat.h>

#include "library/library.h"
#include "util/buf.h"

#define TREE_ROOT 1 /* inode number of the root folder */

enum node_kind {
	NODE_FOLDER = 1,
	NODE_ASSET,
	NODE_SYMLINK,
	NODE_FIFO,
	NODE_CHAR,
	NODE_BLOCK,
	NODE_SOCKET
};
enum node_state { NODE_ACTIVE = 1, NODE_INCONSISTENT, NODE_MISSING, NODE_DELETED };

struct node {
	int64_t ino;
	uint8_t asset_id[16];
	enum node_kind kind;
	enum node_state state;
	mode_t mode; /* permission bits and S_ISUID.. only; the type is `kind` */
	uid_t uid;
	gid_t gid;
	dev_t rdev;
	uint64_t size, alloc; /* bytes; alloc without holes */
	int64_t atime_ns, mtime_ns, ctime_ns, created_ns;
	int64_t nlink;
	int64_t object, draft; /* 0: none */
	int64_t version;
};

/* The node as stat(2) shows it; st_dev 0, st_blksize 128 KiB. */
void node_stat(const struct node *n, struct stat *st);

int tree_get(struct library *lib, int64_t ino,
	     struct node *out); /* -ENOENT; DELETED nodes are found while they exist */
int tree_lookup(struct library *lib, int64_t parent, const char *name, size_t len,
		struct node *out);

/* Attributes to set. */
#define TREE_SET_MODE 0x01
#define TREE_SET_UID 0x02
#define TREE_SET_GID 0x04
#define TREE_SET_ATIME 0x08
#define TREE_SET_MTIME 0x10
#define TREE_SET_CTIME 0x20 /* else ctime becomes now */

/* Makes a folder, symlink (`target`) or special file (`rdev`), or an asset without content. mode: type and permission bits as mknod(2). umask, set-gid
 * folders and default ACLs of the parent are applied here. Fills *out. -EEXIST, -ENOENT (parent gone), -ENOTDIR, -EINVAL (name), -ENAMETOOLONG. */
struct tree_new {
	int64_t parent;
	const char *name;
	size_t len;
	mode_t mode;
	dev_t rdev;
	const char *target; /* symlink: NUL-terminated, at most 4095 bytes */
	int64_t draft;      /* asset: the blob of a draft to attach, or 0 */
	int set; /* TREE_SET_*: attributes that are `values`, whatever would follow from umask, folder and clock */
	struct node values;
};
int tree_make(struct library *lib, const struct actor *who, const struct tree_new *what,
	      struct node *out);

/*
 * tree_make() into the caller's operation, for many nodes in one. `parent` NULL: the folder is looked up, with its default ACL. Else the folder as the caller
 * knows it (it may be planned in the same `op`), whose default ACL is not looked at. Once `op` was applied the node is *out; when it fails with -EEXIST,
 * -ENOENT or -EAGAIN, one of its nodes did.
 */
int tree_plan_make(struct library *lib, const struct actor *who, const struct tree_new *what,
		   const struct node *parent, struct meta_op *op, struct node *out);

/* tree_link() into the caller's operation, of a node that has an entry or gets it in the same `op`; of `where` only parent, name and len are used. */
int tree_plan_link(struct library *lib, const struct actor *who, int64_t ino,
		   const struct tree_new *where, struct meta_op *op);

/* tree_xattr_set() into the caller's operation, replacing what is there; not for ACLs (-EINVAL). Its journal row is that of the creation. */
int tree_plan_xattr(struct library *lib, int64_t ino, const char *name, const void *value,
		    size_t len, struct meta_op *op);

/* An asset with no entry yet (O_TMPFILE); nlink 0, linked later by tree_link(). */
int tree_make_unnamed(struct library *lib, const struct actor *who, const struct tree_new *what,
		      struct node *out);

int tree_readlink(struct library *lib, int64_t ino, struct buf *out);
int tree_link(struct library *lib, const struct actor *who, int64_t ino, int64_t parent,
	      const char *name, size_t len, struct node *out); /* -EMLINK, -EPERM for folders */

/* *out (may be NULL) gets the node as it is afterwards. -ENOTEMPTY, -ENOTDIR, -EISDIR. */
int tree_unlink(struct library *lib, const struct actor *who, int64_t parent, const char *name,
		size_t len, struct node *out);
int tree_rmdir(struct library *lib, const struct actor *who, int64_t parent, const char *name,
	       size_t len);

/*
 * Removes the entry whatever it names; a folder goes to the trash in one piece, with everything below as it is, in a constant number of rows.
 */
int tree_remove(struct library *lib, const struct actor *who, int64_t parent, const char *name,
		size_t len);

/*
 * rename(2) with flags RENAME_NOREPLACE, RENAME_EXCHANGE (RENAME_WHITEOUT: -EINVAL). A constant number of rows whatever lies below. -EINVAL when a folder would come to lie
 * in itself (checked in the transaction: another process may have moved things).
 * Identity: when a fresh asset (made within the last hour, at most one version) takes the name of an existing asset that loses its last entry by this, or one that was
 * given up (renamed away or unlinked) within the last 15 s, it takes over asset id, version history and extended tags of the old one, and the old content becomes the previous version.
 */
int tree_rename(struct library *lib, const struct actor *who, int64_t parent, const char *name,
		size_t len, int64_t new_parent, const char *new_name, size_t new_len,
		unsigned flags);

/* Attributes; `set` says which (TREE_SET_*). Sizes are not here (file.h). */
int tree_set(struct library *lib, const struct actor *who, int64_t ino, int set,
	     const struct node *values, struct node *out);

/* Records an access time alone: no journal row, no new version, no ctime. */
int tree_touch(struct library *lib, int64_t ino, int64_t atime_ns);

/* Lists a folder in a stable order from after `cookie` (0: from the first); cookies stay valid while entries come and go. `fn` returns nonzero to stop (that entry is not consumed). "." and ".." are not given. */
typedef int tree_list_fn(void *arg, const char *name, size_t len, int64_t cookie,
			 const struct node *node);
int tree_list(struct library *lib, int64_t parent, int64_t cookie, tree_list_fn *fn, void *arg);
int tree_parent(struct library *lib, int64_t folder,
		int64_t *parent); /* of a folder; the root is its own */

/* Extended attributes, at most 64 KiB each. Names with their namespace, NUL-terminated. POSIX ACLs (system.posix_acl_access, _default) are kept in step with the mode. */
#define TREE_XATTR_MAX 65536
int tree_xattr_get(struct library *lib, int64_t ino, const char *name,
		   struct buf *out); /* -ENODATA */
int tree_xattr_set(
	struct library *lib, const struct actor *who, int64_t ino, const char *name,
	const void *value, size_t len,
	int flags); /* XATTR_CREATE, XATTR_REPLACE, TREE_XATTR_KILL_SGID; -E2BIG, -ENOSPC */
/* A flag: an access ACL also clears set-gid, since the caller is neither in the group nor privileged. */
#define TREE_XATTR_KILL_SGID 0x10000
int tree_xattr_remove(struct library *lib, const struct actor *who, int64_t ino, const char *name);
int tree_xattr_list(struct library *lib, int64_t ino,
		    struct buf *out); /* names, each with its NUL */

/* Paths, for the command line: "/a/b" from the root; symlinks are not followed. */
int tree_resolve(struct library *lib, const char *path, struct node *out);
/* Resolves all but the last part: *parent, and *name and *len within `path`. -EINVAL for the root. */
int tree_resolve_parent(struct library *lib, const char *path, struct node *parent,
			const char **name, size_t *len);
int tree_path(struct library *lib, int64_t ino,
	      struct buf *out); /* one path of the node (any placement); -ENOENT when it has none */

/* Sums below a folder. */
struct tree_usage {
	uint64_t bytes, alloc, assets, folders;
};
int tree_usage(struct library *lib, int64_t ino, struct tree_usage *out);

/* The trash: assets and folders that were deleted and can be restored. */
struct tree_trash_item {
	struct node node;
	int64_t parent; /* where it was */
	const char *name;
	size_t len;
	int64_t deleted_ns;
	uid_t actor;
};
/* Calls `fn` for each item, oldest deletion first, until it returns nonzero. The item is valid during the call. 0 or an error of meta_query(). */
int tree_trash_list(struct library *lib, int (*fn)(void *arg, const struct tree_trash_item *item),
		    void *arg);

/*
 * Puts an item back where it was, under a free name if its own is taken, with everything below it. Folders above it that are in the trash are
 * restored too; where they are gone it goes into the root. *out (may be NULL) gets the node. -ENOENT: not in the trash.
 */
int tree_restore(struct library *lib, const struct actor *who, int64_t ino, struct node *out);

/* Takes an item out of the trash for good; what lies below it goes in the background (tree_sweep()). -ENOENT: not in the trash. */
int tree_purge(struct library *lib, const struct actor *who, int64_t ino);

/* tree_purge() of what was deleted longer than the retention before `now_ns`. Returns the number of items, or an error. */
int tree_trash_expire(struct library *lib, int64_t now_ns);

/*
 * Background work: removes nodes that no entry and no trash row names, that were left so for a minute and are not open here, and what lay below them; and
 * outdated name tunnels. At most about `limit` nodes. Returns their number (call again while it is not 0), or an error.
 */
int tree_sweep(struct library *lib, int limit);

/*
 * Checks what must always hold of nodes and entries; `report` gets a line for each fault and must not call the library. Returns the number of faults,
 * or an error. Reads everything; others may go on working, but faults are certain only when none did.
 */
int tree_check(struct library *lib, void (*report)(void *arg, const char *line), void *arg);

#endif
