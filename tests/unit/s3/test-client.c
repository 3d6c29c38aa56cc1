/* SPDX-License-Identifier: GPL-3.0-or-later */
/* backend/s3/client.h, against a server that works. */
#include "config.h"

#include "s3-unit.h"
#include "backend/s3/xml.h"
#include "util/cleanup.h"

#include <pthread.h>
#include <stdatomic.h>

START_TEST(objects)
{
	struct lab lab;
	char back[16] = "";

	lab_open(&lab);
	ck_assert_int_eq(lab_get(&lab, "a/b", back, sizeof back, 0), -ENOENT);
	ck_assert_str_eq(lab.code, "NoSuchKey");
	ck_assert_ptr_nonnull(strstr(buf_str(&lab.why), "s3://bucket/a/b: GET: 404 NoSuchKey"));
	ck_assert_int_eq(lab_put(&lab, "a/b", "hello", 5), 0);
	ck_assert(lab_holds(&lab, "a/b", "hello", 5));
	ck_assert_int_eq(lab_get(&lab, "a/b", back, sizeof back, 0), 0);
	ck_assert_uint_eq(lab.len, 5);
	ck_assert_uint_eq(lab.size, 5);
	ck_assert_mem_eq(back, "hello", 5);
	ck_assert_int_eq(lab_get(&lab, "a/b", back, 2, 3), 0);
	ck_assert_uint_eq(lab.len, 2);
	ck_assert_uint_eq(lab.size, 5);
	ck_assert_mem_eq(back, "lo", 2);
	/* From the end on there is nothing, which is no error. */
	ck_assert_int_eq(lab_get(&lab, "a/b", back, 2, 5), 0);
	ck_assert_uint_eq(lab.len, 0);
	ck_assert_int_eq(lab_call(&lab, (struct s3_request){ .verb = S3_STAT, .key = "a/b" },
				  UNIT_PATIENCE_MS),
			 0);
	ck_assert_uint_eq(lab.size, 5);
	ck_assert_int_eq(lab_call(&lab, (struct s3_request){ .verb = S3_DELETE, .key = "a/b" },
				  UNIT_PATIENCE_MS),
			 0);
	ck_assert_int_eq(lab_call(&lab, (struct s3_request){ .verb = S3_DELETE, .key = "a/b" },
				  UNIT_PATIENCE_MS),
			 0);
	ck_assert_int_eq(lab_call(&lab, (struct s3_request){ .verb = S3_STAT, .key = "a/b" },
				  UNIT_PATIENCE_MS),
			 -ENOENT);
	ck_assert_int_eq(lab_get(&lab, "a/b", back, 0, 0), -EINVAL);
	ck_assert_int_eq(lab_get(&lab, "a/b", back, 1, INT64_MAX), -EINVAL);
	lab_close(&lab);
}
END_TEST

START_TEST(below_a_prefix)
{
	struct lab lab;

	lab_open(&lab);
	ck_assert_int_eq(s3_settings_url(&lab.settings, "s3://" SERVER_BUCKET "/my files/\xc3\xa4",
					 &lab.why),
			 0);
	lab_client(&lab, lab_find);
	ck_assert_int_eq(lab_put(&lab, "a b+c", "hello", 5), 0);
	ck_assert(lab_holds(&lab, "my files/\xc3\xa4/a b+c", "hello", 5));
	lab_close(&lab);
}
END_TEST

/* libcurl knows by itself where all names below localhost lead. */
START_TEST(bucket_in_the_host)
{
	CLEANUP_BUF struct buf url = BUF_INIT;
	int64_t deadline = time_mono_ns() + UNIT_PATIENCE_NS;
	struct s3_request list = { .verb = S3_LIST, .key = "" };
	struct lab lab;
	char endpoint[64];

	lab_open(&lab);
	snprintf(endpoint, sizeof endpoint, "http://localhost%s",
		 strrchr(server_url(lab.server), ':'));
	ck_assert_int_eq(s3_settings_endpoint(&lab.settings, endpoint, &lab.why), 0);
	lab.settings.style = S3_STYLE_HOST;
	lab_client(&lab, lab_find);
	ck_assert_int_eq(lab_put(&lab, "a/b", "hello", 5), 0);
	ck_assert(lab_holds(&lab, "a/b", "hello", 5));
	ck_assert_int_eq(lab_call(&lab, list, UNIT_PATIENCE_MS), 0);
	ck_assert_int_eq(s3_client_presign(lab.client, "a/b", 60, deadline, &url), 0);
	ck_assert_ptr_nonnull(strstr(buf_str(&url), "http://" SERVER_BUCKET ".localhost:"));
	lab_close(&lab);
}
END_TEST

