/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Whatever fails, at whichever call: the caller is told, nothing leaks, nothing is lost, and the next try succeeds. The linker puts the
 * functions here before those that can fail (--wrap); for each of them the first call fails, then the second, until the work gets done.
 */
#include "config.h"

#include "../wrap.h"
#include "world.h"

enum { LEN = 30000 };

enum fault {
	FAULT_CALLOC,
	FAULT_REALLOC,
	FAULT_APPLY,
	FAULT_QUERY,
	FAULT_ID,
	FAULT_GET,
	FAULT_OPEN,
	FAULT_CREATE,
	FAULT_WRITE,
	FAULT_READ,
	FAULT_SYNC,
	FAULT_COUNT
};

static enum fault kind;
static int left; /* calls until the one that fails; 0: none does */
static bool struck;

static bool strike(enum fault what)
{
	if (what != kind || left <= 0 || --left)
		return false;
	struck = true;
	return true;
}

WRAP(void *, calloc, (size_t count, size_t size))
{
	return strike(FAULT_CALLOC) ? NULL : __real_calloc(count, size);
}

WRAP(void *, reallocarray, (void *old, size_t count, size_t size))
{
	return strike(FAULT_REALLOC) ? NULL : __real_reallocarray(old, count, size);
}

WRAP(int, meta_apply, (struct meta * m, const struct meta_op *op))
{
	return strike(FAULT_APPLY) ? -ENOSPC : __real_meta_apply(m, op);
}

WRAP(int, meta_query,
     (struct meta * m, enum meta_stmt stmt, size_t count, const struct meta_value *values,
      meta_row_fn *fn, void *arg))
{
	return strike(FAULT_QUERY) ? -EIO : __real_meta_query(m, stmt, count, values, fn, arg);
}

WRAP(int64_t, meta_next_id, (struct meta * m, enum meta_sequence seq))
{
	return strike(FAULT_ID) ? -ENOSPC : __real_meta_next_id(m, seq);
}

WRAP(int, blobs_get, (struct blobs * b, int64_t id, struct blob **out))
{
	return strike(FAULT_GET) ? -EMFILE : __real_blobs_get(b, id, out);
}

WRAP(int, blobs_open_write, (struct blobs * b, int64_t id))
{
	return strike(FAULT_OPEN) ? -EMFILE : __real_blobs_open_write(b, id);
}

WRAP(int, blobs_create, (struct blobs * b, int64_t id))
{
	return strike(FAULT_CREATE) ? -ENOSPC : __real_blobs_create(b, id);
}

WRAP(int, io_pwrite_full, (int fd, const void *data, size_t len, uint64_t offset))
{
	return strike(FAULT_WRITE) ? -ENOSPC : __real_io_pwrite_full(fd, data, len, offset);
}

WRAP(ssize_t, io_pread_full, (int fd, void *data, size_t len, uint64_t offset))
{
	return strike(FAULT_READ) ? -EIO : __real_io_pread_full(fd, data, len, offset);
}

WRAP(int, io_sync_data, (int fd))
{
	return strike(FAULT_SYNC) ? -EIO : __real_io_sync_data(fd);
}

/* What every kind of work goes on: an asset that is stored, and another that shares a half with it. */
struct lab {
	struct world w;
	struct asset a, b;
	uint8_t *data;
};

static void lab_open(struct lab *l)
{
	world_open(&l->w);
	l->data = stream_new(1, 2 * LEN);
	asset_of(&l->w, &l->a, l->data, LEN);
}

static void lab_close(struct lab *l)
{
	world_check(&l->w);
	world_collect(&l->w, 1000, 0, 10);
	asset_is(&l->w, &l->a, l->data, LEN);
	world_check(&l->w);
	free(l->data);
	world_close(&l->w);
}

/* The statements of all items of a seal, applied, without check's assertions. */
static int seal_commit(struct lab *l, struct seal *s, struct asset *const *assets, size_t count)
{
	struct meta_op *op = meta_op_new();
	int err = op ? 0 : -ENOMEM;

	for (size_t i = 0; i < count && !err; i++)
		err = asset_add_seal(assets[i], s, i, op);
	if (!err)
		err = meta_apply(l->w.meta, op);
	for (size_t i = 0; i < count && !err; i++) {
		assets[i]->size = seal_stats(s, i)->size;
		seal_finish(s, i, &assets[i]->draft);
	}
	meta_op_free(op);
	return err;
}

static int seal_work(struct lab *l)
{
	struct asset *list[] = { &l->b };
	struct seal *s = NULL;
	int err = seal_prepare(l->w.content, &l->b.draft, 1, NULL, NULL, &s);

	if (!err)
		err = seal_commit(l, s, list, 1);
	seal_free(s);
	return err;
}

static void begin_large(struct lab *l)
{
	asset_new(&l->w, &l->b);
	draft_put(l->b.draft, l->data + LEN / 2, LEN, 0);
}

static void begin_small(struct lab *l)
{
	asset_new(&l->w, &l->b);
	draft_put(l->b.draft, l->data + LEN + 77, 300, 0);
}

static void begin_edit(struct lab *l)
{
	asset_of(&l->w, &l->b, l->data + LEN / 2, LEN);
	asset_edit(&l->w, &l->b);
	draft_put(l->b.draft, "edited", 6, LEN / 3);
}

