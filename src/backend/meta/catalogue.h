/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The texts behind the names: every statement of sql.def and every version of schema.def, as
 * tables for the drivers.
 */
#ifndef GARNER_BACKEND_META_CATALOGUE_H
#define GARNER_BACKEND_META_CATALOGUE_H

#include "backend/meta/meta.h"

/* The text of a statement, in the common form of all dialects. Static. */
const char *meta_catalogue_text(enum meta_stmt stmt);

/* The name of a statement, for messages: "NODE_GET". Static. */
const char *meta_catalogue_name(enum meta_stmt stmt);

/*
 * Whether a statement reads so few rows, found by an index, that it may run between the operations of the
 * connection that writes.
 */
bool meta_catalogue_short(enum meta_stmt stmt);

/* Statements, with dialect words, that bring a database from the version before to `version`. */
struct meta_migration {
	int version;
	const char *sql;
};

/* Versions in rising order from 1, without gaps; the last is the one that statements are for. */
struct meta_schema {
	const struct meta_migration *list;
	int count; /* and so the newest version */
};

/* The schema of schema.def. */
extern const struct meta_schema meta_catalogue_schema;

#endif
