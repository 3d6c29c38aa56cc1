/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Views: made from one query, read without locks. */
#include "config.h"

#include "content/content-internal.h"
#include "content/view.h"
#include "util/err.h"
#include "util/io.h"
#include "util/log.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The view that is given out is the first member; the rest is for view_put(). */
struct view_held {
	struct view view;
	struct content *content; /* NULL: not of an object */
	int64_t object;
};

struct view_plan_run {
	struct view_run run;
	int64_t blob;
};

/* A view in the making: runs with blob ids in place of handles. */
struct view_plan {
	uint64_t size, end;
	int64_t object;
	int64_t last; /* idx of the chunk added last, -1: none */
	bool found;
	struct view_plan_run *runs;
	size_t count, cap;
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

static bool view_joins(const struct view_plan_run *a, const struct view_plan_run *b)
{
	if (a->run.kind != b->run.kind || a->blob != b->blob)
		return false;
	return a->run.kind != VIEW_BLOB || a->run.off + a->run.len == b->run.off;
}

static int view_plan_add(struct view_plan *p, const struct view_plan_run *fresh)
{
	struct view_plan_run *last = p->count ? &p->runs[p->count - 1] : NULL;

	p->end += fresh->run.len;
	if (last && view_joins(last, fresh)) {
		last->run.len += fresh->run.len;
		return 0;
	}
	if (p->count == p->cap) {
		size_t cap = p->cap ? p->cap * 2 : 4;
		struct view_plan_run *runs = reallocarray(p->runs, cap, sizeof(*runs));

		if (!runs)
			return -ENOMEM;
		p->runs = runs;
		p->cap = cap;
	}
	p->runs[p->count++] = *fresh;
	return 0;
}

static struct view_plan_run view_plan_read(const struct meta_row *row)
{
	struct view_plan_run fresh = { .run = {
					       .start = (uint64_t)meta_row_int(row, VIEW_COL_START),
					       .len = (uint64_t)meta_row_int(row, VIEW_COL_LENGTH),
					       .kind = VIEW_MISSING,
				       } };

	if (meta_row_null(row, VIEW_COL_CHUNK)) {
		fresh.run.kind = VIEW_ZERO;
	} else if (!meta_row_null(row, VIEW_COL_BLOB)) {
		fresh.run.kind = VIEW_BLOB;
		fresh.blob = meta_row_int(row, VIEW_COL_BLOB);
		fresh.run.off = (uint64_t)meta_row_int(row, VIEW_COL_OFF);
	}
	return fresh;
}

/*
 * A chunk that has several places comes in several rows: the first is taken, unless a later one goes on where the run
 * before ended.
 */
static int view_plan_row(void *arg, const struct meta_row *row)
{
	struct view_plan *p = arg;

	p->found = true;
	p->size = (uint64_t)meta_row_int(row, VIEW_COL_SIZE);
	if (meta_row_null(row, VIEW_COL_IDX))
		return 0;
	struct view_plan_run fresh = view_plan_read(row);
	int64_t idx = meta_row_int(row, VIEW_COL_IDX);
	struct view_plan_run *last = p->count ? &p->runs[p->count - 1] : NULL;

	if (idx == p->last) {
		struct view_plan_run *before = p->count > 1 ? last - 1 : NULL;

		if (before && last->run.start == fresh.run.start && view_joins(before, &fresh)) {
			before->run.len += fresh.run.len;
			p->count--;
		}
		return 0;
	}
	if (fresh.run.start != p->end || !fresh.run.len || fresh.run.len > p->size - p->end)
		return ERR_CORRUPT;
	p->last = idx;
	return view_plan_add(p, &fresh);
}

/* Opens the blob of each run, once for all runs of a blob that follow one another. */
static int view_get_blobs(struct content *c, struct view *v, const struct view_plan *p)
{
	int64_t last = 0;
	struct blob *blob = NULL;

	for (size_t i = 0; i < p->count; i++) {
		struct view_run *run = &v->runs[i];

		*run = p->runs[i].run;
		v->count = i + 1;
		if (run->kind != VIEW_BLOB)
			continue;
		int err = 0;

		if (blob && last == p->runs[i].blob)
			run->blob = blob_ref(blob);
		else
			err = blobs_get(c->blobs, p->runs[i].blob, &run->blob);
		if (err == -ENOENT) {
			log_error("object %" PRId64 ": blob %" PRId64 " has no file", p->object,
				  p->runs[i].blob);
			run->kind = VIEW_MISSING;
		} else if (err) {
			run->kind = VIEW_MISSING;
			return err;
		} else {
			blob = run->blob;
			last = p->runs[i].blob;
		}
	}
	return 0;
}

/* A view with room for `count` runs and one reference; NULL when memory is out. */
static struct view_held *view_new(uint64_t size, size_t count)
{
	struct view_held *held = calloc(1, sizeof(*held));

