/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The queue in the metadata. */
#include "config.h"

#include "content/space.h"
#include "content/upload-internal.h"
#include "util/cleanup.h"
#include "util/err.h"
#include "util/time.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum {
	TAKE_ROWS = 64,
	SWEEP_ROWS = 1024,
	WALK_PAGES = 64, /* at one go */
};
#define WALK_EVERY_NS (60 * TIME_NS_PER_S)
#define PAUSED "upload_paused"

/* Rows that may be taken. */
struct pick {
	enum upload_kind kind;
	int64_t now, horizon;
	struct meta_op *op;
	struct upload *u;
	int64_t until;
	unsigned taken, seen;
	int64_t last;
};

/* Whether it is on its way: where that is slow its lease may be over before it is. */
static bool is_aloft(const struct upload *u, enum upload_kind kind, int64_t target)
{
	const struct upload_item *item;

	DL_FOREACH (u->aloft, item) {
		if (item->kind == kind && item->target == target)
			return true;
	}
	return false;
}

static void pick_take(struct pick *p, int64_t target)
{
	struct content *c = p->u->content;

	if (is_aloft(p->u, p->kind, target))
		return;
	META_ADD(p->op, UPLOAD_TAKE, META_ANY, 0, META_I(p->now), META_I(p->horizon),
		 META_I(p->kind), META_I(target), CONTENT_OWNER(c), META_I(p->until));
	p->taken++;
}

static int chunk_row(void *arg, const struct meta_row *row)
{
	pick_take(arg, meta_row_int(row, 0));
	return 0;
}

static int manifest_row(void *arg, const struct meta_row *row)
{
	struct pick *p = arg;

	p->last = meta_row_int(row, 0);
	p->seen++;
	if (!meta_row_int(row, 1))
		pick_take(p, p->last);
	return 0;
}

/* Manifests after those that were looked at, until some are found or the walk is done. */
static int walk_manifests(struct upload *u, struct pick *p)
{
	int got = 0;

	for (int i = 0; i < WALK_PAGES && !p->taken; i++) {
		p->seen = 0;
		got = META_QUERY(u->content->meta, UPLOAD_WALK_MANIFESTS, manifest_row, p,
				 META_I(p->now), META_I(p->horizon), META_I(TAKE_ROWS),
				 META_I(u->walked));
		if (got < 0)
			return got;
		u->walked = p->last;
		if (p->seen == TAKE_ROWS)
			continue;
		u->walked = 0;
		u->walk_done = u->walk_sent;
		u->walk_sent = u->recorded;
		u->walk_ns = time_mono_ns();
		break;
	}
	return 0;
}

/*
 * The oldest manifests are looked at each time: mostly those are complete. The others in turn, as long as chunks have come to the bucket since the last
 * walk over all of them began, and now and then for what other processes sent.
 */
static int pick_manifests(struct upload *u, struct pick *p)
{
	bool due = u->walked || u->walk_done != u->recorded ||
		   time_mono_ns() - u->walk_ns > WALK_EVERY_NS;
	int got;

	p->kind = UPLOAD_MANIFEST;
	p->taken = 0;
	got = META_QUERY(u->content->meta, UPLOAD_PICK_MANIFESTS, manifest_row, p, META_I(p->now),
			 META_I(p->horizon), META_I(TAKE_ROWS));
	if (got < 0 || p->taken || !due || got < TAKE_ROWS)
		return got < 0 ? got : 0;
	return walk_manifests(u, p);
}

static int pick_chunks(struct upload *u, struct pick *p)
{
	enum meta_stmt stmt = u->params.small_first ? META_UPLOAD_PICK_SMALLEST
						    : META_UPLOAD_PICK_OLDEST;
	struct meta_value values[] = { META_I(p->now), META_I(p->horizon), META_I(TAKE_ROWS) };

	p->kind = UPLOAD_CHUNK;
	return meta_query(u->content->meta, stmt, 3, values, chunk_row, p);
}

static int taken_row(void *arg, const struct meta_row *row)
{
	struct upload *u = arg;
	struct upload_item *item = calloc(1, sizeof(*item));
	size_t len;

	if (!item)
		return -ENOMEM;
	item->owner = u;
	item->kind = (enum upload_kind)meta_row_int(row, 0);
	item->target = meta_row_int(row, 1);
	item->tries = (unsigned)meta_row_int(row, 2);
	int col = item->kind == UPLOAD_CHUNK ? 3 : 5;
	const void *hash = meta_row_bytes(row, col, &len);

	item->there = hash && len == HASH_LEN;
	if (item->there)
		memcpy(item->hash.b, hash, HASH_LEN);
	item->size = (uint64_t)meta_row_int(row, col + 1);
	item->room = (uint64_t)meta_row_int(row, 7);
	DL_APPEND(u->ready, item);
	return 0;
}

