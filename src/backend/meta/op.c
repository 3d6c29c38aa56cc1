/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Operations: a list of statements and one of parameters. The bytes of parameters lie one after
 * the other in `bytes`; while they do, `num` is their offset there, since the buffer moves as it
 * grows.
 */
#include "config.h"

#include "backend/meta/meta-driver.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct meta_op {
	struct meta_step *steps;
	size_t step_count, step_cap;
	struct meta_value *values;
	size_t value_count, value_cap;
	struct buf bytes;
	int error; /* -ENOMEM once something did not fit */
};

struct meta_op *meta_op_new(void)
{
	return calloc(1, sizeof(struct meta_op));
}

void meta_op_free(struct meta_op *op)
{
	if (!op)
		return;
	free(op->steps);
	free(op->values);
	buf_release(&op->bytes);
	free(op);
}

void meta_op_reset(struct meta_op *op)
{
	op->step_count = 0;
	op->value_count = 0;
	buf_reset(&op->bytes);
	op->error = 0;
}

size_t meta_op_count(const struct meta_op *op)
{
	return op->step_count;
}

int meta_op_error(const struct meta_op *op)
{
	return op->error;
}

const struct meta_step *meta_op_step(const struct meta_op *op, size_t index)
{
	assert(index < op->step_count);
	return &op->steps[index];
}

struct meta_value meta_op_value(const struct meta_op *op, unsigned index)
{
	assert(index < op->value_count);
	struct meta_value v = op->values[index];

	if (v.type == META_TEXT || v.type == META_BLOB)
		v.bytes = buf_str(&op->bytes) + v.num;
	return v;
}

/* Room for COUNT elements of SIZE in the array *LIST of *CAP. */
static int op_grow(void **list, size_t *cap, size_t count, size_t size)
{
	if (count <= *cap)
		return 0;
	size_t wanted = *cap ? *cap * 2 : 8;

	while (wanted < count)
		wanted *= 2;
	void *grown = reallocarray(*list, wanted, size);

	if (!grown)
		return -ENOMEM;
	*list = grown;
	*cap = wanted;
	return 0;
}

static int op_add_value(struct meta_op *op, const struct meta_value *value)
{
	struct meta_value *v = &op->values[op->value_count++];

	*v = *value;
	if (v->type != META_TEXT && v->type != META_BLOB)
		return 0;
	v->num = (int64_t)op->bytes.len;
	v->bytes = NULL;
	return value->len ? buf_add(&op->bytes, value->bytes, value->len) : 0;
}

static int op_add(struct meta_op *op, const struct meta_step *step, const struct meta_value *values)
{
	void *steps = op->steps, *list = op->values;
	int err = op_grow(&steps, &op->step_cap, op->step_count + 1, sizeof(*op->steps));

	op->steps = steps;
	if (!err)
		err = op_grow(&list, &op->value_cap, op->value_count + step->count,
			      sizeof(*op->values));
	op->values = list;
	if (err)
		return err;
	op->steps[op->step_count++] = *step;
	for (unsigned i = 0; i < step->count && !err; i++)
		err = op_add_value(op, &values[i]);
	return err;
}

void meta_op_add(struct meta_op *op, enum meta_stmt stmt, enum meta_expect expect, int err,
		 size_t count, const struct meta_value *values)
{
	struct meta_step step = {
		.stmt = stmt,
		.expect = expect,
		.err = err,
		.first = (unsigned)op->value_count,
		.count = (unsigned)count,
	};

	assert(stmt < META_STMT_COUNT && err <= 0);
	if (!op->error)
		op->error = op_add(op, &step, values);
}
