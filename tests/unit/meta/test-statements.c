/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Every statement of the catalogue is understood by SQLite, over the schema of schema.def. What
 * PostgreSQL makes of them: postgres.sh.
 */
#include "config.h"

#include "backend/meta/sqlite-conn.h"
#include "meta-test.h"

#include <ctype.h>
#include <stdbool.h>

static struct meta_test_place place;

static struct meta_sqlite_conn *begin(void)
{
	struct meta_sqlite_conn *c = NULL;

	meta_test_begin(&place, &meta_test_drivers[0]);
	meta_close(meta_test_open(&place, &meta_test_drivers[0], META_OPEN_CREATE));
	ck_assert_int_eq(meta_sqlite_conn_new(place.path, META_SQLITE_READER, &c), 0);
	return c;
}

START_TEST(every_statement_can_be_prepared)
{
	struct meta_sqlite_conn *c = begin();

	for (enum meta_stmt stmt = 0; stmt < META_STMT_COUNT; stmt++) {
		struct meta_sqlite_stmt *s;
		int rc = meta_sqlite_conn_stmt(c, stmt, &s);

		ck_assert_msg(rc == SQLITE_OK, "%s: %s", meta_catalogue_name(stmt),
			      sqlite3_errmsg(c->db));
	}
	meta_sqlite_conn_free(c);
	meta_test_end(&place);
}
END_TEST

/* A gap would be a value that callers must give and no one reads. */
START_TEST(parameters_are_numbered_without_gaps)
{
	struct meta_sqlite_conn *c = begin();

	for (enum meta_stmt stmt = 0; stmt < META_STMT_COUNT; stmt++) {
		struct meta_sqlite_stmt *s;
		bool used[META_SQLITE_PARAMS_MAX + 1] = { false };

		ck_assert_int_eq(meta_sqlite_conn_stmt(c, stmt, &s), SQLITE_OK);
		for (int i = 1; i <= s->params; i++)
			used[s->value_of[i]] = true;
		for (int n = 1; n <= s->values; n++)
			ck_assert_msg(used[n], "%s has no $%d", meta_catalogue_name(stmt), n);
	}
	meta_sqlite_conn_free(c);
	meta_test_end(&place);
}
END_TEST

/* A statement that meta_query() runs on a reader, or that a replay runs elsewhere, must be one statement. */
START_TEST(a_text_is_one_statement)
{
	struct meta_sqlite_conn *c = begin();

	for (enum meta_stmt stmt = 0; stmt < META_STMT_COUNT; stmt++) {
		sqlite3_stmt *handle = NULL;
		const char *rest = NULL;

		ck_assert_int_eq(
			sqlite3_prepare_v2(c->db, meta_catalogue_text(stmt), -1, &handle, &rest),
			SQLITE_OK);
		ck_assert_msg(*rest == '\0', "%s goes on: %s", meta_catalogue_name(stmt), rest);
		sqlite3_finalize(handle);
	}
	meta_sqlite_conn_free(c);
	meta_test_end(&place);
}
END_TEST

/* The plan of STMT reads a whole table, though its text says WHERE. */
static bool scans(struct meta_sqlite_conn *c, enum meta_stmt stmt)
{
	char *sql = sqlite3_mprintf("EXPLAIN QUERY PLAN %s", meta_catalogue_text(stmt));
	sqlite3_stmt *handle = NULL;
	bool found = false;

	ck_assert_int_eq(sqlite3_prepare_v2(c->db, sql, -1, &handle, NULL), SQLITE_OK);
	while (sqlite3_step(handle) == SQLITE_ROW) {
		const char *line = (const char *)sqlite3_column_text(handle, 3);

		if (strncmp(line, "SCAN ", 5) == 0 && !strstr(line, "INDEX") &&
		    !strstr(line, "CONSTANT ROW"))
			found = true;
	}
	sqlite3_finalize(handle);
	sqlite3_free(sql);
	return found;
}

START_TEST(what_the_mount_asks_for_has_an_index)
{
	static const enum meta_stmt quick[] = { META_NODE_GET,     META_NODE_LOOKUP,
						META_ENTRY_LIST,   META_ENTRY_OF,
						META_XATTR_GET,    META_XATTR_LIST,
						META_ENTRY_DELETE, META_ENTRY_MOVE };
	struct meta_sqlite_conn *c = begin();

	for (size_t i = 0; i < sizeof(quick) / sizeof(quick[0]); i++)
		ck_assert_msg(!scans(c, quick[i]), "%s reads a whole table",
			      meta_catalogue_name(quick[i]));
	/* So that the question is known to find something. */
	ck_assert(scans(c, META_TUNNEL_EXPIRE));
	meta_sqlite_conn_free(c);
	meta_test_end(&place);
}
END_TEST

UNIT_MAIN("statements", 30, every_statement_can_be_prepared, parameters_are_numbered_without_gaps,
	  a_text_is_one_statement, what_the_mount_asks_for_has_an_index)
