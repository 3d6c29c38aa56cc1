/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The folder of blob files of one library: blobs/XX/ID, where ID is the blob's id in 16 hex digits
 * and XX the two before its last two. A blob keeps its file for life: what it is (draft, home,
 * bundle, cache) is a row of the metadata, so that sealing renames nothing. Files are made rarely
 * and recycled (creating and unlinking in a churn is slow on ext4).
 *
 * Descriptors for reading are shared and kept in a cache of bounded size; a blob handle stays
 * usable until it is put, also after the file was unlinked. Every call may come from any thread.
 * Not here: which bytes mean what (src/content).
 */
#ifndef BACKEND_STORE_BLOBS_H
#define BACKEND_STORE_BLOBS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/buf.h"

struct blobs;
struct blob; /* a counted handle on one blob file, open for reading only */

/*
 * What the filesystem under the blobs can do, tried once at opening. Only a hint of what is worth
 * trying: after a full disk or read-only opening, where trying was not possible, all are true.
 */
struct blobs_caps {
	bool reflink; /* FICLONERANGE and FIDEDUPERANGE work */
	bool punch;   /* FALLOC_FL_PUNCH_HOLE works */
	bool lease;   /* F_SETLEASE works */
};

/*
 * Opens the folder PATH. CREATE makes it (its parent must exist) and whichever of its 256
 * subfolders are missing; on 0 they survive a power cut. READ_ONLY never writes, not even to try
 * the capabilities, and excludes CREATE. The limit of idle descriptors is a quarter of the process's
 * RLIMIT_NOFILE at this moment, at most 1024. On 0 *OUT is the caller's, for blobs_close().
 * -ENOENT, -ENOTDIR, -EACCES, -EROFS (not READ_ONLY on a read-only disk), -ENOSPC, -ENOMEM, -EMFILE,
 * -EIO.
 */
int blobs_open(const char *path, bool create, bool read_only, struct blobs **out);

/* Closes; NULL allowed. No handle may be out. */
void blobs_close(struct blobs *b);

/* Valid as long as B. */
const struct blobs_caps *blobs_caps(const struct blobs *b);

/* Whether it was opened READ_ONLY. */
bool blobs_read_only(const struct blobs *b);

/* Bytes of the filesystem and those that this process may still write there. 0 or negative errno. */
int blobs_space(struct blobs *b, uint64_t *total_bytes, uint64_t *free_bytes);

/*
 * Tells the path of blob ID that is held elsewhere (indexed in place); later calls for ID open PATH,
 * which is copied, and those that write fail with -EPERM. Telling another path replaces the
 * first; handles that are out stay on what they opened. 0 or -ENOMEM.
 */
int blobs_refer(struct blobs *b, int64_t id, const char *path);

/*
 * Makes the empty file of blob ID. Its name is durable after blobs_sync_names(). 0; -EEXIST if
 * there is one, -EROFS (opened READ_ONLY), -ENOSPC, -EMFILE or another negative errno.
 */
int blobs_create(struct blobs *b, int64_t id);

/*
 * Gives the open file FD, which no blob is yet, the name of blob ID: the same file under one more name. Its name is durable as
 * after blobs_create(). What is done to the blob then is done to the file: see blobs_punch(). 0; -EXDEV (another filesystem),
 * -EEXIST, -EROFS (opened READ_ONLY), -EPERM (a file that takes no link), -EMLINK, -ENOSPC or another negative errno.
 */
int blobs_link(struct blobs *b, int64_t id, int fd);

/*
 * On 0 every name made by a blobs_create() or blobs_link() that returned before this call survives a power cut.
 * Cheap when nothing was created since the last call. 0 or negative errno; after a failure the next
 * call tries again.
 */
int blobs_sync_names(struct blobs *b);

/*
 * A counted handle on blob ID; *OUT is put with blob_put(). -ENOENT when the file is missing or,
 * of a blob held elsewhere, is no regular file any more; -EMFILE when even without idle
 * descriptors none is left; -EACCES, -ENOMEM, -EIO.
 */
int blobs_get(struct blobs *b, int64_t id, struct blob **out);

/* Gives a reference back; NULL allowed. */
void blob_put(struct blob *blob);

/* One more reference on BLOB, which is returned. */
struct blob *blob_ref(struct blob *blob);

/*
 * The shared descriptor, valid until the handle is put: for pread, preadv, splice, mmap and
 * fstat. Its file position belongs to nobody.
 */
int blob_fd(const struct blob *blob);

/*
 * One user at a time may claim the file behind a handle for itself (to hand it to the kernel): false while another has, and where the file is not
 * the blob's own any more (blobs_stand_in(), blobs_unlink()). Any thread; ended by blob_unclaim(), before the put.
 */
bool blob_claim(struct blob *blob);
void blob_unclaim(struct blob *blob);

/*
 * io_pread_full() of the blob's file: the one way to read bytes that are shown to a user, for
 * blobs_stand_in() waits for those reads.
 */
