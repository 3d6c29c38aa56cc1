/* SPDX-License-Identifier: GPL-3.0-or-later */
/* content/upload.h: what is sent, once, by whomever; what is not sent; order, pauses, memory. Faults: test-upload-fault. */
#include "config.h"

#include "evict-unit.h"
#include "upload-unit.h"
#include "util/cleanup.h"

enum { LEN = 100000, COUNT = 12 };

START_TEST(what_is_sealed_is_sent)
{
	struct asset assets[COUNT];
	struct upload_status st;
	struct upload_backlog b;
	struct lab lab;

	lab_open(&lab);
	lab_fill(&lab, assets, COUNT, LEN, 1);
	b = lab_backlog(&lab);
	ck_assert_uint_gt(b.chunks, 30);
	ck_assert_uint_eq(b.objects, COUNT);
	ck_assert_int_eq(upload_object_state(lab.w.meta, assets[0].object), 0);
	lab_start(&lab);
	lab_wait(&lab, 0);
	ck_assert_uint_eq(lab_check(&lab, assets, COUNT), b.chunks);
	ck_assert_uint_eq(server_requests(lab.server, "PUT"), b.chunks + COUNT);
	upload_status(lab.upload, &st);
	ck_assert_uint_eq(st.sent, b.chunks + COUNT);
	ck_assert_uint_gt(st.sent_bytes, b.chunk_bytes);
	ck_assert_uint_eq(st.found, 0);
	ck_assert_uint_gt(st.bytes_per_s, 0);
	ck_assert_int_eq(st.err, 0);
	/* And what comes later, when it is told of that. */
	lab_fill(&lab, assets, 1, LEN, 100);
	upload_kick(lab.upload, false);
	lab_wait(&lab, 0);
	lab_check(&lab, assets, COUNT);
	lab_close(&lab);
}
END_TEST

static void key_of_first(const uint8_t *data, char key[STORE_S3_KEY_LEN], size_t len)
{
	struct hash hash;

	ck_assert_int_eq(hash_data(HASH_SHA256, data, len, &hash), 0);
	store_s3_key(STORE_S3_CHUNKS, hash.b, key);
}

static void put(struct lab *lab, const char *key, const void *bytes, size_t len)
{
	struct s3_client *client = lab_client(lab);
	struct s3_request r = { .verb = S3_PUT,
				.key = key,
				.body = bytes,
				.body_len = len,
				.deadline_ns = time_mono_ns() + UNIT_PATIENCE_NS };

	ck_assert_int_eq(s3_client_call(client, &r, NULL), 0);
	s3_client_free(client);
}

/* What another machine sent is not sent again, whether the server keeps conditions or not; what it sent in part is. */
static void check_found(bool conditions)
{
	enum { BIG = 300000 };
	struct chunker_params fixed = { CHUNKER_FIXED, BIG, BIG, BIG };
	uint8_t *data = stream_new(5, 2 * BIG);
	char key[STORE_S3_KEY_LEN], second[STORE_S3_KEY_LEN];
	struct asset a;
	struct upload_status st;
	struct lab lab;

	lab_open(&lab);
	world_leave(&lab.w);
	lab.w.params.chunker = fixed;
	world_enter(&lab.w, 0);
	server_set_conditional(lab.server, conditions, conditions);
	key_of_first(data, key, BIG);
	key_of_first(data + BIG, second, BIG);
	put(&lab, key, data, BIG);
	put(&lab, second, data + BIG, BIG - 1);
	asset_of(&lab.w, &a, data, 2 * BIG);
	lab_start(&lab);
	lab_wait(&lab, 0);
	ck_assert_uint_eq(lab_check(&lab, &a, 1), 2);
	upload_status(lab.upload, &st);
	ck_assert_uint_eq(st.sent, 3);
	ck_assert_uint_eq(st.found, 1);
	free(data);
	lab_close(&lab);
}

START_TEST(what_is_there_is_not_sent)
{
	check_found(true);
	check_found(false);
}
END_TEST

static int first_place(void *arg, const struct meta_row *row)
{
	int64_t *place = arg;

	if (meta_row_null(row, 4))
		return 0;
	place[0] = meta_row_int(row, 4);
	place[1] = meta_row_int(row, 5);
	return 1;
}

/* Turns a bit of the first chunk. */
static void damage(struct lab *lab)
{
	int64_t place[2] = { 0 };

	ck_assert_int_gt(
		META_QUERY(lab->w.meta, CHECK_PLACES, first_place, place, META_I(0), META_I(1000)),
		0);
	CLEANUP_CLOSE int fd = blobs_open_write(lab->w.blobs, place[0]);
	uint8_t byte;

	ck_assert_int_eq(pread(fd, &byte, 1, (off_t)place[1]), 1);
	byte ^= 1;
	ck_assert_int_eq(pwrite(fd, &byte, 1, (off_t)place[1]), 1);
}

