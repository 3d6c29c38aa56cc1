/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the files of src/library share and no other folder may include: the library itself and the
 * parts that it starts and stops.
 *
 * Phases of a struct library: opening (one thread, library_open()) -> open (any thread; the fields
 * below do not change any more, what they point at guards itself) -> started (library_start(): the
 * background threads run) -> closing (one thread, library_close(): the parts stop in the reverse
 * order of their start).
 */
#ifndef GARNER_LIBRARY_INTERNAL_H
#define GARNER_LIBRARY_INTERNAL_H

#include "backend/store/blobs.h"
#include "backend/store/store-s3.h"
#include "library/library.h"
#include "library/tree.h"
#include "util/pool.h"

struct files;    /* file-table.c: the inodes that are open */
struct sealer;   /* sealer.c: drafts that wait for sealing; the clock */
struct uploader; /* uploader.c: what is sent to the bucket */
struct cache;    /* cache.c: what of the store may stay */
struct control;  /* control.c: the mount's socket */
struct watch;    /* watch.c: the journal of other processes */
struct times;    /* times.c: times that wait to be recorded */
struct puller;   /* puller.c: what is fetched because someone asked for it */
struct backup;   /* backup.c: the backup of the metadata in the bucket */

struct library {
	char *path;           /* as given, for messages */
	int dir_fd;           /* the folder itself */
	int lock_fd;          /* mount.lock, held while open with LIBRARY_MOUNT; else -1 */
	int flags;            /* LIBRARY_RDONLY, LIBRARY_MOUNT */
	int instance_fd;      /* LIBRARY/instances, with this instance's byte locked: instance.h */
	bool registered;      /* the instance has its row */
	bool kernel_stamps;   /* library_kernel_stamps() was called; atomic */
	bool kernel_clock;    /* library_kernel_clock() was called; atomic */
	uint64_t changes;     /* operations of the tree so far; atomic */
	uint8_t id[16];       /* of the library, for life */
	uint8_t instance[16]; /* of this opening */
	struct library_settings settings;
	struct chunker_params chunker;
	enum hash_algo algo;
	struct meta *meta;
	struct blobs *blobs;
	struct pool *pool; /* hashing; NULL when read-only */
	struct content *content;
	struct store *remote; /* the bucket's chunks; NULL: none. Asks nobody until it is used */
	/* Made, started, stopped and freed by the functions below. */
	struct files *files;
	struct times *times;
	struct sealer *sealer;
	struct uploader *uploader; /* set while one thread has the library, as are the others */
	struct cache *cache;
	struct control *control;
	struct watch *watch;
	struct puller *puller; /* NULL: the library is not mounted, or read-only */
	struct backup *backup; /* NULL: none is made by this process */
};

/*
 * The parts. Each new/start sets its pointer in `lib` on 0 and leaves it NULL on failure (negative
 * error); each free/stop takes a library whose part is NULL. library_open() calls times_new(), files_new() and,
 * for LIBRARY_MOUNT, recover_drafts(); library_start() calls uploader_start(), sealer_start(), cache_start(), watch_start(), backup_start(), puller_new(),
 * control_start() in this order; library_close() stops in reverse, then files_free() and times_free(),
 * which record what is unsaved; the backup stops last, so that it has that too.
 */
int files_new(struct library *lib);
void files_free(struct library *lib);

/* Records what is kept before it goes; after files_free(). */
int times_new(struct library *lib);
void times_free(struct library *lib);

/* Its threads. */
int sealer_start(struct library *lib);
void sealer_stop(struct library *lib);

/* Its thread, which uploader_start() starts (uploader.h). After the sealer's, which kicks it, has ended. */
void uploader_stop(struct library *lib);

/* Its thread. */
int watch_start(struct library *lib);
void watch_stop(struct library *lib);

/* Its thread. A backup that cannot be made is logged, and tried again. */
int backup_start(struct library *lib);
/* Sends what is left, for a moment. The metadata is still open. */
void backup_stop(struct library *lib);

/* Its thread comes when it is needed. */
int puller_new(struct library *lib);
void puller_stop(struct library *lib);

/* Its thread, which keeps the store within its limits, where there is a bucket. */
int cache_start(struct library *lib);
void cache_stop(struct library *lib);

/* Its thread, and the socket LIBRARY/control. */
int control_start(struct library *lib);
void control_stop(struct library *lib);

/*
 * Takes up the drafts that a former process left: those that a node has are sealed by the sealer
 * once it runs, the rest go back to the pool. 0 or a negative error. Before any file is opened.
 */
int recover_drafts(struct library *lib);

/*
 * Lets go of the drafts whose file is missing: their nodes have what was sealed last again, in state INCONSISTENT. For a library that nobody mounts. *count: how
 * many. 0 or an error of meta_query() or meta_apply().
 */
int recover_give_up(struct library *lib, uint64_t *count);

/*
 * Tells that the last entry of `ino` is gone (nlink 0, no row in the trash): its content may be
 * freed as soon as no one here has it open. Called after the operation was applied, without locks;
 * any thread.
 */
void files_unlinked(struct library *lib, int64_t ino);
/* After a node without a name was given one. */
void files_linked(struct library *lib, int64_t ino);

/* Whether the inode is open in this process; then its rows must stay. Any thread. */
bool files_is_open(struct library *lib, int64_t ino);

/*
 * tree_set() calls this after it was applied when `set` has times of an asset: what is known here
 * of an open file must not overwrite them later. values as for tree_set(). No locks held; any
 * thread.
 */
void files_times(struct library *lib, int64_t ino, int set, const struct node *values);

/*
 * tree_rename() calls this before its operation when an asset is to replace an entry: makes the
 * bytes of its draft durable, so that after a power cut the name shows all the old or all the new
 * content. Nothing to do (0) for sealed content. 0 or negative errno; blocks for an fdatasync.
 */
int files_settle(struct library *lib, int64_t ino);

/* Whether bytes have that name in LIB, a struct library: a store_verify_fn. Any thread. */
bool library_verify(void *lib, const uint8_t name[STORE_NAME_LEN], const void *bytes, size_t len);

/*
 * Adds the statements that remove node `ino` for good: its row, extended attributes, versions
 * (unless another node has the asset id). `op` fails with -EBUSY when the node has an entry again
 * or a row in the trash. Written by the tree, applied by the files that know when no one has it
 * open.
 */
void tree_add_purge(struct meta_op *op, int64_t ino);

#endif
