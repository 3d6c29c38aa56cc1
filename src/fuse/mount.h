/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A library as a mounted filesystem: FUSE low-level requests turned into calls of src/library. Nothing here knows SQL or chunks.
 *
 * The kernel caches names and attributes for long (every change is known: our own requests, or the journal for other processes) and checks
 * permissions itself (default_permissions). Node numbers are the library's inode numbers; nothing is kept per node in memory, so
 * FORGET needs no work.
 */
#ifndef GARNER_FUSE_MOUNT_H
#define GARNER_FUSE_MOUNT_H

#include <stdbool.h>
#include <sys/types.h>

#include "library/library.h"

enum mount_atime { MOUNT_RELATIME, MOUNT_NOATIME, MOUNT_STRICTATIME };

struct mount_options {
	bool read_only;
	bool allow_other; /* users other than the one who mounts may use it */
	bool acl; /* POSIX ACLs are shown, and count; else they are kept as they are, unseen */
	bool passthrough; /* the kernel reads and writes the disk's files by itself where it can; excludes write-back */
	bool uring;     /* requests come over io_uring where kernel and libfuse offer it */
	bool writeback; /* the kernel gathers writes in its page cache */
	bool dev, suid; /* special files work, set-uid counts (root only) */
	bool exec;
	bool debug; /* libfuse prints every request */
	enum mount_atime atime;
	bool squash_uid, squash_gid,
		squash_umask; /* show (and make) everything as owned so, with these bits off */
	uid_t uid;
	gid_t gid;
	mode_t umask;
	const char *kernel; /* further comma-separated options handed on as they are; may be NULL */
	int threads;        /* that answer requests; 0: the default */
};

struct mount;

/*
 * Mounts `lib` at `mountpoint` and makes all ready for mount_serve(). Starts no thread; the calling one must be the only one: signals that end a mount are
 * blocked from here on, and wait for mount_serve(). `lib` and the strings are borrowed. On 0 *out is the caller's, for mount_free(). A mountpoint left dead by a killed daemon (ENOTCONN) is unmounted first.
 * Errors: -ENODEV (no /dev/fuse), -EPERM, -EACCES, -ENOENT, -ENOTDIR, -EBUSY, -EINVAL, -ENOMEM; libfuse has told stderr why.
 */
int mount_new(struct library *lib, const char *mountpoint, const struct mount_options *opts,
	      struct mount **out);

/*
 * Answers requests until the filesystem is unmounted or SIGTERM, SIGINT or SIGHUP asks to end; then everything written is with the library. The calling
 * thread must be the only one. `ready(arg, 0)` is called once when the kernel has taken the mount up
 * (from a worker thread). Returns 0 or negative errno; -EPROTO when it never was and nobody asked to end (libfuse has told stderr why).
 */
int mount_serve(struct mount *m, void (*ready)(void *arg), void *arg);

/* Unmounts if still mounted, frees. NULL allowed. */
void mount_free(struct mount *m);

/* Unmounts `mountpoint` from outside. Lazily: the name goes at once, files in use stay. -EBUSY, -EINVAL (not mounted), -EPERM. */
int mount_detach(const char *mountpoint, bool lazy);

/* The libfuse that runs ("3.14.0") and the one that garner was compiled for ("3.14"); static. */
const char *mount_libfuse_version(void);
const char *mount_libfuse_built(void);
/* Whether that libfuse can let the kernel pass reads and writes through. */
bool mount_libfuse_passthrough(void);
/* Whether that libfuse takes requests over io_uring, and is sound when other threads reply to them. */
bool mount_libfuse_uring(void);
/* Whether this kernel offers FUSE over io_uring: 1, 0 (it could), -1 (it cannot). */
int mount_kernel_uring(void);

#endif
