/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The SQLite driver: one connection that writes, and readers that are opened as they are needed. See
 * sqlite-open.c for how it comes to be and sqlite-sync.c for durability.
 */
#include "config.h"

#include "backend/meta/sqlite.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend/meta/sqlite-copy.h"
#include "backend/meta/sqlite-pages.h"
#include "backend/meta/sqlite-sync.h"
#include "util/err.h"
#include "util/log.h"

struct sqlite_row {
	struct meta_row base;
	sqlite3_stmt *handle;
};

void meta_sqlite_close(struct meta_driver *d)
{
	struct meta_sqlite *s = (struct meta_sqlite *)d;

	while (s->free) {
		struct meta_sqlite_conn *c = s->free;

		s->free = c->next;
		meta_sqlite_conn_free(c);
	}
	meta_sqlite_conn_free(s->main);
	if (s->log_fd >= 0)
		close(s->log_fd);
	lock_cond_release(&s->wake);
	lock_release(&s->lock);
	free(s->path);
	free(s);
}

/* Opens one more reader, with the lock given back meanwhile. Where that fails, those that there are must do. */
static int sqlite_reader_open(struct meta_sqlite *s, struct meta_sqlite_conn **out)
	LOCK_REQUIRES(&s->lock)
{
	enum meta_sqlite_mode mode = s->mode == META_SQLITE_WRITER ? META_SQLITE_READER : s->mode;

	s->open++;
	lock_unlock(&s->lock);
	int err = meta_sqlite_conn_new(s->path, mode, out);

	lock_lock(&s->lock);
	if (!err)
		return 0;
	s->open--;
	if (s->open == 0)
		return err;
	s->open_max = s->open;
	return -EAGAIN;
}

int meta_sqlite_reader_get(struct meta_sqlite *s, struct meta_sqlite_conn **out)
{
	int err = -EAGAIN;

	lock_lock(&s->lock);
	while (err == -EAGAIN) {
		if (s->free) {
			*out = s->free;
			s->free = s->free->next;
			err = 0;
		} else if (s->open < s->open_max) {
			err = sqlite_reader_open(s, out);
		} else {
			lock_cond_wait(&s->wake, &s->lock);
		}
	}
	lock_unlock(&s->lock);
	return err;
}

void meta_sqlite_reader_put(struct meta_sqlite *s, struct meta_sqlite_conn *c)
{
	lock_lock(&s->lock);
	c->next = s->free;
	s->free = c;
	lock_cond_signal(&s->wake);
	lock_unlock(&s->lock);
}

/* Whether ROWS rows are what was expected. */
static bool sqlite_expected(enum meta_expect expect, int64_t rows)
{
	switch (expect) {
	case META_ONE:
		return rows == 1;
	case META_SOME:
		return rows >= 1;
	case META_NONE:
		return rows == 0;
	default:
		return true;
	}
}

