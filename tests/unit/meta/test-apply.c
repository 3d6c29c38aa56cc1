/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * backend/meta/meta.h as a contract, over every driver: changing and reading. Ids, syncs and copies
 * are in test-service.c; what happens when processes die is in test-crash.c.
 */
#include "config.h"

#include "meta-test.h"
#include <errno.h>
#include <stdbool.h>

static struct meta_test_place place;
static struct meta_op *op;

/* Opens a new database of the driver NUMBER in `place`, and an operation. */
static struct meta *begin(int number)
{
	const struct meta_test_driver *d = &meta_test_drivers[number];

	meta_test_begin(&place, d);
	op = meta_op_new();
	ck_assert_ptr_nonnull(op);
	return meta_test_open(&place, d, META_OPEN_CREATE);
}

static void end(struct meta *m)
{
	meta_op_free(op);
	meta_close(m);
	meta_test_end(&place);
}

#define EACH_DRIVER for (int driver = 0; driver < meta_test_driver_count; driver++)

struct bytes_check {
	const void *bytes;
	size_t len;
};

static int check_bytes_row(void *arg, const struct meta_row *row)
{
	const struct bytes_check *wanted = arg;
	size_t len = 999;
	const void *bytes = meta_row_bytes(row, 0, &len);

	ck_assert_ptr_nonnull(bytes);
	ck_assert_uint_eq(len, wanted->len);
	ck_assert_int_eq(memcmp(bytes, wanted->bytes, len), 0);
	ck_assert(!meta_row_null(row, 0));
	return 0;
}

START_TEST(bytes_come_back_as_they_were)
{
	static unsigned char big[100000];
	const struct bytes_check values[] = {
		{ "", 0 }, { "\0", 1 }, { "a\0b", 3 }, { "\xff\xfe'\"\\", 5 }, { big, sizeof(big) },
	};

	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (unsigned char)(i * 31 >> 3);
	EACH_DRIVER
	{
		struct meta *m = begin(driver);

		for (int i = 0; i < 5; i++)
			META_ADD(op, XATTR_INSERT, META_ONE, -EIO, META_I(i), META_B("n", 1),
				 META_B(values[i].bytes, values[i].len));
		ck_assert_int_eq(meta_apply(m, op), 0);
		for (int i = 0; i < 5; i++) {
			struct bytes_check wanted = values[i];

			ck_assert_int_eq(META_QUERY(m, XATTR_GET, check_bytes_row, &wanted,
						    META_I(i), META_B("n", 1)),
					 1);
		}
		end(m);
	}
}
END_TEST

static int check_extreme_row(void *arg, const struct meta_row *row)
{
	ck_assert_int_eq(meta_row_int(row, 0), *(int64_t *)arg);
	return 0;
}

static int check_null_row(void *arg, const struct meta_row *row)
{
	size_t len = 999;

	(void)arg;
	ck_assert(!meta_row_null(row, 0));
	ck_assert(meta_row_null(row, 1));
	ck_assert_int_eq(meta_row_int(row, 1), 0);
	ck_assert_ptr_null(meta_row_bytes(row, 1, &len));
	ck_assert_uint_eq(len, 0);
	return 0;
}

START_TEST(numbers_text_and_null_come_back)
{
	int64_t numbers[] = { 0, -1, INT64_MIN, INT64_MAX };
	const struct bytes_check text = { "grün ' \n", 10 };

	EACH_DRIVER
	{
		struct meta *m = begin(driver);

		for (int i = 0; i < 4; i++)
			META_ADD(op, TRASH_INSERT, META_ONE, -EIO, META_I(i), META_I(numbers[i]),
				 META_B("n", 1), META_I(0), META_I(0));
		META_ADD(op, SETTING_SET, META_ONE, -EIO, META_T("a", 1),
			 META_T(text.bytes, text.len));
		meta_test_add_folder(op, 7);
		ck_assert_int_eq(meta_apply(m, op), 0);
		for (int i = 0; i < 4; i++)
			ck_assert_int_eq(
				META_QUERY(m, TRASH_GET, check_extreme_row, &numbers[i], META_I(i)),
				1);
		struct bytes_check wanted = text;

		ck_assert_int_eq(
			META_QUERY(m, SETTING_GET, check_bytes_row, &wanted, META_T("a", 1)), 1);
		ck_assert_int_eq(META_QUERY(m, NODE_TARGET, check_null_row, NULL, META_I(7)), 1);
		end(m);
	}
}
END_TEST

START_TEST(an_operation_is_all_or_nothing)
{
	EACH_DRIVER
	{
		struct meta *m = begin(driver);

		ck_assert_int_eq(meta_test_put(m, 1, "there", ""), 0);
		meta_test_add(op, 2, "a", "");
		meta_test_add(op, 2, "b", "");
		META_ADD(op, XATTR_DELETE, META_ONE, -ESTALE, META_I(3), META_B("none", 4));
		ck_assert_int_eq(meta_apply(m, op), -ESTALE);
		ck_assert_int_eq(meta_test_count(m, 2), 0);
		/* The same again once what it asks for is there: an operation can be applied anew. */
		ck_assert_int_eq(meta_test_put(m, 3, "none", ""), 0);
		ck_assert_int_eq(meta_apply(m, op), 0);
		ck_assert_int_eq(meta_test_count(m, 2), 2);
		ck_assert_int_eq(meta_test_count(m, 3), 0);
		ck_assert_int_eq(meta_apply(m, op), -EEXIST);
		ck_assert_int_eq(meta_test_count(m, 2), 2);
		end(m);
	}
}
END_TEST

