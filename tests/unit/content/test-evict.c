/* SPDX-License-Identifier: GPL-3.0-or-later */
/* content/evict.h: what the bucket has goes, and nothing else does. */
#include "config.h"

#include "content/upload.h"
#include "evict-unit.h"
#include "util/cleanup.h"

#include <sys/mman.h>
#include <sys/wait.h>

enum { LEN = 100000, EDGE = 8192 };

/* One sealed asset of LEN bytes that the bucket has. */
static uint8_t *sent(struct world *w, struct asset *a, uint64_t seed)
{
	uint8_t *data = stream_new(seed, LEN);

	asset_of(w, a, data, LEN);
	send_all(w);
	return data;
}

static int64_t home_of(struct world *w, const struct asset *a)
{
	struct view *v = NULL;

	ck_assert_int_eq(view_of_object(w->content, a->object, &v), 0);
	int64_t home = blob_id(v->runs[0].blob);

	view_put(v);
	return home;
}

START_TEST(what_the_bucket_has_goes)
{
	struct world w;
	struct asset a;
	struct view *v = NULL;
	uint8_t *data;

	world_open(&w);
	data = sent(&w, &a, 1);
	int64_t home = home_of(&w, &a), chunks = places(&w);

	ck_assert_int_gt(used_of(&w, &a), 0);
	struct evict_stats stats = evict_one(&w, &a, 0);

	ck_assert_uint_eq(stats.evicted, 1);
	ck_assert_uint_eq(stats.chunks, (uint64_t)chunks);
	ck_assert_uint_ge(stats.freed_bytes, LEN - 4096);
	ck_assert_int_eq(places(&w), 0);
	ck_assert_int_eq(used_of(&w, &a), 0);
	ck_assert_int_eq(blobs_stat(w.blobs, home, NULL, NULL), -ENOENT);
	ck_assert_int_eq(view_of_object(w.content, a.object, &v), 0);
	ck_assert_int_eq(v->runs[0].kind, VIEW_MISSING);
	view_put(v);
	/* The same content again brings it back. */
	struct asset b;

	asset_of(&w, &b, data, LEN);
	ck_assert_int_eq(b.object, a.object);
	ck_assert_int_gt(used_of(&w, &a), 0);
	asset_is(&w, &a, data, LEN);
	evict_check(&w);
	free(data);
	world_close(&w);
}
END_TEST

START_TEST(what_the_bucket_has_not_stays)
{
	struct world w;
	struct asset a;
	uint8_t *data;

	world_open(&w);
	data = sent(&w, &a, 2);
	sql_run(&w, "UPDATE chunk SET remote = 0");
	struct evict_stats stats = evict_one(&w, &a, 0);

	ck_assert_uint_eq(stats.evicted, 0);
	ck_assert_uint_eq(stats.unsent, 1);
	asset_is(&w, &a, data, LEN);
	/* Half of it: the other half stays. */
	sql_run(&w, "UPDATE chunk SET remote = 1 WHERE id % 2");
	stats = evict_one(&w, &a, 0);
	ck_assert_uint_eq(stats.evicted, 1);
	ck_assert_uint_eq(stats.unsent, 1);
	ck_assert_int_eq(places(&w), sql_number(&w, "SELECT count(*) FROM chunk WHERE remote = 0"));
	ck_assert_int_gt(used_of(&w, &a), 0);
	evict_check(&w);
	free(data);
	world_close(&w);
}
END_TEST

