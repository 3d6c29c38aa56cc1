/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Giving back the space of blobs: ranges that no place names, and whole files. */
#include "config.h"

#include "content/collect-internal.h"
#include "util/err.h"
#include "util/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

enum { COLLECT_BLOCK = 4096, COLLECT_RANGES_MIN = 16 };

struct collect_range {
	int64_t blob;
	uint64_t start, end;
};

/* What the blobs of a step come to. */
struct collect_plan {
	struct collect_range *ranges;
	size_t count, cap;
	struct collect_ids gone;
};

/* The places of one blob, as they are read. */
struct collect_places {
	struct collect_plan *plan;
	int64_t blob;
	uint64_t at; /* the end of the places so far */
	bool any;
};

/*
 * Notes [start, end), less the blocks at its ends that it shares with what is kept: those would be written, not given
 * back.
 */
static int collect_gap(struct collect_plan *plan, int64_t blob, uint64_t start, uint64_t end)
{
	uint64_t from = (start + COLLECT_BLOCK - 1) / COLLECT_BLOCK * COLLECT_BLOCK;
	uint64_t to = end / COLLECT_BLOCK * COLLECT_BLOCK;

	if (to <= from)
		return 0;
	if (plan->count == plan->cap) {
		size_t cap = plan->cap ? plan->cap * 2 : COLLECT_RANGES_MIN;
		struct collect_range *ranges = reallocarray(plan->ranges, cap, sizeof(*ranges));

		if (!ranges)
			return -ENOMEM;
		plan->ranges = ranges;
		plan->cap = cap;
	}
	plan->ranges[plan->count++] = (struct collect_range){ blob, from, to };
	return 0;
}

static int collect_place_row(void *arg, const struct meta_row *row)
{
	struct collect_places *p = arg;
	uint64_t start = (uint64_t)meta_row_int(row, 0);
	uint64_t end = start + (uint64_t)meta_row_int(row, 1);
	int err = start > p->at ? collect_gap(p->plan, p->blob, p->at, start) : 0;

	p->any = true;
	if (end > p->at)
		p->at = end;
	return err;
}

static int collect_found(void *arg, const struct meta_row *row)
{
	(void)arg;
	(void)row;
	return 1;
}

static void collect_fill_drop(struct meta_op *op, void *arg)
{
	META_ADD(op, COLLECT_BLOB, META_ONE, -EAGAIN, META_I(*(int64_t *)arg));
}

/* Decides what of one blob goes; the row of one that holds nothing goes at once. */
static int collect_plan_blob(struct collect *k, struct collect_plan *plan, int64_t id)
{
	struct content *c = k->content;
	struct collect_places p = { .plan = plan, .blob = id };
	uint64_t size = 0;
	/* The size first: a process that takes the blob over after that appends beyond it. */
	int err = blobs_stat(c->blobs, id, &size, NULL);

	if (err && err != -ENOENT)
		return 0;
	int got = META_QUERY(c->meta, COLLECT_BLOB_FREE, collect_found, NULL, META_I(id));

	if (got <= 0)
		return got;
	got = META_QUERY(c->meta, COLLECT_BLOB_PLACES, collect_place_row, &p, META_I(id));
	if (got < 0)
		return got;
	if (p.any)
		return size > p.at ? collect_gap(plan, id, p.at, size) : 0;
	err = content_change(c, collect_fill_drop, &id);
	if (!err)
		err = collect_ids_add(&plan->gone, id);
	return err == -EAGAIN ? 0 : err;
}

/* The bytes of the range that are not a hole, up to the end of the first run of them; 0: none. */
static uint64_t collect_data(int fd, const struct collect_range *r)
{
	off_t data = lseek(fd, (off_t)r->start, SEEK_DATA);

	if (data < 0)
		return errno == ENXIO ? 0 : r->end - r->start;
	if ((uint64_t)data >= r->end)
		return 0;
	off_t hole = lseek(fd, data, SEEK_HOLE);
	uint64_t end = hole > data && (uint64_t)hole < r->end ? (uint64_t)hole : r->end;

	return end - (uint64_t)data;
}

static void collect_punch(struct collect *k, const struct collect_range *r)
{
	struct blobs *blobs = k->content->blobs;
	struct blob *blob = NULL;

	if (blobs_get(blobs, r->blob, &blob))
		return;
	uint64_t bytes = collect_data(blob_fd(blob), r);

	blob_put(blob);
	if (!bytes)
		return;
	int err = blobs_punch(blobs, r->blob, r->start, r->end - r->start);

	if (!err)
		k->stats->punched_bytes += bytes;
	else if (err != -EOPNOTSUPP && err != -EBUSY)
		log_warn("blob %" PRId64 ": space was not given back: %s", r->blob, err_text(err));
}

void collect_unlink(struct collect *k, const struct collect_ids *blobs)
{
	for (size_t i = 0; i < blobs->count; i++) {
		int err = blobs_unlink(k->content->blobs, blobs->ids[i]);

		if (err && err != -ENOENT)
			log_warn("blob %" PRId64 " was not removed: %s", blobs->ids[i],
				 err_text(err));
	}
}

int collect_blobs(struct collect *k, const struct collect_ids *blobs)
{
	struct collect_plan plan = { 0 };
	int err = 0;

	for (size_t i = 0; i < blobs->count && !err; i++)
		err = collect_plan_blob(k, &plan, blobs->ids[i]);
	int synced = plan.count || plan.gone.count ? meta_sync(k->content->meta) : 0;

	if (!synced) {
		for (size_t i = 0; i < plan.count; i++)
			collect_punch(k, &plan.ranges[i]);
		collect_unlink(k, &plan.gone);
		k->stats->blobs += plan.gone.count;
	}
	free(plan.ranges);
	collect_ids_release(&plan.gone);
	return err ? err : synced;
}