START_TEST(an_operation_can_be_emptied)
{
	EACH_DRIVER
	{
		struct meta *m = begin(driver);

		ck_assert_int_eq(meta_apply(m, op), 0);
		meta_test_add(op, 1, "a", "x");
		ck_assert_uint_eq(meta_op_count(op), 1);
		meta_op_reset(op);
		ck_assert_uint_eq(meta_op_count(op), 0);
		meta_test_add(op, 2, "b", "y");
		ck_assert_int_eq(meta_apply(m, op), 0);
		ck_assert_int_eq(meta_test_count(m, 1), 0);
		ck_assert_int_eq(meta_test_count(m, 2), 1);
		end(m);
		meta_op_free(NULL);
		meta_close(NULL);
	}
}
END_TEST

static bool expected_holds(enum meta_expect expect, int rows)
{
	return expect == META_ANY || (expect == META_ONE && rows == 1) ||
	       (expect == META_SOME && rows > 0) || (expect == META_NONE && rows == 0);
}

/* Applies STMT, which meets ROWS rows of NUMBER, with each expectation. */
static void check_expectations(struct meta *m, enum meta_stmt stmt, int64_t number, int rows)
{
	struct meta_value value = META_I(number);

	for (enum meta_expect expect = META_ANY; expect <= META_NONE; expect++) {
		bool holds = expected_holds(expect, rows);

		meta_op_reset(op);
		meta_op_add(op, stmt, expect, -EXDEV, 1, &value);
		/* Undone again if it went through, so that the next finds the same rows. */
		META_ADD(op, XATTR_DELETE, META_ONE, -ECHILD, META_I(99), META_B("none", 4));
		ck_assert_msg(meta_apply(m, op) == (holds ? -ECHILD : -EXDEV),
			      "expectation %d of statement %d with %d rows", (int)expect, (int)stmt,
			      rows);
		ck_assert_int_eq(meta_test_count(m, number), rows);
	}
}

START_TEST(expectations_are_held_to)
{
	EACH_DRIVER
	{
		struct meta *m = begin(driver);

		ck_assert_int_eq(meta_test_put(m, 1, "a", ""), 0);
		ck_assert_int_eq(meta_test_put(m, 2, "a", ""), 0);
		ck_assert_int_eq(meta_test_put(m, 2, "b", ""), 0);
		for (int rows = 0; rows <= 2; rows++) {
			check_expectations(m, META_XATTR_DELETE_ALL, rows, rows);
			check_expectations(m, META_XATTR_LIST, rows, rows);
		}
		end(m);
	}
}
END_TEST

START_TEST(conflicts_have_the_error_given)
{
	EACH_DRIVER
	{
		struct meta *m = begin(driver);

		ck_assert_int_eq(meta_test_put(m, 1, "a", ""), 0);
		META_ADD(op, XATTR_INSERT, META_ONE, -EISNAM, META_I(1), META_B("a", 1),
			 META_B("", 0));
		ck_assert_int_eq(meta_apply(m, op), -EISNAM);
		meta_op_reset(op);
		META_ADD(op, XATTR_INSERT, META_ONE, 0, META_I(1), META_B("a", 1), META_B("", 0));
		ck_assert_int_eq(meta_apply(m, op), -EEXIST);
		meta_op_reset(op);
		META_ADD(op, XATTR_INSERT, META_ONE, -EISNAM, META_I(2), META_B("a", 1), META_N());
		ck_assert_int_eq(meta_apply(m, op), -EINVAL);
		end(m);
	}
}
END_TEST

static int stop_row(void *arg, const struct meta_row *row)
{
	int *left = arg;

	(void)row;
	return --*left > 0 ? 0 : *left == 0 ? 1 : -ECANCELED;
}

START_TEST(a_query_ends_when_told)
{
	EACH_DRIVER
	{
		struct meta *m = begin(driver);
		int left = 2;

		for (int i = 0; i < 5; i++)
			ck_assert_int_eq(meta_test_put(m, 1, (char[]){ (char)('a' + i), 0 }, ""),
					 0);
		ck_assert_int_eq(META_QUERY(m, XATTR_LIST, stop_row, &left, META_I(1)), 2);
		left = 0;
		ck_assert_int_eq(META_QUERY(m, XATTR_LIST, stop_row, &left, META_I(1)), -ECANCELED);
		/* What was given up half-way does not keep anyone from changing it. */
		ck_assert_int_eq(meta_test_put(m, 1, "z", ""), 0);
		ck_assert_int_eq(meta_test_count(m, 1), 6);
		ck_assert_int_eq(meta_test_count(m, 2), 0);
		end(m);
	}
}
END_TEST

