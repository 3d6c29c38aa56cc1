/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Rows of the journal: every change of the tree or of an asset adds one in its own operation.
 *
 * before, after: small JSON objects. Bytes of a name or a value that are not UTF-8 are written as
 * the escapes \udc80 to \udcff (lone surrogates, as PEP 383 does), so that nothing is lost; names
 * of entries are bytes in their own columns.
 */
#ifndef GARNER_LIBRARY_JOURNAL_H
#define GARNER_LIBRARY_JOURNAL_H

#include "library/library.h"
#include "util/buf.h"

/* Actions. */
#define JOURNAL_CREATE "create"
#define JOURNAL_LINK "link"
#define JOURNAL_UNLINK "unlink"
#define JOURNAL_RMDIR "rmdir"
#define JOURNAL_REMOVE "remove"
#define JOURNAL_RENAME "rename"
#define JOURNAL_EXCHANGE "exchange"
#define JOURNAL_SET "set"
#define JOURNAL_XATTR "xattr"
#define JOURNAL_SEAL "seal"
#define JOURNAL_RESTORE "restore"
#define JOURNAL_PURGE "purge"
#define JOURNAL_LOST "lost"

/* One row; zero fields are NULL in the table. All pointers are borrowed for the call. */
struct journal_row {
	const char *action;
	int64_t ino;
	int64_t parent, old_parent;
	const char *name, *old_name; /* bytes */
	size_t name_len, old_name_len;
	const char *before, *after; /* JSON */
};

/*
 * Adds the row to `op`. It belongs after the statements that change the node, whose asset id and
 * version it takes as the operation leaves them (before those that delete it). `who` may be NULL:
 * garner itself, actor 0.
 */
void journal_add(struct meta_op *op, struct library *lib, const struct actor *who, int64_t at_ns,
		 const struct journal_row *row);

/* Appends bytes as a JSON string with its quotes. 0 or -ENOMEM. */
int journal_quote(struct buf *out, const char *bytes, size_t len);

#endif
