/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whole reads, whole writes, durable files. */
#include "config.h"

#include "util/io.h"
#include "util/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { IO_READ_STEP = 16384 };

/* Linux moves at most this much in one call. */
static const size_t io_call_max = 0x7ffff000;

static size_t io_clip(size_t len)
{
	return len < io_call_max ? len : io_call_max;
}

ssize_t io_pread_full(int fd, void *data, size_t len, uint64_t offset)
{
	char *at = data;
	size_t done = 0;

	while (done < len) {
		ssize_t got = pread(fd, at + done, io_clip(len - done), (off_t)(offset + done));

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		done += (size_t)got;
	}
	return (ssize_t)done;
}

ssize_t io_pread_now(int fd, void *data, size_t len, uint64_t offset)
{
	struct iovec all = { .iov_base = data, .iov_len = io_clip(len) };
	ssize_t got;

	do
		got = preadv2(fd, &all, 1, (off_t)offset, RWF_NOWAIT);
	while (got < 0 && errno == EINTR);
	return got == (ssize_t)len ? got : -EAGAIN;
}

ssize_t io_read_full(int fd, void *data, size_t len)
{
	char *at = data;
	size_t done = 0;

	while (done < len) {
		ssize_t got = read(fd, at + done, io_clip(len - done));

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		done += (size_t)got;
	}
	return (ssize_t)done;
}

int io_pwrite_full(int fd, const void *data, size_t len, uint64_t offset)
{
	const char *at = data;
	size_t done = 0;

	while (done < len) {
		ssize_t put = pwrite(fd, at + done, io_clip(len - done), (off_t)(offset + done));

		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return put < 0 ? -errno : -EIO;
		done += (size_t)put;
	}
	return 0;
}

int io_write_full(int fd, const void *data, size_t len)
{
	const char *at = data;
	size_t done = 0;

	while (done < len) {
		ssize_t put = write(fd, at + done, io_clip(len - done));

		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return put < 0 ? -errno : -EIO;
		done += (size_t)put;
	}
	return 0;
}

int io_sync_data(int fd)
{
	int result;

	do
		result = fdatasync(fd);
	while (result && errno == EINTR);
	return result ? -errno : 0;
}

int io_sync_dir(int fd)
{
	return io_sync_file(fd);
}

int io_sync_file(int fd)
{
	int result;

	do
		result = fsync(fd);
	while (result && errno == EINTR);
	return result ? -errno : 0;
}

static int io_read_all(int fd, size_t max, struct buf *out)
{
	size_t start = out->len;

	for (;;) {
		int err = buf_reserve(out, IO_READ_STEP);

		if (err)
			return err;
		ssize_t got = io_read_full(fd, out->data + out->len, IO_READ_STEP);

		if (got < 0)
			return (int)got;
		out->len += (size_t)got;
		out->data[out->len] = '\0';
		if (out->len - start > max)
			return -EFBIG;
		if (got < IO_READ_STEP)
			return 0;
	}
}

int io_read_file(int dir_fd, const char *name, size_t max, struct buf *out)
{
	CLEANUP_CLOSE int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
	size_t start = out->len;

	if (fd < 0)
		return -errno;
	int err = io_read_all(fd, max, out);

	if (err && out->data) {
		out->len = start;
		out->data[start] = '\0';
	}
	return err;
}

static int io_write_temp(int dir_fd, const char *temp, const void *data, size_t len, mode_t mode)
{
	int flags = O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC;
	CLEANUP_CLOSE int fd = openat(dir_fd, temp, flags, 0600);

	if (fd < 0)
		return -errno;
	if (fchmod(fd, mode))
		return -errno;
	int err = io_write_full(fd, data, len);

	return err ? err : io_sync_data(fd);
}

int io_write_file(int dir_fd, const char *name, const void *data, size_t len, mode_t mode)
{
	CLEANUP_BUF struct buf temp = BUF_INIT;
	int err = buf_printf(&temp, "%s.tmp", name);

	if (err)
		return err;
	err = io_write_temp(dir_fd, temp.data, data, len, mode);
	if (!err && renameat(dir_fd, temp.data, dir_fd, name))
		err = -errno;
	if (err) {
		unlinkat(dir_fd, temp.data, 0);
		return err;
	}
	/* DIR_FD may be AT_FDCWD or O_PATH, neither of which can be synced. */
	CLEANUP_CLOSE int dir = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return dir < 0 ? -errno : io_sync_dir(dir);
}
