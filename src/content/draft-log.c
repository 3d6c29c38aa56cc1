/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The log of an overlay's map: rows that say, one after the other, what became of which range. What is recorded is not each change but, for
 * each range that changed, what the map says there when it is saved. A log that has become long for its map is written anew.
 */
#include "config.h"

#include "content/draft-internal.h"
#include "util/err.h"
#include "util/log.h"

#include <errno.h>
#include <inttypes.h>

enum {
	DRAFT_LOG_CUT = 4,      /* draft_extent.kind beyond those of enum extent_kind */
	DRAFT_LOG_FACTOR = 4,   /* the log is written anew beyond this many rows per extent … */
	DRAFT_LOG_SPARE = 1024, /* … and these */
};

int draft_map_set_locked(struct draft *d, const struct extent *e)
{
	struct extent mark = { .start = e->start, .len = e->len, .kind = EXTENT_DRAFT };
	int err;

	if (!e->len)
		return 0;
	err = extent_set(&d->map, e);
	if (!err && extent_set(&d->dirty, &mark))
		d->rewrite = true;
	return err;
}

int draft_map_resize_locked(struct draft *d, uint64_t size)
{
	uint64_t before = d->map.size;

	if (size >= before) {
		struct extent zero = { before, size - before, EXTENT_ZERO, 0, 0 };

		return draft_map_set_locked(d, &zero);
	}
	extent_resize(&d->map, size);
	if (d->dirty.size > size)
		extent_resize(&d->dirty, size);
	if (size < d->cut)
		d->cut = size;
	return 0;
}

static void draft_log_add_locked(struct draft *d, struct meta_op *op, int kind,
				 const struct extent *e) LOCK_REQUIRES(&d->lock)
{
	bool base = kind == EXTENT_BASE;

	d->seq++;
	d->logged++;
	META_ADD(op, DRAFT_EXTENT_ADD, META_ONE, 0, META_I(d->blob), META_I(d->seq), META_I(kind),
		 META_I(e->start), META_I(e->len), base ? META_I(e->object) : META_N(),
		 base ? META_I(e->source) : META_N());
}

/* Rows for what the map says of [start, end). */
static void draft_log_range_locked(struct draft *d, struct meta_op *op, uint64_t start,
				   uint64_t end) LOCK_REQUIRES(&d->lock)
{
	struct extent e;

	while (start < end && extent_at(&d->map, start, &e)) {
		if (e.len > end - start)
			e.len = end - start;
		draft_log_add_locked(d, op, (int)e.kind, &e);
		start += e.len;
	}
}

/* The first row cuts to nothing: rows of a save that failed for its caller but was applied may still come before. */
static void draft_log_rewrite_locked(struct draft *d, struct meta_op *op) LOCK_REQUIRES(&d->lock)
{
	struct extent nothing = { 0 };

	META_ADD(op, DRAFT_OVERLAY, META_ONE, -ESTALE, META_I(d->blob));
	META_ADD(op, DRAFT_EXTENT_CLEAR, META_ANY, 0, META_I(d->blob));
	d->logged = 0;
	draft_log_add_locked(d, op, DRAFT_LOG_CUT, &nothing);
	draft_log_range_locked(d, op, 0, d->map.size);
}

static void draft_log_append_locked(struct draft *d, struct meta_op *op) LOCK_REQUIRES(&d->lock)
{
	struct extent cut = { .start = d->cut }, e;
	uint64_t at = 0;

	if (d->cut != UINT64_MAX)
		draft_log_add_locked(d, op, DRAFT_LOG_CUT, &cut);
	while (extent_at(&d->dirty, at, &e)) {
		if (e.kind == EXTENT_DRAFT)
			draft_log_range_locked(d, op, e.start, e.start + e.len);
		at += e.len;
	}
}

int draft_save(struct draft *d, struct meta_op *op)
{
	lock_lock(&d->lock);
	draft_save_doubt_locked(d, op);
	if (!d->plain) {
		size_t full = DRAFT_LOG_FACTOR * extent_count(&d->map) + DRAFT_LOG_SPARE;

		if (d->rewrite || d->logged > full)
			draft_log_rewrite_locked(d, op);
		else
			draft_log_append_locked(d, op);
		extent_release(&d->dirty);
		d->cut = UINT64_MAX;
		d->rewrite = false;
	}
	lock_unlock(&d->lock);
	return 0;
}

void draft_save_failed(struct draft *d)
{
	lock_lock(&d->lock);
	d->rewrite = !d->plain;
	lock_unlock(&d->lock);
}

enum {
	DRAFT_COL_SEQ,
	DRAFT_COL_KIND,
	DRAFT_COL_START,
	DRAFT_COL_LENGTH,
	DRAFT_COL_OBJECT,
	DRAFT_COL_SOURCE
};

static int draft_log_row(void *arg, const struct meta_row *row)
{
	struct draft *d = arg;
	int64_t start = meta_row_int(row, DRAFT_COL_START);
	int64_t len = meta_row_int(row, DRAFT_COL_LENGTH);
	int64_t kind = meta_row_int(row, DRAFT_COL_KIND);

	if (start < 0 || len < 0 || len > INT64_MAX - start)
		return ERR_CORRUPT;
	d->seq = (uint64_t)meta_row_int(row, DRAFT_COL_SEQ);
	d->logged++;
	if (kind == DRAFT_LOG_CUT) {
		if ((uint64_t)start < d->map.size)
			extent_resize(&d->map, (uint64_t)start);
		return 0;
	}
	struct extent e = { (uint64_t)start, (uint64_t)len, (enum extent_kind)kind, 0, 0 };

	if (kind == EXTENT_BASE) {
		int64_t source = meta_row_int(row, DRAFT_COL_SOURCE);

		e.object = meta_row_int(row, DRAFT_COL_OBJECT);
		e.source = (uint64_t)source;
		if (e.object <= 0 || source < 0 || len > INT64_MAX - source)
			return ERR_CORRUPT;
	} else if (kind != EXTENT_DRAFT && kind != EXTENT_ZERO) {
		return ERR_CORRUPT;
	}
	return extent_set(&d->map, &e);
}

/* Gets the views of all bases and checks that the map stays within them. */
static int draft_load_bases(struct draft *d)
{
	struct extent e;
	int err = 0;

	for (uint64_t at = 0; !err && extent_at(&d->map, at, &e); at += e.len) {
		if (e.kind != EXTENT_BASE)
			continue;
		err = draft_need_base(d, e.object);
		if (err == -ENOENT)
			err = ERR_CORRUPT;
		if (err)
			break;
		lock_lock(&d->lock);
		uint64_t have = draft_base_locked(d, e.object)->size;

		lock_unlock(&d->lock);
		if (e.source + e.len > have)
			err = ERR_CORRUPT;
	}
	return err;
}

int draft_load(struct draft *d, uint64_t size)
{
	int got = META_QUERY(d->content->meta, DRAFT_EXTENT_LIST, draft_log_row, d,
			     META_I(d->blob));
	int err = got < 0 ? got : draft_load_bases(d);

	if (!err && size > INT64_MAX)
		err = ERR_CORRUPT;
	if (!err) {
		lock_lock(&d->lock);
		err = draft_map_resize_locked(d, size);
		lock_unlock(&d->lock);
	}
	if (err == ERR_CORRUPT)
		log_error("draft %" PRId64 ": its log makes no sense", d->blob);
	return err;
}
