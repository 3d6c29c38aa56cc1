/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * backend/s3/client.h, against a server that goes wrong: whatever it does, nothing wrong is returned, every
 * deadline is kept, and every request is told of once.
 */
#include "config.h"

#include "client-unit.h"

enum { STALL_MS = 1000 * 1000 }; /* longer than the test may take */

/* What comes right at the next try. */
START_TEST(passing_faults_of_reading)
{
	static const struct fault faults[] = {
		{ FAULT_RESET, .method = "GET", .count = 1 },
		{ FAULT_LOST_REPLY, .method = "GET", .count = 1 },
		{ FAULT_TRUNCATE, .method = "GET", .count = 1 },
		{ FAULT_CUT, .method = "GET", .count = 1 },
		{ FAULT_STATUS, .method = "GET", .count = 2, .status = 500,
		  .code = "InternalError" },
		{ FAULT_STATUS, .method = "GET", .count = 2, .status = 503, .code = "SlowDown" },
		{ FAULT_STATUS, .method = "GET", .count = 1, .status = 502 },
		{ FAULT_STATUS, .method = "GET", .count = 1, .status = 403,
		  .code = "RequestTimeTooSkewed" },
		{ FAULT_STATUS, .method = "GET", .count = 1, .status = 400,
		  .code = "ExpiredToken" },
		{ FAULT_STATUS, .method = "GET", .count = 1, .status = 301,
		  .code = "PermanentRedirect", .headers = "x-amz-bucket-region: us-east-2\r\n" },
		{ FAULT_STATUS, .method = "GET", .count = 1, .status = 503,
		  .headers = "Retry-After: 1\r\n" },
	};
	struct lab lab;

	open_with_object(&lab);
	for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
		unsigned before = server_faults(lab.server);
		int err;

		if (faults[i].status == 301)
			server_set_region(lab.server, "us-east-2");
		server_fault(lab.server, faults[i]);
		err = get_all(&lab, UNIT_PATIENCE_MS);
		ck_assert_msg(err == 0, "fault %zu: %s", i, buf_str(&lab.why));
		check_all(&lab);
		ck_assert_uint_eq(server_faults(lab.server) - before, faults[i].count);
		server_heal(lab.server);
	}
	lab_close(&lab);
}
END_TEST

START_TEST(passing_faults_of_writing)
{
	static const struct fault faults[] = {
		{ FAULT_RESET, .method = "PUT", .count = 2 },
		{ FAULT_RESET_UPLOAD, .method = "PUT", .count = 2 },
		{ FAULT_LOST_REPLY, .method = "PUT", .count = 2 },
		{ FAULT_SPOIL_UPLOAD, .method = "PUT", .count = 2 },
		{ FAULT_WRONG_CHECKSUM, .method = "PUT", .count = 1 },
		{ FAULT_STATUS, .method = "PUT", .count = 2, .status = 500 },
		{ FAULT_STATUS, .method = "PUT", .count = 2, .status = 503, .code = "SlowDown" },
	};
	struct lab lab;

	open_with_object(&lab);
	for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
		char key[8];
		int err;

		snprintf(key, sizeof key, "k%zu", i);
		server_fault(lab.server, faults[i]);
		err = lab_put(&lab, key, bytes, LEN);
		ck_assert_msg(err == 0, "fault %zu: %s", i, buf_str(&lab.why));
		ck_assert(lab_holds(&lab, key, bytes, LEN));
		server_heal(lab.server);
	}
	/* An ETag says nothing that the checksum does not say better. */
	server_fault(lab.server, (struct fault){ FAULT_WRONG_ETAG, .method = "PUT", .count = 1 });
	ck_assert_int_eq(lab_put(&lab, "e", bytes, LEN), 0);
	ck_assert_uint_eq(lab.tries, 1);
	ck_assert(lab_holds(&lab, "e", bytes, LEN));
	lab_close(&lab);
}
END_TEST

/*
 * Nothing more comes: another try is made, where otherwise the deadline would come. (The speed is that of five seconds.) On a machine that is very busy a transfer
 * may look like that by itself, so there may be more tries, and only here is the limit so short.
 */