/* A region that is wrong, or not said, is the one that the server names. */
START_TEST(region_of_the_answer)
{
	CLEANUP_BUF struct buf region = BUF_INIT;
	struct lab lab;
	unsigned gets;

	lab_open(&lab);
	server_set_region(lab.server, "eu-central-1");
	ck_assert_int_eq(lab_put(&lab, "k", "hello", 5), 0);
	ck_assert_uint_eq(lab.tries, 2);
	ck_assert_int_eq(s3_client_region(lab.client, &region), 0);
	ck_assert_str_eq(buf_str(&region), "eu-central-1");
	gets = server_requests(lab.server, "GET");
	ck_assert_int_eq(lab_call(&lab, (struct s3_request){ .verb = S3_STAT, .key = "k" },
				  UNIT_PATIENCE_MS),
			 0);
	ck_assert_uint_eq(server_requests(lab.server, "GET"), gets + 1);
	lab_close(&lab);
}
END_TEST

START_TEST(clock_of_the_server)
{
	CLEANUP_BUF struct buf url = BUF_INIT;
	static const long skews[] = { 1200, -1200, 100000 };

	for (size_t i = 0; i < sizeof skews / sizeof *skews; i++) {
		int64_t deadline = time_mono_ns() + UNIT_PATIENCE_NS;
		struct lab lab;

		lab_open(&lab);
		server_set_skew(lab.server, skews[i]);
		int64_t began = time_mono_ns();

		ck_assert_int_eq(lab_put(&lab, "k", "hello", 5), 0);
		/* An answer is as old as the way took, and tells whole seconds. */
		ck_assert_int_le(labs(s3_client_skew_s(lab.client) - skews[i]),
				 (time_mono_ns() - began) / TIME_NS_PER_S + 2);
		ck_assert_int_eq(lab_put(&lab, "k", "hello", 5), 0);
		ck_assert_uint_eq(lab.tries, 1);
		ck_assert_int_eq(s3_client_presign(lab.client, "k", 60, deadline, &url), 0);
		lab_close(&lab);
	}
}
END_TEST

/* A session that is renewed on the way. */
static atomic_int session;

static int find_session(const char *profile, const bool *stop, struct s3_credentials *out,
			struct buf *why)
{
	int err = lab_find(profile, stop, out, why);

	out->token = strdup(session ? "new" : "old");
	return err;
}

START_TEST(sessions)
{
	struct lab lab;

	lab_open(&lab);
	lab_client(&lab, find_session);
	server_set_token(lab.server, "old");
	ck_assert_int_eq(lab_put(&lab, "k", "hello", 5), 0);
	ck_assert_uint_eq(lab.tries, 1);
	server_set_token(lab.server, "new");
	session = 1;
	ck_assert_int_eq(lab_put(&lab, "k", "hello", 5), 0);
	ck_assert_uint_eq(lab.tries, 2);
	session = 0;
	server_set_token(lab.server, "newer");
	ck_assert_int_eq(lab_put(&lab, "k", "hello", 5), -EACCES);
	ck_assert_str_eq(lab.code, "ExpiredToken");
	lab_close(&lab);
}
END_TEST

static int find_wrong_secret(const char *profile, const bool *stop, struct s3_credentials *out,
			     struct buf *why)
{
	int err = lab_find(profile, stop, out, why);

	free(out->secret);
	out->secret = strdup("wrong");
	return err;
}

static int find_nothing(const char *profile, const bool *stop, struct s3_credentials *out,
			struct buf *why)
{
	(void)profile;
	(void)stop;
	(void)out;
	buf_add_str(why, "nothing in any pocket");
	return -ENOKEY;
}

START_TEST(wrong_keys)
{
	struct lab lab;

	lab_open(&lab);
	lab_client(&lab, find_wrong_secret);
	ck_assert_int_eq(lab_put(&lab, "k", "hello", 5), -EACCES);
	ck_assert_str_eq(lab.code, "SignatureDoesNotMatch");
	ck_assert_uint_eq(lab.tries, 1);
	lab_client(&lab, find_nothing);
	ck_assert_int_eq(lab_put(&lab, "k", "hello", 5), -ENOKEY);
	ck_assert_ptr_nonnull(
		strstr(buf_str(&lab.why), "s3://bucket/k: PUT: nothing in any pocket"));
	ck_assert(!strstr(buf_str(&lab.why), "secret"));
	lab_close(&lab);
}
END_TEST

struct crowd {
	atomic_uint done, wrong;
};

static void note_done(void *arg, const struct s3_reply *reply)
{
	struct crowd *c = arg;

	c->wrong += reply->err != 0;
	c->done++;
}

