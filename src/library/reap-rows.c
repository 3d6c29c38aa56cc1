/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Tombstones in the metadata. */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "library/reap-internal.h"
#include "util/err.h"
#include "util/time.h"

/* Times beyond that come from a clock that was wrong. */
#define REAP_HORIZON_NS (24 * 3600 * TIME_NS_PER_S)

#define REAP_OWNER(r) META_B((r)->instance, sizeof((r)->instance))

static int reap_any_row(void *arg, const struct meta_row *row)
{
	(void)arg;
	(void)row;
	return 1;
}

int reap_close(struct reap *r, uint32_t epoch, bool *unsafe)
{
	int got = meta_query(r->meta, META_TOMBSTONE_FRESH, 0, NULL, reap_any_row, NULL);

	if (got > 0) {
		struct meta_op *op = meta_op_new();

		if (!op)
			return -ENOMEM;
		meta_op_add(op, META_TOMBSTONE_CLOSE, META_ONE, -EAGAIN, 0, NULL);
		got = meta_apply(r->meta, op);
		meta_op_free(op);
	}
	if (got >= 0)
		got = META_QUERY(r->meta, TOMBSTONE_UNSAFE, reap_any_row, NULL, META_I(epoch),
				 META_I(time_now_ns() + REAP_HORIZON_NS));
	*unsafe = got > 0;
	return got < 0 ? got : 0;
}

int reap_safe(struct reap *r, uint32_t epoch, uint64_t state)
{
	struct meta_op *op = meta_op_new();
	int64_t now = time_now_ns();

	if (!op)
		return -ENOMEM;
	META_ADD(op, TOMBSTONE_SAFE, META_ANY, 0, META_I(epoch), META_I(now + REAP_HORIZON_NS),
		 META_I(state), META_I(now));
	meta_op_add(op, META_TOMBSTONE_TIDY, META_ANY, 0, 0, NULL);
	int err = meta_apply(r->meta, op);

	meta_op_free(op);
	return err;
}

/* The columns that all lists of names have. */
static int reap_name_row(struct reap_list *list, const struct meta_row *row)
{
	struct reap_name *name = &list->names[list->count];
	size_t len;
	const void *hash = meta_row_bytes(row, 1, &len);

	if (list->count == list->room || len != sizeof(name->hash))
		return ERR_CORRUPT;
	name->kind = (enum reap_kind)meta_row_int(row, 0);
	memcpy(name->hash, hash, sizeof(name->hash));
	name->batch = meta_row_int(row, 2);
	name->size = (uint64_t)meta_row_int(row, 3);
	list->count++;
	return 0;
}

static int reap_due_row(void *arg, const struct meta_row *row)
{
	struct reap_list *list = arg;
	uint64_t state = (uint64_t)meta_row_int(row, 4);

	if (meta_row_int(row, 5)) {
		list->taken = true;
		return 0;
	}
	list->state = state > list->state ? state : list->state;
	return reap_name_row(list, row);
}

int reap_find(struct reap *r, enum reap_kind kind, uint32_t epoch)
{
	int64_t now = time_now_ns();

	r->list.count = 0;
	r->list.taken = false;
	r->list.state = 0;
	int got = META_QUERY(r->meta, TOMBSTONE_DUE, reap_due_row, &r->list, META_I(kind),
			     META_I(epoch), META_I(now - r->grace_ns), META_I(now),
			     META_I(now + REAP_HORIZON_NS), META_I(r->list.room));

	return got < 0 ? got : 0;
}

static int reap_taken_row(void *arg, const struct meta_row *row)
{
	return reap_name_row(arg, row);
}

static void reap_add_take(struct reap *r, const struct reap_name *name, int64_t until,
			  struct meta_op *op)
{
	struct meta_value hash = META_B(name->hash, sizeof(name->hash));
	struct meta_value values[] = { hash, META_I(name->batch), REAP_OWNER(r), META_I(until) };
	bool chunk = name->kind == REAP_CHUNK;

	meta_op_add(op, chunk ? META_TOMBSTONE_DROP_CHUNK : META_TOMBSTONE_DROP_OBJECT, META_ANY, 0,
		    1, &hash);
	meta_op_add(op, chunk ? META_TOMBSTONE_TAKE_CHUNK : META_TOMBSTONE_TAKE_OBJECT, META_ANY, 0,
		    4, values);
}

int reap_take(struct reap *r, int64_t lease_ns)
{
	int64_t until = time_now_ns() + lease_ns;
	struct meta_op *op = meta_op_new();
	int err = op ? 0 : -ENOMEM;

	for (size_t i = 0; i < r->list.count && !err; i++)
		reap_add_take(r, &r->list.names[i], until, op);
	if (!err)
		err = meta_apply(r->meta, op);
	meta_op_free(op);
	if (err)
		return err;
	r->list.count = 0;
	int got = META_QUERY(r->meta, TOMBSTONE_TAKEN, reap_taken_row, &r->list, REAP_OWNER(r),
			     META_I(until));

	return got < 0 ? got : 0;
}

int reap_record(struct reap *r, bool release)
{
	struct meta_op *op = meta_op_new();

	if (!op)
		return -ENOMEM;
	for (size_t i = 0; i < r->list.count; i++) {
		const struct reap_name *name = &r->list.names[i];

		if (r->gone[i])
			META_ADD(op, TOMBSTONE_DONE, META_ANY, 0, META_I(name->kind),
				 META_B(name->hash, sizeof(name->hash)), META_I(name->batch),
				 REAP_OWNER(r));
	}
	if (release)
		META_ADD(op, TOMBSTONE_RELEASE, META_ANY, 0, REAP_OWNER(r));
	int err = meta_apply(r->meta, op);

	meta_op_free(op);
	return err;
}

static int reap_count_row(void *arg, const struct meta_row *row)
{
	struct reap_backlog *b = arg;

	if (meta_row_int(row, 0) == REAP_MANIFEST) {
		b->manifests = (uint64_t)meta_row_int(row, 1);
	} else {
		b->chunks = (uint64_t)meta_row_int(row, 1);
		b->chunk_bytes = (uint64_t)meta_row_int(row, 2);
	}
	return 0;
}

static int reap_first_row(void *arg, const struct meta_row *row)
{
	*(int64_t *)arg = meta_row_int(row, 0);
	return 1;
}

int reap_backlog(struct meta *m, struct reap_backlog *out)
{
	struct reap_backlog b = { 0 };
	int got = meta_query(m, META_TOMBSTONE_COUNT, 0, NULL, reap_count_row, &b);

	if (got >= 0)
		got = meta_query(m, META_TOMBSTONE_FIRST, 0, NULL, reap_first_row, &b.first_ns);
	if (got < 0)
		return got;
	*out = b;
	return 0;
}