int upload_take(struct upload *u)
{
	int64_t now = time_now_ns();
	struct pick p = { .now = now,
			  .horizon = now + UPLOAD_HORIZON_NS,
			  .until = now + UPLOAD_LEASE_NS,
			  .op = meta_op_new(),
			  .u = u };
	int err = p.op ? pick_manifests(u, &p) : -ENOMEM;

	if (err >= 0)
		err = pick_chunks(u, &p);
	if (err >= 0 && meta_op_count(p.op)) {
		err = meta_apply(u->content->meta, p.op);
		if (!err)
			err = META_QUERY(u->content->meta, UPLOAD_TAKEN, taken_row, u,
					 CONTENT_OWNER(u->content), META_I(p.until));
	}
	meta_op_free(p.op);
	return err;
}

static void add_failure(struct upload *u, const struct upload_item *item, struct meta_op *op)
{
	int64_t delay = upload_delay_ns(u, item);
	int64_t due = time_mono_ns() + delay + u->params.pause_ns;

	if (item->end != UPLOAD_STUCK && due > u->due_ns)
		u->due_ns = due;
	META_ADD(op, UPLOAD_FAILED, META_ANY, 0, META_I(item->kind), META_I(item->target),
		 META_I(time_now_ns() + delay), META_I(item->end == UPLOAD_STUCK),
		 META_T(buf_str(&item->why), item->why.len));
}

static void add_end(struct upload *u, const struct upload_item *item, struct meta_op *op)
{
	struct meta_value kind = META_I(item->kind), target = META_I(item->target);
	bool chunk = item->kind == UPLOAD_CHUNK;

	switch (item->end) {
	case UPLOAD_SENT:
	case UPLOAD_FOUND:
		if (chunk)
			META_ADD(op, UPLOAD_CHUNK_SENT, META_ANY, 0, target);
		else
			META_ADD(op, UPLOAD_MANIFEST_SENT, META_ANY, 0, target);
		META_ADD(op, UPLOAD_DROP, META_ANY, 0, kind, target);
		break;
	case UPLOAD_GONE:
		META_ADD(op, UPLOAD_RELEASE, META_ANY, 0, kind, target, CONTENT_OWNER(u->content));
		if (chunk)
			META_ADD(op, UPLOAD_DROP_CHUNK, META_ANY, 0, target);
		else
			META_ADD(op, UPLOAD_DROP_MANIFEST, META_ANY, 0, target);
		break;
	case UPLOAD_STUCK:
	case UPLOAD_AGAIN:
		add_failure(u, item, op);
		break;
	case UPLOAD_UNDONE:
		META_ADD(op, UPLOAD_RELEASE, META_ANY, 0, kind, target, CONTENT_OWNER(u->content));
		break;
	}
}

int upload_record(struct upload *u)
{
	struct meta_op *op = u->over ? meta_op_new() : NULL;
	struct upload_item *item, *next;
	uint64_t before = u->recorded;
	int err;

	if (!u->over)
		return 0;
	if (!op)
		return -ENOMEM;
	DL_FOREACH (u->over, item)
		add_end(u, item, op);
	err = meta_apply(u->content->meta, op);
	meta_op_free(op);
	if (err)
		return err;
	DL_FOREACH_SAFE(u->over, item, next)
	{
		u->recorded += item->kind == UPLOAD_CHUNK &&
			       (item->end == UPLOAD_SENT || item->end == UPLOAD_FOUND);
		DL_DELETE(u->over, item);
		upload_item_free(item);
	}
	u->over_count = 0;
	/* What is safely there may be evicted. */
	if (u->recorded != before)
		space_kick(u->content);
	return 0;
}

void upload_item_free(struct upload_item *item)
{
	buf_release(&item->why);
	upload_drop_body(item);
	free(item);
}

static int number_row(void *arg, const struct meta_row *row)
{
	int64_t *out = arg;

	out[0] = meta_row_int(row, 0);
	return 1;
}

static int two_row(void *arg, const struct meta_row *row)
{
	int64_t *out = arg;

	out[0] = meta_row_int(row, 0);
	out[1] = meta_row_int(row, 1);
	return 1;
}

