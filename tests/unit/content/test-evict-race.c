/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Eviction against who opens and reads at the same moment: named points first, then threads, then kills. The linker puts the functions here before those
 * that hold and open a file (--wrap).
 */
#include "config.h"

#include "content/view-internal.h"
#include "evict-unit.h"
#include "fetch-unit.h"

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/wait.h>

enum { LEN = 60000, ASSETS = 8, EDGE = 1024 };

static struct world *at_hold; /* NULL: nothing happens there */
static bool paused;
static sem_t planned, rows_read;
static pthread_t evicting;
static struct blob *held_blob;

int __wrap_blobs_hold(struct blobs *b, int64_t id, int *fd);
int __real_blobs_hold(struct blobs *b, int64_t id, int *fd);
int __wrap_blobs_alone(struct blobs *b, int64_t id);
int __real_blobs_alone(struct blobs *b, int64_t id);
int __wrap_view_plan_read(struct content *c, struct view_plan *p);
int __real_view_plan_read(struct content *c, struct view_plan *p);

static struct away *at_get; /* NULL: nothing happens there */
static const struct asset *going;
static const struct blobs *beside_blobs;

int __wrap_blobs_get(struct blobs *b, int64_t id, struct blob **out);
int __real_blobs_get(struct blobs *b, int64_t id, struct blob **out);

/* Between rows and bytes someone opens the file. */
int __wrap_blobs_hold(struct blobs *b, int64_t id, int *fd)
{
	if (at_hold)
		ck_assert_int_eq(blobs_get(b, id, &held_blob), 0);
	return __real_blobs_hold(b, id, fd);
}

/* An eviction that has found what may go waits until a view has read rows, … */
int __wrap_blobs_alone(struct blobs *b, int64_t id)
{
	if (paused) {
		sem_post(&planned);
		sem_wait(&rows_read);
	}
	return __real_blobs_alone(b, id);
}

/* … and the view waits, once, until all is gone. */
int __wrap_view_plan_read(struct content *c, struct view_plan *p)
{
	int err = __real_view_plan_read(c, p);

	if (paused) {
		paused = false;
		sem_post(&rows_read);
		pthread_join(evicting, NULL);
	}
	return err;
}

/* What a process beside the one that mounts is about to open goes. */
int __wrap_blobs_get(struct blobs *b, int64_t id, struct blob **out)
{
	if (at_get && b == beside_blobs) {
		struct away *a = at_get;

		at_get = NULL;
		ck_assert_uint_gt(evict_one(&a->w, going, EDGE).freed_bytes, 0);
	}
	return __real_blobs_get(b, id, out);
}

START_TEST(who_comes_between_rows_and_bytes_loses_nothing)
{
	struct world w;
	struct asset a;
	uint8_t *data = stream_new(1, LEN);

	world_open(&w);
	asset_of(&w, &a, data, LEN);
	send_all(&w);
	int64_t chunks = places(&w), used = used_of(&w, &a);

	at_hold = &w;
	struct evict_stats stats = evict_one(&w, &a, EDGE);

	at_hold = NULL;
	ck_assert_ptr_nonnull(held_blob);
	ck_assert_uint_eq(stats.freed_bytes, 0);
	ck_assert_int_eq(places(&w), chunks);
	ck_assert_int_eq(used_of(&w, &a), used);
	asset_is(&w, &a, data, LEN);
	blob_put(held_blob);
	evict_check(&w);
	ck_assert_uint_gt(evict_one(&w, &a, EDGE).freed_bytes, 0);
	evict_check(&w);
	free(data);
	world_close(&w);
}
END_TEST

/* What was not here when it was opened is here, and goes again, while another process looks for it. */
START_TEST(who_fetches_beside_reads_right)
{
	struct away a;
	struct asset asset;
	struct view *v = NULL;
	uint8_t *data = stream_new(4, LEN), *back = malloc(LEN);

	away_open(&a, FETCH_KEEP);
	away_asset(&a, &asset, data, LEN);
	struct away beside = { .lab = a.lab, .w = a.w };

	beside.w.dir_fd = -1;
	beside.w.params.adopt = false;
	world_enter(&beside.w, 0);
	away_start(&beside, FETCH_KEEP);
	ck_assert_int_eq(view_of_object(beside.w.content, asset.object, &v), 0);
	asset_is(&a.w, &asset, data, LEN);
	ck_assert_int_eq(fetch_record(a.w.content), 0);
	fetch_let_go(a.w.content);
	going = &asset;
	beside_blobs = beside.w.blobs;
	at_get = &a;
	/* Not in the block of an edge, which stays. */
	ck_assert_int_eq(view_read(v, back, LEN / 4, LEN / 2), LEN / 4);
	ck_assert_mem_eq(back, data + LEN / 2, LEN / 4);
	ck_assert_ptr_null(at_get);
	view_put(v);
	world_leave(&beside.w);
	away_close(&a);
	free(back);
	free(data);
}
END_TEST

