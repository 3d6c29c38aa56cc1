/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the files of the client share; nobody else includes it. */
#ifndef BACKEND_S3_CLIENT_INTERNAL_H
#define BACKEND_S3_CLIENT_INTERNAL_H

#include <stdatomic.h>

#include "backend/s3/client.h"
#include "util/lock.h"

struct s3_client {
	struct s3_settings settings;
	struct s3_http *http;
	struct s3_keeper *keeper;
	_Atomic int64_t skew_s; /* added to our clock */
	atomic_int conditional; /* enum s3_conditional */
	atomic_uint_fast64_t tickets;

	struct lock lock; /* guards this: */
	char *region;
};

/* One request on its way. `http` is first: what the loop hands back is the whole. */
struct s3_job {
	struct s3_http_job http;
	struct s3_client *client;
	enum s3_verb verb;
	char *key, *after, *upload, *source;
	unsigned part;
	unsigned max_keys;
	s3_done_fn *done;
	void *arg;
	char sha256[2 * S3_HASH_LEN + 1];
	char checksum[48]; /* the same in base64 */
	uint64_t body_len;
	const void *body;
	s3_read_fn *read;
	bool if_absent;
	bool looking;    /* instead of a condition: is there one? */
	bool looked;     /* there was none */
	bool maybe_done; /* a try may have had its effect without our hearing of it */
	bool new_clock, new_credential, new_region; /* each remedy is tried once */
	unsigned tries;
	char *region; /* that the last try was signed for */
	struct s3_credentials signed_by;
	int prepare_err; /* of s3_job_prepare() */
	struct buf why;  /* the same in words, then the reply's */
};

/* Whether such a request sends bytes of the caller's. */
bool s3_verb_has_body(enum s3_verb verb);

/* Builds and signs what is to be sent now. As struct s3_http_job's prepare. */
int s3_job_prepare(struct s3_http_job *http);

/* Judges the answer: sends again, or replies and frees the job. As struct s3_http_job's done. */
void s3_job_done(struct s3_http_job *http);

/* Frees a job that is nowhere under way; NULL allowed. */
void s3_job_free(struct s3_job *job);

/* Appends the path of KEY below the client's prefix, encoded, to PATH ("/bucket" or ""). 0, -ENOMEM. */
int s3_job_path(const struct s3_client *c, const char *key, struct buf *path);

/* The client's region now, as a copy to be freed; NULL without memory. */
char *s3_client_region_now(struct s3_client *c);

#endif