START_TEST(stalls)
{
	struct s3_request get = {
		.verb = S3_GET, .key = "k", .into = back, .into_size = sizeof back
	};
	struct s3_request put = { .verb = S3_PUT, .key = "l", .body = "hello", .body_len = 5 };
	struct lab lab;

	lab_open(&lab);
	lab.settings.stall_s = 1;
	lab.settings.attempts = 20;
	lab_client(&lab, lab_find);
	ck_assert_int_eq(lab_put(&lab, "k", "hello", 5), 0);
	server_fault(lab.server, (struct fault){ FAULT_STALL, .method = "GET", .count = 1 });
	ck_assert_int_eq(lab_call(&lab, get, STALL_MS), 0);
	ck_assert_uint_ge(lab.tries, 2);
	ck_assert_uint_eq(lab.len, 5);
	ck_assert_mem_eq(back, "hello", 5);
	server_fault(lab.server, (struct fault){ FAULT_HANG, .method = "PUT", .count = 1 });
	ck_assert_int_eq(lab_call(&lab, put, STALL_MS), 0);
	ck_assert_uint_ge(lab.tries, 2);
	ck_assert(lab_holds(&lab, "l", "hello", 5));
	ck_assert_uint_eq(server_faults(lab.server), 2);
	lab_close(&lab);
}
END_TEST

/* On a machine that stood still all the time it had, a request was not even sent. */
static bool never_came(struct lab *lab, int err, unsigned faults_before)
{
	return err == -ETIMEDOUT && server_faults(lab->server) == faults_before;
}

/* What does not end ends at the deadline at the latest, with its own error. */
START_TEST(lasting_faults)
{
	static const struct {
		struct fault fault;
		int get, put;
	} list[] = {
		{ { FAULT_RESET, .count = 0 }, -ECONNRESET, ERR_UNCERTAIN },
		{ { FAULT_HANG, .count = 0 }, -ETIMEDOUT, ERR_UNCERTAIN },
		{ { FAULT_TRUNCATE, .method = "GET" }, -ECONNRESET, 0 },
		{ { FAULT_STALL, .method = "GET" }, -ETIMEDOUT, 0 },
		{ { FAULT_SPOIL_UPLOAD, .method = "PUT" }, 0, -EIO },
		{ { FAULT_WRONG_CHECKSUM, .method = "PUT" }, 0, -EIO },
		{ { FAULT_STATUS, .status = 500 }, -EIO, ERR_UNCERTAIN },
		{ { FAULT_STATUS, .status = 503, .code = "SlowDown" }, -EBUSY, -EBUSY },
		{ { FAULT_STATUS, .status = 403, .code = "RequestTimeTooSkewed" },
		  -EACCES,
		  -EACCES },
		{ { FAULT_STATUS, .status = 400, .code = "ExpiredToken" }, -EACCES, -EACCES },
		{ { FAULT_STATUS, .status = 403, .code = "AccessDenied" }, -EACCES, -EACCES },
		{ { FAULT_STATUS, .status = 507 }, -ENOSPC, -ENOSPC },
		{ { FAULT_WRONG_PART, .method = "GET" }, -EPROTO, 0 },
		{ { FAULT_GARBAGE, .count = 0 }, -EPROTO, ERR_UNCERTAIN },
		{ { FAULT_STATUS, .status = 503, .headers = "Retry-After: 1000\r\n" },
		  -EBUSY,
		  -EBUSY },
	};
	struct lab lab;

	open_with_object(&lab);
	lab.settings.attempts = 2;
	lab_client(&lab, lab_find);
	for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
		struct s3_request r = {
			.verb = S3_PUT, .key = "put", .body = bytes, .body_len = LEN
		};
		/* Only what never answers has the deadline to wait for; who is to be asked again later than that is not. */
		int64_t long_ms = list[i].fault.headers ? 50000 : UNIT_PATIENCE_MS;
		int64_t get_ms = list[i].get == -ETIMEDOUT ? 1500 : long_ms;
		int64_t put_ms = list[i].fault.kind == FAULT_HANG ? 1500 : long_ms;
		int64_t began = time_mono_ns();
		unsigned faults;
		int got, put;

		server_fault(lab.server, list[i].fault);
		got = get_all(&lab, get_ms);
		if (!got)
			check_all(&lab);
		faults = server_faults(lab.server);
		put = lab_call(&lab, r, put_ms);
		ck_assert_msg(got == list[i].get, "get with fault %zu: %s", i, err_text(got));
		ck_assert_msg(put == list[i].put || never_came(&lab, put, faults),
			      "put with fault %zu: %s", i, err_text(put));
		ck_assert_int_lt(time_mono_ns() - began, UNIT_PATIENCE_NS / 2);
		server_heal(lab.server);
	}
	lab_close(&lab);
}
END_TEST

/* Bits that turn on the way are for those above to find; lengths are not wrong. */
START_TEST(corrupted_body)
{
	struct lab lab;

	open_with_object(&lab);
	server_fault(lab.server, (struct fault){ FAULT_CORRUPT, .method = "GET", .count = 1 });
	ck_assert_int_eq(get_all(&lab, UNIT_PATIENCE_MS), 0);
	ck_assert_uint_eq(lab.len, LEN);
	ck_assert_mem_ne(back, bytes, LEN);
	lab_close(&lab);
}
END_TEST

