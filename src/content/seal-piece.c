/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a content is made of before it is cut: pieces, the extents between its holes, and the chunks of bases that lie in it unchanged. */
#include "config.h"

#include "content/fetch.h"
#include "content/seal-internal.h"
#include "util/err.h"
#include "util/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static int seal_base_row(void *arg, const struct meta_row *row)
{
	struct seal_base *b = arg;
	int err = SEAL_GROW(b->parts, b->count, b->cap);

	if (err)
		return err;
	struct seal_base_part *part = &b->parts[b->count++];
	size_t len;
	const void *hash = meta_row_bytes(row, 2, &len);

	part->start = (uint64_t)meta_row_int(row, 0);
	part->len = (uint64_t)meta_row_int(row, 1);
	part->hole = hash == NULL;
	if (!hash)
		return 0;
	if (len != HASH_LEN)
		return ERR_CORRUPT;
	memcpy(part->hash.b, hash, HASH_LEN);
	return 0;
}

/* The chunk list of `object`, read once per seal. */
static int seal_base_get(struct seal *s, int64_t object, const struct seal_base **out)
{
	for (size_t i = 0; i < s->base_count; i++) {
		if (s->bases[i]->object == object) {
			*out = s->bases[i];
			return 0;
		}
	}
	struct seal_base **bases = reallocarray(s->bases, s->base_count + 1, sizeof(*bases));

	if (!bases)
		return -ENOMEM;
	s->bases = bases;
	struct seal_base *b = calloc(1, sizeof(*b));

	if (!b)
		return -ENOMEM;
	bases[s->base_count++] = b;
	b->object = object;
	int got = META_QUERY(s->content->meta, OBJECT_CHUNKS, seal_base_row, b, META_I(object));

	if (got < 0)
		return got;
	*out = b;
	return 0;
}

static int seal_piece_add(struct seal_item *it, uint64_t start, uint64_t len,
			  enum seal_piece_kind kind)
{
	struct seal_piece *last = it->piece_count ? &it->pieces[it->piece_count - 1] : NULL;

	if (last && last->kind == kind && last->start + last->len == start) {
		last->len += len;
		return 0;
	}
	int err = SEAL_GROW(it->pieces, it->piece_count, it->piece_cap);

	if (!err)
		it->pieces[it->piece_count++] = (struct seal_piece){ start, len, kind };
	return err;
}

static int seal_take_add(struct seal_item *it, uint64_t start, const struct seal_base *b, size_t i)
{
	int err = SEAL_GROW(it->takes, it->take_count, it->take_cap);

	if (!err)
		it->takes[it->take_count++] = (struct seal_take){
			.start = start,
			.len = b->parts[i].len,
			.natural = i + 1 < b->count && !b->parts[i + 1].hole,
			.hash = &b->parts[i].hash,
		};
	return err;
}

/* The part of the base that covers `off`. */
static size_t seal_base_find(const struct seal_base *b, uint64_t off)
{
	size_t low = 0, high = b->count;

	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (b->parts[middle].start <= off)
			low = middle;
		else
			high = middle;
	}
	return low;
}

/* A run of a base: its holes are holes here too, its whole chunks may be taken over. */
static int seal_survey_base(struct seal *s, struct seal_item *it, const struct draft_run *run)
{
	const struct seal_base *b = NULL;
	uint64_t end = run->off + run->len;
	int err = seal_base_get(s, run->object, &b);

	if (err)
		return err;
	for (size_t i = seal_base_find(b, run->off); i < b->count && b->parts[i].start < end; i++) {
		const struct seal_base_part *p = &b->parts[i];
		uint64_t from = p->start > run->off ? p->start : run->off;
		uint64_t to = p->start + p->len < end ? p->start + p->len : end;
		uint64_t at = run->start + (from - run->off);

		err = seal_piece_add(it, at, to - from,
				     p->hole ? SEAL_PIECE_ZERO : SEAL_PIECE_BASE);
		if (!err && !p->hole && to - from == p->len)
			err = seal_take_add(it, at, b, i);
		if (err)
			return err;
	}
	return 0;
}

struct seal_survey {
	struct seal *seal;
	struct seal_item *item;
};

static int seal_survey_run(void *arg, const struct draft_run *run)
{
	struct seal_survey *v = arg;

	if (run->object)
		return seal_survey_base(v->seal, v->item, run);
	return seal_piece_add(v->item, run->start, run->len,
			      run->kind == VIEW_ZERO ? SEAL_PIECE_ZERO : SEAL_PIECE_FILE);
}

