/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One connection. */
#include "config.h"

#include "backend/meta/sqlite-conn.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/meta/sqlite-log.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/err.h"
#include "util/log.h"
#include "util/time.h"

#define CONN_BUSY_LIMIT_NS (30 * TIME_NS_PER_S)
/* Who has the database open has it for long; but two connections of this process may meet for a moment. */
#define CONN_ALONE_LIMIT_NS (TIME_NS_PER_S / 10)

/* Waits for a lock: short naps, since transactions are short, growing to this. */
enum { CONN_NAP_FIRST_US = 50, CONN_NAP_MAX_US = 5000 };

enum { CONN_LOG_HEADER_LEN = 32 };

/* Settings of every connection, and what is added to them by mode. */
static const char conn_settings[] = "PRAGMA foreign_keys = OFF;"
				    "PRAGMA temp_store = MEMORY;"
				    "PRAGMA mmap_size = 0;"
				    "PRAGMA trusted_schema = OFF;"
				    "PRAGMA cell_size_check = ON;";

/*
 * The writer's log is moved into the main file by meta_tidy() and, where that does not keep up, by the
 * writer itself (sqlite.c); not by SQLite in the middle of a commit.
 */
static const char conn_settings_writer[] = "PRAGMA synchronous = NORMAL;"
					   "PRAGMA wal_autocheckpoint = 0;"
					   "PRAGMA journal_size_limit = 67108864;"
					   "PRAGMA secure_delete = OFF;"
					   "PRAGMA cache_size = -8192;";
static const char conn_settings_reader[] = "PRAGMA query_only = ON;";

/* Page cache of all readers together, and of one at most and at least. */
enum { CONN_READERS_KIB = 32768, CONN_READER_MAX_KIB = 4096, CONN_READER_MIN_KIB = 512 };

static const char *const conn_verbs[META_SQLITE_VERB_COUNT] = {
	[META_SQLITE_BEGIN] = "BEGIN IMMEDIATE", [META_SQLITE_COMMIT] = "COMMIT",
	[META_SQLITE_ROLLBACK] = "ROLLBACK",     [META_SQLITE_SAVEPOINT] = "SAVEPOINT op",
	[META_SQLITE_RELEASE] = "RELEASE op",    [META_SQLITE_ROLLBACK_TO] = "ROLLBACK TO op",
};

static void conn_log(void *arg, int rc, const char *text)
{
	(void)arg;
	log_debug("sqlite: %s (%d)", text, rc);
}

/* SQLite counts its memory under one global mutex unless told not to. */
static void conn_configure(void)
{
	sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	sqlite3_config(SQLITE_CONFIG_LOG, conn_log, NULL);
}

static int conn_busy(void *arg, int tries)
{
	struct meta_sqlite_conn *c = arg;
	int64_t now_ns = time_mono_ns();
	int64_t nap_us = CONN_NAP_MAX_US;

	if (tries == 0)
		c->busy_until_ns = now_ns + c->busy_limit_ns;
	if (now_ns >= c->busy_until_ns)
		return 0;
	if (tries < 7)
		nap_us = CONN_NAP_FIRST_US << tries;
	struct timespec nap = time_to_spec(nap_us * 1000);

	nanosleep(&nap, NULL);
	return 1;
}

static int conn_committed(void *arg, sqlite3 *db, const char *name, int frames)
{
	struct meta_sqlite_conn *c = arg;

	(void)db;
	(void)name;
	c->log_frames = frames;
	return SQLITE_OK;
}

/* PATH as the URI that asks SQLite for the file as it lies there: no locks, no log. */
static int conn_immutable_uri(const char *path, struct buf *uri)
{
	int err = buf_add_str(uri, "file:");

	for (const unsigned char *p = (const unsigned char *)path; *p && !err; p++)
		err = isalnum(*p) || strchr("/._-", *p) ? buf_add_byte(uri, *p)
							: buf_printf(uri, "%%%02X", *p);
	return err ? err : buf_add_str(uri, "?immutable=1");
}

