/* SPDX-License-Identifier: GPL-3.0-or-later */
/* content/draft.h: the life of drafts, and what they promise call by call. */
#include "config.h"

#include "util/cleanup.h"
#include "world.h"

#include <fcntl.h>
#include <linux/falloc.h>

enum { LEN = 40000 };

START_TEST(a_plain_draft_is_its_file)
{
	struct world w;
	struct asset a;
	uint8_t *data = stream_new(1, LEN), back[16];
	struct stat st;

	world_open(&w);
	asset_new(&w, &a);
	draft_put(a.draft, data, LEN, 0);
	draft_is(a.draft, data, LEN);
	ck_assert_uint_ge(draft_alloc(a.draft), LEN);
	ck_assert_int_eq(draft_read(a.draft, back, 16, LEN), 0);
	ck_assert_int_eq(draft_read(a.draft, back, 16, UINT64_MAX), 0);
	ck_assert(!draft_unsaved(a.draft));
	ck_assert_int_eq(draft_sync(a.draft), 0);

	CLEANUP_BUF struct buf path = BUF_INIT;

	ck_assert_int_eq(blobs_path(w.blobs, draft_blob(a.draft), &path), 0);
	ck_assert_int_eq(stat(path.data, &st), 0);
	ck_assert_int_eq(st.st_size, LEN);
	/* What another writes to the file shows here: the kernel may do so. */
	ck_assert_int_eq(truncate(path.data, LEN / 2), 0);
	draft_is(a.draft, data, LEN / 2);
	a.size = LEN / 2;
	asset_reopen(&w, &a);
	draft_is(a.draft, data, LEN / 2);
	draft_free(a.draft);
	free(data);
	world_close(&w);
}
END_TEST

START_TEST(writes_beyond_the_end_leave_holes)
{
	struct world w;
	struct asset a;
	uint8_t want[70000] = { 0 };

	world_open(&w);
	asset_new(&w, &a);
	want[65536] = 'x';
	draft_put(a.draft, "x", 1, 65536);
	draft_is(a.draft, want, 65537);
	ck_assert_int_eq(draft_seek(a.draft, 0, SEEK_DATA), 65536);
	ck_assert_int_eq(draft_seek(a.draft, 0, SEEK_HOLE), 0);
	ck_assert_int_eq(draft_seek(a.draft, 65536, SEEK_HOLE), 65537);
	ck_assert_int_eq(draft_seek(a.draft, 65537, SEEK_HOLE), -ENXIO);
	ck_assert_int_eq(draft_seek(a.draft, 0, SEEK_SET), -EINVAL);
	ck_assert_int_eq(draft_write(a.draft, "x", 1, INT64_MAX), -EFBIG);
	ck_assert_int_eq(draft_truncate(a.draft, (uint64_t)INT64_MAX + 1), -EFBIG);
	draft_free(a.draft);
	world_close(&w);
}
END_TEST

START_TEST(drafts_are_recycled_empty)
{
	struct world w;
	struct asset a, b;
	uint8_t *data = stream_new(2, LEN);
	int64_t seen[600];
	size_t count = 0, repeated = 0;

	world_open(&w);
	for (int i = 0; i < 600; i++) {
		asset_new(&w, &a);
		draft_put(a.draft, data, LEN, 0);
		for (size_t k = 0; k < count; k++)
			repeated += seen[k] == draft_blob(a.draft);
		seen[count++] = draft_blob(a.draft);
		asset_remove(&w, &a);
	}
	ck_assert_uint_gt(repeated, 200);
	/* Two that are out at the same time are two. */
	asset_new(&w, &a);
	asset_new(&w, &b);
	ck_assert_int_ne(draft_blob(a.draft), draft_blob(b.draft));
	draft_free(a.draft);
	draft_free(b.draft);
	free(data);
	world_close(&w);
}
END_TEST

static int count_files(void *arg, int64_t id)
{
	(void)id;
	++*(int *)arg;
	return 0;
}

START_TEST(spare_drafts_of_the_dead_are_taken_over)
{
	struct world w;
	struct asset a;
	int before = 0, after = 0;

	world_open(&w);
	asset_new(&w, &a);
	draft_put(a.draft, "kept", 4, 0);
	a.size = 4;
	draft_free(a.draft);
	ck_assert_int_eq(blobs_scan(w.blobs, count_files, &before), 0);
	world_restart(&w);
	int64_t kept = 0;

	for (int i = 0; i < before - 1; i++) {
		struct asset b;

		asset_new(&w, &b);
		draft_put(b.draft, "spare", 5, 0);
		kept += draft_blob(b.draft) < 0;
		draft_free(b.draft);
	}
	ck_assert_int_eq(blobs_scan(w.blobs, count_files, &after), 0);
	ck_assert_int_eq(after, before);
	ck_assert_int_eq(kept, 0);
	world_close(&w);
}
END_TEST

