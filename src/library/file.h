/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Assets that are open in this process: reading, writing, and how content passes from object to
 * draft and back.
 *
 * One struct file for each inode that is open, shared by all its handles and counted. Phases of its
 * content:
 *
 *   SEALED   object or empty; reads go through a view. A first change -> DRAFT: an overlay over the
 *            object, or plain when there is nothing to keep.
 *   DRAFT    being written; reads and writes go to the draft. The last writer's close tells the
 *            sealer.
 *   SEALING  the sealer reads the draft; reads go on. A change gives the seal up -> DRAFT; done ->
 *            COMMIT.
 *   COMMIT   the seal's rows are being written (short); changes wait. -> SEALED
 *
 * Size, mtime and ctime of an open file are here first and reach the metadata on flush, fsync, last
 * close and by the clock. A change of content makes the times now, unless the kernel tells them
 * (library_kernel_stamps()). Content that no entry names and no one has open is freed (see tree.h).
 */
#ifndef GARNER_LIBRARY_FILE_H
#define GARNER_LIBRARY_FILE_H

#include "library/tree.h"

struct file;

/*
 * Opens the asset `ino` (flags: the O_ACCMODE bits, O_TRUNC). On 0 *out is the caller's, for
 * file_close() with the same access mode. -ENOENT, -EISDIR (a folder), -EINVAL (not an asset),
 * -EROFS.
 */
int file_open(struct library *lib, const struct actor *who, int64_t ino, int flags,
	      struct file **out);

/*
 * tree_make() of an asset and file_open() in one transaction; without a name (NULL) it is
 * tree_make_unnamed(), and the asset goes with its last close unless it was linked. *node is the
 * new asset. Errors of both and of draft_take().
 */
int file_create(struct library *lib, const struct actor *who, const struct tree_new *what,
		int flags, struct node *node, struct file **out);

/*
 * Counts down; the last writer's close queues the draft for sealing. Never fails: what could fail
 * is done by file_closing().
 */
void file_close(struct file *f, int flags);

/* The inode number. */
int64_t file_ino(const struct file *f);

/*
 * The calls below are those of an open file; any thread, any number at once. Beside what each says
 * they give the errors of reading the node's row and of view_of_object(); a change also -EROFS,
 * -ENOSPC, -ESTALE (the node is gone) and -EBUSY (another process writes the asset).
 */

/* pread(2): the count, short only at the end of the content, or -EIO. Sees every write before. Waits for what has to be fetched. */
ssize_t file_read(struct file *f, void *buf, size_t len, uint64_t off);
/* The same where no network has to be waited for; else -EREMOTE: see file_wait_new(). */
ssize_t file_read_here(struct file *f, void *buf, size_t len, uint64_t off);
/* The same where no disk has to be waited for, as far as can be known before; else -EAGAIN, also for any error. */
ssize_t file_read_now(struct file *f, void *buf, size_t len, uint64_t off);

/*
 * Waiting for bytes that have to be fetched, without a thread that waits. file_wait_new() begins to fetch what of [off, off + len) is not here; on 0 *out is the
 * caller's, for file_wait_free(). file_wait_go(): 1, all is here; 0, done(arg, err) will be called, once, by a thread that must not wait long, with 0 when
 * all is here, or -ETIMEDOUT, -EIO (logged), -ECANCELED, or what was given to file_wait_cancel(); negative: the same, and it will not be called. Bytes that
 * were waited for can be read until the wait is freed, which done() may do. The deadline by time_mono_ns(), 0: the library's own, which is then in *deadline_ns.
 * Errors of file_wait_new(): -EIO where there is no bucket, and those of reading.
 */
struct fetch_wait;
int file_wait_new(struct file *f, uint64_t off, uint64_t len, int64_t *deadline_ns,
		  struct fetch_wait **out);
/* It ends at its deadline only to be made anew: nobody has waited in vain then. */
void file_wait_brief(struct fetch_wait *w);
int file_wait_go(struct fetch_wait *w, void (*done)(void *arg, int err), void *arg);
void file_wait_cancel(struct fetch_wait *w, int err);
void file_wait_free(struct fetch_wait *w);

/* pwrite(2): the count, short when the disk is full after some bytes. -EFBIG. */
ssize_t file_write(struct file *f, const void *buf, size_t len, uint64_t off);

/* ftruncate(2). -EFBIG. */
int file_truncate(struct file *f, uint64_t size);

/*
 * fallocate(2): modes 0, KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE with or without KEEP_SIZE; -EOPNOTSUPP
 * for others, -EINVAL for no length, -EFBIG.
 */
int file_allocate(struct file *f, int mode, uint64_t off, uint64_t len);

