/* SPDX-License-Identifier: GPL-3.0-or-later */
/* backend/store/store-fault.h: goes wrong as told and no other way. */
#include "config.h"

#include "store-unit.h"
#include "util/time.h"

static struct store *faulty(const struct store_fault_rule *rules, size_t count, uint64_t seed)
{
	struct store *inner, *s = NULL;

	ck_assert_int_eq(store_memory_new(1 << 30, fixture_verify, NULL, &inner), 0);
	ck_assert_int_eq(store_fault_new(&inner, rules, count, seed, &s), 0);
	ck_assert_ptr_null(inner);
	return s;
}

START_TEST(the_nth_call_fails)
{
	const struct store_fault_rule rule = { .on = STORE_FAULT_ON(PUT) | STORE_FAULT_ON(DEL),
					       .nth = 3,
					       .error = -EIO };
	struct store *s = faulty(&rule, 1, 1);
	struct chunk c = chunk_make(1, 100);

	ck_assert_int_eq(chunk_put(s, &c), 0);
	ck_assert_int_eq(store_has(s, c.name), 1);
	ck_assert_int_eq(store_delete(s, c.name), 0);
	ck_assert_int_eq(chunk_put(s, &c), -EIO);
	ck_assert_int_eq(store_has(s, c.name), 0);
	ck_assert_int_eq(chunk_put(s, &c), 0);
	ck_assert(chunk_is_there(s, &c));
	ck_assert_uint_eq(store_fault_count(s, STORE_FAULT_PUT), 3);
	ck_assert_uint_eq(store_fault_count(s, STORE_FAULT_DEL), 1);
	ck_assert_uint_eq(store_fault_fired(s), 1);
	store_close(s);
	chunk_free(&c);
}
END_TEST

START_TEST(the_reply_is_lost)
{
	const struct store_fault_rule rule = {
		.on = STORE_FAULT_ON(PUT), .nth = 1, .error = ERR_UNCERTAIN, .after = true
	};
	struct store *s = faulty(&rule, 1, 1);
	struct chunk c = chunk_make(1, 100);

	ck_assert_int_eq(chunk_put(s, &c), ERR_UNCERTAIN);
	ck_assert(chunk_is_there(s, &c));
	ck_assert_int_eq(chunk_put(s, &c), 0);
	store_close(s);
	chunk_free(&c);
}
END_TEST

START_TEST(a_refusal_is_not_hidden_by_a_lost_reply)
{
	const struct store_fault_rule rule = {
		.on = STORE_FAULT_ON_ALL, .chance = 1000000, .error = -ETIMEDOUT, .after = true
	};
	struct store *s = faulty(&rule, 1, 1);
	struct chunk c = chunk_make(1, 100);

	ck_assert_int_eq(store_delete(s, c.name), -ENOENT);
	ck_assert_int_eq(store_put(s, c.name, c.bytes, 99), -EBADMSG);
	ck_assert_int_eq(store_has(s, c.name), -ETIMEDOUT);
	store_close(s);
	chunk_free(&c);
}
END_TEST

START_TEST(a_get_is_cut_short)
{
	const struct store_fault_rule rule = { .on = STORE_FAULT_ON(GET),
					       .chance = 1000000,
					       .cut = true };
	struct store *s = faulty(&rule, 1, 1);
	struct chunk c = chunk_make(1, 100);
	uint8_t bytes[100];

	ck_assert_int_eq(chunk_put(s, &c), 0);
	for (int i = 0; i < 200; i++) {
		ssize_t count = store_get(s, c.name, bytes, 100, 0);

		ck_assert_int_ge(count, 1);
		ck_assert_int_lt(count, 100);
		ck_assert_mem_eq(bytes, c.bytes, (size_t)count);
	}
	ck_assert_int_eq(store_get(s, c.name, bytes, 1, 99), 1);
	ck_assert_int_eq(store_get(s, c.name, bytes, 1, 100), 0);
	store_close(s);
	chunk_free(&c);
}
END_TEST

START_TEST(a_delay_is_waited)
{
	const struct store_fault_rule rule = { .on = STORE_FAULT_ON(HAS),
					       .nth = 2,
					       .delay_ms = 60 };
	struct store *s = faulty(&rule, 1, 1);
	struct chunk c = chunk_make(1, 100);
	int64_t start;

	ck_assert_int_eq(store_has(s, c.name), 0);
	start = time_mono_ns();
	ck_assert_int_eq(store_has(s, c.name), 0);
	ck_assert_int_ge(time_mono_ns() - start, 60 * TIME_NS_PER_MS);
	store_close(s);
	chunk_free(&c);
}
END_TEST

/* Which of 1000 calls fail, as 0 and 1. */
static void pattern(uint64_t seed, char out[1001])
{
	const struct store_fault_rule rule = { .on = STORE_FAULT_ON(HAS),
					       .chance = 250000,
					       .error = -EIO };
	struct store *s = faulty(&rule, 1, seed);
	struct chunk c = chunk_make(1, 100);

	for (int i = 0; i < 1000; i++)
		out[i] = store_has(s, c.name) == -EIO ? '1' : '0';
	out[1000] = 0;
	store_close(s);
	chunk_free(&c);
}

START_TEST(chance_follows_the_seed)
{
	char first[1001], again[1001], other[1001];
	int fired = 0;

	pattern(5, first);
	pattern(5, again);
	pattern(6, other);
	ck_assert_str_eq(first, again);
	ck_assert_str_ne(first, other);
	for (int i = 0; i < 1000; i++)
		fired += first[i] == '1';
	ck_assert_int_gt(fired, 190);
	ck_assert_int_lt(fired, 310);
}
END_TEST

START_TEST(the_first_rule_decides)
{
	const struct store_fault_rule rules[] = {
		{ .on = STORE_FAULT_ON(STAT), .nth = 2, .error = -EIO },
		{ .on = STORE_FAULT_ON_ALL, .chance = 1000000, .error = -EAGAIN },
	};
	struct store *s = faulty(rules, 2, 1);
	struct chunk c = chunk_make(1, 100);
	struct store_info info;
	struct store_health health;
	char url[100];
	unsigned none = 0;

	ck_assert_int_eq(store_stat(s, c.name, &info), -EAGAIN);
	ck_assert_int_eq(store_stat(s, c.name, &info), -EIO);
	ck_assert_int_eq(store_stat(s, c.name, &info), -EAGAIN);
	ck_assert_int_eq(store_has(s, c.name), -EAGAIN);
	ck_assert_int_eq(chunk_put(s, &c), -EAGAIN);
	ck_assert_int_eq(store_get(s, c.name, url, 1, 0), -EAGAIN);
	ck_assert_int_eq(store_delete(s, c.name), -EAGAIN);
	ck_assert_int_eq(store_list(s, NULL, NULL, &none), -EAGAIN);
	ck_assert_int_eq(store_scan(s, c.name), -EAGAIN);
	ck_assert_int_eq(store_health(s, &health), -EAGAIN);
	ck_assert_int_eq(store_url(s, c.name, 1, url, sizeof url), -EOPNOTSUPP);
	ck_assert_uint_eq(store_fault_fired(s), 10);
	store_close(s);
	chunk_free(&c);
}
END_TEST

UNIT_MAIN("store-fault", 30, the_nth_call_fails, the_reply_is_lost,
	  a_refusal_is_not_hidden_by_a_lost_reply, a_get_is_cut_short, a_delay_is_waited,
	  chance_follows_the_seed, the_first_rule_decides)
