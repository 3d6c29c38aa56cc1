/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What an answer of S3 means: the error that it stands for, and what to do about it. And how long to wait
 * before the next try. Pure functions.
 */
#ifndef BACKEND_S3_RETRY_H
#define BACKEND_S3_RETRY_H

#include <stdbool.h>
#include <stdint.h>

enum s3_remedy {
	S3_REMEDY_NONE,       /* the answer is final */
	S3_REMEDY_WAIT,       /* ask again after a while */
	S3_REMEDY_SLOW,       /* the same, and with fewer requests at a time */
	S3_REMEDY_CLOCK,      /* sign with the server's time, ask again */
	S3_REMEDY_CREDENTIAL, /* look for new credentials, ask again */
	S3_REMEDY_REGION,     /* sign for the region that the answer names, ask again */
};

struct s3_verdict {
	int err; /* 0, or the negative error when there is no further try */
	enum s3_remedy remedy;
};

/* What is known of an answer. */
struct s3_answer {
	int status;       /* of HTTP; 0: there was no whole answer */
	int err;          /* negative, with status 0: what happened */
	const char *code; /* of S3; "": none */
	int64_t skew_s;   /* the server's clock less ours; 0 when unknown */
	bool has_region;  /* it names another region than it was asked for */
};

/*
 * Judges an answer. Errors: -ENOENT no such key; -ENODEV no such bucket; -EACCES refused; -EEXIST the
 * condition of a put; -EOPNOTSUPP not implemented; -ENOSPC quota; -EBUSY asked too often; -ERANGE beyond the
 * end; -EPROTO another kind of server or request than expected; -EIO anything else; or A->err.
 */
struct s3_verdict s3_retry_judge(const struct s3_answer *a);

/*
 * Nanoseconds to wait before try number ATTEMPT (1: the second request): RANDOM spread evenly over
 * [0, min(20 s, 100 ms * 2^ATTEMPT)] ("full jitter": AWS Architecture Blog, "Exponential Backoff And
 * Jitter", 2015), at least what the server asked for (RETRY_AFTER_S, 0: nothing).
 */
int64_t s3_retry_delay_ns(unsigned attempt, uint32_t random, unsigned retry_after_s);

#endif
