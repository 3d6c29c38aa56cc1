/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which bucket, where it is reached and how: what a person says of it. Read from options or from a
 * configuration, checked here, and turned into the address that requests go to. Holds no secret.
 */
#ifndef BACKEND_S3_SETTINGS_H
#define BACKEND_S3_SETTINGS_H

#include <stdint.h>

#include "util/buf.h"

enum s3_style {
	S3_STYLE_AUTO, /* host style for Amazon's own endpoints, path style for all others */
	S3_STYLE_PATH, /* http://host/bucket/key */
	S3_STYLE_HOST, /* http://bucket.host/key */
};

/* Strings are the struct's own, NULL where nothing was said. Zeroed is empty. */
struct s3_settings {
	char *bucket;
	char *prefix;   /* of every key, without a slash at either end; never NULL with a bucket */
	char *endpoint; /* "https://host[:port]"; NULL: Amazon's of the region */
	char *region;   /* NULL: as the AWS tools find it, else us-east-1 */
	char *profile;  /* of the AWS files; NULL: AWS_PROFILE, else default */
	char *ca_file;  /* certificates to trust instead of the system's */
	char *sse;      /* server-side encryption: "AES256" or "aws:kms" */
	char *kms_key;  /* with aws:kms; NULL: the bucket's own */
	enum s3_style style;
	unsigned connections; /* at most; 0: 16 */
	unsigned stall_s;     /* a transfer below 1 KiB/s for this long has failed; 0: 30 */
	uint64_t send_limit;  /* bytes/s that one connection sends at most; 0: as fast as it goes */
	unsigned attempts;    /* of one request within its deadline; 0: 8 */
};

/*
 * Sets bucket and prefix from `s3://BUCKET[/PREFIX]`. 0; -EINVAL with what is wrong in WHY and S as it
 * was; -ENOMEM.
 */
int s3_settings_url(struct s3_settings *s, const char *url, struct buf *why);

/* Sets the endpoint, without a slash at its end: as s3_settings_url(). */
int s3_settings_endpoint(struct s3_settings *s, const char *url, struct buf *why);

/* Sets the style from `auto`, `path` or `host`. 0 or -EINVAL. */
int s3_settings_style(struct s3_settings *s, const char *word);

/* Sets the encryption from `AES256`, `aws:kms` or `aws:kms:KEY`. 0, -EINVAL, -ENOMEM. */
int s3_settings_sse(struct s3_settings *s, const char *word);

/* The word of a style: "auto", "path", "host". */
const char *s3_settings_style_word(enum s3_style style);

/* Appends `s3://BUCKET[/PREFIX]`. 0 or -ENOMEM. */
int s3_settings_show(const struct s3_settings *s, struct buf *out);

/*
 * Appends what goes before a key in the URL of a request, without a slash at its end, to URL; the
 * part of it that is the path, "" or "/bucket", to PATH; and the host with its port where that is
 * not the scheme's own to HOST. The endpoint follows from REGION where none is set. 0 or -ENOMEM.
 */
int s3_settings_address(const struct s3_settings *s, const char *region, struct buf *url,
			struct buf *path, struct buf *host);

/* Makes *OUT, which is overwritten, a copy of S. 0, or -ENOMEM with *OUT empty. */
int s3_settings_copy(const struct s3_settings *s, struct s3_settings *out);

/* Frees what S holds and makes it empty. */
void s3_settings_release(struct s3_settings *s);

#endif