START_TEST(what_is_open_stays)
{
	struct world w;
	struct asset a;
	struct view *v = NULL;
	uint8_t *data, *back = malloc(LEN);

	world_open(&w);
	data = sent(&w, &a, 3);
	ck_assert_int_eq(view_of_object(w.content, a.object, &v), 0);
	ck_assert_uint_eq(evict_one(&w, &a, 0).open, 1);
	ck_assert_int_eq(view_read(v, back, LEN, 0), LEN);
	ck_assert_mem_eq(back, data, LEN);
	view_put(v);
	/* A mapping, of which no descriptor is left. */
	CLEANUP_BUF struct buf path = BUF_INIT;

	ck_assert_int_eq(blobs_path(w.blobs, home_of(&w, &a), &path), 0);
	int fd = open(buf_str(&path), O_RDONLY);
	void *map = mmap(NULL, LEN, PROT_READ, MAP_SHARED, fd, 0);

	ck_assert_ptr_ne(map, MAP_FAILED);
	close(fd);
	ck_assert_uint_eq(evict_one(&w, &a, 0).open, 1);
	ck_assert_mem_eq(map, data, LEN);
	munmap(map, LEN);
	/* Another process. */
	int there[2], back_here[2];

	ck_assert_int_eq(pipe(there) | pipe(back_here), 0);
	pid_t child = fork();

	if (!child) {
		fd = open(buf_str(&path), O_RDONLY);
		_exit(write(back_here[1], "+", 1) != 1 || read(there[0], back, 1) != 1);
	}
	ck_assert_int_eq(read(back_here[0], back, 1), 1);
	struct evict_stats stats = evict_one(&w, &a, 0);

	ck_assert_int_eq(write(there[1], "+", 1), 1);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
	ck_assert_uint_eq(stats.open, 1);
	ck_assert_uint_eq(stats.evicted, 0);
	asset_is(&w, &a, data, LEN);
	ck_assert_uint_eq(evict_one(&w, &a, 0).evicted, 1);
	free(back);
	free(data);
	world_close(&w);
}
END_TEST

START_TEST(what_a_draft_lies_over_stays)
{
	struct world w;
	struct asset a, b;
	uint8_t *data;

	world_open(&w);
	data = sent(&w, &a, 4);
	asset_new(&w, &b);
	ck_assert_int_eq(draft_share(b.draft, 0, a.object, 10, LEN - 10), 0);
	asset_save(&w, &b);
	int64_t blob = draft_blob(b.draft);

	draft_free(b.draft);
	ck_assert_uint_eq(evict_one(&w, &a, 0).open, 1);
	ck_assert_int_eq(draft_open(w.content, blob, b.size, false, &b.draft), 0);
	draft_is(b.draft, data + 10, LEN - 10);
	draft_free(b.draft);
	free(data);
	world_close(&w);
}
END_TEST

/* A pin on the asset, or on a folder above it, through whatever name. */
START_TEST(what_is_pinned_stays)
{
	struct world w;
	struct asset a;
	char sql[200];
	uint8_t *data;

	world_open(&w);
	data = sent(&w, &a, 5);
	snprintf(sql, sizeof(sql), "INSERT INTO pin VALUES (%lld, 1)", (long long)a.ino);
	sql_run(&w, sql);
	ck_assert_uint_eq(evict_one(&w, &a, 0).pinned, 1);
	snprintf(sql, sizeof(sql),
		 "DELETE FROM pin; INSERT INTO entry (id, parent, name, ino) VALUES (1, 70, 'a', "
		 "%lld),"
		 " (2, 71, 'b', %lld), (3, 80, 'c', 71); INSERT INTO pin VALUES (80, 1)",
		 (long long)a.ino, (long long)a.ino);
	sql_run(&w, sql);
	ck_assert_uint_eq(evict_one(&w, &a, 0).pinned, 1);
	asset_is(&w, &a, data, LEN);
	sql_run(&w, "DELETE FROM entry WHERE id = 2");
	ck_assert_uint_eq(evict_one(&w, &a, 0).evicted, 1);
	free(data);
	world_close(&w);
}
END_TEST

