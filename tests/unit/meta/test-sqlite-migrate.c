/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Old SQLite databases are brought up to date: over a made-up schema of three versions. */
#include "config.h"

#include <errno.h>
#include <sys/stat.h>
#include <stdbool.h>
#include <unistd.h>

#include "meta-test.h"
#include "util/cleanup.h"
#include "util/err.h"
#include "util/io.h"

static struct meta_test_place place;
static const struct meta_test_driver *const sqlite = &meta_test_drivers[0];

static const struct meta_migration versions[] = {
	{ 1, "CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL)" },
	{ 2, "CREATE TABLE more (id {id} PRIMARY KEY, data {blob});"
	     "INSERT INTO more (id, data) SELECT 1, value FROM setting" },
	{ 3,
	  "UPDATE setting SET value = value || ' of old'; CREATE INDEX more_data ON more (data)" },
};
static const struct meta_migration broken[] = {
	{ 1, "not looked at" },
	{ 2, "CREATE TABLE more (id {id} PRIMARY KEY); UPDATE setting SET value = 'lost'" },
	{ 3, "ALTER TABLE nosuch ADD COLUMN a" },
};
static const struct meta_schema first = { versions, 1 }, third = { versions, 3 },
				failing = { broken, 3 };

static int try_open(int flags, const struct meta_schema *schema)
{
	struct meta *m = NULL;
	int err = meta_open_with(&meta_sqlite_ops, place.path, flags, schema, &m);

	meta_close(m);
	return err;
}

/* A database of the first version, with one row. */
static void begin(void)
{
	struct meta *m = NULL;
	struct meta_op *op = meta_op_new();

	meta_test_begin(&place, sqlite);
	ck_assert_int_eq(meta_open_with(&meta_sqlite_ops, place.path, META_OPEN_CREATE, &first, &m),
			 0);
	ck_assert_int_eq(meta_version(m), 1);
	META_ADD(op, SETTING_SET, META_ONE, -EIO, META_T("a", 1), META_T("value", 5));
	ck_assert_int_eq(meta_apply(m, op), 0);
	meta_op_free(op);
	meta_close(m);
}

static int check_text_row(void *arg, const struct meta_row *row)
{
	size_t len;
	const char *text = meta_row_bytes(row, 0, &len);

	ck_assert_uint_eq(len, strlen(arg));
	ck_assert_int_eq(memcmp(text, arg, len), 0);
	return 0;
}

/* The database at PATH is of this version and its row has this value. */
static void check_database(const char *path, const struct meta_schema *schema, const char *value)
{
	CLEANUP_FREE char *wanted = strdup(value);
	struct meta *m = NULL;
	int faults = 0;

	ck_assert_int_eq(meta_open_with(&meta_sqlite_ops, path, META_OPEN_RDONLY, schema, &m), 0);
	ck_assert_int_eq(meta_version(m), schema->count);
	ck_assert_int_eq(META_QUERY(m, SETTING_GET, check_text_row, wanted, META_T("a", 1)), 1);
	ck_assert_int_eq(meta_check(m, meta_test_report, &faults), 0);
	meta_close(m);
}

static void backup_path(char path[160])
{
	snprintf(path, 160, "%s.v1.bak", place.path);
}

START_TEST(an_old_database_is_migrated_when_asked)
{
	char backup[160];

	begin();
	backup_path(backup);
	ck_assert_int_eq(try_open(0, &third), ERR_SCHEMA);
	ck_assert_int_eq(try_open(META_OPEN_RDONLY, &third), ERR_SCHEMA);
	ck_assert_int_ne(access(backup, F_OK), 0);
	check_database(place.path, &first, "value");
	ck_assert_int_eq(try_open(META_OPEN_MIGRATE, &third), 0);
	check_database(place.path, &third, "value of old");
	check_database(backup, &first, "value");
	/* Once is enough, and there is no way back. */
	ck_assert_int_eq(try_open(META_OPEN_MIGRATE, &third), 0);
	check_database(place.path, &third, "value of old");
	ck_assert_int_eq(try_open(0, &first), ERR_FUTURE);
	ck_assert_int_eq(try_open(META_OPEN_MIGRATE, &first), ERR_FUTURE);
	meta_test_end(&place);
}
END_TEST

