/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The client's life, and the two ways to hand it a request. */
#include "config.h"

#include "backend/s3/client-internal.h"
#include "backend/s3/profile.h"
#include "backend/s3/sign.h"
#include "util/cleanup.h"
#include "util/err.h"
#include "util/hex.h"
#include "util/time.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

enum { CONNECTIONS = 16, STALL_S = 30, ATTEMPTS = 8 };

static void credentials_changed(void *arg)
{
	struct s3_client *c = arg;

	s3_http_wake(c->http);
}

static int find_region(struct s3_client *c)
{
	CLEANUP_BUF struct buf region = BUF_INIT;
	int found = 0;

	if (c->settings.region)
		return buf_add_str(&region, c->settings.region) ||
				       !(c->region = buf_take(&region, NULL))
			       ? -ENOMEM
			       : 0;
	found = s3_profile_region(c->settings.profile, &region);
	if (!found)
		found = buf_add_str(&region, "us-east-1");
	if (found < 0)
		return found;
	c->region = buf_take(&region, NULL);
	return c->region ? 0 : -ENOMEM;
}

/* What the settings leave open. */
static void fill(struct s3_settings *s)
{
	if (!s->connections)
		s->connections = CONNECTIONS;
	if (!s->stall_s)
		s->stall_s = STALL_S;
	if (!s->attempts)
		s->attempts = ATTEMPTS;
}

static int open_parts(struct s3_client *c, s3_keeper_find_fn *find)
{
	struct s3_http_params params = { .connections = c->settings.connections,
					 .stall_s = c->settings.stall_s,
					 .send_limit = c->settings.send_limit,
					 .ca_file = c->settings.ca_file };
	int err = find_region(c);

	if (!params.ca_file)
		params.ca_file = getenv("AWS_CA_BUNDLE");
	if (params.ca_file && !*params.ca_file)
		params.ca_file = NULL;
	if (!err)
		err = s3_http_new(&params, &c->http);
	if (!err)
		err = s3_keeper_new(c->settings.profile, find, credentials_changed, c, &c->keeper);
	return err;
}

int s3_client_new(const struct s3_settings *settings, s3_keeper_find_fn *find,
		  struct s3_client **out)
{
	struct s3_client *c = calloc(1, sizeof *c);
	int err;

	if (!c)
		return -ENOMEM;
	lock_init(&c->lock, LOCK_RANK_S3);
	c->tickets = 1;
	err = s3_settings_copy(settings, &c->settings);
	if (!err) {
		fill(&c->settings);
		err = open_parts(c, find);
	}
	if (err) {
		s3_client_free(c);
		return err;
	}
	*out = c;
	return 0;
}

void s3_client_free(struct s3_client *c)
{
	if (!c)
		return;
	/* The loop asks the keeper, and the keeper wakes the loop. */
	if (c->http)
		s3_http_stop(c->http);
	s3_keeper_free(c->keeper);
	s3_http_free(c->http);
	s3_settings_release(&c->settings);
	lock_release(&c->lock);
	free(c->region);
	free(c);
}

char *s3_client_region_now(struct s3_client *c)
{
	char *region;

	lock_lock(&c->lock);
	region = strdup(c->region);
	lock_unlock(&c->lock);
	return region;
}

int s3_client_region(struct s3_client *c, struct buf *out)
{
	CLEANUP_FREE char *region = s3_client_region_now(c);

	return region ? buf_add_str(out, region) : -ENOMEM;
}

const struct s3_settings *s3_client_settings(const struct s3_client *c)
{
	return &c->settings;
}

enum s3_conditional s3_client_conditional(struct s3_client *c)
{
	return (enum s3_conditional)c->conditional;
}

void s3_client_set_conditional(struct s3_client *c, enum s3_conditional known)
{
	c->conditional = (int)known;
}

int64_t s3_client_skew_s(struct s3_client *c)
{
	return c->skew_s;
}

void s3_job_free(struct s3_job *job)
{
	if (!job)
		return;
	s3_credentials_release(&job->signed_by);
	buf_release(&job->http.url);
	buf_release(&job->http.headers);
	buf_release(&job->http.answer.text);
	buf_release(&job->why);
	free(job->region);
	free(job->key);
	free(job->after);
	free(job->upload);
	free(job->source);
	free(job);
}

bool s3_verb_has_body(enum s3_verb verb)
{
	return verb == S3_PUT || verb == S3_END || verb == S3_DELETE_MANY;
}

/* The hash of a put's body: of the payload for the signature, and as checksum. */
static int hash_body(struct s3_job *job, const struct s3_request *r)
{
	uint8_t hash[S3_HASH_LEN];

	if (!s3_verb_has_body(r->verb))
		return 0;
	if (r->sha256)
		memcpy(hash, r->sha256, sizeof hash);
	else if (!EVP_Digest(r->body, r->body_len, hash, NULL, EVP_sha256(), NULL))
		return -EIO;
	hex_encode(hash, sizeof hash, job->sha256);
	EVP_EncodeBlock((unsigned char *)job->checksum, hash, sizeof hash);
	return 0;
}

static int copy_texts(struct s3_job *job, const struct s3_request *r)
{
	job->key = strdup(r->key);
	job->after = r->after ? strdup(r->after) : NULL;
	job->upload = r->upload ? strdup(r->upload) : NULL;
	job->source = r->source ? strdup(r->source) : NULL;
	return job->key && !job->after == !r->after && !job->upload == !r->upload &&
			       !job->source == !r->source
		       ? 0
		       : -ENOMEM;
}

