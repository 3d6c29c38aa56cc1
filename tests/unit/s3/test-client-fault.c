/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * backend/s3/client.h, against a server that goes wrong: whatever it does, nothing wrong is returned, every
 * deadline is kept, and every request is told of once.
 */
#include "config.h"

#include "s3-unit.h"
#include "backend/s3/keeper.h"
#include "util/cleanup.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <sys/socket.h>

enum { LEN = 60000 };

static uint8_t bytes[LEN], back[LEN + 1];

static void open_with_object(struct lab *lab)
{
	for (size_t i = 0; i < LEN; i++)
		bytes[i] = (uint8_t)(i * 31 + (i >> 8));
	lab_open(lab);
	ck_assert_int_eq(lab_put(lab, "k", bytes, LEN), 0);
}

static int get_all(struct lab *lab, int64_t ms)
{
	memset(back, 0xee, sizeof back);
	return lab_call(
		lab,
		(struct s3_request){
			.verb = S3_GET, .key = "k", .into = back, .into_size = sizeof back },
		ms);
}

static void check_all(const struct lab *lab)
{
	ck_assert_uint_eq(lab->len, LEN);
	ck_assert_mem_eq(back, bytes, LEN);
}

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
		err = get_all(&lab, 30000);
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

/* Nothing more comes: another try is made long before the deadline. (The speed is that of five seconds.) */
START_TEST(stalls)
{
	int64_t began = time_mono_ns();
	struct lab lab;

	lab_open(&lab);
	ck_assert_int_eq(lab_put(&lab, "k", "hello", 5), 0);
	server_fault(lab.server, (struct fault){ FAULT_STALL, .method = "GET", .count = 1 });
	ck_assert_int_eq(lab_get(&lab, "k", back, sizeof back, 0), 0);
	ck_assert_uint_eq(lab.tries, 2);
	ck_assert_uint_eq(lab.len, 5);
	ck_assert_mem_eq(back, "hello", 5);
	server_fault(lab.server, (struct fault){ FAULT_HANG, .method = "PUT", .count = 1 });
	ck_assert_int_eq(lab_put(&lab, "l", "hello", 5), 0);
	ck_assert_uint_eq(lab.tries, 2);
	ck_assert(lab_holds(&lab, "l", "hello", 5));
	ck_assert_int_lt(time_mono_ns() - began, 25 * TIME_NS_PER_S);
	lab_close(&lab);
}
END_TEST

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
		/* Only what never answers has the deadline to wait for. */
		int64_t get_ms = list[i].get == -ETIMEDOUT ? 1500 : 20000;
		int64_t put_ms = list[i].fault.kind == FAULT_HANG ? 1500 : 20000;
		int64_t began = time_mono_ns();
		int got, put;

		server_fault(lab.server, list[i].fault);
		got = get_all(&lab, get_ms);
		if (!got)
			check_all(&lab);
		put = lab_call(&lab, r, put_ms);
		ck_assert_msg(got == list[i].get, "get with fault %zu: %s", i, err_text(got));
		ck_assert_msg(put == list[i].put, "put with fault %zu: %s", i, err_text(put));
		ck_assert_int_lt(time_mono_ns() - began, 15 * TIME_NS_PER_S);
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
	ck_assert_int_eq(get_all(&lab, 9000), 0);
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
	ck_assert_int_eq(get_all(&lab, 9000), 0);
	check_all(&lab);
	memset(back, 0xee, sizeof back);
	ck_assert_int_eq(lab_get(&lab, "k", back, 1000, 20000), 0);
	ck_assert_uint_eq(lab.len, 1000);
	ck_assert_uint_eq(lab.size, LEN);
	ck_assert_mem_eq(back, bytes + 20000, 1000);
	ck_assert_uint_eq(back[1000], 0xee);
	ck_assert_int_eq(lab_get(&lab, "k", back, 1000, LEN - 10), 0);
	ck_assert_uint_eq(lab.len, 10);
	ck_assert_int_eq(lab_call(&lab, stat, 9000), 0);
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
	ck_assert_int_eq(get_all(&lab, 20000), -ECONNREFUSED);
	ck_assert_ptr_nonnull(strstr(buf_str(&lab.why), "s3://bucket/k: GET: "));
	ck_assert_int_eq(lab_call(&lab,
				  (struct s3_request){
					  .verb = S3_PUT, .key = "p", .body = "x", .body_len = 1 },
				  20000),
			 -ECONNREFUSED);
	server_resume(lab.server);
	ck_assert_int_eq(get_all(&lab, 9000), 0);
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
	ck_assert_int_eq(get_all(&lab, 9000), -ENODEV);
	ck_assert_int_eq(lab_call(&lab, stat, 9000), -ENODEV);
	ck_assert_int_eq(lab_put(&lab, "p", "x", 1), -ENODEV);
	ck_assert_str_eq(lab.code, "NoSuchBucket");
	ck_assert_uint_eq(lab.tries, 1);
	server_set_bucket(lab.server, true);
	ck_assert_int_eq(get_all(&lab, 9000), 0);
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
	ck_assert_int_eq(lab_call(&lab, r, 9000), ERR_UNCERTAIN);
	ck_assert(lab_holds(&lab, "c", "x", 1));
	/* What is there came from us, and the server's checksum says that it is not what was sent. */
	server_fault(lab.server,
		     (struct fault){ FAULT_WRONG_CHECKSUM, .method = "PUT", .count = 1 });
	r.key = "d";
	ck_assert_int_eq(lab_call(&lab, r, 9000), ERR_UNCERTAIN);
	lab_close(&lab);
}
END_TEST

