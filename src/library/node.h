/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The row of a node in memory, for the files of src/library. */
#ifndef GARNER_LIBRARY_NODE_H
#define GARNER_LIBRARY_NODE_H

#include "library/tree.h"

enum { NODE_COLUMN_COUNT = 18 };

/*
 * Fills *out from the columns of the row that begin at `col`, in the order that sql-tree.def gives
 * them.
 */
void node_read(const struct meta_row *row, int col, struct node *out);

/* The kind for the type bits of `mode` (0 is an asset as for mknod(2)), or 0 when there is none. */
enum node_kind node_kind_of(mode_t mode);

/* The type bits of stat(2) for a kind. */
mode_t node_type(enum node_kind kind);

/* The kind as the journal and the command line write it: "folder", "asset", ... Never NULL. */
const char *node_kind_text(enum node_kind kind);

#endif
