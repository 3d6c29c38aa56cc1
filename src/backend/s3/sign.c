/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The three steps of the signature: the canonical request, the string to sign, and an HMAC of it under
 * a key that is derived from secret, day, region and service.
 */
#include "config.h"

#include "backend/s3/sign.h"
#include "util/cleanup.h"
#include "util/hex.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HASH_LEN = 32, DAY_LEN = 8 };

#define ALGORITHM "AWS4-HMAC-SHA256"

void s3_sign_date(time_t now, char text[S3_SIGN_DATE_LEN])
{
	struct tm tm;

	gmtime_r(&now, &tm);
	if (!strftime(text, S3_SIGN_DATE_LEN, "%Y%m%dT%H%M%SZ", &tm))
		*text = '\0';
}

static bool is_unreserved(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '.' || c == '_' || c == '~';
}

int s3_sign_encode(struct buf *out, const char *text, bool slash)
{
	int err = 0;

	for (const char *c = text; *c && !err; c++)
		err = is_unreserved(*c) || (*c == '/' && !slash)
			      ? buf_add_byte(out, (unsigned char)*c)
			      : buf_printf(out, "%%%02X", (unsigned)(unsigned char)*c);
	return err;
}

/* By name, then by value. */
static int compare_texts(const void *a, const void *b)
{
	const char *x = *(char *const *)a, *y = *(char *const *)b;
	size_t n = strcspn(x, "="), m = strcspn(y, "=");
	int order = memcmp(x, y, n < m ? n : m);

	if (order || n != m)
		return order ? order : n < m ? -1 : 1;
	return strcmp(x, y);
}

/* Each parameter is encoded first: the order is that of the encoded bytes. */
static int encode_pair(const struct s3_pair *pair, char **out)
{
	CLEANUP_BUF struct buf text = BUF_INIT;
	int err = s3_sign_encode(&text, pair->name, true);

	if (!err)
		err = buf_add_byte(&text, '=');
	if (!err)
		err = s3_sign_encode(&text, pair->value, true);
	if (!err)
		*out = buf_take(&text, NULL);
	return err;
}

int s3_sign_query(struct buf *out, const struct s3_pair *query, size_t count)
{
	char *texts[S3_SIGN_PAIRS_MAX] = { NULL };
	int err = count > S3_SIGN_PAIRS_MAX ? -E2BIG : 0;

	if (err)
		return err;
	for (size_t i = 0; i < count && !err; i++)
		err = encode_pair(&query[i], &texts[i]);
	if (!err)
		qsort(texts, count, sizeof *texts, compare_texts);
	for (size_t i = 0; i < count && !err; i++)
		err = buf_printf(out, "%s%s", i ? "&" : "", texts[i]);
	for (size_t i = 0; i < count; i++)
		free(texts[i]);
	return err;
}

static int compare_pairs(const void *a, const void *b)
{
	return strcmp(((const struct s3_pair *)a)->name, ((const struct s3_pair *)b)->name);
}

struct canonical {
	struct s3_pair headers[S3_SIGN_PAIRS_MAX]; /* sorted */
	size_t count;
	struct buf names; /* "host;x-amz-date" */
};

static int sort_headers(const struct s3_sign_request *r, struct canonical *c)
{
	int err = 0;

	if (r->header_count > S3_SIGN_PAIRS_MAX)
		return -E2BIG;
	c->count = r->header_count;
	if (c->count)
		memcpy(c->headers, r->headers, c->count * sizeof *c->headers);
	qsort(c->headers, c->count, sizeof *c->headers, compare_pairs);
	for (size_t i = 0; i < c->count && !err; i++)
		err = buf_printf(&c->names, "%s%s", i ? ";" : "", c->headers[i].name);
	return err;
}

/* Appends the value with each run of blanks as one. */
static int add_value(struct buf *out, const char *value)
{
	int err = 0;

	for (const char *c = value; *c && !err; c++)
		if (*c != ' ' || c[1] != ' ')
			err = buf_add_byte(out, (unsigned char)*c);
	return err;
}

static int hash_hex(const struct buf *text, char hex[HEX_TEXT_LEN(HASH_LEN)])
{
	uint8_t hash[HASH_LEN];

	if (!EVP_Digest(buf_str(text), text->len, hash, NULL, EVP_sha256(), NULL))
		return -EIO;
	hex_encode(hash, sizeof hash, hex);
	return 0;
}

static int hash_request(const struct s3_sign_request *r, const char *query,
			const struct canonical *c, char hex[HEX_TEXT_LEN(HASH_LEN)])
{
	CLEANUP_BUF struct buf text = BUF_INIT;
	int err = buf_printf(&text, "%s\n%s\n%s\n", r->method, r->path, query);

	for (size_t i = 0; i < c->count && !err; i++) {
		err = buf_printf(&text, "%s:", c->headers[i].name);
		if (!err)
			err = add_value(&text, c->headers[i].value);
		if (!err)
			err = buf_add_byte(&text, '\n');
	}
	if (!err)
		err = buf_printf(&text, "\n%s\n%s", buf_str(&c->names), r->payload);
	return err ? err : hash_hex(&text, hex);
}

static int hmac(const void *key, size_t key_len, const char *text, size_t len,
		uint8_t out[HASH_LEN])
{
	return HMAC(EVP_sha256(), key, (int)key_len, (const unsigned char *)text, len, out, NULL)
		       ? 0
		       : -EIO;
}