/* Chunks that two assets have go by the rules of both. */
START_TEST(what_another_needs_stays)
{
	struct world w;
	struct asset a, b;
	struct view *v = NULL;
	char sql[200];
	uint8_t *data, *back = malloc(LEN);

	world_open(&w);
	data = sent(&w, &a, 6);
	asset_of(&w, &b, data, LEN / 2);
	send_all(&w);
	ck_assert_int_ne(a.object, b.object);
	/* Open. */
	ck_assert_int_eq(view_of_object(w.content, b.object, &v), 0);
	evict_one(&w, &a, 0);
	ck_assert_int_eq(view_read(v, back, LEN / 2, 0), LEN / 2);
	ck_assert_mem_eq(back, data, LEN / 2);
	view_put(v);
	/* Pinned. */
	snprintf(sql, sizeof(sql), "INSERT INTO pin VALUES (%lld, 1)", (long long)b.ino);
	sql_run(&w, sql);
	evict_one(&w, &a, 0);
	asset_is(&w, &b, data, LEN / 2);
	ck_assert_int_lt(places(&w), sql_number(&w, "SELECT count(*) FROM chunk"));
	/* Used later than what is asked for. */
	sql_run(&w, "DELETE FROM pin");
	struct evict_params p = { .before_ns = used_of(&w, &b) - 1 };

	evict_with(&w, &a, &p);
	asset_is(&w, &b, data, LEN / 2);
	p.before_ns++;
	evict_with(&w, &a, &p);
	ck_assert_int_eq(view_of_object(w.content, b.object, &v), 0);
	ck_assert_int_eq(v->runs[0].kind, VIEW_MISSING);
	view_put(v);
	evict_one(&w, &b, 0);
	ck_assert_int_eq(places(&w), 0);
	evict_check(&w);
	free(back);
	free(data);
	world_close(&w);
}
END_TEST

struct bucket {
	int there;
	size_t asked;
	uint64_t bytes;
};

static void ask(void *arg, struct evict_ask *asks, size_t count)
{
	struct bucket *b = arg;

	for (size_t i = 0; i < count; i++) {
		asks[i].there = b->there;
		b->bytes += asks[i].size;
	}
	b->asked += count;
}

START_TEST(the_bucket_is_asked_first)
{
	struct world w;
	struct asset a;
	struct bucket bucket = { .there = -ETIMEDOUT };
	struct evict_params p = { .before_ns = INT64_MAX, .ask = ask, .arg = &bucket };
	uint8_t *data;

	world_open(&w);
	data = sent(&w, &a, 7);
	sql_run(&w, "UPDATE object SET remote = 1");
	struct evict_stats stats = evict_with(&w, &a, &p);

	ck_assert_uint_eq(bucket.asked, (size_t)places(&w));
	ck_assert_uint_eq(bucket.bytes, LEN);
	ck_assert_uint_eq(stats.unanswered, 1);
	asset_is(&w, &a, data, LEN);
	bucket.there = 0;
	stats = evict_with(&w, &a, &p);
	ck_assert_uint_eq(stats.lost, (size_t)places(&w));
	ck_assert_int_eq(sql_number(&w, "SELECT sum(remote) FROM chunk"), 0);
	/* What consists of such chunks is not there either: uploading until all of them were sent again. */
	ck_assert_int_eq(upload_object_state(w.meta, a.object), 0);
	ck_assert_int_eq(sql_number(&w, "SELECT count(*) FROM upload WHERE kind = 2"), 1);
	asset_is(&w, &a, data, LEN);
	send_all(&w);
	bucket.there = 1;
	ck_assert_uint_eq(evict_with(&w, &a, &p).evicted, 1);
	ck_assert_int_eq(places(&w), 0);
	free(data);
	world_close(&w);
}
END_TEST

struct pinning {
	struct world *world;
	int64_t ino;
};

static void ask_and_pin(void *arg, struct evict_ask *asks, size_t count)
{
	const struct pinning *p = arg;
	char sql[100];

	snprintf(sql, sizeof(sql), "INSERT INTO pin VALUES (%lld, 1)", (long long)p->ino);
	sql_run(p->world, sql);
	for (size_t i = 0; i < count; i++)
		asks[i].there = 1;
}

/* A pin holds from when it was made, also while the bucket is being asked; of all who have a chunk. */
START_TEST(what_is_pinned_meanwhile_stays)
{
	struct world w;
	struct asset a, b;
	uint8_t *data;

	world_open(&w);
	data = sent(&w, &a, 11);
	asset_of(&w, &b, data, LEN / 2);
	send_all(&w);
	struct pinning other = { &w, b.ino }, own = { &w, a.ino };
	struct evict_params p = {
		.edge = EDGE, .before_ns = INT64_MAX, .ask = ask_and_pin, .arg = &other
	};
	int64_t all = places(&w);

	evict_with(&w, &a, &p);
	asset_is(&w, &b, data, LEN / 2);
	ck_assert_int_lt(places(&w), all);
	asset_remove(&w, &b);
	asset_of(&w, &b, data, LEN);
	sql_run(&w, "DELETE FROM pin");
	p.arg = &own;
	evict_with(&w, &a, &p);
	asset_is(&w, &a, data, LEN);
	evict_check(&w);
	free(data);
	world_close(&w);
}
END_TEST