/* One transaction with operations that fail in several ways among others that do not. */
START_TEST(a_failing_operation_does_not_hurt_its_fellows)
{
	EACH_DRIVER
	{
		enum { CALLS = 7 };
		static const int wanted[CALLS] = { 0, -EEXIST, 0, -ESTALE, -EINVAL, 0, -EEXIST };
		struct meta_call calls[CALLS];
		struct meta_call *list[CALLS];
		struct meta_op *ops[CALLS];
		struct meta_driver *d;
		struct meta *m = begin(driver);

		for (int i = 0; i < CALLS; i++) {
			ops[i] = meta_op_new();
			calls[i] = (struct meta_call){ .op = ops[i], .result = 1 };
			list[i] = &calls[i];
			meta_test_add(ops[i], 1, (char[]){ (char)('a' + i), 0 }, "");
		}
		meta_test_add(ops[1], 1, "a", "taken by the first");
		META_ADD(ops[3], XATTR_DELETE, META_ONE, -ESTALE, META_I(9), META_B("none", 4));
		META_ADD(ops[4], SETTING_SET, META_ONE, -EIO, META_T("a", 1), META_N());
		meta_test_add(ops[6], 1, "f", "taken by the sixth");
		ck_assert_int_eq(meta_test_drivers[driver].ops->open(place.path, 0,
								     &meta_catalogue_schema, &d),
				 0);
		d->ops->commit(d, list, CALLS);
		for (int i = 0; i < CALLS; i++)
			ck_assert_msg(calls[i].result == wanted[i], "operation %d: %d", i,
				      calls[i].result);
		ck_assert_int_eq(meta_test_count(m, 1), 3);
		/* All of them failing, and a lone one. */
		calls[0].result = calls[1].result = 1;
		d->ops->commit(d, list, 2);
		ck_assert_int_eq(calls[0].result, -EEXIST);
		ck_assert_int_eq(calls[1].result, -EEXIST);
		d->ops->commit(d, list, 1);
		ck_assert_int_eq(calls[0].result, -EEXIST);
		ck_assert_int_eq(meta_test_count(m, 1), 3);
		d->ops->close(d);
		for (int i = 0; i < CALLS; i++)
			meta_op_free(ops[i]);
		end(m);
	}
}
END_TEST

enum { THREADS = 8, ROUNDS = 400, NAMES = 12 };

/* A thread with rows of its own, whose state it knows, and a share in a common counter. */
struct worker {
	struct meta *meta;
	int number;
	unsigned seed;
	bool there[NAMES];
	int counted;
	const char *fault;
};

static void *work_at_random(void *arg)
{
	struct worker *w = arg;
	struct meta_op *mine = meta_op_new();

	for (int round = 0; round < ROUNDS && !w->fault; round++) {
		int name = rand_r(&w->seed) % NAMES, rows = 0;
		bool add = rand_r(&w->seed) % 2;
		char text[2] = { (char)('a' + name), 0 };

		meta_op_reset(mine);
		META_ADD(mine, FOLDER_TOUCH, META_ONE, -EIO, META_I(1000), META_I(1),
			 META_I(round));
		if (add)
			meta_test_add(mine, w->number, text, "value");
		else
			META_ADD(mine, XATTR_DELETE, META_ONE, -ENODATA, META_I(w->number),
				 META_B(text, 1));
		int err = meta_apply(w->meta, mine);
		int wanted = add == w->there[name] ? (add ? -EEXIST : -ENODATA) : 0;

		if (err != wanted) {
			w->fault = "a result is not what this thread's own rows call for";
			break;
		}
		w->counted += err == 0;
		w->there[name] = err == 0 ? add : w->there[name];
		for (int i = 0; i < NAMES; i++)
			rows += w->there[i];
		if (meta_test_count(w->meta, w->number) != rows)
			w->fault = "a query does not see what was applied before it";
	}
	meta_op_free(mine);
	return NULL;
}

START_TEST(many_threads_change_and_read)
{
	EACH_DRIVER
	{
		struct worker workers[THREADS];
		struct meta *m = begin(driver);
		int64_t links = 2;

		meta_test_add_folder(op, 1000);
		ck_assert_int_eq(meta_apply(m, op), 0);
		for (int i = 0; i < THREADS; i++)
			workers[i] = (struct worker){ .meta = m,
						      .number = i + 1,
						      .seed = (unsigned)i + 1 };
		meta_test_threads(THREADS, work_at_random, workers, sizeof(workers[0]));
		for (int i = 0; i < THREADS; i++) {
			ck_assert_msg(!workers[i].fault, "thread %d: %s", i, workers[i].fault);
			links += workers[i].counted;
		}
		ck_assert_int_eq(meta_test_links(m, 1000), links);
		end(m);
	}
}
END_TEST

UNIT_MAIN("apply", 60, bytes_come_back_as_they_were, numbers_text_and_null_come_back,
	  an_operation_is_all_or_nothing, an_operation_can_be_emptied, expectations_are_held_to,
	  conflicts_have_the_error_given, a_query_ends_when_told,
	  a_failing_operation_does_not_hurt_its_fellows, many_threads_change_and_read)
