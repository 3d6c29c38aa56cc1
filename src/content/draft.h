/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A draft: content that is being written, before it is sealed.
 *
 * A *plain* draft is its blob file alone (new files): every byte at its natural offset, holes are the file's own. An *overlay*
 * draft (edits of sealed content, and copies that copy no bytes) also has a map: runs of bytes in the draft's file, of bytes of
 * sealed objects, and of zeros. Map changes are appended to the draft_extent log by draft_save(); what was written since is lost
 * in a crash of the process, as what was not fsynced is in a power cut: the content is then that of the last save, which is
 * consistent.
 *
 * Life: taken from the pool (draft_take) -> attached to a node by the library's operation -> written -> draft_quiesce (no writable
 * descriptor left) -> sealed: its file becomes a home blob, or its bytes went to a bundle and it goes back
 * to the pool (seal.h). A draft that no node took goes back with draft_recycle.
 *
 * Threads: all calls from any thread. Reads see a write that returned before they began. Changes are serialised inside. I/O happens
 * outside the draft's lock.
 */
#ifndef GARNER_CONTENT_DRAFT_H
#define GARNER_CONTENT_DRAFT_H

#include <sys/stat.h>

#include "content/content.h"
#include "content/view.h"

struct draft;

/* An empty plain draft with its file (recycled where there is one) and its blob row. -ENOSPC, -EMFILE, -ENOMEM, … */
int draft_take(struct content *c, struct draft **out);

/*
 * Opens draft `blob` again (after a restart, or by another process with `read_only`): map from the log, size from `size` for an
 * overlay and from the file for a plain one. ERR_CORRUPT, -ENOENT (file gone) and those of meta_query().
 */
int draft_open(struct content *c, int64_t blob, uint64_t size, bool read_only, struct draft **out);

/* Turns an empty draft into an overlay over object `id` of `size` bytes, with nothing changed yet. The blob row becomes plain = 0: the
 * statement is added to `op`, which also attaches the draft to its node. */
int draft_lay_over(struct draft *d, int64_t object, uint64_t size, struct meta_op *op);

/* Lets go of the memory and descriptors; the blob and its rows stay. NULL allowed. */
void draft_free(struct draft *d);

/* The id of its blob. */
int64_t draft_blob(const struct draft *d);
/* Whether its file alone is the content; it can become an overlay at any time by draft_share(). */
bool draft_is_plain(struct draft *d);
/* Bytes, holes included; of a plain draft as the file says now. */
uint64_t draft_size(struct draft *d);
/* Bytes that are not holes, for st_blocks. */
uint64_t draft_alloc(struct draft *d);

/* read(2), write(2) at an offset. Writing beyond the end leaves a hole. -ENOSPC, -EIO, -EFBIG, … Reading waits for what has to be fetched. */
ssize_t draft_read(struct draft *d, void *buf, size_t len, uint64_t off);
/* draft_read() without waiting for a network: -EREMOTE where bytes of a base have to be fetched. */
ssize_t draft_read_here(struct draft *d, void *buf, size_t len, uint64_t off);
/* Adds to `w` all chunks of bases in [off, off + len) that are not known to be here. 0 or as fetch_wait_add(). */
int draft_want(struct draft *d, uint64_t off, uint64_t len, struct fetch_wait *w);
/* draft_read() of a plain draft whose bytes are in memory; else -EAGAIN, also for any error. */
ssize_t draft_read_now(struct draft *d, void *buf, size_t len, uint64_t off);
ssize_t draft_write(struct draft *d, const void *buf, size_t len, uint64_t off);
int draft_truncate(struct draft *d, uint64_t size);
/* fallocate(2); modes 0, KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE with or without KEEP_SIZE; else -EOPNOTSUPP. */
int draft_allocate(struct draft *d, int mode, uint64_t off, uint64_t len);
/* lseek(2) SEEK_DATA, SEEK_HOLE. */
int64_t draft_seek(struct draft *d, uint64_t off, int whence);

/*
 * Makes [dst, dst+len) of the draft the bytes [src, src+len) of sealed object `object` without copying; a plain draft becomes an
 * overlay, which the next draft_save() records; nothing but this draft may write its file then (no passthrough). The range must lie within the object. -EINVAL
 * when it does not.
 */
int draft_share(struct draft *d, uint64_t dst, int64_t object, uint64_t src, uint64_t len);