/* Runs a bound statement to its end. *ROWS: rows returned or, of a statement that returns none, changed. */
static int sqlite_run(struct meta_sqlite_conn *c, sqlite3_stmt *handle, int64_t *rows)
{
	int rc;

	*rows = 0;
	while ((rc = sqlite3_step(handle)) == SQLITE_ROW)
		++*rows;
	if (sqlite3_column_count(handle) == 0)
		*rows = sqlite3_changes64(c->db);
	sqlite3_reset(handle);
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int sqlite_apply_step(struct meta_sqlite_conn *c, const struct meta_op *op,
			     const struct meta_step *step)
{
	struct meta_sqlite_stmt *s;
	int64_t rows = 0;
	int rc = meta_sqlite_conn_stmt(c, step->stmt, &s);

	assert(rc != SQLITE_OK || s->values == (int)step->count);
	for (int i = 1; rc == SQLITE_OK && i <= s->params; i++) {
		struct meta_value v = meta_op_value(op, step->first + s->value_of[i] - 1);

		rc = meta_sqlite_bind(s, i, &v);
	}
	if (rc == SQLITE_OK)
		rc = sqlite_run(c, s->handle, &rows);
	if (rc == SQLITE_OK)
		return sqlite_expected(step->expect, rows) ? 0 : step->err ? step->err : -EINVAL;
	if (meta_sqlite_error(c, rc) == -EEXIST)
		return step->err ? step->err : -EEXIST;
	return meta_sqlite_fail(c, rc, meta_catalogue_name(step->stmt));
}

static int sqlite_apply_op(struct meta_sqlite_conn *c, const struct meta_op *op)
{
	int err = 0;

	for (size_t i = 0; i < meta_op_count(op) && !err; i++)
		err = sqlite_apply_step(c, op, meta_op_step(op, i));
	return err;
}

static int sqlite_verb(struct meta_sqlite_conn *c, enum meta_sqlite_verb verb)
{
	static const char *const names[META_SQLITE_VERB_COUNT] = {
		[META_SQLITE_BEGIN] = "begin",        [META_SQLITE_COMMIT] = "commit",
		[META_SQLITE_ROLLBACK] = "undo",      [META_SQLITE_SAVEPOINT] = "begin a part",
		[META_SQLITE_RELEASE] = "end a part", [META_SQLITE_ROLLBACK_TO] = "undo a part",
	};

	return meta_sqlite_fail(c, meta_sqlite_conn_verb(c, verb), names[verb]);
}

/* Ends a transaction without a trace, if SQLite did not do that already. */
static void sqlite_undo(struct meta_sqlite_conn *c)
{
	if (!sqlite3_get_autocommit(c->db))
		sqlite_verb(c, META_SQLITE_ROLLBACK);
}

/* One operation as the transaction that was begun. */
static int sqlite_commit_one(struct meta_sqlite *s, const struct meta_op *op)
{
	struct meta_sqlite_conn *c = s->main;
	int err = sqlite_apply_op(c, op);

	if (!err)
		err = sqlite_verb(c, META_SQLITE_COMMIT);
	if (err)
		sqlite_undo(c);
	else
		meta_sqlite_fold(s);
	return err;
}

/* One operation within a transaction: nonzero when that transaction is lost with all that was in it. */
static int sqlite_commit_part(struct meta_sqlite_conn *c, struct meta_call *call)
{
	int err = sqlite_verb(c, META_SQLITE_SAVEPOINT);

	if (err)
		return err;
	call->result = sqlite_apply_op(c, call->op);
	if (sqlite3_get_autocommit(c->db))
		return call->result;
	if (call->result)
		err = sqlite_verb(c, META_SQLITE_ROLLBACK_TO);
	return err ? err : sqlite_verb(c, META_SQLITE_RELEASE);
}

/* Many operations in the transaction that was begun. Nonzero: nothing of it happened. */
static int sqlite_commit_all(struct meta_sqlite *s, struct meta_call *const *calls, size_t count)
{
	struct meta_sqlite_conn *c = s->main;
	int err = 0;

	for (size_t i = 0; i < count && !err; i++)
		err = sqlite_commit_part(c, calls[i]);
	if (!err)
		err = sqlite_verb(c, META_SQLITE_COMMIT);
	if (err)
		sqlite_undo(c);
	else
		meta_sqlite_fold(s);
	return err;
}

/* A full disk, say, ends the transaction of all; what fits may still go through by itself. */
static void sqlite_commit(struct meta_driver *d, struct meta_call *const *calls, size_t count)
{
	struct meta_sqlite *s = (struct meta_sqlite *)d;
	int err = -EROFS;

	if (s->mode == META_SQLITE_WRITER)
		err = sqlite_verb(s->main, META_SQLITE_BEGIN);
	if (!err && count > 1 && sqlite_commit_all(s, calls, count) == 0)
		return;
	for (size_t i = 0; i < count; i++) {
		if (!err && count > 1)
			err = sqlite_verb(s->main, META_SQLITE_BEGIN);
		calls[i]->result = err ? err : sqlite_commit_one(s, calls[i]->op);
	}
}

static int sqlite_sequence_row(void *arg, const struct meta_row *row)
{
	*(int64_t *)arg = meta_row_int(row, 0);
	return 0;
}

static int sqlite_query_on(struct meta_sqlite_conn *c, enum meta_stmt stmt, size_t count,
			   const struct meta_value *values, meta_row_fn *fn, void *arg)
{
	struct meta_sqlite_stmt *s;
	int rows = 0, stop = 0;
	int rc = meta_sqlite_conn_stmt(c, stmt, &s);

	assert(rc != SQLITE_OK || s->values == (int)count);
	for (int i = 1; rc == SQLITE_OK && i <= s->params; i++)
		rc = meta_sqlite_bind(s, i, &values[s->value_of[i] - 1]);
	if (rc == SQLITE_OK) {
		struct sqlite_row row = { .base = { .ops = &meta_sqlite_ops },
					  .handle = s->handle };

		while (!stop && (rc = sqlite3_step(s->handle)) == SQLITE_ROW) {
			rows++;
			stop = fn(arg, &row.base);
		}
		sqlite3_reset(s->handle);
	}
	int err = meta_sqlite_fail(c, rc, meta_catalogue_name(stmt));

	return err ? err : stop < 0 ? stop : rows;
}

static int sqlite_reserve(struct meta_driver *d, const char *name, int64_t count, int64_t *first)
{
	struct meta_sqlite *s = (struct meta_sqlite *)d;
	struct meta_value values[] = { META_T(name, strlen(name)), META_I(count) };
	int64_t id = 0;

	if (s->mode != META_SQLITE_WRITER)
		return -EROFS;
	int rows = sqlite_query_on(s->main, META_SEQUENCE_TAKE, 2, values, sqlite_sequence_row,
				   &id);

	if (rows < 0)
		return rows;
	*first = id;
	return 0;
}

static int sqlite_query(struct meta_driver *d, enum meta_stmt stmt, size_t count,
			const struct meta_value *values, meta_row_fn *fn, void *arg)
{
	struct meta_sqlite *s = (struct meta_sqlite *)d;
	struct meta_sqlite_conn *c;
	int result = meta_sqlite_reader_get(s, &c);

	if (result)
		return result;
	result = sqlite_query_on(c, stmt, count, values, fn, arg);
	meta_sqlite_reader_put(s, c);
	return result;
}

static int sqlite_query_main(struct meta_driver *d, enum meta_stmt stmt, size_t count,
			     const struct meta_value *values, meta_row_fn *fn, void *arg)
{
	return sqlite_query_on(((struct meta_sqlite *)d)->main, stmt, count, values, fn, arg);
}

static int sqlite_copy(struct meta_driver *d, const char *path)
{
	struct meta_sqlite *s = (struct meta_sqlite *)d;
	struct meta_sqlite_conn *c;
	int err = meta_sqlite_reader_get(s, &c);

	if (err)
		return err;
	err = meta_sqlite_copy(c, path, false);
	meta_sqlite_reader_put(s, c);
	return err;
}

static int sqlite_check(struct meta_driver *d, void (*report)(void *arg, const char *line),
			void *arg)
{
	struct meta_sqlite *s = (struct meta_sqlite *)d;
	struct meta_sqlite_conn *c;
	int faults = meta_sqlite_reader_get(s, &c);

	if (faults)
		return faults;
	faults = meta_sqlite_check(c, report, arg);
	meta_sqlite_reader_put(s, c);
	return faults;
}

static int sqlite_version(struct meta_driver *d)
{
	return ((struct meta_sqlite *)d)->version;
}

static int64_t sqlite_row_int(const struct meta_row *row, int col)
{
	return sqlite3_column_int64(((const struct sqlite_row *)row)->handle, col);
}

static const void *sqlite_row_bytes(const struct meta_row *row, int col, size_t *len)
{
	sqlite3_stmt *handle = ((const struct sqlite_row *)row)->handle;
	const void *bytes = sqlite3_column_blob(handle, col);

	*len = (size_t)sqlite3_column_bytes(handle, col);
	if (!bytes && sqlite3_column_type(handle, col) != SQLITE_NULL)
		bytes = "";
	return bytes;
}

static bool sqlite_row_null(const struct meta_row *row, int col)
{
	return sqlite3_column_type(((const struct sqlite_row *)row)->handle, col) == SQLITE_NULL;
}

const struct meta_ops meta_sqlite_ops = {
	.name = "sqlite",
	.dialect = &meta_dialect_sqlite,
	.open = meta_sqlite_open,
	.close = meta_sqlite_close,
	.commit = sqlite_commit,
	.reserve = sqlite_reserve,
	.query = sqlite_query,
	.query_main = sqlite_query_main,
	.sync = meta_sqlite_sync,
	.tidy = meta_sqlite_tidy,
	.copy = sqlite_copy,
	.check = sqlite_check,
	.pages = meta_sqlite_pages,
	.version = sqlite_version,
	.row_int = sqlite_row_int,
	.row_bytes = sqlite_row_bytes,
	.row_null = sqlite_row_null,
};