struct job {
	struct world *w;
	struct asset *a;
	struct evict_stats stats;
};

static void *evict_paused(void *arg)
{
	struct job *job = arg;

	job->stats = evict_one(job->w, job->a, EDGE);
	return NULL;
}

/* A view reads rows, then they and their bytes go, then it opens files: it must not show zeros. */
START_TEST(a_view_is_built_again)
{
	struct world w;
	struct asset a;
	struct view *v = NULL;
	uint8_t *data = stream_new(2, LEN), *back = malloc(LEN);
	struct job job = { .w = &w, .a = &a };
	size_t missing = 0;

	world_open(&w);
	asset_of(&w, &a, data, LEN);
	send_all(&w);
	sem_init(&planned, 0, 0);
	sem_init(&rows_read, 0, 0);
	paused = true;
	ck_assert_int_eq(pthread_create(&evicting, NULL, evict_paused, &job), 0);
	sem_wait(&planned);
	ck_assert_int_eq(view_of_object(w.content, a.object, &v), 0);
	ck_assert(!paused);
	ck_assert_uint_gt(job.stats.freed_bytes, 0);
	for (size_t i = 0; i < v->count; i++) {
		const struct view_run *run = &v->runs[i];

		missing += run->kind == VIEW_MISSING;
		if (run->kind != VIEW_BLOB)
			continue;
		ck_assert_int_eq(view_read(v, back, run->len, run->start), (ssize_t)run->len);
		ck_assert_mem_eq(back, data + run->start, run->len);
	}
	ck_assert_uint_gt(missing, 0);
	view_put(v);
	evict_check(&w);
	free(back);
	free(data);
	world_close(&w);
}
END_TEST

/* Assets that are evicted, come back, and are read, at the same time. */
struct fair {
	struct world w;
	struct asset assets[ASSETS];
	uint8_t *bytes[ASSETS];
	int stop;              /* atomic */
	unsigned whole, parts; /* of the readers: views that had all, and not; atomic */
};

static void fair_look(struct fair *f, size_t i, uint8_t *back)
{
	struct view *v = NULL;
	bool whole = true;

	ck_assert_int_eq(view_of_object(f->w.content, f->assets[i].object, &v), 0);
	for (size_t k = 0; k < v->count; k++) {
		const struct view_run *run = &v->runs[k];

		whole = whole && run->kind != VIEW_MISSING;
		if (run->kind == VIEW_MISSING)
			continue;
		ck_assert_int_eq(view_read(v, back, run->len, run->start), (ssize_t)run->len);
		ck_assert_mem_eq(back, f->bytes[i] + run->start, run->len);
	}
	view_put(v);
	__atomic_add_fetch(whole ? &f->whole : &f->parts, 1, __ATOMIC_RELAXED);
}

static void *fair_read(void *arg)
{
	struct fair *f = arg;
	uint8_t *back = malloc(LEN);

	for (size_t i = 0; !__atomic_load_n(&f->stop, __ATOMIC_ACQUIRE); i++)
		fair_look(f, i % ASSETS, back);
	free(back);
	return NULL;
}

static void *fair_evict(void *arg)
{
	struct fair *f = arg;
	struct evict_params p = { .edge = EDGE, .before_ns = INT64_MAX };
	int64_t ids[ASSETS];

	for (size_t i = 0; i < ASSETS; i++)
		ids[i] = f->assets[i].object;
	while (!__atomic_load_n(&f->stop, __ATOMIC_ACQUIRE)) {
		struct evict_stats stats = { 0 };

		send_all(&f->w);
		ck_assert_int_eq(evict_objects(f->w.content, ids, ASSETS, &p, &stats), 0);
	}
	return NULL;
}

