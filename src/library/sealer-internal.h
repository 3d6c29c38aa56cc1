/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the sealer-*.c share: the queue and its threads. Not for other files.
 *
 * An item of the queue goes WAITING -> RUNNING -> gone, or back to WAITING with a later due time.
 * Items lie in the order of `seq`, which is given when an item is queued or queued again, so that
 * "all up to now" is one comparison with the head.
 */
#ifndef GARNER_LIBRARY_SEALER_INTERNAL_H
#define GARNER_LIBRARY_SEALER_INTERNAL_H

#define HASH_NONFATAL_OOM 1
#define uthash_nonfatal_oom(element) ((void)(element))
#include <uthash.h>

#include <pthread.h>

#include "library/file-internal.h"
#include "library/sealer.h"
#include "util/lock.h"

enum {
	SEALER_BATCH = 256,           /* drafts sealed in one operation */
	SEALER_SMALL_BYTES = 4 << 20, /* larger drafts are sealed alone */
	SEALER_BATCH_BYTES = 32 << 20,
	SEALER_SLICE = 32, /* of them committed at once: others wait as long */
};

struct sealer_item {
	UT_hash_handle hh; /* by ino */
	struct sealer_item *prev, *next;
	int64_t ino;
	uint64_t size;
	uint64_t seq;
	int64_t due_ns; /* time_mono_ns() */
	unsigned tries;
	unsigned fetches; /* how often it had to wait for bytes of its base */
	bool purge;       /* an orphan to be removed, nothing to be sealed */
	bool running;     /* in the hands of the thread */
	uint64_t requeue; /* queued again while running: the place that it got; 0: not */
};

/* What the clock is to do now. */
struct clock_wish {
	bool tidy, sync; /* the metadata */
	bool collect;
};

struct sealer {
	struct library *lib;
	struct lock lock;          /* guards all below but the threads */
	struct lock_cond work;     /* something may be due, or stop */
	struct lock_cond clock;    /* stop, for the clock */
	struct lock_cond progress; /* an item has left the queue or was put back */
	struct sealer_item *table, *list;
	size_t batch_max; /* drafts sealed together: each takes a descriptor; constant */
	size_t crowd; /* when more than these wait, the delay is not kept: each holds a draft's file; constant */
	uint64_t seq, rush; /* items up to `rush` are due at once */
	uint64_t failures, skips;
	int64_t wake_ns;       /* until when the thread sleeps; INT64_MIN: it is at work */
	int64_t backlog;       /* drafts of former processes up to this blob are queued; -1: all */
	uint64_t backlog_seq;  /* of the last item when all were */
	int64_t felt_ns;       /* when it was last looked at what others do, … */
	uint64_t felt_changes; /* … library.changes then */
	bool hurried;          /* they are in a hurry */
	bool stop;
	struct clock_wish wish;
	bool collected;         /* the clock's: a pass of collection is over */
	int logged;             /* the error that was logged last, until a seal goes well */
	int64_t lease_until_ns; /* the sealing thread's; 0: never taken */
	struct sealer_status status;
	/* The sealing thread's: what it seals, and the assets whose rows are there but not yet all space given back. */
	struct file_seal items[SEALER_BATCH];
	int64_t sealed[SEALER_BATCH];
	size_t sealed_count;
	pthread_t seal_thread, clock_thread;
	bool seal_running, clock_running;
};

/*
 * Items that are due, for one run: fills inos, marks them running; 0 when the sealer stops. Waits
 * for them.
 */
struct sealer_batch {
	size_t count;
	bool purge;
	int64_t inos[SEALER_BATCH];
};
size_t sealer_take(struct sealer *s, struct sealer_batch *batch);

/*
 * What became of a running item: done (and gone unless queued again), to be tried again later
 * because of `err`, or left out because someone writes it; or soon again, when bytes that are being fetched may be here.
 */
void sealer_item_done(struct sealer *s, int64_t ino);
void sealer_item_failed(struct sealer *s, int64_t ino, int err);
void sealer_item_busy(struct sealer *s, int64_t ino, bool again);
void sealer_item_away(struct sealer *s, int64_t ino);

/* Queues the next drafts that a former process left, when the queue is short. */
void sealer_backlog(struct sealer *s);

/* Frees the queue. */
void sealer_queue_release(struct sealer *s);

/* Whether the sealer stops. */
bool sealer_stopping(struct sealer *s);

/* The clock's thread. */
void *sealer_clock(void *arg);

#endif