struct ended {
	atomic_uint count;
	atomic_int err;
};

static void note_end(void *arg, const struct s3_reply *reply)
{
	struct ended *e = arg;

	e->err = reply->err;
	e->count++;
}

static void submit_get(struct lab *lab, int64_t ms, struct ended *ended, uint64_t *ticket)
{
	struct s3_request r = { .verb = S3_GET,
				.key = "k",
				.into = back,
				.into_size = sizeof back,
				.deadline_ns = time_mono_ns() + ms * TIME_NS_PER_MS,
				.done = note_end,
				.arg = ended };

	ck_assert_int_eq(s3_client_submit(lab->client, &r, ticket), 0);
}

static void wait_for_end(struct ended *e, unsigned count)
{
	int64_t until = time_mono_ns() + 20 * TIME_NS_PER_S;

	while (e->count < count && time_mono_ns() < until)
		usleep(1000);
	ck_assert_uint_eq(e->count, count);
}

START_TEST(cancelled)
{
	struct ended first = { 0 }, second = { 0 };
	uint64_t a, b;
	struct lab lab;

	open_with_object(&lab);
	lab.settings.connections = 1;
	lab_client(&lab, lab_find);
	server_fault(lab.server, (struct fault){ FAULT_HANG, .method = "GET", .count = 1 });
	/* One runs into nothing, one waits behind it. */
	submit_get(&lab, 60000, &first, &a);
	submit_get(&lab, 60000, &second, &b);
	while (server_faults(lab.server) == 0)
		usleep(1000);
	s3_client_cancel(lab.client, b);
	wait_for_end(&second, 1);
	ck_assert_int_eq(second.err, -ECANCELED);
	ck_assert_uint_eq(first.count, 0);
	s3_client_cancel(lab.client, a);
	wait_for_end(&first, 1);
	ck_assert_int_eq(first.err, -ECANCELED);
	/* It is over, and so is nothing's. */
	s3_client_cancel(lab.client, a);
	s3_client_cancel(lab.client, 12345);
	ck_assert_int_eq(get_all(&lab, 9000), 0);
	check_all(&lab);
	lab_close(&lab);
}
END_TEST

/* The client's end is the end of all that is under way, waits to be tried again, or waits for its turn. */
START_TEST(freed_in_the_middle)
{
	struct ended ended = { 0 };
	int64_t began;
	struct lab lab;

	open_with_object(&lab);
	lab.settings.connections = 3;
	lab_client(&lab, lab_find);
	server_fault(lab.server, (struct fault){ FAULT_STATUS, .count = 1, .status = 503,
						 .headers = "Retry-After: 30\r\n" });
	server_fault(lab.server, (struct fault){ .kind = FAULT_HANG });
	for (int i = 0; i < 10; i++)
		submit_get(&lab, 60000, &ended, NULL);
	while (server_faults(lab.server) < 3)
		usleep(1000);
	began = time_mono_ns();
	s3_client_free(lab.client);
	lab.client = NULL;
	ck_assert_uint_eq(ended.count, 10);
	ck_assert_int_eq(ended.err, -ECANCELED);
	ck_assert_int_lt(time_mono_ns() - began, 5 * TIME_NS_PER_S);
	lab_close(&lab);
}
END_TEST

