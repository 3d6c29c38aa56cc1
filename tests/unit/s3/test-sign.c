/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * backend/s3/sign.h, against the examples that AWS publishes: Amazon S3 API Reference, "Signature Calculations
 * for the Authorization Header: Transferring Payload in a Single Chunk" and "Authenticating Requests: Using
 * Query Parameters"; and get-vanilla and others of the Signature Version 4 test suite.
 */
#include "config.h"

#include "../unit.h"
#include "backend/s3/sign.h"
#include "util/cleanup.h"

#include <errno.h>
#include <string.h>

enum { DAY_2013 = 1369353600, MOMENT_2015 = 1440938160 };

static const struct s3_sign_key key_s3 = { "AKIAIOSFODNN7EXAMPLE",
					   "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", NULL };
static const struct s3_sign_key key_suite = { "AKIDEXAMPLE",
					      "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", NULL };

static struct s3_sign_request request(const char *method, const char *path)
{
	return (struct s3_sign_request){ .method = method,
					 .path = path,
					 .payload = S3_SIGN_EMPTY,
					 .region = "us-east-1",
					 .service = "s3",
					 .now = DAY_2013 };
}

static void check_signature(struct s3_sign_request r, const struct s3_sign_key *key,
			    const struct s3_pair *headers, size_t count, const char *wanted)
{
	CLEANUP_BUF struct buf out = BUF_INIT;

	r.headers = headers;
	r.header_count = count;
	ck_assert_int_eq(s3_sign_header(&out, &r, key), 0);
	ck_assert_str_eq(strstr(buf_str(&out), "Signature="), wanted);
}

#define COUNT(list) (sizeof(list) / sizeof(*(list)))

START_TEST(get_object)
{
	const struct s3_pair headers[] = { { "x-amz-date", "20130524T000000Z" },
					   { "range", "bytes=0-9" },
					   { "x-amz-content-sha256", S3_SIGN_EMPTY },
					   { "host", "examplebucket.s3.amazonaws.com" } };
	CLEANUP_BUF struct buf out = BUF_INIT;
	struct s3_sign_request r = request("GET", "/test.txt");

	r.headers = headers;
	r.header_count = COUNT(headers);
	ck_assert_int_eq(s3_sign_header(&out, &r, &key_s3), 0);
	ck_assert_str_eq(
		buf_str(&out),
		"AWS4-HMAC-SHA256 "
		"Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
		"SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,"
		"Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
}
END_TEST

START_TEST(put_object)
{
	static const char hash[] =
		"44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072";
	const struct s3_pair headers[] = { { "date", "Fri, 24 May 2013 00:00:00 GMT" },
					   { "host", "examplebucket.s3.amazonaws.com" },
					   { "x-amz-content-sha256", hash },
					   { "x-amz-date", "20130524T000000Z" },
					   { "x-amz-storage-class", "REDUCED_REDUNDANCY" } };
	struct s3_sign_request r = request("PUT", "/test%24file.text");

	r.payload = hash;
	check_signature(
		r, &key_s3, headers, COUNT(headers),
		"Signature=98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
}
END_TEST

START_TEST(queries)
{
	const struct s3_pair headers[] = { { "host", "examplebucket.s3.amazonaws.com" },
					   { "x-amz-content-sha256", S3_SIGN_EMPTY },
					   { "x-amz-date", "20130524T000000Z" } };
	const struct s3_pair lifecycle[] = { { "lifecycle", "" } };
	const struct s3_pair list[] = { { "prefix", "J" }, { "max-keys", "2" } };
	struct s3_sign_request r = request("GET", "/");

	r.query = lifecycle;
	r.query_count = 1;
	check_signature(
		r, &key_s3, headers, COUNT(headers),
		"Signature=fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
	r.query = list;
	r.query_count = 2;
	check_signature(
		r, &key_s3, headers, COUNT(headers),
		"Signature=34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}
END_TEST

START_TEST(presigned)
{
	const struct s3_pair host = { "host", "examplebucket.s3.amazonaws.com" };
	CLEANUP_BUF struct buf out = BUF_INIT;
	struct s3_sign_request r = request("GET", "/test.txt");
	struct s3_sign_key key = key_s3;

	r.payload = S3_SIGN_UNSIGNED;
	r.headers = &host;
	r.header_count = 1;
	ck_assert_int_eq(s3_sign_presign(&out, &r, &key, 86400), 0);
	ck_assert_str_eq(
		buf_str(&out),
		"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524"
		"%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400"
		"&X-Amz-SignedHeaders=host&X-Amz-Signature="
		"aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
	/* A session's token is one of the parameters, and signed. */
	buf_reset(&out);
	key.token = "a+b/c=";
	ck_assert_int_eq(s3_sign_presign(&out, &r, &key, 1), 0);
	ck_assert_ptr_nonnull(strstr(buf_str(&out), "&X-Amz-Security-Token=a%2Bb%2Fc%3D&"));
	buf_reset(&out);
	ck_assert_int_eq(s3_sign_presign(&out, &r, &key, 0), -EINVAL);
	ck_assert_int_eq(s3_sign_presign(&out, &r, &key, 604801), -EINVAL);
	ck_assert_uint_eq(out.len, 0);
}
END_TEST

START_TEST(test_suite)
{
	const struct s3_pair headers[] = { { "host", "example.amazonaws.com" },
					   { "x-amz-date", "20150830T123600Z" } };
	const struct s3_pair ordered[] = { { "Param2", "value2" }, { "Param1", "value1" } };
	struct s3_sign_request r = request("GET", "/");

	r.service = "service";
	r.now = MOMENT_2015;
	/* get-vanilla, post-vanilla, get-vanilla-query-order-key-case */
	check_signature(
		r, &key_suite, headers, 2,
		"Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
	r.method = "POST";
	check_signature(
		r, &key_suite, headers, 2,
		"Signature=5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b");
	r.method = "GET";
	r.query = ordered;
	r.query_count = 2;
	check_signature(
		r, &key_suite, headers, 2,
		"Signature=b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500");
}
END_TEST

START_TEST(encoding_and_order)
{
	static const struct s3_pair query[] = {
		{ "a-b", "1" }, { "a", "2 3" }, { "a", "1/~" }, { "\xc3\xa4", "" }
	};
	CLEANUP_BUF struct buf out = BUF_INIT;

	/* "a-b=" is below "a=" as text, but the names are what is sorted. */
	ck_assert_int_eq(s3_sign_query(&out, query, COUNT(query)), 0);
	ck_assert_str_eq(buf_str(&out), "%C3%A4=&a=1%2F~&a=2%203&a-b=1");
	buf_reset(&out);
	ck_assert_int_eq(s3_sign_encode(&out, "/a b/+=:@()&\xff", false), 0);
	ck_assert_str_eq(buf_str(&out), "/a%20b/%2B%3D%3A%40%28%29%26%FF");
	buf_reset(&out);
	ck_assert_int_eq(s3_sign_query(&out, NULL, 0), 0);
	ck_assert_str_eq(buf_str(&out), "");
	ck_assert_int_eq(s3_sign_query(&out, query, S3_SIGN_PAIRS_MAX + 1), -E2BIG);
}
END_TEST

START_TEST(dates)
{
	char text[S3_SIGN_DATE_LEN];

	s3_sign_date(DAY_2013, text);
	ck_assert_str_eq(text, "20130524T000000Z");
	s3_sign_date(0, text);
	ck_assert_str_eq(text, "19700101T000000Z");
}
END_TEST

UNIT_MAIN("s3/sign", 10, get_object, put_object, queries, presigned, test_suite, encoding_and_order,
	  dates)
