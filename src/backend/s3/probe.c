/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The probe's steps, and the likeliest mistakes behind what can go wrong with them. */
#include "config.h"

#include "backend/s3/probe.h"
#include "util/cleanup.h"
#include "util/err.h"
#include "util/uuid.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct probing {
	struct s3_client *client;
	struct s3_probe *probe;
	int64_t deadline_ns;
	char key[64];
	char bytes[64]; /* what is written */
	size_t len;
	char back[64];
	size_t back_len;
};

static void note_reply(void *arg, const struct s3_reply *reply)
{
	struct probing *p = arg;

	snprintf(p->probe->code, sizeof p->probe->code, "%s", reply->code);
	p->back_len = reply->len;
}

static int call(struct probing *p, struct s3_request r)
{
	r.deadline_ns = p->deadline_ns;
	r.done = note_reply;
	r.arg = p;
	buf_reset(&p->probe->why);
	return s3_client_call(p->client, &r, &p->probe->why);
}

static int list(struct probing *p)
{
	return call(p, (struct s3_request){ .verb = S3_LIST, .key = "chunks/", .max_keys = 1 });
}

/* Twice: the second must not replace the first, if conditions are kept. */
static int write_twice(struct probing *p)
{
	struct s3_request r = { .verb = S3_PUT,
				.key = p->key,
				.body = p->bytes,
				.body_len = p->len,
				.if_absent = true };
	int err = call(p, r);

	if (err)
		return err;
	err = call(p, r);
	if (!err)
		s3_client_set_conditional(p->client, S3_CONDITIONAL_NO);
	return err == -EEXIST ? 0 : err;
}

static int read_back(struct probing *p)
{
	int err = call(p, (struct s3_request){ .verb = S3_GET,
					       .key = p->key,
					       .into = p->back,
					       .into_size = sizeof p->back });

	if (!err && (p->back_len != p->len || memcmp(p->back, p->bytes, p->len))) {
		buf_printf(&p->probe->why, "%s: other bytes came back than were written", p->key);
		err = ERR_CORRUPT;
	}
	return err;
}

static int remove_it(struct probing *p)
{
	return call(p, (struct s3_request){ .verb = S3_DELETE, .key = p->key });
}

static const char *advice_for_code(const char *code)
{
	static const struct {
		const char *code, *advice;
	} list[] = {
		{ "SignatureDoesNotMatch", "the secret key is not that of the access key" },
		{ "InvalidAccessKeyId",
		  "the server does not know this access key: is it for another "
		  "endpoint, or mistyped?" },
		{ "ExpiredToken", "the session has lapsed: log in again" },
		{ "InvalidToken", "the session token does not belong to the keys" },
		{ "NoSuchBucket", "make the bucket first, or check its name" },
		{ "AuthorizationHeaderMalformed", "give the bucket's region with --region" },
		{ "PermanentRedirect", "the bucket is in another region: give it with --region" },
	};

	for (size_t i = 0; i < sizeof list / sizeof *list; i++)
		if (!strcmp(code, list[i].code))
			return list[i].advice;
	return NULL;
}

static const char *advice_for_error(int err)
{
	switch (err) {
	case -ENOKEY:
		return "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile of "
		       "~/.aws/credentials with --profile";
	case -EHOSTUNREACH:
		return "check the host of --endpoint";
	case -ECONNREFUSED:
		return "nothing answers there: check host and port of --endpoint";
	case -ETIMEDOUT:
		return "check host and port of --endpoint, and the network in between";
	case -ECONNRESET:
		return "check --endpoint: is it http, not https, or the other way round?";
	case -ENODEV:
		return "make the bucket first, or check its name";
	case -EACCES:
		return "these keys may not do that: they need GetObject, PutObject, DeleteObject "
		       "and ListBucket";
	case -ENOSPC:
		return "the bucket's quota is used up";
	default:
		return NULL;
	}
}

static void advise(struct probing *p, int err)
{
	const char *why = buf_str(&p->probe->why), *advice = advice_for_code(p->probe->code);
	const struct s3_settings *s = s3_client_settings(p->client);

	if (!advice && err == -EPROTO &&
	    (strstr(why, "wrong version") || strstr(why, "SSL_connect")))
		advice = "the endpoint does not speak https: try http://";
	else if (!advice && err == -EPROTO && (strstr(why, "certificate") || strstr(why, "SSL")))
		advice = s->ca_file ? "the server's certificate is not signed by that of --ca-file"
				    : "the server's certificate is not trusted: name the one that "
				      "signed it with --ca-file";
	else if (!advice && err == -EPROTO)
		advice = "is this an S3 endpoint? check --endpoint, and --style";
	if (!advice)
		advice = advice_for_error(err);
	if (advice)
		buf_add_str(&p->probe->advice, advice);
}

/* A name that no other probe has, and bytes that no cache has. */
static void draw(struct probing *p)
{
	struct uuid id;
	char text[UUID_TEXT_LEN];

	uuid_random(&id);
	uuid_format(&id, text);
	snprintf(p->key, sizeof p->key, "probe-%s", text);
	p->len = (size_t)snprintf(p->bytes, sizeof p->bytes, "garner %s\n", text);
}

int s3_probe_run(struct s3_client *c, bool write, int64_t deadline_ns, struct s3_probe *out)
{
	static const struct {
		const char *name;
		int (*step)(struct probing *p);
	} steps[] = { { "list", list },
		      { "write", write_twice },
		      { "read", read_back },
		      { "delete", remove_it } };
	struct probing p = { .client = c, .probe = out, .deadline_ns = deadline_ns };
	size_t count = write ? sizeof steps / sizeof *steps : 1;
	int err = 0;

	*out = (struct s3_probe){ .why = BUF_INIT };
	draw(&p);
	for (size_t i = 0; i < count && !err; i++) {
		err = steps[i].step(&p);
		if (err)
			out->failed = steps[i].name;
	}
	if (err)
		advise(&p, err);
	else
		buf_reset(&out->why);
	out->skew_s = s3_client_skew_s(c);
	return err;
}

void s3_probe_release(struct s3_probe *p)
{
	buf_release(&p->why);
	buf_release(&p->advice);
}
