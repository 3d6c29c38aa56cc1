/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A library brought back from its bucket alone, on a machine that has nothing of it: `garner recover`. The tree and all metadata are as of the last backup; content comes from the bucket when it is read.
 *
 * It is built in the library's folder and becomes a library with the last step, when garner.db gets its name. Until then the folder holds a file `recovering`, and whatever cut it short, the
 * same call begins anew.
 */
#ifndef GARNER_LIBRARY_RESTORE_H
#define GARNER_LIBRARY_RESTORE_H

#include <stdbool.h>
#include <stdint.h>

#include "backend/s3/settings.h"
#include "util/buf.h"

/* What came back. */
struct restore_result {
	uint32_t epoch;
	uint64_t state;
	bool older;                   /* a newer state was there and is damaged */
	int64_t at_ns;                /* when the database was as it is now */
	uint64_t bytes;               /* of the backup, fetched */
	uint64_t assets, size;        /* assets, and bytes that they have */
	uint64_t chunks, chunks_here; /* that assets need; of them, in the bucket */
	uint64_t fallen_back; /* assets INCONSISTENT: they have content of before the last change */
	uint64_t missing;     /* assets MISSING: the bucket lacks content of them */
};

/* What goes on, for someone who watches; any may be NULL. */
struct restore_watch {
	void (*progress)(void *arg, const char *what, uint64_t done,
			 uint64_t of); /* of 0: not known */
	/* An asset that is not as it was; a path, or "" in the trash. */
	void (*asset)(void *arg, const char *path, bool missing);
	/* A part of the backup that is damaged or missing, in words; of no harm where the same is there in another. */
	void (*damaged)(void *arg, const char *what);
	void *arg;
};

/*
 * Recovers the library whose bucket S3 says into PATH: no folder yet, an empty one, or one in which a recovery was cut short. On 0 *OUT is filled, and the library can be mounted and survives a power cut.
 * -ESTALE: the newest state is damaged, and without OLDER nothing was done; *OUT, up to `bytes`, says which would be brought back with it: the newest that is whole. -EEXIST: there is a library;
 * -ENOTEMPTY: something else; -ENODATA: the bucket has no whole backup there; ERR_CORRUPT: nothing of what it has is whole; ERR_FUTURE: made by a newer garner; errors of s3_client_submit() and of
 * the disk. WHY gets the cause in words where there are more than the error has.
 */
int restore_library(const char *path, const struct s3_settings *s3, bool older,
		    const struct restore_watch *watch, struct restore_result *out, struct buf *why);

#endif
