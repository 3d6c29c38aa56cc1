/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What comes from S3 servers, from the endpoints that give out credentials and from the AWS tools' files: read, or
 * refused; and what was read is as it is promised.
 */
#include "config.h"

#include "backend/s3/credentials.h"
#include "backend/s3/profile.h"
#include "backend/s3/settings.h"
#include "backend/s3/xml.h"
#include "fuzz.h"
#include "util/cleanup.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

const struct fuzz_seed fuzz_seeds[] = {
	FUZZ_SEED("<?xml version=\"1.0\"?><ListBucketResult "
		  "xmlns=\"x\"><IsTruncated>true</IsTruncated>"
		  "<Contents><Key>a%2Fb</Key><Size>12</Size></Contents>"
		  "<EncodingType>url</EncodingType></ListBucketResult>"),
	FUZZ_SEED("<Error><Code>SlowDown</Code><Message>less &amp; less</Message>"
		  "<Region>r-1</Region></Error>"),
	FUZZ_SEED("<!DOCTYPE a [<!ENTITY b \"c\">]><Error><Code>&b;</Code></Error>"),
	FUZZ_SEED("[default]\naws_access_key_id = a ; b\n[profile p] # x\ns3 =\n  region = "
		  "n\nregion=r\r\n"),
	FUZZ_SEED("{\"AccessKeyId\":\"a\",\"SecretAccessKey\":\"b\",\"Token\":\"c\","
		  "\"Expiration\":\"2030-01-01T00:00:00Z\"}"),
	FUZZ_SEED("s3://bucket/a/b"),
	FUZZ_SEED("https://host.example:9000/"),
};
const size_t fuzz_seed_count = sizeof(fuzz_seeds) / sizeof(fuzz_seeds[0]);

static int take_key(void *arg, const char *key, uint64_t size)
{
	assert(*key && size <= INT64_MAX);
	return ++*(unsigned *)arg == 100 ? 17 : 0;
}

static void read_xml(const char *text, size_t len)
{
	struct s3_xml_error e;
	unsigned count = 0;
	bool more = false;
	int err = s3_xml_read_page(text, len, take_key, &count, &more);

	assert(err == 0 || err == -EBADMSG || (err == 17 && count == 100));
	assert(err == 0 || !more);
	s3_xml_read_error(text, len, &e);
	assert(strlen(e.code) < sizeof e.code && strlen(e.message) < sizeof e.message);
}

static void read_files(const char *text)
{
	CLEANUP_BUF struct buf value = BUF_INIT;
	int found = s3_profile_value(text, "default", "aws_access_key_id", &value);

	assert(found == (value.len > 0));
	assert(!found || s3_profile_has(text, "default"));
	assert(!strchr(buf_str(&value), '\n'));
}

static void read_credentials(const char *text, size_t len)
{
	struct s3_credentials c = { 0 };
	int err = s3_credentials_read(text, len, &c);

	assert(err == 0 || err == -EINVAL);
	assert(err || (c.id && c.secret));
	s3_credentials_release(&c);
}

/* What was taken shows itself as something that is taken, and as the same. */
static void read_settings(const char *text)
{
	struct s3_settings s = { 0 }, again = { 0 };
	CLEANUP_BUF struct buf why = BUF_INIT;
	CLEANUP_BUF struct buf shown = BUF_INIT;
	int err = s3_settings_url(&s, text, &why);

	assert(err == 0 || (err == -EINVAL && why.len && !s.bucket));
	if (!err) {
		assert(!s3_settings_show(&s, &shown));
		assert(!s3_settings_url(&again, buf_str(&shown), &why));
		assert(!strcmp(s.bucket, again.bucket) && !strcmp(s.prefix, again.prefix));
	}
	err = s3_settings_endpoint(&s, text, &why);
	assert(err == 0 || (err == -EINVAL && !s.endpoint));
	s3_settings_release(&s);
	s3_settings_release(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	CLEANUP_BUF struct buf text = BUF_INIT;
	int err = buf_add(&text, data, len);

	assert(!err);
	read_xml(buf_str(&text), len);
	read_files(buf_str(&text));
	read_credentials(buf_str(&text), len);
	read_settings(buf_str(&text));
	return 0;
}