START_TEST(a_server_without_ranges)
{
	struct s3_request stat = { .verb = S3_STAT, .key = "k" };
	struct lab lab;

	open_with_object(&lab);
	server_fault(lab.server, (struct fault){ FAULT_NO_RANGE, .method = "GET" });
	ck_assert_int_eq(get_all(&lab, UNIT_PATIENCE_MS), 0);
	check_all(&lab);
	memset(back, 0xee, sizeof back);
	ck_assert_int_eq(lab_get(&lab, "k", back, 1000, 20000), 0);
	ck_assert_uint_eq(lab.len, 1000);
	ck_assert_uint_eq(lab.size, LEN);
	ck_assert_mem_eq(back, bytes + 20000, 1000);
	ck_assert_uint_eq(back[1000], 0xee);
	ck_assert_int_eq(lab_get(&lab, "k", back, 1000, LEN - 10), 0);
	ck_assert_uint_eq(lab.len, 10);
	ck_assert_int_eq(lab_call(&lab, stat, UNIT_PATIENCE_MS), 0);
	ck_assert_uint_eq(lab.size, LEN);
	lab_close(&lab);
}
END_TEST

START_TEST(a_server_that_goes_and_comes)
{
	struct lab lab;

	open_with_object(&lab);
	lab.settings.attempts = 2;
	lab_client(&lab, lab_find);
	server_pause(lab.server);
	ck_assert_int_eq(get_all(&lab, UNIT_PATIENCE_MS), -ECONNREFUSED);
	ck_assert_ptr_nonnull(strstr(buf_str(&lab.why), "s3://bucket/k: GET: "));
	ck_assert_int_eq(lab_call(&lab,
				  (struct s3_request){
					  .verb = S3_PUT, .key = "p", .body = "x", .body_len = 1 },
				  UNIT_PATIENCE_MS),
			 -ECONNREFUSED);
	server_resume(lab.server);
	ck_assert_int_eq(get_all(&lab, UNIT_PATIENCE_MS), 0);
	check_all(&lab);
	lab_close(&lab);
}
END_TEST

/* No key in a bucket that is gone is no answer to whether the key is there. */
START_TEST(a_bucket_that_goes_and_comes)
{
	struct s3_request stat = { .verb = S3_STAT, .key = "k" };
	struct lab lab;

	open_with_object(&lab);
	server_set_bucket(lab.server, false);
	ck_assert_int_eq(get_all(&lab, UNIT_PATIENCE_MS), -ENODEV);
	ck_assert_int_eq(lab_call(&lab, stat, UNIT_PATIENCE_MS), -ENODEV);
	ck_assert_int_eq(lab_put(&lab, "p", "x", 1), -ENODEV);
	ck_assert_str_eq(lab.code, "NoSuchBucket");
	ck_assert_uint_eq(lab.tries, 1);
	server_set_bucket(lab.server, true);
	ck_assert_int_eq(get_all(&lab, UNIT_PATIENCE_MS), 0);
	check_all(&lab);
	lab_close(&lab);
}
END_TEST

/* A lost reply to a put with a condition: the next try meets what the first one wrote. */
START_TEST(uncertain_condition)
{
	struct s3_request r = { S3_PUT, "c", .body = "x", .body_len = 1, .if_absent = true };
	struct lab lab;

	open_with_object(&lab);
	server_fault(lab.server, (struct fault){ FAULT_LOST_REPLY, .method = "PUT", .count = 1 });
	ck_assert_int_eq(lab_call(&lab, r, UNIT_PATIENCE_MS), ERR_UNCERTAIN);
	ck_assert(lab_holds(&lab, "c", "x", 1));
	/* What is there came from us, and the server's checksum says that it is not what was sent. */
	server_fault(lab.server,
		     (struct fault){ FAULT_WRONG_CHECKSUM, .method = "PUT", .count = 1 });
	r.key = "d";
	ck_assert_int_eq(lab_call(&lab, r, UNIT_PATIENCE_MS), ERR_UNCERTAIN);
	lab_close(&lab);
}
END_TEST

UNIT_MAIN("s3/client-fault", 120, passing_faults_of_reading, passing_faults_of_writing, stalls,
	  lasting_faults, corrupted_body, a_server_without_ranges, a_server_that_goes_and_comes,
	  a_bucket_that_goes_and_comes, uncertain_condition)
