/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the disk failed to keep is never called durable or sealed, however often it is asked: the kernel tells of it once. The linker puts the functions here
 * before those that tell (--wrap).
 */
#include "config.h"

#include "world.h"

#include <errno.h>

enum { LEN = 30000 };

static bool sync_fails, check_fails;

int __wrap_io_sync_data(int fd);
int __real_io_sync_data(int fd);
int __wrap_sync_file_range(int fd, off_t off, off_t len, unsigned flags);
int __real_sync_file_range(int fd, off_t off, off_t len, unsigned flags);

int __wrap_io_sync_data(int fd)
{
	bool fails = sync_fails;

	sync_fails = false;
	return fails ? -EIO : __real_io_sync_data(fd);
}

int __wrap_sync_file_range(int fd, off_t off, off_t len, unsigned flags)
{
	if (!check_fails || !(flags & SYNC_FILE_RANGE_WAIT_BEFORE))
		return __real_sync_file_range(fd, off, len, flags);
	check_fails = false;
	errno = EIO;
	return -1;
}

static void begin(struct world *w, struct asset *a, const uint8_t *data, size_t len)
{
	sync_fails = check_fails = false;
	world_open(w);
	asset_new(w, a);
	draft_put(a->draft, data, len, 0);
	asset_save(w, a);
}

static void restart(struct world *w, struct asset *a)
{
	int64_t blob = draft_blob(a->draft);

	draft_free(a->draft);
	world_restart(w);
	ck_assert_int_eq(draft_open(w->content, blob, a->size, false, &a->draft), 0);
}

/* Asked once and again, and after a restart. */
static void assert_doubt(struct world *w, struct asset *a)
{
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(draft_sync(a->draft), -EIO);
		ck_assert_int_eq(draft_sync(a->draft), -EIO);
		ck_assert_int_eq(assets_seal(w, &a, 1, NULL), -EIO);
		ck_assert_int_eq(assets_seal(w, &a, 1, NULL), -EIO);
		restart(w, a);
	}
}

static void assert_trust(struct world *w, struct asset *a, const uint8_t *data, size_t len)
{
	ck_assert_int_eq(draft_sync(a->draft), 0);
	draft_is(a->draft, data, len);
	asset_seal(w, a);
	asset_is(w, a, data, len);
}

START_TEST(what_was_not_kept_is_not_sealed)
{
	struct world w;
	struct asset a;
	uint8_t *data = stream_new(1, LEN);

	begin(&w, &a, data, LEN);
	sync_fails = true;
	assert_doubt(&w, &a);
	/* What is written over it makes nothing better: it may be any of the bytes. */
	draft_put(a.draft, data, LEN, 0);
	assert_doubt(&w, &a);
	/* Begun anew. */
	ck_assert_int_eq(draft_truncate(a.draft, 0), 0);
	draft_put(a.draft, data, LEN, 0);
	asset_save(&w, &a);
	restart(&w, &a);
	assert_trust(&w, &a, data, LEN);
	free(data);
	world_close(&w);
}
END_TEST

/* A small file goes to a bundle, and nobody else would ask whether its own pages were written back. */
START_TEST(an_error_that_nobody_heard_of_is_found)
{
	struct world w;
	struct asset a;
	uint8_t *data = stream_new(2, LEN);

	begin(&w, &a, data, 300);
	check_fails = true;
	ck_assert_int_eq(assets_seal(&w, (struct asset *[]){ &a }, 1, NULL), -EIO);
	assert_doubt(&w, &a);
	ck_assert_int_eq(draft_truncate(a.draft, 0), 0);
	draft_put(a.draft, data, 200, 0);
	asset_save(&w, &a);
	assert_trust(&w, &a, data, 200);
	free(data);
	world_close(&w);
}
END_TEST

START_TEST(an_edit_is_no_different)
{
	struct world w;
	struct asset a;
	uint8_t *data = stream_new(3, LEN);

	sync_fails = check_fails = false;
	world_open(&w);
	asset_of(&w, &a, data, LEN);
	asset_edit(&w, &a);
	data[100] ^= 1;
	draft_put(a.draft, data + 100, 1, 100);
	asset_save(&w, &a);
	sync_fails = true;
	assert_doubt(&w, &a);
	free(data);
	draft_free(a.draft);
	world_close(&w);
}
END_TEST

/* Someone takes what the disk has. And a draft that is used again knows nothing of its former life. */
START_TEST(trust_is_given)
{
	struct world w;
	struct asset a, b;
	uint8_t *data = stream_new(4, LEN);

	begin(&w, &a, data, LEN);
	int64_t blob = draft_blob(a.draft);

	sync_fails = true;
	assert_doubt(&w, &a);
	draft_free(a.draft);
	sync_fails = true;
	ck_assert_int_eq(draft_trust(w.content, blob), -EIO);
	ck_assert_int_eq(draft_trust(w.content, blob), 0);
	ck_assert_int_eq(draft_open(w.content, blob, LEN, false, &a.draft), 0);
	assert_trust(&w, &a, data, LEN);
	asset_new(&w, &b);
	draft_put(b.draft, data, LEN, 0);
	sync_fails = true;
	ck_assert_int_eq(draft_sync(b.draft), -EIO);
	asset_remove(&w, &b);
	for (int i = 0; i < 40; i++) {
		asset_new(&w, &b);
		draft_put(b.draft, data, 1000, 0);
		restart(&w, &b);
		ck_assert_int_eq(draft_sync(b.draft), 0);
		draft_free(b.draft);
	}
	free(data);
	world_close(&w);
}
END_TEST

UNIT_MAIN("draft-doubt", 60, what_was_not_kept_is_not_sealed,
	  an_error_that_nobody_heard_of_is_found, an_edit_is_no_different, trust_is_given)
