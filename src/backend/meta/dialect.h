/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The few words in which the databases differ; schema.def lists them with their meaning. */
#ifndef GARNER_BACKEND_META_DIALECT_H
#define GARNER_BACKEND_META_DIALECT_H

#include "util/buf.h"

struct meta_dialect_word {
	const char *word; /* without braces */
	const char *text; /* what stands for it */
};

/* Words up to one whose `word` is NULL. */
struct meta_dialect {
	const struct meta_dialect_word *words;
};

extern const struct meta_dialect meta_dialect_sqlite;
extern const struct meta_dialect meta_dialect_postgres;

/*
 * Appends SQL to OUT with each {word} replaced. 0, -ENOMEM, or -EINVAL for a word that D does not
 * have or a brace without its fellow; OUT then holds a part of it.
 */
int meta_dialect_expand(const struct meta_dialect *d, const char *sql, struct buf *out);

#endif