/* What of the content is here reads as it should; how much that is. */
static uint64_t here(struct world *w, const struct asset *a, const uint8_t *data)
{
	uint8_t *back = malloc(a->size);
	struct view *v = NULL;
	uint64_t sum = 0, at = 0;

	ck_assert_int_eq(view_of_object(w->content, a->object, &v), 0);
	for (size_t i = 0; i < v->count; i++) {
		const struct view_run *run = &v->runs[i];

		ck_assert_uint_eq(run->start, at);
		at += run->len;
		if (run->kind == VIEW_MISSING)
			continue;
		ck_assert_int_eq(view_read(v, back, run->len, run->start), (ssize_t)run->len);
		ck_assert_mem_eq(back, data + run->start, run->len);
		sum += run->len;
	}
	ck_assert_uint_eq(at, a->size);
	view_put(v);
	free(back);
	return sum;
}

START_TEST(edges_stay)
{
	struct world w;
	struct asset a;
	uint8_t *data;
	struct evict_params all = { .edge = EDGE, .before_ns = INT64_MAX, .edges_too = true };

	world_open(&w);
	data = sent(&w, &a, 8);
	ck_assert_uint_ge(evict_one(&w, &a, EDGE).freed_bytes, LEN - 2 * EDGE - 6 * 4096);
	ck_assert_int_eq(places(&w), 0);
	ck_assert_int_lt(used_of(&w, &a), 0);
	ck_assert_int_eq(sql_number(&w, "SELECT sum(length) FROM edge"), 2 * EDGE);
	ck_assert_int_eq(sql_number(&w, "SELECT min(start) FROM edge"), 0);
	ck_assert_int_eq(sql_number(&w, "SELECT max(start + length) FROM edge"), LEN);
	evict_check(&w);
	ck_assert_uint_eq(here(&w, &a, data), 2 * EDGE);
	/* Neither collection nor evicting once more takes them. */
	world_restart(&w);
	world_collect(&w, 1000, 0, 5);
	evict_one(&w, &a, EDGE);
	evict_check(&w);
	ck_assert_int_eq(sql_number(&w, "SELECT sum(length) FROM edge"), 2 * EDGE);
	/* Here again, and gone again: the edges of before serve. */
	struct asset b;

	asset_of(&w, &b, data, LEN);
	ck_assert_int_gt(used_of(&w, &a), 0);
	evict_one(&w, &a, EDGE);
	ck_assert_int_eq(sql_number(&w, "SELECT sum(length) FROM edge"), 2 * EDGE);
	evict_check(&w);
	ck_assert_uint_eq(here(&w, &a, data), 2 * EDGE);
	/* Larger edges than before: the others are among them. */
	asset_of(&w, &b, data, LEN);
	evict_one(&w, &a, 2 * EDGE);
	ck_assert_uint_ge(here(&w, &a, data), 3 * EDGE);
	evict_check(&w);
	evict_with(&w, &a, &all);
	ck_assert_uint_eq(here(&w, &a, data), 0);
	ck_assert_int_eq(sql_number(&w, "SELECT count(*) FROM edge"), 0);
	ck_assert_int_eq(used_of(&w, &a), 0);
	ck_assert_uint_eq(world_bytes(&w), 0);
	free(data);
	world_close(&w);
}
END_TEST

/* What is damaged here is no edge, or its sum would call it good from then on. */
START_TEST(what_is_damaged_is_no_edge)
{
	struct world w;
	struct asset a;
	uint8_t *data;

	world_open(&w);
	data = sent(&w, &a, 10);
	CLEANUP_BUF struct buf path = BUF_INIT;

	ck_assert_int_eq(blobs_path(w.blobs, home_of(&w, &a), &path), 0);
	int fd = open(buf_str(&path), O_WRONLY);
	uint8_t wrong = data[100] ^ 1;

	ck_assert_int_eq(pwrite(fd, &wrong, 1, 100), 1);
	close(fd);
	evict_one(&w, &a, EDGE);
	ck_assert_int_eq(places(&w), 0);
	/* The other end is as good as it was. */
	uint64_t left = here(&w, &a, data);

	ck_assert(left >= EDGE && left < 2 * EDGE);
	evict_check(&w);
	free(data);
	world_close(&w);
}
END_TEST

