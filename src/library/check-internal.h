/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One run of check_library(), for its files alone. */
#ifndef GARNER_LIBRARY_CHECK_INTERNAL_H
#define GARNER_LIBRARY_CHECK_INTERNAL_H

#include "library/check.h"
#include "backend/meta/meta.h"

struct check {
	struct library *lib;
	struct meta *meta;
	int flags;
	const struct check_watch *watch;
	struct check_result result;
	uint8_t *buf; /* one chunk, for hashing */
	size_t room;
};

/* Tells and counts a fault. */
void check_fault(struct check *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Tells which assets use chunk `id`, by path, and marks them INCONSISTENT when repairing. */
int check_blame(struct check *c, int64_t chunk);

/* Objects and reference counts, from the rows alone. */
int check_objects(struct check *c);

/* Chunks against the blobs, and blobs against their rows. */
int check_places(struct check *c);

/* Edges against their objects and the blobs. */
int check_edges(struct check *c);

#endif
