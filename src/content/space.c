/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Space for what is fetched: an account under a lock. */
#include "config.h"

#include "content/content-internal.h"
#include "content/space.h"

void space_init(struct space *s)
{
	*s = (struct space){ .allowed = UINT64_MAX };
	lock_init(&s->lock, LOCK_RANK_SPACE);
	lock_cond_init(&s->wish);
}

void space_release(struct space *s)
{
	lock_cond_release(&s->wish);
	lock_release(&s->lock);
}

static void space_kick_locked(struct space *s) LOCK_REQUIRES(&s->lock)
{
	s->kicked = true;
	lock_cond_signal(&s->wish);
}

bool space_take(struct content *c, uint64_t bytes)
{
	struct space *s = &c->space;

	lock_lock(&s->lock);
	uint64_t left = s->allowed > s->taken ? s->allowed - s->taken : 0;
	bool got = bytes <= left;

	if (got)
		s->taken += bytes;
	else
		s->denied++;
	if (!got || left - bytes <= s->low)
		space_kick_locked(s);
	lock_unlock(&s->lock);
	return got;
}

void space_give(struct content *c, uint64_t bytes)
{
	struct space *s = &c->space;

	lock_lock(&s->lock);
	s->taken -= bytes;
	lock_unlock(&s->lock);
}

void space_kick(struct content *c)
{
	lock_lock(&c->space.lock);
	space_kick_locked(&c->space);
	lock_unlock(&c->space.lock);
}

uint64_t space_taken(struct content *c)
{
	lock_lock(&c->space.lock);
	uint64_t taken = c->space.taken;

	lock_unlock(&c->space.lock);
	return taken;
}

void space_allow(struct content *c, uint64_t taken, uint64_t room, uint64_t low)
{
	struct space *s = &c->space;

	lock_lock(&s->lock);
	s->allowed = room < UINT64_MAX - taken ? taken + room : UINT64_MAX;
	s->low = low;
	lock_unlock(&s->lock);
}

bool space_wait(struct content *c, int64_t deadline_ns)
{
	struct space *s = &c->space;

	lock_lock(&s->lock);
	while (!s->kicked && !lock_cond_wait_until(&s->wish, &s->lock, deadline_ns))
		continue;
	bool kicked = s->kicked;

	s->kicked = false;
	lock_unlock(&s->lock);
	return kicked;
}

uint64_t space_denied(struct content *c)
{
	lock_lock(&c->space.lock);
	uint64_t denied = c->space.denied;

	lock_unlock(&c->space.lock);
	return denied;
}
