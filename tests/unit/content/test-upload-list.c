/* SPDX-License-Identifier: GPL-3.0-or-later */
/* content/upload.h: how many requests it takes to find out what is there already, and that a listing does no harm whatever it says. */
#include "config.h"

#include "upload-unit.h"

enum { LEN = 100000, COUNT = 12 };

/* Puts what the library has waiting into the bucket, as another machine would; of the `cut`th chunk the last byte is missing. */
struct other {
	struct lab *lab;
	size_t cut, count;
	uint8_t *data;
};

static int other_row(void *arg, const struct meta_row *row)
{
	struct other *o = arg;
	char key[STORE_S3_KEY_LEN];
	size_t len, size = (size_t)meta_row_int(row, 2);
	const void *hash = meta_row_bytes(row, 1, &len);
	struct blob *blob = NULL;

	if (!hash || meta_row_null(row, 4))
		return 0;
	o->data = realloc(o->data, size);
	ck_assert_int_eq(blobs_get(o->lab->w.blobs, meta_row_int(row, 4), &blob), 0);
	ck_assert_int_eq(blob_read(blob, o->data, size, (uint64_t)meta_row_int(row, 5)), size);
	blob_put(blob);
	store_s3_key(STORE_S3_CHUNKS, hash, key);
	server_store(o->lab->server, key, o->data, size - (o->count++ == o->cut));
	return 0;
}

static size_t send_otherwise(struct lab *lab, size_t cut)
{
	struct other o = { .lab = lab, .cut = cut };

	ck_assert_int_ge(
		META_QUERY(lab->w.meta, CHECK_PLACES, other_row, &o, META_I(0), META_I(1000000)),
		0);
	free(o.data);
	return o.count;
}

/* Other chunks, evenly spread, and what is no chunk. */
static void store_others(struct lab *lab, unsigned count)
{
	char key[STORE_S3_KEY_LEN];
	uint8_t name[HASH_LEN] = { 0 };

	server_store(lab->server, "chunks/README", "x", 1);
	for (unsigned i = 0; i < count; i++) {
		uint32_t first = (uint32_t)(UINT64_C(0x100000000) * i / count);

		for (int k = 0; k < 4; k++)
			name[k] = (uint8_t)(first >> (24 - 8 * k));
		store_s3_key(STORE_S3_CHUNKS, name, key);
		server_store(lab->server, key, "x", 1);
	}
}

/* Sends all. How many chunks it was. */
static size_t send_some(struct lab *lab, struct asset *assets, size_t count)
{
	size_t chunks = lab_backlog(lab).chunks;

	lab_start(lab);
	lab_wait(lab, 0);
	lab_check(lab, assets, count);
	return chunks;
}

static size_t send_all(struct lab *lab, struct asset *assets)
{
	return send_some(lab, assets, COUNT);
}

/* One question for all, and no condition on anything, whatever the server makes of those: of chunks that it would be worth to ask for one by one. */
START_TEST(a_listing_saves_questions)
{
	enum { BIG = 300000, CHUNKS = 20 };
	struct chunker_params fixed = { CHUNKER_FIXED, BIG, BIG, BIG };
	uint8_t *data = stream_new(1, CHUNKS * BIG);
	bool conditions = _i;
	struct asset a;
	struct lab lab;

	lab_open(&lab);
	world_leave(&lab.w);
	lab.w.params.chunker = fixed;
	world_enter(&lab.w, 0);
	server_set_conditional(lab.server, conditions, conditions);
	asset_of(&lab.w, &a, data, CHUNKS * BIG);
	ck_assert_uint_eq(send_some(&lab, &a, 1), CHUNKS);
	ck_assert_uint_eq(server_requests(lab.server, "LIST"), 1);
	ck_assert_uint_eq(server_requests(lab.server, "GET"), 1);
	ck_assert_uint_eq(server_requests(lab.server, "PUT"), CHUNKS + 1);
	free(data);
	lab_close(&lab);
}
END_TEST

/* What is named is looked up, once, and its bytes stay here, unless it is not whole. */
START_TEST(what_is_listed_is_looked_up)
{
	bool conditions = _i;
	struct asset assets[COUNT];
	struct upload_status st;
	struct lab lab;

	lab_open(&lab);
	server_set_conditional(lab.server, conditions, conditions);
	lab_fill(&lab, assets, COUNT, LEN, 2);
	ck_assert_uint_gt(send_otherwise(&lab, 7), 30);
	size_t chunks = send_all(&lab, assets);

	upload_status(lab.upload, &st);
	ck_assert_uint_eq(st.found, chunks - 1);
	ck_assert_uint_eq(server_requests(lab.server, "LIST"), 1);
	ck_assert_uint_eq(server_requests(lab.server, "GET"), 1 + chunks);
	ck_assert_uint_eq(server_requests(lab.server, "PUT"), 1 + COUNT);
	lab_close(&lab);
}
END_TEST

