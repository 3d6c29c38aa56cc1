/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The thread. It looks every second whether something has changed, waits a moment for what belongs to it, sends a step, and goes on with a segment that replaces others while nothing is due. An
 * unreachable bucket is asked again after longer and longer whiles. At the end what is left is sent if the bucket answers at once; else it is found and sent at the next start.
 */
#include "config.h"

#include "library/backup.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "library/instance.h"
#include "library/internal.h"
#include "util/err.h"
#include "util/lock.h"
#include "util/log.h"
#include "util/thread.h"
#include "util/time.h"

/* After a change what follows at once is waited for; steps are so far apart at least. */
#define BACKUP_LOOK_NS TIME_NS_PER_S
#define BACKUP_REST_NS TIME_NS_PER_S
#define BACKUP_APART_NS (3 * TIME_NS_PER_S)
#define BACKUP_RETRY_NS TIME_NS_PER_S
#define BACKUP_RETRY_MAX_NS (60 * TIME_NS_PER_S)
/* What an unmounting may be kept waiting for a bucket that has answered so far. */
#define BACKUP_LAST_NS (2 * TIME_NS_PER_S)

enum { BACKUP_CONNECTIONS = 2 };

struct backup {
	struct library *lib;
	struct lock lock;         /* guards what follows, up to `thread` */
	struct backup_ship *ship; /* the thread's, which reads it without the lock; NULL: not yet */
	struct reap *reap;        /* the thread's */
	struct lock_cond wake;    /* asked, stop */
	struct lock_cond told;    /* a round has ended, the thread too */
	uint64_t asked, done;     /* tickets */
	int result;               /* of the last round */
	bool take_over, stop, ended;
	bool reached; /* the last round went well */
	struct backup_status status;
	int64_t changed_ns; /* time_mono_ns() of the oldest change that was not sent; 0: none */
	pthread_t thread;
	/* The thread's: */
	bool begun;
	uint64_t last; /* ticket that was done last */
	int64_t sent_ns, retry_ns, due_ns;
	int logged;
};

const char *backup_mood_word(enum backup_mood mood)
{
	static const char *const words[] = { "off", "current", "behind", "failing", "refused" };

	return words[mood];
}

static int backup_new_ship(struct library *lib, struct backup_ship **out)
{
	struct backup_ship_params params = { .meta = lib->meta,
					     .dir_fd = lib->dir_fd,
					     .path = lib->path };
	struct s3_settings s3 = lib->settings.s3;

	if (!s3.bucket)
		return -ENOENT;
	s3.connections = BACKUP_CONNECTIONS;
	memcpy(params.library, lib->id, sizeof(params.library));
	int err = instance_machine(params.machine);

	if (!err)
		err = s3_client_new(&s3, s3_credentials_find, &params.client);
	return err ? err : backup_ship_new(&params, out);
}

int backup_now(struct library *lib, bool take_over, struct backup_ship_facts *facts,
	       struct buf *why)
{
	struct backup_ship *ship = NULL;
	int err = backup_new_ship(lib, &ship);

	if (err)
		return err;
	err = backup_ship_begin(ship, take_over);
	if (!err)
		err = backup_ship_step(ship, false);
	if (err < 0)
		buf_add_str(why, backup_ship_why(ship));
	while (err >= 0 && backup_ship_merge(ship) > 0)
		continue;
	if (err >= 0)
		err = backup_ship_save(ship);
	if (facts)
		backup_ship_facts(ship, facts);
	backup_ship_free(ship);
	return err < 0 ? err : 0;
}

static int backup_new_reap(struct library *lib, struct reap **out)
{
	struct reap_params params = { .meta = lib->meta,
				      .instance = lib->instance,
				      .grace_ns = lib->settings.delete_after_ns };

	return reap_new(&params, out);
}

/* All that is due. The ship has begun. */
static int backup_reap_all(struct backup_ship *ship, struct reap *reap)
{
	int err = 0, merged;

	while (!err) {
		while ((merged = backup_ship_merge(ship)) > 0)
			continue;
		err = merged < 0 ? merged : reap_step(reap, ship, true);
		if (err <= 0)
			break;
		err = 0;
	}
	/* So that what is done with is not in the backup either. */
	if (!err)
		err = backup_ship_step(ship, false);
	if (err >= 0)
		err = backup_ship_save(ship);
	return err;
}

int backup_reap(struct library *lib, struct reap_strays *strays, bool dry, struct reap_facts *facts,
		struct buf *why)
{
	struct backup_ship *ship = NULL;
	struct reap *reap = NULL;
	int err = backup_new_ship(lib, &ship);

	*facts = (struct reap_facts){ 0 };
	if (!err)
		err = backup_new_reap(lib, &reap);
	if (!err)
		err = backup_ship_begin(ship, false);
	if (!err && strays)
		err = reap_find_strays(lib->meta, ship, dry, strays);
	if (!err && !dry)
		err = backup_reap_all(ship, reap);
	if (reap)
		reap_facts(reap, facts);
	if (err < 0 && ship)
		buf_add_str(why, facts->err ? facts->why : backup_ship_why(ship));
	reap_free(reap);
	backup_ship_free(ship);
	return err;
}