/*
 * What draft_share() asks for, where something else than the draft writes its file: the bytes are copied, at best as a clone that shares
 * their storage. The count, short only where the disk is full or the object ends, or where what follows has to be fetched; -EREMOTE where that is so from the first byte; errors as
 * draft_write() and view_of_object().
 */
ssize_t draft_copy(struct draft *d, uint64_t dst, int64_t object, uint64_t src, uint64_t len);

/*
 * The handle on its file, borrowed, which is about to be given to others to read and write by themselves. Since they may map it and close it
 * unseen, the file is then emptied or punched only while nobody has it.
 */
struct blob *draft_pass(struct draft *d);

/* A descriptor of its file for reading; valid as long as the draft. */
int draft_fd(const struct draft *d);

/*
 * Takes the object of a home blob back into writing: the blob's file is to be a draft again, for someone (the kernel) holds on to that very file. Its bytes go to
 * another blob first, by a clone where the filesystem has them, else by a copy. Two steps, around the operation that attaches the draft:
 *
 *   draft_unseal       makes a durable copy, turns all views that are out to it, and adds to `op`: all chunks in `home` have their place in the copy,
 *                      `home` is a draft. All that can fail is done then: on 0 *copy and *out, the draft, are for the second step. -EAGAIN when applying `op`:
 *                      the blob is no home any more, or someone works on it. -ENOSPC, -EIO, … ; views are built again only after the second step.
 *   draft_unsealed     `applied`: makes the metadata durable, since the bytes may change from now on; on failure the draft is frozen. Else the home
 *                      stays what it is. *out is the caller's either way: draft_pass() of it is the home's own file, which has the claim that was on it; the
 *                      handles of before read the copy. Takes *copy. Errors of meta_sync().
 */
int draft_unseal(struct content *c, int64_t home, uint64_t size, struct draft **copy,
		 struct draft **out, struct meta_op *op);
int draft_unsealed(struct draft *d, bool applied, struct draft **copy);

/* Whether its bytes must not change, for a power cut might bring back metadata that names them: changes fail with -EIO until the library is opened anew. */
bool draft_is_frozen(const struct draft *d);

/* Appends to `op` the log rows for what changed in the map since the last save; nothing for a plain draft. If applying `op` then fails,
 * call draft_save_failed() so that the next save includes them again. */
int draft_save(struct draft *d, struct meta_op *op);
void draft_save_failed(struct draft *d);

/* Sets the time of change of its file, and *out to what fstat(2) says then. 0 or negative errno. */
int draft_set_mtime(struct draft *d, int64_t mtime_ns, struct stat *out);

/*
 * fdatasync of the file, and its name made durable; and fsync, with the times. -EIO, and also from then on (the row remembers): the disk failed to keep what was
 * written, until the draft is emptied (draft_truncate() to 0, recorded by the next draft_save()). Such a draft is not sealed. Else an errno.
 */
int draft_sync(struct draft *d);
int draft_sync_all(struct draft *d);

/*
 * The draft `blob`, which no one has open, is in doubt no more: its content is what the disk has. 0, -ESTALE (no draft), -EIO (the disk fails still), … Durable
 * after meta_sync().
 */
int draft_trust(struct content *c, int64_t blob);

/*
 * Closes the writable descriptor, so that many drafts can wait for their seal; false when a change is
 * under way and it stays. Writing again later opens a new descriptor.
 */
bool draft_rest(struct draft *d);

/* Closes the writable descriptor. 1: nobody can write the file any more; 0: another process or mapping still may; <0 errno. Writing again
 * later opens a new descriptor. */
int draft_quiesce(struct draft *d);

/* Content as cutting needs it: calls `fn` for each run in order. kind VIEW_BLOB with blob NULL: bytes to be read from the draft (draft_read);
 * VIEW_ZERO: a hole; object > 0: `len` bytes from `off` of that sealed object, unchanged. Nonzero from `fn` stops. The draft must not
 * change meanwhile or the result is of no use. */
struct draft_run {
	uint64_t start, len;
	enum view_kind kind;
	int64_t object;
	uint64_t off;
};
int draft_runs(struct draft *d, int (*fn)(void *arg, const struct draft_run *run), void *arg);

/* Empties the file and gives the draft back to the pool; its rows say 'unassigned, plain' already (the caller's operation did that with
 * draft_add_release()). Frees `d`. */
void draft_recycle(struct content *c, struct draft **d);

/* Adds to `op`: this draft belongs to no node any more and its extent log is gone. */
void draft_add_release(struct draft *d, struct meta_op *op);

#endif
