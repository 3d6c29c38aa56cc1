/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the store takes on the disk: the files themselves are asked, since the kernel writes to some of them without telling. */
#include "config.h"

#include "library/cache-internal.h"

#include <errno.h>
#include <stdlib.h>

enum { CACHE_DRAFTS_MIN = 64 };

struct cache_scan {
	struct library *lib;
	struct cache_use use;
	int64_t *drafts; /* ascending */
	size_t count, cap;
};

static int cache_draft_row(void *arg, const struct meta_row *row)
{
	struct cache_scan *s = arg;

	if (s->count == s->cap) {
		size_t cap = s->cap ? 2 * s->cap : CACHE_DRAFTS_MIN;
		int64_t *drafts = reallocarray(s->drafts, cap, sizeof(*drafts));

		if (!drafts)
			return -ENOMEM;
		s->drafts = drafts;
		s->cap = cap;
	}
	s->drafts[s->count++] = meta_row_int(row, 0);
	return 0;
}

static int cache_sum_row(void *arg, const struct meta_row *row)
{
	*(uint64_t *)arg = (uint64_t)meta_row_int(row, 0);
	return 0;
}

static int cache_compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static int cache_scan_file(void *arg, int64_t id)
{
	struct cache_scan *s = arg;
	uint64_t bytes = 0;

	if (blobs_stat(s->lib->blobs, id, NULL, &bytes))
		return 0;
	s->use.total_bytes += bytes;
	if (s->count && bsearch(&id, s->drafts, s->count, sizeof(id), cache_compare))
		s->use.dirty_bytes += bytes;
	return 0;
}

int cache_measure(struct library *lib, struct cache_use *out)
{
	struct cache_scan s = { .lib = lib };
	uint64_t unsent = 0, total = 0;
	int got = meta_query(lib->meta, META_CACHE_UNSENT, 0, NULL, cache_sum_row, &unsent);

	if (got >= 0)
		got = meta_query(lib->meta, META_CACHE_DRAFTS, 0, NULL, cache_draft_row, &s);
	int err = got < 0 ? got : blobs_scan(lib->blobs, cache_scan_file, &s);

	free(s.drafts);
	s.use.dirty_bytes += unsent;
	if (s.use.dirty_bytes > s.use.total_bytes)
		s.use.dirty_bytes = s.use.total_bytes;
	if (!err)
		err = blobs_space(lib->blobs, &total, &s.use.free_bytes);
	if (!err)
		*out = s.use;
	return err;
}
