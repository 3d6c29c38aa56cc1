/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A library whose bucket has chunks and manifests that rows tell of, made without content: what deleting looks at is names. */
#ifndef GARNER_TESTS_UNIT_LIBRARY_REAP_UNIT_H
#define GARNER_TESTS_UNIT_LIBRARY_REAP_UNIT_H

#include "backup-unit.h"
#include "backend/store/store-s3.h"
#include "content/collect.h"
#include "library/backup.h"

enum { REAP_UNIT_SIZE = 7 };

static inline void reap_unit_hash(unsigned number, uint8_t hash[32])
{
	memset(hash, 0, 32);
	memcpy(hash, &number, sizeof(number));
}

static inline void reap_unit_key(const char *folder, unsigned number, char key[STORE_S3_KEY_LEN])
{
	uint8_t hash[32];

	reap_unit_hash(number, hash);
	store_s3_key(folder, hash, key);
}

static inline void reap_unit_apply(struct backup_unit *u, struct meta_op *op)
{
	ck_assert_int_eq(meta_apply(u->tree.lib->meta, op), 0);
	meta_op_free(op);
}

static inline void reap_unit_put(struct backup_unit *u, const char *folder, unsigned number)
{
	struct backup_bucket b;
	char key[STORE_S3_KEY_LEN];

	reap_unit_key(folder, number, key);
	backup_bucket_init(&b, backup_unit_client(server_url(u->server)));
	ck_assert_int_eq(backup_bucket_put(&b, key, "content", REAP_UNIT_SIZE, false), 0);
	backup_bucket_release(&b);
}

/* The row of a chunk: that nothing uses, or something does. */
static inline void reap_unit_row(struct backup_unit *u, unsigned number, bool used, bool remote)
{
	struct meta_op *op = meta_op_new();
	int64_t id = meta_next_id(u->tree.lib->meta, META_SEQ_CHUNK);
	uint8_t hash[32];

	reap_unit_hash(number, hash);
	META_ADD(op, CHUNK_ADD, META_ONE, -EEXIST, META_I(id), META_B(hash, 32),
		 META_I(REAP_UNIT_SIZE), META_I(used ? INT64_MAX : 1));
	if (remote)
		META_ADD(op, RESTORE_CHUNK, META_ONE, -ENOENT, META_B(hash, 32));
	reap_unit_apply(u, op);
}

static inline void reap_unit_chunk(struct backup_unit *u, unsigned number, bool used)
{
	reap_unit_put(u, STORE_S3_CHUNKS, number);
	reap_unit_row(u, number, used, true);
}

/* An object without chunks that nothing has, and its manifest. */
static inline void reap_unit_object(struct backup_unit *u, unsigned number)
{
	struct meta_op *op = meta_op_new();
	int64_t id = meta_next_id(u->tree.lib->meta, META_SEQ_OBJECT);
	uint8_t hash[32];

	reap_unit_put(u, STORE_S3_MANIFESTS, number);
	reap_unit_hash(number, hash);
	META_ADD(op, OBJECT_ADD, META_ONE, -EEXIST, META_I(id), META_B(hash, 32), META_I(0),
		 META_I(0), META_I(0));
	META_ADD(op, RESTORE_OBJECT, META_ONE, -ENOENT, META_B(hash, 32));
	reap_unit_apply(u, op);
}

static inline void reap_unit_collect(struct backup_unit *u)
{
	struct collect_stats stats = { 0 };
	int more;

	do
		more = collect_step(library_content(u->tree.lib), time_now_ns(), 0, 100, &stats);
	while (more > 0);
	ck_assert_int_eq(more, 0);
}

/* Whether the bucket has it. */
static inline bool reap_unit_has(struct backup_unit *u, const char *folder, unsigned number)
{
	char key[STORE_S3_KEY_LEN], whole[STORE_S3_KEY_LEN + 8];
	size_t len = 0;

	reap_unit_key(folder, number, key);
	snprintf(whole, sizeof(whole), "lib/%s", key);
	void *bytes = server_object(u->server, whole, &len);
	bool has = bytes;

	free(bytes);
	return has;
}

static inline struct reap *reap_unit_new(struct backup_unit *u, int64_t grace_ns, int64_t lease_ns)
{
	struct reap_params params = { .meta = u->tree.lib->meta,
				      .instance = u->tree.lib->instance,
				      .grace_ns = grace_ns,
				      .lease_ns = lease_ns };
	struct reap *reap = NULL;

	ck_assert_int_eq(reap_new(&params, &reap), 0);
	return reap;
}

/* All that is due now; 0 or the error that ends it. */
static inline int reap_unit_run(struct reap *reap, struct backup_ship *ship)
{
	int result = 1;

	for (int i = 0; i < 1000 && result > 0; i++) {
		while (backup_ship_merge(ship) > 0)
			continue;
		result = reap_step(reap, ship, true);
	}
	ck_assert_int_le(result, 0);
	return result;
}

/* SQL of the test's own on the library's database. */
static inline void reap_unit_sql(struct backup_unit *u, const char *sql)
{
	char path[128];
	sqlite3 *db = NULL;

	snprintf(path, sizeof(path), "%s/garner.db", u->tree.path);
	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	sqlite3_busy_timeout(db, 10000);
	ck_assert_int_eq(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

static inline unsigned reap_unit_waiting(struct backup_unit *u)
{
	struct reap_backlog b;

	ck_assert_int_eq(reap_backlog(u->tree.lib->meta, &b), 0);
	return (unsigned)(b.chunks + b.manifests);
}

#endif
