/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Times that wait to be recorded. They stay in the table while the transaction that records them runs, so that
 * a reader sees them in the table or in the row; who must change a row's access time waits for its end.
 */
#include "config.h"

#include "library/times.h"

#include <errno.h>
#include <stdlib.h>

#define HASH_NONFATAL_OOM 1
#define uthash_nonfatal_oom(element) ((void)(element))
#include <uthash.h>

#include "util/cleanup.h"
#include "util/lock.h"

/* So many are recorded without waiting for the clock: a bound of the memory, and of one transaction. */
enum { TIMES_MAX = 4096 };

struct times_row {
	UT_hash_handle hh;
	int64_t ino;
	int set; /* TREE_SET_ATIME, TREE_SET_CTIME: what is kept */
	int64_t atime_ns, ctime_ns;
	int64_t was_ns; /* the row's ctime that ctime_ns follows */
	bool fresh;     /* changed since a transaction began to record it */
};

struct times {
	struct lock lock;
	struct lock_cond done;
	struct times_row *table; /* guarded by lock */
	bool recording;          /* guarded by lock */
	unsigned count;          /* of the table; atomic, so that an empty one costs nothing */
};

int times_new(struct library *lib)
{
	struct times *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	lock_init(&t->lock, LOCK_RANK_TIMES);
	lock_cond_init(&t->done);
	lib->times = t;
	return 0;
}

static struct times_row *times_find_locked(const struct times *t, int64_t ino)
	LOCK_REQUIRES(&t->lock)
{
	struct times_row *row = NULL;

	HASH_FIND(hh, t->table, &ino, sizeof(ino), row);
	return row;
}

static void times_drop_locked(struct times *t, struct times_row *row) LOCK_REQUIRES(&t->lock)
{
	HASH_DELETE(hh, t->table, row);
	__atomic_sub_fetch(&t->count, 1, __ATOMIC_RELAXED);
	free(row);
}

void times_free(struct library *lib)
{
	struct times *t = lib->times;

	if (!t)
		return;
	(void)times_record(lib);
	lock_lock(&t->lock);
	while (t->table)
		times_drop_locked(t, t->table);
	lock_unlock(&t->lock);
	lock_cond_release(&t->done);
	lock_release(&t->lock);
	free(t);
	lib->times = NULL;
}

static struct times_row *times_make_locked(struct times *t, int64_t ino) LOCK_REQUIRES(&t->lock)
{
	struct times_row *row = calloc(1, sizeof(*row));

	if (!row)
		return NULL;
	row->ino = ino;
	HASH_ADD(hh, t->table, ino, sizeof(row->ino), row);
	if (!row->hh.tbl) {
		free(row);
		return NULL;
	}
	__atomic_add_fetch(&t->count, 1, __ATOMIC_RELEASE);
	return row;
}

static void times_set(struct times_row *row, const struct times_row *with)
{
	if (with->set & TREE_SET_ATIME)
		row->atime_ns = with->atime_ns;
	if (with->set & TREE_SET_CTIME) {
		if (!(row->set & TREE_SET_CTIME) || row->ctime_ns != with->was_ns)
			row->was_ns = with->was_ns;
		row->ctime_ns = with->ctime_ns;
	}
	row->set |= with->set;
	row->fresh = true;
}

static bool times_keep(struct library *lib, const struct times_row *with)
{
	struct times *t = lib->times;

	if (!t || !lib->sealer)
		return false;
	lock_lock(&t->lock);
	struct times_row *row = times_find_locked(t, with->ino);

	if (!row)
		row = times_make_locked(t, with->ino);
	if (row)
		times_set(row, with);
	bool full = t->count >= TIMES_MAX && !t->recording;

	lock_unlock(&t->lock);
	if (full)
		(void)times_record(lib);
	return row != NULL;
}

bool times_keep_access(struct library *lib, int64_t ino, int64_t atime_ns)
{
	return times_keep(lib, &(struct times_row){
				       .ino = ino, .set = TREE_SET_ATIME, .atime_ns = atime_ns });
}

bool times_keep_change(struct library *lib, int64_t ino, int64_t was_ns, int64_t ctime_ns)
{
	return times_keep(lib, &(struct times_row){ .ino = ino,
						    .set = TREE_SET_CTIME,
						    .ctime_ns = ctime_ns,
						    .was_ns = was_ns });
}

void times_forget_access(struct library *lib, int64_t ino)
{
	struct times *t = lib->times;

	if (!t || !__atomic_load_n(&t->count, __ATOMIC_ACQUIRE))
		return;
	lock_lock(&t->lock);
	while (t->recording)
		lock_cond_wait(&t->done, &t->lock);
	struct times_row *row = times_find_locked(t, ino);

	if (row)
		row->set &= ~TREE_SET_ATIME;
	if (row && !row->set)
		times_drop_locked(t, row);
	lock_unlock(&t->lock);
}

void times_overlay(struct library *lib, struct node *n)
{
	struct times *t = lib->times;

	if (!t || !__atomic_load_n(&t->count, __ATOMIC_ACQUIRE))
		return;
	lock_lock(&t->lock);
	const struct times_row *row = times_find_locked(t, n->ino);

	if (row && row->set & TREE_SET_ATIME)
		n->atime_ns = row->atime_ns;
	if (row && row->set & TREE_SET_CTIME &&
	    (n->ctime_ns == row->was_ns || n->ctime_ns < row->ctime_ns))
		n->ctime_ns = row->ctime_ns;
	lock_unlock(&t->lock);
}

/* The statements for all that is kept. */
static void times_add_locked(struct times *t, struct meta_op *op) LOCK_REQUIRES(&t->lock)
{
	struct times_row *row, *next;

	HASH_ITER (hh, t->table, row, next) {
		row->fresh = false;
		META_ADD(op, NODE_TIMES, META_ANY, 0, META_I(row->ino),
			 row->set & TREE_SET_ATIME ? META_I(row->atime_ns) : META_N(),
			 row->set & TREE_SET_CTIME ? META_I(row->ctime_ns) : META_N(),
			 META_I(row->was_ns));
	}
}

/* What was recorded goes, unless it changed meanwhile. */
static void times_recorded_locked(struct times *t) LOCK_REQUIRES(&t->lock)
{
	struct times_row *row, *next;

	HASH_ITER (hh, t->table, row, next) {
		if (!row->fresh)
			times_drop_locked(t, row);
	}
}

int times_record(struct library *lib)
{
	struct times *t = lib->times;
	struct meta_op *op;

	if (!t || !__atomic_load_n(&t->count, __ATOMIC_ACQUIRE))
		return 0;
	op = meta_op_new();
	if (!op)
		return -ENOMEM;
	lock_lock(&t->lock);
	while (t->recording)
		lock_cond_wait(&t->done, &t->lock);
	t->recording = true;
	times_add_locked(t, op);
	lock_unlock(&t->lock);
	int rc = meta_apply(library_meta(lib), op);

	meta_op_free(op);
	lock_lock(&t->lock);
	t->recording = false;
	if (rc == 0)
		times_recorded_locked(t);
	lock_cond_broadcast(&t->done);
	lock_unlock(&t->lock);
	return rc;
}