/* It is stuck, and with it the manifest, until good bytes come. */
START_TEST(what_is_damaged_is_never_sent)
{
	uint8_t *data = stream_new(7, LEN);
	struct upload_backlog b;
	struct asset a, again;
	struct lab lab;

	lab_open(&lab);
	asset_of(&lab.w, &a, data, LEN);
	damage(&lab);
	lab_start(&lab);
	lab_wait(&lab, 2);
	b = lab_backlog(&lab);
	ck_assert_uint_eq(b.chunks, 1);
	ck_assert_uint_eq(b.stuck, 1);
	ck_assert_uint_eq(b.objects, 1);
	ck_assert_ptr_nonnull(strstr(b.why, "damaged"));
	ck_assert_int_eq(upload_object_state(lab.w.meta, a.object), 0);
	/* Written again, it is healed, and goes out. */
	ck_assert_uint_eq(asset_of(&lab.w, &again, data, LEN).healed, 1);
	upload_kick(lab.upload, false);
	lab_wait(&lab, 0);
	lab_check(&lab, &a, 1);
	free(data);
	lab_close(&lab);
}
END_TEST

/* What was collected before it was sent costs nothing but the look at its row. */
START_TEST(what_is_gone_is_not_sent)
{
	struct asset assets[2];
	struct upload_backlog b;
	struct lab lab;

	lab_open(&lab);
	lab_fill(&lab, assets, 2, LEN, 9);
	asset_remove(&lab.w, &assets[0]);
	world_collect(&lab.w, 1000, 0, 100);
	lab_start(&lab);
	lab_wait(&lab, 0);
	b = lab_backlog(&lab);
	ck_assert_uint_eq(b.chunks + b.objects, 0);
	ck_assert_uint_eq(server_requests(lab.server, "PUT"), lab_check(&lab, &assets[1], 1) + 1);
	lab_close(&lab);
}
END_TEST

/* True from the Nth time on. */
static bool stops_later(void *arg)
{
	return (*(int *)arg)-- <= 0;
}

/* Who is to stop does not go through a whole library first; the next time all is found. */
START_TEST(a_sweep_can_be_left)
{
	struct asset assets[COUNT];
	struct lab lab;
	int pages = 1, none = 0;

	lab_open(&lab);
	world_leave(&lab.w);
	lab.w.params.remote = false;
	world_enter(&lab.w, 0);
	lab_fill(&lab, assets, COUNT, LEN, 11);
	ck_assert_int_eq(upload_sweep(lab.w.meta, stops_later, &none), -ECANCELED);
	ck_assert_uint_eq(lab_backlog(&lab).chunks, 0);
	ck_assert_int_eq(upload_sweep(lab.w.meta, stops_later, &pages), -ECANCELED);
	ck_assert_uint_gt(lab_backlog(&lab).chunks, 0);
	ck_assert_uint_eq(lab_backlog(&lab).objects, 0);
	ck_assert_int_eq(upload_sweep(lab.w.meta, NULL, NULL), 0);
	ck_assert_uint_eq(lab_backlog(&lab).objects, COUNT);
	lab_close(&lab);
}
END_TEST

/* A library that had no bucket when it was sealed; and a row that someone lost. */
START_TEST(what_was_never_queued_is_found)
{
	struct asset assets[COUNT];
	struct lab lab;

	lab_open(&lab);
	world_leave(&lab.w);
	lab.w.params.remote = false;
	world_enter(&lab.w, 0);
	lab_fill(&lab, assets, COUNT, LEN, 11);
	ck_assert_uint_eq(lab_backlog(&lab).chunks, 0);
	lab_start(&lab);
	lab_wait(&lab, 0);
	while (upload_object_state(lab.w.meta, assets[COUNT - 1].object) != 1)
		usleep(1000);
	lab_wait(&lab, 0);
	lab_check(&lab, assets, COUNT);
	ck_assert_int_eq(upload_sweep(lab.w.meta, NULL, NULL), 0);
	ck_assert_uint_eq(lab_backlog(&lab).objects, 0);
	lab_close(&lab);
}
END_TEST

/* Two engines of two instances, one queue: nothing is sent twice. */
START_TEST(two_share_a_queue)
{
	struct asset assets[COUNT];
	struct lab lab, other;
	size_t chunks;

	lab_open(&lab);
	lab_fill(&lab, assets, COUNT, LEN, 13);
	chunks = lab_backlog(&lab).chunks;
	other = lab;
	other.w.dir_fd = -1;
	world_enter(&other.w, 0);
	lab_start(&lab);
	lab_start(&other);
	lab_wait(&lab, 0);
	lab_stop(&other);
	lab_stop(&lab);
	lab_check(&lab, assets, COUNT);
	ck_assert_uint_eq(server_requests(lab.server, "PUT"), chunks + COUNT);
	world_leave(&other.w);
	lab_close(&lab);
}
END_TEST

