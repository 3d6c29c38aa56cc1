/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The checked wrappers around a driver, and what is the same over every driver: ids handed out from
 * reserved runs, and one fsync for all who wait for one.
 */
#include "config.h"

#include "backend/meta/meta.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "backend/meta/meta-driver.h"
#include "backend/meta/queue.h"
#include "util/err.h"
#include "util/log.h"

/* Ids of the first run reserved; each further run is twice as long, since reserving costs an fsync. */
enum { META_RUN_FIRST = 1000, META_RUN_MAX = 16000 };

/* What is left of a reserved run: next .. end - 1. */
struct meta_run {
	int64_t next, end; /* guarded by ids_lock */
	int64_t length;    /* of the run before; guarded by ids_lock */
};

struct meta {
	struct meta_driver *driver;
	struct meta_queue queue;

	struct lock ids_lock;
	struct lock_cond ids_wake;
	bool ids_busy; /* a thread reserves; guarded by ids_lock */
	struct meta_run runs[META_SEQ_COUNT];

	/*
	 * Syncs are numbered as they begin. One that began after an operation was applied covers it.
	 * `applied` and `synced` count operations: synced <= applied, equal when nothing is dirty.
	 */
	struct lock sync_lock;
	struct lock_cond sync_wake;
	bool sync_busy;                  /* guarded by sync_lock */
	uint64_t sync_begun, sync_ended; /* guarded by sync_lock */
	int sync_result;                 /* of the last that ended; guarded by sync_lock */
	atomic_uint_fast64_t applied, synced;
};

static const char *const meta_sequence_names[META_SEQ_COUNT] = {
	[META_SEQ_INO] = "ino",     [META_SEQ_ENTRY] = "entry", [META_SEQ_OBJECT] = "object",
	[META_SEQ_CHUNK] = "chunk", [META_SEQ_BLOB] = "blob",
};

int meta_open_with(const struct meta_ops *ops, const char *path, int flags,
		   const struct meta_schema *schema, struct meta **out)
{
	struct meta *m = calloc(1, sizeof(*m));

	assert(!(flags & META_OPEN_RDONLY) || !(flags & (META_OPEN_CREATE | META_OPEN_MIGRATE)));
	if (!m)
		return -ENOMEM;
	int err = ops->open(path, flags, schema, &m->driver);

	if (err) {
		free(m);
		return err;
	}
	meta_queue_init(&m->queue);
	lock_init(&m->ids_lock, LOCK_RANK_META);
	lock_cond_init(&m->ids_wake);
	lock_init(&m->sync_lock, LOCK_RANK_META);
	lock_cond_init(&m->sync_wake);
	*out = m;
	return 0;
}

int meta_open(const char *path, int flags, struct meta **out)
{
	if (strstr(path, "://")) {
		log_error("meta: no driver for %s", log_name(path, strlen(path)));
		return -EPROTONOSUPPORT;
	}
	return meta_open_with(&meta_sqlite_ops, path, flags, &meta_catalogue_schema, out);
}

void meta_close(struct meta *m)
{
	if (!m)
		return;
	m->driver->ops->close(m->driver);
	meta_queue_release(&m->queue);
	lock_cond_release(&m->ids_wake);
	lock_release(&m->ids_lock);
	lock_cond_release(&m->sync_wake);
	lock_release(&m->sync_lock);
	free(m);
}

int meta_apply(struct meta *m, const struct meta_op *op)
{
	int err = meta_op_error(op);

	if (err || meta_op_count(op) == 0)
		return err;
	err = meta_queue_apply(&m->queue, m->driver, op);
	if (!err || err == ERR_UNCERTAIN)
		atomic_fetch_add(&m->applied, 1);
	return err;
}

int meta_query(struct meta *m, enum meta_stmt stmt, size_t count, const struct meta_value *values,
	       meta_row_fn *fn, void *arg)
{
	const struct meta_ops *ops = m->driver->ops;
	struct meta_queue_place place;

	assert(stmt < META_STMT_COUNT && fn);
	if (!ops->query_main || !meta_catalogue_short(stmt) || !meta_queue_try(&m->queue, &place))
		return ops->query(m->driver, stmt, count, values, fn, arg);
	int result = ops->query_main(m->driver, stmt, count, values, fn, arg);

	meta_queue_give(&m->queue, &place);
	return result;
}