/* Copies of the second asset as it must be: before and after. */
static void end_seal(struct lab *l)
{
	uint8_t *want = malloc(LEN);
	size_t len = l->b.size;

	memcpy(want, l->data + (len == 300 ? LEN + 77 : LEN / 2), len);
	struct view *v = NULL;
	uint8_t *got = malloc(LEN);

	asset_load(&l->w, &l->b);
	ck_assert_int_eq(view_of_object(l->w.content, l->b.object, &v), 0);
	ck_assert_int_eq(view_read(v, got, LEN, 0), (ssize_t)len);
	if (len > LEN / 3 && !memcmp(got + LEN / 3, "edited", 6))
		memcpy(want + LEN / 3, "edited", 6);
	ck_assert(!memcmp(got, want, len));
	view_put(v);
	free(got);
	free(want);
}

static ssize_t import_read(void *arg, void *buf, size_t len, uint64_t off)
{
	memcpy(buf, (const uint8_t *)arg + off, len);
	return (ssize_t)len;
}

static void begin_import(struct lab *l)
{
	asset_make(&l->w, &l->b, NULL);
}

static int import_work(struct lab *l)
{
	struct seal_source src = { .read = import_read, .arg = l->data + LEN / 2, .size = LEN };
	struct seal *s = NULL;
	struct meta_op *op = NULL;
	int err = seal_import(l->w.content, &src, 1, NULL, NULL, &s);

	if (!err)
		op = meta_op_new();
	if (!err)
		err = op ? seal_add(s, 0, op) : -ENOMEM;
	if (!err)
		err = meta_apply(l->w.meta, op);
	if (!err)
		seal_finish(s, 0, NULL);
	meta_op_free(op);
	seal_free(s);
	return err;
}

static void end_nothing(struct lab *l)
{
	(void)l;
}

static int draft_work(struct lab *l)
{
	struct draft *d = NULL, *again = NULL;
	int err = draft_take(l->w.content, &d);

	if (err)
		return err;
	ssize_t put = draft_write(d, "plain", 5, 0);

	err = put < 0 ? (int)put : draft_share(d, 3, l->a.object, 100, 1000);
	if (!err)
		err = draft_truncate(d, 800);
	if (!err)
		err = draft_open(l->w.content, draft_blob(d), 5, false, &again);
	draft_free(again);
	draft_recycle(l->w.content, &d);
	return err;
}

static int collect_work(struct lab *l)
{
	struct collect_stats stats = { 0 };
	int more = 1;

	while (more > 0)
		more = collect_step(l->w.content, 1000, 0, 3, &stats);
	return more;
}

static void begin_collect(struct lab *l)
{
	asset_of(&l->w, &l->b, l->data + LEN / 2, LEN);
	asset_remove(&l->w, &l->b);
}

struct work {
	const char *name;
	void (*begin)(struct lab *l);
	int (*run)(struct lab *l); /* 0, or the error, and may then be run again */
	void (*end)(struct lab *l);
};

static const struct work works[] = {
	{ "seal large", begin_large, seal_work, end_seal },
	{ "seal small", begin_small, seal_work, end_seal },
	{ "seal edit", begin_edit, seal_work, end_seal },
	{ "import", begin_import, import_work, end_nothing },
	{ "draft", begin_import, draft_work, end_nothing },
	{ "collect", begin_collect, collect_work, end_nothing },
};

/* A draft whose sync failed is in doubt until it is written anew. */
static void write_anew(struct lab *l, const struct work *work)
{
	size_t len = draft_size(l->b.draft);
	uint8_t *data = malloc(len);

	ck_assert_int_eq(draft_read(l->b.draft, data, len, 0), (ssize_t)len);
	if (draft_sync(l->b.draft)) {
		ck_assert_int_eq(work->run(l), -EIO);
		ck_assert_int_eq(draft_truncate(l->b.draft, 0), 0);
		draft_put(l->b.draft, data, len, 0);
	}
	free(data);
}

/* Runs the work with the nth call failing. False when there is no such call. */
static bool try_fault(const struct work *work, enum fault what, int nth)
{
	struct lab l;

	lab_open(&l);
	work->begin(&l);
	kind = what;
	struck = false;
	left = nth;
	int err = work->run(&l);

	left = 0;
	/* A failure may be one that can be done without; but an error has a cause. */
	if (err)
		ck_assert_msg(struck, "%s: %d with nothing wrong", work->name, err);
	for (int tries = 0; err && tries < 3; tries++) {
		if (what == FAULT_SYNC && !l.b.draft)
			world_restart(&l.w);
		else if (what == FAULT_SYNC)
			write_anew(&l, work);
		err = work->run(&l);
	}
	ck_assert_msg(!err, "%s, fault %d at %d: %d for good", work->name, (int)what, nth, err);
	work->end(&l);
	/* Metadata whose sync has failed once says so until it is opened anew. */
	if (what == FAULT_SYNC)
		world_restart(&l.w);
	lab_close(&l);
	return struck;
}

START_TEST(whatever_fails_the_next_try_succeeds)
{
	const struct work *work = &works[_i];

	for (enum fault what = 0; what < FAULT_COUNT; what++) {
		int nth = 1;

		while (try_fault(work, what, nth) && nth < 200)
			nth += nth < 8 ? 1 : nth / 2;
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("content-fault");
	TCase *tcase = tcase_create("content-fault");
	SRunner *runner = srunner_create(suite);

	tcase_set_timeout(tcase, 240);
	tcase_add_loop_test(tcase, whatever_fails_the_next_try_succeeds, 0,
			    sizeof(works) / sizeof(works[0]));
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);

	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
