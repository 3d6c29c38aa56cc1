/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The folder of blob files: its layout, names and their durability, and opening. */
#include "config.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "backend/store/blobs-internal.h"
#include "util/cleanup.h"
#include "util/hex.h"
#include "util/io.h"
#include "util/log.h"

enum { FOLDER_MODE = 0700, FILE_MODE = 0600, ID_DIGITS = 16, FOLDER_NAME_LEN = HEX_TEXT_LEN(1) };

/* Ids given one after the other lie in one subfolder: one sync of it makes their names durable. */
static unsigned folder_of(int64_t id)
{
	return (uint64_t)id >> 8 & 0xff;
}

void blobs_name(int64_t id, char name[BLOBS_NAME_LEN])
{
	snprintf(name, BLOBS_NAME_LEN, "%02x/%016" PRIx64, folder_of(id), (uint64_t)id);
}

static void folder_name(unsigned index, char name[FOLDER_NAME_LEN])
{
	uint8_t byte = (uint8_t)index;

	hex_encode(&byte, 1, name);
}

int blobs_open_at(struct blobs *b, int folder, const char *name, int flags)
{
	for (;;) {
		int fd = openat(folder, name, flags | O_CLOEXEC | O_NOCTTY, FILE_MODE);

		if (fd >= 0)
			return fd;
		if (errno == EINTR)
			continue;
		if (errno != EMFILE && errno != ENFILE)
			return -errno;
		if (!blobs_cache_shrink(b))
			return -EMFILE;
	}
}

/* What was indexed in place may have become anything since: never wait for a pipe's other end. */
static int open_elsewhere(struct blobs *b, const char *path)
{
	int fd = blobs_open_at(b, AT_FDCWD, path, O_RDONLY | O_NONBLOCK);
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return -ENOENT;
	}
	return fd;
}

int blobs_open_read(struct blobs *b, int64_t id)
{
	CLEANUP_FREE char *elsewhere = NULL;
	char name[BLOBS_NAME_LEN];
	int found = blobs_refer_path(b, id, &elsewhere);

	if (found < 0)
		return found;
	if (found)
		return open_elsewhere(b, elsewhere);
	blobs_name(id, name);
	return blobs_open_at(b, b->folder, name, O_RDONLY);
}

int blobs_may_write(struct blobs *b, int64_t id)
{
	CLEANUP_FREE char *elsewhere = NULL;
	int found;

	if (b->read_only)
		return -EROFS;
	found = blobs_refer_path(b, id, &elsewhere);
	return found > 0 ? -EPERM : found;
}

int blobs_open_write(struct blobs *b, int64_t id)
{
	char name[BLOBS_NAME_LEN];
	int err = blobs_may_write(b, id);

	if (err)
		return err;
	blobs_name(id, name);
	return blobs_open_at(b, b->folder, name, O_RDWR);
}

static void mark_unsynced(struct blobs *b, unsigned index)
{
	lock_lock(&b->lock);
	b->unsynced[index] = true;
	lock_unlock(&b->lock);
}

/* A copy of the library by a tool that leaves out empty folders is still a library. */
static int make_folder(struct blobs *b, unsigned index)
{
	char name[FOLDER_NAME_LEN];

	folder_name(index, name);
	if (mkdirat(b->folder, name, FOLDER_MODE) < 0)
		return errno == EEXIST ? 0 : -errno;
	mark_unsynced(b, BLOBS_FOLDERS);
	return 0;
}

int blobs_create(struct blobs *b, int64_t id)
{
	char name[BLOBS_NAME_LEN];
	unsigned index = folder_of(id);
	int fd, err = blobs_may_write(b, id);

	if (err)
		return err == -EPERM ? -EEXIST : err;
	blobs_name(id, name);
	fd = blobs_open_at(b, b->folder, name, O_WRONLY | O_CREAT | O_EXCL);
	if (fd == -ENOENT) {
		err = make_folder(b, index);
		if (err)
			return err;
		fd = blobs_open_at(b, b->folder, name, O_WRONLY | O_CREAT | O_EXCL);
	}
	if (fd < 0)
		return fd;
	close(fd);
	mark_unsynced(b, index);
	return 0;
}

