/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The sealer's queue: what waits, what is due, and who waits for it to be empty. */
#include "config.h"

#include "library/sealer-internal.h"
#include "util/err.h"
#include "util/log.h"
#include "util/time.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum {
	SEALER_TRIES_MAX = 6,  /* the pause doubles this often */
	SEALER_BACKLOG = 4096, /* rows read at once */
};
#define SEALER_PAUSE_NS TIME_NS_PER_S

/* Bytes of a base that have to be fetched are looked for this often, and so often before that is shown as a failure. */
#define SEALER_FETCH_NS (200 * TIME_NS_PER_MS)
enum { SEALER_FETCHES = 150 };

/* Others are in a hurry with more than so many changes of the tree in this time; what is due waits for up to so many times the delay. */
#define SEALER_FEEL_NS (100 * TIME_NS_PER_MS)
enum { SEALER_HURRY = 20, SEALER_PATIENCE = 8 };

static struct sealer_item *sealer_find_locked(struct sealer *s, int64_t ino) LOCK_REQUIRES(&s->lock)
{
	struct sealer_item *item = NULL;

	HASH_FIND(hh, s->table, &ino, sizeof(ino), item);
	return item;
}

/* Into the list at its place in the order, which is near the end. */
static void sealer_place_locked(struct sealer *s, struct sealer_item *item, uint64_t seq,
				int64_t delay_ns) LOCK_REQUIRES(&s->lock)
{
	struct sealer_item *before = s->list ? s->list->prev : NULL;

	item->seq = seq;
	item->due_ns = time_mono_ns() + delay_ns;
	while (before && before->seq > seq)
		before = before == s->list ? NULL : before->prev;
	if (before)
		DL_APPEND_ELEM(s->list, before, item);
	else
		DL_PREPEND(s->list, item);
	if (item->due_ns < s->wake_ns || seq <= s->rush || HASH_COUNT(s->table) > s->crowd)
		lock_cond_signal(&s->work);
}

static void sealer_remove_locked(struct sealer *s, struct sealer_item *item) LOCK_REQUIRES(&s->lock)
{
	DL_DELETE(s->list, item);
	HASH_DELETE(hh, s->table, item);
	if (!item->purge) {
		s->status.pending_files--;
		s->status.pending_bytes -= item->size;
	}
	free(item);
}

static struct sealer_item *sealer_make_locked(struct sealer *s, int64_t ino) LOCK_REQUIRES(&s->lock)
{
	struct sealer_item *item = calloc(1, sizeof(*item));

	if (!item)
		return NULL;
	item->ino = ino;
	HASH_ADD(hh, s->table, ino, sizeof(item->ino), item);
	if (!item->hh.tbl) {
		free(item);
		return NULL;
	}
	return item;
}

static void sealer_put_locked(struct sealer *s, int64_t ino, uint64_t size, bool purge,
			      int64_t delay_ns) LOCK_REQUIRES(&s->lock)
{
	struct sealer_item *item = sealer_find_locked(s, ino);

	if (item && item->running) {
		item->requeue = ++s->seq;
	} else if (item) {
		DL_DELETE(s->list, item);
	} else {
		item = sealer_make_locked(s, ino);
		if (!item) {
			log_warn("asset %lld is sealed at the next start: no memory",
				 (long long)ino);
			return;
		}
		item->purge = purge;
		s->status.pending_files += !purge;
	}
	if (item->purge != purge) {
		item->purge = purge;
		s->status.pending_files += purge ? -1 : 1;
		s->status.pending_bytes -= purge ? item->size : 0;
		item->size = 0;
	}
	if (!purge) {
		s->status.pending_bytes += size - item->size;
		item->size = size;
	}
	if (!item->running)
		sealer_place_locked(s, item, ++s->seq, delay_ns);
}

void sealer_queue(struct library *lib, int64_t ino, uint64_t size)
{
	struct sealer *s = lib->sealer;

	if (!s)
		return;
	lock_lock(&s->lock);
	sealer_put_locked(s, ino, size, false, lib->settings.seal_delay_ns);
	lock_unlock(&s->lock);
}

bool sealer_purge(struct library *lib, int64_t ino)
{
	struct sealer *s = lib->sealer;

	if (!s)
		return false;
	lock_lock(&s->lock);
	bool stop = s->stop;

	if (!stop)
		sealer_put_locked(s, ino, 0, true, 0);
	lock_unlock(&s->lock);
	return !stop;
}

/*
 * Looks again, once in a while, whether others change the tree so fast that sealing would hold them up.
 */
static void sealer_feel_locked(struct sealer *s, int64_t now) LOCK_REQUIRES(&s->lock)
{
	int64_t passed = now - s->felt_ns;

	if (passed < SEALER_FEEL_NS)
		return;
	uint64_t changes = __atomic_load_n(&s->lib->changes, __ATOMIC_RELAXED);

	s->hurried = (int64_t)(changes - s->felt_changes) * SEALER_FEEL_NS > SEALER_HURRY * passed;
	s->felt_changes = changes;
	s->felt_ns = now;
}

