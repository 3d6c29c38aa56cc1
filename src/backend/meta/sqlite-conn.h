/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One connection to a SQLite file: opening, its settings, its prepared statements, and the meaning
 * of its errors. A connection is used by one thread at a time.
 *
 * The main file is never opened by other means than SQLite here, however briefly: closing any
 * descriptor of it would drop every POSIX lock that this process has on it (sqlite.org/howtocorrupt,
 * section 2.2).
 */
#ifndef GARNER_BACKEND_META_SQLITE_CONN_H
#define GARNER_BACKEND_META_SQLITE_CONN_H

#include <sqlite3.h>

#include "backend/meta/meta-driver.h"

/* PRAGMA application_id of every database of garner: "garn". */
#define META_SQLITE_APPLICATION_ID 0x6761726e

enum { META_SQLITE_PARAMS_MAX = 40 };

/* A statement of the catalogue as prepared on one connection. */
struct meta_sqlite_stmt {
	sqlite3_stmt *handle; /* NULL until it is first asked for */
	int params;           /* how many SQLite sees */
	int values;           /* how many a caller gives: the highest $n */
	unsigned char
		value_of[META_SQLITE_PARAMS_MAX + 1]; /* SQLite's parameter i is $value_of[i] */
};

/* Statements that steer a transaction. */
enum meta_sqlite_verb {
	META_SQLITE_BEGIN,
	META_SQLITE_COMMIT,
	META_SQLITE_ROLLBACK,
	META_SQLITE_SAVEPOINT,
	META_SQLITE_RELEASE,
	META_SQLITE_ROLLBACK_TO,
	META_SQLITE_VERB_COUNT
};

enum meta_sqlite_mode {
	META_SQLITE_WRITER, /* reads and writes; the file exists */
	META_SQLITE_READER, /* of a database that others here may write: has the right to write the log's index */
	META_SQLITE_RDONLY,    /* for META_OPEN_RDONLY */
	META_SQLITE_IMMUTABLE, /* the same on a disk where not even locks can be taken */
	META_SQLITE_ALONE, /* the same, with the log's index in this process's memory: no other process may have the database open */
};

struct meta_sqlite_conn {
	sqlite3 *db;
	char *path;            /* owned, absolute */
	int64_t busy_until_ns; /* while waiting for a lock */
	int64_t busy_limit_ns; /* how long to wait for one */
	bool full_told;        /* that the disk is full was logged; until a commit goes well */
	int log_frames;        /* in the log after this connection's last commit */
	struct meta_sqlite_conn *next; /* of whoever holds it */
	sqlite3_stmt *verbs[META_SQLITE_VERB_COUNT];
	struct meta_sqlite_stmt stmts[META_STMT_COUNT];
};

/*
 * Opens PATH. A READER or WRITER has its settings, and its first transaction behind it. *OUT is the
 * caller's, ended with meta_sqlite_conn_free(). Errors as meta_open(), logged. Creates no main file.
 */
int meta_sqlite_conn_new(const char *path, enum meta_sqlite_mode mode,
			 struct meta_sqlite_conn **out);

/* Opens PATH and does nothing else with it: no transaction, no setting, no byte changed. Else the same. */
int meta_sqlite_conn_bare(const char *path, enum meta_sqlite_mode mode,
			  struct meta_sqlite_conn **out);

/* Gives a bare connection the settings of MODE. 0 or a negative error as meta_open(), not logged. */
int meta_sqlite_conn_set(struct meta_sqlite_conn *c, enum meta_sqlite_mode mode);

/*
 * A file's path as SQLite takes it for one, whatever it begins with (":memory:", "file:"), to be freed
 * with free(); NULL when memory is out.
 */
char *meta_sqlite_conn_file(const char *path);

/* Whether the log beside PATH holds anything. */
bool meta_sqlite_conn_log_used(const char *path);

/* How many readers this machine's cores can make use of. */
unsigned meta_sqlite_conn_readers_max(void);

/* Closes C, which may be NULL. */
void meta_sqlite_conn_free(struct meta_sqlite_conn *c);

/* What SQLite's result RC, of the call just made on C, is as an error of ours: 0 for OK, ROW, DONE. */
int meta_sqlite_error(const struct meta_sqlite_conn *c, int rc);

/*
 * The same, and logs an error as having happened at WHAT; that the disk is full once only until C
 * commits again.
 */
int meta_sqlite_fail(struct meta_sqlite_conn *c, int rc, const char *what);

/* Runs SQL, any number of statements without rows. A result of SQLite. */
int meta_sqlite_conn_exec(struct meta_sqlite_conn *c, const char *sql);

/* Runs one of the steering statements. A result of SQLite. */
int meta_sqlite_conn_verb(struct meta_sqlite_conn *c, enum meta_sqlite_verb verb);

/* The first column of the first row of SQL as a number in *OUT. A result of SQLite; SQLITE_ROW when there is one. */
int meta_sqlite_conn_number(struct meta_sqlite_conn *c, const char *sql, int64_t *out);

/*
 * The statement STMT, ready to be bound and run; to be reset after. Prepared at its first use. A
 * result of SQLite.
 */
int meta_sqlite_conn_stmt(struct meta_sqlite_conn *c, enum meta_stmt stmt,
			  struct meta_sqlite_stmt **out);

/* Binds VALUE as SQLite's parameter INDEX. Its bytes must stay while the statement runs. A result of SQLite. */
int meta_sqlite_bind(struct meta_sqlite_stmt *s, int index, const struct meta_value *value);

#endif