/* Two processes in one: the second finds nothing to take over, as the first lives. */
START_TEST(drafts_of_the_living_are_left_alone)
{
	struct world w, other;
	struct asset a, b;

	world_open(&w);
	asset_new(&w, &a);
	other = w;
	world_enter(&other, 0);
	for (int i = 0; i < 40; i++) {
		struct draft *d = NULL;

		ck_assert_int_eq(draft_take(w.content, &d), 0);
		asset_new(&other, &b);
		ck_assert_int_ne(draft_blob(b.draft), draft_blob(a.draft));
		ck_assert_int_ne(draft_blob(b.draft), draft_blob(d));
		draft_free(b.draft);
		draft_free(d);
	}
	struct collect_stats stats = world_collect(&other, 100, 0, 10);

	ck_assert_uint_eq(stats.drafts, 0);
	ck_assert_uint_eq(stats.strays, 0);
	draft_put(a.draft, "x", 1, 0);
	draft_free(a.draft);
	world_leave(&other);
	world_close(&w);
}
END_TEST

START_TEST(an_overlay_shows_its_base_and_its_changes)
{
	struct world w;
	struct asset a;
	uint8_t *data = stream_new(3, LEN + 10000);

	world_open(&w);
	asset_of(&w, &a, data, LEN);
	asset_edit(&w, &a);
	ck_assert(!draft_is_plain(a.draft));
	draft_is(a.draft, data, LEN);
	ck_assert_uint_eq(draft_alloc(a.draft), LEN);
	memset(data + 10000, 'e', 100);
	draft_put(a.draft, data + 10000, 100, 10000);
	ck_assert(draft_unsaved(a.draft));
	draft_is(a.draft, data, LEN);
	asset_save(&w, &a);
	asset_reopen(&w, &a);
	ck_assert(!draft_is_plain(a.draft));
	draft_is(a.draft, data, LEN);
	/* Cut and grown again: what was there is gone, also after a restart. */
	memset(data + 5000, 0, LEN - 5000);
	ck_assert_int_eq(draft_truncate(a.draft, 5000), 0);
	ck_assert_int_eq(draft_truncate(a.draft, LEN), 0);
	draft_is(a.draft, data, LEN);
	ck_assert_uint_eq(draft_alloc(a.draft), 5000);
	asset_save(&w, &a);
	asset_reopen(&w, &a);
	draft_is(a.draft, data, LEN);
	ck_assert_int_eq(draft_seek(a.draft, 0, SEEK_HOLE), 5000);
	ck_assert_int_eq(draft_seek(a.draft, 5000, SEEK_DATA), -ENXIO);
	draft_free(a.draft);
	free(data);
	world_close(&w);
}
END_TEST

START_TEST(a_missing_file_is_told)
{
	struct world w;
	struct asset a;
	struct draft *d = NULL;

	world_open(&w);
	asset_new(&w, &a);
	int64_t blob = draft_blob(a.draft);

	draft_free(a.draft);
	ck_assert_int_eq(blobs_unlink(w.blobs, blob), 0);
	ck_assert_int_eq(draft_open(w.content, blob, 0, false, &d), -ENOENT);
	world_close(&w);
}
END_TEST

START_TEST(sharing_copies_no_bytes)
{
	struct world w;
	struct asset a, b;
	uint8_t *data = stream_new(8, LEN), *want = calloc(1, LEN);

	world_open(&w);
	asset_of(&w, &a, data, LEN);
	asset_new(&w, &b);
	draft_put(b.draft, "plain bytes", 11, 0);
	memcpy(want, "plain bytes", 11);
	uint64_t before = world_bytes(&w);

	ck_assert_int_eq(draft_share(b.draft, 5, a.object, 1000, 20000), 0);
	memcpy(want + 5, data + 1000, 20000);
	draft_is(b.draft, want, 20005);
	ck_assert(!draft_is_plain(b.draft));
	ck_assert(draft_unsaved(b.draft));
	ck_assert_int_eq(draft_share(b.draft, 0, a.object, LEN - 10, 11), -EINVAL);
	ck_assert_int_eq(draft_share(b.draft, 0, a.object, LEN + 1, 0), -EINVAL);
	ck_assert_int_eq(draft_share(b.draft, INT64_MAX, a.object, 0, 1), -EFBIG);
	ck_assert_int_eq(draft_share(b.draft, 0, 4711, 0, 1), -ENOENT);
	asset_save(&w, &b);
	asset_reopen(&w, &b);
	draft_is(b.draft, want, 20005);
	ck_assert_uint_eq(world_bytes(&w), before);
	draft_free(b.draft);
	free(want);
	free(data);
	world_close(&w);
}
END_TEST

