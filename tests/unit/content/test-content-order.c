/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The order of things, on which all depends after a power cut: bytes are synced before rows name them, and rows are gone for good before
 * bytes go. The linker puts the functions here before those that sync, punch, empty and unlink (--wrap).
 */
#include "config.h"

#include "evict-unit.h"

enum { LEN = 100000 };

static struct meta *watched; /* NULL: nothing is watched */
static int syncs, removals, early;

int __wrap_io_sync_data(int fd);
int __real_io_sync_data(int fd);
int __wrap_blobs_punch(struct blobs *b, int64_t id, uint64_t off, uint64_t len);
int __real_blobs_punch(struct blobs *b, int64_t id, uint64_t off, uint64_t len);
int __wrap_blobs_punch_held(int fd, uint64_t off, uint64_t len);
int __real_blobs_punch_held(int fd, uint64_t off, uint64_t len);
int __wrap_blobs_unlink(struct blobs *b, int64_t id);
int __real_blobs_unlink(struct blobs *b, int64_t id);
int __wrap_ftruncate(int fd, off_t size);
int __real_ftruncate(int fd, off_t size);

int __wrap_io_sync_data(int fd)
{
	syncs++;
	return __real_io_sync_data(fd);
}

static void note_removal(void)
{
	removals++;
	if (watched && meta_dirty(watched))
		early++;
}

int __wrap_blobs_punch(struct blobs *b, int64_t id, uint64_t off, uint64_t len)
{
	note_removal();
	return __real_blobs_punch(b, id, off, len);
}

int __wrap_blobs_punch_held(int fd, uint64_t off, uint64_t len)
{
	note_removal();
	return __real_blobs_punch_held(fd, off, len);
}

int __wrap_blobs_unlink(struct blobs *b, int64_t id)
{
	note_removal();
	return __real_blobs_unlink(b, id);
}

int __wrap_ftruncate(int fd, off_t size)
{
	note_removal();
	return __real_ftruncate(fd, size);
}

static void watch(struct world *w)
{
	watched = w->meta;
	syncs = removals = early = 0;
}

/* That bytes were removed, and none too early. */
static void check_removals(void)
{
	ck_assert_int_gt(removals, 0);
	ck_assert_int_eq(early, 0);
	watched = NULL;
}

START_TEST(bytes_are_synced_before_a_seal_is_given_out)
{
	struct world w;
	struct asset a;
	uint8_t *data = stream_new(1, LEN);

	world_open(&w);
	for (size_t len = 100; len <= LEN; len += LEN - 100) {
		struct seal *s = NULL;

		asset_new(&w, &a);
		draft_put(a.draft, data, len, 0);
		watch(&w);
		ck_assert_int_eq(seal_prepare(w.content, &a.draft, 1, NULL, NULL, &s), 0);
		ck_assert_int_ge(syncs, 1);
		ck_assert_int_eq(removals, 0);
		watched = NULL;
		seal_free(s);
		draft_free(a.draft);
	}
	free(data);
	world_close(&w);
}
END_TEST

START_TEST(sealing_gives_nothing_back_too_early)
{
	struct world w;
	struct asset a, b, c;
	uint8_t *data = stream_new(2, LEN);

	world_open(&w);
	asset_of(&w, &a, data, LEN);
	/* Half of it known: punched. All of it known, or in a bundle: emptied. */
	data[LEN - 1]++;
	asset_new(&w, &b);
	draft_put(b.draft, data, LEN, 0);
	watch(&w);
	asset_seal(&w, &b);
	if (!blobs_caps(w.blobs)->reflink)
		check_removals();
	asset_new(&w, &b);
	draft_put(b.draft, data, LEN, 0);
	asset_new(&w, &c);
	draft_put(c.draft, data, 200, 0);
	struct asset *both[] = { &b, &c };

	watch(&w);
	ck_assert_int_eq(assets_seal(&w, both, 2, NULL), 0);
	check_removals();
	free(data);
	world_close(&w);
}
END_TEST

START_TEST(released_drafts_are_not_emptied_too_early)
{
	struct world w;
	struct asset a;
	uint8_t *data = stream_new(3, LEN);

	/* Without threads: what one of them empties, and what others change meanwhile, cannot be told apart. */
	world_open(&w);
	content_close(w.content);
	ck_assert_int_eq(content_open(w.meta, w.blobs, NULL, &w.params, &w.content), 0);
	watch(&w);
	for (int i = 0; i < 600; i++) {
		asset_new(&w, &a);
		draft_put(a.draft, data, LEN, 0);
		asset_remove(&w, &a);
	}
	check_removals();
	asset_new(&w, &a);
	draft_free(a.draft);
	world_leave(&w);
	world_enter(&w, 0);
	watch(&w);
	asset_new(&w, &a);
	check_removals();
	draft_free(a.draft);
	free(data);
	world_close(&w);
}
END_TEST

START_TEST(collection_gives_nothing_back_too_early)
{
	struct world w;
	struct asset a, b;
	uint8_t *data = stream_new(4, LEN);

	world_open(&w);
	asset_of(&w, &a, data, LEN);
	asset_of(&w, &b, data, LEN / 2);
	asset_remove(&w, &a);
	watch(&w);
	world_collect(&w, 1000, 0, 5);
	check_removals();
	asset_remove(&w, &b);
	watch(&w);
	world_collect(&w, 1000, 0, 5);
	check_removals();
	world_restart(&w);
	watch(&w);
	ck_assert_uint_gt(world_collect(&w, 1000, 0, 5).drafts, 0);
	check_removals();
	free(data);
	world_close(&w);
}
END_TEST

START_TEST(eviction_gives_nothing_back_too_early)
{
	struct world w;
	struct asset a;
	uint8_t *data = stream_new(5, LEN);

	world_open(&w);
	for (uint64_t edge = 0; edge <= 4096; edge += 4096) {
		asset_of(&w, &a, data, LEN);
		send_all(&w);
		watch(&w);
		evict_one(&w, &a, edge);
		check_removals();
	}
	free(data);
	world_close(&w);
}
END_TEST

UNIT_MAIN("content-order", 120, bytes_are_synced_before_a_seal_is_given_out,
	  sealing_gives_nothing_back_too_early, released_drafts_are_not_emptied_too_early,
	  collection_gives_nothing_back_too_early, eviction_gives_nothing_back_too_early)
