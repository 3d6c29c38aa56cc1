/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Identity over a save: which asset id an asset has after it took the name of another.
 *
 * Many programs save by writing a fresh file and giving it the name of the old one: by renaming it
 * over the old one, or after the old one was renamed away or unlinked. The asset id, with versions
 * and tags, then passes to the fresh asset, and the old node gets a new id (node.asset_id is
 * unique). A node with more entries than the one it loses keeps its identity. A name that an asset
 * with history (sealed content) gave up is remembered for IDENTITY_TUNNEL_NS in the table tunnel,
 * as Windows' name tunnelling does.
 *
 * An asset is fresh for IDENTITY_FRESH_NS after it was made while it has at most one version.
 * Where the old asset was renamed away and still lives, two files are there and only one can be
 * the asset, so more is asked of the fresh one: it was not sealed yet or is at most
 * IDENTITY_TUNNEL_NS old. Else the renumbering of a row of files would pass their identities
 * along.
 */
#ifndef GARNER_LIBRARY_IDENTITY_H
#define GARNER_LIBRARY_IDENTITY_H

#include "library/tree-internal.h"

#define IDENTITY_TUNNEL_NS (15 * TIME_NS_PER_S)
#define IDENTITY_FRESH_NS (3600 * TIME_NS_PER_S)

/*
 * Adds the row that remembers the name that `node` gives up, if it is an asset with history and
 * this was its only entry.
 */
void identity_add_tunnel(struct tree_op *t, const struct tree_name *name, const struct node *node);

/*
 * For a new asset (not inserted yet) whose name was given up moments ago: adds the statements and
 * changes node->asset_id and node->version where it takes over an identity. 0 or a negative error.
 */
int identity_take_new(struct tree_op *t, const struct tree_name *name, struct node *node);

/*
 * For asset `fresh`, which takes `name` by rename or link from nobody: takes over the identity of
 * the one that gave the name up moments ago. Adds the statements before those that change the
 * nodes. *taken gets the asset id, or is untouched. 1 taken over, 0 not, <0 an error.
 */
int identity_take_tunnel(struct tree_op *t, const struct tree_name *name, const struct node *fresh,
			 uint8_t taken[16]);

/*
 * For asset `fresh`, which takes its name from asset `old` by rename: the same. On 1 the caller
 * adds identity_add_replaced() in place of tree_add_unlink().
 */
int identity_take_over(struct tree_op *t, const struct node *old, const struct node *fresh);

/*
 * The old node loses its only entry, and its content lives on as a version: it goes for good, not
 * to the trash.
 */
void identity_add_replaced(struct tree_op *t, const struct tree_name *name, const struct node *old);

#endif
