/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Segments that replace others, so that a recovery reads few. After MERGE_STEPS single steps all that changed in them is sent once more as a segment of level 1, after as many of those one of
 * level 2, and so on; one of the highest level has all pages, and is also due when as many pages were sent as there are. A page is thus sent a handful of times at most, however often it changes.
 *
 * It is made at the same moment as a step, sent part by part while steps go on, and what it replaces is deleted when the bucket has all of it. If it is lost on the way the next step
 * makes another.
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "library/backup-internal.h"
#include "util/log.h"

enum { MERGE_STEPS = 16, MERGE_PAGES_MIN = 16384 };

int backup_merge_due(const struct backup_ship *s, uint64_t *from)
{
	const struct backup_state_head *head = &s->state.head;
	uint64_t most = head->count > MERGE_PAGES_MIN ? head->count : MERGE_PAGES_MIN;
	int level = 0;

	while (level < BACKUP_LEVEL_ALL && head->level_count[level] >= MERGE_STEPS)
		level++;
	if (head->seq && (head->pages_since > most || s->raise_to))
		level = BACKUP_LEVEL_ALL;
	if (!head->seq || s->clean)
		level = 0;
	*from = level == BACKUP_LEVEL_ALL ? 0 : head->level_at[level];
	return level;
}

void backup_merge_take(struct backup_ship *s, struct backup_segment **merge, int level)
{
	s->merge = *merge;
	*merge = NULL;
	s->merge_level = level;
	s->merge_part = s->merge_steps = 0;
}

void backup_merge_done(struct backup_ship *s, int level, uint64_t to, uint32_t steps)
{
	struct backup_state_head *head = &s->state.head;
	uint64_t from = level == BACKUP_LEVEL_ALL ? 0 : head->level_at[level];

	for (int i = 0; i <= level; i++) {
		head->level_at[i] = to;
		head->level_count[i] = i < level ? 0 : head->level_count[i] + 1;
	}
	head->level_count[0] = steps;
	if (level == BACKUP_LEVEL_ALL)
		head->pages_since = head->level_count[level] = 0;
	if (level == BACKUP_LEVEL_ALL && to >= s->raise_to)
		s->raise_to = 0;
	s->clean = true;
	s->clean_from = from;
	s->clean_to = to;
}

/* Of a list of keys, one that is to go. */
struct merge_old {
	uint32_t epoch; /* what is of epochs before this one goes with all that it has */
	char key[BACKUP_SEGMENT_KEY_MAX];
};

static int merge_old_key(void *arg, const char *key, uint64_t size)
{
	struct merge_old *old = arg;
	struct backup_segment_name name;

	(void)size;
	if (!backup_segment_parse(key, &name) || name.epoch >= old->epoch)
		return 0;
	memcpy(old->key, key, strlen(key) + 1);
	return 1;
}

/* One object of an epoch that is past: 1 when there was one. The one before stays as long as that is of no harm. */
static int merge_clean_epochs(struct backup_ship *s)
{
	struct merge_old old = { .epoch = s->state.head.epoch - !s->raise_clean };
	int found = old.epoch > 1 ? backup_bucket_list(&s->bucket, "meta/", merge_old_key, &old)
				  : 0;

	if (found <= 0)
		return found;
	int err = backup_bucket_delete(&s->bucket, old.key);

	return err ? err : 1;
}

static int merge_clean_link(struct backup_ship *s, const struct backup_link *l)
{
	char key[BACKUP_SEGMENT_KEY_MAX];
	int err = 0;

	for (uint32_t part = 0; part < l->parts && !err; part++) {
		backup_segment_key(&(struct backup_segment_name){ s->state.head.epoch, l->from,
								  l->to, part, l->parts },
				   key);
		err = backup_bucket_delete(&s->bucket, key);
	}
	return err;
}

/* Deletes what lies between where the segment begins and ends, if it is there whole itself. */
static int merge_clean(struct backup_ship *s)
{
	struct backup_chain c;
	int err = backup_chain_list(&s->bucket, s->state.head.epoch, &c);
	bool whole = false;

	if (err)
		return err;
	for (size_t i = 0; i < c.count; i++)
		whole = whole ||
			(c.links[i].from == s->clean_from && c.links[i].to == s->clean_to &&
			 c.links[i].have == c.links[i].parts);
	for (size_t i = 0; i < c.count && whole && !err; i++) {
		const struct backup_link *l = &c.links[i];

		if (l->from >= s->clean_from && l->to <= s->clean_to &&
		    (l->from != s->clean_from || l->to != s->clean_to))
			err = merge_clean_link(s, l);
	}
	backup_chain_free(&c);
	return err;
}

static int merge_cleaning(struct backup_ship *s)
{
	int err = merge_clean(s);

	while (!err && s->clean_from == 0 && (err = merge_clean_epochs(s)) > 0)
		err = 0;
	/* What stays is deleted after the next. */
	s->clean = false;
	if (err || s->clean_from == 0)
		s->raise_clean = false;
	return err ? backup_ship_failed(s, err) : 0;
}

int backup_ship_merge(struct backup_ship *s)
{
	int err = 0;

	if (!s->merge)
		return s->clean && s->begun ? merge_cleaning(s) : 0;
	buf_reset(&s->bucket.why);
	if (s->merge_part < backup_segment_parts(s->merge))
		err = backup_ship_put(s, s->merge, s->merge_part++);
	if (!err && s->merge_part < backup_segment_parts(s->merge))
		return 1;
	uint64_t to = backup_segment_head(s->merge)->to;

	backup_segment_free(s->merge);
	s->merge = NULL;
	if (err)
		return backup_ship_failed(s, err);
	backup_merge_done(s, s->merge_level, to, s->merge_steps);
	err = backup_state_write(&s->state, false);
	return err ? err : 1;
}
