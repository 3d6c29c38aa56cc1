/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Views: made from one query, read without locks. */
#include "config.h"

#include "content/content-internal.h"
#include "content/view.h"
#include "util/err.h"
#include "util/log.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The view that is given out is the first member; the rest is for view_put(). */
struct view_held {
	struct view view;
	struct content *content; /* NULL: not of an object */
	int64_t object;
};

enum { VIEW_PLACES_MAX = 8, VIEW_PAUSE_US = 200 };

/* Where bytes may be read: `delta` is what their offset in the blob is beyond that in the content. */
struct view_place {
	int64_t blob;
	uint64_t delta; /* may wrap */
};

/* A chunk, or chunks that lie side by side at each of these places. */
struct view_span {
	uint64_t start, len;
	enum view_kind kind;
	size_t place_count;
	struct view_place places[VIEW_PLACES_MAX];
};

struct view_plan_run {
	struct view_run run;
	int64_t blob;
};

/*
 * A view in the making. Spans that are of one kind become one run, as long as there is a blob that has all of it; so an object whose
 * chunks all have a place in its home is one run, whatever other places some of them have.
 */
struct view_plan {
	uint64_t size, end; /* `end`: of the chunks so far */
	int64_t object;
	bool found;
	int64_t idx;            /* of the chunk that is being read, -1: none */
	struct view_span chunk; /* with the places read so far */
	struct view_span span;  /* the run that is not ended yet; length 0: none */
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

/* Ends the run. */
static int view_plan_end_run(struct view_plan *p)
{
	const struct view_span *span = &p->span;

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
		.run = { .start = span->start, .len = span->len, .kind = span->kind },
	};
	if (span->kind == VIEW_BLOB) {
		run->blob = span->places[0].blob;
		run->run.off = span->start + span->places[0].delta;
	}
	p->span.len = 0;
	return 0;
}

/* Whether the chunk goes on where the span ends; the span keeps the places that both have. */
static bool view_span_join(struct view_span *span, const struct view_span *chunk)
{
	struct view_place both[VIEW_PLACES_MAX];
	size_t count = 0;

	if (!span->len || span->kind != chunk->kind)
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
static int view_plan_end_chunk(struct view_plan *p)
{
	int err = 0;

	if (p->idx < 0 || view_span_join(&p->span, &p->chunk))
		return 0;
	err = view_plan_end_run(p);
	p->span = p->chunk;
	return err;
}

/* A row is a chunk at one place, or a hole, or a chunk without a place. */
static int view_plan_row(void *arg, const struct meta_row *row)
{
	struct view_plan *p = arg;
	struct view_span *chunk = &p->chunk;
	int64_t idx = meta_row_int(row, VIEW_COL_IDX);

	p->found = true;
	p->size = (uint64_t)meta_row_int(row, VIEW_COL_SIZE);
	if (meta_row_null(row, VIEW_COL_IDX))
		return 0;
	if (idx != p->idx) {
		int err = view_plan_end_chunk(p);

		if (err)
			return err;
		*chunk = (struct view_span){
			.start = (uint64_t)meta_row_int(row, VIEW_COL_START),
			.len = (uint64_t)meta_row_int(row, VIEW_COL_LENGTH),
			.kind = meta_row_null(row, VIEW_COL_CHUNK) ? VIEW_ZERO : VIEW_MISSING,
		};
		p->idx = idx;
		if (chunk->start != p->end || !chunk->len || chunk->len > p->size - p->end)
			return ERR_CORRUPT;
		p->end += chunk->len;
	}
	if (!meta_row_null(row, VIEW_COL_BLOB) && chunk->place_count < VIEW_PLACES_MAX) {
		chunk->kind = VIEW_BLOB;
		chunk->places[chunk->place_count++] = (struct view_place){
			.blob = meta_row_int(row, VIEW_COL_BLOB),
			.delta = (uint64_t)meta_row_int(row, VIEW_COL_OFF) - chunk->start,
		};
	}
	return 0;
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

static int view_build(struct content *c, int64_t id, struct view **out)
{
	struct view_plan plan = { .object = id, .idx = -1 };
	int got = META_QUERY(c->meta, OBJECT_PLACES, view_plan_row, &plan, META_I(id));
	int err = got < 0 ? got : view_plan_end_chunk(&plan);

	if (!err)
		err = view_plan_end_run(&plan);
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

/*
 * What the rows said may be out of date by the time the files are opened: where a home became a draft meanwhile, its own file was found by
 * what its chunks' places no longer say. Counting is enough, since it is rare.
 */
int view_of_object(struct content *c, int64_t id, struct view **out)
{
	for (;;) {
		unsigned ended = __atomic_load_n(&c->moves_ended, __ATOMIC_SEQ_CST);
		int err = view_build(c, id, out);

		if (__atomic_load_n(&c->moves_begun, __ATOMIC_SEQ_CST) == ended)
			return err;
		if (!err)
			view_put(*out);
		usleep(VIEW_PAUSE_US);
	}
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
	ssize_t got = blob_read(run->blob, buf, len, run->off + skip);

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

ssize_t view_read_now(const struct view *v, void *buf, size_t len, uint64_t off)
{
	const struct view_run *run = view_find(v, off);

	if (!run)
		return 0;
	if (len > v->size - off)
		len = v->size - off;
	if (run->kind != VIEW_BLOB || len > run->start + run->len - off)
		return -EAGAIN;
	return blob_read_now(run->blob, buf, len, run->off + (off - run->start));
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

static int view_kind_row(void *arg, const struct meta_row *row)
{
	*(int64_t *)arg = meta_row_int(row, 0);
	return 0;
}

struct blob *view_whole(const struct view *v)
{
	const struct view_held *held = (const struct view_held *)v;
	const struct view_run *run = v->runs;
	int64_t kind = 0;
	struct stat st;

	if (v->count != 1 || run->kind != VIEW_BLOB || run->off)
		return NULL;
	if (fstat(blob_fd(run->blob), &st) || (uint64_t)st.st_size != v->size || st.st_nlink > 1)
		return NULL;
	/* A bundle with one object looks the same, but it will grow. */
	META_QUERY(held->content->meta, BLOB_GET, view_kind_row, &kind, META_I(blob_id(run->blob)));
	return kind == CONTENT_BLOB_HOME ? run->blob : NULL;
}
