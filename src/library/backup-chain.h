/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which segments of an epoch the bucket has, and which of them lead to a state. */
#ifndef GARNER_LIBRARY_BACKUP_CHAIN_H
#define GARNER_LIBRARY_BACKUP_CHAIN_H

#include <stddef.h>

#include "library/backup-bucket.h"
#include "library/backup-segment.h"

/* A segment, as far as the bucket has it. */
struct backup_link {
	uint64_t from, to;
	uint32_t parts, have; /* have < parts: it was not sent whole */
	uint64_t bytes;
};

/* Zeroed is empty. */
struct backup_chain {
	uint32_t epoch;
	struct backup_link *links; /* in the order of their keys: by `to`, then `from` */
	size_t count, room;
};

/* Asks the bucket for the segments of EPOCH; *OUT is overwritten. 0 or as backup_bucket_list(). */
int backup_chain_list(struct backup_bucket *b, uint32_t epoch, struct backup_chain *out);
void backup_chain_free(struct backup_chain *c);

/*
 * The whole segment that leads furthest from state AT (0: nothing is there yet), NULL when none leads on. Taking the furthest each time needs the fewest.
 */
const struct backup_link *backup_chain_next(const struct backup_chain *c, uint64_t at);

/* The last state that can be had; 0: none. */
uint64_t backup_chain_end(const struct backup_chain *c);

/* The highest state that any segment, whole or not, is of; 0: none. */
uint64_t backup_chain_top(const struct backup_chain *c);

/* The last state that was there for certain: a whole segment is of it, or one, whole or not, begins with it. Beyond the end, what leads there is lost. 0: none. */
uint64_t backup_chain_known(const struct backup_chain *c);

/* From now on that segment, of whatever list, counts as not sent whole. */
void backup_chain_drop(struct backup_chain *c, const struct backup_link *link);

#endif
