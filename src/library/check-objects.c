/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Objects against their chunk lists, and chunks against who refers to them. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "library/check-internal.h"
#include "util/time.h"

#define PAGE 256

struct object_walk {
	struct check *c;
	int64_t last;
};

static int check_object(void *arg, const struct meta_row *row)
{
	struct object_walk *w = arg;
	int64_t id = meta_row_int(row, 0), size = meta_row_int(row, 1),
		covered = meta_row_int(row, 2);
	int64_t count = meta_row_int(row, 4), highest = meta_row_int(row, 5);

	w->last = id;
	w->c->result.objects++;
	if (size != covered)
		check_fault(w->c, "object %lld: its chunks cover %lld of %lld bytes", (long long)id,
			    (long long)covered, (long long)size);
	if (count != meta_row_int(row, 3) || highest != count - 1)
		check_fault(w->c, "object %lld: its chunk list is not complete", (long long)id);
	if (meta_row_int(row, 6))
		check_fault(w->c, "object %lld: %lld of its chunks are not known", (long long)id,
			    (long long)meta_row_int(row, 6));
	if (meta_row_int(row, 7))
		check_fault(w->c, "object %lld: the lengths of %lld of its chunks differ",
			    (long long)id, (long long)meta_row_int(row, 7));
	return 0;
}

static int report_gap(void *arg, const struct meta_row *row)
{
	check_fault(arg, "object %lld: its chunks do not follow one another",
		    (long long)meta_row_int(row, 0));
	return 0;
}

/* Wrong counts, gathered to be mended after the query. */
struct counts {
	struct check *c;
	struct meta_op *op;
	uint64_t found;
};

static int report_count(void *arg, const struct meta_row *row)
{
	struct counts *n = arg;
	int64_t id = meta_row_int(row, 0);

	n->found++;
	check_fault(n->c, "chunk %lld: counted as used %lld times, is used %lld times",
		    (long long)id, (long long)meta_row_int(row, 1),
		    (long long)meta_row_int(row, 2));
	META_ADD(n->op, CHECK_REF_FIX, META_ANY, 0, META_I(id));
	META_ADD(n->op, CHECK_REF_FREED, META_ANY, 0, META_I(id), META_I(time_now_ns()));
	return 0;
}

static int check_counts(struct check *c)
{
	struct counts n = { .c = c, .op = meta_op_new() };
	int err;

	if (!n.op)
		return -ENOMEM;
	err = meta_query(c->meta, META_CHECK_REFS, 0, NULL, report_count, &n);
	if (err > 0 && (c->flags & CHECK_REPAIR)) {
		err = meta_apply(c->meta, n.op);
		if (!err)
			c->result.mended += n.found;
	}
	meta_op_free(n.op);
	return err < 0 ? err : 0;
}

int check_objects(struct check *c)
{
	struct object_walk w = { .c = c };
	int rows, err;

	do
		rows = META_QUERY(c->meta, CHECK_OBJECTS, check_object, &w, META_I(w.last),
				  META_I(PAGE));
	while (rows == PAGE);
	if (rows < 0)
		return rows;
	err = meta_query(c->meta, META_CHECK_GAPS, 0, NULL, report_gap, c);
	return err < 0 ? err : check_counts(c);
}