/* Listed, and deleted before its turn: it is sent. */
START_TEST(what_went_since_is_sent)
{
	struct asset assets[COUNT];
	struct upload_status st;
	struct lab lab;

	lab_open(&lab);
	lab.params.window = 1;
	lab_fill(&lab, assets, COUNT, LEN, 3);
	send_otherwise(&lab, SIZE_MAX);
	size_t chunks = lab_backlog(&lab).chunks;

	/* All chunks but the first few are gone by the time they are looked up. */
	server_fault(lab.server, (struct fault){ .kind = FAULT_STATUS,
						 .method = "GET",
						 .skip = 5,
						 .status = 404,
						 .code = "NoSuchKey" });
	ck_assert_uint_eq(send_all(&lab, assets), chunks);
	upload_status(lab.upload, &st);
	ck_assert_uint_eq(st.found, 4);
	ck_assert_uint_eq(server_requests(lab.server, "PUT"), chunks - 4 + COUNT);
	lab_close(&lab);
}
END_TEST

/* As many pages as tell of enough that waits: all of a small bucket, one of a large one. A page of the test's server has 250 keys. */
START_TEST(pages_are_for_what_waits)
{
	static const struct {
		unsigned others, pages;
	} cases[] = { { 600, 3 }, { 5000, 1 } };
	struct asset assets[COUNT];
	struct lab lab;

	lab_open(&lab);
	server_set_conditional(lab.server, false, false);
	store_others(&lab, cases[_i].others);
	lab_fill(&lab, assets, COUNT, LEN, 4);
	ck_assert_uint_gt(lab_backlog(&lab).chunks, 60);
	send_all(&lab, assets);
	ck_assert_uint_eq(server_requests(lab.server, "LIST"), cases[_i].pages);
	lab_close(&lab);
}
END_TEST

/* A few are asked for one by one. */
START_TEST(a_few_are_not_worth_a_page)
{
	struct lab lab;
	struct asset a;

	lab_open(&lab);
	lab_fill(&lab, &a, 1, LEN / 10, 5);
	ck_assert_uint_lt(lab_backlog(&lab).chunks, 10);
	lab_start(&lab);
	lab_wait(&lab, 0);
	lab_check(&lab, &a, 1);
	ck_assert_uint_eq(server_requests(lab.server, "LIST"), 0);
	lab_close(&lab);
}
END_TEST

/* A key that may not list, a list that is cut off, none, or out of order: each chunk is asked for, as if there were none. */
START_TEST(without_a_list_each_is_asked_for)
{
	static const struct fault faults[] = {
		{ FAULT_STATUS, .method = "LIST", .status = 403, .code = "AccessDenied" },
		{ FAULT_STATUS, .method = "LIST", .status = 501, .code = "NotImplemented" },
		{ FAULT_TRUNCATE, .method = "LIST" },
		{ FAULT_GARBAGE, .method = "LIST" },
		{ FAULT_DISORDER, .method = "LIST" },
	};
	struct asset assets[COUNT];
	struct upload_status st;
	struct lab lab;

	lab_open(&lab);
	lab_fill(&lab, assets, COUNT, LEN, 6);
	send_otherwise(&lab, 3);
	server_fault(lab.server, faults[_i]);
	size_t chunks = send_all(&lab, assets);

	ck_assert_uint_gt(server_faults(lab.server), 0);
	upload_status(lab.upload, &st);
	ck_assert_int_eq(st.err, 0);
	ck_assert_uint_eq(st.found, chunks - 1);
	/* Each was put on a condition. */
	ck_assert_uint_ge(server_requests(lab.server, "PUT"), chunks + COUNT);
	lab_close(&lab);
}
END_TEST

/* A list that never comes holds nothing up for good, and a stop not at all. */
START_TEST(a_list_that_hangs)
{
	struct asset assets[COUNT];
	struct lab lab;

	lab_open(&lab);
	lab_fill(&lab, assets, COUNT, LEN, 7);
	server_fault(lab.server, (struct fault){ .kind = FAULT_HANG, .method = "LIST" });
	lab.stall_s = 60;
	lab_start(&lab);
	while (!server_faults(lab.server))
		usleep(1000);
	int64_t begun = time_mono_ns();

	lab_stop(&lab);
	ck_assert_int_lt(time_mono_ns() - begun, 5 * TIME_NS_PER_S);
	lab.stall_s = 1;
	send_all(&lab, assets);
	lab_close(&lab);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("upload-list");
	TCase *tcase = tcase_create("upload-list");
	SRunner *runner = srunner_create(suite);

	tcase_set_timeout(tcase, 60);
	tcase_add_loop_test(tcase, a_listing_saves_questions, 0, 2);
	tcase_add_loop_test(tcase, what_is_listed_is_looked_up, 0, 2);
	tcase_add_test(tcase, what_went_since_is_sent);
	tcase_add_loop_test(tcase, pages_are_for_what_waits, 0, 2);
	tcase_add_test(tcase, a_few_are_not_worth_a_page);
	tcase_add_loop_test(tcase, without_a_list_each_is_asked_for, 0, 5);
	tcase_add_test(tcase, a_list_that_hangs);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);

	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
