/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the files of collection share. Not for other folders. */
#ifndef GARNER_CONTENT_COLLECT_INTERNAL_H
#define GARNER_CONTENT_COLLECT_INTERNAL_H

#include "content/content-internal.h"

/* Appends. 0 or -ENOMEM. */
int collect_ids_add(struct collect_ids *list, int64_t id);
/* Sorts, and drops what is there twice. */
void collect_ids_unique(struct collect_ids *list);
void collect_ids_release(struct collect_ids *list);

/* One step. */
struct collect {
	struct content *content;
	int64_t now_ns, grace_ns;
	unsigned limit;
	struct collect_stats *stats;
};

/*
 * Gives back the ranges of these blobs that no place names, and removes those that have no place at all; blobs of living instances are
 * left alone. Rows that went before are made durable first. 0 or negative error of the metadata.
 */
int collect_blobs(struct collect *k, const struct collect_ids *blobs);

/*
 * Gives back what neither a place nor an edge names of one blob, for rows that went before and are gone for good; its file, where its own row went. Only
 * while nobody has it: 1 done (also when there is no such file), 0 someone may have it, negative: an error. *FREED goes up by the bytes on the disk.
 *
 * A view that was begun before the rows went and opens the file after it was punched would show zeros: it is built again (content_move_begin()). One that has the
 * file open by then keeps it as it is.
 */
int collect_trim(struct content *c, int64_t blob, uint64_t *freed);

/* Removes files of blobs whose rows are gone and that fact durable. */
void collect_unlink(struct collect *k, const struct collect_ids *blobs);

#endif