START_TEST(a_migrated_database_can_be_written)
{
	struct meta *m = NULL;
	struct meta_op *op = meta_op_new();

	begin();
	ck_assert_int_eq(
		meta_open_with(&meta_sqlite_ops, place.path, META_OPEN_MIGRATE, &third, &m), 0);
	META_ADD(op, SETTING_SET, META_ONE, -EIO, META_T("a", 1), META_T("new", 3));
	ck_assert_int_eq(meta_apply(m, op), 0);
	ck_assert_int_eq(meta_sync(m), 0);
	meta_op_free(op);
	meta_close(m);
	check_database(place.path, &third, "new");
	meta_test_end(&place);
}
END_TEST

START_TEST(a_failed_migration_leaves_the_old)
{
	char backup[160];

	begin();
	backup_path(backup);
	ck_assert_int_eq(try_open(META_OPEN_MIGRATE, &failing), ERR_SCHEMA);
	check_database(place.path, &first, "value");
	check_database(backup, &first, "value");
	/* The next try, by a garner that does it better, replaces the copy. */
	ck_assert_int_eq(try_open(META_OPEN_MIGRATE, &third), 0);
	check_database(place.path, &third, "value of old");
	check_database(backup, &first, "value");
	meta_test_end(&place);
}
END_TEST

START_TEST(a_copy_that_fails_stops_the_migration)
{
	char backup[160];

	begin();
	backup_path(backup);
	ck_assert_int_eq(mkdir(backup, 0755), 0);
	ck_assert_int_lt(try_open(META_OPEN_MIGRATE, &third), 0);
	check_database(place.path, &first, "value");
	meta_test_end(&place);
}
END_TEST

struct holder {
	int told[2], release[2];
};

static int hold_open(void *arg)
{
	struct holder *h = arg;
	struct meta *m = NULL;
	char byte = 0;

	close(h->release[1]);
	if (meta_open_with(&meta_sqlite_ops, place.path, 0, &first, &m))
		return 1;
	int err = io_write_full(h->told[1], &byte, 1);

	/* Until the parent closes its end. */
	io_read_full(h->release[0], &byte, 1);
	meta_close(m);
	return err ? 1 : 0;
}

START_TEST(a_database_in_use_is_not_migrated)
{
	struct holder h;
	char byte;

	begin();
	ck_assert_int_eq(pipe(h.told), 0);
	ck_assert_int_eq(pipe(h.release), 0);
	pid_t child = meta_test_fork(hold_open, &h);

	ck_assert_int_eq(io_read_full(h.told[0], &byte, 1), 1);
	ck_assert_int_eq(try_open(META_OPEN_MIGRATE, &third), ERR_LOCKED);
	check_database(place.path, &first, "value");
	close(h.release[1]);
	ck_assert_int_eq(meta_test_wait(child), 0);
	ck_assert_int_eq(try_open(META_OPEN_MIGRATE, &third), 0);
	check_database(place.path, &third, "value of old");
	meta_test_end(&place);
}
END_TEST

static int migrate(void *arg)
{
	(void)arg;
	return try_open(META_OPEN_MIGRATE, &third) ? 1 : 0;
}

START_TEST(two_migrate_at_once)
{
	pid_t children[4];

	begin();
	for (int i = 0; i < 4; i++)
		children[i] = meta_test_fork(migrate, NULL);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(meta_test_wait(children[i]), 0);
	check_database(place.path, &third, "value of old");
	meta_test_end(&place);
}
END_TEST

UNIT_MAIN("sqlite-migrate", 60, an_old_database_is_migrated_when_asked,
	  a_migrated_database_can_be_written, a_failed_migration_leaves_the_old,
	  a_copy_that_fails_stops_the_migration, a_database_in_use_is_not_migrated,
	  two_migrate_at_once)
