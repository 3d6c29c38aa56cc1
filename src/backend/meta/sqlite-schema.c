/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Making and migrating. */
#include "config.h"

#include "backend/meta/sqlite-schema.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/meta/sqlite-conn.h"
#include "backend/meta/sqlite-copy.h"
#include "util/cleanup.h"
#include "util/err.h"
#include "util/log.h"
#include "util/time.h"

/* How long to wait for other processes to let go of an old database. */
#define SCHEMA_WAIT_NS (5 * TIME_NS_PER_S)

static int schema_run(struct meta_sqlite_conn *c, const struct meta_migration *m)
{
	CLEANUP_BUF struct buf sql = BUF_INIT;
	int err = meta_dialect_expand(&meta_dialect_sqlite, m->sql, &sql);

	if (!err)
		err = buf_printf(&sql, ";PRAGMA user_version = %d", m->version);
	if (err)
		return err;
	return meta_sqlite_fail(c, meta_sqlite_conn_exec(c, buf_str(&sql)), "change the schema");
}

/* Runs all that is newer than version FROM, in one transaction that is on disk when this returns 0. */
static int schema_run_from(struct meta_sqlite_conn *c, const struct meta_schema *schema, int from)
{
	int err = meta_sqlite_fail(c, meta_sqlite_conn_exec(c, "BEGIN IMMEDIATE"), "begin");

	for (int i = from; i < schema->count && !err; i++)
		err = schema_run(c, &schema->list[i]);
	if (!err)
		err = meta_sqlite_fail(c, meta_sqlite_conn_exec(c, "COMMIT"), "commit");
	if (err) {
		if (!sqlite3_get_autocommit(c->db))
			meta_sqlite_conn_exec(c, "ROLLBACK");
		return err;
	}
	int rc = sqlite3_wal_checkpoint_v2(c->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);

	return meta_sqlite_fail(c, rc, "move the log into the file");
}

/* Fills the empty file at PATH. */
static int schema_fill(const char *path, const struct meta_schema *schema)
{
	CLEANUP_BUF struct buf sql = BUF_INIT;
	struct meta_sqlite_conn *c = NULL;
	int err = buf_printf(&sql, "PRAGMA page_size = 4096; PRAGMA application_id = %d",
			     META_SQLITE_APPLICATION_ID);

	if (!err)
		err = meta_sqlite_conn_bare(path, META_SQLITE_WRITER, &c);
	if (!err)
		err = meta_sqlite_fail(c, meta_sqlite_conn_exec(c, buf_str(&sql)), "make");
	if (!err) {
		err = meta_sqlite_conn_set(c, META_SQLITE_WRITER);
		if (err)
			meta_sqlite_fail(c, sqlite3_extended_errcode(c->db), "make");
	}
	if (!err)
		err = schema_run_from(c, schema, 0);
	meta_sqlite_conn_free(c);
	return err;
}

/* An empty file of our own at PATH; one that lies there is what a crash left of an earlier try. */
static int schema_make_file(const char *path)
{
	if (unlink(path) < 0 && errno != ENOENT)
		return -errno;
	int fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);

	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

/* Removes a database under another name than its final one. */
static void schema_remove(const char *path)
{
	static const char *const tails[] = { "", "-wal", "-shm", "-journal" };

	for (size_t i = 0; i < sizeof(tails) / sizeof(tails[0]); i++) {
		CLEANUP_BUF struct buf name = BUF_INIT;

		if (buf_printf(&name, "%s%s", path, tails[i]) == 0)
			unlink(buf_str(&name));
	}
}

int meta_sqlite_schema_create(const char *path, const struct meta_schema *schema)
{
	CLEANUP_BUF struct buf fresh = BUF_INIT;
	struct stat st;

	if (lstat(path, &st) == 0)
		return -EEXIST;
	if (buf_printf(&fresh, "%s.new-%ld", path, (long)getpid()))
		return -ENOMEM;
	int err = schema_make_file(buf_str(&fresh));

	if (err) {
		log_error("meta: %s: make: %s", log_name(path, strlen(path)), err_text(err));
		return err;
	}
	err = schema_fill(buf_str(&fresh), schema);
	if (!err)
		err = meta_sqlite_copy_settle(buf_str(&fresh), path, false);
	if (err)
		schema_remove(buf_str(&fresh));
	return err;
}

/*
 * Takes the file for C alone: an exclusive lock, kept until C is closed. A process that has the
 * database open holds a shared lock on it, and must not see its tables change under it. -EBUSY at
 * once when there is one, not logged.
 */
static int schema_lock(struct meta_sqlite_conn *c)
{
	c->busy_limit_ns = 0;
	int rc = meta_sqlite_conn_exec(c, "PRAGMA locking_mode = EXCLUSIVE;"
					  "BEGIN EXCLUSIVE; COMMIT");

	return (rc & 0xff) == SQLITE_BUSY ? -EBUSY : meta_sqlite_fail(c, rc, "lock");
}

/*
 * Opens PATH with schema_lock(), waiting for it. A connection that did not get the lock keeps a shared
 * one, and two such would wait for each other: so each try is a connection of its own.
 */
static int schema_open_locked(const char *path, struct meta_sqlite_conn **out)
{
	int64_t deadline_ns = time_mono_ns() + SCHEMA_WAIT_NS;
	unsigned seed = (unsigned)getpid();
	int err = -EBUSY;

	while (err == -EBUSY && time_mono_ns() < deadline_ns) {
		struct timespec nap = { .tv_nsec = rand_r(&seed) % (20 * TIME_NS_PER_MS) };

		err = meta_sqlite_conn_bare(path, META_SQLITE_WRITER, out);
		if (!err)
			err = schema_lock(*out);
		else
			*out = NULL;
		if (err)
			meta_sqlite_conn_free(*out);
		if (err == -EBUSY)
			nanosleep(&nap, NULL);
	}
	if (err != -EBUSY)
		return err;
	log_error("meta: %s: another process has it open, so it cannot be brought up to date; end "
		  "that one (unmount) and try again",
		  log_name(path, strlen(path)));
	return ERR_LOCKED;
}

static int schema_migrate_locked(struct meta_sqlite_conn *c, const struct meta_schema *schema)
{
	CLEANUP_BUF struct buf backup = BUF_INIT;
	const char *name = log_name(c->path, strlen(c->path));
	int64_t from = 0;
	int rc = meta_sqlite_conn_number(c, "PRAGMA user_version", &from);
	int err = meta_sqlite_fail(c, rc, "read the version");

	if (err || from >= schema->count)
		return err;
	if (buf_printf(&backup, "%s.v%d.bak", c->path, (int)from))
		return -ENOMEM;
	err = meta_sqlite_copy(c, buf_str(&backup), true);
	if (err)
		return err;
	err = schema_run_from(c, schema, (int)from);
	if (!err)
		log_info("meta: %s: brought from version %d to %d; the old one is kept as %s", name,
			 (int)from, schema->count, log_name(backup.data, backup.len));
	else
		log_error("meta: %s: stays at version %d; a copy is kept as %s", name, (int)from,
			  log_name(backup.data, backup.len));
	return err;
}

int meta_sqlite_schema_migrate(const char *path, const struct meta_schema *schema)
{
	struct meta_sqlite_conn *c = NULL;
	int err = schema_open_locked(path, &c);

	if (err)
		return err;
	err = schema_migrate_locked(c, schema);
	meta_sqlite_conn_free(c);
	return err;
}