int64_t meta_row_int(const struct meta_row *row, int col)
{
	return row->ops->row_int(row, col);
}

const void *meta_row_bytes(const struct meta_row *row, int col, size_t *len)
{
	return row->ops->row_bytes(row, col, len);
}

bool meta_row_null(const struct meta_row *row, int col)
{
	return row->ops->row_null(row, col);
}

/* Synced before the ids are used: files and objects in S3 are named by them. */
static int meta_reserve(struct meta *m, enum meta_sequence seq, int64_t length, int64_t *first)
{
	struct meta_queue_place place;

	meta_queue_take(&m->queue, &place);
	int err = m->driver->ops->reserve(m->driver, meta_sequence_names[seq], length, first);

	meta_queue_give(&m->queue, &place);
	if (err)
		return err;
	atomic_fetch_add(&m->applied, 1);
	return meta_sync(m);
}

/* Reserves the next run of SEQ, with the lock given back meanwhile. */
static int meta_refill(struct meta *m, enum meta_sequence seq) LOCK_REQUIRES(&m->ids_lock)
{
	struct meta_run *run = &m->runs[seq];
	int64_t length = run->length ? run->length * 2 : META_RUN_FIRST, first = 0;

	if (length > META_RUN_MAX)
		length = META_RUN_MAX;
	m->ids_busy = true;
	lock_unlock(&m->ids_lock);
	int err = meta_reserve(m, seq, length, &first);

	lock_lock(&m->ids_lock);
	m->ids_busy = false;
	lock_cond_broadcast(&m->ids_wake);
	if (err)
		return err;
	assert(first > 0);
	*run = (struct meta_run){ .next = first, .end = first + length, .length = length };
	return 0;
}

int64_t meta_next_id(struct meta *m, enum meta_sequence seq)
{
	struct meta_run *run = &m->runs[seq];
	int64_t id = 0;

	assert(seq < META_SEQ_COUNT);
	lock_lock(&m->ids_lock);
	while (run->next == run->end && !id) {
		if (m->ids_busy)
			lock_cond_wait(&m->ids_wake, &m->ids_lock);
		else
			id = meta_refill(m, seq);
	}
	if (!id)
		id = run->next++;
	lock_unlock(&m->ids_lock);
	return id;
}

/* Runs one sync as its leader, with the lock given back meanwhile. */
static void meta_sync_lead(struct meta *m) LOCK_REQUIRES(&m->sync_lock)
{
	uint_fast64_t covered = atomic_load(&m->applied);
	uint64_t number = ++m->sync_begun;

	m->sync_busy = true;
	lock_unlock(&m->sync_lock);
	int err = m->driver->ops->sync(m->driver);

	lock_lock(&m->sync_lock);
	if (!err)
		atomic_store(&m->synced, covered);
	m->sync_busy = false;
	m->sync_ended = number;
	m->sync_result = err;
	lock_cond_broadcast(&m->sync_wake);
}

uint64_t meta_sync_ticket(struct meta *m)
{
	lock_lock(&m->sync_lock);
	uint64_t ticket = meta_dirty(m) ? m->sync_begun + 1 : 0;

	lock_unlock(&m->sync_lock);
	return ticket;
}

int meta_sync_wait(struct meta *m, uint64_t ticket)
{
	int err = 0;

	if (!ticket)
		return 0;
	lock_lock(&m->sync_lock);
	while (m->sync_ended < ticket) {
		if (m->sync_busy)
			lock_cond_wait(&m->sync_wake, &m->sync_lock);
		else
			meta_sync_lead(m);
	}
	err = m->sync_result;
	lock_unlock(&m->sync_lock);
	return err;
}

int meta_sync(struct meta *m)
{
	return meta_sync_wait(m, meta_sync_ticket(m));
}

bool meta_dirty(const struct meta *m)
{
	return atomic_load(&m->applied) != atomic_load(&m->synced);
}

int meta_tidy(struct meta *m)
{
	return m->driver->ops->tidy(m->driver);
}

int meta_copy(struct meta *m, const char *path)
{
	return m->driver->ops->copy(m->driver, path);
}

int meta_check(struct meta *m, void (*report)(void *arg, const char *line), void *arg)
{
	return m->driver->ops->check(m->driver, report, arg);
}

int meta_version(const struct meta *m)
{
	return m->driver->ops->version(m->driver);
}

struct meta_driver *meta_driver_of(struct meta *m)
{
	return m->driver;
}
