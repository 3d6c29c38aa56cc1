/* SPDX-License-Identifier: GPL-3.0-or-later */
/* FastCDC and fixed-size cutting; the definition is in the header. */
#include "config.h"

#include "content/chunker.h"

#include <errno.h>

static bool chunker_check_fastcdc(const struct chunker_params *p)
{
	bool power = (p->avg & (p->avg - 1)) == 0;

	return p->min >= CHUNKER_WINDOW && p->min <= p->avg / 2 && power && p->avg <= p->max &&
	       p->max <= CHUNKER_LEN_MAX;
}

int chunker_check(const struct chunker_params *params)
{
	const struct chunker_params *p = params;

	switch (p->kind) {
	case CHUNKER_FASTCDC:
		return chunker_check_fastcdc(p) ? 0 : -EINVAL;
	case CHUNKER_FIXED:
		return p->min >= 1 && p->min == p->avg && p->avg == p->max &&
				       p->max <= CHUNKER_LEN_MAX
			       ? 0
			       : -EINVAL;
	}
	return -EINVAL;
}

int chunker_init(struct chunker *c, const struct chunker_params *params)
{
	int err = chunker_check(params);

	if (err)
		return err;
	*c = (struct chunker){ .params = *params };
	if (params->kind == CHUNKER_FASTCDC) {
		int bits = __builtin_ctz(params->avg);

		c->normal = (params->min + params->avg) / 2;
		c->limit_early = UINT64_C(1) << (64 - (bits + 1));
		c->limit_late = UINT64_C(1) << (64 - (bits - 1));
	}
	return 0;
}

/* The hash of the window that ends before position `at` >= CHUNKER_WINDOW. */
static uint64_t chunker_warm(const uint8_t *data, size_t at)
{
	uint64_t hash = 0;

	for (size_t i = at - CHUNKER_WINDOW; i < at; i++)
		hash = (hash << 1) + chunker_gear[data[i]];
	return hash;
}

/*
 * The first position in (from, to] whose hash is below the limit, or 0. `hash` is that of `from`.
 * Each step of four hashes is computed from the step before alone, not from one another, so that
 * they do not wait in line.
 */
static size_t chunker_scan(const uint8_t *data, size_t from, size_t to, uint64_t hash,
			   uint64_t limit)
{
	size_t at = from;

	for (; to - at >= 4; at += 4) {
		uint64_t g0 = chunker_gear[data[at]];
		uint64_t g1 = chunker_gear[data[at + 1]];
		uint64_t g2 = chunker_gear[data[at + 2]];
		uint64_t g3 = chunker_gear[data[at + 3]];
		uint64_t g01 = (g0 << 1) + g1;
		uint64_t h1 = (hash << 1) + g0;
		uint64_t h2 = (hash << 2) + g01;
		uint64_t h3 = (h2 << 1) + g2;

		hash = (h2 << 2) + (g2 << 1) + g3;
		if (h1 < limit)
			return at + 1;
		if (h2 < limit)
			return at + 2;
		if (h3 < limit)
			return at + 3;
		if (hash < limit)
			return at + 4;
	}
	for (; at < to; at++) {
		hash = (hash << 1) + chunker_gear[data[at]];
		if (hash < limit)
			return at + 1;
	}
	return 0;
}

/* The first cut at a position in (from, to], where from >= min; 0 for none. */
static size_t chunker_find(const struct chunker *c, const uint8_t *data, size_t from, size_t to)
{
	size_t middle = c->normal - 1; /* the last position of the early kind */
	size_t found = 0;

	if (from < middle) {
		size_t end = to < middle ? to : middle;

		found = chunker_scan(data, from, end, chunker_warm(data, from), c->limit_early);
		from = end;
	}
	if (!found && from < to)
		found = chunker_scan(data, from, to, chunker_warm(data, from), c->limit_late);
	return found;
}

static size_t chunker_resume_fastcdc(const struct chunker *c, const uint8_t *data, size_t len,
				     size_t *done)
{
	size_t min = c->params.min;
	size_t to = len < c->params.max ? len : c->params.max;

	if (to < min)
		return 0;
	if (*done < min) {
		if (chunker_warm(data, min) < c->limit_early)
			return min;
		*done = min;
	}
	size_t found = chunker_find(c, data, *done, to);

	*done = to;
	return found || to < c->params.max ? found : to;
}

size_t chunker_resume(const struct chunker *c, const uint8_t *data, size_t len, bool last,
		      size_t *done)
{
	size_t found;

	if (c->params.kind == CHUNKER_FIXED)
		found = len >= c->params.avg ? c->params.avg : 0;
	else
		found = chunker_resume_fastcdc(c, data, len, done);
	return found || !last ? found : len;
}

size_t chunker_cut(const struct chunker *c, const uint8_t *data, size_t len, bool last)
{
	size_t done = 0;

	return chunker_resume(c, data, len, last, &done);
}
