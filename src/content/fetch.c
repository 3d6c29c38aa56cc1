/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The table of chunks under way: finding, asking for, and letting go of them. */
#include "config.h"

#include "backend/store/store-s3.h"
#include "content/fetch-internal.h"
#include "util/err.h"
#include "util/large.h"
#include "util/log.h"
#include "util/time.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	FETCH_TRANSFERS = 16,
	FETCH_MEMORY = 96 << 20,
	FETCH_TIMEOUT_S = 30,
	FETCH_AHEAD_SHARE = 2, /* chunks fetched ahead take this part of the memory at most */
};

/* A transfer may last this long: its readers have given up long before, but the next one finds the chunk. */
#define FETCH_TRANSFER_NS (300 * TIME_NS_PER_S)

/* A failure is logged this often. */
#define FETCH_TELL_NS (10 * TIME_NS_PER_S)

/* Puts the entry in line, or where it was found. */
static void fetch_found_locked(struct fetch *f, struct fetch_entry *e, int err,
			       const struct fetch_row *row, struct fetch_file **file)
	LOCK_REQUIRES(&f->lock)
{

	e->hash = row->hash;
	e->size = row->size;
	if (!err && f->cancelled)
		err = -ECANCELED;
	if (err) {
		fetch_entry_fail_locked(f, e, err);
	} else if (*file) {
		e->phase = FETCH_PLACED;
		e->file = *file;
		e->off = row->start;
		*file = NULL;
		fetch_entry_ready_locked(f, e);
		fetch_entry_put_locked(f, e);
	} else {
		e->phase = FETCH_ASKED;
		fetch_list_add(e->ahead ? &f->ahead : &f->asked, e);
		fetch_pump_locked(f);
	}
}

/* By the thread that made the entry. */
static void fetch_look_up(struct fetch_entry *e)
{
	struct fetch *f = e->fetch;
	struct fetch_file *file = NULL;
	struct fetch_row row;
	int err = fetch_find(f->content, e->chunk, &row);

	if (!err && row.blob) {
		file = fetch_file_new(row.blob);
		err = file ? 0 : -ENOMEM;
	}
	if (err && !file)
		blob_put(row.blob);
	lock_lock(&f->lock);
	fetch_found_locked(f, e, err, &row, &file);
	fetch_unlock(f);
	fetch_file_put(file);
}

static struct fetch_entry *fetch_entry_new_locked(struct fetch *f, int64_t chunk)
	LOCK_REQUIRES(&f->lock)
{
	struct fetch_entry *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	e->fetch = f;
	e->chunk = chunk;
	HASH_ADD(hh, f->table, chunk, sizeof(e->chunk), e);
	if (!e->hh.tbl) {
		free(e);
		return NULL;
	}
	e->in_table = true;
	return e;
}

/* Somebody waits for what was to be fetched ahead. */
static void fetch_entry_hurry_locked(struct fetch *f, struct fetch_entry *e) LOCK_REQUIRES(&f->lock)
{
	e->ahead = false;
	if (e->list != &f->ahead)
		return;
	fetch_list_drop(e);
	fetch_list_add(&f->asked, e);
	fetch_pump_locked(f);
}

struct fetch_entry *fetch_entry_get(struct fetch *f, int64_t chunk, int64_t object, uint64_t at,
				    bool ahead)
{
	struct fetch_entry *e = NULL;
	bool made = false;

	lock_lock(&f->lock);
	HASH_FIND(hh, f->table, &chunk, sizeof(chunk), e);
	/* What the disk did not keep is fetched again. */
	if (e && e->phase == FETCH_PLACED && fetch_file_bad(e->file)) {
		fetch_table_drop_locked(f, e);
		e = NULL;
	}
	if (!e) {
		e = fetch_entry_new_locked(f, chunk);
		made = e != NULL;
	}
	if (made) {
		e->object = object;
		e->at = at;
		e->ahead = ahead;
		e->refs = 1;
	}
	if (e) {
		if (e->list == &f->idle)
			fetch_entry_again_locked(f, e);
		e->refs++;
		if (!ahead)
			fetch_entry_hurry_locked(f, e);
	}
	fetch_unlock(f);
	if (made)
		fetch_look_up(e);
	return e;
}

/* A line for the log, now and then. */
static void fetch_tell_failure_locked(struct fetch *f, struct fetch_entry *e, const char *why)
	LOCK_REQUIRES(&f->lock)
{
	int64_t now = time_mono_ns();
	char name[HASH_TEXT_LEN];

	if (f->told_ns && now - f->told_ns < FETCH_TELL_NS)
		return;
	f->told_ns = now;
	hash_hex(&e->hash, name);
	log_error("chunk %s cannot be fetched: %s", name, why);
}