static int link_name(struct blobs *b, int fd, const char *name)
{
	char source[64];

	snprintf(source, sizeof source, "/proc/self/fd/%d", fd);
	return linkat(AT_FDCWD, source, b->folder, name, AT_SYMLINK_FOLLOW) < 0 ? -errno : 0;
}

int blobs_link(struct blobs *b, int64_t id, int fd)
{
	char name[BLOBS_NAME_LEN];
	unsigned index = folder_of(id);
	int err = blobs_may_write(b, id);

	if (err)
		return err == -EPERM ? -EEXIST : err;
	blobs_name(id, name);
	err = link_name(b, fd, name);
	if (err == -ENOENT) {
		err = make_folder(b, index);
		if (!err)
			err = link_name(b, fd, name);
	}
	if (!err)
		mark_unsynced(b, index);
	return err;
}

static int sync_folder(struct blobs *b, unsigned index)
{
	char name[FOLDER_NAME_LEN];
	CLEANUP_CLOSE int fd = -1;

	if (index == BLOBS_FOLDERS)
		return io_sync_dir(b->folder);
	folder_name(index, name);
	fd = blobs_open_at(b, b->folder, name, O_RDONLY | O_DIRECTORY);
	return fd < 0 ? fd : io_sync_dir(fd);
}

/* Syncs what is set in `work` and clears that; the first failure ends it. */
static int sync_folders(struct blobs *b, bool work[BLOBS_FOLDERS + 1])
{
	for (unsigned i = 0; i <= BLOBS_FOLDERS; i++) {
		int err = work[i] ? sync_folder(b, i) : 0;

		if (err) {
			log_error("sync of the names in %s: %s", b->path, strerror(-err));
			return err;
		}
		work[i] = false;
	}
	return 0;
}

int blobs_sync_names(struct blobs *b)
{
	bool work[BLOBS_FOLDERS + 1];
	int err = 0;

	lock_lock(&b->lock);
	/* A name that another thread is syncing right now is not durable yet. */
	while (b->syncing)
		lock_cond_wait(&b->synced, &b->lock);
	if (!memchr(b->unsynced, 1, sizeof b->unsynced)) {
		lock_unlock(&b->lock);
		return 0;
	}
	b->syncing = true;
	memcpy(work, b->unsynced, sizeof work);
	memset(b->unsynced, 0, sizeof b->unsynced);
	lock_unlock(&b->lock);

	err = sync_folders(b, work);

	lock_lock(&b->lock);
	for (unsigned i = 0; i <= BLOBS_FOLDERS; i++)
		b->unsynced[i] |= work[i];
	b->syncing = false;
	lock_cond_broadcast(&b->synced);
	lock_unlock(&b->lock);
	return err;
}

int blobs_unlink(struct blobs *b, int64_t id)
{
	char name[BLOBS_NAME_LEN];
	int err = blobs_may_write(b, id);

	if (err)
		return err;
	blobs_name(id, name);
	if (unlinkat(b->folder, name, 0) < 0)
		return -errno;
	blobs_cache_forget(b, id);
	return 0;
}

int blobs_path(struct blobs *b, int64_t id, struct buf *out)
{
	CLEANUP_FREE char *elsewhere = NULL;
	char name[BLOBS_NAME_LEN];
	int found = blobs_refer_path(b, id, &elsewhere);

	if (found < 0)
		return found;
	if (found)
		return buf_add_str(out, elsewhere);
	blobs_name(id, name);
	return buf_printf(out, "%s/%s", b->path, name);
}

/* The id that a file's name in subfolder `index` stands for; false if it is no blob's. */
static bool id_of_name(const char *name, unsigned index, int64_t *out)
{
	uint8_t bytes[ID_DIGITS / 2];
	uint64_t id = 0;
	char back[BLOBS_NAME_LEN];

	if (strlen(name) != ID_DIGITS || hex_decode(name, ID_DIGITS, bytes) != 0)
		return false;
	for (size_t i = 0; i < sizeof bytes; i++)
		id = id << 8 | bytes[i];
	blobs_name((int64_t)id, back);
	if (folder_of((int64_t)id) != index || strcmp(back + FOLDER_NAME_LEN, name) != 0)
		return false;
	*out = (int64_t)id;
	return true;
}

