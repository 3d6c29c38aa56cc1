/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the files of src/fuse share. */
#ifndef GARNER_FUSE_MOUNT_INTERNAL_H
#define GARNER_FUSE_MOUNT_INTERNAL_H

#define FUSE_USE_VERSION 312

#include <fuse_lowlevel.h>
#include <pthread.h>
#include <stdatomic.h>

#include "fuse/mount.h"
#include "library/file.h"
#include "library/tree.h"
#include "util/lock.h"

#define MOUNT_TIMEOUT_S                                                                            \
	86400.0 /* names and attributes, known and unknown: every change is notified */

struct mount_handle;

struct mount {
	struct library *lib;
	struct mount_options opts;
	char *mountpoint;
	struct fuse_session *se;
	bool mounted;
	void (*ready)(void *arg);
	void *ready_arg;
	pthread_t *workers;
	int worker_count;
	atomic_int workers_alive;
	struct lock lock;             /* guards the list of handles */
	struct mount_handle *handles; /* every open asset: the end may come without RELEASE */
	pthread_t signals;            /* the thread that waits for SIGTERM and the like */
};

/* What fi->fh points at for an open asset. */
struct mount_handle {
	struct file *file;
	int flags;                       /* access mode it was opened with */
	atomic_bool accessed;            /* atime was seen to */
	struct mount_handle *next, **at; /* in the mount's list: at is what points here */
};

/* The mount of a request. */
struct mount *mount_of(fuse_req_t req);

/* Who sent the request, for permissions of new nodes and the journal; squashing applied. */
struct actor mount_actor(fuse_req_t req);

/* Answers with an error (0 or negative, ours or errno). */
void mount_reply_err(fuse_req_t req, int err);

/* Fills what the kernel keeps of a node: number, attributes, timeouts. */
void mount_fill_entry(const struct mount *m, const struct node *n, struct fuse_entry_param *e);

/* stat(2) form of a node with squashing applied. */
void mount_fill_stat(const struct mount *m, const struct node *n, struct stat *st);

/* Records the access time of `n` if the mount's rule (noatime, relatime, strictatime) asks for it. Failure is not the reader's. */
void mount_note_access(struct mount *m, int64_t ino);

/*
 * With a change of the content of asset *n by the caller of `req`: takes the set-group-id bit where the group may not execute it, unless the caller is root or in
 * the group; *n is as it is then. The kernel takes the other set-id bits itself, but for FUSE not this one (fuse_setattr()), which disk filesystems take by
 * setattr_should_drop_sgid(). 0 or the error of tree_set().
 */
int mount_drop_setgid(fuse_req_t req, struct node *n);

/* The request handlers, by the file that holds them; contracts are those of struct fuse_lowlevel_ops. */
void mount_add_name_ops(struct fuse_lowlevel_ops *ops);
void mount_add_attr_ops(struct fuse_lowlevel_ops *ops);
void mount_add_file_ops(struct fuse_lowlevel_ops *ops);
void mount_add_dir_ops(struct fuse_lowlevel_ops *ops);
void mount_add_xattr_ops(struct fuse_lowlevel_ops *ops);

/* Begins to turn changes by other processes into kernel invalidations, and ends it. */
int mount_notify_start(struct mount *m);
void mount_notify_stop(struct mount *m);

/* Asks the kernel to write back every dirty page of files that are open for writing, and waits for it. */
void mount_write_back(struct mount *m);

/* Frees what the calling worker kept for its requests; before it ends. */
void mount_release_buffers(void);

/* Closes the assets that the kernel will not release any more; no worker runs. */
void mount_close_handles(struct mount *m);

#endif
