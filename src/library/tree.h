/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The tree: nodes and the entries that name them. Every change is one operation: its ids, times
 * and values are decided first, then its statements run in one transaction that also appends to
 * the journal; parents' times, link counts and versions change in the same transaction. Permission
 * checks are not made here (the kernel makes them for the mount).
 *
 * Names are bytes: 1 to 255, no '/', no NUL, not "." or "..". Every function takes any thread,
 * holds no lock while it waits for the database, and returns 0 or a negative error: an errno as
 * the system call of the same name gives it, those of meta_apply(), -EROFS (library opened
 * read-only), -EBUSY (others changed the same nodes again and again meanwhile). On 0 the change
 * survives a crash of the process; a power cut from the next meta_sync() on. Attributes given out
 * include what is not committed yet of files open in this process (size, times). Out-parameters
 * are the caller's and untouched on failure; a struct buf may have grown.
 *
 * Deleting is soft: an asset whose last entry goes is kept as DELETED with a row in the trash,
 * unless it was never sealed or the retention is 0: then it is an orphan, and goes when no one has
 * it open. So are folders (rmdir; kept while in the trash). Symlinks and special files are never
 * kept.
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

/* The node of that number, DELETED ones too while they exist. -ENOENT. */
int tree_get(struct library *lib, int64_t ino, struct node *out);

/* The node under a name. -ENOENT (also where `parent` is no folder), -ENAMETOOLONG. */
int tree_lookup(struct library *lib, int64_t parent, const char *name, size_t len,
		struct node *out);

/* Attributes to set. */
#define TREE_SET_MODE 0x01
#define TREE_SET_UID 0x02
#define TREE_SET_GID 0x04
#define TREE_SET_ATIME 0x08
#define TREE_SET_MTIME 0x10
#define TREE_SET_CTIME 0x20 /* else ctime becomes now */

/*
 * What to make: a folder, symlink, special file, or an asset without content. umask, set-gid
 * folders and default ACLs of the parent are applied to `mode`, which has type and permission bits
 * as in mknod(2). All pointers are borrowed for the call.
 */
struct tree_new {
	int64_t parent;
	const char *name;
	size_t len;
	mode_t mode;
	dev_t rdev;
	const char *target; /* symlink: NUL-terminated, at most 4095 bytes */
	int64_t draft;      /* asset: the blob of a draft to attach, or 0 */
	int set;            /* TREE_SET_*: taken from `values`, not from umask, folder and clock */
	struct node values;
};

/*
 * Makes it under its name; *out is the node. A new asset takes over the identity of one that gave
 * up the name moments ago (see tree_rename()). -EEXIST, -ENOENT (parent gone), -ENOTDIR, -EINVAL
 * (name, type, empty target), -ENAMETOOLONG.
 */
int tree_make(struct library *lib, const struct actor *who, const struct tree_new *what,
	      struct node *out);

/*
 * tree_make() into the caller's operation, for many nodes in one. `parent` NULL: the folder is
 * looked up, with its default ACL. Else the folder as the caller knows it (it may be planned in
 * the same `op`), whose default ACL is not looked at. Once `op` was applied the node is *out; when
 * it fails with -EEXIST, -ENOENT or -EAGAIN, one of its nodes did.
 */
int tree_plan_make(struct library *lib, const struct actor *who, const struct tree_new *what,
		   const struct node *parent, struct meta_op *op, struct node *out);

/*
 * tree_link() into the caller's operation, of a node that has an entry or gets it in the same
 * `op`; of `where` only parent, name and len are used. -EINVAL or -ENAMETOOLONG for the name; the
 * rest fails when `op` is applied, with -EAGAIN where the node cannot be linked.
 */
int tree_plan_link(struct library *lib, const struct actor *who, int64_t ino,
		   const struct tree_new *where, struct meta_op *op);

/*
 * tree_xattr_set() into the caller's operation, replacing what is there, without a journal row
 * (that of the creation stands for it). Not for ACLs: -EINVAL. -ERANGE (name), -E2BIG.
 */
int tree_plan_xattr(struct library *lib, int64_t ino, const char *name, const void *value,
		    size_t len, struct meta_op *op);

