/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One transfer: libcurl's options, the bytes in both directions, the headers that matter, the outcome. */
#include "config.h"

#include "backend/s3/http-internal.h"
#include "util/buf.h"
#include "util/parse.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
	CONNECT_MS = 10000,
	SPEED_MIN = 1024,
	UPLOAD_BUFFER = 256 << 10,
	UPLOAD_BUFFER_MIN = 16 << 10,
	READ_BUFFER = 128 << 10
};

static pthread_once_t begin_once = PTHREAD_ONCE_INIT;
static int begin_err;

static void begin(void)
{
	begin_err = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? 0 : -EIO;
}

int s3_http_easy_begin(void)
{
	pthread_once(&begin_once, begin);
	return begin_err;
}

/* Bytes to send. */
static size_t on_read(char *buf, size_t size, size_t count, void *arg)
{
	struct s3_http_job *job = arg;
	size_t len = size * count;

	if (len > job->body_len - job->body_off)
		len = (size_t)(job->body_len - job->body_off);
	if (job->body)
		memcpy(buf, (const char *)job->body + job->body_off, len);
	else if (len)
		job->body_err = job->read(job->read_arg, buf, len, job->body_off);
	if (job->body_err)
		return CURL_READFUNC_ABORT;
	job->body_off += len;
	return len;
}

/* A request on a connection that the server had closed meanwhile is sent again on a new one. */
static int on_seek(void *arg, curl_off_t off, int origin)
{
	struct s3_http_job *job = arg;

	if (origin != SEEK_SET || off < 0 || (uint64_t)off > job->body_len)
		return CURL_SEEKFUNC_CANTSEEK;
	job->resent = job->resent || job->body_off > 0;
	job->body_off = (uint64_t)off;
	return CURL_SEEKFUNC_OK;
}

/*
 * Bytes of an object. A server that does not know ranges sends all of it: what is before the part that was
 * asked for is skipped, what is behind it dropped.
 */
static bool take_bytes(struct s3_http_job *job, const char *bytes, size_t len)
{
	struct s3_http_answer *a = &job->answer;
	bool whole = job->asks_range && a->status == 200;

	if (whole && job->skipped < job->into_off) {
		size_t skip = len;

		if (skip > job->into_off - job->skipped)
			skip = (size_t)(job->into_off - job->skipped);
		job->skipped += skip;
		bytes += skip;
		len -= skip;
	}
	if (len > job->into_size - a->into_len) {
		if (!whole)
			return false;
		len = job->into_size - a->into_len;
	}
	if (len)
		memcpy((char *)job->into + a->into_len, bytes, len);
	a->into_len += len;
	return true;
}

static size_t on_write(char *bytes, size_t size, size_t count, void *arg)
{
	struct s3_http_job *job = arg;
	struct s3_http_answer *a = &job->answer;
	size_t len = size * count, room = S3_HTTP_TEXT_MAX - a->text.len;

	/* The first byte was asked for to learn the size, and the server does not know ranges. */
	if (!job->into && job->asks_range && a->status == 200)
		return len;
	if (job->into && a->status >= 200 && a->status < 300)
		return take_bytes(job, bytes, len) ? len : 0;
	if (len > room && a->status >= 200 && a->status < 300)
		return 0;
	return buf_add(&a->text, bytes, len < room ? len : room) ? 0 : len;
}

/* Whether the header is NAME; its value is then at *VALUE, *LEN. */
static bool header_is(const char *line, size_t line_len, const char *name, const char **value,
		      size_t *len)
{
	size_t n = strlen(name);

	if (line_len <= n || line[n] != ':' || strncasecmp(line, name, n))
		return false;
	*value = line + n + 1;
	*len = line_len - n - 1;
	while (*len && strchr(" \t\r\n", (*value)[*len - 1]))
		--*len;
	while (*len && strchr(" \t", **value)) {
		++*value;
		--*len;
	}
	return true;
}

/* `bytes 0-9/100` */
static void take_range(struct s3_http_answer *a, const char *text)
{
	unsigned long long first, last, total;

	if (sscanf(text, "bytes %llu-%llu/%llu", &first, &last, &total) != 3)
		return;
	a->ranged = true;
	a->range_first = first;
	a->range_total = total;
}

