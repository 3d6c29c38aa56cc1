/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The loop. Its thread owns the multi handle and the lists `waiting` and `running`; other threads reach
 * it through `orders` and `cancels`, under the lock, and wake it. A job that waits for its time or a connection
 * costs nothing but memory, its submitter's.
 */
#include "config.h"

#include "backend/s3/http-internal.h"
#include "util/lock.h"
#include "util/thread.h"
#include "util/time.h"

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum { CANCELS_MAX = 64, WAIT_MAX_MS = 1000 };

struct s3_http {
	struct s3_http_params params;
	char *ca_file;
	CURLM *multi;

	struct lock lock; /* guards these: */
	struct s3_http_job *orders;
	uint64_t cancels[CANCELS_MAX];
	size_t cancel_count;
	bool started, stopping;

	pthread_t thread;
	atomic_uint limit; /* requests at a time; written by the loop */

	/* The loop's: */
	struct s3_http_job *waiting, *running;
	unsigned running_count, well; /* well: good answers since the limit changed */
	int64_t slowed_ns;
	CURL **idle; /* up to params.connections */
	unsigned idle_count;
};

int s3_http_new(const struct s3_http_params *params, struct s3_http **out)
{
	struct s3_http *h;
	int err = s3_http_easy_begin();

	if (err)
		return err;
	h = calloc(1, sizeof *h);
	if (!h)
		return -ENOMEM;
	lock_init(&h->lock, LOCK_RANK_S3);
	h->params = *params;
	h->limit = params->connections;
	h->idle = calloc(params->connections, sizeof *h->idle);
	h->ca_file = params->ca_file ? strdup(params->ca_file) : NULL;
	h->params.ca_file = h->ca_file;
	h->multi = curl_multi_init();
	if (!h->multi || !h->idle || (params->ca_file && !h->ca_file)) {
		s3_http_free(h);
		return -ENOMEM;
	}
	curl_multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, (long)params->connections);
	curl_multi_setopt(h->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)params->connections);
	*out = h;
	return 0;
}

static CURL *take_easy(struct s3_http *h)
{
	return h->idle_count ? h->idle[--h->idle_count] : curl_easy_init();
}

/* Its connection stays with the multi handle. */
static void give_easy(struct s3_http *h, CURL *easy)
{
	if (h->idle_count == h->params.connections) {
		curl_easy_cleanup(easy);
		return;
	}
	curl_easy_reset(easy);
	h->idle[h->idle_count++] = easy;
}

/* Ends a job that no transfer belongs to. */
static void end_job(struct s3_http_job *job, int err, const char *trouble)
{
	if (err) {
		job->answer.err = err;
		snprintf(job->answer.trouble, sizeof job->answer.trouble, "%s", trouble);
	}
	job->done(job);
}

static void end_waiting(struct s3_http *h, struct s3_http_job *job, int err, const char *trouble)
{
	DL_DELETE(h->waiting, job);
	end_job(job, err, trouble);
}

static void end_running(struct s3_http *h, struct s3_http_job *job, CURLcode code)
{
	CURL *easy = job->easy;

	curl_multi_remove_handle(h->multi, easy);
	s3_http_easy_result(easy, job, code);
	if (job->cancelled)
		job->answer.err = -ECANCELED;
	s3_http_easy_end(job);
	give_easy(h, easy);
	DL_DELETE(h->running, job);
	h->running_count--;
	if (!job->answer.err && job->answer.status < 300 && ++h->well >= h->limit &&
	    h->limit < h->params.connections) {
		h->limit++;
		h->well = 0;
	}
	end_job(job, 0, NULL);
}

static int start_transfer(struct s3_http *h, struct s3_http_job *job, int64_t now)
{
	struct s3_http_easy_params params = { .stall_s = h->params.stall_s,
					      .send_limit = h->params.send_limit,
					      .ca_file = h->params.ca_file };
	CURL *easy = take_easy(h);
	int err;

	if (!easy)
		return -ENOMEM;
	params.timeout_ms = (long)((job->deadline_ns - now) / TIME_NS_PER_MS) + 1;
	err = s3_http_easy_set(easy, job, &params);
	if (!err && curl_multi_add_handle(h->multi, easy) != CURLM_OK)
		err = -ENOMEM;
	if (err) {
		s3_http_easy_end(job);
		curl_easy_cleanup(easy);
	}
	return err;
}

/* Starts the job if it can be; ends it if it never will be. */
static void try_start(struct s3_http *h, struct s3_http_job *job, int64_t now)
{
	int err;

	if (job->cancelled) {
		end_waiting(h, job, -ECANCELED, "given up");
		return;
	}
	if (job->deadline_ns <= now) {
		end_waiting(h, job, -ETIMEDOUT, "its time was over before it could be sent");
		return;
	}
	if (job->start_ns > now || h->running_count >= h->limit)
		return;
	err = job->prepare ? job->prepare(job) : 0;
	if (err == -EAGAIN)
		return;
	if (!err)
		err = start_transfer(h, job, now);
	if (err) {
		end_waiting(h, job, err, "it could not be prepared");
		return;
	}
	DL_DELETE(h->waiting, job);
	DL_APPEND(h->running, job);
	h->running_count++;
}

static void start_jobs(struct s3_http *h)
{
	struct s3_http_job *job, *next;
	int64_t now = time_mono_ns();

	DL_FOREACH_SAFE(h->waiting, job, next)
	try_start(h, job, now);
}

static void end_transfers(struct s3_http *h)
{
	struct s3_http_job *job, *next;
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(h->multi, &left)))
		if (message->msg == CURLMSG_DONE) {
			CURLcode code = message->data.result;

			curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &job);
			end_running(h, job, code);
		}
	DL_FOREACH_SAFE(h->running, job, next)
	if (job->cancelled)
		end_running(h, job, CURLE_ABORTED_BY_CALLBACK);
}

