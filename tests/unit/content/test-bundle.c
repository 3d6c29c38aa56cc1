/* SPDX-License-Identifier: GPL-3.0-or-later */
/* content/bundle.h: a failed write-back is everyone's, although the kernel tells of it once. */
#include "config.h"

#include "world.h"

#include <stdatomic.h>
#include <sys/syscall.h>

#include "content/bundle.h"

static bool is_blob(int fd)
{
	char link[64], path[256];

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	ssize_t len = readlink(link, path, sizeof(path) - 1);

	path[len < 0 ? 0 : len] = 0;
	return strstr(path, "/blobs/") != NULL;
}

/* The next so many syncs of blobs fail, as if the disk had lost what was written; the ones after succeed. */
static atomic_int failures;

int fdatasync(int fd)
{
	if (atomic_load(&failures) > 0 && is_blob(fd)) {
		atomic_fetch_sub(&failures, 1);
		errno = EIO;
		return -1;
	}
	return (int)syscall(SYS_fdatasync, fd);
}

static struct bundle *append(struct world *w)
{
	struct bundle *b = NULL;
	uint64_t start;

	ck_assert_int_eq(bundle_append(w->content, "abc", 3, &b, &start), 0);
	return b;
}

START_TEST(a_failed_sync_is_everyones)
{
	struct world w;

	world_open(&w);
	struct bundle *mine = append(&w), *other = append(&w);

	ck_assert_ptr_eq(mine, other);
	ck_assert_int_eq(bundle_sync(w.content, mine), 0);
	atomic_store(&failures, 1);
	ck_assert_int_eq(bundle_sync(w.content, mine), -EIO);
	ck_assert_int_eq(bundle_sync(w.content, other), -EIO);
	ck_assert_int_eq(bundle_sync(w.content, mine), -EIO);
	/* Others go on in another. */
	struct bundle *next = append(&w);

	ck_assert_int_ne(bundle_blob(next), bundle_blob(mine));
	ck_assert_int_eq(bundle_sync(w.content, next), 0);
	bundle_put(w.content, next);
	bundle_put(w.content, mine);
	bundle_put(w.content, other);
	world_close(&w);
}
END_TEST

/* Two seals share a bundle: the error that one of them hears of keeps the rows of both away. */
START_TEST(no_seal_is_prepared_on_lost_bytes)
{
	struct world w;
	struct draft *d[2];
	struct seal *seal[2] = { NULL, NULL };

	world_open(&w);
	struct bundle *mine = append(&w);

	for (int i = 0; i < 2; i++) {
		uint8_t byte = (uint8_t)('a' + i);

		ck_assert_int_eq(draft_take(w.content, &d[i]), 0);
		ck_assert_int_eq(draft_write(d[i], &byte, 1, 0), 1);
	}
	ck_assert_int_eq(draft_quiesce(d[0]), 1);
	ck_assert_int_eq(draft_quiesce(d[1]), 1);
	atomic_store(&failures, 1);
	ck_assert_int_eq(seal_prepare(w.content, &d[0], 1, NULL, NULL, &seal[0]), -EIO);
	ck_assert_int_eq(bundle_sync(w.content, mine), -EIO);
	ck_assert_int_eq(seal_prepare(w.content, &d[0], 1, NULL, NULL, &seal[0]), 0);
	ck_assert_int_eq(seal_prepare(w.content, &d[1], 1, NULL, NULL, &seal[1]), 0);
	for (int i = 0; i < 2; i++) {
		seal_free(seal[i]);
		draft_free(d[i]);
	}
	bundle_put(w.content, mine);
	world_close(&w);
}
END_TEST

UNIT_MAIN("bundle", 30, a_failed_sync_is_everyones, no_seal_is_prepared_on_lost_bytes)
