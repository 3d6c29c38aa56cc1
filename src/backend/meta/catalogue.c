/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The .def files as tables. */
#include "config.h"

#include "backend/meta/catalogue.h"

static const char *const catalogue_texts[] = {
#define STATEMENT(name, text) [META_##name] = (text),
#include "backend/meta/sql.def"
#undef STATEMENT
};

static const char *const catalogue_names[] = {
#define STATEMENT(name, text) [META_##name] = #name,
#include "backend/meta/sql.def"
#undef STATEMENT
};

/* What requests of the mount ask before and between changes. */
static const bool catalogue_short[META_STMT_COUNT] = {
	[META_NODE_GET] = true,    [META_NODE_LOOKUP] = true, [META_NODE_LOOKUP_TWO] = true,
	[META_NODE_TARGET] = true, [META_ENTRY_OF] = true,    [META_FOLDER_FOR_NEW] = true,
	[META_XATTR_GET] = true,   [META_TUNNEL_GET] = true,  [META_VERSION_SOME] = true,
	[META_FILE_LOAD] = true,
};

static const struct meta_migration catalogue_migrations[] = {
#define MIGRATION(number, text) { .version = (number), .sql = (text) },
#include "backend/meta/schema.def"
#undef MIGRATION
};

const struct meta_schema meta_catalogue_schema = {
	.list = catalogue_migrations,
	.count = sizeof(catalogue_migrations) / sizeof(catalogue_migrations[0]),
};

const char *meta_catalogue_text(enum meta_stmt stmt)
{
	return catalogue_texts[stmt];
}

const char *meta_catalogue_name(enum meta_stmt stmt)
{
	return catalogue_names[stmt];
}

bool meta_catalogue_short(enum meta_stmt stmt)
{
	return catalogue_short[stmt];
}
