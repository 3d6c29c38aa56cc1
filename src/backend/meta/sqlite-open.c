/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * From a path to an open SQLite driver: sees what lies there before any statement is run on it, makes a
 * new database aside and moves it into place whole, migrates an old one after a backup.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "backend/meta/sqlite-copy.h"
#include "backend/meta/sqlite-schema.h"
#include "backend/meta/sqlite.h"
#include "util/cleanup.h"
#include "util/err.h"
#include "util/io.h"
#include "util/log.h"

/* The file's head, sqlite.org/fileformat2, section 1.3. */
enum {
	OPEN_HEADER_LEN = 100,
	OPEN_PAGE_SIZE_AT = 16,
	OPEN_CHANGES_AT = 24,
	OPEN_PAGES_AT = 28,
	OPEN_APPLICATION_AT = 68,
	OPEN_PAGES_VALID_AT = 92,
};

/* What a log and its index need at least to be begun, and the index as it is begun (sqlite.org/walformat, section 2.2). */
enum { OPEN_ROOM_BYTES = 256 << 10, OPEN_INDEX_BYTES = 32 << 10, OPEN_PLENTY_BYTES = 256 << 20 };

static const char open_magic[16] = "SQLite format 3";

static uint32_t open_be32(const unsigned char *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Whether the file is shorter than its head says. */
static bool open_cut_short(const unsigned char *header, int64_t size)
{
	int64_t page = header[OPEN_PAGE_SIZE_AT] << 8 | header[OPEN_PAGE_SIZE_AT + 1];

	if (page == 1)
		page = 65536;
	if (open_be32(header + OPEN_CHANGES_AT) != open_be32(header + OPEN_PAGES_VALID_AT))
		return false;
	return size < page * open_be32(header + OPEN_PAGES_AT);
}

/* Reads the head through SQLite's own descriptor, which is the only one allowed. */
static int open_read_header(struct meta_sqlite_conn *c, unsigned char *header, int64_t *size)
{
	sqlite3_file *file = NULL;
	sqlite3_int64 bytes = 0;
	int rc = sqlite3_file_control(c->db, "main", SQLITE_FCNTL_FILE_POINTER, &file);

	memset(header, 0, OPEN_HEADER_LEN);
	if (rc == SQLITE_OK)
		rc = file->pMethods->xFileSize(file, &bytes);
	if (rc == SQLITE_OK && bytes > 0)
		rc = file->pMethods->xRead(file, header, OPEN_HEADER_LEN, 0);
	if (rc == SQLITE_IOERR_SHORT_READ)
		rc = SQLITE_OK;
	*size = bytes;
	return meta_sqlite_fail(c, rc, "read the header");
}

/* Whether what lies there is a database of ours and whole. */
static int open_check_header(struct meta_sqlite_conn *c)
{
	const char *name = log_name(c->path, strlen(c->path));
	unsigned char header[OPEN_HEADER_LEN];
	int64_t size;
	int err = open_read_header(c, header, &size);

	if (err)
		return err;
	size_t shown = size < (int64_t)sizeof(open_magic) ? (size_t)size : sizeof(open_magic);

	if (shown == 0 || memcmp(header, open_magic, shown) != 0) {
		log_error("meta: %s: not a database%s", name, size == 0 ? " (it is empty)" : "");
		return ERR_NOTLIB;
	}
	if (size < OPEN_HEADER_LEN) {
		log_error("meta: %s: cut short: %lld bytes are left", name, (long long)size);
		return ERR_CORRUPT;
	}
	if (open_be32(header + OPEN_APPLICATION_AT) != META_SQLITE_APPLICATION_ID) {
		log_error("meta: %s: a database of another program", name);
		return ERR_NOTLIB;
	}
	if (!open_cut_short(header, size) || meta_sqlite_conn_log_used(c->path))
		return 0;
	/* The log may have been moved into the file by another process between the two looks. */
	err = open_read_header(c, header, &size);
	if (!err && open_cut_short(header, size)) {
		log_error("meta: %s: cut short: %lld bytes, its header tells of %u pages", name,
			  (long long)size, open_be32(header + OPEN_PAGES_AT));
		err = ERR_CORRUPT;
	}
	return err;
}

/* Whether files can be made beside the database. */
static bool open_folder_writable(const struct meta_sqlite *s)
{
	CLEANUP_FREE char *copy = strdup(s->path);

	return copy && access(dirname(copy), W_OK) == 0;
}

/*
 * META_OPEN_RDONLY where SQLite cannot make its lock file: the file alone can be read when nothing is in
 * the log. Who writes to it meanwhile is not seen, so this is for disks that no one here can write.
 */
static int open_immutable(struct meta_sqlite *s, int err)
{
	if (open_folder_writable(s))
		return err;
	if (meta_sqlite_conn_log_used(s->path)) {
		log_error("meta: %s: its log (-wal) holds changes that cannot be read on a "
			  "read-only disk; open it once where it can be written, or read a copy",
			  log_name(s->path, strlen(s->path)));
		return -EROFS;
	}
	meta_sqlite_conn_free(s->main);
	s->main = NULL;
	s->mode = META_SQLITE_IMMUTABLE;
	return meta_sqlite_conn_bare(s->path, s->mode, &s->main);
}

/* The version, for which the first transaction is run. */
static int open_read_version(struct meta_sqlite *s)
{
	int64_t version = 0;
	int rc = meta_sqlite_conn_number(s->main, "PRAGMA user_version", &version);
	int err = meta_sqlite_error(s->main, rc);

	if (err == -EBUSY && s->mode == META_SQLITE_ALONE)
		return err;
	if (err && s->mode == META_SQLITE_RDONLY && err != ERR_CORRUPT) {
		err = open_immutable(s, err);
		if (s->main && s->mode == META_SQLITE_IMMUTABLE && !err)
			return open_read_version(s);
		return err;
	}
	if (err)
		return meta_sqlite_fail(s->main, rc, "read the version");
	s->version = (int)version;
	return 0;
}

static int open_check_version(struct meta_sqlite *s, int flags, const struct meta_schema *schema)
{
	const char *name = log_name(s->path, strlen(s->path));

	if (s->version == schema->count)
		return 0;
	if (s->version > schema->count) {
		log_error("meta: %s: of version %d, made by a newer garner; this one knows "
			  "versions up to %d",
			  name, s->version, schema->count);
		return ERR_FUTURE;
	}
	if (!(flags & META_OPEN_MIGRATE)) {
		log_error("meta: %s: of version %d, made by an older garner; it must be brought to "
			  "version %d first",
			  name, s->version, schema->count);
		return ERR_SCHEMA;
	}
	meta_sqlite_conn_free(s->main);
	s->main = NULL;
	int err = meta_sqlite_schema_migrate(s->path, schema);

	if (err)
		return err;
	s->version = schema->count;
	return meta_sqlite_conn_bare(s->path, s->mode, &s->main);
}

/* A file that may not be written opens without a word from SQLite. */
static int open_check_writable(struct meta_sqlite *s)
{
	if (s->mode != META_SQLITE_WRITER || !sqlite3_db_readonly(s->main->db, "main"))
		return 0;
	int err = access(s->path, W_OK) < 0 && errno == EROFS ? -EROFS : -EACCES;

	log_error("meta: %s: cannot be written: %s", log_name(s->path, strlen(s->path)),
		  err_text(err));
	return err;
}

static int open_main(struct meta_sqlite *s, int flags, const struct meta_schema *schema)
{
	int err = meta_sqlite_conn_bare(s->path, s->mode, &s->main);

	if (!err)
		err = open_check_header(s->main);
	if (!err)
		err = open_check_writable(s);
	if (!err)
		err = open_read_version(s);
	if (!err)
		err = open_check_version(s, flags, schema);
	if (err)
		return err;
	err = meta_sqlite_conn_set(s->main, s->mode);
	if (err)
		meta_sqlite_fail(s->main, sqlite3_extended_errcode(s->main->db), "open");
	return err;
}

/* The log exists from the writer's first transaction on, and stays while any connection is open. */
static int open_log(struct meta_sqlite *s)
{
	CLEANUP_BUF struct buf name = BUF_INIT;

	if (s->mode != META_SQLITE_WRITER)
		return 0;
	if (buf_printf(&name, "%s-wal", s->path))
		return -ENOMEM;
	s->log_fd = open(buf_str(&name), O_RDWR | O_CLOEXEC);
	if (s->log_fd >= 0)
		return 0;
	int err = -errno;

	log_error("meta: %s: open: %s", log_name(name.data, name.len), err_text(err));
	return err;
}

/* Whether that much can be had in the folder of the database. What a disk calls free may be for it alone, so it is tried. */
static bool open_try_room(const struct meta_sqlite *s, uint64_t free_bytes)
{
	CLEANUP_FREE char *copy = strdup(s->path);
	CLEANUP_CLOSE int fd = copy ? open(dirname(copy), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)
				    : -1;

	if (fd >= 0 && !fallocate(fd, 0, 0, OPEN_ROOM_BYTES))
		return true;
	return errno != ENOSPC && errno != EDQUOT && free_bytes >= OPEN_ROOM_BYTES;
}

/*
 * Whether there is room for the log and its index, or they are there. The index is mapped memory: where blocks are smaller than pages, SQLite does not notice that a
 * full disk cannot take one, and touching it would end the process (SIGBUS).
 */
static bool open_has_room(const struct meta_sqlite *s, bool index_counts)
{
	CLEANUP_BUF struct buf name = BUF_INIT;
	struct statvfs disk;
	struct stat index;

	if (index_counts && !buf_printf(&name, "%s-shm", s->path) &&
	    !stat(buf_str(&name), &index) && index.st_size >= OPEN_INDEX_BYTES)
		return true;
	if (statvfs(s->path, &disk))
		return true;
	uint64_t free_bytes = (geteuid() ? disk.f_bavail : disk.f_bfree) * disk.f_frsize;

	return free_bytes >= OPEN_PLENTY_BYTES || open_try_room(s, free_bytes);
}

/* Who has the library open already has the index. */
static int open_writer(struct meta_sqlite *s, int flags, const struct meta_schema *schema)
{
	if (open_has_room(s, true))
		return open_main(s, flags, schema);
	log_error("meta: %s: the disk is full", log_name(s->path, strlen(s->path)));
	return -ENOSPC;
}

/*
 * A full disk can be read: with the index in memory, unless another process has the database open, and thus the index. An index that was left behind is no
 * index: who opens the database first begins it anew.
 */
static int open_reader(struct meta_sqlite *s, int flags, const struct meta_schema *schema)
{
	if (!open_has_room(s, false) && open_folder_writable(s)) {
		s->mode = META_SQLITE_ALONE;
		int err = open_main(s, flags, schema);

		if (err != -EBUSY)
			return err;
		meta_sqlite_conn_free(s->main);
		s->main = NULL;
		s->mode = META_SQLITE_RDONLY;
	}
	return open_main(s, flags, schema);
}

static struct meta_sqlite *open_new_driver(int flags)
{
	struct meta_sqlite *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->base.ops = &meta_sqlite_ops;
	s->mode = flags & META_OPEN_RDONLY ? META_SQLITE_RDONLY : META_SQLITE_WRITER;
	s->log_fd = -1;
	s->open_max = meta_sqlite_conn_readers_max();
	lock_init(&s->lock, LOCK_RANK_META);
	lock_cond_init(&s->wake);
	return s;
}

int meta_sqlite_open(const char *path, int flags, const struct meta_schema *schema,
		     struct meta_driver **out)
{
	struct meta_sqlite *s;
	int err = 0;

	if (flags & META_OPEN_CREATE)
		err = meta_sqlite_schema_create(path, schema);
	if (err)
		return err;
	s = open_new_driver(flags);
	if (!s)
		return -ENOMEM;
	s->path = realpath(path, NULL);
	if (!s->path)
		err = -errno;
	if (!err)
		err = s->mode == META_SQLITE_WRITER ? open_writer(s, flags, schema)
						    : open_reader(s, flags, schema);
	if (!err)
		err = open_log(s);
	if (err) {
		meta_sqlite_close(&s->base);
		return err;
	}
	*out = &s->base;
	return 0;
}
