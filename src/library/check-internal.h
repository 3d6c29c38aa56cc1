/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One run of check_library(), for its files alone. */
#ifndef GARNER_LIBRARY_CHECK_INTERNAL_H
#define GARNER_LIBRARY_CHECK_INTERNAL_H

#include "library/check.h"
#include "backend/meta/meta.h"
#include "backend/store/store.h"
#include "content/hash.h"

/* Inode numbers gathered by a query, since no query may run inside another. */
struct check_inodes {
	int64_t *list;
	size_t count, room;
};

struct check {
	struct library *lib;
	struct meta *meta;
	int flags;
	const struct check_watch *watch;
	struct check_result result;
	uint8_t *buf; /* one chunk, for hashing */
	size_t room;
	struct store *local;        /* to which chunks are brought back; NULL: not needed yet */
	int bucket_err;             /* why the bucket is not asked any more */
	struct check_inodes blamed; /* whose content is damaged */
	struct check_inodes healed; /* INCONSISTENT, and a chunk of theirs was brought back */
};

/* Tells and counts a fault. */
void check_fault(struct check *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Tells which assets use chunk `id`, by path, and marks them INCONSISTENT when repairing. */
int check_blame(struct check *c, int64_t chunk);

/* Notes which assets use chunk `id`, that was brought back, and are INCONSISTENT. Those of which nothing else is damaged are so no more after a run that has read all bytes. */
int check_absolve(struct check *c, int64_t chunk);

/* Objects and reference counts, from the rows alone. */
int check_objects(struct check *c);

/* Chunks against the blobs, and blobs against their rows. */
int check_places(struct check *c);

/* Reads what is at a place to c->buf: 1 it hashes to the name, 0 it does not, negative: it cannot be read, or -ENOMEM. */
int check_read(struct check *c, int64_t blob, uint64_t start, uint64_t size,
	       const struct hash *hash);

/*
 * Brings a chunk back of which a place is damaged. 1: it has a good place, durably, and no damaged one any more, *HOW says from where; 0: nobody has its bytes; -EREMOTE: the bucket may have
 * them, and does not answer (c->bucket_err); an error of the disk or the metadata.
 */
int check_mend(struct check *c, const struct hash *hash, uint64_t size, const char **how);

/* Edges against their objects and the blobs. */
int check_edges(struct check *c);

#endif
