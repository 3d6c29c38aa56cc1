/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Rename: the matrix of what may replace what, circles, exchange, and how many rows it writes. */
#include "config.h"

#include "tree-unit.h"

#include <sqlite3.h>

START_TEST(what_may_replace_what)
{
	struct tree_unit u;
	int64_t full, asset;

	tree_unit_begin(&u, NULL);
	asset = tree_unit_asset(&u, TREE_ROOT, "asset");
	tree_unit_asset(&u, TREE_ROOT, "asset2");
	tree_unit_make(&u, TREE_ROOT, "fifo", S_IFIFO | 0600);
	tree_unit_folder(&u, TREE_ROOT, "empty");
	full = tree_unit_folder(&u, TREE_ROOT, "full");
	tree_unit_folder(&u, full, "sub");
	ck_assert_int_eq(tree_unit_rename(&u, TREE_ROOT, "none", TREE_ROOT, "x", 0), -ENOENT);
	ck_assert_int_eq(tree_unit_rename(&u, TREE_ROOT, "asset", TREE_ROOT, "full", 0), -EISDIR);
	ck_assert_int_eq(tree_unit_rename(&u, TREE_ROOT, "full", TREE_ROOT, "asset", 0), -ENOTDIR);
	ck_assert_int_eq(tree_unit_rename(&u, TREE_ROOT, "empty", TREE_ROOT, "full", 0),
			 -ENOTEMPTY);
	ck_assert_int_eq(
		tree_unit_rename(&u, TREE_ROOT, "asset", TREE_ROOT, "asset2", RENAME_NOREPLACE),
		-EEXIST);
	ck_assert_int_eq(tree_unit_rename(&u, TREE_ROOT, "asset", TREE_ROOT, "y", RENAME_EXCHANGE),
			 -ENOENT);
	ck_assert_int_eq(tree_unit_rename(&u, TREE_ROOT, "asset", TREE_ROOT, "y", 4), -EINVAL);
	ck_assert_int_eq(tree_unit_rename(&u, TREE_ROOT, "asset", 4711, "y", 0), -ENOENT);
	ck_assert_int_eq(tree_unit_rename(&u, TREE_ROOT, "asset", TREE_ROOT, "asset", 0), 0);
	ck_assert_int_eq(tree_unit_rename(&u, TREE_ROOT, "fifo", TREE_ROOT, "asset2", 0), 0);
	ck_assert_int_eq(tree_unit_find(&u, TREE_ROOT, "fifo"), 0);
	ck_assert_int_eq(tree_unit_rename(&u, TREE_ROOT, "asset", full, "asset", RENAME_NOREPLACE),
			 0);
	ck_assert_int_eq(tree_unit_find(&u, full, "asset"), asset);
	ck_assert_int_eq(tree_unit_rename(&u, TREE_ROOT, "full", TREE_ROOT, "empty", 0), 0);
	ck_assert_int_eq(tree_unit_find(&u, TREE_ROOT, "empty"), full);
	ck_assert_int_eq(tree_unit_get(&u, TREE_ROOT).nlink, 3);
	tree_unit_end(&u);
}
END_TEST

START_TEST(no_circles)
{
	struct tree_unit u;
	int64_t a, b, c;

	tree_unit_begin(&u, NULL);
	a = tree_unit_folder(&u, TREE_ROOT, "a");
	b = tree_unit_folder(&u, a, "b");
	c = tree_unit_folder(&u, b, "c");
	ck_assert_int_eq(tree_unit_rename(&u, TREE_ROOT, "a", a, "x", 0), -EINVAL);
	ck_assert_int_eq(tree_unit_rename(&u, TREE_ROOT, "a", c, "x", 0), -EINVAL);
	ck_assert_int_eq(tree_unit_rename(&u, TREE_ROOT, "a", b, "c", RENAME_EXCHANGE), -EINVAL);
	ck_assert_int_eq(tree_unit_rename(&u, b, "c", TREE_ROOT, "a", RENAME_EXCHANGE), -EINVAL);
	ck_assert_int_eq(tree_unit_rename(&u, b, "c", TREE_ROOT, "c", 0), 0);
	ck_assert_int_eq(tree_unit_rename(&u, TREE_ROOT, "a", c, "a", 0), 0);
	ck_assert_int_eq(tree_unit_get(&u, TREE_ROOT).nlink, 3);
	ck_assert_int_eq(tree_unit_get(&u, c).nlink, 3);
	tree_unit_end(&u);
}
END_TEST

START_TEST(exchange)
{
	struct tree_unit u;
	int64_t a, b, folder, asset;

	tree_unit_begin(&u, NULL);
	a = tree_unit_folder(&u, TREE_ROOT, "a");
	b = tree_unit_folder(&u, TREE_ROOT, "b");
	folder = tree_unit_folder(&u, a, "folder");
	asset = tree_unit_asset(&u, b, "asset");
	ck_assert_int_eq(tree_unit_rename(&u, a, "folder", b, "asset", RENAME_EXCHANGE), 0);
	ck_assert_int_eq(tree_unit_find(&u, a, "folder"), asset);
	ck_assert_int_eq(tree_unit_find(&u, b, "asset"), folder);
	ck_assert_int_eq(tree_unit_get(&u, a).nlink, 2);
	ck_assert_int_eq(tree_unit_get(&u, b).nlink, 3);
	tree_unit_check(&u);
	ck_assert_int_eq(tree_unit_rename(&u, TREE_ROOT, "a", TREE_ROOT, "b", RENAME_EXCHANGE), 0);
	ck_assert_int_eq(tree_unit_find(&u, TREE_ROOT, "a"), b);
	tree_unit_end(&u);
}
END_TEST

