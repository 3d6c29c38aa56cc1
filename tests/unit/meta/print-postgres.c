/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Prints the schema and every statement as a script for PostgreSQL's psql: postgres.sh runs it. A
 * statement is prepared, not run.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>

#include "backend/meta/catalogue.h"
#include "backend/meta/dialect.h"
#include "util/cleanup.h"

int main(void)
{
	CLEANUP_BUF struct buf sql = BUF_INIT;

	for (int i = 0; i < meta_catalogue_schema.count; i++)
		if (meta_dialect_expand(&meta_dialect_postgres, meta_catalogue_schema.list[i].sql,
					&sql))
			return EXIT_FAILURE;
	printf("BEGIN;\n%s;\nCOMMIT;\n", buf_str(&sql));
	for (enum meta_stmt stmt = 0; stmt < META_STMT_COUNT; stmt++)
		printf("\\echo preparing %s\nPREPARE s%d AS %s;\n", meta_catalogue_name(stmt),
		       (int)stmt, meta_catalogue_text(stmt));
	return EXIT_SUCCESS;
}
