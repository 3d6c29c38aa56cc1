/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The edges that eviction left, against their objects and the bytes in the blobs. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "library/check-internal.h"
#include "library/internal.h"
#include "util/cleanup.h"

#define PAGE 256

struct edge {
	int64_t object, blob;
	uint64_t start, len, off;
	struct hash sum;
	bool good; /* its row */
};

struct edges {
	struct edge list[PAGE];
	size_t count;
};

static int add_edge(void *arg, const struct meta_row *row)
{
	struct edges *e = arg;
	struct edge *it = &e->list[e->count++];
	size_t len;
	const void *sum = meta_row_bytes(row, 5, &len);

	*it = (struct edge){ .object = meta_row_int(row, 0),
			     .start = (uint64_t)meta_row_int(row, 1),
			     .len = (uint64_t)meta_row_int(row, 2),
			     .blob = meta_row_int(row, 3),
			     .off = (uint64_t)meta_row_int(row, 4),
			     .good = len == HASH_LEN && meta_row_int(row, 6) };
	if (len == HASH_LEN)
		memcpy(it->sum.b, sum, HASH_LEN);
	return 0;
}

/* 1 the bytes are what was left, 0 they are not, or cannot be read; -ENOMEM. */
static int hash_edge(struct check *c, const struct edge *it)
{
	CLEANUP_FREE uint8_t *bytes = malloc(it->len ? it->len : 1);
	struct blob *blob = NULL;
	struct hash got;

	if (!bytes)
		return -ENOMEM;
	if (blobs_get(c->lib->blobs, it->blob, &blob))
		return 0;
	ssize_t n = blob_read(blob, bytes, it->len, it->off);

	blob_put(blob);
	if (n != (ssize_t)it->len)
		return 0;
	c->result.bytes_hashed += it->len;
	int err = hash_data(c->lib->algo, bytes, it->len, &got);

	return err ? err : hash_equal(&got, &it->sum);
}

static int no_row(void *arg, const struct meta_row *row)
{
	(void)arg;
	(void)row;
	return 0;
}

/* Not if it went meanwhile. An edge is a convenience: without it the bytes come from the bucket. */
static int report_edge(struct check *c, const struct edge *it, const char *what)
{
	int there = META_QUERY(c->meta, CHECK_EDGE, no_row, NULL, META_I(it->object),
			       META_I(it->start), META_I(it->blob));

	if (there <= 0)
		return there;
	check_fault(c, "object %lld: its edge at %llu: %s (blob %016llx at %llu, %llu bytes)",
		    (long long)it->object, (unsigned long long)it->start, what,
		    (unsigned long long)it->blob, (unsigned long long)it->off,
		    (unsigned long long)it->len);
	if (!(c->flags & CHECK_REPAIR))
		return 0;
	struct meta_op *op = meta_op_new();

	if (!op)
		return -ENOMEM;
	META_ADD(op, CHECK_EDGE_DROP, META_ANY, 0, META_I(it->object), META_I(it->start));
	int err = meta_apply(c->meta, op);

	meta_op_free(op);
	c->result.mended += !err;
	return err;
}

static int check_edge(struct check *c, const struct edge *it)
{
	int good = blobs_whole(c->lib->blobs, it->blob, it->off, it->len);

	if (!it->good)
		return report_edge(c, it, "it is no object's, or of no blob");
	if (good == 1 && !(c->flags & CHECK_DEEP))
		return 0; /* a hole may be zeros that were never written: the bytes decide */
	good = hash_edge(c, it);
	return good < 0 ? good : good ? 0 : report_edge(c, it, "the bytes are not what was left");
}

int check_edges(struct check *c)
{
	struct edges e;
	int64_t object = 0, start = -1;
	int err = 0;

	do {
		e.count = 0;
		int got = META_QUERY(c->meta, CHECK_EDGES, add_edge, &e, META_I(object),
				     META_I(start), META_I(PAGE));

		err = got < 0 ? got : 0;
		for (size_t i = 0; i < e.count && !err; i++) {
			object = e.list[i].object;
			start = (int64_t)e.list[i].start;
			err = check_edge(c, &e.list[i]);
		}
	} while (!err && e.count == PAGE);
	return err;
}
