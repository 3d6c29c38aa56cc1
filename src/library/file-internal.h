/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the file-*.c share: the table of open inodes and the steps that a file's content goes
 * through. Not for other files.
 *
 * The table has FILES_SHARDS shards; a shard's lock guards its hash table and every field of the
 * files in it, and is never held across I/O or SQL. What takes long is done by one thread that set
 * `busy` (or `saving`, `sealing`) under the lock; others wait for the shard's condition.
 *
 * Invariants while the lock is free and the file is not busy:
 *   - phase SEALED: draft is NULL. Other phases but GONE: draft is set, and node.draft is its blob.
 *   - sealing implies pins > 0. writers <= opens.
 *   - `pass` implies opens > 0, and that the content is all in that blob's file: a home in phase SEALED, a plain draft in others.
 *   - changes != saved means that size, times or map here are newer than the node's row.
 *   - a file with opens, pins, readers and changers all 0 may be freed when it has no draft, or is
 *   saved.
 */
#ifndef GARNER_LIBRARY_FILE_INTERNAL_H
#define GARNER_LIBRARY_FILE_INTERNAL_H

#define HASH_NONFATAL_OOM 1
#define uthash_nonfatal_oom(element) ((void)(element))
#include <uthash.h>

#include "content/draft.h"
#include "content/view.h"
#include "library/file.h"
#include "library/internal.h"
#include "util/lock.h"

enum {
	FILES_SHARDS = 64,
	FILES_IDLE_MAX = 8192, /* drafts kept open that nobody uses, in wait for their seal; … */
	FILES_IDLE_SHARE = 4,  /* … at most this part of RLIMIT_NOFILE */
};

enum file_phase { FILE_SEALED, FILE_DRAFT, FILE_SEALING, FILE_COMMIT, FILE_GONE };

struct files_shard {
	struct lock lock;
	struct lock_cond cond; /* a file of this shard changed its phase or let go of something */
	struct file *table;
	unsigned count; /* of `table`; atomic, so that an empty shard is passed without the lock */
};

struct files {
	struct files_shard shards[FILES_SHARDS];
	unsigned idle; /* files kept for their draft alone; atomic */
	unsigned idle_max;
};

/* What tells that somebody wrote a file. */
struct file_stamp {
	int64_t mtime_ns, ctime_ns;
	off_t size;
};

struct file {
	UT_hash_handle hh;
	struct library *lib;
	struct files_shard *shard;
	int64_t ino;
	enum file_phase phase;
	bool busy;    /* one thread loads, builds the view, attaches a draft, commits or purges */
	bool saving;  /* one thread records size, times and map */
	bool sealing; /* the sealer uses the draft, also after it was told to give up */
	bool known;   /* the node's row was read */
	bool changed; /* the times here hold, not those of the row */
	bool orphan;  /* the node has lost its last entry */
	bool stale; /* another process gave the node other content; what is open here stays as it was */
	bool idle;         /* counted in files.idle */
	struct blob *pass; /* whose file the kernel has; claimed. NULL: not passed */
	struct file_stamp pass_seen;
	bool told;         /* size and times of change here are those of `pass_seen` */
	uint64_t recorded; /* the size in the node's row, of a draft */
	mode_t mode;
	bool capable;    /* has file capabilities */
	int64_t durable; /* atomic: the plain draft that a synced row names */
	unsigned opens, writers;
	unsigned pins;     /* internal users */
	unsigned readers;  /* reads of the draft under way */
	unsigned changers; /* changes of the draft under way */
	uint32_t epoch;    /* of the seal: goes up when one is given up */
	uint32_t changes, saved;
	uid_t actor;          /* who opened it last for writing, or the owner */
	int64_t object;       /* 0: none; of phase DRAFT: what was sealed last */
	uint64_t size, alloc; /* of phase SEALED */
	int64_t atime_ns, mtime_ns, ctime_ns;
	struct view *view; /* of phase SEALED, made when first needed */
	struct draft *draft;
};

/* Takes and gives back the lock of the shard that the file is in. */
void file_lock(struct file *f) LOCK_ACQUIRES(&f->shard->lock);
void file_unlock(struct file *f) LOCK_RELEASES(&f->shard->lock);

/* Waits for a change of any file of the shard. */
void file_wait_locked(struct file *f) LOCK_REQUIRES(&f->shard->lock);
/* Wakes those who wait for one. */
void file_wake_locked(struct file *f) LOCK_REQUIRES(&f->shard->lock);
/* Waits while another thread has the file busy or its seal is being committed. */
void file_settled_locked(struct file *f) LOCK_REQUIRES(&f->shard->lock);

/* The same, and until nobody saves it. */
void file_resting_locked(struct file *f) LOCK_REQUIRES(&f->shard->lock);

/* Finds or makes the entry of `ino` with one more pin, its row not necessarily read. -ENOMEM. */
int files_pin(struct library *lib, int64_t ino, struct file **out);
/* The entry of `ino` with one more pin, or NULL when there is none. */
struct file *files_find(struct library *lib, int64_t ino);
/* Drops a pin; frees the file when no one needs it. */
void file_unpin(struct file *f);
/*
 * Ends an unlocked section that began with the lock held: unlocks, and frees the file when no one
 * needs it.
 */
