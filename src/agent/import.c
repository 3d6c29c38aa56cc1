/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An import's run: its threads, its queue, its end. */
#include "config.h"

#include "agent/import-internal.h"
#include "library/control.h"
#include "util/cleanup.h"
#include "util/err.h"
#include "util/thread.h"
#include "util/time.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { IMPORT_JOBS_MAX = 64, IMPORT_FDS_SPARE = 256 };
#define IMPORT_TICK_NS (TIME_NS_PER_S / 10)
#define IMPORT_POKE_NS TIME_NS_PER_S

bool import_stopped(struct import *run)
{
	return __atomic_load_n(&run->err, __ATOMIC_RELAXED) != 0;
}

int import_stop_asked(void *arg)
{
	return import_stopped(arg);
}

void import_fail(struct import *run, int err)
{
	lock_lock(&run->lock);
	if (!run->err)
		__atomic_store_n(&run->err, err, __ATOMIC_RELAXED);
	lock_cond_broadcast(&run->work);
	lock_cond_broadcast(&run->room);
	lock_unlock(&run->lock);
}

bool import_is_fatal(int err)
{
	switch (err) {
	case -ENOSPC:
	case -EDQUOT:
	case -EROFS:
	case -ENOMEM:
	case -ECANCELED:
	case ERR_CORRUPT:
	case ERR_UNCERTAIN:
		return true;
	default:
		return false;
	}
}

void import_count(struct import *run, uint64_t *field, uint64_t n)
{
	lock_lock(&run->lock);
	*field += n;
	lock_unlock(&run->lock);
}

void import_tell(struct import *run, struct import_folder *folder, const char *name, bool failed,
		 const char *why)
{
	CLEANUP_BUF struct buf path = BUF_INIT;
	int err = import_folder_path(folder, &path);

	if (!err && name && path.len && path.data[path.len - 1] != '/')
		err = buf_add_byte(&path, '/');
	if (!err && name)
		err = buf_add_str(&path, name);
	import_count(run, failed ? &run->stats.failed : &run->stats.skipped, 1);
	run->o->tell(run->o->arg, failed, err ? name : buf_str(&path), why);
}

void import_tell_err(struct import *run, struct import_folder *folder, const char *name, int err)
{
	if (import_is_fatal(err))
		import_fail(run, err);
	else
		import_tell(run, folder, name, true, err_text(err));
}

void import_queue(struct import *run, struct import_batch *batch, bool wait)
{
	lock_lock(&run->lock);
	while (wait && run->queued >= run->queue_max && !run->err)
		lock_cond_wait(&run->room, &run->lock);
	DL_APPEND(run->queue, batch);
	run->queued++;
	lock_cond_signal(&run->work);
	lock_unlock(&run->lock);
}

/* The next batch; NULL at the end. */
static struct import_batch *import_take(struct import *run)
{
	struct import_batch *batch;

	lock_lock(&run->lock);
	while (!run->queue && !run->walked)
		lock_cond_wait(&run->work, &run->lock);
	batch = run->queue;
	if (batch) {
		DL_DELETE(run->queue, batch);
		run->queued--;
		lock_cond_signal(&run->room);
	}
	lock_unlock(&run->lock);
	return batch;
}

static void import_thread_end(struct import *run, bool walker)
{
	lock_lock(&run->lock);
	if (walker)
		run->walked = true;
	run->threads--;
	lock_cond_broadcast(&run->work);
	lock_cond_broadcast(&run->ended);
	lock_unlock(&run->lock);
}

static void *import_walker(void *arg)
{
	import_walk(arg);
	import_thread_end(arg, true);
	return NULL;
}

static void *import_worker(void *arg)
{
	struct import *run = arg;
	struct import_batch *batch;

	while ((batch = import_take(run)))
		import_batch_run(run, batch);
	import_thread_end(run, false);
	return NULL;
}

/* Shows progress and lets the mount see what was done, until all threads have ended. */
static void import_wait(struct import *run)
{
	int64_t poke = time_mono_ns() + IMPORT_POKE_NS;
	bool running = true;

	while (running) {
		struct import_stats now;

		lock_lock(&run->lock);
		if (run->threads)
			(void)lock_cond_wait_until(&run->ended, &run->lock,
						   time_mono_ns() + IMPORT_TICK_NS);
		running = run->threads > 0;
		now = run->stats;
		lock_unlock(&run->lock);
		if (run->o->progress(run->o->arg, &now))
			import_fail(run, -ECANCELED);
		if (time_mono_ns() >= poke && !run->o->dry_run) {
			library_changed(run->lib);
			poke = time_mono_ns() + IMPORT_POKE_NS;
		}
	}
}

/* Starts `jobs` workers and the walker, and waits for their end. */
static int import_threads(struct import *run, unsigned jobs)
{
	pthread_t threads[IMPORT_JOBS_MAX + 1];
	unsigned started = 0;
	int err = 0;

	run->threads = jobs + 1;
	while (started < jobs && !err) {
		err = thread_start("garner-import", import_worker, run, &threads[started]);
		started += !err;
	}
	if (!err)
		err = thread_start("garner-walk", import_walker, run, &threads[started]);
	if (err) {
		lock_lock(&run->lock);
		run->threads = started + 1;
		lock_unlock(&run->lock);
		import_thread_end(run, true);
		import_fail(run, err);
	}
	import_wait(run);
	for (unsigned i = 0; i < started + !err; i++)
		pthread_join(threads[i], NULL);
	return err;
}

/* Makes room for the files of as many batches as there are workers, as far as the limit goes. */
static void import_limits(struct import *run, unsigned jobs)
{
	struct rlimit limit;

	run->batch_max = IMPORT_BATCH;
	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur == RLIM_INFINITY)
		return;
	size_t spare = limit.rlim_cur > IMPORT_FDS_SPARE ? limit.rlim_cur - IMPORT_FDS_SPARE : 0;
	size_t each = spare / (2 * jobs);

	if (each < run->batch_max)
		run->batch_max = each ? each : 1;
}

static int import_begin(struct import *run, unsigned jobs)
{
	CLEANUP_BUF struct buf blobs = BUF_INIT;
	struct stat st;
	int err = buf_printf(&blobs, "%s/blobs", library_path(run->lib));

	if (err)
		return err;
	if (stat(library_path(run->lib), &run->library) || stat(blobs.data, &st))
		return -errno;
	run->blobs_dev = st.st_dev;
	if (!run->o->mount || stat(run->o->mount, &run->mount))
		run->mount = (struct stat){ 0 };
	run->queue_max = 2 * jobs;
	import_limits(run, jobs);
	return 0;
}

int import_run(struct library *lib, const struct import_options *options, char *const *sources,
	       size_t count, struct import_stats *stats)
{
	struct import run = { .lib = lib, .o = options, .sources = sources, .source_count = count };
	unsigned jobs = options->jobs ? options->jobs : (unsigned)library_settings(lib)->jobs;
	int err;

	jobs = jobs > IMPORT_JOBS_MAX ? IMPORT_JOBS_MAX : jobs ? jobs : 1;
	lock_init(&run.lock, LOCK_RANK_AGENT);
	lock_cond_init(&run.work);
	lock_cond_init(&run.room);
	lock_cond_init(&run.ended);
	err = import_begin(&run, jobs);
	if (!err)
		err = import_threads(&run, jobs);
	import_link_free(&run);
	if (!options->dry_run)
		library_changed(lib);
	*stats = run.stats;
	lock_cond_release(&run.ended);
	lock_cond_release(&run.room);
	lock_cond_release(&run.work);
	lock_release(&run.lock);
	return err ? err : run.err;
}