ssize_t blob_read(struct blob *blob, void *buf, size_t len, uint64_t off);
/* io_pread_now() of it. */
ssize_t blob_read_now(struct blob *blob, void *buf, size_t len, uint64_t off);

/*
 * The file of blob ID is about to change, and blob OTHER has the bytes that it has now: handles on
 * ID that are out, and those that an earlier call turned to ID, read the file of OTHER from now on. *OWN, the caller's for blob_put(), is
 * a new handle on ID's own file, which later gets find and which has the claim that was on the one before. On 0 no blob_read()
 * through the others reads ID's own file any more; those under way are waited for. Errors as blobs_get() of both; gets of ID are
 * answered as before then, though some handles may read OTHER.
 */
int blobs_stand_in(struct blobs *b, int64_t id, int64_t other, struct blob **own);

/* The id that it was opened by. */
int64_t blob_id(const struct blob *blob);

/*
 * A new descriptor for reading and writing, the caller's to close. -ENOENT, -EACCES, -EROFS (opened
 * READ_ONLY), -EPERM (held elsewhere), -EMFILE, -ENOMEM, -EIO.
 */
int blobs_open_write(struct blobs *b, int64_t id);

/*
 * 1 if no process holds the blob open for writing or maps it writable, 0 if one may, negative errno
 * if it cannot be opened. The test is F_SETLEASE F_RDLCK (fcntl(2)); where there are no leases, or
 * none for this user, it answers 1. The caller must hold no writable descriptor. Who opens the
 * blob for writing during the test waits for its end, a few microseconds.
 */
int blobs_quiet(struct blobs *b, int64_t id);

/*
 * 1 if nobody has the blob's file open or mapped, not even for reading, 0 if someone may, this process included; negative errno as
 * blobs_open_write(). The test is F_SETLEASE F_WRLCK; where there are no leases it answers 0.
 */
int blobs_alone(struct blobs *b, int64_t id);

/*
 * blobs_alone() that lasts: 1, and until the caller closes *FD, a descriptor for reading and writing, whoever opens the file waits; so
 * close it soon. 0 also while the file has another name; negative errno as blobs_alone(). blobs_punch_held() is blobs_punch() by way of FD.
 */
int blobs_hold(struct blobs *b, int64_t id, int *fd);
int blobs_punch_held(int fd, uint64_t off, uint64_t len);

/*
 * Gives the range back to the disk: it reads as zeros, the file's size stays. Blocks that lie only
 * partly in the range are zeroed in that part and stay allocated. 0; -EOPNOTSUPP where the
 * filesystem cannot; -EBUSY while the file has another name outside of the blobs (blobs_link());
 * -ENOENT, -EROFS, -EPERM (held elsewhere), -EIO.
 */
int blobs_punch(struct blobs *b, int64_t id, uint64_t off, uint64_t len);

/*
 * Makes the whole blocks within LEN bytes of blob DST share storage with those of SRC if they are
 * equal (ioctl_fideduperange(2)); a last block cut short by the end of both files counts as whole.
 * What DST reads as never changes. SRC_OFF and DST_OFF must have the same remainder by the block size.
 * 0, also when there is no whole block; -EILSEQ when the bytes differ (a part may be shared by
 * then); -EINVAL for the offsets; -EOPNOTSUPP or -EXDEV where the filesystem cannot; -ENOENT,
 * -EROFS, -EPERM (DST held elsewhere), -EIO.
 */
int blobs_dedupe(struct blobs *b, int64_t src, uint64_t src_off, int64_t dst, uint64_t dst_off,
		 uint64_t len);

/*
 * 1 if all of the range lies within the file and none of it is a hole, 0 if not, else negative errno
 * as blobs_get(). Space that is allocated but was never written counts as hole.
 */
int blobs_whole(struct blobs *b, int64_t id, uint64_t off, uint64_t len);

/*
 * Apparent size of the blob file and the bytes that it takes on the disk; either pointer may be
 * NULL. 0, -ENOENT or another negative errno.
 */
int blobs_stat(struct blobs *b, int64_t id, uint64_t *size_bytes, uint64_t *allocated_bytes);

/* 1 if the file has another name, outside of the blobs (blobs_link()), 0 if not; -ENOENT or another negative errno. */
int blobs_linked(struct blobs *b, int64_t id);

/*
 * Removes the file; open handles stay readable. Not durable by itself. 0; -ENOENT when it is
 * gone already; -EROFS, -EPERM (held elsewhere), -EIO.
 */
int blobs_unlink(struct blobs *b, int64_t id);

/* Appends the blob's path to OUT, for messages and for opening by name. 0 or -ENOMEM. */
int blobs_path(struct blobs *b, int64_t id, struct buf *out);

/*
 * Calls FN for every blob file found in the folder, in no order, until it returns nonzero, which
 * is then returned; names that are no blob are skipped. Files made or removed meanwhile may or
 * may not be seen. FN may call blobs_*(). 0 or negative errno.
 */
int blobs_scan(struct blobs *b, int (*fn)(void *arg, int64_t id), void *arg);

#endif