/* One of the two tables, page by page. */
static int sweep(struct meta *m, enum meta_stmt end_stmt, enum meta_stmt stmt, struct meta_op *op,
		 bool (*stopped)(void *arg), void *arg)
{
	int64_t after = 0;

	while (!stopped || !stopped(arg)) {
		struct meta_value page[] = { META_I(after), META_I(SWEEP_ROWS) };
		int64_t end = 0;
		int err = meta_query(m, end_stmt, 2, page, number_row, &end);

		if (err < 0 || end <= after)
			return err < 0 ? err : 0;
		struct meta_value values[] = { META_I(after), META_I(end), META_I(time_now_ns()) };

		meta_op_reset(op);
		meta_op_add(op, stmt, META_ANY, 0, 3, values);
		err = meta_apply(m, op);
		if (err)
			return err;
		after = end;
	}
	return -ECANCELED;
}

int upload_sweep(struct meta *m, bool (*stopped)(void *arg), void *arg)
{
	struct meta_op *op = meta_op_new();
	int err = op ? sweep(m, META_UPLOAD_SWEEP_CHUNKS_END, META_UPLOAD_SWEEP_CHUNKS, op, stopped,
			     arg)
		     : -ENOMEM;

	if (!err)
		err = sweep(m, META_UPLOAD_SWEEP_OBJECTS_END, META_UPLOAD_SWEEP_OBJECTS, op,
			    stopped, arg);
	meta_op_free(op);
	return err;
}

int upload_retry(struct meta *m)
{
	struct meta_op *op = meta_op_new();
	int err;

	if (!op)
		return -ENOMEM;
	meta_op_add(op, META_UPLOAD_HURRY, META_ANY, 0, 0, NULL);
	err = meta_apply(m, op);
	meta_op_free(op);
	return err;
}

static int count_row(void *arg, const struct meta_row *row)
{
	struct upload_backlog *b = arg;
	size_t len;
	const char *why = meta_row_bytes(row, 4, &len);

	if (meta_row_int(row, 0) == UPLOAD_CHUNK) {
		b->chunks = (uint64_t)meta_row_int(row, 1);
		b->chunk_bytes = (uint64_t)meta_row_int(row, 2);
	} else {
		b->objects = (uint64_t)meta_row_int(row, 1);
	}
	b->stuck += (uint64_t)meta_row_int(row, 3);
	if (why)
		snprintf(b->why, sizeof(b->why), "%.*s", (int)len, why);
	return 0;
}

int upload_backlog(struct meta *m, struct upload_backlog *out)
{
	struct upload_backlog b = { 0 };
	int err = meta_query(m, META_UPLOAD_COUNT, 0, NULL, count_row, &b);

	if (err < 0)
		return err;
	*out = b;
	return 0;
}

int upload_mark(struct meta *m, struct upload_mark *out)
{
	int64_t ids[2] = { 0 };
	int err = meta_query(m, META_UPLOAD_MARK, 0, NULL, two_row, ids);

	if (err < 0)
		return err;
	*out = (struct upload_mark){ ids[0], ids[1] };
	return 0;
}

static int three_row(void *arg, const struct meta_row *row)
{
	int64_t *out = arg;

	out[2] = meta_row_int(row, 2);
	return two_row(arg, row);
}

/* By one query: between two, what is left may be sent, and what was not there yet would seem to be stuck. */
int upload_left(struct meta *m, const struct upload_mark *mark)
{
	int64_t left[3] = { 0 };
	int err = META_QUERY(m, UPLOAD_LEFT, three_row, left, META_I(mark->chunk),
			     META_I(mark->object));

	if (err < 0)
		return err;
	if (!left[1])
		return 0;
	return left[0] || left[2] ? 1 : 2;
}

int upload_object_state(struct meta *m, int64_t object)
{
	int64_t remote = 0;
	int err = META_QUERY(m, UPLOAD_OBJECT, number_row, &remote, META_I(object));

	return err < 0 ? err : remote == 1;
}

static int paused_row(void *arg, const struct meta_row *row)
{
	size_t len;
	const char *text = meta_row_bytes(row, 0, &len);

	*(int *)arg = len == 1 && *text == '1';
	return 1;
}

int upload_paused(struct meta *m)
{
	int paused = 0;
	int err = META_QUERY(m, SETTING_GET, paused_row, &paused, META_T(PAUSED, strlen(PAUSED)));

	return err < 0 ? err : paused;
}

int upload_pause(struct meta *m, bool paused)
{
	struct meta_op *op = meta_op_new();
	int err;

	if (!op)
		return -ENOMEM;
	META_ADD(op, SETTING_SET, META_ONE, 0, META_T(PAUSED, strlen(PAUSED)),
		 META_T(paused ? "1" : "0", 1));
	err = meta_apply(m, op);
	meta_op_free(op);
	return err;
}
