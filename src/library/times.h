/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Times that are known here and not yet in the database: access times, and status change times that the kernel
 * hands in after a change that was recorded already. One transaction records many of them, so that reading files
 * and renaming them costs none each. A crash of the process may lose those of the last period of the clock
 * (setting sync_every), as on ext4 with lazytime.
 *
 * Only a process with a clock (library_start() of a mount) keeps any.
 */
#ifndef GARNER_LIBRARY_TIMES_H
#define GARNER_LIBRARY_TIMES_H

#include "library/internal.h"

/*
 * Keeps an access time. True if it did; else the caller records it itself. Any thread, no locks held; now and then
 * blocks as times_record().
 */
bool times_keep_access(struct library *lib, int64_t ino, int64_t atime_ns);

/*
 * The same for a status change time that is to follow `was_ns`, which tree_get() gave; it may be the earlier of the two.
 * A later change of the row wins over it.
 */
bool times_keep_change(struct library *lib, int64_t ino, int64_t was_ns, int64_t ctime_ns);

/* An access time is set to something else: what is kept of it must not follow. Before that is applied. Any thread, no locks held. */
void times_forget_access(struct library *lib, int64_t ino);

/* Overwrites times of `n` with what is kept. Any thread. */
void times_overlay(struct library *lib, struct node *n);

/* Records all that is kept. 0 or as meta_apply(), and all is still kept. Any thread, no locks held. */
int times_record(struct library *lib);

#endif