static void take_header(struct s3_http_answer *a, const char *line, size_t line_len)
{
	static const struct {
		const char *name;
		size_t at, size;
	} texts[] = {
#define TEXT(name, field)                                                                          \
	{ name, offsetof(struct s3_http_answer, field),                                            \
	  sizeof(((struct s3_http_answer *)0)->field) }
		TEXT("etag", etag),
		TEXT("x-amz-bucket-region", region),
		TEXT("x-amz-checksum-sha256", checksum),
		TEXT("x-amz-request-id", request_id),
#undef TEXT
	};
	char text[64];
	const char *value;
	uint64_t number;
	size_t len;

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		if (header_is(line, line_len, texts[i].name, &value, &len))
			snprintf((char *)a + texts[i].at, texts[i].size, "%.*s", (int)len, value);
	if (header_is(line, line_len, "date", &value, &len)) {
		snprintf(text, sizeof text, "%.*s", (int)len, value);
		a->date = curl_getdate(text, NULL);
		if (a->date == (time_t)-1)
			a->date = 0;
	} else if (header_is(line, line_len, "retry-after", &value, &len)) {
		snprintf(text, sizeof text, "%.*s", (int)len, value);
		if (!parse_u64(text, INT_MAX, &number))
			a->retry_after_s = (unsigned)number;
	} else if (header_is(line, line_len, "content-length", &value, &len)) {
		snprintf(text, sizeof text, "%.*s", (int)len, value);
		if (!parse_u64(text, INT64_MAX, &number))
			a->length = number;
	} else if (header_is(line, line_len, "content-range", &value, &len)) {
		snprintf(text, sizeof text, "%.*s", (int)len, value);
		take_range(a, text);
	}
}

/* An answer may follow others (100 Continue, a proxy's): the last counts. */
static size_t on_header(char *line, size_t size, size_t count, void *arg)
{
	struct s3_http_job *job = arg;
	size_t len = size * count;
	long status = 0;

	if (len >= 5 && !memcmp(line, "HTTP/", 5)) {
		struct buf text = job->answer.text;

		curl_easy_getinfo(job->easy, CURLINFO_RESPONSE_CODE, &status);
		job->answer = (struct s3_http_answer){ .status = (int)status, .text = text };
	} else {
		take_header(&job->answer, line, len);
	}
	return len;
}

static int add_lines(struct s3_http_job *job)
{
	struct curl_slist *list = NULL, *longer;
	const char *line = buf_str(&job->headers);
	int err = 0;

	while (*line && !err) {
		size_t len = strcspn(line, "\n");
		char *copy = strndup(line, len);

		longer = copy ? curl_slist_append(list, copy) : NULL;
		free(copy);
		if (longer)
			list = longer;
		else
			err = -ENOMEM;
		line += len + (line[len] == '\n');
	}
	/* Waiting for `100 Continue` would cost a round trip for each chunk. */
	longer = err ? NULL : curl_slist_append(list, "Expect:");
	if (longer)
		list = longer;
	job->lines = list;
	return longer ? 0 : -ENOMEM;
}

static void set_method(CURL *easy, struct s3_http_job *job)
{
	if (!strcmp(job->method, "HEAD")) {
		curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
	} else if (!strcmp(job->method, "PUT") || !strcmp(job->method, "POST")) {
		curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
		curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, job->method);
		curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)job->body_len);
		curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_read);
		curl_easy_setopt(easy, CURLOPT_READDATA, job);
		curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, on_seek);
		curl_easy_setopt(easy, CURLOPT_SEEKDATA, job);
	} else if (strcmp(job->method, "GET")) {
		curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, job->method);
	}
}

