/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The backup of the metadata in the bucket, of a library that has one: by a thread of the process that mounts, a few seconds behind all that is changed, and by the command `garner backup` where
 * nobody mounts. How it is done: backup-ship.h.
 */
#ifndef GARNER_LIBRARY_BACKUP_H
#define GARNER_LIBRARY_BACKUP_H

#include "library/backup-ship.h"
#include "library/library.h"
#include "library/reap.h"
#include "util/buf.h"

enum backup_mood {
	BACKUP_OFF,     /* no bucket, switched off, or nobody mounts */
	BACKUP_CURRENT, /* the bucket has what there is, as of a few seconds ago */
	BACKUP_BEHIND,  /* being sent */
	BACKUP_FAILING, /* the bucket is not reached; tried again */
	BACKUP_REFUSED, /* the backup in the bucket is another's */
};

struct backup_status {
	enum backup_mood mood;
	struct backup_ship_facts facts;
	int64_t behind_ns;      /* how old the oldest change is that the bucket does not have */
	struct reap_facts reap; /* what was deleted in the bucket */
	char why[512];          /* FAILING, REFUSED: what is wrong */
};

/* As of now; all zero where no thread works. Any thread. */
void backup_status(struct library *lib, struct backup_status *out);

/* The word for it: "off", "current", "behind", "failing", "refused". */
const char *backup_mood_word(enum backup_mood mood);

/*
 * Has the thread send at once what there is. The ticket is for backup_told(): 1 when the bucket has all that was committed before the call, or it could not be done (*RESULT); 0 when not yet. With
 * TAKE_OVER another machine's backup is no obstacle. Ticket 0: no thread works, -ENOTCONN, or -ENOENT where there is no bucket. Any thread.
 */
uint64_t backup_ask(struct library *lib, bool take_over);
int backup_told(struct library *lib, uint64_t ticket, int *result);

/*
 * The same for a process that does not mount: one backup, by the calling thread. FACTS may be NULL; WHY gets what is wrong in words. 0; -ENOENT: the library has no bucket; -EBUSY: another process is at it;
 * else as backup_ship_begin() and backup_ship_step().
 */
int backup_now(struct library *lib, bool take_over, struct backup_ship_facts *facts,
	       struct buf *why);

/*
 * Has what is due deleted in the bucket (reap.h), by the calling thread of a process that does not mount, with the backups that this needs. With STRAYS what nothing names is looked for first; with DRY that
 * alone is done, and nothing written. FACTS is filled in any case. -ENOENT: the library has no bucket; else as backup_now().
 */
int backup_reap(struct library *lib, struct reap_strays *strays, bool dry, struct reap_facts *facts,
		struct buf *why);

/*
 * Whether the prefix that CLIENT is of, which is taken over, has the backup of a library already: 1, with whose it is in words appended to WHOSE, as far as that is known; 0; or an error of
 * s3_client_submit(). Asks the bucket, and waits.
 */
int backup_found(struct s3_client *client, struct buf *whose);

#endif
