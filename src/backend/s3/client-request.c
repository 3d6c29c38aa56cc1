/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What is sent: each try is built and signed anew right before it goes out, with the credentials, the
 * region and the time of that moment.
 */
#include "config.h"

#include "backend/s3/client-internal.h"
#include "backend/s3/sign.h"
#include "util/cleanup.h"
#include "util/time.h"

#include <errno.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NUMBER_LEN = 24, MD5_TEXT_LEN = 28 };

/* The parts of a request, in texts that live as long as it is built. */
struct draft {
	struct s3_pair headers[S3_SIGN_PAIRS_MAX], query[S3_SIGN_PAIRS_MAX];
	size_t header_count, query_count;
	struct buf base, path, host, from, after, authorization, query_text;
	struct buf source;
	char range[2 * NUMBER_LEN + 8], keys[NUMBER_LEN], part[NUMBER_LEN], date[S3_SIGN_DATE_LEN];
	char md5[MD5_TEXT_LEN];
};

static void draft_release(struct draft *d)
{
	buf_release(&d->base);
	buf_release(&d->path);
	buf_release(&d->host);
	buf_release(&d->from);
	buf_release(&d->after);
	buf_release(&d->authorization);
	buf_release(&d->query_text);
	buf_release(&d->source);
}

static void add_header(struct draft *d, const char *name, const char *value)
{
	d->headers[d->header_count++] = (struct s3_pair){ name, value };
}

static void add_query(struct draft *d, const char *name, const char *value)
{
	d->query[d->query_count++] = (struct s3_pair){ name, value };
}

/* The prefix and a slash, or nothing. */
static int add_prefix(const struct s3_client *c, struct buf *out)
{
	const char *prefix = c->settings.prefix;

	return *prefix ? buf_printf(out, "%s/", prefix) : 0;
}

int s3_job_path(const struct s3_client *c, const char *key, struct buf *path)
{
	CLEANUP_BUF struct buf whole = BUF_INIT;
	int err = buf_add_byte(path, '/');

	if (!err)
		err = add_prefix(c, &whole);
	if (!err)
		err = buf_add_str(&whole, key);
	return err ? err : s3_sign_encode(path, buf_str(&whole), false);
}

static int draft_list(struct s3_job *job, struct draft *d)
{
	int err = add_prefix(job->client, &d->from);

	job->http.method = "GET";
	if (!err)
		err = buf_add_str(&d->from, job->key);
	if (!err && job->after)
		err = add_prefix(job->client, &d->after);
	if (!err && job->after)
		err = buf_add_str(&d->after, job->after);
	if (err)
		return err;
	snprintf(d->keys, sizeof d->keys, "%u", job->max_keys ? job->max_keys : 1000);
	add_query(d, "list-type", "2");
	add_query(d, "encoding-type", "url");
	add_query(d, "max-keys", d->keys);
	add_query(d, "prefix", buf_str(&d->from));
	if (job->after)
		add_query(d, "start-after", buf_str(&d->after));
	return d->path.len ? 0 : buf_add_byte(&d->path, '/');
}

static void draft_read(struct s3_job *job, struct draft *d)
{
	bool stat = job->verb != S3_GET;
	uint64_t first = stat ? 0 : job->http.into_off;
	uint64_t size = stat ? 1 : job->http.into_size;

	job->http.method = "GET";
	job->http.asks_range = true;
	snprintf(d->range, sizeof d->range, "bytes=%" PRIu64 "-%" PRIu64, first, first + size - 1);
	add_header(d, "range", d->range);
}

static void draft_encryption(struct s3_job *job, struct draft *d)
{
	const struct s3_settings *s = &job->client->settings;

	if (s->sse)
		add_header(d, "x-amz-server-side-encryption", s->sse);
	if (s->kms_key)
		add_header(d, "x-amz-server-side-encryption-aws-kms-key-id", s->kms_key);
}

static void draft_body(struct s3_job *job)
{
	job->http.body = job->body;
	job->http.read = job->read;
	job->http.body_len = job->body_len;
}

static void draft_upload(struct s3_job *job, struct draft *d)
{
	if (!job->upload)
		return;
	add_query(d, "uploadId", job->upload);
	if (!job->part)
		return;
	snprintf(d->part, sizeof d->part, "%u", job->part);
	add_query(d, "partNumber", d->part);
}

/* What is copied has the bucket's own name before it, also where that is in the host. */
static int draft_copy(struct s3_job *job, struct draft *d)
{
	CLEANUP_BUF struct buf whole = BUF_INIT;
	int err = buf_printf(&whole, "/%s/", job->client->settings.bucket);

	job->http.method = "PUT";
	if (!err)
		err = add_prefix(job->client, &whole);
	if (!err)
		err = buf_add_str(&whole, job->source);
	if (!err)
		err = s3_sign_encode(&d->source, buf_str(&whole), false);
	if (err)
		return err;
	add_header(d, "x-amz-copy-source", buf_str(&d->source));
	if (!job->upload)
		draft_encryption(job, d);
	draft_upload(job, d);
	return 0;
}

static void draft_post(struct s3_job *job, struct draft *d)
{
	job->http.method = "POST";
	if (job->verb == S3_END) {
		draft_body(job);
		add_header(d, "content-type", "application/xml");
		draft_upload(job, d);
		return;
	}
	add_query(d, "uploads", "");
	add_header(d, "content-type", "application/octet-stream");
	draft_encryption(job, d);
}

