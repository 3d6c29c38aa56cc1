/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Judging answers: by S3's code where there is one, else by HTTP's status. */
#include "config.h"

#include "backend/s3/retry.h"
#include "util/time.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

/* A request that is off by more than 15 min is refused; HEAD's answer has no code that says so. */
enum { SKEW_SUSPECT_S = 4 * 60, RETRY_AFTER_MAX_S = 60 };

#define DELAY_FIRST_NS (100 * TIME_NS_PER_MS)
#define DELAY_MAX_NS (20 * TIME_NS_PER_S)

struct rule {
	const char *code;
	struct s3_verdict verdict;
};

static const struct rule rules[] = {
	{ "NoSuchKey", { -ENOENT, S3_REMEDY_NONE } },
	{ "NoSuchBucket", { -ENODEV, S3_REMEDY_NONE } },
	{ "AllAccessDisabled", { -EACCES, S3_REMEDY_NONE } },
	{ "SlowDown", { -EBUSY, S3_REMEDY_SLOW } },
	{ "Throttling", { -EBUSY, S3_REMEDY_SLOW } },
	{ "ThrottlingException", { -EBUSY, S3_REMEDY_SLOW } },
	{ "RequestLimitExceeded", { -EBUSY, S3_REMEDY_SLOW } },
	{ "TooManyRequests", { -EBUSY, S3_REMEDY_SLOW } },
	{ "ServiceUnavailable", { -EBUSY, S3_REMEDY_SLOW } },
	{ "RequestTimeTooSkewed", { -EACCES, S3_REMEDY_CLOCK } },
	{ "RequestExpired", { -EACCES, S3_REMEDY_CLOCK } },
	{ "ExpiredToken", { -EACCES, S3_REMEDY_CREDENTIAL } },
	{ "ExpiredTokenException", { -EACCES, S3_REMEDY_CREDENTIAL } },
	{ "TokenRefreshRequired", { -EACCES, S3_REMEDY_CREDENTIAL } },
	{ "InvalidToken", { -EACCES, S3_REMEDY_CREDENTIAL } },
	{ "InvalidAccessKeyId", { -EACCES, S3_REMEDY_CREDENTIAL } },
	{ "RequestTimeout", { -ETIMEDOUT, S3_REMEDY_WAIT } },
	{ "InternalError", { -EIO, S3_REMEDY_WAIT } },
	{ "OperationAborted", { -EIO, S3_REMEDY_WAIT } },
	{ "ConditionalRequestConflict", { -EIO, S3_REMEDY_WAIT } },
	{ "IncompleteBody", { -EIO, S3_REMEDY_WAIT } },
	/* The bytes were good when they were hashed here: the way spoilt them. */
	{ "BadDigest", { -EIO, S3_REMEDY_WAIT } },
	{ "InvalidDigest", { -EIO, S3_REMEDY_WAIT } },
	{ "XAmzContentSHA256Mismatch", { -EIO, S3_REMEDY_WAIT } },
	{ "QuotaExceeded", { -ENOSPC, S3_REMEDY_NONE } },
	{ "NotImplemented", { -EOPNOTSUPP, S3_REMEDY_NONE } },
	{ "PreconditionFailed", { -EEXIST, S3_REMEDY_NONE } },
	{ "InvalidRange", { -ERANGE, S3_REMEDY_NONE } },
};

static struct s3_verdict judge_status(const struct s3_answer *a)
{
	switch (a->status) {
	case 401:
	case 403:
		return (struct s3_verdict){ -EACCES, S3_REMEDY_NONE };
	case 404:
		return (struct s3_verdict){ -ENOENT, S3_REMEDY_NONE };
	case 408:
	case 425:
	case 500:
	case 502:
	case 504:
		return (struct s3_verdict){ -EIO, S3_REMEDY_WAIT };
	case 409:
		return (struct s3_verdict){ -EIO, S3_REMEDY_NONE };
	case 412:
		return (struct s3_verdict){ -EEXIST, S3_REMEDY_NONE };
	case 416:
		return (struct s3_verdict){ -ERANGE, S3_REMEDY_NONE };
	case 429:
	case 503:
		return (struct s3_verdict){ -EBUSY, S3_REMEDY_SLOW };
	case 405:
	case 501:
		return (struct s3_verdict){ -EOPNOTSUPP, S3_REMEDY_NONE };
	case 507:
		return (struct s3_verdict){ -ENOSPC, S3_REMEDY_NONE };
	default:
		return (struct s3_verdict){ -EPROTO, S3_REMEDY_NONE };
	}
}

/* Errors of the way that the next try may not meet. */
static struct s3_verdict judge_way(int err)
{
	switch (err) {
	case -ENOMEM:
	case -ECANCELED:
	case -EPROTO:
	case -EINVAL:
	case -ENOKEY:
		return (struct s3_verdict){ err, S3_REMEDY_NONE };
	default:
		return (struct s3_verdict){ err, S3_REMEDY_WAIT };
	}
}

static bool is_redirect(const struct s3_answer *a)
{
	return a->status == 301 || a->status == 307 || a->status == 400 || a->status == 403;
}

struct s3_verdict s3_retry_judge(const struct s3_answer *a)
{
	if (a->status == 0)
		return judge_way(a->err);
	if (a->status >= 200 && a->status < 300)
		return (struct s3_verdict){ 0, S3_REMEDY_NONE };
	if (a->has_region && is_redirect(a))
		return (struct s3_verdict){ -EPROTO, S3_REMEDY_REGION };
	for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
		if (!strcmp(a->code, rules[i].code))
			return rules[i].verdict;
	if (a->status == 403 && (a->skew_s > SKEW_SUSPECT_S || a->skew_s < -SKEW_SUSPECT_S))
		return (struct s3_verdict){ -EACCES, S3_REMEDY_CLOCK };
	return judge_status(a);
}

int64_t s3_retry_delay_ns(unsigned attempt, uint32_t random, unsigned retry_after_s)
{
	int64_t ceiling = attempt < 8 ? DELAY_FIRST_NS << attempt : DELAY_MAX_NS;
	int64_t asked = (retry_after_s < RETRY_AFTER_MAX_S ? retry_after_s : RETRY_AFTER_MAX_S) *
			TIME_NS_PER_S;
	int64_t delay;

	if (ceiling > DELAY_MAX_NS)
		ceiling = DELAY_MAX_NS;
	delay = (int64_t)((double)ceiling * random / UINT32_MAX);
	return delay > asked ? delay : asked;
}
