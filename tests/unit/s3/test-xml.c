/* SPDX-License-Identifier: GPL-3.0-or-later */
/* backend/s3/xml.h */
#include "config.h"

#include "../unit.h"
#include "backend/s3/xml.h"
#include "util/buf.h"
#include "util/cleanup.h"

#include <errno.h>
#include <string.h>

#define HEAD "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
#define PAGE(inside)                                                                               \
	HEAD "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">" inside         \
	     "</ListBucketResult>"
#define KEY(key, size) "<Contents><Key>" key "</Key><Size>" size "</Size></Contents>"

START_TEST(errors)
{
	static const char text[] = HEAD
		"<Error><Code>NoSuchKey</Code><Message>The key &amp; its friends</Message>"
		"<Region>eu-west-1</Region><Endpoint>e.example</Endpoint><HostId/></Error>";
	struct s3_xml_error e;

	s3_xml_read_error(text, strlen(text), &e);
	ck_assert_str_eq(e.code, "NoSuchKey");
	ck_assert_str_eq(e.message, "The key & its friends");
	ck_assert_str_eq(e.region, "eu-west-1");
	ck_assert_str_eq(e.endpoint, "e.example");
	/* Not whole, not XML, nothing at all: nothing is known. */
	for (size_t len = 0; len < strlen(text) - 1; len++) {
		s3_xml_read_error(text, len, &e);
		ck_assert_str_eq(e.code, "");
		ck_assert_str_eq(e.region, "");
	}
	s3_xml_read_error("<html>Bad gateway", 17, &e);
	ck_assert_str_eq(e.code, "");
}
END_TEST

START_TEST(long_errors_are_cut)
{
	CLEANUP_BUF struct buf text = BUF_INIT;
	struct s3_xml_error e;

	buf_add_str(&text, "<Error><Code>");
	for (int i = 0; i < 1000; i++)
		buf_add_byte(&text, 'x');
	buf_add_str(&text, "</Code></Error>");
	s3_xml_read_error(text.data, text.len, &e);
	ck_assert_uint_eq(strlen(e.code), sizeof e.code - 1);
}
END_TEST

struct seen {
	unsigned count, stop_at;
	char key[8][64];
	uint64_t size[8];
};

static int note(void *arg, const char *key, uint64_t size)
{
	struct seen *s = arg;

	ck_assert_uint_lt(s->count, 8);
	snprintf(s->key[s->count], sizeof s->key[0], "%s", key);
	s->size[s->count++] = size;
	return s->count == s->stop_at ? 17 : 0;
}

static int read_page(const char *text, struct seen *seen, bool *more)
{
	*seen = (struct seen){ .stop_at = seen->stop_at };
	return s3_xml_read_page(text, strlen(text), note, seen, more);
}

START_TEST(pages)
{
	struct seen s = { 0 };
	bool more = true;

	ck_assert_int_eq(
		read_page(PAGE("<Name>b</Name><IsTruncated>false</IsTruncated>"), &s, &more), 0);
	ck_assert_uint_eq(s.count, 0);
	ck_assert(!more);
	/* That keys are encoded may be told at the end. */
	ck_assert_int_eq(
		read_page(PAGE(KEY("a%2Fb+c%25", "5") KEY(
				  "x", "9007199254740993") "<IsTruncated>true</IsTruncated>"
							   "<CommonPrefixes><Prefix>p</Prefix></"
							   "CommonPrefixes>"
							   "<EncodingType>url</EncodingType>"),
			  &s, &more),
		0);
	ck_assert(more);
	ck_assert_uint_eq(s.count, 2);
	ck_assert_str_eq(s.key[0], "a/b c%");
	ck_assert_uint_eq(s.size[0], 5);
	ck_assert_uint_eq(s.size[1], UINT64_C(9007199254740993));
	/* Not encoded, with XML's own escapes, and the owner's elements within. */
	ck_assert_int_eq(read_page(PAGE("<Contents><Key>a%2F&lt;&#x41;</Key><Owner><ID>Key</ID>"
					"<Size>7</Size></Owner><Size>1</Size></Contents>"),
				   &s, &more),
			 0);
	ck_assert_str_eq(s.key[0], "a%2F<A");
	ck_assert_uint_eq(s.size[0], 1);
	ck_assert(!more);
	s.stop_at = 1;
	ck_assert_int_eq(read_page(PAGE(KEY("a", "1") KEY("b", "2")), &s, &more), 17);
	ck_assert_uint_eq(s.count, 1);
}
END_TEST

START_TEST(what_is_no_page)
{
	static const char *const bad[] = {
		"",
		"<html></html>",
		HEAD "<Error><Code>x</Code></Error>",
		HEAD "<ListBucketResult>",
		PAGE(KEY("a", "big")),
		PAGE(KEY("a", "-1")),
		PAGE(KEY("", "1")),
		PAGE(KEY("a%2", "1") "<EncodingType>url</EncodingType>"),
		PAGE(KEY("a%zz", "1") "<EncodingType>url</EncodingType>"),
		PAGE(KEY("a%00b", "1") "<EncodingType>url</EncodingType>"),
		HEAD "<!DOCTYPE l [<!ENTITY a \"b\">]><ListBucketResult>&a;</ListBucketResult>",
	};
	bool more = false;

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct seen s = { 0 };

		ck_assert_int_eq(read_page(bad[i], &s, &more), -EBADMSG);
		ck_assert(!more);
	}
}
END_TEST

/* Of a page that is cut off, no key is told. */
START_TEST(half_a_page)
{
	static const char text[] = PAGE(KEY("a", "1") KEY("b", "2"));
	bool more;

	for (size_t len = 0; len < sizeof text - 1; len++) {
		struct seen s = { 0 };

		ck_assert_int_eq(s3_xml_read_page(text, len, note, &s, &more), -EBADMSG);
		ck_assert_uint_eq(s.count, 0);
	}
}
END_TEST

START_TEST(one_text)
{
	static const char text[] = HEAD "<a:R "
					"xmlns:a=\"x\"><a:ETag>&quot;1&quot;</a:ETag><ETag>2</"
					"ETag><Long>123456789</Long></a:R>";
	char out[8] = "as was";

	ck_assert_int_eq(s3_xml_read_text(text, strlen(text), "ETag", out, sizeof out), 0);
	ck_assert_str_eq(out, "\"1\"");
	ck_assert_int_eq(s3_xml_read_text(text, strlen(text), "Long", out, sizeof out), 0);
	ck_assert_str_eq(out, "1234567");
	ck_assert_int_eq(s3_xml_read_text(text, strlen(text), "None", out, sizeof out), -EBADMSG);
	ck_assert_int_eq(s3_xml_read_text(text, 40, "None", out, sizeof out), -EBADMSG);
	ck_assert_int_eq(s3_xml_read_text("", 0, "ETag", out, sizeof out), -EBADMSG);
	ck_assert_str_eq(out, "1234567");
}
END_TEST

UNIT_MAIN("s3/xml", 10, one_text, errors, long_errors_are_cut, pages, what_is_no_page, half_a_page)
