/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Whether a library is what it says it is: the database's structure, the tree, objects against chunks, reference counts, and chunks against the bytes
 * in the blobs. Names what is damaged by path. Repairs what follows from the rest (counts, the state of assets that have lost content), and brings
 * chunks back from another copy here or from the bucket; others come back by writing them again (a dedup hit heals).
 *
 * May run beside a mount: what looks wrong is looked at again before it is told, since another process may have moved on in between.
 */
#ifndef GARNER_LIBRARY_CHECK_H
#define GARNER_LIBRARY_CHECK_H

#include "library/library.h"

#define CHECK_DEEP 0x1   /* read and hash every chunk */
#define CHECK_REPAIR 0x2 /* mend what can be mended; needs a library that is open for writing */

struct check_result {
	uint64_t objects, chunks, bytes_hashed; /* looked at */
	uint64_t faults;                        /* found */
	uint64_t mended;                        /* of them, repaired */
	uint64_t damaged_assets;                /* that cannot be read whole */
};

struct check_watch {
	void (*fault)(void *arg, const char *line); /* one line for each fault, without a newline */
	void (*progress)(void *arg, uint64_t done, uint64_t of); /* chunks; may be NULL */
	void *arg;
};

/* Checks all; faults are told as they are found. 0 when it could be carried through, whatever was found; an error when it could not. */
int check_library(struct library *lib, int flags, const struct check_watch *watch,
		  struct check_result *out);

#endif