/* Those in line keep their deadline, too. */
START_TEST(deadline_in_line)
{
	struct ended first = { 0 }, second = { 0 };
	int64_t began = time_mono_ns();
	struct lab lab;

	open_with_object(&lab);
	lab.settings.connections = 1;
	lab.settings.stall_s = 30;
	lab_client(&lab, lab_find);
	server_fault(lab.server, (struct fault){ FAULT_HANG, .method = "GET" });
	submit_get(&lab, 1000, &first, NULL);
	submit_get(&lab, 300, &second, NULL);
	wait_for_end(&second, 1);
	ck_assert_int_eq(second.err, -ETIMEDOUT);
	ck_assert_uint_eq(first.count, 0);
	wait_for_end(&first, 1);
	ck_assert_int_eq(first.err, -ETIMEDOUT);
	ck_assert_int_lt(time_mono_ns() - began, 10 * TIME_NS_PER_S);
	lab_close(&lab);
}
END_TEST

/* A search for credentials that does not end holds up nobody's deadline, nor the client's end. */
static int find_never(const char *profile, const bool *stop, struct s3_credentials *out,
		      struct buf *why)
{
	(void)profile;
	(void)out;
	(void)why;
	while (!__atomic_load_n(stop, __ATOMIC_RELAXED))
		usleep(1000);
	return -ECANCELED;
}

START_TEST(credentials_that_do_not_come)
{
	CLEANUP_BUF struct buf url = BUF_INIT;
	int64_t began = time_mono_ns();
	struct lab lab;

	open_with_object(&lab);
	lab_client(&lab, find_never);
	ck_assert_int_eq(get_all(&lab, 300), -ETIMEDOUT);
	ck_assert_int_eq(
		s3_client_presign(lab.client, "k", 60, time_mono_ns() + 300 * TIME_NS_PER_MS, &url),
		-ETIMEDOUT);
	ck_assert_int_lt(time_mono_ns() - began, 5 * TIME_NS_PER_S);
	lab_close(&lab);
}
END_TEST

/* A place from which nothing comes back, not even a refusal. */
START_TEST(nobody_there)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof address;
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	int64_t began = time_mono_ns();
	struct lab lab;
	char url[64];

	lab_open(&lab);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, len), 0);
	ck_assert_int_eq(listen(fd, 1), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	snprintf(url, sizeof url, "http://127.0.0.1:%d", ntohs(address.sin_port));
	ck_assert_int_eq(s3_settings_endpoint(&lab.settings, url, &lab.why), 0);
	lab_client(&lab, lab_find);
	ck_assert_int_eq(get_all(&lab, 700), -ETIMEDOUT);
	/* Where nobody speaks TLS, nobody is trusted. */
	snprintf(url, sizeof url, "https://%s", server_url(lab.server) + 7);
	ck_assert_int_eq(s3_settings_endpoint(&lab.settings, url, &lab.why), 0);
	lab_client(&lab, lab_find);
	ck_assert_int_eq(get_all(&lab, 20000), -EPROTO);
	ck_assert_int_lt(time_mono_ns() - began, 15 * TIME_NS_PER_S);
	close(fd);
	lab_close(&lab);
}
END_TEST

/* Asked to slow down, the client has fewer requests under way; good answers bring them back. */
START_TEST(slowing_down)
{
	enum { COUNT = 60 };
	struct ended ended = { 0 };
	struct lab lab;

	open_with_object(&lab);
	server_fault(lab.server,
		     (struct fault){ FAULT_STATUS, .count = 8, .status = 503, .code = "SlowDown" });
	for (int i = 0; i < COUNT; i++) {
		struct s3_request r = { .verb = S3_STAT,
					.key = "k",
					.deadline_ns = time_mono_ns() + 60 * TIME_NS_PER_S,
					.done = note_end,
					.arg = &ended };

		ck_assert_int_eq(s3_client_submit(lab.client, &r, NULL), 0);
	}
	wait_for_end(&ended, COUNT);
	ck_assert_int_eq(ended.err, 0);
	ck_assert_uint_eq(server_faults(lab.server), 8);
	lab_close(&lab);
}
END_TEST

UNIT_MAIN("s3/client-fault", 120, passing_faults_of_reading, passing_faults_of_writing, stalls,
	  lasting_faults, corrupted_body, a_server_without_ranges, a_server_that_goes_and_comes,
	  a_bucket_that_goes_and_comes, uncertain_condition, cancelled, freed_in_the_middle,
	  deadline_in_line, credentials_that_do_not_come, nobody_there, slowing_down)