/* When the item is to be taken: later while others are in a hurry, but not for ever. */
static int64_t sealer_due_ns(const struct sealer *s, const struct sealer_item *item)
{
	return s->hurried && !item->tries
		       ? item->due_ns + SEALER_PATIENCE * s->lib->settings.seal_delay_ns
		       : item->due_ns;
}

static bool sealer_due_locked(const struct sealer *s, const struct sealer_item *item, int64_t now)
{
	bool crowd = HASH_COUNT(s->table) > s->crowd && !item->tries;

	return !item->running && (sealer_due_ns(s, item) <= now || item->seq <= s->rush || crowd);
}

/*
 * Takes what is due and goes together: orphans, small drafts, or one large draft. *next_ns: when
 * something more may be due. What was never tried lies in the order of its due times, so the first
 * of those that is not due ends the search.
 */
static void sealer_pick_locked(struct sealer *s, struct sealer_batch *batch, int64_t *next_ns)
	LOCK_REQUIRES(&s->lock)
{
	int64_t now = time_mono_ns();
	uint64_t bytes = 0;
	struct sealer_item *item;

	sealer_feel_locked(s, now);
	batch->count = 0;
	*next_ns = s->hurried && s->list ? now + SEALER_FEEL_NS : INT64_MAX;
	for (item = s->list; item; item = item->next) {
		if (!sealer_due_locked(s, item, now)) {
			if (sealer_due_ns(s, item) < *next_ns)
				*next_ns = sealer_due_ns(s, item);
			if (item->tries == 0)
				break;
			continue;
		}
		if (batch->count &&
		    (item->purge != batch->purge || bytes + item->size > SEALER_BATCH_BYTES ||
		     item->size > SEALER_SMALL_BYTES))
			continue;
		batch->purge = item->purge;
		batch->inos[batch->count++] = item->ino;
		item->running = true;
		bytes += item->size;
		if (batch->count == s->batch_max || item->size > SEALER_SMALL_BYTES)
			break;
	}
}

size_t sealer_take(struct sealer *s, struct sealer_batch *batch)
{
	int64_t next_ns;

	batch->count = 0;
	lock_lock(&s->lock);
	while (!s->stop) {
		sealer_pick_locked(s, batch, &next_ns);
		if (batch->count)
			break;
		s->wake_ns = next_ns;
		if (next_ns == INT64_MAX)
			lock_cond_wait(&s->work, &s->lock);
		else
			(void)lock_cond_wait_until(&s->work, &s->lock, next_ns);
		s->wake_ns = INT64_MIN;
	}
	lock_unlock(&s->lock);
	return batch->count;
}

static void sealer_again_locked(struct sealer *s, struct sealer_item *item, int64_t delay_ns)
	LOCK_REQUIRES(&s->lock)
{
	uint64_t seq = item->requeue ? item->requeue : ++s->seq;

	item->running = false;
	item->requeue = 0;
	DL_DELETE(s->list, item);
	sealer_place_locked(s, item, seq, delay_ns);
}

static int64_t sealer_pause(struct sealer_item *item)
{
	int64_t pause = SEALER_PAUSE_NS << item->tries;

	if (item->tries < SEALER_TRIES_MAX)
		item->tries++;
	return pause;
}

static void sealer_leave_locked(struct sealer *s, struct sealer_item *item) LOCK_REQUIRES(&s->lock)
{
	if (item->requeue)
		sealer_again_locked(s, item, s->lib->settings.seal_delay_ns);
	else
		sealer_remove_locked(s, item);
	lock_cond_broadcast(&s->progress);
}

void sealer_item_done(struct sealer *s, int64_t ino)
{
	lock_lock(&s->lock);
	struct sealer_item *item = sealer_find_locked(s, ino);

	assert(item && item->running);
	sealer_leave_locked(s, item);
	lock_unlock(&s->lock);
}

void sealer_item_busy(struct sealer *s, int64_t ino, bool again)
{
	lock_lock(&s->lock);
	struct sealer_item *item = sealer_find_locked(s, ino);

	assert(item && item->running);
	s->skips += again;
	if (again)
		sealer_again_locked(s, item, sealer_pause(item));
	else
		sealer_leave_locked(s, item);
	lock_cond_broadcast(&s->progress);
	lock_unlock(&s->lock);
}

void sealer_item_away(struct sealer *s, int64_t ino)
{
	lock_lock(&s->lock);
	struct sealer_item *item = sealer_find_locked(s, ino);

	assert(item && item->running);
	bool patient = item->fetches++ < SEALER_FETCHES;

	if (patient)
		sealer_again_locked(s, item, SEALER_FETCH_NS);
	lock_unlock(&s->lock);
	if (!patient)
		sealer_item_failed(s, ino, -EREMOTE);
}

