/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Giving back the space of blobs: ranges that no place names, and whole files. */
#include "config.h"

#include "content/collect-internal.h"
#include "util/err.h"
#include "util/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
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
	struct collect_ids caches; /* that others may be writing into */
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
static int collect_gap(const struct collect_places *p, uint64_t start, uint64_t end)
{
	struct collect_plan *plan = p->plan;
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
	plan->ranges[plan->count++] = (struct collect_range){ p->blob, from, to };
	return 0;
}

static int collect_place_row(void *arg, const struct meta_row *row)
{
	struct collect_places *p = arg;
	uint64_t start = (uint64_t)meta_row_int(row, 0);
	uint64_t end = start + (uint64_t)meta_row_int(row, 1);
	int err = start > p->at ? collect_gap(p, p->at, start) : 0;

	p->any = true;
	if (end > p->at)
		p->at = end;
	return err;
}

static int collect_found(void *arg, const struct meta_row *row)
{
	*(int64_t *)arg = meta_row_int(row, 0);
	return 1;
}

/* The gaps of the blob, whose file has `size` bytes. */
static int collect_gaps(struct content *c, struct collect_places *p, uint64_t size)
{
	int got = META_QUERY(c->meta, COLLECT_BLOB_PLACES, collect_place_row, p, META_I(p->blob));

	if (got < 0)
		return got;
	return size > p->at ? collect_gap(p, p->at, size) : 0;
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
	size_t before = plan->count;
	int64_t kind = 0;
	uint64_t size = 0;
	/* The size first: a process that takes the blob over after that appends beyond it. */
	int err = blobs_stat(c->blobs, id, &size, NULL);

	if (err && err != -ENOENT)
		return 0;
	int got = META_QUERY(c->meta, COLLECT_BLOB_FREE, collect_found, &kind, META_I(id));

	if (got <= 0)
		return got;
	got = collect_gaps(c, &p, size);
	if (got < 0 || (p.any && kind != CONTENT_BLOB_CACHE))
		return got;
	plan->count = before;
	if (p.any)
		return collect_ids_add(&plan->caches, id);
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

/* The gaps of a blob that is held. 1, or an error. */
static int collect_punch_held(struct content *c, int64_t blob, int fd)
{
	struct collect_plan plan = { 0 };
	struct collect_places p = { .plan = &plan, .blob = blob };
	struct stat st;
	int err = fstat(fd, &st) ? -errno : collect_gaps(c, &p, (uint64_t)st.st_size);

	for (size_t i = 0; i < plan.count && !err; i++)
		err = blobs_punch_held(fd, plan.ranges[i].start,
				       plan.ranges[i].end - plan.ranges[i].start);
	free(plan.ranges);
	return err ? err : 1;
}

/* The rows are read while nobody else can write into the file: who does keeps it open until its rows are there. */
static int collect_punch_alone(struct content *c, int64_t blob)
{
	int fd = -1, err = blobs_hold(c->blobs, blob, &fd);

	if (err != 1)
		return err;
	err = collect_punch_held(c, blob, fd);
	close(fd);
	return err;
}

int collect_trim(struct content *c, int64_t blob, uint64_t *freed)
{
	uint64_t before = 0, after = 0;
	int64_t kind = 0;
	int err = blobs_stat(c->blobs, blob, NULL, &before);

	if (err)
		return err == -ENOENT ? 1 : err;
	int got = META_QUERY(c->meta, BLOB_GET, collect_found, &kind, META_I(blob));

	if (got < 0)
		return got;
	content_move_begin(c);
	if (got > 0)
		err = collect_punch_alone(c, blob);
	else
		err = blobs_unlink(c->blobs, blob);
	content_move_end(c);
	if (got > 0)
		blobs_stat(c->blobs, blob, NULL, &after);
	else
		err = err ? err : 1;
	if (err == 1 && before > after)
		*freed += before - after;
	return err;
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
	int synced = plan.count || plan.gone.count || plan.caches.count
			     ? meta_sync(k->content->meta)
			     : 0;

	if (!synced) {
		for (size_t i = 0; i < plan.count; i++)
			collect_punch(k, &plan.ranges[i]);
		for (size_t i = 0; i < plan.caches.count; i++)
			(void)collect_trim(k->content, plan.caches.ids[i],
					   &k->stats->punched_bytes);
		collect_unlink(k, &plan.gone);
		k->stats->blobs += plan.gone.count;
	}
	free(plan.ranges);
	collect_ids_release(&plan.gone);
	collect_ids_release(&plan.caches);
	return err ? err : synced;
}