void file_unlock_drop(struct file *f) LOCK_RELEASES(&f->shard->lock);

/* What a file needs of its node's row. */
struct file_row {
	enum node_kind kind;
	mode_t mode;
	uid_t uid;
	uint64_t size, alloc;
	int64_t atime_ns, mtime_ns, ctime_ns;
	int64_t object, draft;
	bool orphan, capable;
};
/* -ENOENT, and the errors of meta_query(). */
int file_row_get(struct library *lib, int64_t ino, struct file_row *out);

/*
 * Reads the node's row if it was not read yet, and opens its draft. The lock is given up meanwhile.
 * 0; -ENOENT (no such node), -EISDIR, -EINVAL (not an asset) and those of draft_open() and
 * meta_query().
 */
int file_load_locked(struct file *f) LOCK_REQUIRES(&f->shard->lock);

/*
 * Forgets what was read of a file in phase SEALED; the caller puts the view that is returned (or
 * NULL) after unlocking.
 */
struct view *file_forget_locked(struct file *f) LOCK_REQUIRES(&f->shard->lock);

/* What a reader reads from: a draft that is held as it is until the put, or a view. */
struct file_source {
	struct draft *draft;
	struct view *view;
};
/* Errors as file_load_locked() and view_of_object(). */
int file_source_get(struct file *f, struct file_source *out);
void file_source_put(struct file *f, struct file_source *src);

/*
 * Brings the file into phase DRAFT for one change: gives up a seal, waits for a commit, attaches a
 * draft to a sealed file. `emptying`: the content may go, so the draft need not lie over it. On 0
 * the draft f->draft may be changed until file_change_end(). -EROFS, -ESTALE (the node is gone),
 * -EBUSY (another process writes it) and those of draft_take() and meta_apply().
 */
int file_change_begin(struct file *f, bool emptying);
/* `changed`: content or size did change, as file_changed_locked() notes. */
void file_change_end(struct file *f, bool changed);

/* Notes a change of size, times or map under the lock; the times become now, unless the kernel tells them. */
void file_changed_locked(struct file *f) LOCK_REQUIRES(&f->shard->lock);

/* Where the kernel writes the file itself: notes changes that it has made since the last look. */
void file_pass_look_locked(struct file *f) LOCK_REQUIRES(&f->shard->lock);
/* What the file shows now was done here, and is known. */
void file_pass_seen_locked(struct file *f) LOCK_REQUIRES(&f->shard->lock);
/*
 * Whether what is not recorded of the file need not be: the draft's own file tells size and times, and since its size is not the recorded one, recovery
 * asks it (recover.c).
 */
bool file_pass_tells_locked(const struct file *f) LOCK_REQUIRES(&f->shard->lock);
/* Sets the time of change of such a file, in the draft's file too; the lock is given up meanwhile. False: nothing was done. */
bool file_pass_set_mtime_locked(struct file *f, int64_t mtime_ns) LOCK_REQUIRES(&f->shard->lock);
/*
 * SEALED -> DRAFT in the very file that holds the content. The lock is given up meanwhile. Errors as file_change_begin(), -ESTALE: the row is not as it was
 * read.
 */
int file_unseal_locked(struct file *f) LOCK_REQUIRES(&f->shard->lock);

/* The watch: another process changed the node, with `content` its bytes. */
void files_changed(struct library *lib, int64_t ino, bool content);

/*
 * Nodes whose last entry is gone and that no one has open: removes them and frees their content, in
 * one operation where possible.
 */
void files_purge(struct library *lib, const int64_t *inos, size_t count);
/*
 * Hands an orphan that no one has open to the sealer's thread, or purges it at once where none
 * runs. No locks.
 */
void files_purge_later(struct library *lib, int64_t ino);

/*
 * The sealer's side (one thread seals at a time). file_seal_begin() gives a draft that is at rest
 * in phase SEALING: 1 with *out filled, to be ended by file_seal_end(). 0: nothing is to be sealed
 * (gone, sealed, an orphan). -EBUSY: open for writing, its last close queues it again. -EAGAIN: a
 * mapping may still write. Else the error of reading the row.
 */
struct file_seal {
	struct file *file;
	struct draft *draft;
	uint64_t size;
	int64_t object; /* what was sealed before, 0: nothing */
	uid_t actor;
	uint32_t epoch;
	bool committing; /* the rest is set by file_seal_commit() */
	bool unsaved;    /* the times below are newer than those of the row */
	uint32_t changes;
	int64_t atime_ns, mtime_ns, ctime_ns;
};
int file_seal_begin(struct library *lib, int64_t ino, struct file_seal *out);
/* Whether a change gave the seal up. */
bool file_seal_lost(const struct file_seal *s);
/*
 * SEALING -> COMMIT: changes wait from now on. False when the seal was given up, also for the kernel's sake, which has the file: unless it `stays` as it is,
 * whole.
 */
bool file_seal_commit(struct file_seal *s, bool stays);
/*
 * Ends the seal: with `done` the file is SEALED and s->draft is the caller's alone, no reader is
 * left in it; else the file is in phase DRAFT again and s->draft NULL. 1: the draft must be queued
 * again; 0: not.
 */
int file_seal_end(struct file_seal *s, bool done);

#endif
