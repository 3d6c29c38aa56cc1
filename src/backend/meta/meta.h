/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The metadata of one library behind a small interface, so that the same operation runs on SQLite
 * here and on a shared PostgreSQL elsewhere. Callers name statements from the catalogue (sql.def),
 * never write SQL.
 *
 * Reading: meta_query() on any thread; it sees everything applied before it began. Changing: fill a
 * meta_op with statements whose ids, times and values are decided already, then meta_apply() it:
 * all of its statements or none. Operations that wait together share one transaction of the
 * database (group commit) but fail one by one.
 *
 * Not here: what the tables mean (src/library), files (src/backend/store).
 */
#ifndef GARNER_BACKEND_META_META_H
#define GARNER_BACKEND_META_META_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct meta;
struct meta_op;
struct meta_row;

/* Every statement of the catalogue: META_NODE_GET, ... Texts are in the sql-*.def files. */
enum meta_stmt {
#define STATEMENT(name, text) META_##name,
#include "backend/meta/sql.def"
#undef STATEMENT
	META_STMT_COUNT
};

enum meta_type { META_NULL, META_INT, META_TEXT, META_BLOB };

/*
 * A parameter. Text and blob bytes belong to the caller; meta_op_add() copies them, meta_query()
 * reads them during the call. An empty blob or text is not NULL.
 */
struct meta_value {
	enum meta_type type;
	int64_t num;
	const void *bytes;
	size_t len;
};

#define META_N() ((struct meta_value){ .type = META_NULL })
#define META_I(n) ((struct meta_value){ .type = META_INT, .num = (int64_t)(n) })
#define META_T(text, size)                                                                         \
	((struct meta_value){ .type = META_TEXT, .bytes = (text), .len = (size) })
#define META_B(data, size)                                                                         \
	((struct meta_value){ .type = META_BLOB, .bytes = (data), .len = (size) })

/*
 * What a statement of an operation must do, or the whole operation is undone and fails with the
 * error given beside it.
 */
enum meta_expect {
	META_ANY,  /* nothing is asked */
	META_ONE,  /* exactly one row changed, or returned by a SELECT */
	META_SOME, /* at least one */
	META_NONE, /* none */
};

/* Counters that give ids which are never used twice, also not after a crash. */
enum meta_sequence {
	META_SEQ_INO,
	META_SEQ_ENTRY,
	META_SEQ_OBJECT,
	META_SEQ_CHUNK,
	META_SEQ_BLOB,
	META_SEQ_COUNT
};

#define META_OPEN_RDONLY 0x1  /* changes nothing; also works where the disk is read-only */
#define META_OPEN_CREATE 0x2  /* makes a new database; -EEXIST if there is one */
#define META_OPEN_MIGRATE 0x4 /* an older one is backed up beside itself and brought up to date */

/*
 * Opens the database at `path` with the driver that its form names ("postgresql://…" or a file);
 * `path` is borrowed. On 0 *out is the caller's, to be closed with meta_close(). No thread is
 * started. A database that was just made survives a power cut.
 * Errors: -ENOENT, -EEXIST (CREATE), -EACCES, -EROFS, -ENOSPC, -ENOMEM, -EPROTONOSUPPORT (no driver
 * for this form); ERR_NOTLIB (a file that is no database, or a database that is not garner's),
 * ERR_CORRUPT (damaged or cut short), ERR_FUTURE (made by a newer garner), ERR_SCHEMA (older than
 * this garner and MIGRATE was not asked for, or MIGRATE failed; the backup is kept and named in the
 * log), ERR_LOCKED (MIGRATE, but another process has the older database open).
 */
int meta_open(const char *path, int flags, struct meta **out);

/* Closes; `m` may be NULL. No other thread may be using it. What was applied stays applied. */
void meta_close(struct meta *m);

/* A new empty operation for one thread at a time, ended with meta_op_free(); NULL: no memory. */
struct meta_op *meta_op_new(void);

/* Frees `op`, which may be NULL. */
void meta_op_free(struct meta_op *op);

/* Empties `op` for the next use and keeps its memory. */
void meta_op_reset(struct meta_op *op);

/* The number of statements added so far. */
size_t meta_op_count(const struct meta_op *op);

/*
 * Appends a statement with its `count` parameters ($1 is values[0]); bytes are copied. If it does
 * not do what `expect` says, the operation fails with `err` (negative). Out of memory is remembered
 * and returned by meta_apply().
 */
void meta_op_add(struct meta_op *op, enum meta_stmt stmt, enum meta_expect expect, int err,
		 size_t count, const struct meta_value *values);

/* An array of the values given and how many they are, as two arguments. */
#define META_VALUES(...)                                                                           \
	sizeof((struct meta_value[]){ __VA_ARGS__ }) / sizeof(struct meta_value),                  \
		(struct meta_value[])                                                              \
	{                                                                                          \
		__VA_ARGS__                                                                        \
	}

