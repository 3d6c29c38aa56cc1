/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Many threads at one library: they store, edit, read, save, seal and collect at the same time. */
#include "config.h"

#include "world.h"

#include <pthread.h>
#include <stdatomic.h>

enum { THREADS = 4, ROUNDS = 25, LEN_MAX = 40000, PART = 20000 };

struct crowd {
	struct world w;
	atomic_int failed, done;
	struct draft *shared;
};

struct worker {
	struct crowd *crowd;
	pthread_t thread;
	unsigned number;
};

static void check(struct crowd *c, bool good, const char *what)
{
	if (!good && !atomic_fetch_add(&c->failed, 1))
		fprintf(stderr, "failed: %s\n", what);
}

/* check's assertions are for the main thread alone, so what world.h does with them is done here without. */
static bool reads_as(struct world *w, int64_t object, const uint8_t *data, size_t len)
{
	uint8_t *back = malloc(len);
	struct view *v = NULL;
	bool good = !view_of_object(w->content, object, &v) &&
		    view_read(v, back, len, 0) == (ssize_t)len && !memcmp(back, data, len);

	view_put(v);
	free(back);
	return good;
}

static int store_add_node(struct world *w, int64_t ino, struct draft *d)
{
	struct meta_op *op = meta_op_new();
	struct uuid id;

	uuid_random(&id);
	META_ADD(op, NODE_INSERT, META_ONE, 0, META_I(ino), META_B(id.b, 16), META_I(2), META_I(1),
		 META_I(0644), META_I(0), META_I(0), META_I(0), META_I(0), META_I(0), META_I(1),
		 META_I(1), META_I(1), META_I(1), META_I(0), META_I(draft_blob(d)), META_I(1),
		 META_N());
	int err = meta_apply(w->meta, op);

	meta_op_free(op);
	return err;
}

static int store_remove_node(struct world *w, int64_t ino)
{
	struct meta_op *op = meta_op_new();

	META_ADD(op, NODE_PURGE, META_ONE, -ENOENT, META_I(ino));
	int err = meta_apply(w->meta, op);

	meta_op_free(op);
	return err;
}

/* Seals until nothing that was relied on goes away in between. */
static int store_seal(struct world *w, struct asset *a)
{
	int err, tries = 0;

	do {
		struct seal *s = NULL;
		struct meta_op *op = meta_op_new();

		err = seal_prepare(w->content, &a->draft, 1, NULL, NULL, &s);
		if (!err)
			err = asset_add_seal(a, s, 0, op);
		if (!err)
			err = meta_apply(w->meta, op);
		if (!err)
			seal_finish(s, 0, &a->draft);
		seal_free(s);
		meta_op_free(op);
	} while (err == -EAGAIN && ++tries < 1000);
	return err;
}

/* Stores one of a few contents, reads it back and removes it. */
static void store_one(struct worker *t, uint64_t seed)
{
	struct crowd *c = t->crowd;
	struct world *w = &c->w;
	size_t len = seed % 3 ? LEN_MAX - seed * 100 : 300 + seed;
	uint8_t *data = stream_new(seed, len);
	struct asset a = { .ino = meta_next_id(w->meta, META_SEQ_INO) };

	check(c, !draft_take(w->content, &a.draft), "take");
	check(c, draft_size(a.draft) == 0, "empty");
	check(c, !store_add_node(w, a.ino, a.draft), "node");
	check(c, draft_write(a.draft, data, len, 0) == (ssize_t)len, "write");
	check(c, !store_seal(w, &a), "seal");
	check(c,
	      META_QUERY(w->meta, FILE_LOAD, world_object_row, &a.object, META_I(a.ino),
			 META_B("none", 4)) == 1,
	      "load");
	check(c, reads_as(w, a.object, data, len), "read");
	check(c, !store_remove_node(w, a.ino), "remove");
	free(data);
}

static void *store_many(void *arg)
{
	struct worker *t = arg;

	for (uint64_t i = 0; i < ROUNDS; i++)
		store_one(t, (i + t->number) % 7);
	atomic_fetch_add(&t->crowd->done, 1);
	return NULL;
}

START_TEST(threads_store_the_same_things)
{
	struct crowd c = { 0 };
	struct worker workers[THREADS];

	world_open(&c.w);
	for (unsigned i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){ .crowd = &c, .number = i };
		ck_assert_int_eq(pthread_create(&workers[i].thread, NULL, store_many, &workers[i]),
				 0);
	}
	for (int64_t now = 1000; atomic_load(&c.done) < THREADS; now += 10)
		world_collect(&c.w, INT64_MAX / 2 + now, 0, 20);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(workers[i].thread, NULL);
	ck_assert_int_eq(atomic_load(&c.failed), 0);
	world_check(&c.w);
	world_close(&c.w);
}
END_TEST

