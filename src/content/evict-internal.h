/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the files of eviction share. Not for other folders. */
#ifndef GARNER_CONTENT_EVICT_INTERNAL_H
#define GARNER_CONTENT_EVICT_INTERNAL_H

#include "content/collect-internal.h"
#include "content/evict.h"

/* A chunk at one of its places. */
struct evict_item {
	int64_t chunk, blob, object; /* `object`: as whose chunk it was come upon */
	uint64_t size, at;           /* `at`: in the blob */
	uint64_t start;              /* in the object */
	int64_t refcount;
	struct hash hash;
	bool stays;
};

/* Bytes that stay at the end of an object. */
struct evict_edge {
	int64_t object, chunk, blob;
	uint64_t start, len; /* in the object */
	uint64_t off;        /* in the blob */
};

/* One run of evict_objects(). */
struct evict {
	struct content *content;
	const struct evict_params *params;
	struct evict_stats *stats;
	struct evict_item *items; /* by object, then chunk */
	size_t count, cap;
	struct evict_edge *edges;
	size_t edge_count, edge_cap;
	struct collect_ids objects; /* whose order changes */
	struct collect_ids blobs;   /* whose space is given back */
};

/* evict-plan.c: adds what may go of an object to the items, and its edges. 0 or an error of the metadata. */
int evict_plan(struct evict *e, int64_t object);

#endif
