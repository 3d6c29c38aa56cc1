/* SPDX-License-Identifier: GPL-3.0-or-later */
/* content/evict.h: what the bucket has goes, and nothing else does. */
#include "config.h"

#include "content/upload.h"
#include "evict-unit.h"
#include "util/cleanup.h"

#include <sys/mman.h>
#include <sys/wait.h>

START_TEST(what_the_bucket_has_goes)
{
	struct world w;
	struct asset a;
	struct view *v = NULL;
	uint8_t *data;

	world_open(&w);
	data = evict_sent(&w, &a, 1);
	int64_t home = evict_home(&w, &a), chunks = places(&w);

	ck_assert_int_gt(used_of(&w, &a), 0);
	struct evict_stats stats = evict_one(&w, &a, 0);

	ck_assert_uint_eq(stats.evicted, 1);
	ck_assert_uint_eq(stats.chunks, (uint64_t)chunks);
	ck_assert_uint_ge(stats.freed_bytes, EVICT_LEN - 4096);
	ck_assert_int_eq(places(&w), 0);
	ck_assert_int_eq(used_of(&w, &a), 0);
	ck_assert_int_eq(blobs_stat(w.blobs, home, NULL, NULL), -ENOENT);
	ck_assert_int_eq(view_of_object(w.content, a.object, &v), 0);
	ck_assert_int_eq(v->runs[0].kind, VIEW_MISSING);
	view_put(v);
	/* The same content again brings it back. */
	struct asset b;

	asset_of(&w, &b, data, EVICT_LEN);
	ck_assert_int_eq(b.object, a.object);
	ck_assert_int_gt(used_of(&w, &a), 0);
	asset_is(&w, &a, data, EVICT_LEN);
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
	data = evict_sent(&w, &a, 2);
	sql_run(&w, "UPDATE chunk SET remote = 0");
	struct evict_stats stats = evict_one(&w, &a, 0);

	ck_assert_uint_eq(stats.evicted, 0);
	ck_assert_uint_eq(stats.unsent, 1);
	asset_is(&w, &a, data, EVICT_LEN);
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
	uint8_t *data, *back = malloc(EVICT_LEN);

	world_open(&w);
	data = evict_sent(&w, &a, 3);
	ck_assert_int_eq(view_of_object(w.content, a.object, &v), 0);
	ck_assert_uint_eq(evict_one(&w, &a, 0).open, 1);
	ck_assert_int_eq(view_read(v, back, EVICT_LEN, 0), EVICT_LEN);
	ck_assert_mem_eq(back, data, EVICT_LEN);
	view_put(v);
	/* A mapping, of which no descriptor is left. */
	CLEANUP_BUF struct buf path = BUF_INIT;

	ck_assert_int_eq(blobs_path(w.blobs, evict_home(&w, &a), &path), 0);
	int fd = open(buf_str(&path), O_RDONLY);
	void *map = mmap(NULL, EVICT_LEN, PROT_READ, MAP_SHARED, fd, 0);

	ck_assert_ptr_ne(map, MAP_FAILED);
	close(fd);
	ck_assert_uint_eq(evict_one(&w, &a, 0).open, 1);
	ck_assert_mem_eq(map, data, EVICT_LEN);
	munmap(map, EVICT_LEN);
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
	asset_is(&w, &a, data, EVICT_LEN);
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
	data = evict_sent(&w, &a, 4);
	asset_new(&w, &b);
	ck_assert_int_eq(draft_share(b.draft, 0, a.object, 10, EVICT_LEN - 10), 0);
	asset_save(&w, &b);
	int64_t blob = draft_blob(b.draft);

	draft_free(b.draft);
	ck_assert_uint_eq(evict_one(&w, &a, 0).open, 1);
	ck_assert_int_eq(draft_open(w.content, blob, b.size, false, &b.draft), 0);
	draft_is(b.draft, data + 10, EVICT_LEN - 10);
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
	data = evict_sent(&w, &a, 5);
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
	asset_is(&w, &a, data, EVICT_LEN);
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
	uint8_t *data, *back = malloc(EVICT_LEN);

	world_open(&w);
	data = evict_sent(&w, &a, 6);
	asset_of(&w, &b, data, EVICT_LEN / 2);
	send_all(&w);
	ck_assert_int_ne(a.object, b.object);
	/* Open. */
	ck_assert_int_eq(view_of_object(w.content, b.object, &v), 0);
	evict_one(&w, &a, 0);
	ck_assert_int_eq(view_read(v, back, EVICT_LEN / 2, 0), EVICT_LEN / 2);
	ck_assert_mem_eq(back, data, EVICT_LEN / 2);
	view_put(v);
	/* Pinned. */
	snprintf(sql, sizeof(sql), "INSERT INTO pin VALUES (%lld, 1)", (long long)b.ino);
	sql_run(&w, sql);
	evict_one(&w, &a, 0);
	asset_is(&w, &b, data, EVICT_LEN / 2);
	ck_assert_int_lt(places(&w), sql_number(&w, "SELECT count(*) FROM chunk"));
	/* Used later than what is asked for. */
	sql_run(&w, "DELETE FROM pin");
	struct evict_params p = { .before_ns = used_of(&w, &b) - 1 };

	evict_with(&w, &a, &p);
	asset_is(&w, &b, data, EVICT_LEN / 2);
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
	data = evict_sent(&w, &a, 7);
	sql_run(&w, "UPDATE object SET remote = 1");
	struct evict_stats stats = evict_with(&w, &a, &p);

	ck_assert_uint_eq(bucket.asked, (size_t)places(&w));
	ck_assert_uint_eq(bucket.bytes, EVICT_LEN);
	ck_assert_uint_eq(stats.unanswered, 1);
	asset_is(&w, &a, data, EVICT_LEN);
	bucket.there = 0;
	stats = evict_with(&w, &a, &p);
	ck_assert_uint_eq(stats.lost, (size_t)places(&w));
	ck_assert_int_eq(sql_number(&w, "SELECT sum(remote) FROM chunk"), 0);
	/* What consists of such chunks is not there either: uploading until all of them were sent again. */
	ck_assert_int_eq(upload_object_state(w.meta, a.object), 0);
	ck_assert_int_eq(sql_number(&w, "SELECT count(*) FROM upload WHERE kind = 2"), 1);
	asset_is(&w, &a, data, EVICT_LEN);
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
	data = evict_sent(&w, &a, 11);
	asset_of(&w, &b, data, EVICT_LEN / 2);
	send_all(&w);
	struct pinning other = { &w, b.ino }, own = { &w, a.ino };
	struct evict_params p = {
		.edge = EVICT_EDGE, .before_ns = INT64_MAX, .ask = ask_and_pin, .arg = &other
	};
	int64_t all = places(&w);

	evict_with(&w, &a, &p);
	asset_is(&w, &b, data, EVICT_LEN / 2);
	ck_assert_int_lt(places(&w), all);
	asset_remove(&w, &b);
	asset_of(&w, &b, data, EVICT_LEN);
	sql_run(&w, "DELETE FROM pin");
	p.arg = &own;
	evict_with(&w, &a, &p);
	asset_is(&w, &a, data, EVICT_LEN);
	evict_check(&w);
	free(data);
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
	  the_bucket_is_asked_first, what_is_pinned_meanwhile_stays,
	  space_is_taken_as_long_as_there_is_some)