/* A chunk that goes with one object leaves the edges of all that begin or end in it; and edges go with their object. */
START_TEST(edges_of_all_who_share)
{
	struct world w;
	struct asset a, b;
	uint8_t *data;

	world_open(&w);
	data = sent(&w, &a, 9);
	asset_of(&w, &b, data, LEN / 2);
	send_all(&w);
	evict_one(&w, &a, 1024);
	evict_one(&w, &b, 1024);
	ck_assert_int_eq(places(&w), 0);
	ck_assert_int_eq(sql_number(&w, "SELECT sum(length) FROM edge"), 4 * 1024);
	evict_check(&w);
	ck_assert_uint_eq(here(&w, &a, data), 2 * 1024);
	ck_assert_uint_eq(here(&w, &b, data), 2 * 1024);
	asset_remove(&w, &a);
	world_collect(&w, 1000, 0, 5);
	ck_assert_int_eq(sql_number(&w, "SELECT sum(length) FROM edge"), 2 * 1024);
	evict_check(&w);
	asset_remove(&w, &b);
	world_collect(&w, 1000, 0, 5);
	ck_assert_int_eq(sql_number(&w, "SELECT count(*) FROM edge"), 0);
	ck_assert_uint_eq(world_bytes(&w), 0);
	free(data);
	world_close(&w);
}
END_TEST

/* What is small is all edge, and goes last. */
START_TEST(bundles_lose_what_goes)
{
	struct world w;
	struct asset assets[300];
	struct evict_params all = { .before_ns = INT64_MAX, .edges_too = true };
	uint8_t data[500];
	uint64_t state = 3;

	world_open(&w);
	for (size_t i = 0; i < 300; i++) {
		stream_fill(&state, data, 500);
		asset_of(&w, &assets[i], data, 500);
	}
	send_all(&w);
	uint64_t before = world_bytes(&w);

	for (size_t i = 0; i < 150; i++) {
		ck_assert_uint_eq(evict_one(&w, &assets[i], 512).evicted, 0);
		if (i % 50)
			evict_with(&w, &assets[i], &all);
	}
	ck_assert_uint_lt(world_bytes(&w), before - 4096);
	state = 3;
	for (size_t i = 0; i < 300; i++) {
		stream_fill(&state, data, 500);
		if (i >= 150 || i % 50 == 0)
			asset_is(&w, &assets[i], data, 500);
	}
	evict_check(&w);
	world_close(&w);
}
END_TEST

START_TEST(space_is_taken_as_long_as_there_is_some)
{
	struct world w;

	world_open(&w);
	ck_assert(space_take(w.content, INT64_MAX));
	uint64_t taken = space_taken(w.content);

	space_allow(w.content, taken, 1000, 300);
	ck_assert(!space_wait(w.content, 0));
	ck_assert(space_take(w.content, 600));
	ck_assert(!space_wait(w.content, 0));
	ck_assert(space_take(w.content, 200));
	ck_assert(space_wait(w.content, INT64_MAX));
	ck_assert(!space_take(w.content, 201));
	ck_assert_uint_eq(space_denied(w.content), 1);
	space_give(w.content, 100);
	ck_assert(space_take(w.content, 300));
	/* What was taken since the account was drawn up counts. */
	space_allow(w.content, taken, 1500, 0);
	ck_assert(!space_take(w.content, 501));
	ck_assert(space_take(w.content, 500));
	world_close(&w);
}
END_TEST

UNIT_MAIN("evict", 60, what_the_bucket_has_goes, what_the_bucket_has_not_stays, what_is_open_stays,
	  what_a_draft_lies_over_stays, what_is_pinned_stays, what_another_needs_stays,
	  the_bucket_is_asked_first, what_is_pinned_meanwhile_stays, edges_stay,
	  what_is_damaged_is_no_edge, edges_of_all_who_share, bundles_lose_what_goes,
	  space_is_taken_as_long_as_there_is_some)
