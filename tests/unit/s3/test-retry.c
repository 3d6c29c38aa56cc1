/* SPDX-License-Identifier: GPL-3.0-or-later */
/* backend/s3/retry.h */
#include "config.h"

#include "../unit.h"
#include "backend/s3/retry.h"
#include "util/time.h"

#include <errno.h>

START_TEST(verdicts)
{
	static const struct {
		struct s3_answer answer;
		struct s3_verdict verdict;
	} list[] = {
		{ { .status = 200, .code = "" }, { 0, S3_REMEDY_NONE } },
		{ { .status = 204, .code = "", .has_region = true }, { 0, S3_REMEDY_NONE } },
		{ { .status = 404, .code = "NoSuchKey" }, { -ENOENT, S3_REMEDY_NONE } },
		{ { .status = 404, .code = "NoSuchBucket" }, { -ENODEV, S3_REMEDY_NONE } },
		{ { .status = 403, .code = "AccessDenied" }, { -EACCES, S3_REMEDY_NONE } },
		{ { .status = 403, .code = "SignatureDoesNotMatch" }, { -EACCES, S3_REMEDY_NONE } },
		{ { .status = 403, .code = "", .skew_s = -1200 }, { -EACCES, S3_REMEDY_CLOCK } },
		{ { .status = 403, .code = "", .skew_s = 30 }, { -EACCES, S3_REMEDY_NONE } },
		{ { .status = 403, .code = "RequestTimeTooSkewed" }, { -EACCES, S3_REMEDY_CLOCK } },
		{ { .status = 400, .code = "ExpiredToken" }, { -EACCES, S3_REMEDY_CREDENTIAL } },
		{ { .status = 403, .code = "InvalidAccessKeyId" },
		  { -EACCES, S3_REMEDY_CREDENTIAL } },
		{ { .status = 301, .code = "PermanentRedirect", .has_region = true },
		  { -EPROTO, S3_REMEDY_REGION } },
		{ { .status = 301, .code = "PermanentRedirect" }, { -EPROTO, S3_REMEDY_NONE } },
		{ { .status = 400, .code = "AuthorizationHeaderMalformed", .has_region = true },
		  { -EPROTO, S3_REMEDY_REGION } },
		{ { .status = 500, .code = "" }, { -EIO, S3_REMEDY_WAIT } },
		{ { .status = 502, .code = "" }, { -EIO, S3_REMEDY_WAIT } },
		{ { .status = 503, .code = "" }, { -EBUSY, S3_REMEDY_SLOW } },
		{ { .status = 503, .code = "SlowDown" }, { -EBUSY, S3_REMEDY_SLOW } },
		{ { .status = 429, .code = "" }, { -EBUSY, S3_REMEDY_SLOW } },
		{ { .status = 400, .code = "RequestTimeout" }, { -ETIMEDOUT, S3_REMEDY_WAIT } },
		{ { .status = 400, .code = "BadDigest" }, { -EIO, S3_REMEDY_WAIT } },
		{ { .status = 400, .code = "InvalidArgument" }, { -EPROTO, S3_REMEDY_NONE } },
		{ { .status = 412, .code = "" }, { -EEXIST, S3_REMEDY_NONE } },
		{ { .status = 416, .code = "" }, { -ERANGE, S3_REMEDY_NONE } },
		{ { .status = 501, .code = "NotImplemented" }, { -EOPNOTSUPP, S3_REMEDY_NONE } },
		{ { .status = 507, .code = "" }, { -ENOSPC, S3_REMEDY_NONE } },
		{ { .status = 403, .code = "QuotaExceeded" }, { -ENOSPC, S3_REMEDY_NONE } },
		{ { .err = -ECONNREFUSED, .code = "" }, { -ECONNREFUSED, S3_REMEDY_WAIT } },
		{ { .err = -ETIMEDOUT, .code = "" }, { -ETIMEDOUT, S3_REMEDY_WAIT } },
		{ { .err = -EPROTO, .code = "" }, { -EPROTO, S3_REMEDY_NONE } },
		{ { .err = -ENOKEY, .code = "" }, { -ENOKEY, S3_REMEDY_NONE } },
		{ { .err = -ECANCELED, .code = "" }, { -ECANCELED, S3_REMEDY_NONE } },
	};

	for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
		struct s3_verdict v = s3_retry_judge(&list[i].answer);

		ck_assert_msg(v.err == list[i].verdict.err && v.remedy == list[i].verdict.remedy,
			      "row %zu: %d %d", i, v.err, (int)v.remedy);
	}
}
END_TEST

START_TEST(delays)
{
	/* All of the range, which doubles up to 20 s. */
	ck_assert_int_eq(s3_retry_delay_ns(1, 0, 0), 0);
	ck_assert_int_eq(s3_retry_delay_ns(1, UINT32_MAX, 0), 200 * TIME_NS_PER_MS);
	ck_assert_int_eq(s3_retry_delay_ns(3, UINT32_MAX, 0), 800 * TIME_NS_PER_MS);
	ck_assert_int_eq(s3_retry_delay_ns(30, UINT32_MAX, 0), 20 * TIME_NS_PER_S);
	ck_assert_int_eq(s3_retry_delay_ns(UINT32_MAX, UINT32_MAX, 0), 20 * TIME_NS_PER_S);
	/* What the server asks for is the least, within reason. */
	ck_assert_int_eq(s3_retry_delay_ns(1, 0, 3), 3 * TIME_NS_PER_S);
	ck_assert_int_eq(s3_retry_delay_ns(9, UINT32_MAX, 3), 20 * TIME_NS_PER_S);
	ck_assert_int_eq(s3_retry_delay_ns(1, 0, 1000000), 60 * TIME_NS_PER_S);
}
END_TEST

UNIT_MAIN("s3/retry", 10, verdicts, delays)