/* By the client's thread. */
static void fetch_arrived(void *arg, ssize_t result, const char *why)
{
	struct fetch_entry *e = arg;
	struct fetch *f = e->fetch;

	lock_lock(&f->lock);
	f->running--;
	if (result >= 0 || ((result == -EIO || result == -EPROTO) && !f->cancelled)) {
		/* Short, or the answer to another question: the hash will tell. */
		size_t got = result < 0 ? 0 : (size_t)result;

		if (result < 0)
			fetch_tell_failure_locked(f, e, why && *why ? why : err_text((int)result));
		memset(e->bytes + got, 0, e->size - got);
		e->phase = FETCH_ARRIVED;
		fetch_list_add(&f->arrived, e);
	} else {
		if (!f->cancelled) {
			fetch_tell_failure_locked(f, e, why && *why ? why : err_text((int)result));
			fetch_entry_count_locked(f, (int)result);
			fetch_note_vain_locked(f, e);
		}
		fetch_entry_fail_locked(f, e, f->cancelled ? -ECANCELED : -EIO);
	}
	fetch_pump_locked(f);
	lock_cond_signal(&f->work);
	lock_cond_broadcast(&f->change);
	fetch_unlock(f);
}

/* The unused chunk that may go first: those that were read, the oldest first; then, but not for what is only fetched `ahead`, those that were not. */
static struct fetch_entry *fetch_spare_locked(struct fetch *f, bool ahead) LOCK_REQUIRES(&f->lock)
{
	struct fetch_entry *e = f->idle.first;

	while (e && e->ahead)
		e = e->next;
	return e || ahead ? e : f->idle.first;
}

/* Makes room for `size` more bytes as far as unused ones can go. */
static bool fetch_room_locked(struct fetch *f, uint64_t size, bool ahead) LOCK_REQUIRES(&f->lock)
{
	uint64_t limit = f->params.memory_bytes / (ahead ? FETCH_AHEAD_SHARE : 1);
	struct fetch_entry *spare;

	while (f->used_bytes + size > limit && (spare = fetch_spare_locked(f, ahead)) != NULL)
		fetch_entry_kill_locked(f, spare);
	return f->used_bytes + size <= limit;
}

/* The next in line that may begin: at least one always may. */
static struct fetch_entry *fetch_next_locked(struct fetch *f) LOCK_REQUIRES(&f->lock)
{
	struct fetch_entry *e = f->asked.first;

	if (f->running >= f->params.transfers || f->cancelled)
		return NULL;
	if (e && (fetch_room_locked(f, e->size, false) || (!f->running && !f->arrived.first)))
		return e;
	if (e)
		return NULL;
	e = f->ahead.first;
	return e && fetch_room_locked(f, e->size, true) ? e : NULL;
}

static void fetch_begin_locked(struct fetch *f, struct fetch_entry *e) LOCK_REQUIRES(&f->lock)
{
	int err = fetch_work_start_locked(f);

	fetch_list_drop(e);
	e->bytes = err ? NULL : large_alloc(e->size);
	if (!err && !e->bytes)
		err = -ENOMEM;
	if (e->bytes)
		f->used_bytes += e->size;
	e->phase = FETCH_RUNNING;
	f->running++;
	if (!err)
		err = store_s3_submit_get(f->remote, e->hash.b, e->bytes, e->size, 0,
					  time_mono_ns() + FETCH_TRANSFER_NS, fetch_arrived, e,
					  &e->ticket);
	if (!err)
		return;
	f->running--;
	fetch_entry_fail_locked(f, e, err);
}

void fetch_pump_locked(struct fetch *f)
{
	struct fetch_entry *e;

	while ((e = fetch_next_locked(f)) != NULL)
		fetch_begin_locked(f, e);
}

int fetch_read(struct content *c, int64_t chunk, uint64_t off, void *buf, size_t len,
	       struct fetch_file **file, uint64_t *at)
{
	struct fetch *f = c->fetch;
	struct fetch_entry *e = NULL;
	int result = -EREMOTE;

	if (!f)
		return result;
	lock_lock(&f->lock);
	HASH_FIND(hh, f->table, &chunk, sizeof(chunk), e);
	if (e && e->phase == FETCH_PLACED && !fetch_file_bad(e->file)) {
		*file = fetch_file_get(e->file);
		*at = e->off + off;
		result = 0;
	} else if (e && e->phase == FETCH_HELD) {
		/* The work on it may write it and drop the bytes: only what is nobody's work any more may go. */
		if (e->list == &f->idle)
			fetch_list_drop(e);
		e->refs++;
		e->readers++;
		e->ahead = false;
		fetch_unlock(f);
		memcpy(buf, e->bytes + off, len);
		lock_lock(&f->lock);
		e->readers--;
		if (!e->readers && e->phase == FETCH_PLACED)
			fetch_entry_drop_bytes_locked(f, e);
		fetch_entry_put_locked(f, e);
		result = 1;
	}
	fetch_unlock(f);
	return result;
}

