/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * AWS Signature Version 4, as S3 wants it (Amazon S3 API Reference, "Authenticating Requests (AWS
 * Signature Version 4)"): the Authorization header and presigned URLs. Pure functions; they know
 * neither clock nor network.
 */
#ifndef BACKEND_S3_SIGN_H
#define BACKEND_S3_SIGN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "util/buf.h"

#define S3_SIGN_EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define S3_SIGN_UNSIGNED "UNSIGNED-PAYLOAD"

enum { S3_SIGN_DATE_LEN = 17, S3_SIGN_PAIRS_MAX = 24, S3_SIGN_EXPIRES_MAX = 7 * 24 * 3600 };

/* A header (name in lower case, value without blanks at its ends) or a parameter of the query. */
struct s3_pair {
	const char *name;
	const char *value;
};

struct s3_sign_key {
	const char *id;
	const char *secret;
	const char *token; /* of a session; NULL: none */
};

/* What is signed. Nothing is taken over. */
struct s3_sign_request {
	const char *method;
	const char *path;            /* encoded, as it is sent: begins with '/' */
	const struct s3_pair *query; /* in any order */
	size_t query_count;
	const struct s3_pair
		*headers; /* all that are to be signed, host among them, in any order */
	size_t header_count;
	const char *payload; /* its SHA-256 in hex, or S3_SIGN_UNSIGNED */
	const char *region;
	const char *service; /* "s3" */
	time_t now;          /* by the server's clock */
};

/* Writes `20130524T000000Z` for the header x-amz-date. */
void s3_sign_date(time_t now, char text[S3_SIGN_DATE_LEN]);

/* Appends TEXT with all but A-Z a-z 0-9 - . _ ~ as %XX; '/' as it is unless SLASH. 0 or -ENOMEM. */
int s3_sign_encode(struct buf *out, const char *text, bool slash);

/*
 * Appends the canonical query: encoded, sorted, joined by '&'; the form in which it is sent, too. 0,
 * -ENOMEM, or -E2BIG for more than S3_SIGN_PAIRS_MAX.
 */
int s3_sign_query(struct buf *out, const struct s3_pair *query, size_t count);

/*
 * Appends the value of the header Authorization. The headers x-amz-date, x-amz-content-sha256 and
 * x-amz-security-token, where the request has them, are among those given. 0, -ENOMEM, -E2BIG, or
 * -EIO when libcrypto refuses.
 */
int s3_sign_header(struct buf *out, const struct s3_sign_request *r, const struct s3_sign_key *key);

/*
 * Appends the query of a presigned URL that holds for EXPIRES seconds: that of R with what the
 * signature adds. R's headers (host at least) must be sent as they are; its payload is commonly
 * S3_SIGN_UNSIGNED. Else as s3_sign_header(), and -EINVAL for a time that S3 does not take.
 */
int s3_sign_presign(struct buf *out, const struct s3_sign_request *r, const struct s3_sign_key *key,
		    unsigned expires);

#endif
