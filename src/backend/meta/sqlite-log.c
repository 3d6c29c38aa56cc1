/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A VFS whose files are those of SQLite's own VFS, but for the log. Why gathering is safe:
 *
 * - A frame of the log is a header of 24 bytes and a page (sqlite.org/fileformat2, section 4.1). The header of the last
 *   frame of a transaction says so (bytes 4 to 7 are not zero), and SQLite shows the transaction to others, in
 *   the log's index, only after the page of that frame was written. Writing that page is what writes all that was
 *   gathered, and its error is SQLite's: so no one is told of a frame that is not in the file.
 * - Only what is appended frame by frame is gathered. A header anywhere else (SQLite corrects checksums in place) is
 *   written at once, and any other use of the file first writes what was gathered.
 * - What a crash of the process leaves unwritten is part of a transaction that did not end.
 */
#include "config.h"

#include "backend/meta/sqlite-log.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
	LOG_HEADER = 32,       /* of the file */
	LOG_FRAME_HEADER = 24, /* of a frame */
	LOG_ROOM = 0x1ffff,    /* gathered at most: SQLite writes no more at once */
	LOG_ALIGN = 16,        /* of SQLite's own file behind ours */
};

struct log_file {
	sqlite3_file base;
	sqlite3_file *real; /* behind this struct */
	unsigned char *gathered;
	int len; /* of what was gathered; it belongs at `start` */
	sqlite3_int64 start;
	sqlite3_int64 tail; /* where the next frame's header belongs if it is appended */
	sqlite3_int64 page; /* where the page belongs whose header came last; -1: none is due */
	bool last;          /* that page ends a transaction */
};

static sqlite3_vfs log_vfs, *log_own;
static bool log_known;

static int log_put_gathered(struct log_file *f)
{
	int len = f->len;

	f->len = 0;
	return len ? f->real->pMethods->xWrite(f->real, f->gathered, len, f->start) : SQLITE_OK;
}

/* Appends to what was gathered, which ends at AT. */
static int log_gather(struct log_file *f, const void *bytes, int len, sqlite3_int64 at)
{
	if (!f->gathered)
		f->gathered = malloc(LOG_ROOM);
	if (!f->gathered || len > LOG_ROOM - f->len) {
		int rc = log_put_gathered(f);

		if (rc != SQLITE_OK || !f->gathered || len > LOG_ROOM)
			return rc != SQLITE_OK ? rc
					       : f->real->pMethods->xWrite(f->real, bytes, len, at);
	}
	if (!f->len)
		f->start = at;
	memcpy(f->gathered + f->len, bytes, (size_t)len);
	f->len += len;
	return SQLITE_OK;
}

static int log_write_through(struct log_file *f, const void *bytes, int len, sqlite3_int64 at)
{
	int rc = log_put_gathered(f);

	return rc != SQLITE_OK ? rc : f->real->pMethods->xWrite(f->real, bytes, len, at);
}

static int log_write(sqlite3_file *file, const void *bytes, int len, sqlite3_int64 at)
{
	struct log_file *f = (struct log_file *)file;
	const unsigned char *b = bytes;
	bool page = at == f->page, header = len == LOG_FRAME_HEADER && at == f->tail;

	f->page = -1;
	if (page) {
		f->tail = at + len;
		int rc = log_gather(f, bytes, len, at);

		return rc == SQLITE_OK && f->last ? log_put_gathered(f) : rc;
	}
	if (len == LOG_FRAME_HEADER) {
		f->page = at + len;
		f->last = b[4] || b[5] || b[6] || b[7];
	}
	if (header)
		return log_gather(f, bytes, len, at);
	if (at == 0 && len == LOG_HEADER)
		f->tail = LOG_HEADER;
	return log_write_through(f, bytes, len, at);
}

static int log_read(sqlite3_file *file, void *bytes, int len, sqlite3_int64 at)
{
	struct log_file *f = (struct log_file *)file;
	int rc = log_put_gathered(f);

	return rc != SQLITE_OK ? rc : f->real->pMethods->xRead(f->real, bytes, len, at);
}

