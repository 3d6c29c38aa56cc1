/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * An extent map: where each byte of an overlay draft comes from. Gapless from 0 to its size; only the start of each extent is kept (the
 * next start or the size ends it), so neighbours that continue one another are one extent always. One thread at a time.
 */
#ifndef GARNER_CONTENT_EXTENT_H
#define GARNER_CONTENT_EXTENT_H

#include <stddef.h>
#include <stdint.h>

/* The numbers are those of draft_extent.kind: never change them. */
enum extent_kind {
	EXTENT_DRAFT = 1, /* in the draft's file, at the same offset */
	EXTENT_BASE = 2,  /* of sealed object `object`, from `source` on */
	EXTENT_ZERO = 3,
};

struct extent {
	uint64_t start;
	uint64_t len;
	enum extent_kind kind;
	int64_t object;  /* EXTENT_BASE: > 0; else 0 */
	uint64_t source; /* EXTENT_BASE; else 0 */
};

struct extent_node {
	uint64_t start;
	uint64_t source;
	int64_t object; /* > 0: base; else one of the two marks in extent.c */
};

/* All zero: an empty map. */
struct extent_map {
	struct extent_node *nodes;
	size_t count, cap;
	uint64_t size;
};

/* Frees what the map holds and makes it empty. */
void extent_release(struct extent_map *m);

/*
 * Makes [e->start, e->start + e->len) be `e`; what lies between the size and e->start becomes zeros. Length 0 changes nothing. The end must not
 * exceed INT64_MAX. 0, or -ENOMEM with the map as it was.
 */
int extent_set(struct extent_map *m, const struct extent *e);

/* Makes the map `size` long: cuts it, or lets zeros follow. 0, or -ENOMEM (growing only) with the map as it was. */
int extent_resize(struct extent_map *m, uint64_t size);

/* The extent that covers `off`, clipped to begin there. 1, or 0 where `off` is at or beyond the size. */
int extent_at(const struct extent_map *m, uint64_t off, struct extent *out);

/* The number of extents. */
size_t extent_count(const struct extent_map *m);

#endif