START_TEST(two_names_of_one_node)
{
	struct tree_unit u;
	int64_t asset;

	tree_unit_begin(&u, NULL);
	asset = tree_unit_asset(&u, TREE_ROOT, "a");
	ck_assert_int_eq(tree_unit_link(&u, asset, TREE_ROOT, "b"), 0);
	ck_assert_int_eq(tree_unit_rename(&u, TREE_ROOT, "a", TREE_ROOT, "b", 0), 0);
	ck_assert_int_eq(tree_unit_find(&u, TREE_ROOT, "a"), asset);
	ck_assert_int_eq(tree_unit_find(&u, TREE_ROOT, "b"), asset);
	ck_assert_int_eq(tree_unit_get(&u, asset).nlink, 2);
	tree_unit_end(&u);
}
END_TEST

static void sql(sqlite3 *db, const char *text)
{
	char *why = NULL;

	sqlite3_exec(db, text, NULL, NULL, &why);
	ck_assert_msg(!why, "%s: %s", text, why);
}

static int64_t sql_number(sqlite3 *db, const char *text)
{
	sqlite3_stmt *stmt;
	int64_t number;

	ck_assert_int_eq(sqlite3_prepare_v2(db, text, -1, &stmt, NULL), SQLITE_OK);
	ck_assert_int_eq(sqlite3_step(stmt), SQLITE_ROW);
	number = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	return number;
}

/* From here on every row that any process inserts, updates or deletes leaves a row in `change`. */
static sqlite3 *count_changes(struct tree_unit *u)
{
	static const char *const tables[] = { "node",         "entry",   "xattr", "object",
					      "object_chunk", "chunk",   "blob",  "place",
					      "draft_extent", "version", "trash", "orphan",
					      "tunnel",       "journal" };
	static const char *const verbs[] = { "INSERT", "UPDATE", "DELETE" };
	sqlite3 *db;
	char text[256];

	snprintf(text, sizeof(text), "%s/garner.db", u->path);
	ck_assert_int_eq(sqlite3_open(text, &db), SQLITE_OK);
	sqlite3_busy_timeout(db, UNIT_PATIENCE_MS);
	sql(db, "CREATE TABLE change (what TEXT)");
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		for (int v = 0; v < 3; v++) {
			snprintf(text, sizeof(text),
				 "CREATE TRIGGER count_%s_%s AFTER %s ON %s BEGIN INSERT INTO "
				 "change VALUES ('%s %s'); END",
				 tables[i], verbs[v], verbs[v], tables[i], verbs[v], tables[i]);
			sql(db, text);
		}
	return db;
}

static int64_t changes_of_rename(struct tree_unit *u, sqlite3 *db, int64_t from, const char *name,
				 int64_t to)
{
	sql(db, "DELETE FROM change");
	ck_assert_int_eq(tree_unit_rename(u, from, name, to, name, 0), 0);
	return sql_number(db, "SELECT COUNT(*) FROM change");
}

/* `count` assets in ten levels below the folder. */
static void fill(struct tree_unit *u, int64_t folder, int count)
{
	struct actor *who = &u->who;
	struct meta_op *op = meta_op_new();
	struct tree_new what;
	struct node node;
	char name[24];

	for (int i = 0; i < count; i++) {
		if (i % (count / 10) == 0) {
			if (meta_op_count(op))
				ck_assert_int_eq(meta_apply(u->lib->meta, op), 0);
			meta_op_reset(op);
			folder = tree_unit_folder(u, folder, "deeper");
			node = tree_unit_get(u, folder);
		}
		snprintf(name, sizeof(name), "asset %d", i);
		what = tree_unit_new(folder, name, S_IFREG | 0644);
		ck_assert_int_eq(tree_plan_make(u->lib, who, &what, &node, op, &(struct node){ 0 }),
				 0);
	}
	tree_unit_apply(u, op);
}

START_TEST(rows_do_not_depend_on_what_lies_below)
{
	struct tree_unit u;
	int64_t to, empty, full;
	sqlite3 *db;

	tree_unit_begin(&u, NULL);
	to = tree_unit_folder(&u, TREE_ROOT, "to");
	tree_unit_folder(&u, TREE_ROOT, "empty");
	fill(&u, tree_unit_folder(&u, TREE_ROOT, "full"), 20000);
	db = count_changes(&u);
	empty = changes_of_rename(&u, db, TREE_ROOT, "empty", to);
	full = changes_of_rename(&u, db, TREE_ROOT, "full", to);
	ck_assert_int_eq(empty, full);
	/* The entry, the folder, both parents, the journal. */
	ck_assert_int_eq(full, 5);
	sql(db, "DELETE FROM change");
	ck_assert_int_eq(tree_remove(u.lib, &u.who, to, "full", 4), 0);
	/* The entry, the folder, its parent, the trash, the journal. */
	ck_assert_int_eq(sql_number(db, "SELECT COUNT(*) FROM change"), 5);
	sqlite3_close(db);
	tree_unit_end(&u);
}
END_TEST

UNIT_MAIN("tree rename", 120, what_may_replace_what, no_circles, exchange, two_names_of_one_node,
	  rows_do_not_depend_on_what_lies_below)