void fetch_ahead(struct content *c, int64_t chunk, int64_t object, uint64_t at)
{
	struct fetch *f = c->fetch;
	struct fetch_entry *e = f ? fetch_entry_get(f, chunk, object, at, true) : NULL;

	if (!e)
		return;
	lock_lock(&f->lock);
	fetch_entry_put_locked(f, e);
	fetch_unlock(f);
}

unsigned fetch_ahead_max(const struct content *c)
{
	const struct fetch *f = c->fetch;
	uint64_t fit;

	if (!f)
		return 0;
	fit = f->params.memory_bytes / FETCH_AHEAD_SHARE / c->params.chunker.avg;
	return fit < f->params.transfers ? (unsigned)fit : f->params.transfers;
}

int64_t fetch_deadline_ns(const struct content *c)
{
	return time_mono_ns() +
	       (c->fetch ? c->fetch->params.timeout_ns : FETCH_TIMEOUT_S * TIME_NS_PER_S);
}

bool fetch_status(struct content *c, struct fetch_status *out)
{
	struct fetch *f = c->fetch;

	*out = (struct fetch_status){ 0 };
	if (!f)
		return false;
	lock_lock(&f->lock);
	*out = f->sum;
	out->transfers = f->running;
	out->memory_bytes = f->used_bytes;
	for (const struct fetch_entry *e = f->asked.first; e; e = e->next)
		out->waiting++;
	for (const struct fetch_entry *e = f->ahead.first; e; e = e->next)
		out->waiting++;
	lock_unlock(&f->lock);
	return true;
}

int fetch_start(struct content *c, struct store **remote, const struct fetch_params *params)
{
	struct fetch *f = calloc(1, sizeof(*f));

	if (!f)
		return -ENOMEM;
	f->content = c;
	f->params = *params;
	if (!f->params.transfers)
		f->params.transfers = FETCH_TRANSFERS;
	if (!f->params.memory_bytes)
		f->params.memory_bytes = FETCH_MEMORY;
	if (!f->params.timeout_ns)
		f->params.timeout_ns = FETCH_TIMEOUT_S * TIME_NS_PER_S;
	lock_init(&f->lock, LOCK_RANK_CONTENT);
	lock_cond_init(&f->work);
	lock_cond_init(&f->change);
	f->remote = *remote;
	*remote = NULL;
	c->fetch = f;
	return 0;
}

/* Nothing in line begins any more. */
static void fetch_cancel_lines_locked(struct fetch *f) LOCK_REQUIRES(&f->lock)
{
	struct fetch_entry *e, *next;

	while (f->asked.first)
		fetch_entry_fail_locked(f, f->asked.first, -ECANCELED);
	while (f->ahead.first)
		fetch_entry_fail_locked(f, f->ahead.first, -ECANCELED);
	while (f->idle.first)
		fetch_entry_kill_locked(f, f->idle.first);
	HASH_ITER (hh, f->table, e, next) {
		if (e->phase == FETCH_RUNNING)
			store_s3_cancel(f->remote, e->ticket);
	}
}

void fetch_cancel(struct content *c)
{
	struct fetch *f = c->fetch;

	if (!f)
		return;
	lock_lock(&f->lock);
	f->cancelled = true;
	fetch_wait_end_all_locked(f, -ECANCELED);
	fetch_cancel_lines_locked(f);
	lock_cond_broadcast(&f->work);
	while (f->due || f->telling)
		lock_cond_wait(&f->change, &f->lock);
	fetch_unlock(f);
}

void fetch_stop(struct content *c)
{
	struct fetch *f = c->fetch;

	if (!f)
		return;
	fetch_cancel(c);
	/* Ends what runs, and waits for it. */
	store_close(f->remote);
	lock_lock(&f->lock);
	f->stop = true;
	lock_cond_broadcast(&f->work);
	fetch_unlock(f);
	for (unsigned i = 0; i < f->thread_count; i++)
		pthread_join(f->threads[i], NULL);
	(void)fetch_record(c);
	fetch_caches_release(f);
	lock_lock(&f->lock);
	while (f->idle.first)
		fetch_entry_kill_locked(f, f->idle.first);
	assert(!f->table);
	fetch_unlock(f);
	lock_cond_release(&f->change);
	lock_cond_release(&f->work);
	lock_release(&f->lock);
	free(f);
	c->fetch = NULL;
}
