/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The clock: what is done now and then by time alone. One thread; each duty is short, or comes in
 * short steps, so that a stop is not kept waiting.
 */
#include "config.h"

#include "content/collect.h"
#include "content/used.h"
#include "library/sealer-internal.h"
#include "library/times.h"
#include "util/err.h"
#include "util/log.h"
#include "util/time.h"

#include <errno.h>

enum {
	CLOCK_SWEEP = 256,   /* nodes a step */
	CLOCK_COLLECT = 256, /* rows a step */
};

/* Chunks that nothing uses stay for this long: they may be wanted again. */
#define CLOCK_GRACE_NS (3600 * TIME_NS_PER_S)

/*
 * Sizes of files that are open for long, then the log: what was written is older than one period at
 * most when power fails.
 */
static int clock_sync(struct sealer *s)
{
	struct meta *meta = library_meta(s->lib);
	int rc = files_flush(s->lib, false);
	int recorded = times_record(s->lib);

	rc = rc ? rc : recorded;
	if (meta_dirty(meta)) {
		int synced = meta_sync(meta);

		rc = rc ? rc : synced;
	}
	int tidied = meta_tidy(meta);

	return rc ? rc : tidied;
}

/* What neither an entry nor the trash names. */
static int clock_sweep(struct sealer *s)
{
	int rc = tree_sweep(s->lib, TREE_SWEEP_AGE_NS, CLOCK_SWEEP);

	return rc < CLOCK_SWEEP ? (rc < 0 ? rc : 0) : 1;
}

static int clock_trash(struct sealer *s)
{
	int rc = tree_trash_expire(s->lib, time_now_ns());

	return rc < 0 ? rc : rc > 0;
}

static int clock_collect(struct sealer *s)
{
	struct collect_stats stats = { 0 };
	int rc = collect_step(library_content(s->lib), time_now_ns(), CLOCK_GRACE_NS, CLOCK_COLLECT,
			      &stats);

	s->collected = s->collected || rc == 0;
	return rc;
}

/* What was read, for the order in which content is evicted. */
static int clock_used(struct sealer *s)
{
	return used_record(library_content(s->lib));
}

struct clock_duty {
	const char *name;             /* for the log */
	int (*run)(struct sealer *s); /* 0; 1: there is more, again soon; <0 error */
	int64_t every_ns;             /* 0: the library's sync_every */
};

enum { CLOCK_SYNC, CLOCK_USED, CLOCK_SWEEPING, CLOCK_TRASH, CLOCK_COLLECTION, CLOCK_DUTIES };

static const struct clock_duty clock_duties[CLOCK_DUTIES] = {
	[CLOCK_SYNC] = { "recording sizes and syncing the log", clock_sync, 0 },
	[CLOCK_USED] = { "recording what was read", clock_used, 60 * TIME_NS_PER_S },
	[CLOCK_SWEEPING] = { "removing what nothing names", clock_sweep, 30 * TIME_NS_PER_S },
	[CLOCK_TRASH] = { "emptying the trash", clock_trash, 600 * TIME_NS_PER_S },
	[CLOCK_COLLECTION] = { "collecting content that nothing uses", clock_collect,
			       600 * TIME_NS_PER_S },
};

#define CLOCK_MIN_NS (100 * TIME_NS_PER_MS)
#define CLOCK_SOON_NS (200 * TIME_NS_PER_MS)

static int64_t clock_period(const struct sealer *s, const struct clock_duty *duty)
{
	int64_t every = duty->every_ns ? duty->every_ns : s->lib->settings.sync_every_ns;

	return every < CLOCK_MIN_NS ? CLOCK_MIN_NS : every;
}

/*
 * Runs a duty and says when it is due again; an error is logged when it is another than the last
 * time.
 */
static int64_t clock_run(struct sealer *s, const struct clock_duty *duty, int *last)
{
	int rc = duty->run(s);

	if (rc < 0 && rc != *last)
		log_error("%s: %s", duty->name, err_text(rc));
	*last = rc < 0 ? rc : 0;
	return time_mono_ns() + (rc > 0 ? CLOCK_SOON_NS : clock_period(s, duty));
}

static int64_t clock_next(const int64_t due[CLOCK_DUTIES])
{
	int64_t next = due[0];

	for (int i = 1; i < CLOCK_DUTIES; i++)
		if (due[i] < next)
			next = due[i];
	return next;
}

/* False when the sealer stops. */
static bool clock_wait(struct sealer *s, int64_t until_ns, struct clock_wish *wish)
{
	lock_lock(&s->lock);
	while (!s->stop && !s->wish.tidy && !s->wish.sync && !s->wish.collect &&
	       lock_cond_wait_until(&s->clock, &s->lock, until_ns) == 0)
		continue;
	bool stop = s->stop;

	*wish = s->wish;
	s->wish = (struct clock_wish){ 0 };
	lock_unlock(&s->lock);
	return !stop;
}

static void clock_wished(struct library *lib, struct clock_wish wish)
{
	struct sealer *s = lib->sealer;

	if (!s)
		return;
	lock_lock(&s->lock);
	s->wish.sync |= wish.sync;
	s->wish.tidy |= wish.tidy;
	s->wish.collect |= wish.collect;
	lock_cond_signal(&s->clock);
	lock_unlock(&s->lock);
}

void sealer_tidy(struct library *lib)
{
	clock_wished(lib, (struct clock_wish){ .tidy = true });
}

void sealer_collect(struct library *lib)
{
	clock_wished(lib, (struct clock_wish){ .collect = true });
}

void sealer_sync_soon(struct library *lib)
{
	clock_wished(lib, (struct clock_wish){ .sync = true });
}

void *sealer_clock(void *arg)
{
	struct sealer *s = arg;
	int64_t due[CLOCK_DUTIES];
	int last[CLOCK_DUTIES] = { 0 };
	struct clock_wish wish;

	for (int i = 0; i < CLOCK_DUTIES; i++)
		due[i] = time_mono_ns() + clock_period(s, &clock_duties[i]);
	while (clock_wait(s, clock_next(due), &wish)) {
		/* Who wishes it learns what came of it. */
		if (wish.sync)
			(void)meta_sync(library_meta(s->lib));
		if (wish.tidy)
			(void)meta_tidy(library_meta(s->lib));
		if (wish.collect && !s->collected)
			due[CLOCK_COLLECTION] = time_mono_ns();
		for (int i = 0; i < CLOCK_DUTIES; i++)
			if (due[i] <= time_mono_ns())
				due[i] = clock_run(s, &clock_duties[i], &last[i]);
	}
	return NULL;
}
