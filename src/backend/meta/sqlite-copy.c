/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Copying page by page within one read transaction, so that neither readers nor writers wait. */
#include "config.h"

#include "backend/meta/sqlite-copy.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/err.h"
#include "util/io.h"
#include "util/log.h"

int meta_sqlite_copy_sync_folder(const char *path)
{
	CLEANUP_FREE char *copy = strdup(path);
	CLEANUP_CLOSE int fd = copy ? open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	int err = fd < 0 ? -errno : io_sync_dir(fd);

	if (err)
		log_error("meta: the folder of %s: sync: %s", log_name(path, strlen(path)),
			  err_text(err));
	return err;
}

/* rename() that does not replace, also on disks that do not know how. */
static int copy_rename_new(const char *from, const char *to)
{
	if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -errno;
	if (access(to, F_OK) == 0)
		return -EEXIST;
	return rename(from, to) < 0 ? -errno : 0;
}

/* No one has FRESH open: its descriptor may be closed here without harm to anyone's locks. */
static int copy_sync_file(const char *fresh)
{
	CLEANUP_CLOSE int fd = open(fresh, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fsync(fd) < 0)
		return -errno;
	return 0;
}

int meta_sqlite_copy_settle(const char *fresh, const char *path, bool replace)
{
	int err = copy_sync_file(fresh);

	if (!err && replace && rename(fresh, path) < 0)
		err = -errno;
	if (!err && !replace)
		err = copy_rename_new(fresh, path);
	if (err) {
		log_error("meta: %s: %s", log_name(path, strlen(path)), err_text(err));
		return err;
	}
	return meta_sqlite_copy_sync_folder(path);
}

/* A database to copy into: written without a thought of crashes, since it is synced at the end. */
static int copy_open_target(const char *path, sqlite3 **out)
{
	CLEANUP_FREE char *name = meta_sqlite_conn_file(path);

	if (!name)
		return SQLITE_NOMEM;
	int rc = sqlite3_open_v2(name, out,
				 SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX |
					 SQLITE_OPEN_EXRESCODE,
				 NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_exec(*out, "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF", NULL,
				  NULL, NULL);
	return rc;
}

/* Copies all pages to the new file at PATH. */
static int copy_pages(struct meta_sqlite_conn *c, const char *path)
{
	struct meta_sqlite_conn target = { .path = c->path };
	int rc = copy_open_target(path, &target.db);

	if (rc == SQLITE_OK) {
		sqlite3_backup *b = sqlite3_backup_init(target.db, "main", c->db, "main");

		rc = b ? sqlite3_backup_step(b, -1) : sqlite3_extended_errcode(target.db);
		if (b) {
			int end = sqlite3_backup_finish(b);

			rc = rc == SQLITE_DONE ? end : rc;
		}
	}
	int err = meta_sqlite_fail(&target, rc, "copy");

	sqlite3_close(target.db);
	return err;
}

int meta_sqlite_copy(struct meta_sqlite_conn *c, const char *path, bool replace)
{
	CLEANUP_BUF struct buf fresh = BUF_INIT;
	struct stat st;

	if (!replace && lstat(path, &st) == 0)
		return -EEXIST;
	if (buf_printf(&fresh, "%s.new-%ld", path, (long)getpid()))
		return -ENOMEM;
	if (unlink(buf_str(&fresh)) < 0 && errno != ENOENT)
		return -errno;
	int err = copy_pages(c, buf_str(&fresh));

	if (!err)
		err = meta_sqlite_copy_settle(buf_str(&fresh), path, replace);
	if (err)
		unlink(buf_str(&fresh));
	return err;
}

int meta_sqlite_check(struct meta_sqlite_conn *c, void (*report)(void *arg, const char *line),
		      void *arg)
{
	sqlite3_stmt *s = NULL;
	int faults = 0;
	int rc = sqlite3_prepare_v2(c->db, "PRAGMA integrity_check(100)", -1, &s, NULL);

	while (rc == SQLITE_OK || rc == SQLITE_ROW) {
		rc = sqlite3_step(s);
		if (rc != SQLITE_ROW)
			break;
		const char *line = (const char *)sqlite3_column_text(s, 0);

		if (line && strcmp(line, "ok") != 0) {
			report(arg, line);
			faults++;
		}
	}
	sqlite3_finalize(s);
	int err = meta_sqlite_fail(c, rc, "check");

	return err && !faults ? err : faults;
}
