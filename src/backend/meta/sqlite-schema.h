/* SPDX-License-Identifier: GPL-3.0-or-later */
/* New databases and old ones. */
#ifndef GARNER_BACKEND_META_SQLITE_SCHEMA_H
#define GARNER_BACKEND_META_SQLITE_SCHEMA_H

#include "backend/meta/catalogue.h"

/*
 * Makes a database of the newest version at PATH, where nothing may be. It is built under another
 * name and moved into place, so that a crash leaves nothing at PATH; on 0 it survives a power cut.
 * Errors as meta_open(), logged but for -EEXIST.
 */
int meta_sqlite_schema_create(const char *path, const struct meta_schema *schema);

/*
 * Brings the database at PATH, which no one else may have open, to the newest version in one
 * transaction, after a copy to PATH.vN.bak (N: its version; one of the same name is replaced). 0 also if it is
 * of that version by now. Errors as meta_open(), logged; the database is then as it was.
 */
int meta_sqlite_schema_migrate(const char *path, const struct meta_schema *schema);

#endif
