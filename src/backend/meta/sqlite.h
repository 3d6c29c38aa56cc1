/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the files of the SQLite driver share. */
#ifndef GARNER_BACKEND_META_SQLITE_H
#define GARNER_BACKEND_META_SQLITE_H

#include <stdatomic.h>

#include "backend/meta/sqlite-conn.h"
#include "util/lock.h"

struct meta_sqlite {
	struct meta_driver base;
	char *path;                 /* absolute */
	enum meta_sqlite_mode mode; /* of `main`: anything but READER */
	int version;

	/* The writer (or, read-only, the first reader): whoever may call commit has it. */
	struct meta_sqlite_conn *main;
	int next_fold; /* frames in the log at which the writer moves them itself; as main */
	atomic_int log_frames;          /* in the log after the last commit */
	atomic_int tidied_frames;       /* … when meta_tidy() moved them last, … */
	atomic_int_least64_t tidied_ns; /* … at this time_mono_ns() */

	/* Readers: those not in use stand in `free`; `open` of them exist, at most `open_max`. */
	struct lock lock;
	struct lock_cond wake;         /* a reader came free */
	struct meta_sqlite_conn *free; /* guarded by lock */
	unsigned open, open_max;       /* open: guarded by lock */

	/* For meta_sync(); used by one thread at a time. */
	int log_fd; /* the -wal file; -1 when read-only */
	bool folder_synced;
	bool sync_failed; /* for good: see sqlite-sync.c */
};

/*
 * meta_ops.open: sees what lies at PATH, makes or migrates it where FLAGS say so, and opens it.
 * The descriptor of the log is open too.
 */
int meta_sqlite_open(const char *path, int flags, const struct meta_schema *schema,
		     struct meta_driver **out);

/* meta_ops.close; also takes a half-open driver. */
void meta_sqlite_close(struct meta_driver *d);

/* A reader for the calling thread, given back with meta_sqlite_reader_put(). 0 or as meta_query(). */
int meta_sqlite_reader_get(struct meta_sqlite *s, struct meta_sqlite_conn **out);

/* Gives back what meta_sqlite_reader_get() gave. */
void meta_sqlite_reader_put(struct meta_sqlite *s, struct meta_sqlite_conn *c);

#endif
