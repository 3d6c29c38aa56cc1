/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Making a library. The database comes last and gets its name when it is complete, so that a
 * folder with a garner.db is a library and one without is none, whenever the making is cut short.
 */
#include "config.h"

#include "library/journal.h"
#include "library/settings.h"
#include "util/cleanup.h"
#include "util/err.h"
#include "util/io.h"
#include "util/time.h"
#include "util/uuid.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LIBRARY_DB_NEW "garner.db.new"

enum { LIBRARY_FTW_FDS = 16 };

struct library_making {
	struct library
		lib; /* the journal's view of it: no more than the path and instance are set */
	struct library_params params;
	bool folder_made;
	int dir_fd;
};

/* The folder is empty: 0, or -EEXIST (a library), -ENOTEMPTY, a negative errno. */
static int library_folder_free(int dir_fd)
{
	CLEANUP_DIR DIR *dir = NULL;
	struct dirent *entry;
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), err = 0;

	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		err = -errno;
		if (fd >= 0)
			close(fd);
		return err;
	}
	while (err != -EEXIST && (entry = readdir(dir))) {
		if (!strcmp(entry->d_name, "garner.db"))
			err = -EEXIST;
		else if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			err = -ENOTEMPTY;
	}
	return err;
}

static int library_folder_make(struct library_making *making)
{
	making->folder_made = !mkdir(making->lib.path, 0700);
	if (!making->folder_made && errno != EEXIST)
		return -errno;
	making->dir_fd = open(making->lib.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (making->dir_fd < 0)
		return -errno;
	return making->folder_made ? 0 : library_folder_free(making->dir_fd);
}

static int library_root_add(struct meta_op *op, struct library_making *making, int64_t now)
{
	const struct library_params *params = &making->params;
	struct uuid id;

	uuid_ordered(&id);
	META_ADD(op, NODE_INSERT, META_ONE, 0, META_I(TREE_ROOT), META_B(id.b, sizeof(id.b)),
		 META_I(NODE_FOLDER), META_I(NODE_ACTIVE), META_I(params->mode & 07777),
		 META_I(params->uid), META_I(params->gid), META_I(0), META_I(4096), META_I(4096),
		 META_I(now), META_I(now), META_I(now), META_I(now), META_I(2), META_N(), META_I(1),
		 META_N());
	journal_add(op, &making->lib, NULL, now,
		    &(struct journal_row){ .action = JOURNAL_CREATE, .ino = TREE_ROOT });
	return settings_add(op, params, now);
}

static int library_db_fill(struct library_making *making, struct meta *meta)
{
	struct meta_op *op = meta_op_new();
	int err = op ? library_root_add(op, making, time_now_ns()) : -ENOMEM;

	if (!err)
		err = meta_apply(meta, op);
	if (!err)
		err = meta_sync(meta);
	meta_op_free(op);
	return err;
}

static int library_db_make(struct library_making *making)
{
	CLEANUP_BUF struct buf path = BUF_INIT;
	struct meta *meta = NULL;
	int err = buf_printf(&path, "%s/%s", making->lib.path, LIBRARY_DB_NEW);

	if (!err)
		err = meta_open(path.data, META_OPEN_CREATE, &meta);
	if (!err)
		err = library_db_fill(making, meta);
	meta_close(meta);
	/* A log that could not be moved into the file would be left behind under the old name. */
	if (!err && !faccessat(making->dir_fd, LIBRARY_DB_NEW "-wal", F_OK, 0))
		err = -EIO;
	if (err)
		return err;
	if (fchmodat(making->dir_fd, LIBRARY_DB_NEW, 0600, 0) ||
	    renameat(making->dir_fd, LIBRARY_DB_NEW, making->dir_fd, "garner.db"))
		return -errno;
	return io_sync_dir(making->dir_fd);
}

static int library_blobs_make(struct library_making *making)
{
	CLEANUP_BUF struct buf path = BUF_INIT;
	struct blobs *blobs = NULL;
	int err = buf_printf(&path, "%s/blobs", making->lib.path);

	if (!err)
		err = blobs_open(path.data, true, false, &blobs);
	blobs_close(blobs);
	if (!err && chmod(path.data, 0700))
		err = -errno;
	return err;
}

/* The folder's own name, in the folder above. */
static int library_name_sync(struct library_making *making)
{
	CLEANUP_CLOSE int fd = openat(making->dir_fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (!making->folder_made)
		return 0;
	/*
	 * A folder above that may be entered but not read cannot be synced, and need not fail the
	 * rest.
	 */
	if (fd < 0)
		return errno == EACCES ? 0 : -errno;
	return io_sync_dir(fd);
}

static int library_unmake_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

/* Only names that were made here: the folder was empty. */
static void library_unmake(struct library_making *making)
{
	static const char *const files[] = { "garner.db",
					     "garner.db-wal",
					     "garner.db-shm",
					     LIBRARY_DB_NEW,
					     LIBRARY_DB_NEW "-wal",
					     LIBRARY_DB_NEW "-shm",
					     LIBRARY_DB_NEW "-journal",
					     "config" };
	CLEANUP_BUF struct buf path = BUF_INIT;

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		unlinkat(making->dir_fd, files[i], 0);
	if (!buf_printf(&path, "%s/blobs", making->lib.path))
		nftw(path.data, library_unmake_one, LIBRARY_FTW_FDS,
		     FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
	if (making->folder_made)
		rmdir(making->lib.path);
}

static void library_params_complete(struct library_params *params)
{
	if (!params->chunker.kind)
		params->chunker = CHUNKER_DEFAULT;
	if (!params->algo)
		params->algo = HASH_SHA256;
	if (!params->mode)
		params->mode = 0755;
}

static int library_make(struct library_making *making)
{
	int err = settings_write_config(making->dir_fd, making->params.s3);

	if (!err)
		err = library_blobs_make(making);
	if (!err)
		err = library_db_make(making);
	if (!err)
		err = library_name_sync(making);
	if (err)
		library_unmake(making);
	return err;
}

int library_init(const char *path, const struct library_params *params)
{
	struct library_making making = { .params = *params, .dir_fd = -1 };
	struct uuid instance;
	int err;

	library_params_complete(&making.params);
	if (chunker_check(&making.params.chunker) || !hash_available(making.params.algo))
		return -EINVAL;
	making.lib.path = strdup(path);
	if (!making.lib.path)
		return -ENOMEM;
	uuid_random(&instance);
	memcpy(making.lib.instance, instance.b, sizeof(making.lib.instance));
	err = library_folder_make(&making);
	if (!err)
		err = library_make(&making);
	else if (making.folder_made)
		rmdir(making.lib.path);
	if (making.dir_fd >= 0)
		close(making.dir_fd);
	free(making.lib.path);
	return err;
}
