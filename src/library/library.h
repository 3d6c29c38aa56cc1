/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A library as one process has it open: metadata, content, settings, and (for the process that
 * mounts it) the background work. Several processes may have one library open; only one may mount
 * it (an flock on LIBRARY/mount.lock says which).
 *
 * On disk: LIBRARY/garner.db, blobs/, config (INI, this machine's settings), mount.lock, control
 * (the mount's socket).
 */
#ifndef GARNER_LIBRARY_LIBRARY_H
#define GARNER_LIBRARY_LIBRARY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "backend/s3/client.h"
#include "content/content.h"

struct library;

/* Who does something and for what request; goes into the journal. */
struct actor {
	uid_t uid;
	gid_t gid;
	mode_t umask;
	const char *request; /* NULL: none; borrowed */
};

/* For library_init(). Zero fields mean the defaults, which are given here. */
struct library_params {
	struct chunker_params chunker; /* FastCDC 1, 4, 8 MiB */
	enum hash_algo algo;           /* SHA-256 */
	uid_t uid;                     /* owner of the root folder */
	gid_t gid;
	mode_t mode;                  /* of the root folder: 0755 */
	const struct s3_settings *s3; /* the bucket behind it, for LIBRARY/config; NULL: none */
};

/*
 * Makes a new library in `path` (made too, parents not). An existing empty folder is used; -EEXIST
 * if there is a library, -ENOTEMPTY if there is something else; -EINVAL for parameters that make
 * no sense or, of S3, do not fit on a line of the configuration, and errors of the disk. On failure nothing is left behind that was not there. Durable
 * on 0.
 */
int library_init(const char *path, const struct library_params *params);

/* Changes nothing of the library; works on a read-only disk. */
#define LIBRARY_RDONLY 0x1

/*
 * This process will mount it: takes mount.lock (ERR_LOCKED when another has it), recovers drafts,
 * starts the background work with library_start().
 */
#define LIBRARY_MOUNT 0x2

/*
 * Opens the library at `path`. On 0 *out is the caller's, for library_close(). Starts no thread.
 * Settings of the machine come from LIBRARY/config. An older schema is migrated forward after a
 * backup (not with RDONLY: ERR_SCHEMA). A process that opens it for writing counts as an instance
 * until it closes it or dies. Errors: -ENOENT, -ENOTDIR, -EACCES, -EROFS, ERR_NOTLIB,
 * ERR_CORRUPT, ERR_FUTURE, ERR_SCHEMA, ERR_LOCKED, -EINVAL (config; the log names file and line),
 * -ENOMEM.
 */
int library_open(const char *path, int flags, struct library **out);

/*
 * Starts the threads: hashing; with LIBRARY_MOUNT also sealing, the clock, the watch over the
 * journal, the control socket. Once, after the process went to the background. A negative error
 * leaves some of them running: library_close() stops them.
 */
int library_start(struct library *lib);

/*
 * Stops the background work, saves what is unsaved, closes. Drafts that are not sealed yet are
 * sealed at the next start: nothing waits for sealing. What was applied survives a power cut when
 * it returns. NULL is fine; no other thread may be using it.
 */
void library_close(struct library *lib);

/* The path as given to library_open(); the library's own, as all that is given out below. */
const char *library_path(const struct library *lib);

/* Its metadata and its content, for calls that need them. */
struct meta *library_meta(struct library *lib);
struct content *library_content(struct library *lib);

/*
 * The chunks in its bucket, for store-s3.h; NULL when it has no bucket. Made at opening, asks nobody until it is used. What is got
 * from it was not verified.
 */
struct store *library_remote(struct library *lib);

/*
 * Ends all fetching: who waits for bytes that are not here is told -ECANCELED, now and from now on; nobody is being told any more when it returns. For a mount
 * that is to end at once.
 */
void library_stop_fetching(struct library *lib);

/* The 16 bytes that name this opening of the library. */
const uint8_t *library_instance(const struct library *lib);

/* Whether it was opened with LIBRARY_RDONLY. */
bool library_read_only(const struct library *lib);

/*
 * From now on the kernel stamps the assets whose content it changes and tells their times by
 * file_set_times(), as it does with its write-back cache: changes of content set no times here, and
 * what is stamped here goes by the kernel's clock. Before the first change; by the process that mounts.
 */
void library_kernel_stamps(struct library *lib);

/*
 * From now on what is stamped here goes by the kernel's clock for files, so that the stamps that a disk's filesystem gives to files that are passed through are
 * in order with ours. Before the first change.
 */
void library_kernel_clock(struct library *lib);

/* Whether it was called. */
bool library_has_kernel_stamps(const struct library *lib);

/* The time to stamp a node with: the wall clock, or the kernel's for files (time_file_ns()). */
int64_t library_now_ns(const struct library *lib);

/* Machine settings (LIBRARY/config). */
struct library_settings {
	int64_t retention_ns;    /* how long what is deleted stays in the trash; default 30 days */
	int64_t seal_delay_ns;   /* rest between last close and sealing; default 1 s */
	int64_t sync_every_ns;   /* the log is synced this often; default 5 s */
	int jobs;                /* hashing threads; default: cores */
	uint64_t cache_limit;    /* bytes of the store that are in the bucket too; 0: no limit */
	uint64_t cache_min_free; /* of the disk; UINT64_MAX: by its size */
	uint64_t cache_edge;     /* bytes at each end of an asset that stay; default 64 KiB */
	int64_t read_timeout_ns; /* how long a read waits for the bucket; default 30 s */
	struct s3_settings s3;   /* the bucket behind the library; without a bucket: none */
	uint64_t upload_limit;   /* bytes/s that uploads may take; 0, the default: all */
	bool upload_small;       /* small chunks first; default: the oldest */
	int64_t delete_after_ns; /* how long what nothing needs stays in the bucket; default 7 days */
	bool backup;             /* a mount backs the metadata up into it; default true */
};

/* Whether anything that was written is not sealed yet, by this process or by former ones: 1, 0 or an error of meta_query(). */
int library_has_drafts(struct library *lib);

/* The settings, which do not change while it is open. */
const struct library_settings *library_settings(const struct library *lib);

/*
 * Makes a client of the library's bucket, with these settings but ATTEMPTS tries of a request (0: as usual). 0; -ENOENT: it
 * has none; -ENOMEM, -EIO.
 */
int library_s3_client(const struct library *lib, unsigned attempts, struct s3_client **out);

/*
 * Waits until no process mounts the library at `path` any more (a daemon works on for a moment
 * after its mount is gone), no longer than `timeout_ms`. 0; -ETIMEDOUT; or a negative errno. A
 * library that was never mounted, or is none, is free.
 */
int library_wait_unmounted(const char *path, int timeout_ms);

#endif
