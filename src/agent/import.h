/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Import: takes files and folder trees of this machine into a library, many at a time.
 *
 * A SOURCE `dir/x` becomes FOLDER/x with all below it (`dir/x/.`: its entries come into FOLDER), with times, modes, owners, extended attributes,
 * ACLs, holes and hard links. What is there already with the same kind, size and mtime is left alone, so an import that was cut off at any point is
 * continued by the same call. Other content becomes a new version of the asset that has the name; what is no asset on either side is replaced.
 *
 * Not here: watching a folder, indexing in place.
 */
#ifndef GARNER_AGENT_IMPORT_H
#define GARNER_AGENT_IMPORT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "library/library.h"

struct import_stats {
	uint64_t folders; /* made */
	uint64_t added;   /* assets made */
	uint64_t changed; /* assets that got another version, and nodes that got other attributes */
	uint64_t unchanged;    /* there already */
	uint64_t linked;       /* names that are hard links of another one */
	uint64_t others;       /* symlinks and special files made */
	uint64_t removed;      /* of sources, after they were moved */
	uint64_t skipped;      /* the library itself, its mount */
	uint64_t failed;       /* each was told */
	uint64_t bytes;        /* of content read */
	uint64_t stored_bytes; /* of that, held nowhere before */
};

/* All pointers are borrowed for the run. */
struct import_options {
	int64_t into;     /* the folder */
	struct actor who; /* for the journal */
	bool move;        /* sources are removed once their content is durable in the library */
	bool dry_run;     /* nothing is changed */
	unsigned jobs;    /* threads; 0: one for each core */
	const char *
		mount; /* where the library is mounted, or NULL: what lies there is not walked into */
	/* Tells of a path that failed or (`failed` unset) was left out on purpose. Any thread, several at once. */
	void (*tell)(void *arg, bool failed, const char *path, const char *why);
	/* Called now and then on the calling thread; nonzero ends the run. */
	int (*progress)(void *arg, const struct import_stats *now);
	void *arg;
};

/*
 * Imports `count` sources; blocks. The library is open for writing and started. On 0 everything was done but for what *stats counts as failed. -ECANCELED:
 * progress() ended it; -ENOSPC, -EROFS, ERR_CORRUPT and other errors of the library end it too. In all cases what was done stays, survives a crash
 * of the process, and *stats is filled in.
 */
int import_run(struct library *lib, const struct import_options *options, char *const *sources,
	       size_t count, struct import_stats *stats);

#endif