static int seal_survey_source(struct seal_item *it)
{
	const struct seal_source *src = it->source;
	uint64_t at = 0;
	int err = 0;

	for (size_t i = 0; i < src->hole_count && !err; i++) {
		uint64_t start = src->holes[i][0], len = src->holes[i][1];

		if (start < at || start > src->size || len > src->size - start)
			return -EINVAL;
		if (start > at)
			err = seal_piece_add(it, at, start - at, SEAL_PIECE_FILE);
		if (!err && len)
			err = seal_piece_add(it, start, len, SEAL_PIECE_ZERO);
		at = start + len;
	}
	if (!err && at < src->size)
		err = seal_piece_add(it, at, src->size - at, SEAL_PIECE_FILE);
	return err;
}

/* What is cut: everything but the zeros that are at least as long as a chunk has to be. */
static int seal_survey_extents(struct seal *s, struct seal_item *it)
{
	uint64_t min = s->content->chunker.params.min;
	struct cut_extent *last = NULL;

	it->extents = calloc(it->piece_count ? it->piece_count : 1, sizeof(*it->extents));
	if (!it->extents)
		return -ENOMEM;
	for (size_t i = 0; i < it->piece_count; i++) {
		const struct seal_piece *p = &it->pieces[i];

		if (p->kind == SEAL_PIECE_ZERO && p->len >= min)
			continue;
		if (last && last->offset + last->len == p->start) {
			last->len += p->len;
			continue;
		}
		last = &it->extents[it->extent_count++];
		*last = (struct cut_extent){ .offset = p->start, .len = p->len };
	}
	return 0;
}

int seal_survey(struct seal *s, struct seal_item *it)
{
	struct seal_survey v = { .seal = s, .item = it };
	int err;

	if (it->source)
		err = seal_survey_source(it);
	else if (it->plain && it->size < s->content->chunker.params.min)
		err = seal_piece_add(it, 0, it->size, SEAL_PIECE_FILE);
	else
		err = draft_runs(it->draft, seal_survey_run, &v);
	/* Less or more than its size: the draft is changing. */
	const struct seal_piece *last = it->piece_count ? &it->pieces[it->piece_count - 1] : NULL;

	if (!err && last && last->start + last->len != it->size)
		err = -ECANCELED;
	return err ? err : seal_survey_extents(s, it);
}

/* Up to `len` bytes of an import at `off`, without reading its holes. */
static ssize_t seal_read_source(struct seal_item *it, void *buf, size_t len, uint64_t off)
{
	size_t low = 0, high = it->piece_count;

	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (it->pieces[middle].start <= off)
			low = middle;
		else
			high = middle;
	}
	const struct seal_piece *p = &it->pieces[low];
	uint64_t left = p->start + p->len - off;

	if (len > left)
		len = left;
	if (p->kind != SEAL_PIECE_ZERO)
		return it->source->read(it->source->arg, buf, len, off);
	memset(buf, 0, len);
	return (ssize_t)len;
}

static void seal_fetched(void *arg, int err)
{
	(void)err;
	fetch_wait_free(arg);
}

/* Adds what of the piece no whole chunk covers: chunks that were changed in part are cut anew. */
static int seal_want_piece(const struct seal_item *it, const struct seal_piece *p, size_t *take,
			   struct fetch_wait *w)
{
	uint64_t at = p->start, end = p->start + p->len;
	int err = 0;

	while (*take < it->take_count && it->takes[*take].start < end && !err) {
		const struct seal_take *t = &it->takes[(*take)++];

		if (t->start > at)
			err = draft_want(it->draft, at, t->start - at, w);
		at = t->start + t->len;
	}
	return !err && at < end ? draft_want(it->draft, at, end - at, w) : err;
}

/* Begins to fetch the bytes at `off`, which are not here, and all else that is known to be needed; nobody waits. */
static void seal_fetch(const struct seal_item *it, uint64_t off)
{
	struct content *c = it->draft->content;
	struct fetch_wait *w = NULL;
	size_t take = 0;
	int err = fetch_wait_new(c, fetch_deadline_ns(c), &w);

	if (!err)
		err = draft_want(it->draft, off, 1, w);
	for (size_t i = 0; i < it->piece_count && !err; i++) {
		if (it->pieces[i].kind == SEAL_PIECE_BASE)
			err = seal_want_piece(it, &it->pieces[i], &take, w);
	}
	if (err || fetch_wait_go(w, seal_fetched, w))
		fetch_wait_free(w);
}

int seal_read(struct seal_item *it, void *buf, size_t len, uint64_t off)
{
	size_t done = 0;

	while (done < len) {
		uint8_t *to = (uint8_t *)buf + done;
		ssize_t got = it->source && !it->filled
				      ? seal_read_source(it, to, len - done, off + done)
				      : draft_read_here(it->draft, to, len - done, off + done);

		if (got == -EREMOTE)
			seal_fetch(it, off + done);
		if (got <= 0)
			return got ? (int)got : -ECANCELED;
		done += (size_t)got;
	}
	it->stats.read_bytes += len;
	return 0;
}
