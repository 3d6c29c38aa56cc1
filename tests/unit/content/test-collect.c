/* SPDX-License-Identifier: GPL-3.0-or-later */
/* content/collect.h: everything that is not reachable goes, nothing that is does. */
#include "config.h"

#include "util/cleanup.h"
#include "world.h"

#include <signal.h>
#include <sys/wait.h>

enum { LEN = 100000 };

static int count_file(void *arg, int64_t id)
{
	(void)id;
	++*(size_t *)arg;
	return 0;
}

static size_t files_of(struct world *w)
{
	size_t count = 0;

	ck_assert_int_eq(blobs_scan(w->blobs, count_file, &count), 0);
	return count;
}

START_TEST(a_removed_object_goes_after_the_grace_time)
{
	struct world w;
	struct asset a, b;
	uint8_t *data = stream_new(1, LEN);

	world_open(&w);
	asset_of(&w, &b, data + LEN / 2, LEN / 2);
	uint64_t before = world_bytes(&w);
	uint32_t chunks = asset_of(&w, &a, data, LEN).new_chunks;

	asset_remove(&w, &a);
	struct collect_stats stats = world_collect(&w, 1000, 500, 10);

	ck_assert_uint_eq(stats.objects, 1);
	ck_assert_uint_eq(stats.chunks, 0);
	stats = world_collect(&w, 1400, 500, 10);
	ck_assert_uint_eq(stats.chunks, 0);
	/* Until then the chunks can be had again, for no bytes. */
	ck_assert_uint_eq(asset_of(&w, &a, data, LEN).new_chunks, 0);
	asset_remove(&w, &a);
	stats = world_collect(&w, 2000, 500, 10);
	ck_assert_uint_eq(stats.objects, 1);
	stats = world_collect(&w, 2500, 500, 3);
	ck_assert_uint_eq(stats.chunks, chunks);
	ck_assert_uint_gt(stats.chunk_bytes, LEN / 2);
	ck_assert_uint_eq(world_bytes(&w), before);
	asset_is(&w, &b, data + LEN / 2, LEN / 2);
	world_check(&w);
	free(data);
	world_close(&w);
}
END_TEST

/* A blob that loses some of its chunks loses their space, and only that. */
START_TEST(unused_ranges_of_a_blob_are_given_back)
{
	struct world w;
	struct asset a, b;
	uint8_t *data = stream_new(2, LEN);

	world_open(&w);
	asset_of(&w, &a, data, LEN);
	asset_of(&w, &b, data, LEN);
	asset_edit(&w, &b);
	ck_assert_int_eq(draft_truncate(b.draft, LEN / 4), 0);
	asset_seal(&w, &b);
	asset_remove(&w, &a);
	struct collect_stats stats = world_collect(&w, 1000, 0, 100);

	ck_assert_uint_eq(stats.objects, 1);
	ck_assert_uint_eq(stats.blobs, 0);
	ck_assert_uint_gt(stats.punched_bytes, LEN / 2);
	ck_assert_uint_lt(world_bytes(&w), LEN / 4 + 4 * 8192);
	asset_is(&w, &b, data, LEN / 4);
	world_check(&w);
	free(data);
	world_close(&w);
}
END_TEST

START_TEST(bundles_lose_what_is_unused)
{
	struct world w;
	struct asset assets[400];
	uint8_t data[500];
	uint64_t state = 3;

	world_open(&w);
	for (size_t i = 0; i < 400; i++) {
		stream_fill(&state, data, 500);
		asset_of(&w, &assets[i], data, 500);
	}
	uint64_t before = world_bytes(&w);

	for (size_t i = 0; i < 300; i++)
		asset_remove(&w, &assets[i]);
	/* The first two are full and no one's; the third is open. */
	struct collect_stats stats = world_collect(&w, 1000, 0, 50);

	ck_assert_uint_eq(stats.objects, 300);
	ck_assert_uint_eq(stats.chunks, 300);
	ck_assert_uint_eq(stats.blobs, 2);
	ck_assert_uint_lt(world_bytes(&w), before - 120000);
	state = 3;
	for (size_t i = 0; i < 400; i++) {
		stream_fill(&state, data, 500);
		if (i >= 300)
			asset_is(&w, &assets[i], data, 500);
	}
	world_check(&w);
	world_close(&w);
}
END_TEST

START_TEST(what_is_being_viewed_stays)
{
	struct world w;
	struct asset a;
	uint8_t *data = stream_new(4, LEN), *back = malloc(LEN);
	struct view *v = NULL;

	world_open(&w);
	asset_of(&w, &a, data, LEN);
	ck_assert_int_eq(view_of_object(w.content, a.object, &v), 0);
	asset_remove(&w, &a);
	ck_assert_uint_eq(world_collect(&w, 1000, 0, 100).objects, 0);
	ck_assert_int_eq(view_read(v, back, LEN, 0), LEN);
	ck_assert(!memcmp(back, data, LEN));
	view_put(v);
	ck_assert_uint_eq(world_collect(&w, 1000, 0, 100).objects, 1);
	free(back);
	free(data);
	world_close(&w);
}
END_TEST

