/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The folder around it, in which each step may be the last. */
#include "config.h"

#include "library/restore.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "library/instance.h"
#include "library/restore-internal.h"
#include "library/settings.h"
#include "util/cleanup.h"
#include "util/err.h"
#include "util/io.h"

/* In the folder from before its first other file until it is a library. */
#define RESTORE_MARK "recovering"

void restore_progress(struct restore *r, const char *what, uint64_t done, uint64_t of)
{
	if (r->watch->progress)
		r->watch->progress(r->watch->arg, what, done, of);
}

/* Whether the folder is free for it: 0, -EEXIST, -ENOTEMPTY, a negative errno. */
static int restore_folder_free(struct restore *r)
{
	CLEANUP_DIR DIR *dir = NULL;
	struct dirent *entry;
	int fd = openat(r->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), err = 0;

	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		err = -errno;
		if (fd >= 0)
			close(fd);
		return err;
	}
	if (!faccessat(r->dir_fd, "garner.db", F_OK, 0))
		return -EEXIST;
	if (!faccessat(r->dir_fd, RESTORE_MARK, F_OK, 0))
		return 0;
	while (!err && (entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			err = -ENOTEMPTY;
	return err;
}

/* Made in one step: without a mark no other file of ours is here. */
static int restore_mark(struct restore *r)
{
	CLEANUP_CLOSE int fd = openat(r->dir_fd, RESTORE_MARK,
				      O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	return fd < 0 ? -errno : io_sync_dir(r->dir_fd);
}

static int restore_folder(struct restore *r)
{
	int err;

	r->folder_made = !mkdir(r->path, 0700);
	if (!r->folder_made && errno != EEXIST)
		return -errno;
	r->dir_fd = open(r->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (r->dir_fd < 0)
		return -errno;
	err = restore_folder_free(r);
	return err ? err : restore_mark(r);
}

/* What an earlier try has left; the mark says that nothing else is here. */
static void restore_sweep(struct restore *r)
{
	static const char *const files[] = {
		RESTORE_DB, RESTORE_DB "-wal", RESTORE_DB "-shm", RESTORE_DB "-journal",
		"config",   "backup",          "backup.part",     "config.tmp",
		NULL
	};

	for (size_t i = 0; files[i]; i++)
		unlinkat(r->dir_fd, files[i], 0);
}

static int restore_config(struct restore *r, const struct s3_settings *s3)
{
	CLEANUP_BUF struct buf text = BUF_INIT;
	char key[BACKUP_SEGMENT_KEY_MAX];
	int err;

	backup_config_key(r->result.epoch, key);
	err = backup_bucket_get(&r->bucket, key, BACKUP_CONFIG_MAX, &text);
	if (err && err != -ENOENT)
		return err;
	return settings_restore_config(r->dir_fd, err ? NULL : buf_str(&text), s3);
}

static int restore_blobs(struct restore *r)
{
	CLEANUP_BUF struct buf path = BUF_INIT;
	struct blobs *blobs = NULL;
	int err = buf_printf(&path, "%s/blobs", r->path);

	if (!err && mkdirat(r->dir_fd, "blobs", 0700) && errno != EEXIST)
		err = -errno;
	if (!err)
		err = blobs_open(buf_str(&path), true, false, &blobs);
	blobs_close(blobs);
	return err;
}

/* The backup goes on from here: whoever had it is lost. */
static int restore_state(struct restore *r)
{
	struct backup_state *s = calloc(1, sizeof(*s));
	uint8_t place[16] = { 0 };
	int err = s ? backup_state_open(r->dir_fd, r->library, place, s) : -ENOMEM;

	if (!err) {
		s->head.flags |= BACKUP_TAKE_OVER;
		err = backup_state_write(s, true);
		backup_state_close(s);
	}
	free(s);
	return err;
}

static int restore_finish(struct restore *r)
{
	if (renameat(r->dir_fd, RESTORE_DB, r->dir_fd, "garner.db"))
		return -errno;
	int err = io_sync_dir(r->dir_fd);

	/* From here on it is a library, with the mark or without. */
	if (!err && unlinkat(r->dir_fd, RESTORE_MARK, 0) && errno != ENOENT)
		err = -errno;
	return err ? err : io_sync_dir(r->dir_fd);
}

/* The folder's own name, in the folder above, as far as that may be read. */
static int restore_name_sync(struct restore *r)
{
	CLEANUP_CLOSE int fd = openat(r->dir_fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return errno == EACCES ? 0 : -errno;
	return io_sync_dir(fd);
}

struct restore_assets {
	struct restore *r;
	size_t count;
	struct {
		int64_t ino;
		bool missing;
	} list[256];
};

static int restore_asset(void *arg, const struct meta_row *row)
{
	struct restore_assets *a = arg;

	a->list[a->count].ino = meta_row_int(row, 0);
	a->list[a->count++].missing = meta_row_int(row, 1) == NODE_MISSING;
	return 0;
}

/* Names the assets that are not as they were. */
static int restore_tell(struct restore *r)
{
	enum {
		ROOM = sizeof(((struct restore_assets *)0)->list) /
		       sizeof(((struct restore_assets *)0)->list[0])
	};
	struct restore_assets a = { .r = r };
	struct library *lib = NULL;
	int64_t after = 0;
	int err = r->watch->asset && (r->result.missing || r->result.fallen_back)
			  ? library_open(r->path, LIBRARY_RDONLY, &lib)
			  : 0;

	while (lib && !err) {
		a.count = 0;
		err = META_QUERY(lib->meta, RESTORE_TELL, restore_asset, &a, META_I(after),
				 META_I(ROOM));
		for (size_t i = 0; err >= 0 && i < a.count; i++) {
			CLEANUP_BUF struct buf path = BUF_INIT;

			(void)tree_path(lib, a.list[i].ino, &path);
			r->watch->asset(r->watch->arg, buf_str(&path), a.list[i].missing);
			after = a.list[i].ino;
		}
		err = err < 0 ? err : 0;
		if (a.count < ROOM)
			break;
	}
	library_close(lib);
	return err;
}

static int restore_steps(struct restore *r, const struct s3_settings *s3)
{
	int err = restore_folder(r);

	if (!err) {
		restore_sweep(r);
		err = restore_fetch(r);
	}
	if (!err)
		err = restore_mend(r);
	if (!err)
		err = restore_config(r, s3);
	if (!err)
		err = restore_blobs(r);
	if (!err)
		err = restore_state(r);
	if (!err)
		err = restore_finish(r);
	if (!err && r->folder_made)
		err = restore_name_sync(r);
	return err ? err : restore_tell(r);
}

/* Nothing is left of a recovery for which there is no backup, or none that is wanted. */
static void restore_undo(struct restore *r)
{
	restore_sweep(r);
	unlinkat(r->dir_fd, RESTORE_MARK, 0);
	if (r->folder_made)
		rmdir(r->path);
}

int restore_library(const char *path, const struct s3_settings *s3, bool older,
		    const struct restore_watch *watch, struct restore_result *out, struct buf *why)
{
	struct restore r = {
		.path = path, .dir_fd = -1, .older = older, .watch = watch, .why = why
	};
	struct s3_client *client = NULL;
	int err = s3_client_new(s3, s3_credentials_find, &client);

	if (err)
		return err;
	backup_bucket_init(&r.bucket, client);
	err = restore_steps(&r, s3);
	if (err == -ENODATA || err == -ENODEV || err == -ESTALE || err == ERR_CORRUPT)
		restore_undo(&r);
	if (err && !why->len && r.bucket.why.len)
		buf_add_str(why, buf_str(&r.bucket.why));
	backup_bucket_release(&r.bucket);
	if (r.dir_fd >= 0)
		close(r.dir_fd);
	if (!err || err == -ESTALE)
		*out = r.result;
	return err;
}
