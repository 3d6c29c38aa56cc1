/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the files behind blobs.h share; nobody else includes it. */
#ifndef BACKEND_STORE_BLOBS_INTERNAL_H
#define BACKEND_STORE_BLOBS_INTERNAL_H

/* Out of memory must not end the process: the element is then not in the table. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "backend/store/blobs.h"
#include "util/lock.h"

enum {
	BLOBS_FOLDERS = 256,
	BLOBS_NAME_LEN = 3 + 16 + 1, /* "XX/", 16 digits, NUL */
};

struct blob {
	struct blobs *owner;
	int64_t id;
	int fd; /* the number is for life; blobs_stand_in() may give it another file */
	/* Atomic: reads under way that began in each of the two turns, and the turn. */
	unsigned reading[2], turn;
	/* Guarded by owner->lock. */
	unsigned refs;
	bool listed; /* in owner->open, so that others may find it */
	bool claimed;
	int64_t reads;              /* whose file `fd` is: another's after blobs_stand_in() */
	struct blob *newer, *older; /* among the idle: listed, without references */
	struct blob *before_standing, *after_standing; /* in owner->standing: reads another's */
	UT_hash_handle hh;
};

struct blobs_reference {
	int64_t id;
	UT_hash_handle hh;
	char path[];
};

/*
 * While the lock is free: every blob of `open` is listed; the idle ones are in the list from
 * `idle_newest` to `idle_oldest`; if open_count > limit there is no idle one.
 */
struct blobs {
	/* Set at opening, never changed. */
	char *path;
	int folder;
	bool read_only;
	uint64_t block_bytes;
	struct blobs_caps caps;

	struct lock lock;      /* guards all that follows */
	struct blob *open;     /* table by id */
	struct blob *standing; /* list */
	struct blob *idle_newest, *idle_oldest;
	unsigned open_count, limit;
	uint64_t removals; /* goes up with each name that stops meaning what it meant */
	struct blobs_reference *references; /* table by id */

	struct lock_cond synced;
	bool syncing;                     /* one thread is in blobs_sync_names() */
	bool unsynced[BLOBS_FOLDERS + 1]; /* the last one is the folder itself */
};

/* Prepares and ends the cache; there is no handle out at the end. */
void blobs_cache_init(struct blobs *b);
void blobs_cache_release(struct blobs *b);

/* Closes half of the idle descriptors, at least one. False if there was none. */
bool blobs_cache_shrink(struct blobs *b);

/* Later gets of ID open it anew. */
void blobs_cache_forget(struct blobs *b, int64_t id);

/* A copy of the path of a blob held elsewhere, freed by the caller: 1; 0 if ID is not; -ENOMEM. */
int blobs_refer_path(struct blobs *b, int64_t id, char **out);
void blobs_refer_release(struct blobs *b);

/* The name of blob ID below the folder. */
void blobs_name(int64_t id, char name[BLOBS_NAME_LEN]);

/*
 * openat() below the folder that makes room among the idle descriptors where the process has no
 * more. The descriptor, which is closed at exec, or negative errno.
 */
int blobs_open_at(struct blobs *b, int folder, const char *name, int flags);

/* A new read-only descriptor of blob ID. Errors as blobs_get(). */
int blobs_open_read(struct blobs *b, int64_t id);

/* 0 if blob ID may be changed, else -EROFS, -EPERM or -ENOMEM. */
int blobs_may_write(struct blobs *b, int64_t id);

/* Fills b->caps by trying, with files made in the folder and removed. 0 or negative errno. */
int blobs_probe(struct blobs *b);

/*
 * One F_SETLEASE: of F_RDLCK on a read-only descriptor 1 says that nobody writes, of F_WRLCK that nobody else has the file open; 0 someone
 * may, -EOPNOTSUPP no leases.
 */
int blobs_io_lease(int fd, int kind);

/* Closes the descriptor of ID if it is idle. */
void blobs_cache_close_idle(struct blobs *b, int64_t id);

/* fallocate() with FALLOC_FL_PUNCH_HOLE; nothing for a `len` of 0. 0 or negative errno. */
int blobs_io_punch(int fd, uint64_t off, uint64_t len);

struct blobs_share {
	int src, dst;                   /* descriptors, `dst` for writing */
	uint64_t src_off, dst_off, len; /* of whole blocks */
};

/* FIDEDUPERANGE in pieces; moves through *SHARE. Errors as blobs_dedupe(). */
int blobs_io_share(struct blobs_share *share);

#endif