/*
 * An asset with no entry yet (O_TMPFILE): nlink 0, an orphan until tree_link() names it. Of the
 * name in `what` nothing is used. -ENOENT, -ENOTDIR, -EINVAL (no asset).
 */
int tree_make_unnamed(struct library *lib, const struct actor *who, const struct tree_new *what,
		      struct node *out);

/* Appends the target of a symlink to `out`. -ENOENT, -EINVAL (no symlink). */
int tree_readlink(struct library *lib, int64_t ino, struct buf *out);

/*
 * Gives the node another entry; *out is the node as it is afterwards. -ENOENT (no such node, or
 * DELETED; parent gone), -EPERM (a folder), -EEXIST, -EMLINK, -EINVAL, -ENAMETOOLONG.
 */
int tree_link(struct library *lib, const struct actor *who, int64_t ino, int64_t parent,
	      const char *name, size_t len, struct node *out);

/*
 * Removes an entry that is no folder's; *out (may be NULL) is the node as it is afterwards.
 * -EISDIR.
 */
int tree_unlink(struct library *lib, const struct actor *who, int64_t parent, const char *name,
		size_t len, struct node *out);

/* Removes an empty folder. -ENOTEMPTY, -ENOTDIR. */
int tree_rmdir(struct library *lib, const struct actor *who, int64_t parent, const char *name,
	       size_t len);

/*
 * Removes the entry whatever it names; a folder goes to the trash in one piece, with everything
 * below as it is, in a constant number of rows.
 */
int tree_remove(struct library *lib, const struct actor *who, int64_t parent, const char *name,
		size_t len);

/*
 * rename(2) with flags RENAME_NOREPLACE, RENAME_EXCHANGE (RENAME_WHITEOUT: -EINVAL). A constant
 * number of rows whatever lies below. -EINVAL when a folder would come to lie in itself (checked
 * in the transaction: another process may have moved things). The bytes of an asset that replaces
 * another are made durable first, so that after a power cut the name shows all the old or all the
 * new ones.
 *
 * Identity: when a fresh asset (made within the last hour, at most one version) takes the name of
 * an asset that loses its last entry by this, or one that was given up within the last 15 s
 * (unlinked, or renamed to another name in its folder), it takes over asset id, version history
 * and tags, and the old content becomes the previous version. identity.h has the rules.
 */
int tree_rename(struct library *lib, const struct actor *who, int64_t parent, const char *name,
		size_t len, int64_t new_parent, const char *new_name, size_t new_len,
		unsigned flags);

/*
 * Sets the attributes that `set` names (TREE_SET_*); *out (may be NULL) is the node as it is
 * afterwards. A change of mode also changes an access ACL. Sizes are not here (file.h). -ENOENT.
 */
int tree_set(struct library *lib, const struct actor *who, int64_t ino, int set,
	     const struct node *values, struct node *out);

/*
 * Records an access time alone: no journal row, no new version, no ctime. In a mount it is kept in memory first and
 * recorded by the clock, by fsync(2), or as the library closes. -ENOENT where it is recorded at once.
 */
int tree_touch(struct library *lib, int64_t ino, int64_t atime_ns);

/* Gets one entry; nonzero stops, and that entry comes again. May call the library. */
typedef int tree_list_fn(void *arg, const char *name, size_t len, int64_t cookie,
			 const struct node *node);

/*
 * Lists a folder in a stable order from after `cookie` (0: from the first), without "." and "..".
 * Cookies stay valid while entries come and go, and an entry keeps its own over a rename. What is
 * no folder has no entries.
 */
int tree_list(struct library *lib, int64_t parent, int64_t cookie, tree_list_fn *fn, void *arg);

/* The folder above a folder; the root is its own. -ENOENT (none: it is in the trash). */
int tree_parent(struct library *lib, int64_t folder, int64_t *parent);

/*
 * Extended attributes: values of at most 64 KiB, names NUL-terminated with their namespace. POSIX
 * ACLs (system.posix_acl_access, _default) have the kernel's form and are kept in step with the
 * mode.
 */
#define TREE_XATTR_MAX 65536

/* A flag: an access ACL also clears set-gid; the caller is neither in the group nor privileged. */
#define TREE_XATTR_KILL_SGID 0x10000

