/* SPDX-License-Identifier: GPL-3.0-or-later */
/* backend/s3/settings.h */
#include "config.h"

#include "../unit.h"
#include "backend/s3/settings.h"
#include "util/cleanup.h"

#include <errno.h>
#include <string.h>

START_TEST(urls)
{
	static const struct {
		const char *url, *bucket, *prefix, *shown;
	} good[] = {
		{ "s3://bucket", "bucket", "", "s3://bucket" },
		{ "s3://bucket/", "bucket", "", "s3://bucket" },
		{ "s3://my.bucket-1/a/b", "my.bucket-1", "a/b", "s3://my.bucket-1/a/b" },
		{ "s3://Old_Bucket/a b\xc3\xa4/", "Old_Bucket", "a b\xc3\xa4",
		  "s3://Old_Bucket/a b\xc3\xa4" },
	};
	static const char *const bad[] = { "",
					   "bucket",
					   "http://bucket",
					   "s3:bucket",
					   "s3://",
					   "s3:///a",
					   "s3://ab",
					   "s3://b b b",
					   "s3://-bucket",
					   "s3://b?b=c",
					   "s3://bucket//a",
					   "s3://bucket/a//",
					   "s3://bucket//",
					   "s3://bucket/a//b",
					   "s3://bucket/.",
					   "s3://bucket/a/../b",
					   "s3://bucket/a\nb",
					   "s3://bucket/\xff" };
	struct s3_settings s = { 0 };

	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		CLEANUP_BUF struct buf text = BUF_INIT;

		ck_assert_int_eq(s3_settings_url(&s, good[i].url, &text), 0);
		ck_assert_str_eq(s.bucket, good[i].bucket);
		ck_assert_str_eq(s.prefix, good[i].prefix);
		ck_assert_int_eq(s3_settings_show(&s, &text), 0);
		ck_assert_str_eq(buf_str(&text), good[i].shown);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		CLEANUP_BUF struct buf why = BUF_INIT;

		ck_assert_int_eq(s3_settings_url(&s, bad[i], &why), -EINVAL);
		ck_assert_uint_gt(why.len, 0);
		ck_assert_str_eq(s.bucket, "Old_Bucket");
	}
	s3_settings_release(&s);
}
END_TEST

START_TEST(words)
{
	CLEANUP_BUF struct buf why = BUF_INIT;
	struct s3_settings s = { 0 };

	ck_assert_int_eq(s3_settings_endpoint(&s, "http://127.0.0.1:9000/", &why), 0);
	ck_assert_str_eq(s.endpoint, "http://127.0.0.1:9000");
	ck_assert_int_eq(s3_settings_endpoint(&s, "ftp://host", &why), -EINVAL);
	ck_assert_int_eq(s3_settings_endpoint(&s, "host:9000", &why), -EINVAL);
	ck_assert_int_eq(s3_settings_endpoint(&s, "http://", &why), -EINVAL);
	ck_assert_int_eq(s3_settings_endpoint(&s, "http://host/path", &why), -EINVAL);
	ck_assert_int_eq(s3_settings_endpoint(&s, "http://user@host", &why), -EINVAL);
	ck_assert_str_eq(s.endpoint, "http://127.0.0.1:9000");
	ck_assert_int_eq(s3_settings_style(&s, "host"), 0);
	ck_assert_int_eq(s.style, S3_STYLE_HOST);
	ck_assert_str_eq(s3_settings_style_word(s.style), "host");
	ck_assert_int_eq(s3_settings_style(&s, "vhost"), -EINVAL);
	ck_assert_int_eq(s3_settings_sse(&s, "AES256"), 0);
	ck_assert_str_eq(s.sse, "AES256");
	ck_assert_int_eq(s3_settings_sse(&s, "aws:kms:arn:aws:kms:x"), 0);
	ck_assert_str_eq(s.sse, "aws:kms");
	ck_assert_str_eq(s.kms_key, "arn:aws:kms:x");
	ck_assert_int_eq(s3_settings_sse(&s, "aws:kmsx"), -EINVAL);
	ck_assert_int_eq(s3_settings_sse(&s, "aws:kms:a\nb"), -EINVAL);
	ck_assert_int_eq(s3_settings_sse(&s, "rot13"), -EINVAL);
	s3_settings_release(&s);
}
END_TEST

static void check_address(const char *bucket, const char *endpoint, enum s3_style style,
			  const char *url, const char *path, const char *host)
{
	CLEANUP_BUF struct buf a = BUF_INIT;
	CLEANUP_BUF struct buf b = BUF_INIT;
	CLEANUP_BUF struct buf c = BUF_INIT;
	CLEANUP_BUF struct buf why = BUF_INIT;
	struct s3_settings s = { .style = style }, copy;

	ck_assert_int_eq(s3_settings_url(&s, bucket, &why), 0);
	if (endpoint)
		ck_assert_int_eq(s3_settings_endpoint(&s, endpoint, &why), 0);
	ck_assert_int_eq(s3_settings_copy(&s, &copy), 0);
	s3_settings_release(&s);
	ck_assert_int_eq(s3_settings_address(&copy, "eu-west-1", &a, &b, &c), 0);
	ck_assert_str_eq(buf_str(&a), url);
	ck_assert_str_eq(buf_str(&b), path);
	ck_assert_str_eq(buf_str(&c), host);
	s3_settings_release(&copy);
}

START_TEST(addresses)
{
	check_address("s3://bucket/p", NULL, S3_STYLE_AUTO,
		      "https://bucket.s3.eu-west-1.amazonaws.com", "",
		      "bucket.s3.eu-west-1.amazonaws.com");
	/* No certificate is good for a name with another dot. */
	check_address("s3://my.bucket", NULL, S3_STYLE_AUTO,
		      "https://s3.eu-west-1.amazonaws.com/my.bucket", "/my.bucket",
		      "s3.eu-west-1.amazonaws.com");
	check_address("s3://bucket", "http://h:9000", S3_STYLE_AUTO, "http://h:9000/bucket",
		      "/bucket", "h:9000");
	check_address("s3://bucket", "http://h:9000", S3_STYLE_HOST, "http://bucket.h:9000", "",
		      "bucket.h:9000");
	/* The port that the scheme means anyway is not sent, nor signed. */
	check_address("s3://bucket", "https://h:443", S3_STYLE_PATH, "https://h/bucket", "/bucket",
		      "h");
	check_address("s3://bucket", "http://h:443", S3_STYLE_PATH, "http://h:443/bucket",
		      "/bucket", "h:443");
}
END_TEST

UNIT_MAIN("s3/settings", 10, urls, words, addresses)