static int scan_folder(struct blobs *b, unsigned index, int (*fn)(void *arg, int64_t id), void *arg)
{
	char name[FOLDER_NAME_LEN];
	CLEANUP_DIR DIR *dir = NULL;
	const struct dirent *entry;
	int64_t id;
	int fd, result = 0;

	folder_name(index, name);
	fd = blobs_open_at(b, b->folder, name, O_RDONLY | O_DIRECTORY);
	if (fd < 0)
		return fd == -ENOENT || fd == -ENOTDIR ? 0 : fd;
	dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return -ENOMEM;
	}
	while (!result) {
		errno = 0;
		entry = readdir(dir);
		if (!entry)
			return -errno;
		if (id_of_name(entry->d_name, index, &id))
			result = fn(arg, id);
	}
	return result;
}

int blobs_scan(struct blobs *b, int (*fn)(void *arg, int64_t id), void *arg)
{
	for (unsigned i = 0; i < BLOBS_FOLDERS; i++) {
		int result = scan_folder(b, i, fn, arg);

		if (result)
			return result;
	}
	return 0;
}

int blobs_space(struct blobs *b, uint64_t *total_bytes, uint64_t *free_bytes)
{
	struct statvfs st;

	if (fstatvfs(b->folder, &st) < 0)
		return -errno;
	*total_bytes = (uint64_t)st.f_blocks * st.f_frsize;
	*free_bytes = (uint64_t)st.f_bavail * st.f_frsize;
	return 0;
}

bool blobs_read_only(const struct blobs *b)
{
	return b->read_only;
}

const struct blobs_caps *blobs_caps(const struct blobs *b)
{
	return &b->caps;
}

static int open_folder(struct blobs *b, bool create)
{
	struct statvfs st;

	if (create && mkdir(b->path, FOLDER_MODE) < 0 && errno != EEXIST)
		return -errno;
	b->folder = open(b->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (b->folder < 0 || fstatvfs(b->folder, &st) < 0)
		return -errno;
	b->block_bytes = st.f_bsize ? st.f_bsize : 4096;
	return 0;
}

static int make_folders(struct blobs *b)
{
	CLEANUP_CLOSE int parent = -1;
	int err = 0;

	for (unsigned i = 0; i < BLOBS_FOLDERS && !err; i++)
		err = make_folder(b, i);
	if (err)
		return err;
	err = blobs_sync_names(b);
	if (err)
		return err;
	parent = openat(b->folder, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return parent < 0 ? -errno : io_sync_dir(parent);
}

static int open_blobs(struct blobs *b, const char *path, bool create)
{
	int err;

	b->path = strdup(path);
	if (!b->path)
		return -ENOMEM;
	err = open_folder(b, create);
	if (!err && create)
		err = make_folders(b);
	if (!err && !b->read_only)
		err = blobs_probe(b);
	return err;
}

int blobs_open(const char *path, bool create, bool read_only, struct blobs **out)
{
	struct blobs *b;
	int err;

	assert(!create || !read_only);
	b = calloc(1, sizeof *b);
	if (!b)
		return -ENOMEM;
	b->folder = -1;
	b->read_only = read_only;
	b->caps = (struct blobs_caps){ .reflink = true, .punch = true, .lease = true };
	lock_init(&b->lock, LOCK_RANK_STORE);
	lock_cond_init(&b->synced);
	blobs_cache_init(b);
	err = open_blobs(b, path, create);
	if (err) {
		blobs_close(b);
		return err;
	}
	*out = b;
	return 0;
}

void blobs_close(struct blobs *b)
{
	if (!b)
		return;
	blobs_cache_release(b);
	blobs_refer_release(b);
	lock_cond_release(&b->synced);
	lock_release(&b->lock);
	if (b->folder >= 0)
		close(b->folder);
	free(b->path);
	free(b);
}