/* What is wrong, in words. */
static const char *backup_why(const struct backup *b, int err)
{
	if (err >= 0)
		return "";
	return b->ship         ? backup_ship_why(b->ship)
	       : err == -EBUSY ? "another process is making one"
			       : err_text(err);
}

static void backup_tell(struct backup *b, int err)
{
	enum backup_mood mood = err == -EEXIST ? BACKUP_REFUSED
				: err < 0      ? BACKUP_FAILING
					       : BACKUP_CURRENT;

	if (err < 0 && err != b->logged && err != -ECANCELED)
		log_error("%s: backup: %s", b->lib->path, backup_why(b, err));
	else if (err >= 0 && b->logged)
		log_info("%s: backup: goes on", b->lib->path);
	b->logged = err < 0 ? err : 0;
	lock_lock(&b->lock);
	b->status.mood = mood;
	b->reached = err >= 0;
	snprintf(b->status.why, sizeof(b->status.why), "%s", backup_why(b, err));
	if (b->ship)
		backup_ship_facts(b->ship, &b->status.facts);
	lock_unlock(&b->lock);
}

/* Has the ship, which another process may keep us from for a while. */
static int backup_open(struct backup *b)
{
	struct backup_ship *ship = NULL;
	int err = b->ship ? 0 : backup_new_ship(b->lib, &ship);

	if (!ship)
		return err;
	lock_lock(&b->lock);
	bool stop = b->stop;

	b->ship = ship;
	lock_unlock(&b->lock);
	return stop ? -ECANCELED : 0;
}

/* A round: the beginning where it is not behind us, and a step. */
static int backup_round(struct backup *b, bool asked, bool take_over)
{
	bool begun = b->begun;
	int err = backup_open(b);

	if (!err && !begun)
		err = backup_ship_begin(b->ship, take_over);
	b->begun = !err;
	if (!err)
		err = backup_ship_step(b->ship, asked);
	b->begun = b->begun && backup_ship_begun(b->ship);
	if (err != -EEXIST)
		return err;
	/* Whose it is has to be found out again, and what the bucket has; at once by who may take it over. */
	b->begun = false;
	return begun && take_over ? backup_round(b, asked, take_over) : err;
}

/* The while until the next try: longer each time, and random, so that many do not come at once. */
static void backup_back_off(struct backup *b, int64_t now)
{
	uint32_t dice = 0;

	b->retry_ns = b->retry_ns ? 2 * b->retry_ns : BACKUP_RETRY_NS;
	if (b->retry_ns > BACKUP_RETRY_MAX_NS)
		b->retry_ns = BACKUP_RETRY_MAX_NS;
	(void)!getrandom(&dice, sizeof(dice), GRND_NONBLOCK);
	b->due_ns = now + b->retry_ns / 2 + b->retry_ns / 2 * (dice % 1000) / 1000;
}

static void backup_run(struct backup *b, uint64_t ticket, bool take_over)
{
	int64_t began_ns = time_mono_ns();
	int err = backup_round(b, ticket != b->last, take_over);
	int64_t now = time_mono_ns();

	backup_tell(b, err);
	if (err < 0) {
		backup_back_off(b, now);
	} else {
		b->retry_ns = b->due_ns = 0;
		b->sent_ns = now;
	}
	lock_lock(&b->lock);
	if (err >= 0 && b->changed_ns <= began_ns)
		b->changed_ns = 0;
	b->done = b->last = ticket;
	b->result = err < 0 ? err : 0;
	lock_cond_broadcast(&b->told);
	lock_unlock(&b->lock);
}

/* When the next step is due; INT64_MAX: nothing has changed. */
static int64_t backup_due(struct backup *b)
{
	int64_t now = time_mono_ns(), due;

	if (b->due_ns)
		return b->due_ns;
	bool changed = !b->begun || backup_ship_due(b->ship);

	lock_lock(&b->lock);
	if (changed && !b->changed_ns)
		b->changed_ns = now;
	due = b->changed_ns + BACKUP_REST_NS;
	changed = b->changed_ns != 0;
	if (changed && b->status.mood == BACKUP_CURRENT)
		b->status.mood = BACKUP_BEHIND;
	lock_unlock(&b->lock);
	if (!b->begun)
		return now;
	if (!changed)
		return INT64_MAX;
	return due > b->sent_ns + BACKUP_APART_NS || !b->sent_ns ? due
								 : b->sent_ns + BACKUP_APART_NS;
}

/* Waits until DUE or, to look again, a second. False when it is to stop. *TICKET: what is asked, if it is more than is done. */
static bool backup_wait(struct backup *b, int64_t due, uint64_t *ticket, bool *take_over)
{
	int64_t look = time_mono_ns() + BACKUP_LOOK_NS, until = due < look ? due : look;

	lock_lock(&b->lock);
	while (!b->stop && b->asked == b->done)
		if (lock_cond_wait_until(&b->wake, &b->lock, until))
			break;
	bool stop = b->stop;

	*ticket = b->asked;
	*take_over = b->take_over;
	b->take_over = false;
	lock_unlock(&b->lock);
	return !stop;
}

