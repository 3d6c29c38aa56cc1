/* SPDX-License-Identifier: GPL-3.0-or-later */
/* backend/s3/probe.h: what is found, and the advice for the likeliest mistakes. */
#include "config.h"

#include "s3-unit.h"
#include "backend/s3/probe.h"

static void check_probe(struct lab *lab, bool write, int err, const char *failed, const char *why,
			const char *advice)
{
	struct s3_probe p;
	int got = s3_probe_run(lab->client, write, time_mono_ns() + UNIT_PATIENCE_NS, &p);

	ck_assert_msg(got == err, "%s: %s", err_text(got), buf_str(&p.why));
	ck_assert_pstr_eq(p.failed, failed);
	ck_assert_msg(strstr(buf_str(&p.why), why) != NULL, "%s", buf_str(&p.why));
	ck_assert_msg(strstr(buf_str(&p.advice), advice) != NULL, "%s", buf_str(&p.advice));
	ck_assert(failed || (!p.why.len && !p.advice.len));
	s3_probe_release(&p);
}

static void open_lab(struct lab *lab)
{
	lab_open(lab);
	lab->settings.attempts = 2;
	lab_client(lab, lab_find);
}

START_TEST(all_is_well)
{
	struct lab lab;

	open_lab(&lab);
	check_probe(&lab, false, 0, NULL, "", "");
	ck_assert_uint_eq(server_requests(lab.server, "PUT"), 0);
	check_probe(&lab, true, 0, NULL, "", "");
	ck_assert_uint_eq(server_requests(lab.server, "DELETE"), 1);
	ck_assert_int_eq(s3_client_conditional(lab.client), S3_CONDITIONAL_YES);
	server_set_conditional(lab.server, false, false);
	lab_client(&lab, lab_find);
	check_probe(&lab, true, 0, NULL, "", "");
	ck_assert_int_eq(s3_client_conditional(lab.client), S3_CONDITIONAL_NO);
	/* A server that takes the condition and does not keep it. */
	server_set_conditional(lab.server, true, false);
	lab_client(&lab, lab_find);
	check_probe(&lab, true, 0, NULL, "", "");
	ck_assert_int_eq(s3_client_conditional(lab.client), S3_CONDITIONAL_NO);
	lab_close(&lab);
}
END_TEST

START_TEST(mistakes)
{
	struct lab lab;

	open_lab(&lab);
	server_set_bucket(lab.server, false);
	check_probe(&lab, true, -ENODEV, "list", "s3://bucket/chunks/: LIST: 404 NoSuchBucket",
		    "make the bucket");
	server_set_bucket(lab.server, true);
	server_fault(lab.server, (struct fault){ FAULT_STATUS, .method = "PUT", .status = 403,
						 .code = "AccessDenied" });
	check_probe(&lab, true, -EACCES, "write", "PUT: 403 AccessDenied", "PutObject");
	server_heal(lab.server);
	server_fault(lab.server, (struct fault){ FAULT_STATUS, .status = 403,
						 .code = "SignatureDoesNotMatch" });
	check_probe(&lab, true, -EACCES, "list", "SignatureDoesNotMatch", "secret key");
	server_heal(lab.server);
	server_fault(lab.server, (struct fault){ FAULT_CORRUPT, .method = "GET", .skip = 1 });
	check_probe(&lab, true, ERR_CORRUPT, "read", "other bytes", "");
	server_heal(lab.server);
	server_pause(lab.server);
	check_probe(&lab, true, -ECONNREFUSED, "list", "LIST: ", "host and port");
	server_resume(lab.server);
	lab_close(&lab);
}
END_TEST

START_TEST(endpoints)
{
	struct lab lab;
	char url[64];

	open_lab(&lab);
	snprintf(url, sizeof url, "https://%s", server_url(lab.server) + 7);
	ck_assert_int_eq(s3_settings_endpoint(&lab.settings, url, &lab.why), 0);
	lab_client(&lab, lab_find);
	check_probe(&lab, false, -EPROTO, "list", "", "https");
	ck_assert_int_eq(
		s3_settings_endpoint(&lab.settings, "http://no-such-host.invalid", &lab.why), 0);
	lab_client(&lab, lab_find);
	check_probe(&lab, false, -EHOSTUNREACH, "list", "no-such-host.invalid", "--endpoint");
	lab_close(&lab);
}
END_TEST

START_TEST(another_clock)
{
	struct s3_probe p;
	struct lab lab;

	open_lab(&lab);
	server_set_skew(lab.server, 1200);
	ck_assert_int_eq(s3_probe_run(lab.client, true, time_mono_ns() + UNIT_PATIENCE_NS, &p), 0);
	ck_assert_int_gt(p.skew_s, 1100);
	s3_probe_release(&p);
	lab_close(&lab);
}
END_TEST

UNIT_MAIN("s3/probe", 60, all_is_well, mistakes, endpoints, another_clock)
