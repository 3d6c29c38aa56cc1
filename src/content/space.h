/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Space for what is fetched. Who keeps the library's limits says how much may be taken; who fetches takes it before bytes are written into a cache
 * blob, and does without the disk where there is none. Space for writing is apart: nothing here stands before a draft. Any thread; nothing waits but
 * space_wait(). Without anyone to keep limits all is given.
 */
#ifndef GARNER_CONTENT_SPACE_H
#define GARNER_CONTENT_SPACE_H

#include <stdbool.h>
#include <stdint.h>

#include "util/lock.h"

struct content;

/* Part of struct content. */
struct space {
	struct lock lock;      /* guards the rest */
	struct lock_cond wish; /* `kicked` */
	uint64_t taken;        /* so far, in all */
	uint64_t allowed;      /* what `taken` may come to */
	uint64_t low;          /* when no more than this is left there is a kick */
	uint64_t denied;       /* takes that were refused */
	bool kicked;
};
void space_init(struct space *s);
void space_release(struct space *s);

/* Takes `bytes`; false: there is no room now, and what is fetched is not to be kept. */
bool space_take(struct content *c, uint64_t bytes);
/* Gives back what was taken and not written. */
void space_give(struct content *c, uint64_t bytes);
/* Something has changed: more may be evicted, or more has to be. Wakes who keeps the limits. */
void space_kick(struct content *c);

/* For who keeps the limits. What was taken so far; and that from there on `room` more may be taken, and a kick is wanted when `low` is left. */
uint64_t space_taken(struct content *c);
void space_allow(struct content *c, uint64_t taken, uint64_t room, uint64_t low);
/* Waits for a kick, until time_mono_ns() is `deadline_ns` at the latest. True: there was one. */
bool space_wait(struct content *c, int64_t deadline_ns);
/* Takes that were refused so far. */
uint64_t space_denied(struct content *c);

#endif
