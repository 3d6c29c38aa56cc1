/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Requests that may take long, away from the threads that must not.
 *
 * Over io_uring each core has one thread that takes the requests of that core's programs: while it waits for a disk, or for a lock that someone
 * holds who waits for a disk, they all wait. So a request that may wait is carried out by a pool. Requests that come from /dev/fuse are
 * carried out where they are read: there are other readers.
 *
 * A request that waits until other requests are answered is carried out by a pool of its own, wherever it came from: else those might wait behind it.
 *
 * A reply over io_uring makes the thread that sends it the one in whose context the kernel hands over a later request: it can only once that thread
 * comes out of the system call in which it sleeps, and never if the thread has ended. So the pools do not reply themselves: one thread that does nothing else does.
 */
#ifndef GARNER_FUSE_MOUNT_LATER_H
#define GARNER_FUSE_MOUNT_LATER_H

#include "fuse/mount-internal.h"

struct mount_call;

/* Carries the call out and replies to call->req once, by mount_reply_*() alone. */
typedef void mount_call_fn(struct mount_call *call);

/* The same if it takes no waiting for a disk; else false, and nothing was done. */
typedef bool mount_try_fn(struct mount_call *call);

/* A request, with those of its arguments that `run` uses. */
struct mount_call {
	mount_call_fn *run;
	fuse_req_t req;
	bool slow;             /* may wait for a disk */
	bool waits;            /* may wait for other requests */
	mount_try_fn *at_once; /* NULL: there is no way to tell before */
	fuse_ino_t ino;        /* whoever comes for this inode meanwhile may wait for it; 0: none */
	fuse_ino_t other;      /* a second inode */
	const char *name, *to; /* names, or the bytes to write; they live until the reply */
	struct fuse_file_info fi, other_fi;
	bool handle; /* fi was given */
	struct stat attr;
	off_t off, len, other_off;
	size_t size;
	int flags;
	int64_t deadline_ns; /* of bytes that it has to wait for; 0: it did not wait yet */
	unsigned awaits;     /* how often it did without having to */
	bool interrupted;    /* the program that asks has a signal, of which it need not die */
};

/*
 * Runs *call: at once on this thread or, where this thread must not wait and the call is slow or meets a slow one on its inode, on the pool. The struct is copied;
 * an error of the pool (the mount is ending) is replied to the request.
 */
void mount_call(struct mount_call *call);

/*
 * For `run`, instead of a reply, when bytes of `file` in [off, off + len) have to be fetched (-EREMOTE): no thread waits for them, and when they are here `run` is called
 * anew, with the call as it is. When they cannot be had in time, or the program that asks is dying, an error is replied.
 */
void mount_call_await(struct mount_call *call, struct file *file, uint64_t off, uint64_t len);

/* Goes on with a call that was put off, by a thread of whatever kind: runs it, or replies `err` (negative) where that is not 0. */
void mount_call_resume(struct mount_call *call, int err);

/* Nothing is replied to the call that this thread carries out, if it does: someone else will. */
void mount_call_leave(void);

/* Prepares for mount_call(): over io_uring `requests` come at a time at most (0: none), and `threads` carry out slow ones. The threads start later. 0, -ENOMEM, -EINVAL. */
int mount_later_new(struct mount *m, int threads, size_t requests);

/* Starts the threads, before the first request and by a thread that takes none. 0 or a negative errno. */
int mount_later_start(struct mount *m);

/* Carries out and replies to what waits, and refuses what comes: -ENOTCONN. */
void mount_later_stop(struct mount *m);

/* mount_later_stop(), then frees; also after mount_later_new() failed or was not called. */
void mount_later_free(struct mount *m);

/* Whether the calling thread carries out requests, and so must not wait for one. */
bool mount_later_must(void);

/* Has a thread that may wait for requests call `fn`. 0; -ENOMEM, or another negative error when the mount is ending: it is not called. */
int mount_later_do(struct mount *m, void (*fn)(struct mount *m, int64_t ino), int64_t ino);

/*
 * Replies: as libfuse's, on whatever thread the call runs. What `bytes` points at has to stay until then, so from the pool it is memory of the request's own.
 * Negative: the request is gone, and the handle that it opened is the caller's.
 */
int mount_reply_open(fuse_req_t req, const struct fuse_file_info *fi);
void mount_reply_attr(fuse_req_t req, const struct stat *st);
void mount_reply_bytes(fuse_req_t req, const char *bytes, size_t len);
void mount_reply_write(fuse_req_t req, size_t count);
void mount_reply_lseek(fuse_req_t req, off_t pos);

#endif
