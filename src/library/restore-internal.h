/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the restore-*.c share. Not for other files. */
#ifndef GARNER_LIBRARY_RESTORE_INTERNAL_H
#define GARNER_LIBRARY_RESTORE_INTERNAL_H

#include "library/backup-internal.h"
#include "library/restore.h"

struct restore {
	const char *path;
	int dir_fd;
	bool folder_made, older;
	struct backup_bucket bucket;
	const struct restore_watch *watch;
	struct restore_result result;
	uint8_t library[16]; /* of the backup */
	struct buf *why;
};

#define RESTORE_DB "garner.db.recover"

/* Tells how far it is. */
void restore_progress(struct restore *r, const char *what, uint64_t done, uint64_t of);

/* Has the newest backup that is whole in the file RESTORE_DB, checked and synced; fills the result up to `bytes`, also with -ESTALE. As restore_library(). */
int restore_fetch(struct restore *r);

/* Makes what was fetched fit for this machine, and finds out what of the content the bucket has; fills the rest of the result. */
int restore_mend(struct restore *r);

#endif
