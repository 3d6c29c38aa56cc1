/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A library with a bucket behind it, whose server is in this process, for the tests of the backup: changes of its tree, what a database holds as one number, and what the bucket would give back.
 */
#ifndef GARNER_TESTS_UNIT_LIBRARY_BACKUP_UNIT_H
#define GARNER_TESTS_UNIT_LIBRARY_BACKUP_UNIT_H

#include <inttypes.h>
#include <sqlite3.h>

#include "../s3/server.h"
#include "library/instance.h"
#include "library/restore-internal.h"
#include "tree-unit.h"
#include "util/err.h"

struct backup_unit {
	struct tree_unit tree;
	struct server *server;
	uint64_t dice;
	char fetched[96]; /* a folder for what is fetched */
};

static inline unsigned backup_unit_dice(struct backup_unit *u, unsigned below)
{
	u->dice = u->dice * 6364136223846793005U + 1442695040888963407U;
	return (unsigned)(u->dice >> 33) % below;
}

/* The keys that the server knows, for all that look for some. */
static inline void backup_unit_keys(void)
{
	setenv("AWS_ACCESS_KEY_ID", SERVER_KEY, 1);
	setenv("AWS_SECRET_ACCESS_KEY", SERVER_SECRET, 1);
	setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
	setenv("AWS_CONFIG_FILE", "/nonexistent", 1);
	setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent", 1);
	unsetenv("AWS_SESSION_TOKEN");
	unsetenv("AWS_PROFILE");
}

static inline void backup_unit_begin(struct backup_unit *u, const char *more)
{
	char config[512];

	backup_unit_keys();
	u->dice = 1;
	u->server = server_start();
	snprintf(config, sizeof(config),
		 "%s[s3]\nurl = s3://" SERVER_BUCKET "/lib\nendpoint = %s\nregion = us-east-1\n",
		 more, server_url(u->server));
	tree_unit_begin(&u->tree, config);
	snprintf(u->fetched, sizeof(u->fetched), "%s/fetched", u->tree.dir);
	ck_assert_int_eq(mkdir(u->fetched, 0700), 0);
}

static inline void backup_unit_end(struct backup_unit *u)
{
	tree_unit_end(&u->tree);
	server_stop(u->server);
}

/* The settings to recover by; the caller's to release. */
static inline struct s3_settings backup_unit_settings(const char *url)
{
	struct s3_settings s3 = { .region = strdup("us-east-1"), .attempts = 3, .stall_s = 2 };
	struct buf why = BUF_INIT;

	ck_assert_int_eq(s3_settings_url(&s3, "s3://" SERVER_BUCKET "/lib", &why), 0);
	ck_assert_int_eq(s3_settings_endpoint(&s3, url, &why), 0);
	buf_release(&why);
	return s3;
}

static inline struct s3_client *backup_unit_client(const char *url)
{
	struct s3_settings s3 = backup_unit_settings(url);
	struct s3_client *client = NULL;

	ck_assert_int_eq(s3_client_new(&s3, s3_credentials_find, &client), 0);
	s3_settings_release(&s3);
	return client;
}

static inline struct backup_ship *backup_unit_ship(struct library *lib, const char *url)
{
	struct backup_ship_params params = { .meta = lib->meta,
					     .dir_fd = lib->dir_fd,
					     .path = lib->path,
					     .client = backup_unit_client(url) };
	struct backup_ship *ship = NULL;

	memcpy(params.library, lib->id, sizeof(params.library));
	ck_assert_int_eq(instance_machine(params.machine), 0);
	ck_assert_int_eq(backup_ship_new(&params, &ship), 0);
	return ship;
}

/* One for the library, that has begun. */
static inline struct backup_ship *backup_unit_begun(struct backup_unit *u)
{
	struct backup_ship *ship = backup_unit_ship(u->tree.lib, server_url(u->server));

	ck_assert_int_eq(backup_ship_begin(ship, false), 0);
	return ship;
}