static int derive_key(const struct s3_sign_request *r, const char *secret, const char *day,
		      uint8_t key[HASH_LEN])
{
	CLEANUP_BUF struct buf first = BUF_INIT;
	const char *const steps[] = { r->region, r->service, "aws4_request" };
	int err = buf_printf(&first, "AWS4%s", secret);

	if (!err)
		err = hmac(buf_str(&first), first.len, day, DAY_LEN, key);
	for (size_t i = 0; i < sizeof steps / sizeof *steps && !err; i++)
		err = hmac(key, HASH_LEN, steps[i], strlen(steps[i]), key);
	if (first.data)
		OPENSSL_cleanse(first.data, first.len);
	return err;
}

/* "20130524/us-east-1/s3/aws4_request" */
static int add_scope(struct buf *out, const struct s3_sign_request *r, const char *date)
{
	return buf_printf(out, "%.*s/%s/%s/aws4_request", DAY_LEN, date, r->region, r->service);
}

static int sign(const struct s3_sign_request *r, const char *secret, const char *query,
		const struct canonical *c, char hex[HEX_TEXT_LEN(HASH_LEN)])
{
	CLEANUP_BUF struct buf text = BUF_INIT;
	char date[S3_SIGN_DATE_LEN], request[HEX_TEXT_LEN(HASH_LEN)];
	uint8_t key[HASH_LEN], mac[HASH_LEN];
	int err = hash_request(r, query, c, request);

	s3_sign_date(r->now, date);
	if (!err)
		err = buf_printf(&text, ALGORITHM "\n%s\n", date);
	if (!err)
		err = add_scope(&text, r, date);
	if (!err)
		err = buf_printf(&text, "\n%s", request);
	if (!err)
		err = derive_key(r, secret, date, key);
	if (!err)
		err = hmac(key, sizeof key, buf_str(&text), text.len, mac);
	OPENSSL_cleanse(key, sizeof key);
	if (!err)
		hex_encode(mac, sizeof mac, hex);
	return err;
}

int s3_sign_header(struct buf *out, const struct s3_sign_request *r, const struct s3_sign_key *key)
{
	CLEANUP_BUF struct buf query = BUF_INIT;
	char hex[HEX_TEXT_LEN(HASH_LEN)], date[S3_SIGN_DATE_LEN];
	struct canonical c = { .count = 0 };
	int err = sort_headers(r, &c);

	s3_sign_date(r->now, date);
	if (!err)
		err = s3_sign_query(&query, r->query, r->query_count);
	if (!err)
		err = sign(r, key->secret, buf_str(&query), &c, hex);
	if (!err)
		err = buf_printf(out, ALGORITHM " Credential=%s/", key->id);
	if (!err)
		err = add_scope(out, r, date);
	if (!err)
		err = buf_printf(out, ",SignedHeaders=%s,Signature=%s", buf_str(&c.names), hex);
	buf_release(&c.names);
	return err;
}

/* Adds the parameters of the signature to those of the request. */
static int presign_query(const struct s3_sign_request *r, const struct s3_sign_key *key,
			 struct s3_pair pairs[S3_SIGN_PAIRS_MAX], size_t *count)
{
	*count = r->query_count;
	if (r->query_count + 6 > S3_SIGN_PAIRS_MAX)
		return -E2BIG;
	if (*count)
		memcpy(pairs, r->query, *count * sizeof *pairs);
	pairs[(*count)++] = (struct s3_pair){ "X-Amz-Algorithm", ALGORITHM };
	if (key->token)
		pairs[(*count)++] = (struct s3_pair){ "X-Amz-Security-Token", key->token };
	return 0;
}

int s3_sign_presign(struct buf *out, const struct s3_sign_request *r, const struct s3_sign_key *key,
		    unsigned expires)
{
	CLEANUP_BUF struct buf query = BUF_INIT;
	CLEANUP_BUF struct buf credential = BUF_INIT;
	struct s3_pair pairs[S3_SIGN_PAIRS_MAX];
	char hex[HEX_TEXT_LEN(HASH_LEN)], date[S3_SIGN_DATE_LEN], seconds[16];
	struct canonical c = { .count = 0 };
	size_t count;
	int err;

	if (expires == 0 || expires > S3_SIGN_EXPIRES_MAX)
		return -EINVAL;
	s3_sign_date(r->now, date);
	snprintf(seconds, sizeof seconds, "%u", expires);
	err = sort_headers(r, &c);
	if (!err)
		err = buf_printf(&credential, "%s/", key->id);
	if (!err)
		err = add_scope(&credential, r, date);
	if (!err)
		err = presign_query(r, key, pairs, &count);
	if (!err) {
		pairs[count++] = (struct s3_pair){ "X-Amz-Credential", buf_str(&credential) };
		pairs[count++] = (struct s3_pair){ "X-Amz-Date", date };
		pairs[count++] = (struct s3_pair){ "X-Amz-Expires", seconds };
		pairs[count++] = (struct s3_pair){ "X-Amz-SignedHeaders", buf_str(&c.names) };
		err = s3_sign_query(&query, pairs, count);
	}
	if (!err)
		err = sign(r, key->secret, buf_str(&query), &c, hex);
	if (!err)
		err = buf_printf(out, "%s&X-Amz-Signature=%s", buf_str(&query), hex);
	buf_release(&c.names);
	return err;
}
