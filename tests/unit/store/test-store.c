/* SPDX-License-Identifier: GPL-3.0-or-later */
/* backend/store/store.h: what every driver must do. Each case runs for each kind of fixture. */
#include "config.h"

#include "store-unit.h"

static int no_chunk(void *arg, const uint8_t name[STORE_NAME_LEN], uint64_t size)
{
	(void)arg;
	ck_abort_msg("chunk %02x%02x… of %llu", name[0], name[1], (unsigned long long)size);
	return 0;
}

START_TEST(empty_store)
{
	struct fixture f;
	struct chunk c = chunk_make(1, 10);
	struct store_info info = { .size = 99 };
	uint8_t byte;

	fixture_open(&f, _i);
	ck_assert_int_eq(store_has(f.store, c.name), 0);
	ck_assert_int_eq(store_stat(f.store, c.name, &info), -ENOENT);
	ck_assert_uint_eq(info.size, 99);
	ck_assert_int_eq(store_get(f.store, c.name, &byte, 1, 0), -ENOENT);
	ck_assert_int_eq(store_get(f.store, c.name, &byte, 1, 1000), -ENOENT);
	ck_assert_int_eq(store_get(f.store, c.name, &byte, 0, 0), -ENOENT);
	ck_assert_int_eq(store_delete(f.store, c.name), -ENOENT);
	ck_assert_int_eq(store_scan(f.store, c.name), -ENOENT);
	ck_assert_int_eq(store_list(f.store, NULL, no_chunk, NULL), 0);
	ck_assert_int_eq(store_list(f.store, c.name, no_chunk, NULL), 0);
	fixture_close(&f);
	chunk_free(&c);
}
END_TEST

START_TEST(put_and_get_back)
{
	static const size_t sizes[] = { 1, 2, 511, 4095, 4096, 4097, 65536, 1000000, 8 << 20 };
	struct fixture f;

	fixture_open(&f, _i);
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		struct chunk c = chunk_make((unsigned)i, sizes[i]);
		struct store_info info = { 0 };

		ck_assert_int_eq(store_has(f.store, c.name), 0);
		ck_assert_int_eq(chunk_put(f.store, &c), 0);
		ck_assert_int_eq(store_has(f.store, c.name), 1);
		ck_assert_int_eq(store_stat(f.store, c.name, &info), 0);
		ck_assert_uint_eq(info.size, sizes[i]);
		ck_assert(chunk_is_there(f.store, &c));
		ck_assert_int_eq(store_scan(f.store, c.name), 0);
		chunk_free(&c);
	}
	/* All of them still, after their neighbours came. */
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		struct chunk c = chunk_make((unsigned)i, sizes[i]);

		ck_assert(chunk_is_there(f.store, &c));
		chunk_free(&c);
	}
	fixture_close(&f);
}
END_TEST

START_TEST(get_a_part)
{
	static const struct {
		uint64_t off;
		size_t len;
		ssize_t count;
	} parts[] = { { 0, 1, 1 },           { 0, 5000, 5000 },  { 0, 6000, 5000 },
		      { 1, 4998, 4998 },     { 1, 4999, 4999 },  { 1, 5000, 4999 },
		      { 4096, 10, 10 },      { 4999, 1, 1 },     { 4999, 2, 1 },
		      { 5000, 1, 0 },        { 5001, 100, 0 },   { UINT64_MAX, 1, 0 },
		      { INT64_MAX, 100, 0 }, { 100, 0, 0 },      { 5000, 0, 0 },
		      { 9999, 0, 0 },        { 2500, 100, 100 }, { UINT64_MAX - 10, 6000, 0 } };
	struct fixture f;
	struct chunk c = chunk_make(7, 5000);
	uint8_t bytes[6000];

	fixture_open(&f, _i);
	ck_assert_int_eq(chunk_put(f.store, &c), 0);
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
		memset(bytes, 0xee, sizeof bytes);
		ck_assert_int_eq(store_get(f.store, c.name, bytes, parts[i].len, parts[i].off),
				 parts[i].count);
		if (parts[i].count > 0)
			ck_assert_mem_eq(bytes, c.bytes + parts[i].off, (size_t)parts[i].count);
		for (size_t k = (size_t)parts[i].count; k < sizeof bytes; k++)
			ck_assert_uint_eq(bytes[k], 0xee);
	}
	fixture_close(&f);
	chunk_free(&c);
}
END_TEST

static int count_chunk(void *arg, const uint8_t name[STORE_NAME_LEN], uint64_t size)
{
	unsigned *count = arg;

	(void)name;
	(void)size;
	++*count;
	return 0;
}

static unsigned chunk_count(struct store *s)
{
	unsigned count = 0;

	ck_assert_int_eq(store_list(s, NULL, count_chunk, &count), 0);
	return count;
}

