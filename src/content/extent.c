/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Extent maps: a sorted array of starts.
 *
 * Between calls: count is 0 exactly when size is 0; nodes[0].start is 0; starts rise strictly and are below size; no node continues the
 * one before it.
 */
#include "config.h"

#include "content/extent.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { NODE_DRAFT = 0, NODE_ZERO = -1 }; /* extent_node.object of what is no base */

enum { EXTENT_CAP_MIN = 8 };

void extent_release(struct extent_map *m)
{
	free(m->nodes);
	*m = (struct extent_map){ 0 };
}

size_t extent_count(const struct extent_map *m)
{
	return m->count;
}

/* Room for `extra` more nodes. */
static int extent_reserve(struct extent_map *m, size_t extra)
{
	if (m->cap - m->count >= extra)
		return 0;
	size_t cap = m->cap ? m->cap * 2 : EXTENT_CAP_MIN;
	struct extent_node *nodes = reallocarray(m->nodes, cap, sizeof(*nodes));

	if (!nodes)
		return -ENOMEM;
	m->nodes = nodes;
	m->cap = cap;
	return 0;
}

/* The index of the node that covers `off`, which is below the size. */
static size_t extent_index(const struct extent_map *m, uint64_t off)
{
	size_t low = 0, high = m->count;

	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (m->nodes[middle].start <= off)
			low = middle;
		else
			high = middle;
	}
	return low;
}

/* Whether `right` says what `left` would say without it. */
static bool extent_continues(const struct extent_node *left, const struct extent_node *right)
{
	if (left->object != right->object)
		return false;
	return left->object <= 0 || left->source + (right->start - left->start) == right->source;
}

/* The node as it is from `start` on, which lies within it. */
static struct extent_node extent_tail(const struct extent_node *n, uint64_t start)
{
	struct extent_node tail = *n;

	tail.start = start;
	if (tail.object > 0)
		tail.source += start - n->start;
	return tail;
}

/* Puts `fresh` in the place of nodes [low, high) and moves the rest up or down. Room was reserved. */
static void extent_splice(struct extent_map *m, size_t low, size_t high,
			  const struct extent_node *fresh, size_t count)
{
	if (high - low != count)
		memmove(m->nodes + low + count, m->nodes + high,
			(m->count - high) * sizeof(*fresh));
	if (count)
		memcpy(m->nodes + low, fresh, count * sizeof(*fresh));
	m->count += count;
	m->count -= high - low;
}

/* extent_set() of one node over [n->start, end), where n->start is at most the size and room was reserved. */
static void extent_put(struct extent_map *m, const struct extent_node *n, uint64_t end)
{
	struct extent_node fresh[2];
	size_t count = 0, low = m->count, high = m->count;

	if (n->start < m->size) {
		low = extent_index(m, n->start);
		low += m->nodes[low].start < n->start;
	}
	if (end < m->size) {
		high = extent_index(m, end);
		fresh[1] = extent_tail(&m->nodes[high], end);
		high++;
	}
	if (!low || !extent_continues(&m->nodes[low - 1], n))
		fresh[count++] = *n;
	if (end < m->size && !extent_continues(n, &fresh[1])) {
		fresh[count] = fresh[1];
		count++;
	}
	extent_splice(m, low, high, fresh, count);
	m->size = end > m->size ? end : m->size;
}

int extent_set(struct extent_map *m, const struct extent *e)
{
	struct extent_node n = { .start = e->start, .object = NODE_DRAFT };

	assert(e->start <= INT64_MAX && e->len <= INT64_MAX - e->start);
	if (!e->len)
		return 0;
	if (extent_reserve(m, 3))
		return -ENOMEM;
	if (e->start > m->size) {
		struct extent_node zero = { .start = m->size, .object = NODE_ZERO };

		extent_put(m, &zero, e->start);
	}
	if (e->kind == EXTENT_BASE) {
		n.object = e->object;
		n.source = e->source;
	} else if (e->kind == EXTENT_ZERO) {
		n.object = NODE_ZERO;
	}
	extent_put(m, &n, e->start + e->len);
	return 0;
}

int extent_resize(struct extent_map *m, uint64_t size)
{
	if (size > m->size) {
		struct extent zero = { m->size, size - m->size, EXTENT_ZERO, 0, 0 };

		return extent_set(m, &zero);
	}
	if (size < m->size)
		m->count = size ? extent_index(m, size - 1) + 1 : 0;
	m->size = size;
	return 0;
}

int extent_at(const struct extent_map *m, uint64_t off, struct extent *out)
{
	if (off >= m->size)
		return 0;
	size_t i = extent_index(m, off);
	struct extent_node n = extent_tail(&m->nodes[i], off);
	uint64_t end = i + 1 < m->count ? m->nodes[i + 1].start : m->size;

	*out = (struct extent){ .start = off, .len = end - off, .kind = EXTENT_DRAFT };
	if (n.object > 0) {
		out->kind = EXTENT_BASE;
		out->object = n.object;
		out->source = n.source;
	} else if (n.object == NODE_ZERO) {
		out->kind = EXTENT_ZERO;
	}
	return 1;
}
