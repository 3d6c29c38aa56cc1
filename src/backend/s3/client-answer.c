/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What came back: final, or to be tried again; and in words, when it is an error. */
#include "config.h"

#include "backend/s3/client-internal.h"
#include "backend/s3/retry.h"
#include "backend/s3/xml.h"
#include "util/cleanup.h"
#include "util/err.h"
#include "util/log.h"
#include "util/time.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static const char *const verbs[] = {
	[S3_GET] = "GET",       [S3_STAT] = "GET",  [S3_PUT] = "PUT",
	[S3_DELETE] = "DELETE", [S3_LIST] = "LIST", [S3_COPY] = "COPY",
	[S3_BEGIN] = "POST",    [S3_END] = "POST",  [S3_DELETE_MANY] = "DELETE",
};

static bool changes(const struct s3_job *job)
{
	return (job->verb == S3_PUT && !job->looking) || job->verb == S3_DELETE ||
	       job->verb == S3_COPY || job->verb == S3_END || job->verb == S3_DELETE_MANY;
}

/* The region that the answer names, "" if none or the one that was asked for. */
static const char *other_region(const struct s3_job *job, const struct s3_xml_error *e)
{
	const char *region = job->http.answer.region;

	if (!*region)
		region = e->region;
	if (region[strspn(region,
			  "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")])
		return "";
	return !job->region || !strcmp(region, job->region) ? "" : region;
}

/* The server's clock less that which the request was signed by. */
static int64_t skew_of(const struct s3_job *job)
{
	const struct s3_http_answer *a = &job->http.answer;

	if (!a->date)
		return 0;
	return a->date - (time_now_ns() / TIME_NS_PER_S + job->client->skew_s);
}

static struct s3_verdict judge(struct s3_job *job, const struct s3_xml_error *e)
{
	const struct s3_http_answer *a = &job->http.answer;
	struct s3_answer answer = { .status = a->err ? 0 : a->status,
				    .err = a->err,
				    .code = e->code,
				    .skew_s = skew_of(job),
				    .has_region = *other_region(job, e) };
	struct s3_verdict v;

	/* The loop knows only that it could not be prepared. */
	if (job->prepare_err && a->err != -ECANCELED)
		answer.err = job->prepare_err;
	/* The caller's own error: a second try would meet it, too. */
	if (job->http.body_err)
		return (struct s3_verdict){ job->http.body_err, S3_REMEDY_NONE };
	/* A copy takes its time, so its answer is begun before it is known what it will be. */
	if (answer.status == 200 && *e->code)
		answer.status = 500;
	v = s3_retry_judge(&answer);
	/* Stored, but not what was sent: what a condition finds there now may be that. */
	if (!v.err && job->verb == S3_PUT && !job->looking && *a->checksum &&
	    strcmp(a->checksum, job->checksum)) {
		job->maybe_done = true;
		return (struct s3_verdict){ -EIO, S3_REMEDY_WAIT };
	}
	return v;
}

static bool once(bool *tried)
{
	bool first = !*tried;

	*tried = true;
	return first;
}

static bool take_region(struct s3_job *job, const struct s3_xml_error *e)
{
	struct s3_client *c = job->client;
	char *region = strdup(other_region(job, e));

	if (!region || !*region || !once(&job->new_region)) {
		free(region);
		return false;
	}
	log_info("s3://%s: the bucket's region is %s", c->settings.bucket, region);
	lock_lock(&c->lock);
	free(c->region);
	c->region = region;
	lock_unlock(&c->lock);
	return true;
}

static bool take_clock(struct s3_job *job)
{
	int64_t skew = skew_of(job);

	if (!job->http.answer.date || !once(&job->new_clock))
		return false;
	job->client->skew_s += skew;
	log_warn("s3://%s: this machine's clock is off by %lld s; the server's is used to sign",
		 job->client->settings.bucket, (long long)-job->client->skew_s);
	return true;
}

/* Whether there is a next try, and when. */
static bool plan(struct s3_job *job, enum s3_remedy remedy, const struct s3_xml_error *e,
		 int64_t *start_ns)
{
	struct s3_http_job *http = &job->http;
	uint32_t random = 0;

	*start_ns = time_mono_ns();
	switch (remedy) {
	case S3_REMEDY_NONE:
		return false;
	case S3_REMEDY_CLOCK:
		return take_clock(job);
	case S3_REMEDY_REGION:
		return take_region(job, e);
	case S3_REMEDY_CREDENTIAL:
		s3_keeper_refused(job->client->keeper, &job->signed_by);
		return once(&job->new_credential);
	case S3_REMEDY_SLOW:
		s3_http_slow_down(job->client->http);
		break;
	case S3_REMEDY_WAIT:
		break;
	}
	if (getrandom(&random, sizeof random, GRND_NONBLOCK) < 0)
		random = UINT32_MAX / 2;
	*start_ns += s3_retry_delay_ns(job->tries, random, http->answer.retry_after_s);
	return job->tries < job->client->settings.attempts && *start_ns < http->deadline_ns;
}