/* A limit is kept by the buffer: a larger one would go out at once. */
static void set_send_limit(CURL *easy, uint64_t limit)
{
	long buffer = UPLOAD_BUFFER;

	if (limit && limit < UPLOAD_BUFFER)
		buffer = limit > UPLOAD_BUFFER_MIN ? (long)limit : UPLOAD_BUFFER_MIN;
	curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, buffer);
	if (limit)
		curl_easy_setopt(easy, CURLOPT_MAX_SEND_SPEED_LARGE, (curl_off_t)limit);
}

static void set_limits(CURL *easy, const struct s3_http_easy_params *params)
{
	long connect_ms = params->timeout_ms < CONNECT_MS ? params->timeout_ms : CONNECT_MS;

	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, params->timeout_ms);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, connect_ms);
	curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, (long)SPEED_MIN);
	curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, (long)params->stall_s);
	set_send_limit(easy, params->send_limit);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	/* A resolver that hangs must not hold up the thread that gave up on it. */
	curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
}

int s3_http_easy_set(CURL *easy, struct s3_http_job *job, const struct s3_http_easy_params *params)
{
	int err = add_lines(job);

	job->easy = easy;
	job->body_off = job->skipped = 0;
	job->body_err = 0;
	job->resent = false;
	*job->trouble = '\0';
	curl_easy_setopt(easy, CURLOPT_PRIVATE, job);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, job->trouble);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, "garner/" GARNER_VERSION);
	curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, (long)READ_BUFFER);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_write);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, job);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, job);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, job->lines);
	if (params->ca_file) {
		/* Instead of the system's, which libcurl has as a file and as a folder. */
		curl_easy_setopt(easy, CURLOPT_CAINFO, params->ca_file);
		curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
	}
	set_limits(easy, params);
	set_method(easy, job);
	if (!err && curl_easy_setopt(easy, CURLOPT_URL, buf_str(&job->url)) != CURLE_OK)
		err = -ENOMEM;
	return err;
}

void s3_http_easy_end(struct s3_http_job *job)
{
	curl_slist_free_all(job->lines);
	job->lines = NULL;
	job->easy = NULL;
}

/* The error that stands for what libcurl says; 0 for a transfer that is whole. */
static int error_of(CURL *easy, const struct s3_http_job *job, CURLcode code)
{
	long os = 0;

	switch (code) {
	case CURLE_OK:
		return job->answer.status ? 0 : -ECONNRESET;
	case CURLE_OPERATION_TIMEDOUT:
		return -ETIMEDOUT;
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
		return -EHOSTUNREACH;
	case CURLE_COULDNT_CONNECT:
		curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &os);
		return os > 0 ? (int)-os : -ECONNREFUSED;
	case CURLE_PARTIAL_FILE:
	case CURLE_GOT_NOTHING:
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
	case CURLE_HTTP2:
	case CURLE_HTTP2_STREAM:
	case CURLE_SEND_FAIL_REWIND:
		return -ECONNRESET;
	case CURLE_ABORTED_BY_CALLBACK:
		return job->body_err ? job->body_err : -ECANCELED;
	case CURLE_OUT_OF_MEMORY:
		return -ENOMEM;
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_URL_MALFORMAT:
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_WRITE_ERROR:
		return -EPROTO;
	default:
		return -EIO;
	}
}

/* A part that is not the one that was asked for is no answer. */
static bool is_other_part(const struct s3_http_job *job)
{
	const struct s3_http_answer *a = &job->answer;

	return job->asks_range && a->status == 206 &&
	       (!a->ranged || a->range_first != job->into_off);
}

void s3_http_easy_result(CURL *easy, struct s3_http_job *job, CURLcode code)
{
	struct s3_http_answer *a = &job->answer;
	curl_off_t began = 0;

	a->err = error_of(easy, job, code);
	if (!a->err && is_other_part(job)) {
		a->err = -EPROTO;
		snprintf(a->trouble, sizeof a->trouble, "another part came than was asked for");
		return;
	}
	if (!a->err)
		return;
	curl_easy_getinfo(easy, CURLINFO_PRETRANSFER_TIME_T, &began);
	a->sent = began > 0;
	snprintf(a->trouble, sizeof a->trouble, "%s",
		 *job->trouble ? job->trouble : curl_easy_strerror(code));
}
