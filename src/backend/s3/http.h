/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * HTTP requests, many at a time, by one thread over libcurl's multi interface: connections are kept and
 * used again, nothing is done without a deadline, and every job that was submitted is told of exactly
 * once. Knows nothing of S3: who submits a job builds, signs and judges it (client.h).
 *
 * Phases of a job: the submitter's -> waiting (for its start, a connection, its preparation) -> running ->
 * done, and the submitter's again, to be freed or submitted once more.
 */
#ifndef BACKEND_S3_HTTP_H
#define BACKEND_S3_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "util/buf.h"

struct s3_http;

/* What an answer's body may have where it is no object: a page of a list is the largest. */
enum { S3_HTTP_TEXT_MAX = 4 << 20 };

/*
 * Reads LEN bytes of a body from OFF into BUF: 0, or a negative error that ends the job. Called by the
 * loop's thread and, when a request is sent again, for the same bytes again: quick and repeatable.
 */
typedef int s3_read_fn(void *arg, void *buf, size_t len, uint64_t off);

/* What came. Texts are "" where the answer had none. */
struct s3_http_answer {
	int err;     /* 0: a whole answer came; else negative, and only `sent` and `trouble` hold */
	bool sent;   /* the server may have had the request */
	int status;  /* of HTTP */
	time_t date; /* the server's clock; 0: not told */
	unsigned retry_after_s;
	uint64_t length; /* of the body as announced; of HEAD: that a GET would have */
	bool ranged;     /* a part came: */
	uint64_t range_first, range_total;
	size_t into_len;   /* bytes in the job's `into` */
	struct buf text;   /* the body, where it did not go there; cut at S3_HTTP_TEXT_MAX */
	char checksum[64]; /* x-amz-checksum-sha256 */
	char etag[80];
	char region[48]; /* x-amz-bucket-region */
	char request_id[96];
	char trouble[256]; /* with err: what libcurl says of it */
};

struct s3_http_job {
	/* The submitter's: unchanged from submission to done(), but by prepare(). */
	const char *method;
	struct buf url;
	struct buf headers; /* lines of "name: value\n" */
	const void *body;   /* `body_len` bytes, or NULL: `read` gives them */
	s3_read_fn *read;
	void *read_arg;
	uint64_t body_len;
	void *into; /* where the body of an answer 2xx goes; NULL: to the answer's text */
	size_t into_size;
	uint64_t into_off; /* the offset that was asked for by a range header */
	bool asks_range;
	int64_t start_ns, deadline_ns; /* time_mono_ns() */
	uint64_t ticket;               /* for s3_http_cancel() */
	/*
	 * Called by the loop right before the job starts: signs it, say. 0; -EAGAIN to be asked again
	 * after s3_http_wake(); another negative error ends the job. May be NULL.
	 */
	int (*prepare)(struct s3_http_job *job);
	/* Called by the loop's thread when the job is over; must not block. */
	void (*done)(struct s3_http_job *job);

	struct s3_http_answer answer; /* made empty at submission */
	int body_err;                 /* what `read` returned, when that ended the transfer */
	bool resent; /* libcurl sent a body twice: the connection was gone before an answer came */

	/* The loop's own. */
	struct s3_http_job *prev, *next;
	void *easy, *lines;
	uint64_t body_off, skipped;
	bool cancelled;
	char trouble[256];
};

struct s3_http_params {
	unsigned connections; /* at most, and requests at a time */
	unsigned stall_s;     /* below 1 KiB/s for this long: -ETIMEDOUT */
	uint64_t send_limit;  /* bytes/s of one connection; 0: none */
	const char *ca_file;  /* NULL: the system's; copied */
};

/* Makes it, without a thread: that comes with the first job. 0, -ENOMEM, -EIO. */
int s3_http_new(const struct s3_http_params *params, struct s3_http **out);

/*
 * Ends every job with -ECANCELED and waits for the thread: no callback comes after it, and nothing may be
 * submitted. Not from a callback.
 */
void s3_http_stop(struct s3_http *h);

/* s3_http_stop(), then frees. NULL allowed. */
void s3_http_free(struct s3_http *h);

/*
 * Takes the job. Any thread, callbacks too. Its done() is always called, later and by the loop's thread;
 * the one exception: a negative error (no thread could be made) leaves the job to the caller.
 */
int s3_http_submit(struct s3_http *h, struct s3_http_job *job);

/* Ends the jobs with this ticket soon, with -ECANCELED; none is fine. Any thread. */
void s3_http_cancel(struct s3_http *h, uint64_t ticket);

/* Jobs whose preparation had to wait are asked again. Any thread. */
void s3_http_wake(struct s3_http *h);

/*
 * The server wants fewer requests: half as many at a time from now on, rising again by one for as many
 * answers that are well. At most once a second. From done().
 */
void s3_http_slow_down(struct s3_http *h);

/* How many requests run at a time now. Any thread. */
unsigned s3_http_limit(struct s3_http *h);

/*
 * One request of its own, without loop and proxy, by the calling thread, for TIMEOUT_MS at most or
 * until *STOP is true: for the small local services that give out credentials. The headers are as in
 * the job. OUT is overwritten; buf_release(&out->text) ends it. 0 or a negative error, as out->err.
 */
int s3_http_fetch(const char *method, const char *url, const char *headers, long timeout_ms,
		  const bool *stop, struct s3_http_answer *out);

#endif
