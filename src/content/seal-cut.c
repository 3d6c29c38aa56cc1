/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Cutting an item. A small one is read whole. A large one streams through the cutter, which hashes on other threads; but where chunks of
 * a base lie unchanged, what is between them is cut step by step, so that nothing is read for nothing.
 */
#include "config.h"

#include "content/seal-internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	SEAL_STEP = 256 * 1024, /* read at a time where it is not known how much will be needed */
	SEAL_STREAM_CHUNKS = 4, /* longer changes than so many of the longest chunks are streamed */
	SEAL_BUFFERS_MAX = 8,
};

/* One extent that is being cut. */
struct seal_walk {
	struct seal *seal;
	struct seal_item *item;
	uint64_t at, end;
	size_t take; /* takes before this one lie before `at` */
};

static int seal_window_new(struct seal *s)
{
	uint64_t limit = s->content->params.bundle_limit;
	uint32_t max = s->content->chunker.params.max;

	if (!s->window.data)
		s->window.data = malloc(max > limit ? max : limit);
	return s->window.data ? 0 : -ENOMEM;
}

/* Hashes and adds the chunk of `len` bytes at `data`. */
static int seal_cut_add(struct seal *s, struct seal_item *it, uint64_t start, const uint8_t *data,
			size_t len)
{
	struct cut_chunk chunk = { .offset = start, .len = (uint32_t)len };
	int err = hash_data(s->content->params.algo, data, len, &chunk.hash);

	return err ? err : seal_add_chunk(s, it, &chunk, data);
}

static int seal_cut_small(struct seal *s, struct seal_item *it)
{
	int err = seal_window_new(s);

	s->window.len = 0;
	for (size_t i = 0; i < it->extent_count && !err; i++) {
		const struct cut_extent *e = &it->extents[i];
		const uint8_t *data = s->window.data;

		err = seal_read(it, s->window.data, e->len, e->offset);
		for (uint64_t at = 0; at < e->len && !err;) {
			size_t len = chunker_cut(&s->content->chunker, data + at, e->len - at,
						 true);

			err = seal_cut_add(s, it, e->offset + at, data + at, len);
			at += len;
		}
	}
	return err;
}

/* The chunk of a base that can be taken over at the walk's position, or NULL. */
static const struct seal_take *seal_walk_take(struct seal_walk *w)
{
	const struct seal_item *it = w->item;

	while (w->take < it->take_count && it->takes[w->take].start < w->at)
		w->take++;
	if (w->take == it->take_count || it->takes[w->take].start != w->at)
		return NULL;
	const struct seal_take *t = &it->takes[w->take];

	return t->natural || t->start + t->len == w->end ? t : NULL;
}

/* The next position where a chunk of a base could be taken over, or the end. */
static uint64_t seal_walk_next(const struct seal_walk *w)
{
	const struct seal_item *it = w->item;

	for (size_t i = w->take; i < it->take_count; i++) {
		const struct seal_take *t = &it->takes[i];

		if (t->start >= w->end)
			break;
		if (t->start > w->at && (t->natural || t->start + t->len == w->end))
			return t->start;
	}
	return w->end;
}

static ssize_t seal_stream_read(void *arg, void *buf, size_t len, uint64_t off)
{
	struct seal_walk *w = arg;
	int err = seal_read(w->item, buf, len, off);

	return err ? err : (ssize_t)len;
}

/* Ends the run with 1 where the next chunk can be taken over. */
static int seal_stream_emit(void *arg, const struct cut_chunk *chunk, const uint8_t *data)
{
	struct seal_walk *w = arg;
	int err = seal_add_chunk(w->seal, w->item, chunk, data);

	w->at = chunk->offset + chunk->len;
	if (err)
		return err;
	return w->at < w->end && seal_walk_take(w);
}

static int seal_stream_stop(void *arg)
{
	struct seal_walk *w = arg;

	return seal_stopped(w->seal);
}

