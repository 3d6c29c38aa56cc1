/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From the rows of an object to the runs of its view. */
#include "config.h"

#include "content/view-internal.h"
#include "util/err.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { VIEW_PLACES_MAX = 8 };

/* Where bytes may be read: `delta` is what their offset in the blob is beyond that in the content. */
struct view_place {
	int64_t blob;
	uint64_t delta; /* may wrap */
};

/* A chunk, or chunks that lie side by side at each of these places. */
struct view_span {
	uint64_t start, len;
	int64_t chunk; /* of VIEW_MISSING */
	enum view_kind kind;
	size_t place_count;
	struct view_place places[VIEW_PLACES_MAX];
};

/*
 * A view in the making. Spans that are of one kind become one run, as long as there is a blob that has all of it; so an object whose
 * chunks all have a place in its home is one run, whatever other places some of them have. A missing chunk is a run by itself.
 */
struct view_making {
	struct view_plan *plan;
	uint64_t end; /* of the chunks so far */
	bool found;
	int64_t idx;            /* of the chunk that is being read, -1: none */
	struct view_span chunk; /* with the places read so far */
	struct view_span span;  /* the run that is not ended yet; length 0: none */
};

enum {
	VIEW_COL_SIZE,
	VIEW_COL_IDX,
	VIEW_COL_START,
	VIEW_COL_LENGTH,
	VIEW_COL_CHUNK,
	VIEW_COL_BLOB,
	VIEW_COL_OFF
};

/* Ends the run. */
static int view_plan_end_run(struct view_making *m)
{
	const struct view_span *span = &m->span;
	struct view_plan *p = m->plan;

	if (!span->len)
		return 0;
	if (p->count == p->cap) {
		size_t cap = p->cap ? p->cap * 2 : 4;
		struct view_plan_run *runs = reallocarray(p->runs, cap, sizeof(*runs));

		if (!runs)
			return -ENOMEM;
		p->runs = runs;
		p->cap = cap;
	}
	struct view_plan_run *run = &p->runs[p->count++];

	*run = (struct view_plan_run){
		.run = { .start = span->start,
			 .len = span->len,
			 .kind = span->kind,
			 .chunk = span->chunk },
	};
	if (span->kind == VIEW_BLOB) {
		run->blob = span->places[0].blob;
		run->run.off = span->start + span->places[0].delta;
	}
	m->span.len = 0;
	return 0;
}

/* Whether the chunk goes on where the span ends; the span keeps the places that both have. */
static bool view_span_join(struct view_span *span, const struct view_span *chunk)
{
	struct view_place both[VIEW_PLACES_MAX];
	size_t count = 0;

	if (!span->len || span->kind != chunk->kind || span->kind == VIEW_MISSING)
		return false;
	for (size_t i = 0; i < span->place_count; i++) {
		for (size_t k = 0; k < chunk->place_count; k++) {
			if (span->places[i].blob == chunk->places[k].blob &&
			    span->places[i].delta == chunk->places[k].delta)
				both[count++] = span->places[i];
		}
	}
	if (span->kind == VIEW_BLOB && !count)
		return false;
	memcpy(span->places, both, count * sizeof(both[0]));
	span->place_count = count;
	span->len += chunk->len;
	return true;
}

/* All places of the chunk were read. */
static int view_plan_end_chunk(struct view_making *m)
{
	int err = 0;

	if (m->idx < 0 || view_span_join(&m->span, &m->chunk))
		return 0;
	err = view_plan_end_run(m);
	m->span = m->chunk;
	return err;
}

bool view_plan_lost(const struct view_plan *p, int64_t blob)
{
	for (size_t i = 0; i < p->lost_count; i++) {
		if (p->lost[i] == blob)
			return true;
	}
	return false;
}

static void view_plan_place(struct view_making *m, int64_t blob, uint64_t off)
{
	struct view_span *chunk = &m->chunk;

	if (chunk->place_count == VIEW_PLACES_MAX || view_plan_lost(m->plan, blob))
		return;
	chunk->kind = VIEW_BLOB;
	chunk->chunk = 0;
	chunk->places[chunk->place_count++] = (struct view_place){ blob, off - chunk->start };
}

/* The next chunk begins. */
static int view_plan_begin_chunk(struct view_making *m, const struct meta_row *row)
{
	const struct view_span *chunk = &m->chunk;
	int err = view_plan_end_chunk(m);

	if (err)
		return err;
	m->chunk = (struct view_span){
		.start = (uint64_t)meta_row_int(row, VIEW_COL_START),
		.len = (uint64_t)meta_row_int(row, VIEW_COL_LENGTH),
		.kind = meta_row_null(row, VIEW_COL_CHUNK) ? VIEW_ZERO : VIEW_MISSING,
		.chunk = meta_row_int(row, VIEW_COL_CHUNK),
	};
	m->idx = meta_row_int(row, VIEW_COL_IDX);
	if (chunk->start != m->end || !chunk->len || chunk->len > m->plan->size - m->end)
		return ERR_CORRUPT;
	m->end += chunk->len;
	return 0;
}

/* A row is a chunk at one place, or a hole, or a chunk without a place. */
static int view_plan_row(void *arg, const struct meta_row *row)
{
	struct view_making *m = arg;
	int err = 0;

	m->found = true;
	m->plan->size = (uint64_t)meta_row_int(row, VIEW_COL_SIZE);
	if (meta_row_null(row, VIEW_COL_IDX))
		return 0;
	if (meta_row_int(row, VIEW_COL_IDX) != m->idx)
		err = view_plan_begin_chunk(m, row);
	if (!err && !meta_row_null(row, VIEW_COL_BLOB))
		view_plan_place(m, meta_row_int(row, VIEW_COL_BLOB),
				(uint64_t)meta_row_int(row, VIEW_COL_OFF));
	return err;
}

int view_plan_read(struct content *c, struct view_plan *p)
{
	struct view_making m = { .plan = p, .idx = -1 };

	p->count = 0;
	int got = META_QUERY(c->meta, OBJECT_PLACES, view_plan_row, &m, META_I(p->object));
	int err = got < 0 ? got : view_plan_end_chunk(&m);

	if (!err)
		err = view_plan_end_run(&m);
	if (!err && !m.found)
		err = -ENOENT;
	if (!err && m.end != p->size)
		err = ERR_CORRUPT;
	return err ? err : view_edges_read(c, p);
}

int view_plan_lose(struct view_plan *p, int64_t blob)
{
	int64_t *lost = reallocarray(p->lost, p->lost_count + 1, sizeof(*lost));

	if (!lost)
		return -ENOMEM;
	p->lost = lost;
	p->lost[p->lost_count++] = blob;
	return -ESTALE;
}

void view_plan_release(struct view_plan *p)
{
	free(p->runs);
	free(p->lost);
}