static bool is_sound(const struct s3_request *r)
{
	if (r->verb == S3_GET)
		return r->into_size > 0 && r->into_size < INT64_MAX &&
		       r->off <= INT64_MAX - r->into_size;
	if (r->verb == S3_COPY)
		return r->source;
	return !s3_verb_has_body(r->verb) || r->body || (r->read && r->sha256);
}

static int make_job(struct s3_client *c, const struct s3_request *r, struct s3_job **out)
{
	struct s3_job *job;
	int err;

	if (!is_sound(r))
		return -EINVAL;
	job = calloc(1, sizeof *job);
	if (!job)
		return -ENOMEM;
	*job = (struct s3_job){ .client = c,
				.verb = r->verb,
				.max_keys = r->max_keys,
				.part = r->part,
				.done = r->done,
				.arg = r->arg,
				.body = r->body,
				.read = r->read,
				.body_len = r->body_len,
				.if_absent = r->if_absent };
	job->http.into = r->verb == S3_GET ? r->into : NULL;
	job->http.into_size = r->into_size;
	job->http.into_off = r->off;
	job->http.read_arg = r->read_arg;
	job->http.deadline_ns = r->deadline_ns;
	job->http.ticket = c->tickets++;
	job->http.prepare = s3_job_prepare;
	job->http.done = s3_job_done;
	err = copy_texts(job, r);
	if (!err)
		err = hash_body(job, r);
	if (err)
		s3_job_free(job);
	else
		*out = job;
	return err;
}

int s3_client_submit(struct s3_client *c, const struct s3_request *request, uint64_t *ticket)
{
	struct s3_job *job;
	uint64_t number;
	int err = make_job(c, request, &job);

	if (err)
		return err;
	number = job->http.ticket;
	err = s3_http_submit(c->http, &job->http);
	if (err)
		s3_job_free(job);
	else if (ticket)
		*ticket = number;
	return err;
}

void s3_client_cancel(struct s3_client *c, uint64_t ticket)
{
	s3_http_cancel(c->http, ticket);
}

/* A thread that waits for its request. */
struct waiter {
	s3_done_fn *done;
	void *arg;
	struct buf *why;
	struct lock lock; /* guards what follows */
	struct lock_cond cond;
	bool over;
	int err;
};

static void wake_waiter(void *arg, const struct s3_reply *reply)
{
	struct waiter *w = arg;

	if (w->done)
		w->done(w->arg, reply);
	if (reply->err && w->why)
		buf_add_str(w->why, reply->why);
	/* After the unlock the waiter may be gone, condition and all. */
	lock_lock(&w->lock);
	w->err = reply->err;
	w->over = true;
	lock_cond_signal(&w->cond);
	lock_unlock(&w->lock);
}

int s3_client_call(struct s3_client *c, const struct s3_request *request, struct buf *why)
{
	struct waiter w = { .done = request->done, .arg = request->arg, .why = why };
	struct s3_request own = *request;
	int err;

	own.done = wake_waiter;
	own.arg = &w;
	lock_init(&w.lock, LOCK_RANK_S3);
	lock_cond_init(&w.cond);
	err = s3_client_submit(c, &own, NULL);
	if (!err) {
		lock_lock(&w.lock);
		while (!w.over)
			lock_cond_wait(&w.cond, &w.lock);
		lock_unlock(&w.lock);
		err = w.err;
	} else if (why) {
		buf_add_str(why, err_text(err));
	}
	lock_cond_release(&w.cond);
	lock_release(&w.lock);
	return err;
}

int s3_client_presign(struct s3_client *c, const char *key, unsigned seconds, int64_t deadline_ns,
		      struct buf *out)
{
	CLEANUP_BUF struct buf base = BUF_INIT;
	CLEANUP_BUF struct buf path = BUF_INIT;
	CLEANUP_BUF struct buf host = BUF_INIT;
	CLEANUP_FREE char *region = s3_client_region_now(c);
	struct s3_credentials keys = { 0 };
	int err = region ? s3_keeper_wait(c->keeper, deadline_ns, &keys, NULL) : -ENOMEM;

	if (!err)
		err = s3_settings_address(&c->settings, region, &base, &path, &host);
	if (!err)
		err = s3_job_path(c, key, &path);
	if (!err) {
		struct s3_pair header = { "host", buf_str(&host) };
		struct s3_sign_key key_pair = { keys.id, keys.secret, keys.token };
		struct s3_sign_request r = { .method = "GET",
					     .path = buf_str(&path),
					     .headers = &header,
					     .header_count = 1,
					     .payload = S3_SIGN_UNSIGNED,
					     .region = region,
					     .service = "s3",
					     .now = time_now_ns() / TIME_NS_PER_S + c->skew_s };
		size_t scheme = strchr(buf_str(&base), ':') - buf_str(&base);

		err = buf_printf(out, "%.*s://%s%s?", (int)scheme, buf_str(&base), buf_str(&host),
				 buf_str(&path));
		if (!err)
			err = s3_sign_presign(out, &r, &key_pair, seconds);
	}
	s3_credentials_release(&keys);
	return err;
}
