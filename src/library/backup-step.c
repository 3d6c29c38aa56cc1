/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A step: a moment of the database is opened, the pages that have changed are packed, the moment ends, and only then is the bucket asked. What is known of the pages is changed when the bucket
 * has them; a step that fails leaves nothing but a number that is not used again.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "library/backup-internal.h"
#include "util/cleanup.h"
#include "util/err.h"
#include "util/log.h"
#include "util/time.h"

/* A moment may have to be read again; entries are made durable so often; and looked whose backup it is. */
enum { STEP_TRIES = 5, STEP_SAVE = 64 };
#define STEP_SAVE_NS (30 * TIME_NS_PER_S)
#define STEP_OWNER_NS (60 * TIME_NS_PER_S)

int backup_ship_failed(struct backup_ship *s, int err)
{
	if (err == -EEXIST && s->why.len)
		return err;
	buf_reset(&s->why);
	buf_add_str(&s->why, s->bucket.why.len ? buf_str(&s->bucket.why) : err_text(err));
	return err;
}

const char *backup_ship_why(const struct backup_ship *s)
{
	return buf_str(&s->why);
}

void backup_ship_cancel(struct backup_ship *s)
{
	backup_bucket_cancel(&s->bucket);
}

void backup_ship_facts(const struct backup_ship *s, struct backup_ship_facts *out)
{
	*out = (struct backup_ship_facts){ .epoch = s->state.head.epoch,
					   .state = s->state.head.seq,
					   .at_ns = s->state.head.at_ns,
					   .steps = s->steps,
					   .bytes = s->bytes,
					   .merging = s->merge || s->clean };
}

bool backup_ship_begun(const struct backup_ship *s)
{
	return s->begun;
}

bool backup_ship_due(struct backup_ship *s)
{
	bool raise = s->raise_to && !s->merge && !s->clean;

	return s->scan || s->changed_count || raise || meta_pages_changed(s->pages) != 0;
}

int backup_ship_mark(void *ship, uint32_t page)
{
	struct backup_ship *s = ship;
	size_t at = (page - 1) / 8;

	if (at >= s->dirty_len) {
		size_t len = s->dirty_len ? s->dirty_len : 1024;

		while (len <= at)
			len *= 2;
		uint8_t *dirty = realloc(s->dirty, len);

		if (!dirty)
			return -ENOMEM;
		memset(dirty + s->dirty_len, 0, len - s->dirty_len);
		s->dirty = dirty;
		s->dirty_len = len;
	}
	s->dirty[at] |= (uint8_t)(1U << (page - 1) % 8);
	return 0;
}

/* The next page from PAGE on that may have changed; beyond the count when there is none. */
static uint32_t step_next(const struct backup_ship *s, uint32_t page)
{
	if (s->scan)
		return page;
	for (; page <= s->moment.count; page++) {
		size_t at = (page - 1) / 8;

		if (at >= s->dirty_len)
			return s->moment.count + 1;
		if (!s->dirty[at])
			page += 7 - (page - 1) % 8;
		else if (s->dirty[at] >> (page - 1) % 8 & 1)
			return page;
	}
	return page;
}

static int step_note(struct backup_ship *s, uint32_t page, uint64_t sum)
{
	if (s->changed_count == s->changed_room) {
		size_t room = s->changed_room ? 2 * s->changed_room : 256;
		struct backup_changed *changed = realloc(s->changed, room * sizeof(*changed));

		if (!changed)
			return -ENOMEM;
		s->changed = changed;
		s->changed_room = room;
	}
	s->changed[s->changed_count++] = (struct backup_changed){ page, sum };
	return 0;
}

/* A page that may have changed: when it has it goes into the step. */
static int step_page(struct backup_ship *s, uint32_t page, struct backup_segment *step)
{
	struct backup_entry was;
	int err = backup_state_get(&s->state, page, &was);

	if (!err)
		err = meta_pages_read(s->pages, page, s->page);
	if (err)
		return err;
	uint64_t sum = backup_page_sum(page, s->page, s->moment.page_size);

	if (s->scan)
		s->sum ^= sum;
	if (sum == was.sum)
		return 0;
	if (!s->scan)
		s->sum ^= was.sum ^ sum;
	err = step_note(s, page, sum);
	return err ? err : backup_segment_add(step, page, s->page);
}

static int step_pages(struct backup_ship *s, struct backup_segment *step)
{
	int err = 0;

	s->sum = s->scan ? 0 : s->state.head.sum;
	s->changed_count = 0;
	for (uint32_t page = step_next(s, 1); page <= s->moment.count && !err;
	     page = step_next(s, page + 1))
		err = step_page(s, page, step);
	return err ? err : backup_segment_end(step, s->sum);
}

