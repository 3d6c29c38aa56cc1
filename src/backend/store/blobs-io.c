/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is done to the bytes of blob files: punching, sharing, looking for holes and for writers. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/store/blobs-internal.h"
#include "util/cleanup.h"

/* Filesystems share at most this much in one call (ioctl_fideduperange(2)). */
#define DEDUPE_PIECE_BYTES UINT64_C(16777216)

/* blobs_io_lease() that keeps it, until the descriptor is closed. */
static int take_lease(int fd, int kind)
{
	/*
	 * A writer that comes during the lease makes the kernel signal its holder; unless told
	 * otherwise with SIGIO, which ends a process that does not expect it. SIGURG is ignored
	 * by default.
	 */
	if (fcntl(fd, F_SETSIG, SIGURG) < 0 || fcntl(fd, F_SETLEASE, kind) < 0)
		return errno == EAGAIN ? 0 : -EOPNOTSUPP;
	return 1;
}

int blobs_io_lease(int fd, int kind)
{
	int answer = take_lease(fd, kind);

	if (answer == 1)
		fcntl(fd, F_SETLEASE, F_UNLCK);
	return answer;
}

int blobs_quiet(struct blobs *b, int64_t id)
{
	CLEANUP_CLOSE int fd = blobs_open_read(b, id);
	int answer;

	if (fd < 0)
		return fd;
	answer = blobs_io_lease(fd, F_RDLCK);
	return answer < 0 ? 1 : answer;
}

int blobs_alone(struct blobs *b, int64_t id)
{
	int fd, answer;

	blobs_cache_close_idle(b, id);
	fd = blobs_open_write(b, id);
	if (fd < 0)
		return fd;
	answer = blobs_io_lease(fd, F_WRLCK);
	close(fd);
	return answer < 0 ? 0 : answer;
}

int blobs_io_punch(int fd, uint64_t off, uint64_t len)
{
	int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;

	while (len > 0 && fallocate(fd, mode, (off_t)off, (off_t)len) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	return 0;
}

int blobs_punch(struct blobs *b, int64_t id, uint64_t off, uint64_t len)
{
	CLEANUP_CLOSE int fd = blobs_open_write(b, id);
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	return st.st_nlink > 1 ? -EBUSY : blobs_io_punch(fd, off, len);
}

int blobs_hold(struct blobs *b, int64_t id, int *out)
{
	struct stat st;
	int fd;

	blobs_cache_close_idle(b, id);
	fd = blobs_open_write(b, id);
	if (fd < 0)
		return fd;
	if (take_lease(fd, F_WRLCK) == 1 && fstat(fd, &st) == 0 && st.st_nlink == 1) {
		*out = fd;
		return 1;
	}
	close(fd);
	return 0;
}

int blobs_punch_held(int fd, uint64_t off, uint64_t len)
{
	return blobs_io_punch(fd, off, len);
}

static int size_of(int fd, uint64_t *out)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	*out = (uint64_t)st.st_size;
	return 0;
}

int blobs_whole(struct blobs *b, int64_t id, uint64_t off, uint64_t len)
{
	struct blob *blob;
	uint64_t size = 0;
	off_t hole;
	int result = blobs_get(b, id, &blob);

	if (result)
		return result;
	result = size_of(blob->fd, &size);
	if (!result && (off > size || len > size - off)) {
		result = 0;
	} else if (!result && len > 0) {
		hole = lseek(blob->fd, (off_t)off, SEEK_HOLE);
		if (hole < 0)
			result = errno == ENXIO ? 0 : -errno;
		else
			result = (uint64_t)hole - off >= len;
	} else if (!result) {
		result = 1;
	}
	blob_put(blob);
	return result;
}

static int stat_blob(struct blobs *b, int64_t id, struct stat *st)
{
	CLEANUP_FREE char *elsewhere = NULL;
	char name[BLOBS_NAME_LEN];
	int found = blobs_refer_path(b, id, &elsewhere);

	if (found < 0)
		return found;
	blobs_name(id, name);
	return fstatat(b->folder, found ? elsewhere : name, st, 0) < 0 ? -errno : 0;
}

int blobs_linked(struct blobs *b, int64_t id)
{
	struct stat st;
	int err = stat_blob(b, id, &st);

	return err ? err : st.st_nlink > 1;
}

int blobs_stat(struct blobs *b, int64_t id, uint64_t *size_bytes, uint64_t *allocated_bytes)
{
	struct stat st;
	int err = stat_blob(b, id, &st);

	if (err)
		return err;
	if (size_bytes)
		*size_bytes = (uint64_t)st.st_size;
	if (allocated_bytes)
		*allocated_bytes = (uint64_t)st.st_blocks * 512;
	return 0;
}

/* Shares the first `len` bytes or fewer; the number shared, or negative errno. */
static int64_t share_piece(const struct blobs_share *share, uint64_t len)
{
	union {
		struct file_dedupe_range range;
		char room[sizeof(struct file_dedupe_range) + sizeof(struct file_dedupe_range_info)];
	} call = { .room = { 0 } };
	struct file_dedupe_range_info *info = call.range.info;

	call.range.src_offset = share->src_off;
	call.range.src_length = len;
	call.range.dest_count = 1;
	info->dest_fd = share->dst;
	info->dest_offset = share->dst_off;
	if (ioctl(share->src, FIDEDUPERANGE, &call) < 0)
		return errno == ENOTTY ? -EOPNOTSUPP : -errno;
	if (info->status == FILE_DEDUPE_RANGE_DIFFERS)
		return -EILSEQ;
	if (info->status < 0)
		return info->status;
	return info->bytes_deduped > 0 ? (int64_t)info->bytes_deduped : -EINVAL;
}

int blobs_io_share(struct blobs_share *share)
{
	while (share->len > 0) {
		uint64_t len = share->len < DEDUPE_PIECE_BYTES ? share->len : DEDUPE_PIECE_BYTES;
		int64_t done = share_piece(share, len);

		if (done == -EINTR)
			continue;
		if (done < 0)
			return (int)done;
		share->src_off += (uint64_t)done;
		share->dst_off += (uint64_t)done;
		share->len -= (uint64_t)done;
	}
	return 0;
}

/* Cuts `share` down to whole blocks; an end that both files have in common may stay. */
static int align(struct blobs_share *share, uint64_t block)
{
	uint64_t src_size = 0, dst_size = 0, head = -share->src_off % block, tail;
	int err = size_of(share->src, &src_size);

	if (!err)
		err = size_of(share->dst, &dst_size);
	if (err)
		return err;
	if (share->src_off % block != share->dst_off % block)
		return -EINVAL;
	if (share->len <= head) {
		share->len = 0;
		return 0;
	}
	share->src_off += head;
	share->dst_off += head;
	share->len -= head;
	tail = share->len % block;
	if (share->src_off + share->len != src_size || share->dst_off + share->len != dst_size)
		share->len -= tail;
	return 0;
}

int blobs_dedupe(struct blobs *b, int64_t src, uint64_t src_off, int64_t dst, uint64_t dst_off,
		 uint64_t len)
{
	CLEANUP_CLOSE int to = blobs_open_write(b, dst);
	struct blob *from;
	struct blobs_share share;
	int err;

	if (to < 0)
		return to;
	err = blobs_get(b, src, &from);
	if (err)
		return err;
	share = (struct blobs_share){ from->fd, to, src_off, dst_off, len };
	err = align(&share, b->block_bytes);
	if (!err)
		err = blobs_io_share(&share);
	blob_put(from);
	return err;
}
