/* SPDX-License-Identifier: GPL-3.0-or-later */
/* backend/s3/client.h: requests that are cancelled, have to wait, or get no answer. Each is told of once, by its deadline. */
#include "config.h"

#include "client-unit.h"
#include "util/cleanup.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <sys/socket.h>

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
	int64_t until = time_mono_ns() + UNIT_PATIENCE_NS;

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
	submit_get(&lab, UNIT_PATIENCE_MS, &first, &a);
	submit_get(&lab, UNIT_PATIENCE_MS, &second, &b);
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
	ck_assert_int_eq(get_all(&lab, UNIT_PATIENCE_MS), 0);
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
						 .headers = "Retry-After: 1000\r\n" });
	server_fault(lab.server, (struct fault){ .kind = FAULT_HANG });
	for (int i = 0; i < 10; i++)
		submit_get(&lab, UNIT_PATIENCE_MS, &ended, NULL);
	while (server_faults(lab.server) < 3)
		usleep(1000);
	began = time_mono_ns();
	s3_client_free(lab.client);
	lab.client = NULL;
	ck_assert_uint_eq(ended.count, 10);
	ck_assert_int_eq(ended.err, -ECANCELED);
	ck_assert_int_lt(time_mono_ns() - began, UNIT_PATIENCE_NS / 2);
	lab_close(&lab);
}
END_TEST

/* Those in line keep their deadline, too. */
START_TEST(deadline_in_line)
{
	struct ended first = { 0 }, second = { 0 }, third = { 0 };
	int64_t began = time_mono_ns();
	uint64_t ticket;
	struct lab lab;

	open_with_object(&lab);
	lab.settings.connections = 1;
	lab_client(&lab, lab_find);
	server_fault(lab.server, (struct fault){ FAULT_HANG, .method = "GET" });
	submit_get(&lab, UNIT_PATIENCE_MS, &first, &ticket);
	submit_get(&lab, 300, &second, NULL);
	wait_for_end(&second, 1);
	ck_assert_int_eq(second.err, -ETIMEDOUT);
	ck_assert_uint_eq(first.count, 0);
	/* And who is not in line any more. */
	s3_client_cancel(lab.client, ticket);
	wait_for_end(&first, 1);
	submit_get(&lab, 300, &third, NULL);
	wait_for_end(&third, 1);
	ck_assert_int_eq(third.err, -ETIMEDOUT);
	ck_assert_int_lt(time_mono_ns() - began, UNIT_PATIENCE_NS / 2);
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
	ck_assert_int_lt(time_mono_ns() - began, UNIT_PATIENCE_NS / 2);
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
	ck_assert_int_eq(get_all(&lab, UNIT_PATIENCE_MS), -EPROTO);
	ck_assert_int_lt(time_mono_ns() - began, UNIT_PATIENCE_NS / 2);
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
					.deadline_ns = time_mono_ns() + UNIT_PATIENCE_NS,
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

UNIT_MAIN("s3/client-end", 120, cancelled, freed_in_the_middle, deadline_in_line,
	  credentials_that_do_not_come, nobody_there, slowing_down)
