/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Who mounts a library: an flock on LIBRARY/mount.lock. The file holds the process id for people; it is empty while a daemon is on its way out.
 * For library.c alone.
 */
#ifndef GARNER_LIBRARY_LOCK_H
#define GARNER_LIBRARY_LOCK_H

#include "library/internal.h"

/*
 * Takes the lock, kept in lib->lock_fd. Another that holds it is waited for: a second, or half a minute if it is on its way out. ERR_LOCKED (the holder
 * is logged) or a negative errno.
 */
int library_lock(struct library *lib);

/* Says that this process is on its way out; the lock is given up when lock_fd is closed. */
void library_lock_leave(struct library *lib);

#endif