START_TEST(what_a_draft_lies_over_stays)
{
	struct world w;
	struct asset a, b;
	uint8_t *data = stream_new(5, LEN);

	world_open(&w);
	asset_of(&w, &a, data, LEN);
	asset_new(&w, &b);
	ck_assert_int_eq(draft_share(b.draft, 0, a.object, 10, LEN - 10), 0);
	asset_save(&w, &b);
	int64_t blob = draft_blob(b.draft);

	draft_free(b.draft);
	asset_remove(&w, &a);
	world_restart(&w);
	ck_assert_uint_eq(world_collect(&w, 1000, 0, 100).objects, 0);
	ck_assert_int_eq(draft_open(w.content, blob, b.size, false, &b.draft), 0);
	draft_is(b.draft, data + 10, LEN - 10);
	asset_seal(&w, &b);
	world_collect(&w, 1000, 0, 100);
	asset_is(&w, &b, data + 10, LEN - 10);
	world_check(&w);
	free(data);
	world_close(&w);
}
END_TEST

START_TEST(what_crashes_leave_is_found)
{
	struct world w;
	struct asset a, b;
	uint8_t *data = stream_new(6, LEN);
	struct draft *d = NULL;

	world_open(&w);
	asset_of(&w, &a, data, LEN);
	/* A file without a row. */
	ck_assert_int_eq(blobs_create(w.blobs, 777777), 0);
	/* A draft that was taken and never given to a node; one that a node has. */
	ck_assert_int_eq(draft_take(w.content, &d), 0);
	draft_put(d, data, LEN, 0);
	draft_free(d);
	asset_new(&w, &b);
	draft_put(b.draft, data, LEN, 0);
	b.size = LEN;
	int64_t kept = draft_blob(b.draft);

	draft_free(b.draft);
	/* Bytes in a blob that no place names. */
	struct view *v = NULL;

	ck_assert_int_eq(view_of_object(w.content, a.object, &v), 0);
	int64_t home = blob_id(v->runs[0].blob);

	view_put(v);
	CLEANUP_CLOSE int fd = blobs_open_write(w.blobs, home);

	ck_assert_int_eq(io_pwrite_full(fd, data, LEN, 2 * LEN), 0);
	world_restart(&w);
	struct collect_stats stats = world_collect(&w, 1000, 0, 5);

	ck_assert_uint_eq(stats.strays, 1);
	ck_assert_uint_ge(stats.drafts, 1);
	ck_assert_uint_ge(stats.punched_bytes, LEN - 8192);
	ck_assert_uint_lt(world_bytes(&w), 2 * LEN + 65536);
	ck_assert_uint_eq(files_of(&w), 2);
	ck_assert_int_eq(draft_open(w.content, kept, LEN, false, &b.draft), 0);
	draft_is(b.draft, data, LEN);
	draft_free(b.draft);
	asset_is(&w, &a, data, LEN);
	world_check(&w);
	free(data);
	world_close(&w);
}
END_TEST

/* A library of assets, random changes to it, and collection in between. */
enum { ASSETS = 12, ASSET_MAX = 60000 };

struct shelf {
	struct world w;
	struct asset assets[ASSETS];
	uint8_t *bytes[ASSETS];
	uint64_t state;
	int64_t now_ns;
};

/* New content, much of which other content has too. */
static void shelf_compose(struct shelf *t, size_t i)
{
	struct asset *a = &t->assets[i];
	size_t len = stream_below(&t->state, 4) ? 1 + stream_below(&t->state, ASSET_MAX)
						: 1 + stream_below(&t->state, 500);

	for (size_t at = 0; at < len;) {
		size_t part = 1 + stream_below(&t->state, 20000);
		uint64_t seed = 1 + stream_below(&t->state, 8);

		part = part < len - at ? part : len - at;
		stream_fill(&seed, t->bytes[i] + at, part);
		at += part;
	}
	asset_of(&t->w, a, t->bytes[i], len);
}

static void shelf_edit(struct shelf *t, size_t i)
{
	struct asset *a = &t->assets[i];
	size_t off = stream_below(&t->state, a->size), len = 1 + stream_below(&t->state, 5000);

	len = len < ASSET_MAX - off ? len : ASSET_MAX - off;
	asset_edit(&t->w, a);
	stream_fill(&t->state, t->bytes[i] + off, len);
	draft_put(a->draft, t->bytes[i] + off, len, off);
	asset_seal(&t->w, a);
}

