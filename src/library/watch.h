/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The watch over the journal: what other processes changed in the library, for the caches of this
 * one. A thread of the process that mounts reads new rows of other instances, at once when one of
 * them pokes (control.h), else within a second.
 */
#ifndef GARNER_LIBRARY_WATCH_H
#define GARNER_LIBRARY_WATCH_H

#include "library/library.h"

/*
 * One row of the journal. Numbers are 0 and names NULL where the row has none; names are not
 * NUL-terminated.
 */
struct watch_change {
	const char *action; /* journal.h */
	int64_t ino;
	int64_t parent, old_parent;
	const char *name, *old_name;
	size_t len, old_len;
	bool content; /* the bytes of `ino` are others now */
};

/*
 * Has `fn` called on the watch's thread for each change, in the order of the journal, without locks
 * held. NULL: no more; a call that is under way has ended when this returns, so not from `fn`. One
 * listener; nothing happens in a process without a watch.
 */
void watch_listen(struct library *lib, void (*fn)(void *arg, const struct watch_change *c),
		  void *arg);

/*
 * Tells the listener that the content of `ino` changed as seen from here, outside of the order. For
 * the files.
 */
void watch_tell_content(struct library *lib, int64_t ino);

/* A ticket for: all that was in the journal at the time of this call has been told. */
uint64_t watch_poke(struct library *lib);
/* Whether that is so. True where no watch runs. */
bool watch_told(struct library *lib, uint64_t ticket);

#endif