/* The pages of a segment that replaces others: those that were sent after state FROM, and those of this step. */
static int step_merge(struct backup_ship *s, uint64_t from, struct backup_segment *merge)
{
	size_t next = 0;
	int err = 0;

	for (uint32_t page = 1; page <= s->moment.count && !err; page++) {
		bool changed = next < s->changed_count && s->changed[next].page == page;
		struct backup_entry was = { 0 };

		next += changed;
		if (from && !changed)
			err = backup_state_get(&s->state, page, &was);
		if (err || (from && !changed && was.state <= from))
			continue;
		err = meta_pages_read(s->pages, page, s->page);
		if (!err)
			err = backup_segment_add(merge, page, s->page);
	}
	return err ? err : backup_segment_end(merge, s->sum);
}

static struct backup_segment *step_new(struct backup_ship *s, uint64_t from, int64_t at_ns)
{
	struct backup_segment_head head = { .page_size = s->moment.page_size,
					    .from = from,
					    .to = s->state.head.next,
					    .count = s->moment.count,
					    .at_ns = at_ns };

	memcpy(head.library, s->library, sizeof(head.library));
	memcpy(head.run, s->state.head.run, sizeof(head.run));
	return backup_segment_new(&head, s->dir_fd);
}

/* What is made at one moment: the step and, where one is due, a segment that replaces others. */
struct step_made {
	struct backup_segment *step, *merge;
	int level;
	uint64_t from;
};

static void step_made_free(struct step_made *made)
{
	backup_segment_free(made->step);
	backup_segment_free(made->merge);
	made->step = made->merge = NULL;
}

static int step_make_open(struct backup_ship *s, int64_t at_ns, struct step_made *made)
{
	unsigned char *page = realloc(s->page, s->moment.page_size);
	int err = 0;

	if (!page)
		return -ENOMEM;
	s->page = page;
	/* Where pages went away, or it is not known, all are looked at. */
	s->scan = s->scan || s->moment.all || s->moment.count < s->state.head.count;
	made->step = step_new(s, s->state.head.seq, at_ns);
	if (made->level)
		made->merge = step_new(s, made->from, at_ns);
	if (!made->step || (made->level && !made->merge))
		return -ENOMEM;
	err = step_pages(s, made->step);
	if (!err && made->level && (s->changed_count || s->raise_to))
		err = step_merge(s, made->from, made->merge);
	return err;
}

static int step_make(struct backup_ship *s, struct step_made *made)
{
	int64_t at_ns = time_now_ns();
	int err = meta_pages_begin(s->pages, backup_ship_mark, s, &s->moment);

	if (err) {
		s->scan = true;
		return err;
	}
	s->scan = s->scan || s->moment.all;
	err = step_make_open(s, at_ns, made);
	int ended = meta_pages_end(s->pages);

	if (err || ended)
		step_made_free(made);
	return err ? err : ended;
}

int backup_ship_put(struct backup_ship *s, const struct backup_segment *segment, uint32_t part)
{
	const struct backup_segment_head *head = backup_segment_head(segment);
	CLEANUP_BUF struct buf body = BUF_INIT;
	char key[BACKUP_SEGMENT_KEY_MAX];
	int err = backup_segment_body(segment, part, &body);

	backup_segment_key(&(struct backup_segment_name){ s->state.head.epoch, head->from, head->to,
							  part, backup_segment_parts(segment) },
			   key);
	if (!err)
		err = backup_bucket_put(&s->bucket, key, body.data, body.len, true);
	if (!err)
		s->bytes += body.len;
	return err;
}

static int step_taken(struct backup_ship *s, uint32_t epoch)
{
	buf_reset(&s->why);
	buf_printf(&s->why, "another machine has taken the backup over (meta/claims/%08" PRIx32 ")",
		   epoch);
	return -EEXIST;
}

int backup_ship_owner(struct backup_ship *s)
{
	uint32_t newest = 0;
	int err = backup_owner_newest(&s->bucket, BACKUP_EPOCH_MAX, &newest);

	if (err || newest <= s->state.head.epoch) {
		s->owner_ns = err ? s->owner_ns : time_mono_ns();
		return err;
	}
	return step_taken(s, newest);
}