/* A part has no checksum of its own: a server wants one of all parts or of none. The signature has its hash. */
static void draft_put(struct s3_job *job, struct draft *d)
{
	job->http.method = "PUT";
	draft_body(job);
	add_header(d, "content-type", "application/octet-stream");
	draft_upload(job, d);
	if (job->upload)
		return;
	add_header(d, "x-amz-checksum-sha256", job->checksum);
	draft_encryption(job, d);
	if (job->if_absent && job->client->conditional != S3_CONDITIONAL_NO)
		add_header(d, "if-none-match", "*");
}

/* Older servers want an MD5 here. Nothing relies on it, and where the machine is not allowed to make one it is left out. */
static int draft_delete_many(struct s3_job *job, struct draft *d)
{
	unsigned char md5[EVP_MAX_MD_SIZE];

	job->http.method = "POST";
	draft_body(job);
	add_query(d, "delete", "");
	add_header(d, "content-type", "application/xml");
	add_header(d, "x-amz-checksum-sha256", job->checksum);
	if (EVP_Digest(job->body, job->body_len, md5, NULL, EVP_md5(), NULL)) {
		EVP_EncodeBlock((unsigned char *)d->md5, md5, 16);
		add_header(d, "content-md5", d->md5);
	}
	return d->path.len ? 0 : buf_add_byte(&d->path, '/');
}

static int draft_verb(struct s3_job *job, struct draft *d)
{
	job->http.asks_range = false;
	job->http.body = NULL;
	job->http.body_len = 0;
	if (job->verb == S3_LIST)
		return draft_list(job, d);
	if (job->verb == S3_DELETE_MANY)
		return draft_delete_many(job, d);
	int err = 0;

	if (job->verb == S3_PUT && !job->looking) {
		draft_put(job, d);
	} else if (job->verb == S3_COPY) {
		err = draft_copy(job, d);
	} else if (job->verb == S3_BEGIN || job->verb == S3_END) {
		draft_post(job, d);
	} else if (job->verb == S3_DELETE) {
		job->http.method = "DELETE";
		draft_upload(job, d);
	} else {
		draft_read(job, d);
	}
	if (err)
		return err;
	return s3_job_path(job->client, job->key, &d->path);
}

static int sign(struct s3_job *job, struct draft *d)
{
	struct s3_sign_key key = { job->signed_by.id, job->signed_by.secret, job->signed_by.token };
	struct s3_sign_request r = { .method = job->http.method,
				     .path = buf_str(&d->path),
				     .query = d->query,
				     .query_count = d->query_count,
				     .payload = S3_SIGN_EMPTY,
				     .region = job->region,
				     .service = "s3" };

	if (s3_verb_has_body(job->verb) && !job->looking)
		r.payload = job->sha256;
	r.now = time_now_ns() / TIME_NS_PER_S + job->client->skew_s;
	s3_sign_date(r.now, d->date);
	add_header(d, "host", buf_str(&d->host));
	add_header(d, "x-amz-content-sha256", r.payload);
	add_header(d, "x-amz-date", d->date);
	if (key.token)
		add_header(d, "x-amz-security-token", key.token);
	r.headers = d->headers;
	r.header_count = d->header_count;
	return s3_sign_header(&d->authorization, &r, &key);
}

/* libcurl sends the host by itself. */
static int write_headers(struct s3_job *job, const struct draft *d)
{
	struct buf *out = &job->http.headers;
	int err = 0;

	buf_reset(out);
	for (size_t i = 0; i < d->header_count && !err; i++)
		if (strcmp(d->headers[i].name, "host"))
			err = buf_printf(out, "%s: %s\n", d->headers[i].name, d->headers[i].value);
	return err ? err : buf_printf(out, "Authorization: %s\n", buf_str(&d->authorization));
}

static int write_url(struct s3_job *job, struct draft *d)
{
	struct buf *out = &job->http.url;
	const char *scheme_end = strstr(buf_str(&d->base), "://");
	int err = s3_sign_query(&d->query_text, d->query, d->query_count);

	buf_reset(out);
	if (!err)
		err = buf_printf(out, "%.*s://%s%s", (int)(scheme_end - d->base.data), d->base.data,
				 buf_str(&d->host), buf_str(&d->path));
	if (!err && d->query_text.len)
		err = buf_printf(out, "?%s", buf_str(&d->query_text));
	return err;
}

static int build(struct s3_job *job)
{
	__attribute__((cleanup(draft_release))) struct draft d = { .header_count = 0 };
	int err;

	free(job->region);
	job->region = s3_client_region_now(job->client);
	if (!job->region)
		return -ENOMEM;
	err = s3_settings_address(&job->client->settings, job->region, &d.base, &d.path, &d.host);
	if (!err)
		err = draft_verb(job, &d);
	if (!err)
		err = sign(job, &d);
	if (!err)
		err = write_headers(job, &d);
	return err ? err : write_url(job, &d);
}

int s3_job_prepare(struct s3_http_job *http)
{
	struct s3_job *job = (struct s3_job *)http;
	struct s3_credentials keys = { 0 };
	int err;

	buf_reset(&job->why);
	/* It may have been learnt since the job was submitted. */
	if (job->if_absent && !job->looked && job->client->conditional == S3_CONDITIONAL_NO)
		job->looking = true;
	err = s3_keeper_get(job->client->keeper, &keys, &job->why);
	if (err == -EAGAIN)
		return err;
	if (!err) {
		s3_credentials_release(&job->signed_by);
		job->signed_by = keys;
		err = build(job);
	}
	job->prepare_err = err;
	return err;
}