/* A few changes of the tree, larger ones now and then. */
static inline void backup_unit_change(struct library *lib, const struct actor *who, unsigned number,
				      unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		char name[64];
		struct node node;
		struct tree_new what = { .parent = TREE_ROOT,
					 .name = name,
					 .mode = S_IFDIR | 0755 };

		snprintf(name, sizeof(name), "folder-%u-%u-with-a-name-of-some-length", number, i);
		what.len = strlen(name);
		ck_assert_int_eq(tree_make(lib, who, &what, &node), 0);
		if (i % 3 == 2)
			ck_assert_int_eq(tree_rmdir(lib, who, TREE_ROOT, name, strlen(name)), 0);
	}
}

/* All rows of a database as one number. */
static inline uint64_t backup_unit_digest(const char *path)
{
	uint64_t all = UINT64_C(14695981039346656037);
	sqlite3_stmt *tables = NULL, *rows = NULL;
	sqlite3 *db = NULL;

	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	sqlite3_busy_timeout(db, UNIT_PATIENCE_MS);
	ck_assert_int_eq(sqlite3_exec(db, "BEGIN", NULL, NULL, NULL), SQLITE_OK);
	ck_assert_int_eq(
		sqlite3_prepare_v2(
			db, "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name", -1,
			&tables, NULL),
		SQLITE_OK);
	while (sqlite3_step(tables) == SQLITE_ROW) {
		char sql[128];

		snprintf(sql, sizeof(sql), "SELECT * FROM %s",
			 (const char *)sqlite3_column_text(tables, 0));
		ck_assert_int_eq(sqlite3_prepare_v2(db, sql, -1, &rows, NULL), SQLITE_OK);
		while (sqlite3_step(rows) == SQLITE_ROW)
			for (int i = 0; i < sqlite3_column_count(rows); i++) {
				const unsigned char *b = sqlite3_column_blob(rows, i);

				for (int k = 0; k < sqlite3_column_bytes(rows, i); k++)
					all = (all ^ b[k]) * UINT64_C(1099511628211);
				all = (all ^ 0xff) * UINT64_C(1099511628211);
			}
		sqlite3_finalize(rows);
	}
	sqlite3_finalize(tables);
	sqlite3_close(db);
	return all;
}

static inline uint64_t backup_unit_here(const char *library)
{
	char path[160];

	snprintf(path, sizeof(path), "%s/garner.db", library);
	return backup_unit_digest(path);
}

/* What the bucket would give back, as one number; *OUT, which may be NULL, what is known of it. 0 or as restore_fetch(). */
static inline int backup_unit_there(struct backup_unit *u, uint64_t *digest,
				    struct restore_result *out)
{
	static const struct restore_watch watch;
	struct buf why = BUF_INIT;
	struct restore r = { .path = u->fetched, .watch = &watch, .why = &why };
	char path[160];
	int err;

	r.dir_fd = open(u->fetched, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(r.dir_fd, 0);
	backup_bucket_init(&r.bucket, backup_unit_client(server_url(u->server)));
	err = restore_fetch(&r);
	backup_bucket_release(&r.bucket);
	close(r.dir_fd);
	buf_release(&why);
	snprintf(path, sizeof(path), "%s/" RESTORE_DB, u->fetched);
	if (!err)
		*digest = backup_unit_digest(path);
	if (!err && out)
		*out = r.result;
	return err;
}

/* The bucket has what the library has. */
static inline void backup_unit_same(struct backup_unit *u)
{
	uint64_t there = 0;

	ck_assert_int_eq(backup_unit_there(u, &there, NULL), 0);
	ck_assert(there == backup_unit_here(u->tree.path));
}

static inline int backup_unit_count_key(void *arg, const char *key, uint64_t size)
{
	(void)key;
	(void)size;
	++*(unsigned *)arg;
	return 0;
}

/* How many objects there are below a prefix. */
static inline unsigned backup_unit_objects(struct backup_unit *u, const char *prefix)
{
	struct backup_bucket b;
	unsigned count = 0;

	backup_bucket_init(&b, backup_unit_client(server_url(u->server)));
	ck_assert_int_eq(backup_bucket_list(&b, prefix, backup_unit_count_key, &count), 0);
	backup_bucket_release(&b);
	return count;
}

#endif