START_TEST(put_twice)
{
	struct fixture f;
	struct chunk c = chunk_make(3, 100000);

	fixture_open(&f, _i);
	ck_assert_int_eq(chunk_put(f.store, &c), 0);
	ck_assert_int_eq(chunk_put(f.store, &c), 0);
	ck_assert_uint_eq(chunk_count(f.store), 1);
	ck_assert(chunk_is_there(f.store, &c));
	fixture_close(&f);
	chunk_free(&c);
}
END_TEST

START_TEST(put_refuses_wrong_bytes)
{
	struct fixture f;
	struct chunk c = chunk_make(3, 1000);

	fixture_open(&f, _i);
	ck_assert(f.store->flags & STORE_CAN_VERIFY);
	ck_assert_int_eq(store_put(f.store, c.name, c.bytes, 0), -EINVAL);
	ck_assert_int_eq(store_put(f.store, c.name, c.bytes, 999), -EBADMSG);
	c.bytes[500] ^= 1;
	ck_assert_int_eq(chunk_put(f.store, &c), -EBADMSG);
	ck_assert_int_eq(store_has(f.store, c.name), 0);
	ck_assert_uint_eq(chunk_count(f.store), 0);
	/* Nor does it harm what is there. */
	c.bytes[500] ^= 1;
	ck_assert_int_eq(chunk_put(f.store, &c), 0);
	c.bytes[500] ^= 1;
	ck_assert_int_eq(chunk_put(f.store, &c), -EBADMSG);
	c.bytes[500] ^= 1;
	ck_assert(chunk_is_there(f.store, &c));
	fixture_close(&f);
	chunk_free(&c);
}
END_TEST

START_TEST(delete_and_put_again)
{
	struct fixture f;
	struct chunk a = chunk_make(1, 70000), b = chunk_make(2, 70000);
	struct store_info info;

	fixture_open(&f, _i);
	ck_assert_int_eq(chunk_put(f.store, &a), 0);
	ck_assert_int_eq(chunk_put(f.store, &b), 0);
	ck_assert_int_eq(store_delete(f.store, a.name), 0);
	ck_assert_int_eq(store_has(f.store, a.name), 0);
	ck_assert_int_eq(store_stat(f.store, a.name, &info), -ENOENT);
	ck_assert_int_eq(store_scan(f.store, a.name), -ENOENT);
	ck_assert_int_eq(store_delete(f.store, a.name), -ENOENT);
	ck_assert_uint_eq(chunk_count(f.store), 1);
	ck_assert(chunk_is_there(f.store, &b));
	ck_assert_int_eq(chunk_put(f.store, &a), 0);
	ck_assert(chunk_is_there(f.store, &a));
	ck_assert_int_eq(store_scan(f.store, a.name), 0);
	fixture_close(&f);
	chunk_free(&a);
	chunk_free(&b);
}
END_TEST

START_TEST(damage_is_found_and_healed)
{
	struct fixture f;
	struct chunk a = chunk_make(1, 70000), b = chunk_make(2, 70000);

	fixture_open(&f, _i);
	ck_assert_int_eq(chunk_put(f.store, &a), 0);
	ck_assert_int_eq(chunk_put(f.store, &b), 0);
	fixture_damage(&f, a.name);
	ck_assert_int_eq(store_scan(f.store, a.name), ERR_CORRUPT);
	ck_assert_int_eq(store_scan(f.store, b.name), 0);
	ck_assert_int_eq(chunk_put(f.store, &a), 0);
	ck_assert_int_eq(store_scan(f.store, a.name), 0);
	ck_assert(chunk_is_there(f.store, &a));
	ck_assert(chunk_is_there(f.store, &b));
	ck_assert_uint_eq(chunk_count(f.store), 2);
	/* And once more, to one that was healed before. */
	fixture_damage(&f, a.name);
	ck_assert_int_eq(store_scan(f.store, a.name), ERR_CORRUPT);
	ck_assert_int_eq(chunk_put(f.store, &a), 0);
	ck_assert_int_eq(store_scan(f.store, a.name), 0);
	fixture_close(&f);
	chunk_free(&a);
	chunk_free(&b);
}
END_TEST

START_TEST(damage_can_be_deleted)
{
	struct fixture f;
	struct chunk a = chunk_make(1, 70000);

	fixture_open(&f, _i);
	ck_assert_int_eq(chunk_put(f.store, &a), 0);
	fixture_damage(&f, a.name);
	ck_assert_int_eq(store_delete(f.store, a.name), 0);
	ck_assert_int_eq(store_has(f.store, a.name), 0);
	fixture_close(&f);
	chunk_free(&a);
}
END_TEST

enum { LISTED = 600 };

struct walk {
	struct store *delete_from; /* each chunk as it is seen, unless NULL */
	unsigned count, stop_at;
	uint8_t names[LISTED][STORE_NAME_LEN];
};

