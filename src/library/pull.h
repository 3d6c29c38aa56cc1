/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Pulling: what of assets is in the bucket alone is fetched and kept here. By the process that calls; or by the one that mounts, which has a thread for it and is asked over
 * its socket.
 */
#ifndef GARNER_LIBRARY_PULL_H
#define GARNER_LIBRARY_PULL_H

#include "library/library.h"

enum { PULL_MAX = 256 }; /* assets at a time */

struct pull_failure {
	int64_t ino;
	int err;
};

/* Freed by nobody: it holds all it has. */
struct pull_result {
	uint64_t files, bytes; /* assets that are all here now; bytes that were fetched for it */
	struct pull_failure failures[PULL_MAX];
	size_t failed;
};

/*
 * Fetches all of the content of `count` assets, PULL_MAX at most; others go on when one fails. `stop(arg)`, which may be NULL, is asked between chunks: true
 * ends it with -ECANCELED. On 0 what is here now is recorded. Failures: -ENOENT, -EINVAL (no asset), -EIO, -ENOSPC (fetched, but there was no room to keep it) and those of reading.
 * Else -EINVAL for the count, -EROFS, -ECANCELED or an error of recording. Any thread; blocks.
 */
int pull_assets(struct library *lib, const int64_t *inos, size_t count, bool (*stop)(void *arg),
		void *arg, struct pull_result *out);

/*
 * The mount's thread. puller_ask() hands it assets, PULL_MAX at most: on 0 *ticket is for puller_answer(), which is true when it is done: then *err is what pull_assets()
 * returned, *out what it found, and the ticket is no more. An answer that nobody takes is forgotten in time. -EINVAL, -ENOMEM, -ECANCELED (the mount is ending).
 */
int puller_ask(struct library *lib, const int64_t *inos, size_t count, uint64_t *ticket);
bool puller_answer(struct library *lib, uint64_t ticket, int *err, struct pull_result *out);

#endif
