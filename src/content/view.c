/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Views: made from one query, read without locks. */
#include "config.h"

#include "content/view-internal.h"
#include "util/err.h"
#include "util/log.h"
#include "util/time.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { VIEW_PAUSE_US = 200, VIEW_TRIES = 8 };

/* Opens the blob of each run, once for all runs of a blob that follow one another. -ESTALE: a blob has no file, the plan is to be made again. */
static int view_get_blobs(struct content *c, struct view *v, struct view_plan *p)
{
	int64_t last = 0;
	struct blob *blob = NULL;

	for (size_t i = 0; i < p->count; i++) {
		struct view_run *run = &v->runs[i];

		*run = p->runs[i].run;
		if (run->kind != VIEW_BLOB) {
			v->count = i + 1;
			continue;
		}
		int err = 0;

		if (blob && last == p->runs[i].blob)
			run->blob = blob_ref(blob);
		else
			err = blobs_get(c->blobs, p->runs[i].blob, &run->blob);
		if (err == -ENOENT) {
			log_error("object %" PRId64 ": blob %" PRId64 " has no file", p->object,
				  p->runs[i].blob);
			return view_plan_lose(p, p->runs[i].blob);
		}
		if (err)
			return err;
		blob = run->blob;
		last = p->runs[i].blob;
		v->count = i + 1;
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

static bool view_has_missing(const struct view *v)
{
	for (size_t i = 0; i < v->count; i++) {
		if (v->runs[i].kind == VIEW_MISSING)
			return true;
	}
	return false;
}

static int view_from_plan(struct content *c, struct view_plan *p, struct view **out)
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
	if (!err && view_has_missing(&held->view))
		err = view_away_init(held);
	if (err)
		view_put(&held->view);
	else
		*out = &held->view;
	return err;
}

static int view_build(struct content *c, int64_t id, struct view **out)
{
	struct view_plan plan = { .object = id };
	int err;

	do {
		err = view_plan_read(c, &plan);
		if (!err)
			err = view_from_plan(c, &plan, out);
	} while (err == -ESTALE);
	if (err == ERR_CORRUPT)
		log_error("object %" PRId64 ": its list of chunks has gaps", id);
	view_plan_release(&plan);
	return err;
}

/* Whether the rows still say what the view was made from: 1, 0, or an error. */
static int view_stands(struct content *c, const struct view *v, int64_t id)
{
	struct view_plan plan = { .object = id };
	int err = view_plan_read(c, &plan);
	bool same = !err && plan.count == v->count;

	for (size_t i = 0; same && i < v->count; i++) {
		const struct view_run *a = &v->runs[i], *b = &plan.runs[i].run;

		same = a->start == b->start && a->len == b->len && a->kind == b->kind &&
		       a->off == b->off &&
		       (a->kind != VIEW_BLOB || blob_id(a->blob) == plan.runs[i].blob);
	}
	view_plan_release(&plan);
	return err ? err : same;
}

/*
 * The process that mounts may evict what another one is about to open. What is open here while the rows stand is not punched any more. Where they never do, for
 * a file is missing, the view is taken as it is.
 */
static int view_build_beside(struct content *c, int64_t id, struct view **out)
{
	struct view *v = NULL;

	for (int i = 0;; i++) {
		int err = view_build(c, id, &v);
		int stands = err || i == VIEW_TRIES ? 1 : view_stands(c, v, id);

		if (stands == 1) {
			if (!err)
				*out = v;
			return err;
		}
		view_put(v);
		if (stands < 0)
			return stands;
	}
}

/*
 * What the rows said may be out of date by the time the files are opened: where a home became a draft meanwhile, its own file was found by
 * what its chunks' places no longer say. Counting is enough, since it is rare.
 */
static int view_of_object_now(struct content *c, int64_t id, struct view **out)
{
	for (;;) {
		unsigned ended = __atomic_load_n(&c->moves_ended, __ATOMIC_SEQ_CST);
		int err = c->params.adopt ? view_build(c, id, out) : view_build_beside(c, id, out);

		if (__atomic_load_n(&c->moves_begun, __ATOMIC_SEQ_CST) == ended)
			return err;
		if (!err)
			view_put(*out);
		usleep(VIEW_PAUSE_US);
	}
}

/* The object counts as viewed from before its rows are read. */
int view_of_object(struct content *c, int64_t id, struct view **out)
{
	int err = view_open_add(&c->views, id);

	if (err)
		return err;
	err = view_of_object_now(c, id, out);
	view_open_drop(&c->views, id);
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
	view_away_release(held);
	if (held->content) {
		used_note(held->content, held->object);
		view_open_drop(&held->content->views, held->object);
	}
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

/* Fills `len` bytes from `skip` within the run. 0, -EREMOTE or negative errno. */
static int view_read_run(struct view_held *held, size_t i, void *buf, size_t len, uint64_t skip)
{
	const struct view_run *run = &held->view.runs[i];

	if (run->kind == VIEW_ZERO) {
		memset(buf, 0, len);
		return 0;
	}
	if (run->kind == VIEW_MISSING)
		return view_away_read(held, i, buf, len, skip);
	ssize_t got = blob_read(run->blob, buf, len, run->off + skip);

	if (got == (ssize_t)len)
		return 0;
	log_error("blob %" PRId64 " at %" PRIu64 ": %s", blob_id(run->blob), run->off + skip,
		  got < 0 ? err_text((int)got) : "shorter than its chunks");
	return got < 0 ? (int)got : -EIO;
}

/* Reads [off, off + len), which lies within the view, as far as it is here: the count, and *err what stands in the way of more. */
static size_t view_read_part(struct view_held *held, uint8_t *buf, size_t len, uint64_t off,
			     int *err)
{
	const struct view *v = &held->view;
	size_t i = (size_t)(view_find(v, off) - v->runs), done = 0;

	for (*err = 0; done < len; i++) {
		uint64_t skip = off + done - v->runs[i].start;
		size_t part = len - done;

		if (part > v->runs[i].len - skip)
			part = v->runs[i].len - skip;
		*err = view_read_run(held, i, buf + done, part, skip);
		if (*err)
			break;
		done += part;
	}
	if (held->found && !*err)
		view_away_ahead(held, off, len);
	return done;
}

ssize_t view_read_here(const struct view *v, void *buf, size_t len, uint64_t off)
{
	/* What is noted of a view does not change it. */
	struct view_held *held = (struct view_held *)(uintptr_t)v;
	int err;

	if (off >= v->size)
		return 0;
	if (len > v->size - off)
		len = v->size - off;
	size_t done = view_read_part(held, buf, len, off, &err);

	return err ? err : (ssize_t)done;
}

/* Waits for the bytes at `off`, of one chunk; they stay until *w is freed, which is another or NULL before. */
static int view_await(struct view_held *held, uint64_t off, int64_t *deadline_ns,
		      struct fetch_wait **w)
{
	int err;

	fetch_wait_free(*w);
	*w = NULL;
	if (!*deadline_ns)
		*deadline_ns = fetch_deadline_ns(held->content);
	err = fetch_wait_new(held->content, *deadline_ns, w);
	if (!err)
		err = view_want(&held->view, off, 1, *w);
	if (!err)
		err = fetch_wait_block(*w);
	if (err)
		log_error("object %" PRId64 " at %" PRIu64 " is not on this machine: %s",
			  held->object, off, err_text(err));
	return err;
}

ssize_t view_read(const struct view *v, void *buf, size_t len, uint64_t off)
{
	struct view_held *held = (struct view_held *)(uintptr_t)v;
	struct fetch_wait *w = NULL;
	int64_t deadline_ns = 0;
	size_t done = 0;
	int err = 0;

	if (off >= v->size)
		return 0;
	if (len > v->size - off)
		len = v->size - off;
	while (!err && done < len) {
		done += view_read_part(held, (uint8_t *)buf + done, len - done, off + done, &err);
		if (err == -EREMOTE)
			err = view_await(held, off + done, &deadline_ns, &w);
	}
	fetch_wait_free(w);
	return err == -ETIMEDOUT ? -EIO : err ? err : (ssize_t)done;
}

ssize_t view_read_now(const struct view *v, void *buf, size_t len, uint64_t off)
{
	struct view_held *held = (struct view_held *)(uintptr_t)v;
	const struct view_run *run = view_find(v, off);

	if (!run)
		return 0;
	if (len > v->size - off)
		len = v->size - off;
	if (run->kind == VIEW_ZERO || len > run->start + run->len - off)
		return -EAGAIN;
	if (run->kind == VIEW_BLOB)
		return blob_read_now(run->blob, buf, len, run->off + (off - run->start));
	ssize_t got = view_away_read_now(held, (size_t)(run - v->runs), buf, len, off - run->start);

	if (got >= 0)
		view_away_ahead(held, off, len);
	return got;
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
