/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The pages of a SQLite database: which have changed, and what they hold at one moment. */
#ifndef GARNER_BACKEND_META_SQLITE_PAGES_H
#define GARNER_BACKEND_META_SQLITE_PAGES_H

#include "backend/meta/sqlite.h"

/* meta_ops.pages. */
int meta_sqlite_pages(struct meta_driver *d, struct meta_pages **out);

#endif