/*
 * meta_op_add() with the parameters written out:
 *	META_ADD(op, NODE_TOUCH, META_ONE, -ENOENT, META_I(ino), META_I(now));
 * A statement without parameters: meta_op_add(op, META_X, expect, err, 0, NULL).
 */
#define META_ADD(op, stmt, expect, err, ...)                                                       \
	meta_op_add((op), META_##stmt, (expect), (err), META_VALUES(__VA_ARGS__))

/*
 * Runs `op` as one atomic change. Any thread, but not inside a meta_query() callback; blocks while
 * the database writes. `op` is unchanged and may be applied again.
 * On 0 every later query on any connection sees it and it survives a crash of this process; it
 * survives a power cut after the next meta_sync(). Otherwise nothing of it happened, but for
 * ERR_UNCERTAIN, where the answer to a COMMIT was lost.
 * Errors: the `err` of the statement whose expectation failed or that hit a uniqueness conflict
 * (-EEXIST where that err is 0); -EINVAL for any other broken constraint; -ENOSPC, -EROFS, -EIO,
 * -ENOMEM, -EBUSY (another process held the database for longer than 30 s), ERR_CORRUPT.
 */
int meta_apply(struct meta *m, const struct meta_op *op);

/* Gets one row; nonzero ends the query. Must not call meta_* functions but meta_row_*. */
typedef int meta_row_fn(void *arg, const struct meta_row *row);

/*
 * Runs a SELECT and calls `fn` for each row until it returns nonzero. Any thread.
 * Returns the number of rows given to `fn`, or `fn`'s negative value, or a negative error as
 * meta_apply().
 */
int meta_query(struct meta *m, enum meta_stmt stmt, size_t count, const struct meta_value *values,
	       meta_row_fn *fn, void *arg);

/* meta_query() with the parameters written out. */
#define META_QUERY(m, stmt, fn, arg, ...)                                                          \
	meta_query((m), META_##stmt, META_VALUES(__VA_ARGS__), (fn), (arg))

/* Column `col` (from 0) as a number; NULL reads as 0. */
int64_t meta_row_int(const struct meta_row *row, int col);

/*
 * Column `col` (from 0) as bytes, valid until the callback returns; *len is their number. NULL reads
 * as NULL with *len 0; an empty value is not NULL.
 */
const void *meta_row_bytes(const struct meta_row *row, int col, size_t *len);

/* Whether column `col` (from 0) is NULL. */
bool meta_row_null(const struct meta_row *row, int col);

/*
 * An id (> 1) that no one was given before and no one will be given again, after kill -9 and after
 * a power cut too, in any process. Ids are reserved in the database by the thousand, so they rise
 * within one process but have gaps. Any thread; now and then waits for the database and its disk.
 * Else a negative error as meta_apply().
 */
int64_t meta_next_id(struct meta *m, enum meta_sequence seq);

/*
 * Everything applied before the call survives a power cut when it returns 0. Calls that wait
 * together share one fsync; when nothing was applied since the last, it costs nothing. -EIO: the
 * disk failed to keep what was applied; stays so until the database is opened anew. Any thread.
 */
int meta_sync(struct meta *m);

/*
 * meta_sync() in two steps, for who has something else to do meanwhile: the ticket of what was applied so far, and the wait for a sync that covers it, by whichever
 * thread it was begun; where none was, by this one. Any thread.
 */
uint64_t meta_sync_ticket(struct meta *m);
int meta_sync_wait(struct meta *m, uint64_t ticket);

/* True if something was applied since the last meta_sync() that succeeded began. Any thread. */
bool meta_dirty(const struct meta *m);

/*
 * Housekeeping for a background thread to call after meta_sync(), every few seconds: moves the log
 * into the main file where it has grown, without holding up readers or writers, so that writers
 * need not; and sets disk space aside (1/64 of the disk, 4 to 16 MiB) with which changes go on when the
 * disk is full. 0 also when there was nothing to do; else a negative error as meta_apply(), after which
 * all is as before. Any thread.
 */
int meta_tidy(struct meta *m);

/*
 * A consistent copy of the database as a new file at `path` while others go on; on 0 it survives a
 * power cut. Errors as meta_apply(), -EEXIST; no file is left then.
 */
int meta_copy(struct meta *m, const char *path);

/*
 * The database's own structural check; `report` gets one line per fault (at most 100) and must not
 * call meta_*. Returns the number of faults or a negative error.
 */
int meta_check(struct meta *m, void (*report)(void *arg, const char *line), void *arg);

/* Schema version of the open database. */
int meta_version(const struct meta *m);

#endif