static bool send_again(struct s3_job *job, int64_t start_ns)
{
	job->http.start_ns = start_ns;
	return !s3_http_submit(job->client->http, &job->http);
}

/*
 * A condition was put to the test: 412 shows that the server keeps it, 501 that it does not know it.
 * Then: is there one (looking), and if not, a plain put. True when another request is on its way.
 */
static bool go_on_conditionally(struct s3_job *job, int *err)
{
	struct s3_client *c = job->client;

	if (!job->if_absent)
		return false;
	if (job->looking) {
		job->looking = *err != -ENOENT;
		job->looked = !job->looking;
		if (*err == 0)
			*err = -EEXIST;
		return !job->looking && send_again(job, time_mono_ns());
	}
	if (*err == -EEXIST)
		c->conditional = S3_CONDITIONAL_YES;
	if (*err != -EOPNOTSUPP || job->looked)
		return false;
	if (c->conditional != S3_CONDITIONAL_NO)
		log_info("s3://%s: the server knows no If-None-Match", c->settings.bucket);
	c->conditional = S3_CONDITIONAL_NO;
	job->looking = true;
	return send_again(job, time_mono_ns());
}

/* An error after which nobody knows whether the change happened. */
static int uncertain(const struct s3_job *job, int err)
{
	const struct s3_http_answer *a = &job->http.answer;

	if (!job->maybe_done || err == -ECANCELED)
		return err;
	if (err == -EEXIST)
		return ERR_UNCERTAIN;
	return err && (a->err || a->status >= 500) ? ERR_UNCERTAIN : err;
}

static void say(struct s3_job *job, int err, const struct s3_xml_error *e)
{
	CLEANUP_BUF struct buf cause = job->why;
	const struct s3_http_answer *a = &job->http.answer;
	struct buf *why = &job->why;

	*why = BUF_INIT;
	if (!err)
		return;
	s3_settings_show(&job->client->settings, why);
	buf_printf(why, "/%s: %s: ", job->key, verbs[job->verb]);
	if (job->prepare_err)
		buf_add_str(why, cause.len ? buf_str(&cause) : err_text(job->prepare_err));
	else if (a->err)
		buf_printf(why, "%s", *a->trouble ? a->trouble : err_text(a->err));
	else
		buf_printf(why, "%d%s%s%s%s", a->status, *e->code ? " " : "", e->code,
			   *e->message ? ": " : "", e->message);
	if (*e->endpoint)
		buf_printf(why, ", to be asked for at %s", e->endpoint);
	/* What the server's owner finds it by. */
	if (!a->err && *a->request_id)
		buf_printf(why, " [%s]", a->request_id);
	if (job->tries > 1)
		buf_printf(why, " (%u tries)", job->tries);
	/* What a server says is one line of text, whatever it says. */
	for (size_t i = 0; i < why->len; i++)
		if ((unsigned char)why->data[i] < 0x20 || why->data[i] == 0x7f)
			why->data[i] = '?';
}

static uint64_t size_of(const struct s3_http_answer *a)
{
	return a->ranged ? a->range_total : a->length;
}

/* An object of no bytes, or an end before the offset, is no error of reading. */
static int read_beyond(const struct s3_job *job, int err)
{
	bool reads = job->verb == S3_GET || job->verb == S3_STAT || job->looking;

	return reads && err == -ERANGE ? 0 : err;
}

static void reply(struct s3_job *job, int err, const struct s3_xml_error *e)
{
	const struct s3_http_answer *a = &job->http.answer;
	struct s3_reply r = { .err = err,
			      .status = a->err ? 0 : a->status,
			      .code = e->code,
			      .tries = job->tries,
			      .text = buf_str(&a->text),
			      .text_len = a->text.len,
			      .etag = a->etag };

	say(job, err, e);
	r.why = buf_str(&job->why);
	if (!err && a->status != 416) {
		r.size = size_of(a);
		r.len = a->into_len;
	}
	if (job->done)
		job->done(job->arg, &r);
	s3_job_free(job);
}

void s3_job_done(struct s3_http_job *http)
{
	struct s3_job *job = (struct s3_job *)http;
	const struct s3_http_answer *a = &http->answer;
	struct s3_xml_error e = { .code = "" };
	struct s3_verdict v;
	int64_t start_ns;

	if (!a->err && (a->status >= 300 || job->verb == S3_COPY || job->verb == S3_END))
		s3_xml_read_error(buf_str(&a->text), a->text.len, &e);
	job->tries++;
	if (changes(job) && !http->body_err &&
	    (http->resent || (a->err && a->sent) || a->status == 500 || a->status == 502 ||
	     a->status == 504))
		job->maybe_done = true;
	v = judge(job, &e);
	if (plan(job, v.remedy, &e, &start_ns) && send_again(job, start_ns))
		return;
	v.err = read_beyond(job, v.err);
	if (go_on_conditionally(job, &v.err))
		return;
	reply(job, uncertain(job, v.err), &e);
}