static int log_truncate(sqlite3_file *file, sqlite3_int64 size)
{
	struct log_file *f = (struct log_file *)file;
	int rc = log_put_gathered(f);

	return rc != SQLITE_OK ? rc : f->real->pMethods->xTruncate(f->real, size);
}

static int log_sync(sqlite3_file *file, int flags)
{
	struct log_file *f = (struct log_file *)file;
	int rc = log_put_gathered(f);

	return rc != SQLITE_OK ? rc : f->real->pMethods->xSync(f->real, flags);
}

static int log_size(sqlite3_file *file, sqlite3_int64 *size)
{
	struct log_file *f = (struct log_file *)file;
	int rc = log_put_gathered(f);

	return rc != SQLITE_OK ? rc : f->real->pMethods->xFileSize(f->real, size);
}

static int log_close(sqlite3_file *file)
{
	struct log_file *f = (struct log_file *)file;

	free(f->gathered);
	f->gathered = NULL;
	return f->real->pMethods->xClose(f->real);
}

static int log_lock(sqlite3_file *file, int level)
{
	struct log_file *f = (struct log_file *)file;

	return f->real->pMethods->xLock(f->real, level);
}

static int log_unlock(sqlite3_file *file, int level)
{
	struct log_file *f = (struct log_file *)file;

	return f->real->pMethods->xUnlock(f->real, level);
}

static int log_check_reserved(sqlite3_file *file, int *out)
{
	struct log_file *f = (struct log_file *)file;

	return f->real->pMethods->xCheckReservedLock(f->real, out);
}

static int log_control(sqlite3_file *file, int op, void *arg)
{
	struct log_file *f = (struct log_file *)file;

	return f->real->pMethods->xFileControl(f->real, op, arg);
}

static int log_sector(sqlite3_file *file)
{
	struct log_file *f = (struct log_file *)file;

	return f->real->pMethods->xSectorSize(f->real);
}

static int log_traits(sqlite3_file *file)
{
	struct log_file *f = (struct log_file *)file;

	return f->real->pMethods->xDeviceCharacteristics(f->real);
}

static const sqlite3_io_methods log_methods = {
	.iVersion = 1,
	.xClose = log_close,
	.xRead = log_read,
	.xWrite = log_write,
	.xTruncate = log_truncate,
	.xSync = log_sync,
	.xFileSize = log_size,
	.xLock = log_lock,
	.xUnlock = log_unlock,
	.xCheckReservedLock = log_check_reserved,
	.xFileControl = log_control,
	.xSectorSize = log_sector,
	.xDeviceCharacteristics = log_traits,
};

/* Where SQLite's own file stands in the room that it is given for ours. */
static size_t log_room(void)
{
	return (sizeof(struct log_file) + LOG_ALIGN - 1) / LOG_ALIGN * LOG_ALIGN;
}

static int log_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *got)
{
	struct log_file *f = (struct log_file *)file;

	(void)vfs;
	if (!(flags & SQLITE_OPEN_WAL))
		return log_own->xOpen(log_own, name, file, flags, got);
	*f = (struct log_file){ .page = -1, .tail = -1 };
	f->real = (sqlite3_file *)(void *)((char *)f + log_room());
	memset(f->real, 0, (size_t)log_own->szOsFile);
	int rc = log_own->xOpen(log_own, name, f->real, flags, got);

	if (f->real->pMethods)
		f->base.pMethods = &log_methods;
	return rc;
}

static void log_make_known(void)
{
	log_own = sqlite3_vfs_find(NULL);
	if (!log_own)
		return;
	log_vfs = *log_own;
	log_vfs.pNext = NULL;
	log_vfs.zName = "garner";
	log_vfs.szOsFile += (int)log_room();
	log_vfs.xOpen = log_open;
	log_known = sqlite3_vfs_register(&log_vfs, 0) == SQLITE_OK;
}

const char *meta_sqlite_log_vfs(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, log_make_known);
	return log_known ? log_vfs.zName : NULL;
}
