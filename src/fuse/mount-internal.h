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
#include "util/buf.h"
#include "util/lock.h"

#define MOUNT_TIMEOUT_S                                                                            \
	86400.0 /* names and attributes, known and unknown: every change is notified */

enum { MOUNT_GIVEN = 4096 };

struct mount_handle;
struct mount_later;

/* Which workers wait for requests: mount-turn.c. `reading` of them do, the others stand aside or are at work. */
struct mount_turns {
	struct lock lock;         /* guards what follows */
	struct turn_place *aside; /* the last who came first */
	unsigned reading;
	bool over; /* nobody stands aside any more */
};

struct mount {
	struct library *lib;
	struct mount_options opts;
	char *mountpoint;
	struct fuse_session *se;
	bool mounted;
	void (*ready)(void *arg);
	void *ready_arg;
	atomic_bool agreed; /* what is asked of the kernel was said; `ready` is due */
	bool served; /* the kernel took it; written by one worker, read after all have ended */
	pthread_t *workers;
	int worker_count;
	struct mount_turns turns;
	atomic_int workers_alive;
	struct lock_cond worker_ended; /* with `lock` */
	bool uring;                    /* io_uring was asked for */
	atomic_bool uring_known;       /* a request has come, over io_uring or not */
	struct mount_later *later;
	bool passthrough;             /* the kernel has agreed to it */
	bool kills;                   /* taking set-id bits and capabilities away is left to us */
	struct lock lock;             /* guards the handles and what is open */
	struct mount_handle *handles; /* every open asset: the end may come without RELEASE */
	struct mount_open *open;  /* table of the inodes that they are on; with passthrough only */
	struct lock_cond decided; /* an inode's way was found or given up */
	/* Inodes, by their remainder, whose bytes the kernel was given on open(2) and likely has still. */
	atomic_uint_fast64_t given[MOUNT_GIVEN];
	unsigned notifying;        /* notifications under way that wait for requests; with `lock` */
	bool ending;               /* there are to be no more; with `lock` */
	struct lock_cond notified; /* one is over */
	bool told_to_end;          /* by a signal; read when that thread has ended */
	pthread_t signals;         /* the thread that waits for SIGTERM and the like */
};

/* What fi->fh points at for an open asset. */
struct mount_handle {
	struct file *file;
	int flags;            /* access mode it was opened with */
	pid_t reader;         /* who opened sealed content with it, for reading; else 0 */
	int64_t opened_ns;    /* … and when, by time_mono_ns() */
	bool counted;         /* among the handles that follow its inode's way */
	atomic_bool accessed; /* atime was seen to */
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
 * With a change of the content or the owner of *n by the caller of `req`: takes the privileges that such a change takes away, none from a folder; *n is as it is then. With
 * m->kills all of them: set-id bits and file capabilities. Else the kernel takes them, but for one that it does not take for FUSE (fuse_setattr()) as it does for disk
 * filesystems (setattr_should_drop_sgid()): set-group-id where the group may not execute and the caller is not in it. Root keeps set-id bits unless the owner changes.
 * 0 or the error of tree_set(), tree_xattr_remove().
 */
int mount_drop_privileges(fuse_req_t req, struct node *n, bool owner_changed);
/* The same for asset `ino`, before the caller changes its content. */
int mount_before_change(fuse_req_t req, fuse_ino_t ino);

/* The request handlers, by the file that holds them; contracts are those of struct fuse_lowlevel_ops. */
void mount_add_init_op(struct fuse_lowlevel_ops *ops);
void mount_add_name_ops(struct fuse_lowlevel_ops *ops);
void mount_add_attr_ops(struct fuse_lowlevel_ops *ops);
void mount_add_file_ops(struct fuse_lowlevel_ops *ops);
void mount_add_dir_ops(struct fuse_lowlevel_ops *ops);
void mount_add_xattr_ops(struct fuse_lowlevel_ops *ops);

/*
 * How the kernel gets at the bytes of an open asset, which is one way for all handles on the inode: mount-way.c has the table. Fills the flags of `fi` for the
 * reply; `created`: the request made the asset. 0, or an error for the one who opens: then the handle is to be left and closed all the same.
 */
int mount_way_take(fuse_req_t req, struct mount_handle *h, bool created, struct fuse_file_info *fi);
/* Before the handle is closed. `req` may be NULL when the connection is gone. */
void mount_way_leave(fuse_req_t req, struct mount *m, struct mount_handle *h);

/* Whether the request has come over io_uring. */
bool mount_ring_request(fuse_req_t req);
/* The memory that a reply of `size` bytes to a request over io_uring is sent from, to be filled in place; NULL: there is none. */
char *mount_ring_memory(fuse_req_t req, size_t size);
/* How many requests can be under way over io_uring. */
size_t mount_ring_requests(void);
/* Adds libfuse's options, each after a comma, if m->uring. 0, -ENOMEM. */
int mount_ring_options(const struct mount *m, struct buf *b);
/* For `garner status`: the way of the requests. */
void mount_ring_describe(struct mount *m, bool uring);
/* With the first request: whether the rings that were asked for work. */
void mount_ring_note(fuse_req_t req);
/* Ends the rings and the pool behind them, whose requests are replied to; the workers have ended. */
void mount_ring_stop(struct mount *m);

/* Begins to turn changes by other processes into kernel invalidations, and ends it. */
int mount_notify_start(struct mount *m);
void mount_notify_stop(struct mount *m);

/* Has the kernel write back what it has of an asset's dirty pages, waiting for it, and drop all. Nothing any more once the mount is ending. */
void mount_notify_content(struct mount *m, int64_t ino);

/* From now on nothing notifies that would wait for requests; returns when what was under way is over. The workers still answer. */
void mount_notify_end(struct mount *m);

/* Asks the kernel to write back every dirty page of files that are open for writing, and waits for it. */
void mount_write_back(struct mount *m);

/* A buffer of the calling thread's, for one request; NULL: no memory. */
char *mount_read_buffer(size_t size);
/*
 * Turns at waiting for requests. A worker waits between take and give, which may let it stand aside first; after the end nobody does. No locks held; any
 * thread. The release comes when no worker is left.
 */
void mount_turns_init(struct mount_turns *t);
void mount_turn_take(struct mount_turns *t);
void mount_turn_give(struct mount_turns *t);
void mount_turns_end(struct mount_turns *t);
void mount_turns_release(struct mount_turns *t);

/* Closes the assets that the kernel will not release any more; no worker runs. */
void mount_close_handles(struct mount *m);

#endif
