/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The edges that eviction left of an object: of its missing chunks they are here. */
#include "config.h"

#include "content/view-internal.h"
#include "util/cleanup.h"
#include "util/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { VIEW_EDGES_MIN = 4 };

struct view_edge {
	uint64_t start, len, off;
	int64_t blob;
	struct hash sum;
};

/* Edges by start, as they are read; and the runs that come of them. */
struct view_edges {
	const struct view_plan *plan;
	struct view_edge *edges;
	size_t count, cap;
	struct view_plan_run *runs;
	size_t run_count, run_cap;
};

static int view_edge_row(void *arg, const struct meta_row *row)
{
	struct view_edges *e = arg;
	int64_t blob = meta_row_int(row, 2);
	size_t len;
	const void *sum = meta_row_bytes(row, 4, &len);

	if (len != HASH_LEN || view_plan_lost(e->plan, blob))
		return 0;
	if (e->count == e->cap) {
		size_t cap = e->cap ? e->cap * 2 : VIEW_EDGES_MIN;
		struct view_edge *edges = reallocarray(e->edges, cap, sizeof(*edges));

		if (!edges)
			return -ENOMEM;
		e->edges = edges;
		e->cap = cap;
	}
	e->edges[e->count++] = (struct view_edge){ .start = (uint64_t)meta_row_int(row, 0),
						   .len = (uint64_t)meta_row_int(row, 1),
						   .blob = blob,
						   .off = (uint64_t)meta_row_int(row, 3) };
	memcpy(e->edges[e->count - 1].sum.b, sum, HASH_LEN);
	return 0;
}

/* Whether it is what was left: there is a copy in the bucket that would be right. 1, 0 or -ENOMEM. */
static int view_edge_good(struct content *c, const struct view_edge *edge)
{
	CLEANUP_FREE uint8_t *bytes = malloc(edge->len ? edge->len : 1);
	struct blob *blob = NULL;
	struct hash got;

	if (!bytes)
		return -ENOMEM;
	int err = blobs_get(c->blobs, edge->blob, &blob);
	ssize_t n = err ? 0 : blob_read(blob, bytes, edge->len, edge->off);

	blob_put(blob);
	if (n == (ssize_t)edge->len && !hash_data(c->params.algo, bytes, edge->len, &got) &&
	    hash_equal(&got, &edge->sum))
		return 1;
	log_error("blob %" PRId64 " at %" PRIu64
		  ": the end of an object that was left here is damaged",
		  edge->blob, edge->off);
	return 0;
}

/* Keeps those that are good. */
static int view_edges_check(struct content *c, struct view_edges *e)
{
	size_t kept = 0;

	for (size_t i = 0; i < e->count; i++) {
		int good = view_edge_good(c, &e->edges[i]);

		if (good < 0)
			return good;
		if (good)
			e->edges[kept++] = e->edges[i];
	}
	e->count = kept;
	return 0;
}

/* [start, end) of a run of the plan: of `edge`, or as it was. */
static int view_edge_add(struct view_edges *e, const struct view_plan_run *from, uint64_t start,
			 uint64_t end, const struct view_edge *edge)
{
	if (end <= start)
		return 0;
	if (e->run_count == e->run_cap) {
		size_t cap = e->run_cap ? e->run_cap * 2 : VIEW_EDGES_MIN;
		struct view_plan_run *runs = reallocarray(e->runs, cap, sizeof(*runs));

		if (!runs)
			return -ENOMEM;
		e->runs = runs;
		e->run_cap = cap;
	}
	struct view_plan_run *run = &e->runs[e->run_count++];

	*run = *from;
	run->run.start = start;
	run->run.len = end - start;
	run->run.off += start - from->run.start;
	if (edge) {
		run->run.kind = VIEW_BLOB;
		run->run.chunk = 0;
		run->run.off = edge->off + (start - edge->start);
		run->blob = edge->blob;
	}
	return 0;
}

/* One missing run, in parts. */
static int view_edge_split(struct view_edges *e, const struct view_plan_run *run)
{
	uint64_t at = run->run.start, end = at + run->run.len;
	int err = 0;

	for (size_t i = 0; i < e->count && at < end && !err; i++) {
		const struct view_edge *edge = &e->edges[i];
		uint64_t from = edge->start > at ? edge->start : at;
		uint64_t to = edge->start + edge->len < end ? edge->start + edge->len : end;

		if (to <= from)
			continue;
		err = view_edge_add(e, run, at, from, NULL);
		if (!err)
			err = view_edge_add(e, run, from, to, edge);
		at = to;
	}
	return err ? err : view_edge_add(e, run, at, end, NULL);
}

static int view_edges_apply(struct view_edges *e)
{
	int err = 0;

	for (size_t i = 0; i < e->plan->count && !err; i++) {
		const struct view_plan_run *run = &e->plan->runs[i];

		if (run->run.kind == VIEW_MISSING)
			err = view_edge_split(e, run);
		else
			err = view_edge_add(e, run, run->run.start, run->run.start + run->run.len,
					    NULL);
	}
	return err;
}

int view_edges_read(struct content *c, struct view_plan *p)
{
	struct view_edges e = { .plan = p };
	bool missing = false;

	for (size_t i = 0; i < p->count && !missing; i++)
		missing = p->runs[i].run.kind == VIEW_MISSING;
	if (!missing)
		return 0;
	int got = META_QUERY(c->meta, EDGE_LIST, view_edge_row, &e, META_I(p->object));
	int err = got < 0 ? got : view_edges_check(c, &e);

	if (!err && e.count)
		err = view_edges_apply(&e);

	if (!err && e.count) {
		free(p->runs);
		p->runs = e.runs;
		p->count = e.run_count;
		p->cap = e.run_cap;
	} else {
		free(e.runs);
	}
	free(e.edges);
	return err;
}