START_TEST(a_pause_holds)
{
	struct asset assets[2];
	struct upload_status st;
	struct lab lab;

	lab_open(&lab);
	ck_assert_int_eq(upload_paused(lab.w.meta), 0);
	ck_assert_int_eq(upload_pause(lab.w.meta, true), 0);
	ck_assert_int_eq(upload_paused(lab.w.meta), 1);
	lab_fill(&lab, assets, 2, LEN, 15);
	lab_start(&lab);
	do {
		usleep(1000);
		upload_status(lab.upload, &st);
	} while (!st.paused);
	upload_kick(lab.upload, true);
	usleep(50000);
	ck_assert_uint_eq(server_requests(lab.server, "PUT"), 0);
	ck_assert_int_eq(upload_pause(lab.w.meta, false), 0);
	upload_kick(lab.upload, true);
	lab_wait(&lab, 0);
	lab_check(&lab, assets, 2);
	lab_close(&lab);
}
END_TEST

/* Where the way is slow a lease ends before what was taken with it is over: it is not sent a second time meanwhile. */
START_TEST(what_is_under_way_is_not_taken)
{
	struct asset asset, more;
	struct lab lab;

	lab_open(&lab);
	lab.stall_s = 60;
	lab_fill(&lab, &asset, 1, LEN / 4, 21);
	unsigned left = (unsigned)lab_backlog(&lab).chunks - 1;

	ck_assert(left > 0 && left < 8);
	server_fault(lab.server, (struct fault){ .kind = FAULT_HANG, .method = "PUT", .skip = 1 });
	lab_start(&lab);
	while (server_faults(lab.server) < left)
		usleep(1000);
	sql_run(&lab.w, "UPDATE upload SET until_ns = 1 WHERE owner IS NOT NULL");
	int64_t over = sql_number(&lab.w, "SELECT count(*) FROM upload WHERE until_ns = 1");

	lab_fill(&lab, &more, 1, 1000, 121);
	upload_kick(lab.upload, false);
	while (server_faults(lab.server) <= left)
		usleep(1000);
	ck_assert_int_eq(sql_number(&lab.w, "SELECT count(*) FROM upload WHERE until_ns = 1"),
			 over);
	lab_stop(&lab);
	server_heal(lab.server);
	lab_start(&lab);
	lab_wait(&lab, 0);
	lab_check(&lab, &asset, 1);
	lab_close(&lab);
}
END_TEST

/* As much at a time as is allowed; a body that is larger goes alone. */
START_TEST(memory_is_bounded)
{
	struct asset assets[COUNT];
	struct upload_status st;
	struct lab lab;
	uint64_t most = 0;

	lab_open(&lab);
	lab.params.memory_bytes = 20000;
	lab.params.window = 8;
	lab_fill(&lab, assets, COUNT, LEN, 17);
	lab_start(&lab);
	struct upload_mark mark = lab_mark(&lab);

	while (upload_left(lab.w.meta, &mark) == 1) {
		upload_status(lab.upload, &st);
		most = st.flying_bytes > most ? st.flying_bytes : most;
		usleep(100);
	}
	ck_assert_uint_gt(most, 0);
	ck_assert_uint_le(most, 20000);
	ck_assert_uint_le(server_most(lab.server), 8);
	lab_check(&lab, assets, COUNT);
	lab_stop(&lab);
	lab.params.memory_bytes = 1;
	lab_fill(&lab, assets, COUNT, LEN, 117);
	lab_start(&lab);
	lab_wait(&lab, 0);
	lab_check(&lab, assets, COUNT);
	lab_close(&lab);
}
END_TEST

/* The smallest first: while some wait, those that were sent are no larger than any of them. */
START_TEST(small_ones_first)
{
	struct asset assets[COUNT];
	struct upload_status st;
	struct lab lab;

	lab_open(&lab);
	lab.params.small_first = true;
	lab.params.window = 1;
	lab_fill(&lab, assets, COUNT, LEN, 19);
	struct upload_backlog before = lab_backlog(&lab);

	/* So many go well. */
	server_fault(lab.server, (struct fault){ FAULT_STATUS, .method = "PUT",
						 .skip = (unsigned)before.chunks / 2, .status = 403,
						 .code = "AccessDenied" });
	lab_start(&lab);
	do {
		usleep(1000);
		upload_status(lab.upload, &st);
	} while (!st.err);
	ck_assert_uint_eq(st.sent, before.chunks / 2);
	/* Half of the chunks, the smaller half. */
	ck_assert_uint_lt(st.sent_bytes, before.chunk_bytes * 2 / 5);
	server_heal(lab.server);
	upload_kick(lab.upload, true);
	lab_wait(&lab, 0);
	lab_check(&lab, assets, COUNT);
	lab_close(&lab);
}
END_TEST

UNIT_MAIN("upload", 150, what_is_sealed_is_sent, what_is_there_is_not_sent,
	  what_is_damaged_is_never_sent, what_is_gone_is_not_sent, what_was_never_queued_is_found,
	  a_sweep_can_be_left, two_share_a_queue, a_pause_holds, what_is_under_way_is_not_taken,
	  memory_is_bounded, small_ones_first)