/* Work that can wait for steps, a piece at a time. */
static bool backup_merge(struct backup *b, int64_t due)
{
	bool more = false;

	while (b->begun && !b->due_ns && time_mono_ns() < due &&
	       (more = backup_ship_merge(b->ship) > 0)) {
		lock_lock(&b->lock);
		bool leave = b->stop || b->asked != b->done;

		lock_unlock(&b->lock);
		if (leave)
			return true;
		if (due == INT64_MAX)
			break;
	}
	return more;
}

/* A piece of deleting in the bucket, while nothing else is to be done. */
static bool backup_reap_piece(struct backup *b, int64_t due)
{
	if (!b->begun || b->due_ns || time_mono_ns() >= due)
		return false;
	lock_lock(&b->lock);
	bool leave = b->stop || b->asked != b->done;

	lock_unlock(&b->lock);
	if (leave)
		return false;
	int err = reap_step(b->reap, b->ship, false);

	/* Whose the backup is has to be found out again. */
	b->begun = err != -EEXIST && backup_ship_begun(b->ship);
	lock_lock(&b->lock);
	reap_facts(b->reap, &b->status.reap);
	lock_unlock(&b->lock);
	return err > 0;
}

static void backup_end(struct backup *b)
{
	if (b->begun && !b->due_ns && backup_ship_due(b->ship))
		(void)backup_ship_step(b->ship, false);
	if (b->ship)
		(void)backup_ship_save(b->ship);
	lock_lock(&b->lock);
	b->ended = true;
	lock_cond_broadcast(&b->told);
	lock_unlock(&b->lock);
}

static void *backup_main(void *arg)
{
	struct backup *b = arg;
	bool take_over = false;
	uint64_t ticket = 0;

	thread_background();
	for (;;) {
		int64_t due = backup_due(b);
		bool more = backup_merge(b, due);

		more = backup_reap_piece(b, due) || more;
		if (!backup_wait(b, more ? time_mono_ns() : due, &ticket, &take_over))
			break;
		if (ticket != b->last || due <= time_mono_ns())
			backup_run(b, ticket, take_over);
	}
	backup_end(b);
	return NULL;
}

void backup_status(struct library *lib, struct backup_status *out)
{
	struct backup *b = lib->backup;

	*out = (struct backup_status){ 0 };
	if (!b)
		return;
	lock_lock(&b->lock);
	*out = b->status;
	if (b->changed_ns)
		out->behind_ns = time_mono_ns() - b->changed_ns;
	lock_unlock(&b->lock);
}

uint64_t backup_ask(struct library *lib, bool take_over)
{
	struct backup *b = lib->backup;

	if (!b)
		return 0;
	lock_lock(&b->lock);
	uint64_t ticket = ++b->asked;

	b->take_over = b->take_over || take_over;
	lock_cond_signal(&b->wake);
	lock_unlock(&b->lock);
	return ticket;
}

int backup_told(struct library *lib, uint64_t ticket, int *result)
{
	struct backup *b = lib->backup;

	if (!b || !ticket) {
		*result = lib->settings.s3.bucket ? -ENOTCONN : -ENOENT;
		return 1;
	}
	lock_lock(&b->lock);
	bool told = b->done >= ticket || b->stop;

	*result = b->done >= ticket ? b->result : -ECANCELED;
	lock_unlock(&b->lock);
	return told;
}

static void backup_free(struct backup *b)
{
	reap_free(b->reap);
	backup_ship_free(b->ship);
	lock_cond_release(&b->told);
	lock_cond_release(&b->wake);
	lock_release(&b->lock);
	free(b);
}

int backup_start(struct library *lib)
{
	struct backup *b;
	int err;

	if (!(lib->flags & LIBRARY_MOUNT) || library_read_only(lib) || !lib->settings.s3.bucket ||
	    !lib->settings.backup)
		return 0;
	b = calloc(1, sizeof(*b));
	if (!b)
		return -ENOMEM;
	b->lib = lib;
	b->status.mood = BACKUP_BEHIND;
	lock_init(&b->lock, LOCK_RANK_LIBRARY);
	lock_cond_init(&b->wake);
	lock_cond_init(&b->told);
	err = backup_new_reap(lib, &b->reap);
	if (!err)
		err = thread_start("garner-backup", backup_main, b, &b->thread);
	if (err)
		backup_free(b);
	else
		lib->backup = b;
	return err;
}

void backup_stop(struct library *lib)
{
	struct backup *b = lib->backup;
	int64_t until = time_mono_ns() + BACKUP_LAST_NS;

	if (!b)
		return;
	lock_lock(&b->lock);
	b->stop = true;
	lock_cond_broadcast(&b->wake);
	lock_cond_broadcast(&b->told);
	if (!b->reached)
		until = 0;
	while (!b->ended && time_mono_ns() < until)
		(void)lock_cond_wait_until(&b->told, &b->lock, until);
	if (b->ship)
		backup_ship_cancel(b->ship);
	lock_unlock(&b->lock);
	pthread_join(b->thread, NULL);
	lib->backup = NULL;
	backup_free(b);
}