/* Appends the value to `out`. -ENODATA. */
int tree_xattr_get(struct library *lib, int64_t ino, const char *name, struct buf *out);

/*
 * Sets an attribute. flags: XATTR_CREATE (-EEXIST), XATTR_REPLACE (-ENODATA),
 * TREE_XATTR_KILL_SGID. -ENOENT, -ERANGE (name), -E2BIG (value), -ENOSPC (no room in the list of
 * names); for ACLs -EINVAL, -EOPNOTSUPP (of a symlink), -EACCES (a default ACL, and no folder).
 */
int tree_xattr_set(struct library *lib, const struct actor *who, int64_t ino, const char *name,
		   const void *value, size_t len, int flags);

/* -ENODATA, -ENOENT. */
int tree_xattr_remove(struct library *lib, const struct actor *who, int64_t ino, const char *name);

/* Appends all names, each with its NUL. */
int tree_xattr_list(struct library *lib, int64_t ino, struct buf *out);

/*
 * The node at a path from the root ("/a/b"), for the command line; symlinks are not followed.
 * -ENOENT, -ENOTDIR, -ENAMETOOLONG.
 */
int tree_resolve(struct library *lib, const char *path, struct node *out);

/*
 * Resolves all but the last part: *parent, and *name and *len within `path`. As tree_resolve(), and
 * -EINVAL for the root or a last part that is no name.
 */
int tree_resolve_parent(struct library *lib, const char *path, struct node *parent,
			const char **name, size_t *len);

/* Appends one path of the node, through any of its placements. -ENOENT when it has none. */
int tree_path(struct library *lib, int64_t ino, struct buf *out);

/*
 * The same of what is in the trash or below that: the path that it had, which it has again once it is restored and its name is free. Where a folder above was purged,
 * *gone is true, and the path is what is left of it, below the root.
 */
int tree_path_was(struct library *lib, int64_t ino, bool *gone, struct buf *out);

/*
 * Calls `fn` for each placement of the node: the folder and the name in it, NUL-terminated, valid during the call; nonzero ends it and is
 * returned. No statement is open meanwhile. -ENOMEM and the errors of meta_query().
 */
int tree_placements(struct library *lib, int64_t ino,
		    int (*fn)(void *arg, int64_t parent, const char *name, size_t len), void *arg);

/* Sums below a folder. */
struct tree_usage {
	uint64_t bytes, alloc, assets, folders;
};

/* Adds up what lies below `ino`, each node once, without itself. Reads as many rows. */
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

/*
 * Calls `fn` for each item, oldest deletion first, until it returns nonzero. Valid during the
 * call.
 */
int tree_trash_list(struct library *lib, int (*fn)(void *arg, const struct tree_trash_item *item),
		    void *arg);

/*
 * Puts an item back where it was, under a free name if its own is taken, with everything below it.
 * Folders above it that are in the trash are restored too; where they are gone it goes into the
 * root. *out (may be NULL) is the node. -ENOENT: not in the trash.
 */
int tree_restore(struct library *lib, const struct actor *who, int64_t ino, struct node *out);

/*
 * Takes an item out of the trash for good; what lies below it goes in the background
 * (tree_sweep()). -ENOENT: not in the trash.
 */
int tree_purge(struct library *lib, const struct actor *who, int64_t ino);

/*
 * tree_purge() of what was deleted longer than the retention before `now_ns`. Returns the number
 * of items, or an error.
 */
int tree_trash_expire(struct library *lib, int64_t now_ns);

/* The age at which a process in which others open files may sweep: a node is an orphan a moment before it is open. */
#define TREE_SWEEP_AGE_NS (INT64_C(60) * 1000000000)

/*
 * Background work: removes orphans that have been so for `age_ns` (0: all, where this process has nothing open) and
 * are not open here, what lay below them, and outdated name tunnels. At most about `limit` nodes. Returns their number (call
 * again while it is not 0), or an error.
 */
int tree_sweep(struct library *lib, int64_t age_ns, int limit);

/*
 * Checks what must always hold of nodes and entries; `report` gets a line for each fault and must
 * not call the library. Returns the number of faults, or an error. Reads everything; others may go
 * on working, but faults are certain only when none did.
 */
int tree_check(struct library *lib, void (*report)(void *arg, const char *line), void *arg);

#endif
