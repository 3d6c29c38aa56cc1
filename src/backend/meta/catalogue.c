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
