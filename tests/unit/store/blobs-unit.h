/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the tests of blobs share: a folder of blobs, filling and reading it. */
#ifndef TESTS_UNIT_STORE_BLOBS_UNIT_H
#define TESTS_UNIT_STORE_BLOBS_UNIT_H

#include "../unit.h"
#include "backend/store/blobs.h"
#include "util/io.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

struct place {
	char dir[64];
	int dir_fd;
	char path[80]; /* of the blobs */
	struct blobs *blobs;
};

static inline void place_open(struct place *p)
{
	p->dir_fd = unit_make_dir(p->dir);
	snprintf(p->path, sizeof p->path, "%s/blobs", p->dir);
	ck_assert_int_eq(blobs_open(p->path, true, false, &p->blobs), 0);
}

static inline void place_close(struct place *p)
{
	blobs_close(p->blobs);
	unit_remove_dir(p->dir, p->dir_fd);
}

/* Writes into blob `id`, which is there. */
static inline void blob_write(struct blobs *b, int64_t id, const void *data, size_t len,
			      uint64_t off)
{
	int fd = blobs_open_write(b, id);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(io_pwrite_full(fd, data, len, off), 0);
	close(fd);
}

/* Makes blob `id` of `len` bytes that are all `byte`. */
static inline void blob_make(struct blobs *b, int64_t id, int byte, size_t len)
{
	char *data = malloc(len + 1);

	ck_assert_ptr_nonnull(data);
	memset(data, byte, len);
	ck_assert_int_eq(blobs_create(b, id), 0);
	blob_write(b, id, data, len, 0);
	free(data);
}

/* Whether `len` bytes of blob `id` at `off` are all `byte`. */
static inline bool blob_is(struct blobs *b, int64_t id, int byte, size_t len, uint64_t off)
{
	char *data = malloc(len + 1);
	struct blob *blob;
	bool same = true;

	ck_assert_ptr_nonnull(data);
	ck_assert_int_eq(blobs_get(b, id, &blob), 0);
	ck_assert_int_eq(io_pread_full(blob_fd(blob), data, len, off), (ssize_t)len);
	for (size_t i = 0; i < len; i++)
		same = same && data[i] == (char)byte;
	blob_put(blob);
	free(data);
	return same;
}

static inline uint64_t blob_allocated(struct blobs *b, int64_t id)
{
	uint64_t bytes = 0;
	int fd = blobs_open_write(b, id);

	/* Space is allocated late. */
	ck_assert_int_eq(io_sync_data(fd), 0);
	close(fd);
	ck_assert_int_eq(blobs_stat(b, id, NULL, &bytes), 0);
	return bytes;
}

/* Open descriptors of this process, but for the one that looks. */
static inline unsigned open_files(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned count = 0;

	ck_assert_ptr_nonnull(dir);
	while (readdir(dir))
		count++;
	closedir(dir);
	return count - 3;
}

#endif