char *meta_sqlite_conn_file(const char *path)
{
	char *name = NULL;

	if (path[0] == '/')
		return strdup(path);
	return asprintf(&name, "./%s", path) < 0 ? NULL : name;
}

bool meta_sqlite_conn_log_used(const char *path)
{
	CLEANUP_BUF struct buf name = BUF_INIT;
	struct stat st;

	return buf_printf(&name, "%s-wal", path) == 0 && stat(buf_str(&name), &st) == 0 &&
	       st.st_size > CONN_LOG_HEADER_LEN;
}

/*
 * Whether a connection may write files. One that only reads must be able to, too, or it leaves behind the
 * empty log that it had to make; it removes that as the last one to close. Where there is a log already it has nothing
 * to make, and must not be the one that moves it into the file.
 */
static bool conn_writes(const struct meta_sqlite_conn *c, enum meta_sqlite_mode mode)
{
	return mode == META_SQLITE_WRITER || mode == META_SQLITE_READER ||
	       mode == META_SQLITE_ALONE ||
	       (mode == META_SQLITE_RDONLY && !meta_sqlite_conn_log_used(c->path));
}

/* The VFS of SQLite (sqlite.org/vfs) or of ours; NULL: the usual one. */
static const char *conn_vfs(enum meta_sqlite_mode mode)
{
	if (mode == META_SQLITE_WRITER)
		return meta_sqlite_log_vfs();
	return mode == META_SQLITE_ALONE ? "unix-excl" : NULL;
}

static int conn_open(struct meta_sqlite_conn *c, enum meta_sqlite_mode mode)
{
	int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
	CLEANUP_BUF struct buf uri = BUF_INIT;
	const char *name = c->path;

	if (mode == META_SQLITE_IMMUTABLE) {
		if (conn_immutable_uri(c->path, &uri))
			return SQLITE_NOMEM;
		name = buf_str(&uri);
		flags |= SQLITE_OPEN_URI;
	}
	flags |= conn_writes(c, mode) ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY;
	int rc = sqlite3_open_v2(name, &c->db, flags, conn_vfs(mode));

	if (rc == SQLITE_OK)
		rc = sqlite3_busy_handler(c->db, conn_busy, c);
	/* What is in the log stays there: it is not for who reads to move it, and there may be no room. */
	if (rc == SQLITE_OK && mode == META_SQLITE_ALONE && meta_sqlite_conn_log_used(c->path))
		rc = sqlite3_db_config(c->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	return rc;
}

int meta_sqlite_conn_bare(const char *path, enum meta_sqlite_mode mode,
			  struct meta_sqlite_conn **out)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct meta_sqlite_conn *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	pthread_once(&once, conn_configure);
	c->busy_limit_ns = mode == META_SQLITE_ALONE ? CONN_ALONE_LIMIT_NS : CONN_BUSY_LIMIT_NS;
	c->path = meta_sqlite_conn_file(path);
	int err = c->path ? meta_sqlite_fail(c, conn_open(c, mode), "open") : -ENOMEM;

	if (err) {
		meta_sqlite_conn_free(c);
		return err;
	}
	*out = c;
	return 0;
}

/* Some disks (network shares) cannot do it; SQLite then says so by another mode. */
static int conn_use_log(struct meta_sqlite_conn *c)
{
	int64_t is_wal = 0;
	int rc = meta_sqlite_conn_exec(c, "PRAGMA journal_mode = WAL");

	if (rc == SQLITE_OK)
		rc = meta_sqlite_conn_number(
			c, "SELECT journal_mode = 'wal' FROM pragma_journal_mode", &is_wal);
	if (rc == SQLITE_ROW)
		rc = is_wal ? SQLITE_OK : SQLITE_CANTOPEN;
	return rc;
}

unsigned meta_sqlite_conn_readers_max(void)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	return (cores < 1 ? 1 : (unsigned)cores) * 2 + 4;
}

