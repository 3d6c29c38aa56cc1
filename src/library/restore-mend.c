/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From the lost machine's database to one of this machine. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "backend/meta/meta.h"
#include "library/restore-internal.h"
#include "util/cleanup.h"
#include "util/err.h"
#include "util/hex.h"
#include "util/time.h"

/* Ids that a process may have reserved at most in the seconds that are lost, several times over; and rows that are marked at once. */
enum { MEND_IDS = 1 << 20, MEND_ROWS = 1000, MEND_TELL = 1000, MEND_HASH = 32 };

struct mend {
	struct restore *r;
	struct meta *meta;
	struct meta_op *op; /* of marks */
	size_t marks;
	uint64_t marked;
	const char *folder;
	enum meta_stmt stmt;
};

static int mend_rows(struct mend *m)
{
	struct meta_op *op = meta_op_new();
	int err;

	if (!op)
		return -ENOMEM;
	META_ADD(op, RESTORE_INSTANCES, META_ANY, 0, META_I(time_now_ns()));
	META_ADD(op, RESTORE_SEQUENCES, META_ANY, 0, META_I(MEND_IDS));
	meta_op_add(op, META_RESTORE_DRAFTS, META_ANY, 0, 0, NULL);
	meta_op_add(op, META_RESTORE_EXTENTS, META_ANY, 0, 0, NULL);
	meta_op_add(op, META_RESTORE_PLACES, META_ANY, 0, 0, NULL);
	meta_op_add(op, META_RESTORE_EDGES, META_ANY, 0, 0, NULL);
	meta_op_add(op, META_RESTORE_BLOBS, META_ANY, 0, 0, NULL);
	meta_op_add(op, META_RESTORE_LEASES, META_ANY, 0, 0, NULL);
	meta_op_add(op, META_RESTORE_UPLOADS, META_ANY, 0, 0, NULL);
	meta_op_add(op, META_RESTORE_TOMBSTONES, META_ANY, 0, 0, NULL);
	meta_op_add(op, META_RESTORE_BATCHES, META_ANY, 0, 0, NULL);
	meta_op_add(op, META_RESTORE_CHUNKS_NONE, META_ANY, 0, 0, NULL);
	meta_op_add(op, META_RESTORE_OBJECTS_NONE, META_ANY, 0, 0, NULL);
	err = meta_apply(m->meta, op);
	meta_op_free(op);
	return err;
}

static int mend_marks(struct mend *m)
{
	int err = m->marks ? meta_apply(m->meta, m->op) : 0;

	meta_op_free(m->op);
	m->op = NULL;
	m->marks = 0;
	return err;
}

/* A name of the bucket: the chunk, or the object whose manifest it is, is there. */
static int mend_key(void *arg, const char *key, uint64_t size)
{
	struct mend *m = arg;
	const char *hex = key + strlen(m->folder);
	uint8_t hash[MEND_HASH];

	(void)size;
	if (strlen(hex) != 2 * MEND_HASH || hex_decode(hex, 2 * MEND_HASH, hash))
		return 0;
	if (!m->op)
		m->op = meta_op_new();
	if (!m->op)
		return -ENOMEM;
	struct meta_value values[] = { META_B(hash, sizeof(hash)) };

	meta_op_add(m->op, m->stmt, META_ANY, 0, 1, values);
	restore_progress(m->r, "asking what content there is", ++m->marked, 0);
	return ++m->marks == MEND_ROWS ? mend_marks(m) : 0;
}

static int mend_list(struct mend *m, const char *folder, enum meta_stmt stmt)
{
	m->folder = folder;
	m->stmt = stmt;
	int err = backup_bucket_list(&m->r->bucket, folder, mend_key, m);
	int rest = mend_marks(m);

	return err ? err : rest;
}

static int mend_lacking(struct mend *m)
{
	struct meta_op *op = meta_op_new();

	if (!op)
		return -ENOMEM;
	meta_op_add(op, META_RESTORE_LACKING, META_ANY, 0, 0, NULL);
	int err = meta_apply(m->meta, op);

	meta_op_free(op);
	return err;
}

static int mend_count(void *arg, const struct meta_row *row)
{
	struct restore_result *out = arg;

	out->assets = (uint64_t)meta_row_int(row, 0);
	out->fallen_back = (uint64_t)meta_row_int(row, 1);
	out->missing = (uint64_t)meta_row_int(row, 2);
	out->size = (uint64_t)meta_row_int(row, 3);
	return 0;
}

static int mend_chunk_count(void *arg, const struct meta_row *row)
{
	struct restore_result *out = arg;

	out->chunks = (uint64_t)meta_row_int(row, 0);
	out->chunks_here = (uint64_t)meta_row_int(row, 1);
	return 0;
}

static int mend_open(struct mend *m)
{
	CLEANUP_BUF struct buf path = BUF_INIT;
	int err = buf_printf(&path, "%s/" RESTORE_DB, m->r->path);

	return err ? err : meta_open(buf_str(&path), META_OPEN_MIGRATE, &m->meta);
}

static int mend_all(struct mend *m)
{
	int err = mend_rows(m);

	if (!err)
		err = mend_list(m, "chunks/", META_RESTORE_CHUNK);
	if (!err)
		err = mend_list(m, "manifests/", META_RESTORE_OBJECT);
	if (!err)
		err = mend_lacking(m);
	if (!err)
		err = meta_query(m->meta, META_RESTORE_COUNT, 0, NULL, mend_count, &m->r->result);
	if (err >= 0)
		err = meta_query(m->meta, META_RESTORE_CHUNK_COUNT, 0, NULL, mend_chunk_count,
				 &m->r->result);
	return err < 0 ? err : meta_sync(m->meta);
}

int restore_mend(struct restore *r)
{
	struct mend m = { .r = r };
	int err = mend_open(&m);

	if (!err)
		err = mend_all(&m);
	meta_close(m.meta);
	/* A log that could not be moved into the file would be left behind under this name. */
	if (!err && !faccessat(r->dir_fd, RESTORE_DB "-wal", F_OK, 0))
		err = -EIO;
	return err;
}