START_TEST(many_at_a_time)
{
	enum { COUNT = 300 };
	int64_t deadline = time_mono_ns() + UNIT_PATIENCE_NS;
	struct crowd crowd = { 0 };
	struct lab lab;

	lab_open(&lab);
	lab.settings.connections = 4;
	lab_client(&lab, lab_find);
	for (unsigned i = 0; i < COUNT; i++) {
		char key[16];
		struct s3_request r = { .verb = S3_PUT,
					.key = key,
					.body = "hello",
					.body_len = 5,
					.deadline_ns = deadline,
					.done = note_done,
					.arg = &crowd };

		snprintf(key, sizeof key, "k%u", i);
		ck_assert_int_eq(s3_client_submit(lab.client, &r, NULL), 0);
	}
	while (crowd.done < COUNT && time_mono_ns() < deadline)
		usleep(1000);
	ck_assert_uint_eq(crowd.done, COUNT);
	ck_assert_uint_eq(crowd.wrong, 0);
	ck_assert_uint_le(server_most(lab.server), 4);
	ck_assert(lab_holds(&lab, "k299", "hello", 5));
	lab_close(&lab);
}
END_TEST

struct page {
	unsigned count;
	char first[32], last[32];
	bool more;
};

static int note_key(void *arg, const char *key, uint64_t size)
{
	struct page *p = arg;

	ck_assert_uint_eq(size, 1);
	if (p->count++ == 0)
		snprintf(p->first, sizeof p->first, "%s", key);
	snprintf(p->last, sizeof p->last, "%s", key);
	return 0;
}

static void read_page(void *arg, const struct s3_reply *reply)
{
	struct page *p = arg;

	*p = (struct page){ .count = 0 };
	ck_assert_int_eq(s3_xml_read_page(reply->text, reply->text_len, note_key, p, &p->more), 0);
}

START_TEST(lists)
{
	struct page page;
	struct s3_request r = {
		.verb = S3_LIST, .key = "d/", .max_keys = 2, .done = read_page, .arg = &page
	};
	struct lab lab;

	lab_open(&lab);
	for (const char *c = "abc"; *c; c++) {
		char key[4] = { 'd', '/', *c };

		ck_assert_int_eq(lab_put(&lab, key, "x", 1), 0);
	}
	ck_assert_int_eq(lab_put(&lab, "e", "x", 1), 0);
	r.deadline_ns = time_mono_ns() + UNIT_PATIENCE_NS;
	ck_assert_int_eq(s3_client_call(lab.client, &r, NULL), 0);
	ck_assert_uint_eq(page.count, 2);
	ck_assert_str_eq(page.last, "d/b");
	ck_assert(page.more);
	r.after = "d/b";
	ck_assert_int_eq(s3_client_call(lab.client, &r, NULL), 0);
	ck_assert_uint_eq(page.count, 1);
	ck_assert_str_eq(page.first, "d/c");
	ck_assert(!page.more);
	lab_close(&lab);
}
END_TEST

START_TEST(presigned_urls)
{
	CLEANUP_BUF struct buf url = BUF_INIT;
	int64_t deadline = time_mono_ns() + UNIT_PATIENCE_NS;
	struct s3_http_answer answer;
	bool stop = false;
	struct lab lab;

	lab_open(&lab);
	ck_assert_int_eq(lab_put(&lab, "a b", "hello", 5), 0);
	ck_assert_int_eq(s3_client_presign(lab.client, "a b", 60, deadline, &url), 0);
	ck_assert_int_eq(s3_http_fetch("GET", buf_str(&url), "", UNIT_PATIENCE_MS, &stop, &answer),
			 0);
	ck_assert_int_eq(answer.status, 200);
	ck_assert_str_eq(buf_str(&answer.text), "hello");
	buf_release(&answer.text);
	/* For that object and nothing else. */
	url.data[url.len - 1] ^= 1;
	ck_assert_int_eq(s3_http_fetch("GET", buf_str(&url), "", UNIT_PATIENCE_MS, &stop, &answer),
			 0);
	ck_assert_int_eq(answer.status, 403);
	buf_release(&answer.text);
	ck_assert_int_eq(s3_client_presign(lab.client, "k", 0, deadline, &url), -EINVAL);
	lab_close(&lab);
}
END_TEST

START_TEST(a_client_that_nobody_asked)
{
	struct lab lab;

	lab_open(&lab);
	lab_close(&lab);
	s3_client_free(NULL);
}
END_TEST

UNIT_MAIN("s3/client", 60, objects, below_a_prefix, bucket_in_the_host, region_of_the_answer,
	  clock_of_the_server, sessions, wrong_keys, many_at_a_time, lists, presigned_urls,
	  a_client_that_nobody_asked)
