/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The oldest state that can be brought back. A recovery begins with a segment that has all pages, whichever of them is whole, and of the newest epoch in which there is one; so nothing older than
 * the oldest such segment comes back, and nothing of another epoch when none of those has a segment left.
 */
#include "config.h"

#include <errno.h>

#include "library/backup-internal.h"

static int floor_older(void *arg, const char *key, uint64_t size)
{
	const uint32_t *epoch = arg;
	struct backup_segment_name name;

	(void)size;
	return backup_segment_parse(key, &name) && name.epoch < *epoch;
}

/* The first and the last state of which there is a segment with all pages, 0: none. *OLDER: there is something of an older epoch. */
static int floor_look(struct backup_ship *s, uint64_t *first, uint64_t *last, bool *older)
{
	struct backup_chain c;
	int err = backup_ship_owner(s);
	int found = err ? err
			: backup_bucket_list(&s->bucket, "meta/", floor_older,
					     &s->state.head.epoch);

	if (found < 0)
		return found;
	err = backup_chain_list(&s->bucket, s->state.head.epoch, &c);
	if (err)
		return err;
	*older = found;
	*first = *last = 0;
	for (size_t i = 0; i < c.count; i++) {
		const struct backup_link *l = &c.links[i];

		if (l->from || l->have != l->parts)
			continue;
		*first = *first && *first < l->to ? *first : l->to;
		*last = *last > l->to ? *last : l->to;
	}
	backup_chain_free(&c);
	return 0;
}

int backup_ship_floor(struct backup_ship *s, uint64_t *floor)
{
	uint64_t first, last;
	bool older = false;
	int err = s->begun ? floor_look(s, &first, &last, &older) : -EINVAL;

	if (err)
		return backup_ship_failed(s, err);
	*floor = older ? 0 : first;
	return 0;
}

int backup_ship_raise(struct backup_ship *s, uint64_t at)
{
	uint64_t first, last;
	bool older = false;
	int err = s->begun ? floor_look(s, &first, &last, &older) : -EINVAL;

	if (err)
		return backup_ship_failed(s, err);
	s->raise_clean = true;
	if (last >= at) {
		s->clean = true;
		s->clean_from = 0;
		s->clean_to = last;
	} else if (!s->raise_to) {
		s->raise_to = at;
	}
	return 0;
}

bool backup_ship_raising(const struct backup_ship *s)
{
	return s->raise_to || (s->clean && s->raise_clean);
}

struct backup_bucket *backup_ship_bucket(struct backup_ship *s)
{
	return &s->bucket;
}
