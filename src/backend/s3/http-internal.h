/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What http.c (the loop) and http-easy.c (one transfer) share; nobody else includes it. */
#ifndef BACKEND_S3_HTTP_INTERNAL_H
#define BACKEND_S3_HTTP_INTERNAL_H

#include <curl/curl.h>

#include "backend/s3/http.h"

struct s3_http_easy_params {
	unsigned stall_s;
	uint64_t send_limit;
	const char *ca_file;
	long timeout_ms;
};

/* libcurl's own beginning, once per process. 0 or -EIO. */
int s3_http_easy_begin(void);

/* Sets EASY, fresh or reset, up for the job. 0 or -ENOMEM; either way s3_http_easy_end() follows. */
int s3_http_easy_set(CURL *easy, struct s3_http_job *job, const struct s3_http_easy_params *params);

/* Judges how the transfer ended: completes job->answer. */
void s3_http_easy_result(CURL *easy, struct s3_http_job *job, CURLcode code);

/* Frees what the job has from s3_http_easy_set(). */
void s3_http_easy_end(struct s3_http_job *job);

#endif
