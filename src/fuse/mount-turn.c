/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Who of the workers waits in the kernel for a request. The kernel gives requests to those that wait in turn, so that ten idle ones would all be run one after the
 * other, each with cold caches and often on another core: a rename then took 80 µs of processor time, with two in turn 57. So two wait there, one of which is called
 * while the other is at work, and the rest stand aside, last come first called, until nobody is left who waits.
 */
#include "config.h"

#include "fuse/mount-internal.h"

enum { TURN_READERS = 2 };

/* A worker that stands aside, on its stack. */
struct turn_place {
	struct lock_cond wake;
	bool called; /* guarded by the turns' lock */
	struct turn_place *next;
};

void mount_turns_init(struct mount_turns *t)
{
	*t = (struct mount_turns){ 0 };
	lock_init(&t->lock, LOCK_RANK_MOUNT);
}

void mount_turns_release(struct mount_turns *t)
{
	lock_release(&t->lock);
}

/* The last who came reads now. */
static void turn_call_locked(struct mount_turns *t) LOCK_REQUIRES(&t->lock)
{
	struct turn_place *place = t->aside;

	t->aside = place->next;
	t->reading++;
	place->called = true;
	lock_cond_signal(&place->wake);
}

/* Until it is called. */
static void turn_wait_locked(struct mount_turns *t, struct turn_place *place)
	LOCK_REQUIRES(&t->lock)
{
	lock_cond_init(&place->wake);
	place->next = t->aside;
	t->aside = place;
	while (!place->called)
		lock_cond_wait(&place->wake, &t->lock);
	lock_cond_release(&place->wake);
}

void mount_turn_take(struct mount_turns *t)
{
	struct turn_place place = { .called = false };

	lock_lock(&t->lock);
	if (t->over || t->reading < TURN_READERS)
		t->reading++;
	else
		turn_wait_locked(t, &place);
	lock_unlock(&t->lock);
}

void mount_turn_give(struct mount_turns *t)
{
	lock_lock(&t->lock);
	if (--t->reading == 0 && t->aside)
		turn_call_locked(t);
	lock_unlock(&t->lock);
}

void mount_turns_end(struct mount_turns *t)
{
	lock_lock(&t->lock);
	t->over = true;
	while (t->aside)
		turn_call_locked(t);
	lock_unlock(&t->lock);
}
