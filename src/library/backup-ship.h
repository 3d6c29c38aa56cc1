/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Backing up the metadata into the bucket, step by step, for whoever has a thread for it: the mount's (backup.h) or the command `garner backup`. Each step sends the pages that have changed
 * since the last as a segment (backup-segment.h); now and then segments are sent anew as one, so that a recovery needs few, and those that it replaces are deleted.
 *
 * Whose backup it is: an epoch belongs to whoever made `meta/claims/EPOCH`, and only he writes below `meta/EPOCH/`. A library that has not the newest claim begins a new epoch, where it
 * may, or refuses; the newest epoch with a whole backup is what is recovered. So two machines with one bucket never mix: one of them is told.
 *
 * One thread at a time; backup_ship_cancel() any.
 */
#ifndef GARNER_LIBRARY_BACKUP_SHIP_H
#define GARNER_LIBRARY_BACKUP_SHIP_H

#include "backend/meta/meta.h"
#include "backend/s3/client.h"

struct backup_bucket;
struct backup_ship;

struct backup_ship_params {
	struct meta *meta;        /* open for writing, as long as the ship is there */
	int dir_fd;               /* of the library; stays the caller's */
	const char *path;         /* of the library, for people; copied */
	uint8_t library[16];      /* its id */
	uint8_t machine[16];      /* of this machine: backup_machine() */
	struct s3_client *client; /* taken over, also on failure */
};

/* Where it stands. */
struct backup_ship_facts {
	uint32_t epoch;        /* 0: none is ours yet */
	uint64_t state;        /* the last that the bucket has; 0: none */
	int64_t at_ns;         /* when the database was in it */
	uint64_t steps, bytes; /* sent by this ship: segments, and bytes of all */
	bool merging;          /* segments are being sent anew as one */
};

/* Opens what this machine knows of its backup; asks nobody. -EBUSY: another process is at it. 0, -ENOMEM, -EOPNOTSUPP, a negative errno. */
int backup_ship_new(const struct backup_ship_params *params, struct backup_ship **out);
void backup_ship_free(struct backup_ship *s);

/*
 * Finds out whose backup it is and what the bucket has; what was being merged is left. With TAKE_OVER a new epoch is begun where another machine had the last. Before the first step, and again
 * where that is said. 0; -EEXIST: it is another's, or it cannot be told whose, backup_ship_why() says whose; an error of s3_client_submit(), after which it may be called again.
 */
int backup_ship_begin(struct backup_ship *s, bool take_over);

/* False before backup_ship_begin(), and when a step could not write down what it had sent: then it is to be called again. */
bool backup_ship_begun(const struct backup_ship *s);

/* Whether there may be something to send. Quick. */
bool backup_ship_due(struct backup_ship *s);

/*
 * Sends what has changed: 1 when something was sent, 0 when nothing had changed; then the bucket has the database as it was when it was called, or later. An error of s3_client_submit() or
 * meta_query(); -EAGAIN: several tries were in vain; it may be called again, where backup_ship_begun() still says so. -EEXIST: someone else has taken the backup over; for good. Whether
 * that is so is looked at after each that was sent, and before it once a minute and, with SURE, now.
 */
int backup_ship_step(struct backup_ship *s, bool sure);

/* Sends one part of a segment that replaces others: 1 when there is more to do, 0 when not. Errors as backup_ship_step(); then it is begun anew later. */
int backup_ship_merge(struct backup_ship *s);

/*
 * For who deletes what older states name. *FLOOR: no state of the backup before that one, of the ship's epoch, can be brought back from the bucket any more, whatever in it is damaged; 0: it cannot be
 * said. Asks the bucket; before that whose the backup is, errors as backup_ship_step().
 */
int backup_ship_floor(struct backup_ship *s, uint64_t *floor);

/*
 * Has the floor raised to state AT or later, by what is in the bucket then or by a segment that has all pages, which the next step makes; what is older, of other epochs too, is deleted
 * by backup_ship_merge(). Errors as backup_ship_floor().
 */
int backup_ship_raise(struct backup_ship *s, uint64_t at);

/* Whether that is still to be done. */
bool backup_ship_raising(const struct backup_ship *s);

/* Whether another has taken the backup over: 0, -EEXIST, or an error of s3_client_submit(). Asks the bucket. */
int backup_ship_owner(struct backup_ship *s);

/* The bucket, for requests of the ship's thread. */
struct backup_bucket *backup_ship_bucket(struct backup_ship *s);

/* Writes down durably how far it is. */
int backup_ship_save(struct backup_ship *s);

/* The last error in words, "" where there are none. */
const char *backup_ship_why(const struct backup_ship *s);

/* As of the last call. */
void backup_ship_facts(const struct backup_ship *s, struct backup_ship_facts *out);

/* What waits for the bucket ends with -ECANCELED, now and from now on. Any thread. */
void backup_ship_cancel(struct backup_ship *s);

#endif