/* lseek(2) with SEEK_DATA or SEEK_HOLE: the offset; -ENXIO, -EINVAL for another `whence`. */
int64_t file_seek(struct file *f, uint64_t off, int whence);

/*
 * copy_file_range(2): sealed bytes of `in` are shared, not copied; bytes of a draft are copied.
 * Returns the count, short allowed; 0 at the end of `in`; -EINVAL for ranges of one file that
 * overlap; -EREMOTE where the bytes at in_off have to be fetched first.
 */
ssize_t file_copy(struct file *in, uint64_t in_off, struct file *out, uint64_t out_off,
		  uint64_t len);
/*
 * Records size, times and map in the metadata. Nothing to do where nothing
 * changed. 0 or as meta_apply(), -ESTALE when the node is gone.
 */
int file_flush(struct file *f);
/*
 * What close(2) promises: size, times and map survive a kill of this process. file_flush(), but for a file whose draft's own file tells as much until it is
 * sealed: what was made and written while it was passed.
 */
int file_closing(struct file *f);
/*
 * Content and metadata (and names) durable: what fsync(2) promises. `data_only` leaves out times where that spares a sync of the metadata, as fdatasync(2)
 * may: content and size are durable either way. Blocks for the disk.
 */
int file_sync(struct file *f, bool data_only);
/*
 * Sets times of an asset, open or not: by utimensat(2), or by the kernel's write-back; *out is the node as it is then. set:
 * TREE_SET_ATIME, _MTIME, _CTIME; without the last ctime becomes now. With changes of the file
 * that are not recorded yet they are recorded together, by the next file_closing() at the latest;
 * else at once as tree_set() does. Errors of tree_set().
 */
int file_set_times(struct library *lib, const struct actor *who, int64_t ino, int set,
		   const struct node *values, struct node *out);

/*
 * As root tar(1) gives each new file the owner that it has. True: `set` (TREE_SET_MODE, _UID, _GID) would change nothing of asset `ino` but the status change
 * time, and that is done, without a transaction: see file_closing(). False: tree_set() is to do it.
 */
bool file_set_same(struct library *lib, int64_t ino, int set, const struct node *values);

/*
 * Passing: the kernel reads and writes the content's own file and asks nobody here. From the begin to the end the content stays in that one file, so that
 * every handle on the inode may be passed; a change that would put it elsewhere moves what must be kept instead. One begin at a time for an inode, ended before
 * the last handle is closed.
 *
 *   file_pass_begin  1: *fd is the file's descriptor, ours, for reading, valid until the end. 0: not possible: the content lies in several blobs or in a bundle, is
 *                    not all here, is an overlay, belongs to another process, is passed for an asset with the same bytes, or has set-id bits that writing must
 *                    clear. `writes`: a handle that may write is to be passed.
 *   file_pass_write  must have returned 0 before a handle that may write is passed beside others. Errors as file_write().
 */
int file_pass_begin(struct file *f, bool writes, int *fd);
int file_pass_write(struct file *f);
void file_pass_end(struct file *f);

/*
 * Sealed content of at most `room` bytes, all of it, for a cache that must not get it after a change: true, *len bytes are in `buf`, and what would change the
 * content waits for file_hold_end(), which is to follow in a moment. False: it is not sealed, is larger or empty, or cannot be read.
 */
bool file_hold(struct file *f, void *buf, size_t room, size_t *len);
void file_hold_end(struct file *f);

/*
 * Whether the asset has what a change by a stranger takes away: set-id bits or file capabilities (capabilities(7)). Such an asset is not passed for
 * writing. files_privileged(): one that may be open has been given capabilities.
 */
bool file_is_privileged(struct file *f);
void files_privileged(struct library *lib, int64_t ino);
/* True of an open asset that is known to have no file capabilities. */
bool files_incapable(struct library *lib, int64_t ino);

/* True where the content is an object's: a copy of it need not copy bytes. */
bool file_is_sealed(struct file *f);

/* True while a handle that may write is open. */
bool file_has_writer(struct file *f);

/*
 * The inodes that are open for writing now: *out is an array of *count numbers, freed by the caller
 * with free(). 0 or -ENOMEM.
 */
int files_writers(struct library *lib, int64_t **out, size_t *count);

/*
 * Open files; those of them that are open for writing; and those that are not, but are not sealed either, for a reader has their file from the kernel, and
 * a seal would take it away. Any thread.
 */
struct files_counts {
	size_t open, writing, held;
};
void files_counts(struct library *lib, struct files_counts *out);

/*
 * file_flush() of each file that has something unsaved, or file_closing() of those that are closed but for `all`; the first error, after all were tried.
 */
int files_flush(struct library *lib, bool all);

/* Overwrites size, alloc, times of `n` with what is known here and not in its row yet. */
void file_overlay(struct library *lib, struct node *n);

#endif