/* There is something where this step belongs: ours, of which the answer was lost, is of no harm. */
static int step_in_the_way(struct backup_ship *s, const struct backup_segment *step)
{
	const struct backup_segment_head *own = backup_segment_head(step);
	CLEANUP_BUF struct buf body = BUF_INIT;
	CLEANUP_BUF struct buf raw = BUF_INIT;
	struct backup_segment_head head;
	char key[BACKUP_SEGMENT_KEY_MAX];
	int err = backup_ship_owner(s);

	if (err)
		return err;
	backup_segment_key(&(struct backup_segment_name){ s->state.head.epoch, own->from, own->to,
							  0, backup_segment_parts(step) },
			   key);
	err = backup_bucket_get(&s->bucket, key, BACKUP_SEGMENT_BYTES_MAX, &body);
	if (err == -ENOENT)
		return -EAGAIN;
	if (!err)
		err = backup_segment_read(body.data, body.len, &head, &raw);
	if (!err && !memcmp(head.run, own->run, sizeof(head.run)))
		return -EAGAIN;
	if (err && err != ERR_CORRUPT)
		return err;
	buf_reset(&s->why);
	buf_printf(&s->why, "someone else has written %s: is there a copy of this library?", key);
	return -EEXIST;
}

static int step_send(struct backup_ship *s, const struct backup_segment *step)
{
	int err = 0;

	s->state.head.next++;
	for (uint32_t part = 0; part < backup_segment_parts(step) && !err; part++)
		err = backup_ship_put(s, step, part);
	if (err)
		return err == -EEXIST ? step_in_the_way(s, step) : err;
	/* Asked after it is there: what nobody had taken over by now is what a recovery finds. */
	int next = backup_owner_next(&s->bucket, s->state.head.epoch);

	return next > 0 ? step_taken(s, s->state.head.epoch + 1) : next;
}

/* The bucket has it: so it is written down. */
static int step_record(struct backup_ship *s, const struct backup_segment *step)
{
	const struct backup_segment_head *sent = backup_segment_head(step);
	struct backup_state_head *head = &s->state.head;
	int err = 0;

	for (size_t i = 0; i < s->changed_count && !err; i++)
		err = backup_state_put(&s->state, s->changed[i].page,
				       (struct backup_entry){ s->changed[i].sum, sent->to });
	for (uint32_t page = sent->count + 1; page <= head->count && !err; page++)
		err = backup_state_put(&s->state, page, (struct backup_entry){ .state = sent->to });
	if (err) {
		/* What is written down is not to be trusted; the bucket knows better. */
		s->begun = false;
		return err;
	}
	head->seq = sent->to;
	head->count = sent->count;
	head->page_size = sent->page_size;
	head->sum = s->sum;
	head->at_ns = sent->at_ns;
	head->level_count[0]++;
	head->pages_since += s->changed_count;
	s->scan = false;
	s->changed_count = 0;
	if (s->dirty_len)
		memset(s->dirty, 0, s->dirty_len);
	return 0;
}

int backup_ship_save(struct backup_ship *s)
{
	if (!s->begun)
		return 0;
	s->saved_ns = time_mono_ns();
	return backup_state_write(&s->state, true);
}

static int step_write(struct backup_ship *s)
{
	bool sync = s->state.head.seq - s->state.head.synced >= STEP_SAVE ||
		    time_mono_ns() - s->saved_ns >= STEP_SAVE_NS;

	return sync ? backup_ship_save(s) : backup_state_write(&s->state, false);
}

/* What is to be done with what was made at a moment. */
static int step_made_send(struct backup_ship *s, struct step_made *made)
{
	bool first = s->state.head.seq == 0;
	int err = 0;

	/* A segment that is wanted of a state of now makes a step of no pages, too. */
	if (!s->changed_count && !first && s->moment.count == s->state.head.count &&
	    !(made->level && s->raise_to)) {
		s->scan = false;
		if (s->dirty_len)
			memset(s->dirty, 0, s->dirty_len);
		return 0;
	}
	err = step_send(s, made->step);
	if (!err)
		err = step_record(s, made->step);
	if (err)
		return err;
	s->steps++;
	if (first)
		backup_merge_done(s, BACKUP_LEVEL_ALL, s->state.head.seq, 0);
	else if (made->level)
		backup_merge_take(s, &made->merge, made->level);
	else
		s->merge_steps++;
	err = step_write(s);
	return err ? err : 1;
}

int backup_ship_step(struct backup_ship *s, bool sure)
{
	struct step_made made = { 0 };
	int err = 0, tries = 0;

	if (!s->begun)
		return -EINVAL;
	buf_reset(&s->bucket.why);
	if (sure || time_mono_ns() - s->owner_ns >= STEP_OWNER_NS)
		err = backup_ship_owner(s);
	if (err)
		return backup_ship_failed(s, err);
	do {
		made.level = s->merge ? 0 : backup_merge_due(s, &made.from);
		err = step_make(s, &made);
		if (!err)
			err = step_made_send(s, &made);
		step_made_free(&made);
	} while (err == -EAGAIN && ++tries < STEP_TRIES);
	return err < 0 ? backup_ship_failed(s, err) : err;
}