	if (!held)
		return NULL;
	held->view.size = size;
	held->view.refs = 1;
	held->view.runs = calloc(count ? count : 1, sizeof(*held->view.runs));
	if (!held->view.runs) {
		free(held);
		return NULL;
	}
	return held;
}

static int view_from_plan(struct content *c, const struct view_plan *p, struct view **out)
{
	struct view_held *held = view_new(p->size, p->count);

	if (!held)
		return -ENOMEM;
	int err = view_open_add(&c->views, p->object);

	if (!err) {
		held->content = c;
		held->object = p->object;
		err = view_get_blobs(c, &held->view, p);
	}
	if (err)
		view_put(&held->view);
	else
		*out = &held->view;
	return err;
}

int view_of_object(struct content *c, int64_t id, struct view **out)
{
	struct view_plan plan = { .object = id, .last = -1 };
	int got = META_QUERY(c->meta, OBJECT_PLACES, view_plan_row, &plan, META_I(id));
	int err = got < 0 ? got : 0;

	if (!err && !plan.found)
		err = -ENOENT;
	if (!err && plan.end != plan.size)
		err = ERR_CORRUPT;
	if (!err)
		err = view_from_plan(c, &plan, out);
	if (err == ERR_CORRUPT)
		log_error("object %" PRId64 ": its list of chunks has gaps", id);
	free(plan.runs);
	return err;
}

int view_of_zeros(uint64_t size, struct view **out)
{
	struct view_held *held = view_new(size, 1);

	if (!held)
		return -ENOMEM;
	held->view.count = size ? 1 : 0;
	held->view.runs[0] = (struct view_run){ .len = size, .kind = VIEW_ZERO };
	*out = &held->view;
	return 0;
}

struct view *view_get(struct view *v)
{
	__atomic_add_fetch(&v->refs, 1, __ATOMIC_RELAXED);
	return v;
}

void view_put(struct view *v)
{
	if (!v || __atomic_sub_fetch(&v->refs, 1, __ATOMIC_ACQ_REL))
		return;
	struct view_held *held = (struct view_held *)v;

	for (size_t i = 0; i < v->count; i++) {
		if (v->runs[i].kind == VIEW_BLOB)
			blob_put(v->runs[i].blob);
	}
	if (held->content)
		view_open_drop(&held->content->views, held->object);
	free(v->runs);
	free(held);
}

const struct view_run *view_find(const struct view *v, uint64_t off)
{
	size_t low = 0, high = v->count;

	if (off >= v->size)
		return NULL;
	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (v->runs[middle].start <= off)
			low = middle;
		else
			high = middle;
	}
	return &v->runs[low];
}

/* Fills `len` bytes from `skip` within the run. 0 or negative errno. */
static int view_read_run(const struct view_run *run, void *buf, size_t len, uint64_t skip)
{
	if (run->kind == VIEW_ZERO) {
		memset(buf, 0, len);
		return 0;
	}
	if (run->kind == VIEW_MISSING) {
		log_error("content at %" PRIu64 "..%" PRIu64 " is not on this machine", run->start,
			  run->start + run->len);
		return -EIO;
	}
	ssize_t got = io_pread_full(blob_fd(run->blob), buf, len, run->off + skip);

	if (got == (ssize_t)len)
		return 0;
	log_error("blob %" PRId64 " at %" PRIu64 ": %s", blob_id(run->blob), run->off + skip,
		  got < 0 ? err_text((int)got) : "shorter than its chunks");
	return got < 0 ? (int)got : -EIO;
}

ssize_t view_read(const struct view *v, void *buf, size_t len, uint64_t off)
{
	const struct view_run *run = view_find(v, off);
	size_t done = 0;

	if (!run)
		return 0;
	if (len > v->size - off)
		len = v->size - off;
	for (; done < len; run++) {
		uint64_t skip = off + done - run->start;
		size_t part = len - done;

		if (part > run->len - skip)
			part = run->len - skip;
		int err = view_read_run(run, (uint8_t *)buf + done, part, skip);

		if (err)
			return err;
		done += part;
	}
	return (ssize_t)done;
}

int64_t view_seek(const struct view *v, uint64_t off, int whence)
{
	const struct view_run *run = view_find(v, off);

	if (!run)
		return -ENXIO;
	for (; run < v->runs + v->count; run++) {
		if ((run->kind == VIEW_ZERO) == (whence == SEEK_HOLE))
			return (int64_t)(run->start > off ? run->start : off);
	}
	return whence == SEEK_HOLE ? (int64_t)v->size : -ENXIO;
}