static void mark(struct s3_http_job *list, const uint64_t *tickets, size_t count, bool all)
{
	struct s3_http_job *job;

	DL_FOREACH (list, job)
		for (size_t i = 0; i < count || all; i++)
			if (all || job->ticket == tickets[i]) {
				job->cancelled = true;
				break;
			}
}

/* Takes over what other threads left. False when it is to end and nothing is left to do. */
static bool take_orders(struct s3_http *h)
{
	struct s3_http_job *orders;
	uint64_t cancels[CANCELS_MAX];
	size_t count;
	bool stopping;

	lock_lock(&h->lock);
	orders = h->orders;
	h->orders = NULL;
	count = h->cancel_count;
	memcpy(cancels, h->cancels, count * sizeof *cancels);
	h->cancel_count = 0;
	stopping = h->stopping;
	lock_unlock(&h->lock);
	if (orders)
		DL_CONCAT(h->waiting, orders);
	mark(h->waiting, cancels, count, stopping);
	mark(h->running, cancels, count, stopping);
	return !stopping || h->waiting || h->running;
}

/* Until the next start or deadline of what waits; libcurl knows its own. */
static int wait_ms(const struct s3_http *h)
{
	int64_t now = time_mono_ns(), soonest = now + WAIT_MAX_MS * TIME_NS_PER_MS;
	const struct s3_http_job *job;

	DL_FOREACH (h->waiting, job) {
		if (job->start_ns > now && job->start_ns < soonest)
			soonest = job->start_ns;
		if (job->deadline_ns < soonest)
			soonest = job->deadline_ns;
	}
	if (soonest <= now)
		return 0;
	return (int)((soonest - now) / TIME_NS_PER_MS) + 1;
}

static void *run(void *arg)
{
	struct s3_http *h = arg;
	int count;

	while (take_orders(h)) {
		curl_multi_perform(h->multi, &count);
		end_transfers(h);
		start_jobs(h);
		curl_multi_poll(h->multi, NULL, 0, wait_ms(h), NULL);
	}
	return NULL;
}

void s3_http_stop(struct s3_http *h)
{
	bool started;

	lock_lock(&h->lock);
	h->stopping = true;
	started = h->started;
	h->started = false;
	lock_unlock(&h->lock);
	if (started) {
		curl_multi_wakeup(h->multi);
		pthread_join(h->thread, NULL);
	}
}

void s3_http_free(struct s3_http *h)
{
	if (!h)
		return;
	s3_http_stop(h);
	while (h->idle_count)
		curl_easy_cleanup(h->idle[--h->idle_count]);
	curl_multi_cleanup(h->multi);
	lock_release(&h->lock);
	free(h->idle);
	free(h->ca_file);
	free(h);
}

static void reset_answer(struct s3_http_job *job)
{
	buf_release(&job->answer.text);
	job->answer = (struct s3_http_answer){ 0 };
	job->cancelled = false;
}

int s3_http_submit(struct s3_http *h, struct s3_http_job *job)
{
	int err = 0;

	reset_answer(job);
	lock_lock(&h->lock);
	if (!h->started && !h->stopping)
		err = thread_start("garner-s3", run, h, &h->thread);
	if (!err) {
		h->started = !h->stopping;
		DL_APPEND(h->orders, job);
	}
	lock_unlock(&h->lock);
	if (!err)
		curl_multi_wakeup(h->multi);
	return err;
}

void s3_http_cancel(struct s3_http *h, uint64_t ticket)
{
	bool left = false;

	/* Room for more comes as soon as the loop turns. */
	while (!left) {
		lock_lock(&h->lock);
		left = h->cancel_count < CANCELS_MAX || !h->started;
		if (h->cancel_count < CANCELS_MAX)
			h->cancels[h->cancel_count++] = ticket;
		lock_unlock(&h->lock);
		curl_multi_wakeup(h->multi);
		if (!left)
			sched_yield();
	}
}

void s3_http_wake(struct s3_http *h)
{
	curl_multi_wakeup(h->multi);
}

void s3_http_slow_down(struct s3_http *h)
{
	int64_t now = time_mono_ns();

	if (h->slowed_ns && now - h->slowed_ns < TIME_NS_PER_S)
		return;
	h->slowed_ns = now;
	h->well = 0;
	h->limit = h->limit > 1 ? h->limit / 2 : 1;
}

unsigned s3_http_limit(struct s3_http *h)
{
	return h->limit;
}

static int on_progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	const bool *stop = arg;

	(void)a;
	(void)b;
	(void)c;
	(void)d;
	return __atomic_load_n(stop, __ATOMIC_RELAXED);
}

int s3_http_fetch(const char *method, const char *url, const char *headers, long timeout_ms,
		  const bool *stop, struct s3_http_answer *out)
{
	struct s3_http_easy_params params = { .stall_s = 30, .timeout_ms = timeout_ms };
	struct s3_http_job job = { .method = method };
	CURL *easy = s3_http_easy_begin() ? NULL : curl_easy_init();
	int err = easy ? buf_add_str(&job.url, url) : -ENOMEM;

	if (!err)
		err = buf_add_str(&job.headers, headers);
	if (!err)
		err = s3_http_easy_set(easy, &job, &params);
	if (!err) {
		curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
		curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
		curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, on_progress);
		curl_easy_setopt(easy, CURLOPT_XFERINFODATA, stop);
		s3_http_easy_result(easy, &job, curl_easy_perform(easy));
		err = job.answer.err;
	}
	s3_http_easy_end(&job);
	curl_easy_cleanup(easy);
	buf_release(&job.url);
	buf_release(&job.headers);
	*out = job.answer;
	out->err = err;
	return err;
}