void sealer_item_failed(struct sealer *s, int64_t ino, int err)
{
	lock_lock(&s->lock);
	struct sealer_item *item = sealer_find_locked(s, ino);

	assert(item && item->running);
	s->failures++;
	s->status.last_error = err;
	s->status.last_error_ino = ino;
	s->status.last_error_ns = time_now_ns();
	bool log = s->logged != err;

	s->logged = err;
	sealer_again_locked(s, item, sealer_pause(item));
	lock_cond_broadcast(&s->progress);
	lock_unlock(&s->lock);
	if (log)
		log_error("asset %lld cannot be sealed now and is kept as a draft: %s",
			  (long long)ino, err_text(err));
}

void sealer_ticket(struct library *lib, struct sealer_ticket *out)
{
	struct sealer *s = lib->sealer;

	*out = (struct sealer_ticket){ 0 };
	if (!s)
		return;
	lock_lock(&s->lock);
	*out = (struct sealer_ticket){ .seq = s->seq,
				       .failures = s->failures,
				       .skips = s->skips,
				       .backlog = s->backlog >= 0 };
	if (s->rush < s->seq)
		s->rush = s->seq;
	lock_cond_signal(&s->work);
	lock_unlock(&s->lock);
}

static int sealer_ticket_done_locked(struct sealer *s, const struct sealer_ticket *t, int *result,
				     uint64_t *skipped) LOCK_REQUIRES(&s->lock)
{
	uint64_t seq = t->backlog && t->seq < s->backlog_seq ? s->backlog_seq : t->seq;

	if (!s->stop && (s->backlog >= 0 || (s->list && s->list->seq <= seq)))
		return 0;
	*result = s->stop ? -ECANCELED : s->failures != t->failures ? s->status.last_error : 0;
	if (skipped)
		*skipped = s->skips - t->skips;
	return 1;
}

int sealer_ticket_done(struct library *lib, const struct sealer_ticket *t, int *result,
		       uint64_t *skipped)
{
	struct sealer *s = lib->sealer;

	if (!s) {
		*result = -ENOTCONN;
		return 1;
	}
	lock_lock(&s->lock);
	int done = sealer_ticket_done_locked(s, t, result, skipped);

	lock_unlock(&s->lock);
	return done;
}

int sealer_sync(struct library *lib, int64_t deadline_ns, uint64_t *skipped)
{
	struct sealer *s = lib->sealer;
	struct sealer_ticket ticket;
	int result = 0;

	if (!s)
		return -ENOTCONN;
	sealer_ticket(lib, &ticket);
	lock_lock(&s->lock);
	while (!sealer_ticket_done_locked(s, &ticket, &result, skipped)) {
		if (!lock_cond_wait_until(&s->progress, &s->lock, deadline_ns))
			continue;
		result = -ETIMEDOUT;
		break;
	}
	lock_unlock(&s->lock);
	return result;
}

void sealer_status(struct library *lib, struct sealer_status *out)
{
	struct sealer *s = lib->sealer;

	*out = (struct sealer_status){ 0 };
	if (!s)
		return;
	lock_lock(&s->lock);
	*out = s->status;
	lock_unlock(&s->lock);
}

struct sealer_found {
	struct sealer *s;
	int64_t last;
	size_t count;
};

/*
 * A draft of this process is queued by its last close; seen here it may be one whose node was made a moment ago and that its maker has yet to open.
 */
static bool sealer_is_ours(const struct sealer *s, const struct meta_row *row)
{
	size_t len;
	const void *owner = meta_row_bytes(row, 4, &len);

	return owner && len == sizeof(s->lib->instance) && !memcmp(owner, s->lib->instance, len);
}

static int sealer_found(void *arg, const struct meta_row *row)
{
	struct sealer_found *found = arg;
	struct sealer *s = found->s;

	found->last = meta_row_int(row, 0);
	found->count++;
	if (sealer_is_ours(s, row))
		return 0;
	lock_lock(&s->lock);
	if (!sealer_find_locked(s, meta_row_int(row, 1)))
		sealer_put_locked(s, meta_row_int(row, 1), (uint64_t)meta_row_int(row, 2), false,
				  0);
	lock_unlock(&s->lock);
	return 0;
}

void sealer_backlog(struct sealer *s)
{
	struct sealer_found found = { .s = s };

	lock_lock(&s->lock);
	bool wanted = s->backlog >= 0 && HASH_COUNT(s->table) < SEALER_BACKLOG / 2;

	found.last = s->backlog;
	lock_unlock(&s->lock);
	if (!wanted)
		return;
	int rc = META_QUERY(library_meta(s->lib), RECOVER_LIST, sealer_found, &found,
			    META_I(found.last), META_I(SEALER_BACKLOG));

	lock_lock(&s->lock);
	s->backlog = rc < 0 || found.count < SEALER_BACKLOG ? -1 : found.last;
	s->backlog_seq = s->seq;
	lock_cond_broadcast(&s->progress);
	lock_unlock(&s->lock);
	if (rc < 0)
		log_error("drafts of a former run cannot be listed, they are sealed at the next "
			  "start: %s",
			  err_text(rc));
}

void sealer_queue_release(struct sealer *s)
{
	while (s->list) {
		struct sealer_item *item = s->list;

		DL_DELETE(s->list, item);
		HASH_DELETE(hh, s->table, item);
		free(item);
	}
}
