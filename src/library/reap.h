/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Deleting in the bucket what the library does not have any more: chunks and manifests whose rows collection has removed (content/collect.h), which left their names as tombstones.
 *
 *   row goes, tombstone  one operation; in the open batch
 *   closed               nothing is added to the batch any more
 *   safe                 the backup in the bucket has a state of after that: its number is written down
 *   due                  as long ago as the settings say ([s3] delete-after), and no state of before can be brought back any more: older segments are deleted first (backup_ship_raise())
 *   taken                there is no row of that name: in one statement. What comes back from then on is not sent before it is decided (SQL_UPLOAD_FREE)
 *   deleted              manifests first, then chunks; only after all that is durable here, and while nobody else has claimed the backup
 *   gone                 the tombstone goes
 *
 * A crash at any point repeats what follows: who deletes what is not there succeeds. What a dead process took is left alone, and not sent anew, until its last request must be over.
 * Nothing is concluded from what a list or a scan does not show; each name is asked for by itself, where it would be wanted.
 *
 * It works beside a ship (backup-ship.h), by the same thread, since only the owner of the newest backup may delete.
 */
#ifndef GARNER_LIBRARY_REAP_H
#define GARNER_LIBRARY_REAP_H

#include "library/backup-ship.h"
#include "library/library.h"

struct reap;

struct reap_params {
	struct meta *meta;       /* as long as it is there, as what follows */
	const uint8_t *instance; /* of this process */
	int64_t grace_ns;        /* how long the backup has to know that it is gone */
	int64_t lease_ns; /* how long a request may be under way when nobody hears of it any more; 0: 2 min */
};

/* Since it was made. */
struct reap_facts {
	uint64_t chunks, chunk_bytes, manifests; /* that were deleted */
	int err;                                 /* what keeps it; 0: nothing */
	int64_t err_ns;                          /* when, by the wall clock */
	char why[256];                           /* in words: bucket, key, cause */
};

/* Asks nobody. 0 or -ENOMEM. */
int reap_new(const struct reap_params *params, struct reap **out);
void reap_free(struct reap *r);

/*
 * A piece of it, for a ship that has begun: 1 when there is more to do, after backup_ship_merge(); 0 when nothing is due now; an error of backup_ship_step() or of
 * the metadata, after which it does nothing for a while. HURRY: someone waits for it, so that all is looked at now. The ship's thread.
 */
int reap_step(struct reap *r, struct backup_ship *ship, bool hurry);

/* As of the last call. */
void reap_facts(const struct reap *r, struct reap_facts *out);

/* What the bucket has and nothing here names: what a lost machine, or an older garner, left there. */
struct reap_strays {
	uint64_t chunks, chunk_bytes, manifests;
};

/*
 * Lists what the bucket has, for a ship that has begun, and unless DRY leaves a tombstone for each name that is not known here: it is deleted like any other, so not before DELETE-AFTER from
 * now, and not if a row of that name comes meanwhile. OUT is filled in any case. 0 or an error of the bucket or the metadata. The ship's thread.
 */
int reap_find_strays(struct meta *m, struct backup_ship *ship, bool dry, struct reap_strays *out);

/* What waits in the table, with or without who deletes it. */
struct reap_backlog {
	uint64_t chunks, chunk_bytes, manifests;
	int64_t first_ns; /* since when the oldest of it is safe; 0: it is not yet */
};

/* Fills *OUT. 0 or an error of meta_query(). Takes time in proportion to the table. Any thread. */
int reap_backlog(struct meta *m, struct reap_backlog *out);

#endif
