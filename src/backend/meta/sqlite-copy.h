/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Copies of a database, and the check of one. */
#ifndef GARNER_BACKEND_META_SQLITE_COPY_H
#define GARNER_BACKEND_META_SQLITE_COPY_H

#include <stdbool.h>

#include "backend/meta/sqlite-conn.h"

/*
 * Copies the database that C has open, as it is now, to PATH. What lies at PATH is replaced, or, without
 * REPLACE, is -EEXIST. On 0 the copy survives a power cut; else PATH is as it was. Errors as meta_apply(), logged.
 */
int meta_sqlite_copy(struct meta_sqlite_conn *c, const char *path, bool replace);

/*
 * Makes the finished database at FRESH, which no one has open, durable and moves it to PATH in the same
 * folder, as meta_sqlite_copy().
 */
int meta_sqlite_copy_settle(const char *fresh, const char *path, bool replace);

/* fsync() of the folder that PATH is in. 0 or a negative errno, logged. */
int meta_sqlite_copy_sync_folder(const char *path);

/* As meta_check(), through C. */
int meta_sqlite_check(struct meta_sqlite_conn *c, void (*report)(void *arg, const char *line),
		      void *arg);

#endif