static int conn_set_reader(struct meta_sqlite_conn *c)
{
	CLEANUP_BUF struct buf sql = BUF_INIT;
	unsigned kib = CONN_READERS_KIB / meta_sqlite_conn_readers_max();

	if (kib > CONN_READER_MAX_KIB)
		kib = CONN_READER_MAX_KIB;
	if (kib < CONN_READER_MIN_KIB)
		kib = CONN_READER_MIN_KIB;
	if (buf_printf(&sql, "%s PRAGMA cache_size = -%u", conn_settings_reader, kib))
		return SQLITE_NOMEM;
	return meta_sqlite_conn_exec(c, buf_str(&sql));
}

int meta_sqlite_conn_set(struct meta_sqlite_conn *c, enum meta_sqlite_mode mode)
{
	bool writes = mode == META_SQLITE_WRITER;
	int64_t tables;
	int rc = meta_sqlite_conn_exec(c, conn_settings);

	sqlite3_db_config(c->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	if (rc == SQLITE_OK && writes)
		rc = conn_use_log(c);
	if (rc == SQLITE_OK)
		rc = writes ? meta_sqlite_conn_exec(c, conn_settings_writer) : conn_set_reader(c);
	if (rc == SQLITE_OK && writes)
		sqlite3_wal_hook(c->db, conn_committed, c);
	if (rc == SQLITE_OK)
		rc = meta_sqlite_conn_number(c, "SELECT count(*) FROM sqlite_schema", &tables);
	return meta_sqlite_error(c, rc);
}

int meta_sqlite_conn_new(const char *path, enum meta_sqlite_mode mode,
			 struct meta_sqlite_conn **out)
{
	struct meta_sqlite_conn *c;
	int err = meta_sqlite_conn_bare(path, mode, &c);

	if (err)
		return err;
	err = meta_sqlite_conn_set(c, mode);
	if (err) {
		meta_sqlite_fail(c, sqlite3_extended_errcode(c->db), "open");
		meta_sqlite_conn_free(c);
		return err;
	}
	*out = c;
	return 0;
}

void meta_sqlite_conn_free(struct meta_sqlite_conn *c)
{
	if (!c)
		return;
	for (int i = 0; i < META_STMT_COUNT; i++)
		sqlite3_finalize(c->stmts[i].handle);
	for (int i = 0; i < META_SQLITE_VERB_COUNT; i++)
		sqlite3_finalize(c->verbs[i]);
	sqlite3_close(c->db);
	free(c->path);
	free(c);
}

/* The errno of the last failure of a file; SQLite forgets that of a failed COMMIT, the log does not. */
static int conn_system_errno(const struct meta_sqlite_conn *c)
{
	sqlite3_file *log = NULL;
	int err = c->db ? sqlite3_system_errno(c->db) : 0;

	if (err || !c->db)
		return err;
	sqlite3_file_control(c->db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log);
	if (log && log->pMethods)
		log->pMethods->xFileControl(log, SQLITE_FCNTL_LAST_ERRNO, &err);
	return err;
}

/* What errno says of an I/O error, where that is more than SQLite's result. */
static int conn_system_error(const struct meta_sqlite_conn *c, bool opening)
{
	int err = conn_system_errno(c);

	switch (err) {
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return -ENOSPC;
	case EMFILE:
	case ENFILE:
	case ENOMEM:
	case EROFS:
		return -err;
	case ENOENT:
		return opening ? -ENOENT : -EIO;
	case EACCES:
	case EPERM:
		return opening ? -EACCES : -EIO;
	default:
		return -EIO;
	}
}

int meta_sqlite_error(const struct meta_sqlite_conn *c, int rc)
{
	switch (rc & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return 0;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_READONLY:
		return -EROFS;
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return -EACCES;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
	case SQLITE_PROTOCOL:
		return -EBUSY;
	case SQLITE_NOTADB:
		return ERR_NOTLIB;
	case SQLITE_CORRUPT:
		return ERR_CORRUPT;
	case SQLITE_IOERR:
	case SQLITE_CANTOPEN:
		return conn_system_error(c, (rc & 0xff) == SQLITE_CANTOPEN);
	case SQLITE_CONSTRAINT:
		return rc == SQLITE_CONSTRAINT_UNIQUE || rc == SQLITE_CONSTRAINT_PRIMARYKEY ||
				       rc == SQLITE_CONSTRAINT_ROWID
			       ? -EEXIST
			       : -EINVAL;
	case SQLITE_ERROR:
		return ERR_SCHEMA;
	default:
		return -EINVAL;
	}
}

int meta_sqlite_fail(struct meta_sqlite_conn *c, int rc, const char *what)
{
	int err = meta_sqlite_error(c, rc);

	if (err == -ENOSPC) {
		if (c->full_told)
			return err;
		c->full_told = true;
	}
	if (err)
		log_error("meta: %s: %s: %s (%s, %d)", log_name(c->path, strlen(c->path)), what,
			  err_text(err), c->db ? sqlite3_errmsg(c->db) : "no memory", rc);
	return err;
}

int meta_sqlite_conn_exec(struct meta_sqlite_conn *c, const char *sql)
{
	return sqlite3_exec(c->db, sql, NULL, NULL, NULL);
}

int meta_sqlite_conn_verb(struct meta_sqlite_conn *c, enum meta_sqlite_verb verb)
{
	int rc = SQLITE_OK;

	if (!c->verbs[verb])
		rc = sqlite3_prepare_v3(c->db, conn_verbs[verb], -1, SQLITE_PREPARE_PERSISTENT,
					&c->verbs[verb], NULL);
	if (rc != SQLITE_OK)
		return rc;
	sqlite3_step(c->verbs[verb]);
	return sqlite3_reset(c->verbs[verb]);
}

int meta_sqlite_conn_number(struct meta_sqlite_conn *c, const char *sql, int64_t *out)
{
	sqlite3_stmt *s = NULL;
	int rc = sqlite3_prepare_v2(c->db, sql, -1, &s, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_step(s);
	if (rc == SQLITE_ROW)
		*out = sqlite3_column_int64(s, 0);
	int end = sqlite3_finalize(s);

	return end == SQLITE_OK ? rc : end;
}

/* SQLite numbers $n in the order of their coming; notes which of ours each one is. */
static int conn_map_params(struct meta_sqlite_stmt *s)
{
	s->params = sqlite3_bind_parameter_count(s->handle);
	s->values = 0;
	if (s->params > META_SQLITE_PARAMS_MAX)
		return SQLITE_RANGE;
	for (int i = 1; i <= s->params; i++) {
		const char *name = sqlite3_bind_parameter_name(s->handle, i);
		int n = name && name[0] == '$' ? atoi(name + 1) : 0;

		if (n < 1 || n > META_SQLITE_PARAMS_MAX)
			return SQLITE_RANGE;
		s->value_of[i] = (unsigned char)n;
		if (n > s->values)
			s->values = n;
	}
	return SQLITE_OK;
}

int meta_sqlite_conn_stmt(struct meta_sqlite_conn *c, enum meta_stmt stmt,
			  struct meta_sqlite_stmt **out)
{
	struct meta_sqlite_stmt *s = &c->stmts[stmt];

	*out = s;
	if (s->handle)
		return SQLITE_OK;
	int rc = sqlite3_prepare_v3(c->db, meta_catalogue_text(stmt), -1, SQLITE_PREPARE_PERSISTENT,
				    &s->handle, NULL);

	if (rc == SQLITE_OK)
		rc = conn_map_params(s);
	if (rc != SQLITE_OK) {
		sqlite3_finalize(s->handle);
		s->handle = NULL;
	}
	return rc;
}

int meta_sqlite_bind(struct meta_sqlite_stmt *s, int index, const struct meta_value *value)
{
	switch (value->type) {
	case META_INT:
		return sqlite3_bind_int64(s->handle, index, value->num);
	case META_TEXT:
		return sqlite3_bind_text64(s->handle, index, value->len ? value->bytes : "",
					   value->len, SQLITE_STATIC, SQLITE_UTF8);
	case META_BLOB:
		return sqlite3_bind_blob64(s->handle, index, value->len ? value->bytes : "",
					   value->len, SQLITE_STATIC);
	default:
		return sqlite3_bind_null(s->handle, index);
	}
}
