/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A library as one process has it open: metadata, content, settings, and (for the process that mounts it) the background work.
 * Several processes may have one library open; only one may mount it (an flock on LIBRARY/mount.lock says which).
 *
 * On disk: LIBRARY/garner.db, blobs/, config (INI, this machine's settings), mount.lock, control (the mount's socket).
 */
#ifndef GARNER_LIBRARY_LIBRARY_H
#define GARNER_LIBRARY_LIBRARY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "content/content.h"

struct library;

/* Who does something and for what request; goes into the journal. */
struct actor {
	uid_t uid;
	gid_t gid;
	mode_t umask;
	const char *request; /* NULL: none; borrowed */
};

struct library_params {                /* for library_init(); zero fields mean the defaults */
	struct chunker_params chunker; /* FastCDC 1, 4, 8 MiB */
	enum hash_algo algo;           /* SHA-256 */
	uid_t uid;                     /* owner and mode of the root folder */
	gid_t gid;
	mode_t mode; /* 0755 */
};

/*
 * Makes a new library in `path` (made too, parents not). An existing empty folder is used; -EEXIST if there is a library, -ENOTEMPTY if there is
 * something else. On failure nothing is left behind that was not there. Durable on 0.
 */
int library_init(const char *path, const struct library_params *params);

#define LIBRARY_RDONLY 0x1 /* writes nothing, works on a read-only disk */
#define LIBRARY_MOUNT                                                                              \
	0x2 /* this process will mount it: takes mount.lock (ERR_LOCKED when another has it), recovers drafts, starts the background work with library_start() */

/*
 * Opens the library at `path`. On 0 *out is the caller's, for library_close(). Starts no thread. Settings of the machine come from LIBRARY/config. An older schema is
 * migrated forward after a backup (not with RDONLY: ERR_SCHEMA).
 * Errors: -ENOENT, -ENOTDIR, -EACCES, -EROFS, ERR_NOTLIB, ERR_CORRUPT, ERR_FUTURE, ERR_SCHEMA, ERR_LOCKED, -EINVAL (config; the log names file and line), -ENOMEM.
 */
int library_open(const char *path, int flags, struct library **out);

/* Starts the threads (sealing, log sync by the clock, journal watch). Once, after the process went to the background. */
int library_start(struct library *lib);

/* Stops the background work, saves what is unsaved, closes. Drafts that are not sealed yet are sealed at the next start: nothing waits for sealing. */
void library_close(struct library *lib);

const char *library_path(const struct library *lib);
struct meta *library_meta(struct library *lib);
struct content *library_content(struct library *lib);
const uint8_t *library_instance(const struct library *lib); /* 16 bytes, new for each open */
bool library_read_only(const struct library *lib);

/* Machine settings (LIBRARY/config). */
struct library_settings {
	int64_t retention_ns; /* how long deleted assets stay in the trash; 0: not at all; default 30 days */
	int64_t seal_delay_ns; /* rest between last close and sealing; default 1 s */
	int64_t sync_every_ns; /* the log is synced this often; default 5 s */
	int jobs;              /* hashing threads; default: cores */
};
const struct library_settings *library_settings(const struct library *lib);

/*
 * Waits until no process mounts the library at `path` any more (a daemon works on for a moment after its mount is gone), no longer than
 * `timeout_ms`. 0; -ETIMEDOUT; or a negative errno. A library that was never mounted, or is none, is free.
 */
int library_wait_unmounted(const char *path, int timeout_ms);

#endif
