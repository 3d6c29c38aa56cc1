/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The gathered log: what a commit says is there is there for another connection that uses SQLite's own VFS, through
 * transactions that outgrow the cache, that are undone, and that write pages twice.
 */
#include "config.h"

#include "backend/meta/sqlite-log.h"

#include <sqlite3.h>
#include <stdint.h>
#include <string.h>

#include "../unit.h"

enum { ROUNDS = 150, ROWS = 400 };

struct log_unit {
	char dir[64], path[96];
	int fd;
	sqlite3 *writer, *reader;
};

static void run(sqlite3 *db, const char *sql)
{
	char *message = NULL;

	if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK)
		ck_abort_msg("%s: %s", sql, message);
}

static int64_t number(sqlite3 *db, const char *sql)
{
	sqlite3_stmt *s;

	ck_assert_int_eq(sqlite3_prepare_v2(db, sql, -1, &s, NULL), SQLITE_OK);
	ck_assert_int_eq(sqlite3_step(s), SQLITE_ROW);
	int64_t value = sqlite3_column_int64(s, 0);

	sqlite3_finalize(s);
	return value;
}

static void begin(struct log_unit *u)
{
	u->fd = unit_make_dir(u->dir);
	snprintf(u->path, sizeof(u->path), "%s/db", u->dir);
	ck_assert_ptr_nonnull(meta_sqlite_log_vfs());
	ck_assert_int_eq(sqlite3_open_v2(u->path, &u->writer,
					 SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
					 meta_sqlite_log_vfs()),
			 SQLITE_OK);
	/* A cache of ten pages: what is larger goes to the log before its end, some pages twice. */
	run(u->writer,
	    "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = 10;"
	    "PRAGMA wal_autocheckpoint = 50;"
	    "CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER, b BLOB); CREATE INDEX tv ON t (v)");
	ck_assert_int_eq(sqlite3_open_v2(u->path, &u->reader, SQLITE_OPEN_READWRITE, NULL),
			 SQLITE_OK);
}

static void end(struct log_unit *u)
{
	sqlite3_close(u->reader);
	sqlite3_close(u->writer);
	unit_remove_dir(u->dir, u->fd);
}

/* Adds COUNT rows of about SIZE bytes in an open transaction and changes them all again. */
static void change(struct log_unit *u, int count, int size)
{
	char sql[256];

	for (int i = 0; i < count; i++) {
		snprintf(sql, sizeof(sql), "INSERT INTO t (v, b) VALUES (%d, zeroblob(%d))",
			 i * 7919 % 1000, size);
		run(u->writer, sql);
	}
	snprintf(sql, sizeof(sql), "UPDATE t SET v = v + 1 WHERE id %% 3 = 0");
	run(u->writer, sql);
}

START_TEST(another_connection_sees_each_commit)
{
	static const int counts[] = { 1, 2, 50, ROWS, 1, 3 };
	static const int sizes[] = { 10, 5000, 900, 200 };
	struct log_unit u;
	int64_t rows = 0, sum = 0;

	begin(&u);
	for (int round = 0; round < ROUNDS; round++) {
		int count = counts[round % 6];

		run(u.writer, "BEGIN IMMEDIATE");
		change(&u, count, sizes[round % 4]);
		if (round % 5 == 3) {
			run(u.writer, "ROLLBACK");
		} else {
			run(u.writer, "COMMIT");
			rows += count;
			sum = number(u.writer, "SELECT sum(v) FROM t");
		}
		ck_assert_int_eq(number(u.reader, "SELECT count(*) FROM t"), rows);
		ck_assert_int_eq(number(u.reader, "SELECT sum(v) FROM t"), sum);
		if (round % 20 == 19) {
			run(u.writer, "DELETE FROM t WHERE id % 2 = 0");
			rows = number(u.writer, "SELECT count(*) FROM t");
			sum = number(u.writer, "SELECT sum(v) FROM t");
		}
	}
	ck_assert_int_eq(number(u.reader, "SELECT count(*) FROM pragma_integrity_check"
					  " WHERE integrity_check = 'ok'"),
			 1);
	end(&u);
}
END_TEST

/* The bytes of the log in the file after a commit are those of whole frames, none of them kept back. */
START_TEST(the_file_holds_what_was_committed)
{
	struct log_unit u;
	char name[112];
	struct stat before, after;

	begin(&u);
	snprintf(name, sizeof(name), "%s-wal", u.path);
	run(u.writer, "PRAGMA wal_autocheckpoint = 0");
	run(u.writer, "INSERT INTO t (v) VALUES (1)");
	ck_assert_int_eq(stat(name, &before), 0);
	for (int i = 0; i < 20; i++) {
		run(u.writer, "INSERT INTO t (v) VALUES (2)");
		ck_assert_int_eq(stat(name, &after), 0);
		ck_assert_int_gt(after.st_size, before.st_size);
		ck_assert_int_eq((after.st_size - 32) % (4096 + 24), 0);
		before = after;
	}
	end(&u);
}
END_TEST

UNIT_MAIN("sqlite-log", 120, another_connection_sees_each_commit, the_file_holds_what_was_committed)