START_TEST(readers_see_right_bytes_or_none)
{
	struct fair f = { 0 };
	pthread_t readers[2], evicter;
	const char *rounds = getenv("EVICT_ROUNDS");

	world_open(&f.w);
	for (size_t i = 0; i < ASSETS; i++) {
		/* Every second shares half of its content with the one before. */
		f.bytes[i] = stream_new(10 + i, LEN);
		if (i % 2)
			memcpy(f.bytes[i], f.bytes[i - 1], LEN / 2);
		asset_of(&f.w, &f.assets[i], f.bytes[i], LEN);
	}
	for (int i = 0; i < 2; i++)
		pthread_create(&readers[i], NULL, fair_read, &f);
	pthread_create(&evicter, NULL, fair_evict, &f);
	for (int round = 0, of = rounds ? atoi(rounds) : 100 / (int)unit_stride(); round <= of;
	     round++) {
		struct asset again, *one = &again;
		int err = -EAGAIN;

		/* What it relied on may be evicted by the time it is sealed. */
		asset_new(&f.w, &again);
		draft_put(again.draft, f.bytes[round % ASSETS], LEN, 0);
		while (err == -EAGAIN)
			err = assets_seal(&f.w, &one, 1, NULL);
		ck_assert_int_eq(err, 0);
		asset_remove(&f.w, &again);
		if (round % 10 == 9)
			world_collect(&f.w, 1000 + round, 0, 50);
	}
	__atomic_store_n(&f.stop, 1, __ATOMIC_RELEASE);
	for (int i = 0; i < 2; i++)
		pthread_join(readers[i], NULL);
	pthread_join(evicter, NULL);
	ck_assert_uint_gt(f.parts, 0);
	evict_check(&f.w);
	for (size_t i = 0; i < ASSETS; i++)
		free(f.bytes[i]);
	world_close(&f.w);
}
END_TEST

/* A process that evicts and brings back until it is killed. */
static void victim(const char *dir, int out)
{
	struct world w = { .dir_fd = -1 };
	struct evict_params p = { .edge = EDGE, .before_ns = INT64_MAX };
	uint64_t state = (uint64_t)getpid();

	snprintf(w.dir, sizeof(w.dir), "%s", dir);
	snprintf(w.db, sizeof(w.db), "%s/garner.db", dir);
	snprintf(w.store, sizeof(w.store), "%s/blobs", dir);
	w.params = (struct content_params){
		WORLD_SMALL, HASH_SHA256, 512, 65536, { 0 }, true, false
	};
	world_enter(&w, 0);
	do {
		uint64_t seed = 100 + stream_below(&state, ASSETS);
		uint8_t *data = stream_new(seed, LEN);
		struct asset a;
		struct evict_stats stats = { 0 };

		asset_of(&w, &a, data, LEN);
		send_all(&w);
		p.edges_too = stream_below(&state, 4) == 0;
		evict_objects(w.content, &a.object, 1, &p, &stats);
		free(data);
	} while (write(out, "+", 1) == 1);
	_exit(1);
}

START_TEST(a_kill_at_any_time_loses_nothing)
{
	struct world w;
	uint64_t state = 5;
	const char *kills = getenv("EVICT_KILLS");

	world_open(&w);
	world_leave(&w);
	for (int round = 0, of = kills ? atoi(kills) : 10; round < of; round++) {
		int pipes[2];
		char told[64];
		size_t wait = 2 + stream_below(&state, 20), seen = 0;

		ck_assert_int_eq(pipe(pipes), 0);
		pid_t child = fork();

		if (!child)
			victim(w.dir, pipes[1]);
		close(pipes[1]);
		while (seen < wait) {
			ssize_t got = read(pipes[0], told, sizeof(told));

			ck_assert_int_gt(got, 0);
			seen += (size_t)got;
		}
		usleep((useconds_t)stream_below(&state, 20000));
		ck_assert_int_eq(kill(child, SIGKILL), 0);
		ck_assert_int_eq(waitpid(child, NULL, 0), child);
		close(pipes[0]);
		world_enter(&w, 0);
		/* As uploading would have by now. */
		evict_check(&w);
		world_leave(&w);
		sql_run(&w, "UPDATE instance SET ended_ns = 3 WHERE ended_ns IS NULL");
	}
	world_enter(&w, 0);
	world_collect(&w, 1000, 0, 50);
	evict_check(&w);
	world_close(&w);
}
END_TEST

UNIT_MAIN("evict-race", 60, who_comes_between_rows_and_bytes_loses_nothing,
	  who_fetches_beside_reads_right, a_view_is_built_again, readers_see_right_bytes_or_none,
	  a_kill_at_any_time_loses_nothing)