static void shelf_step(struct shelf *t)
{
	size_t i = stream_below(&t->state, ASSETS);
	struct asset *a = &t->assets[i];

	t->now_ns += 10;
	switch (stream_below(&t->state, 8)) {
	case 0:
		world_collect(&t->w, t->now_ns, (int64_t)stream_below(&t->state, 2) * 200,
			      1 + (unsigned)stream_below(&t->state, 40));
		break;
	case 1:
		if (!stream_below(&t->state, 4))
			world_restart(&t->w);
		break;
	default:
		if (!a->ino)
			shelf_compose(t, i);
		else if (stream_below(&t->state, 2))
			shelf_edit(t, i);
		else
			asset_remove(&t->w, a), a->ino = 0;
	}
}

static void shelf_run(uint64_t seed)
{
	struct shelf t = { .state = seed, .now_ns = 1000 };

	world_open(&t.w);
	for (size_t i = 0; i < ASSETS; i++)
		t.bytes[i] = malloc(ASSET_MAX);
	for (int step = 0; step < 150; step++) {
		shelf_step(&t);
		for (size_t i = 0; i < ASSETS; i++) {
			if (t.assets[i].ino)
				asset_is(&t.w, &t.assets[i], t.bytes[i], t.assets[i].size);
		}
		if (step % 15 == 14)
			world_check(&t.w);
	}
	for (size_t i = 0; i < ASSETS; i++) {
		if (t.assets[i].ino)
			asset_remove(&t.w, &t.assets[i]);
		free(t.bytes[i]);
	}
	/* Nothing is reachable: nothing is left but the open bundle and empty drafts. */
	world_collect(&t.w, INT64_MAX, 0, 100);
	ck_assert_uint_eq(world_check(&t.w), 0);
	world_restart(&t.w);
	world_collect(&t.w, INT64_MAX, 0, 100);
	ck_assert_uint_eq(world_bytes(&t.w), 0);
	world_close(&t.w);
}

START_TEST(nothing_reachable_is_ever_lost)
{
	for (uint64_t seed = 1; seed <= 4; seed++)
		shelf_run(seed);
}
END_TEST

/* A process that stores, edits and collects until it is killed. It tells that it goes on. */
static void victim(const char *dir, int out)
{
	struct shelf t = { .state = 77, .now_ns = 1000 };
	struct world *w = &t.w;

	snprintf(w->dir, sizeof(w->dir), "%s", dir);
	snprintf(w->db, sizeof(w->db), "%s/garner.db", dir);
	snprintf(w->store, sizeof(w->store), "%s/blobs", dir);
	w->dir_fd = -1;
	w->params = (struct content_params){ WORLD_SMALL, HASH_SHA256, 512,  65536,
					     { 0 },       true,        false };
	t.state += (uint64_t)getpid();
	world_enter(w, 0);
	for (size_t i = 0; i < ASSETS; i++)
		t.bytes[i] = malloc(ASSET_MAX);
	do {
		shelf_step(&t);
	} while (write(out, "+", 1) == 1);
	_exit(1);
}

struct graves {
	const uint8_t *mine;
	struct meta_op *op;
};

static int open_row(void *arg, const struct meta_row *row)
{
	struct graves *g = arg;
	size_t len;
	const void *id = meta_row_bytes(row, 0, &len);

	if (memcmp(id, g->mine, len) != 0)
		META_ADD(g->op, INSTANCE_END, META_ONE, 0, META_B(id, len), META_I(3));
	return 0;
}

/* As the process that mounts does: instances that are no more are ended. */
static void bury(struct world *w)
{
	struct graves g = { w->params.instance, meta_op_new() };

	ck_assert_int_ge(meta_query(w->meta, META_INSTANCE_OPEN, 0, NULL, open_row, &g), 1);
	/* none when it was killed before it had a row */
	ck_assert_uint_le(meta_op_count(g.op), 1);
	if (meta_op_count(g.op))
		ck_assert_int_eq(meta_apply(w->meta, g.op), 0);
	meta_op_free(g.op);
}

START_TEST(a_kill_at_any_time_loses_nothing)
{
	struct world w;
	uint64_t state = 5;

	world_open(&w);
	world_leave(&w);
	for (int round = 0; round < 12; round++) {
		int pipes[2];
		char told[64];
		size_t wait = 20 + stream_below(&state, 150), seen = 0;

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
		ck_assert_int_eq(kill(child, SIGKILL), 0);
		ck_assert_int_eq(waitpid(child, NULL, 0), child);
		close(pipes[0]);
		world_enter(&w, 0);
		bury(&w);
		size_t chunks = world_check(&w);

		world_collect(&w, 100000, 100000, 50);
		ck_assert_uint_eq(world_check(&w), chunks);
		world_leave(&w);
	}
	world_enter(&w, 0);
	world_close(&w);
}
END_TEST

UNIT_MAIN("collect", 240, a_removed_object_goes_after_the_grace_time,
	  unused_ranges_of_a_blob_are_given_back, bundles_lose_what_is_unused,
	  what_is_being_viewed_stays, what_a_draft_lies_over_stays, what_crashes_leave_is_found,
	  nothing_reachable_is_ever_lost, a_kill_at_any_time_loses_nothing)
