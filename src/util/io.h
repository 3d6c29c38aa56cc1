/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Whole reads and writes: EINTR and short counts are dealt with here. And the one way in which a
 * small file becomes durable.
 */
#ifndef GARNER_UTIL_IO_H
#define GARNER_UTIL_IO_H

#include "util/buf.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Reads LEN bytes at OFFSET. The count, which is below LEN only at the end of the file; or a
 * negative errno, and the bytes are undefined.
 */
ssize_t io_pread_full(int fd, void *data, size_t len, uint64_t offset);

/* As io_pread_full() where that takes no waiting for a disk: LEN, else -EAGAIN, also at the file's end and for any error. */
ssize_t io_pread_now(int fd, void *data, size_t len, uint64_t offset);

/* Reads from the file's position on, else as io_pread_full(). */
ssize_t io_read_full(int fd, void *data, size_t len);

/* Writes LEN bytes at OFFSET. 0, or a negative errno after any part of them. */
int io_pwrite_full(int fd, const void *data, size_t len, uint64_t offset);

/* Writes LEN bytes at the file's position, else as io_pwrite_full(). */
int io_write_full(int fd, const void *data, size_t len);

/*
 * fdatasync(). On 0 the file's bytes and size survive a power cut, its name only after
 * io_sync_dir(). After an error they may be lost for good: calling again proves nothing.
 */
int io_sync_data(int fd);

/* fsync(): io_sync_data() with times and the like. */
int io_sync_file(int fd);

/* fsync() of the folder FD. On 0 the names in it survive a power cut. */
int io_sync_dir(int fd);

/*
 * Appends the whole of a file of at most MAX bytes to OUT. DIR_FD and NAME as for openat(). 0,
 * -EFBIG if the file is longer, -ENOMEM or a negative errno of open or read; OUT is as it was
 * unless 0.
 */
int io_read_file(int dir_fd, const char *name, size_t max, struct buf *out);

/*
 * Makes NAME, in the folder DIR_FD itself, hold exactly LEN bytes with MODE (not subject to umask),
 * whether or not it existed: written to NAME.tmp, synced, renamed over NAME, folder synced. Writers
 * of one NAME must exclude each other. On 0 the file survives a power cut, whole. Else a negative
 * errno: NAME is as it was, or, if only the last sync failed, the new file without that promise.
 */
int io_write_file(int dir_fd, const char *name, const void *data, size_t len, mode_t mode);

#endif
