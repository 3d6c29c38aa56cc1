/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The background work of the process that mounts: sealing drafts some time after their last close,
 * removing what no entry names, and the clock (log sync, sizes of open files, trash, sweeping,
 * collection). Started and stopped by library.c through internal.h; a queue in memory that
 * recover_drafts() fills at start.
 *
 * Nothing is lost when it stops at any point: a draft that is not sealed is sealed at the next
 * start.
 */
#ifndef GARNER_LIBRARY_SEALER_H
#define GARNER_LIBRARY_SEALER_H

#include "library/library.h"

struct sealer_status {
	uint64_t pending_files, pending_bytes; /* drafts that wait or are being sealed */
	uint64_t sealed_files, sealed_bytes;   /* since the start */
	uint64_t new_bytes;                    /* of them, bytes that were not held before */
	uint64_t given_up;                     /* seals that a change overtook */
	int last_error;                        /* of the last attempts: 0 when they went well */
	int64_t last_error_ino;
	int64_t last_error_ns;
};

/*
 * Queues the draft of `ino` for sealing after the library's seal_delay; again if it is queued
 * already. Nothing happens in a process without a sealer. Any thread.
 */
void sealer_queue(struct library *lib, int64_t ino, uint64_t size);

/* Queues the removal of an orphan; false when no sealer runs: the caller does it. Any thread. */
bool sealer_purge(struct library *lib, int64_t ino);

/* The metadata has grown: the clock tidies it now (meta_tidy()). Any thread. */
void sealer_tidy(struct library *lib);
/* Space is wanted: the clock looks now for what crashes left, unless it has since the mount. Any thread. */
void sealer_collect(struct library *lib);
/* Someone is about to wait for meta_sync(): the clock begins it where it can. Any thread. */
void sealer_sync_soon(struct library *lib);

/*
 * Waits until everything that was written and closed before the call is sealed and what was
 * unlinked is gone, no longer than until time_mono_ns() is `deadline_ns`. *skipped (may be NULL):
 * files that were left out because someone has them mapped; those that are open for writing come besides. 0, -ETIMEDOUT,
 * -ECANCELED (the library closes), -ENOTCONN (no sealer runs), or the error of the last draft that
 * could not be sealed.
 */
int sealer_sync(struct library *lib, int64_t deadline_ns, uint64_t *skipped);

/*
 * The same in two steps, for a thread that cannot wait: the ticket of now, and 1 when it is done
 * (with *result as sealer_sync()), 0 when not yet.
 */
struct sealer_ticket {
	uint64_t seq, failures, skips;
	bool backlog; /* drafts of a former run were not all queued yet */
};
void sealer_ticket(struct library *lib, struct sealer_ticket *out);
int sealer_ticket_done(struct library *lib, const struct sealer_ticket *t, int *result,
		       uint64_t *skipped);

/* All zero when no sealer runs. */
void sealer_status(struct library *lib, struct sealer_status *out);

#endif