/* Each thread has a part of one overlay for itself, and knows what it must read there. */
static void *edit_part(void *arg)
{
	struct worker *t = arg;
	struct crowd *c = t->crowd;
	uint64_t state = t->number + 50, base = (uint64_t)t->number * PART;
	uint8_t *mine = stream_new(1, THREADS * PART), *part = mine + base, back[PART];

	for (int i = 0; i < ROUNDS * 8; i++) {
		size_t off = stream_below(&state, PART - 500), len = 1 + stream_below(&state, 500);

		stream_fill(&state, part + off, len);
		check(c, draft_write(c->shared, part + off, len, base + off) == (ssize_t)len,
		      "part write");
		check(c, draft_read(c->shared, back, PART, base) == PART, "part read");
		check(c, !memcmp(back, part, PART), "part bytes");
		check(c, draft_alloc(c->shared) > 0, "part alloc");
	}
	free(mine);
	atomic_fetch_add(&c->done, 1);
	return NULL;
}

START_TEST(threads_edit_one_draft)
{
	struct crowd c = { 0 };
	struct worker workers[THREADS];
	struct asset a;
	uint8_t *data = stream_new(1, THREADS * PART), *before = malloc(THREADS * PART);
	int canceled = 0;

	world_open(&c.w);
	asset_of(&c.w, &a, data, THREADS * PART);
	asset_edit(&c.w, &a);
	c.shared = a.draft;
	for (unsigned i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){ .crowd = &c, .number = i };
		ck_assert_int_eq(pthread_create(&workers[i].thread, NULL, edit_part, &workers[i]),
				 0);
	}
	/* Meanwhile the map is saved, and seals are begun that come to nothing. */
	while (atomic_load(&c.done) < THREADS) {
		struct meta_op *op = meta_op_new();
		struct seal *s = NULL;

		ck_assert_int_eq(draft_save(a.draft, op), 0);
		ck_assert_int_eq(meta_apply(c.w.meta, op), 0);
		int err = seal_prepare(c.w.content, &a.draft, 1, NULL, NULL, &s);

		meta_op_reset(op);
		canceled += (err ? err : seal_add(s, 0, op)) == -ECANCELED;
		draft_quiesce(a.draft);
		seal_free(s);
		meta_op_free(op);
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(workers[i].thread, NULL);
	ck_assert_int_eq(atomic_load(&c.failed), 0);
	ck_assert_int_gt(canceled, 0);
	ck_assert_int_eq(draft_read(a.draft, before, THREADS * PART, 0), THREADS * PART);
	asset_save(&c.w, &a);
	asset_reopen(&c.w, &a);
	draft_is(a.draft, before, THREADS * PART);
	asset_seal(&c.w, &a);
	asset_is(&c.w, &a, before, THREADS * PART);
	world_check(&c.w);
	free(before);
	free(data);
	world_close(&c.w);
}
END_TEST

/* A plain draft becomes an overlay under the hands of its writers. */
static void *append_part(void *arg)
{
	struct worker *t = arg;
	struct crowd *c = t->crowd;
	uint64_t base = (uint64_t)t->number * PART;
	uint8_t *mine = stream_new(t->number + 9, PART);

	for (size_t at = 0; at < PART; at += 100)
		check(c, draft_write(c->shared, mine + at, 100, base + at) == 100, "append");
	free(mine);
	return NULL;
}

START_TEST(a_plain_draft_becomes_an_overlay_while_it_is_written)
{
	struct crowd c = { 0 };
	struct worker workers[THREADS];
	struct asset a, b;
	uint8_t *want = calloc(1, (THREADS + 1) * PART);

	world_open(&c.w);
	for (uint64_t i = 0; i < THREADS; i++) {
		uint64_t seed = i + 9;

		stream_fill(&seed, want + i * PART, PART);
	}
	uint64_t seed = 99;

	stream_fill(&seed, want + THREADS * PART, PART);
	asset_of(&c.w, &a, want + THREADS * PART, PART);
	asset_new(&c.w, &b);
	c.shared = b.draft;
	for (unsigned i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){ .crowd = &c, .number = i };
		ck_assert_int_eq(pthread_create(&workers[i].thread, NULL, append_part, &workers[i]),
				 0);
	}
	for (size_t at = 0; at < PART; at += 1000)
		ck_assert_int_eq(draft_share(b.draft, THREADS * PART + at, a.object, at, 1000), 0);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(workers[i].thread, NULL);
	ck_assert_int_eq(atomic_load(&c.failed), 0);
	draft_is(b.draft, want, (THREADS + 1) * PART);
	asset_save(&c.w, &b);
	asset_reopen(&c.w, &b);
	draft_is(b.draft, want, (THREADS + 1) * PART);
	draft_free(b.draft);
	free(want);
	world_close(&c.w);
}
END_TEST

UNIT_MAIN("content-threads", 240, threads_store_the_same_things, threads_edit_one_draft,
	  a_plain_draft_becomes_an_overlay_while_it_is_written)