static int walk_step(void *arg, const uint8_t name[STORE_NAME_LEN], uint64_t size)
{
	struct walk *walk = arg;

	ck_assert_uint_lt(walk->count, LISTED);
	ck_assert_uint_eq(size, 20);
	memcpy(walk->names[walk->count++], name, STORE_NAME_LEN);
	if (walk->delete_from)
		ck_assert_int_eq(store_delete(walk->delete_from, name), 0);
	return walk->count == walk->stop_at ? 17 : 0;
}

START_TEST(list_in_order)
{
	static struct walk all, rest;
	unsigned count = LISTED / unit_stride(), sixth = count / 6;
	uint8_t last[STORE_NAME_LEN];
	struct fixture f;

	fixture_open(&f, _i);
	all = rest = (struct walk){ 0 };
	for (unsigned i = 0; i < count; i++) {
		struct chunk c = chunk_make(i, 20);

		ck_assert_int_eq(chunk_put(f.store, &c), 0);
		chunk_free(&c);
	}
	ck_assert_int_eq(store_list(f.store, NULL, walk_step, &all), 0);
	ck_assert_uint_eq(all.count, count);
	for (unsigned i = 1; i < count; i++)
		ck_assert_int_lt(memcmp(all.names[i - 1], all.names[i], STORE_NAME_LEN), 0);
	/* From any name on, there or not; to the callback's end or the list's. */
	ck_assert_int_eq(store_list(f.store, all.names[sixth - 1], walk_step, &rest), 0);
	ck_assert_uint_eq(rest.count, count - sixth);
	ck_assert_mem_eq(rest.names[0], all.names[sixth], STORE_NAME_LEN);
	memcpy(last, all.names[sixth - 1], STORE_NAME_LEN);
	ck_assert_int_eq(store_delete(f.store, last), 0);
	rest = (struct walk){ .stop_at = count / 2 };
	ck_assert_int_eq(store_list(f.store, last, walk_step, &rest), 17);
	ck_assert_uint_eq(rest.count, count / 2);
	ck_assert_mem_eq(rest.names[0], all.names[sixth], STORE_NAME_LEN);
	memset(last, 0xff, sizeof last);
	ck_assert_int_eq(store_list(f.store, last, no_chunk, NULL), 0);
	fixture_close(&f);
}
END_TEST

START_TEST(list_while_deleting)
{
	static struct walk walk;
	unsigned count = LISTED / unit_stride();
	struct fixture f;

	fixture_open(&f, _i);
	for (unsigned i = 0; i < count; i++) {
		struct chunk c = chunk_make(i, 20);

		ck_assert_int_eq(chunk_put(f.store, &c), 0);
		chunk_free(&c);
	}
	walk = (struct walk){ .delete_from = f.store };
	ck_assert_int_eq(store_list(f.store, NULL, walk_step, &walk), 0);
	ck_assert_uint_eq(walk.count, count);
	ck_assert_uint_eq(chunk_count(f.store), 0);
	fixture_close(&f);
}
END_TEST

START_TEST(url_where_there_is_one)
{
	struct fixture f;
	struct chunk c = chunk_make(1, 10);
	char url[2000];

	fixture_open(&f, _i);
	ck_assert_int_eq(chunk_put(f.store, &c), 0);
	if (f.store->flags & STORE_CAN_URL)
		ck_assert_int_gt(store_url(f.store, c.name, 60, url, sizeof url), 0);
	else
		ck_assert_int_eq(store_url(f.store, c.name, 60, url, sizeof url), -EOPNOTSUPP);
	fixture_close(&f);
	chunk_free(&c);
}
END_TEST

START_TEST(health_is_good)
{
	struct fixture f;
	struct store_health health = { .status = -1 };

	fixture_open(&f, _i);
	ck_assert_int_eq(store_health(f.store, &health), 0);
	ck_assert_int_eq(health.status, 0);
	/* What is elsewhere may not tell how much room there is. */
	if (f.store->flags & STORE_IS_LOCAL || health.total_bytes)
		ck_assert_uint_gt(health.free_bytes, 0);
	ck_assert_uint_le(health.free_bytes, health.total_bytes);
	fixture_close(&f);
}
END_TEST

int main(void)
{
	const TTest *const cases[] = { empty_store,
				       put_and_get_back,
				       get_a_part,
				       put_twice,
				       put_refuses_wrong_bytes,
				       delete_and_put_again,
				       damage_is_found_and_healed,
				       damage_can_be_deleted,
				       list_in_order,
				       list_while_deleting,
				       url_where_there_is_one,
				       health_is_good };
	Suite *suite = suite_create("store");
	SRunner *runner = srunner_create(suite);
	int failed;

	fixture_add_cases(suite, cases, sizeof cases / sizeof *cases, 60);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	store_close(NULL);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
