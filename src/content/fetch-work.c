/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The threads of fetching: they check what arrived, tell who waits, write it to caches, and record that. */
#include "config.h"

#include "content/fetch-internal.h"
#include "util/err.h"
#include "util/log.h"
#include "util/thread.h"
#include "util/time.h"

#include <errno.h>
#include <unistd.h>

enum { FETCH_THREADS_MIN = 2 };

#define FETCH_LOOK_NS (60 * TIME_NS_PER_S)

/* Not the chunk's bytes: they are asked for again, a few times. */
static void fetch_refuse_locked(struct fetch *f, struct fetch_entry *e) LOCK_REQUIRES(&f->lock)
{
	char name[HASH_TEXT_LEN];

	f->sum.corrupt++;
	hash_hex(&e->hash, name);
	if (++e->tries < FETCH_TRIES && !f->cancelled) {
		log_warn("chunk %s: what the bucket sent are not its bytes; asking again", name);
		fetch_entry_drop_bytes_locked(f, e);
		e->phase = FETCH_ASKED;
		fetch_list_add_first(&f->asked, e);
		fetch_pump_locked(f);
		return;
	}
	log_error("chunk %s: what the bucket has are not its bytes", name);
	fetch_entry_count_locked(f, ERR_CORRUPT);
	fetch_entry_fail_locked(f, e, -EIO);
}

/* Hashes the first that arrived. The lock is given up meanwhile. */
static void fetch_verify_locked(struct fetch *f) LOCK_REQUIRES(&f->lock)
{
	struct fetch_entry *e = f->arrived.first;
	struct hash hash;

	fetch_list_drop(e);
	fetch_unlock(f);
	int err = hash_data(f->content->params.algo, e->bytes, e->size, &hash);

	lock_lock(&f->lock);
	if (err) {
		fetch_entry_fail_locked(f, e, err);
	} else if (!hash_equal(&hash, &e->hash)) {
		fetch_refuse_locked(f, e);
	} else {
		e->phase = FETCH_HELD;
		f->sum.chunks++;
		f->sum.bytes += e->size;
		f->sum.last_error = 0;
		f->came_ns = time_mono_ns();
		fetch_list_add(&f->held, e);
		fetch_entry_ready_locked(f, e);
		lock_cond_signal(&f->work);
	}
	fetch_pump_locked(f);
}

static bool fetch_record_due_locked(const struct fetch *f, int64_t now_ns) LOCK_REQUIRES(&f->lock)
{
	return f->record_ns && f->record_ns <= now_ns && !f->recording;
}

static void fetch_step_locked(struct fetch *f) LOCK_REQUIRES(&f->lock)
{
	int64_t now = time_mono_ns(), until = fetch_wait_expire_locked(f, now);
	struct fetch_entry *e = f->held.first;

	if (f->due) {
		fetch_wait_tell_locked(f);
	} else if (f->arrived.first) {
		fetch_verify_locked(f);
	} else if (e) {
		fetch_list_drop(e);
		fetch_keep_locked(f, e);
	} else if (fetch_record_due_locked(f, now)) {
		(void)fetch_record_locked(f);
	} else {
		if (f->record_ns && !f->recording && f->record_ns < until)
			until = f->record_ns;
		if (until > now + FETCH_LOOK_NS)
			until = now + FETCH_LOOK_NS;
		(void)lock_cond_wait_until(&f->work, &f->lock, until);
	}
}

static void *fetch_main(void *arg)
{
	struct fetch *f = arg;

	lock_lock(&f->lock);
	while (!f->stop || f->due || f->arrived.first || f->held.first)
		fetch_step_locked(f);
	fetch_unlock(f);
	return NULL;
}

int fetch_work_start_locked(struct fetch *f)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned want = cores > FETCH_THREADS_MAX   ? FETCH_THREADS_MAX
			: cores > FETCH_THREADS_MIN ? (unsigned)cores
						    : FETCH_THREADS_MIN;

	while (f->thread_count < want) {
		int err = thread_start("garner-fetch", fetch_main, f, &f->threads[f->thread_count]);

		if (err)
			return f->thread_count ? 0 : err;
		f->thread_count++;
	}
	return 0;
}