START_TEST(space_can_be_reserved_and_punched)
{
	struct world w;
	struct asset a, b;
	uint8_t *data = stream_new(9, LEN);
	struct asset *both[] = { &a, &b };

	world_open(&w);
	asset_new(&w, &a);
	draft_put(a.draft, data, LEN, 0);
	asset_of(&w, &b, data, LEN);
	asset_edit(&w, &b);
	memset(data + 4096, 0, 8192);
	for (int i = 0; i < 2; i++) {
		struct draft *d = both[i]->draft;

		ck_assert_int_eq(
			draft_allocate(d, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4096, 8192),
			0);
		draft_is(d, data, LEN);
		ck_assert_int_eq(draft_seek(d, 0, SEEK_HOLE), 4096);
		ck_assert_int_eq(draft_seek(d, 4096, SEEK_DATA), 12288);
		ck_assert_int_eq(draft_allocate(d, FALLOC_FL_KEEP_SIZE, 0, LEN * 2), 0);
		ck_assert_uint_eq(draft_size(d), LEN);
		ck_assert_int_eq(draft_allocate(d, 0, 0, LEN + 100), 0);
		ck_assert_uint_eq(draft_size(d), LEN + 100);
		ck_assert_int_eq(draft_truncate(d, LEN), 0);
		ck_assert_int_eq(draft_allocate(d, FALLOC_FL_COLLAPSE_RANGE, 0, 4096), -EOPNOTSUPP);
		ck_assert_int_eq(draft_allocate(d, FALLOC_FL_PUNCH_HOLE, 0, 4096), -EOPNOTSUPP);
		ck_assert_int_eq(draft_allocate(d, 0, 0, 0), -EINVAL);
		ck_assert_int_eq(draft_allocate(d, 0, INT64_MAX, 1), -EFBIG);
		draft_is(d, data, LEN);
		draft_free(d);
	}
	free(data);
	world_close(&w);
}
END_TEST

/* An edit of a sparse object is as sparse as the object. */
START_TEST(a_sparse_base_stays_sparse)
{
	struct world w;
	struct asset a;
	uint64_t far = UINT64_C(1) << 40;
	uint8_t back[8];

	world_open(&w);
	asset_new(&w, &a);
	draft_put(a.draft, "begin", 5, 0);
	draft_put(a.draft, "end", 3, far);
	asset_seal(&w, &a);
	asset_edit(&w, &a);
	draft_put(a.draft, "x", 1, far / 2);
	ck_assert_uint_lt(draft_alloc(a.draft), 100000);
	ck_assert_int_eq(draft_seek(a.draft, 65536, SEEK_DATA), (int64_t)(far / 2));
	int64_t last = draft_seek(a.draft, far / 2 + 1, SEEK_DATA);

	ck_assert_int_gt(last, (int64_t)(far / 2 + 1));
	ck_assert_int_le(last, (int64_t)far);
	ck_assert_int_eq(draft_read(a.draft, back, 8, far), 3);
	ck_assert_mem_eq(back, "end", 3);
	draft_free(a.draft);
	world_close(&w);
}
END_TEST

START_TEST(quiet_means_that_no_one_can_write)
{
	struct world w;
	struct asset a;

	world_open(&w);
	asset_new(&w, &a);
	draft_put(a.draft, "x", 1, 0);
	if (blobs_caps(w.blobs)->lease) {
		int fd = blobs_open_write(w.blobs, draft_blob(a.draft));

		ck_assert_int_ge(fd, 0);
		ck_assert_int_eq(draft_quiesce(a.draft), 0);
		close(fd);
	}
	ck_assert_int_eq(draft_quiesce(a.draft), 1);
	draft_put(a.draft, "y", 1, 1);
	draft_is(a.draft, (const uint8_t *)"xy", 2);
	ck_assert_int_eq(draft_quiesce(a.draft), 1);
	draft_free(a.draft);
	world_close(&w);
}
END_TEST

START_TEST(a_read_only_draft_refuses_changes)
{
	struct world w;
	struct asset a;
	struct draft *d = NULL;

	world_open(&w);
	asset_new(&w, &a);
	draft_put(a.draft, "x", 1, 0);
	ck_assert_int_eq(draft_open(w.content, draft_blob(a.draft), 1, true, &d), 0);
	draft_is(d, (const uint8_t *)"x", 1);
	ck_assert_int_eq(draft_write(d, "y", 1, 0), -EROFS);
	ck_assert_int_eq(draft_truncate(d, 0), -EROFS);
	ck_assert_int_eq(draft_allocate(d, 0, 0, 1), -EROFS);
	ck_assert_int_eq(draft_share(d, 0, 1, 0, 0), -EROFS);
	draft_free(d);
	draft_free(a.draft);
	world_close(&w);
}
END_TEST

UNIT_MAIN("draft", 120, a_plain_draft_is_its_file, writes_beyond_the_end_leave_holes,
	  drafts_are_recycled_empty, spare_drafts_of_the_dead_are_taken_over,
	  drafts_of_the_living_are_left_alone, an_overlay_shows_its_base_and_its_changes,
	  a_missing_file_is_told, sharing_copies_no_bytes, space_can_be_reserved_and_punched,
	  a_sparse_base_stays_sparse, quiet_means_that_no_one_can_write,
	  a_read_only_draft_refuses_changes)