static int seal_cutter(struct seal *s)
{
	struct content *c = s->content;
	struct cut_params params = { .chunker = &c->chunker,
				     .algo = c->params.algo,
				     .pool = c->pool };

	params.buffers = 2 + (c->pool ? pool_threads(c->pool) : 0);
	if (params.buffers > SEAL_BUFFERS_MAX)
		params.buffers = SEAL_BUFFERS_MAX;
	return s->cut ? 0 : cut_new(&params, &s->cut);
}

/* Cuts extents through the cutter; with takes, one extent, up to the first that can be taken over. */
static int seal_cut_stream(struct seal_walk *w, const struct cut_extent *extents, size_t count)
{
	struct cut_source source = { seal_stream_read, w, extents, count };
	struct cut_sink sink = { seal_stream_emit, seal_stream_stop, w };
	int err = seal_cutter(w->seal);

	if (!err)
		err = cut_run(w->seal->cut, &source, &sink);
	return err > 0 ? 0 : err;
}

/* Reads `want` more bytes into the window. */
static int seal_window_read(struct seal_walk *w, size_t want)
{
	struct seal_window *win = &w->seal->window;
	int err = seal_read(w->item, win->data + win->len, want, win->start + win->len);

	if (!err)
		win->len += want;
	return err;
}

/* Moves the window to begin at the walk's position, with what it holds of that already. */
static void seal_window_move(struct seal_walk *w)
{
	struct seal_window *win = &w->seal->window;
	uint64_t skip = w->at - win->start;

	if (w->at < win->start || skip >= win->len) {
		win->len = 0;
	} else {
		memmove(win->data, win->data + skip, win->len - skip);
		win->len -= skip;
	}
	win->start = w->at;
}

/* Cuts one chunk, reading first as far as `next`, where a cut is expected. */
static int seal_cut_step(struct seal_walk *w, uint64_t next)
{
	struct seal_window *win = &w->seal->window;
	const struct chunker *chunker = &w->seal->content->chunker;
	size_t max = chunker->params.max, done = 0, len;
	int err = 0;

	seal_window_move(w);
	for (;;) {
		uint64_t left = w->end - win->start - win->len;

		len = chunker_resume(chunker, win->data, win->len, !left, &done);
		if (len)
			break;
		uint64_t have = win->start + win->len;
		uint64_t want = have < next ? next - have : SEAL_STEP;

		want = want < max - win->len ? want : max - win->len;
		want = want < left ? want : left;
		err = seal_window_read(w, want);
		if (err)
			return err;
	}
	err = seal_cut_add(w->seal, w->item, w->at, win->data, len);
	w->at += len;
	return err;
}

static int seal_cut_extent(struct seal_walk *w)
{
	uint64_t stream = (uint64_t)w->seal->content->chunker.params.max * SEAL_STREAM_CHUNKS;
	int err = seal_window_new(w->seal);

	w->seal->window.len = 0;
	while (w->at < w->end && !err) {
		const struct seal_take *t = seal_walk_take(w);

		if (t) {
			err = seal_add_base(w->item, t);
			w->at += t->len;
			continue;
		}
		uint64_t next = seal_walk_next(w);

		if (seal_stopped(w->seal)) {
			err = -ECANCELED;
		} else if (next - w->at > stream) {
			struct cut_extent rest = { .offset = w->at, .len = w->end - w->at };

			err = seal_cut_stream(w, &rest, 1);
		} else {
			err = seal_cut_step(w, next);
		}
	}
	return err;
}

int seal_cut(struct seal *s, struct seal_item *it)
{
	struct seal_walk w = { .seal = s, .item = it, .end = it->size };
	int err = 0;

	if (it->small) {
		err = seal_cut_small(s, it);
	} else if (!it->take_count) {
		err = seal_cut_stream(&w, it->extents, it->extent_count);
	} else {
		for (size_t i = 0; i < it->extent_count && !err; i++) {
			w.at = it->extents[i].offset;
			w.end = w.at + it->extents[i].len;
			err = seal_cut_extent(&w);
		}
	}
	return err ? err : seal_add_end(it);
}
