/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What makes a commit in SQLite survive a power cut, and what keeps the log short. */
#ifndef GARNER_BACKEND_META_SQLITE_SYNC_H
#define GARNER_BACKEND_META_SQLITE_SYNC_H

#include "backend/meta/sqlite.h"

/* meta_ops.sync and meta_ops.tidy. */
int meta_sqlite_sync(struct meta_driver *d);
int meta_sqlite_tidy(struct meta_driver *d);

/*
 * For the writer, after each commit that went well: moves the log into the main file once it is so long that
 * meta_tidy() cannot have kept up. Failure is logged and tried again later; it harms nothing.
 */
void meta_sqlite_fold(struct meta_sqlite *s);

#endif
