/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the tests of the client share: a server, a client of it, requests. */
#ifndef TESTS_UNIT_S3_S3_UNIT_H
#define TESTS_UNIT_S3_S3_UNIT_H

#include "../unit.h"
#include "backend/s3/client.h"
#include "server.h"
#include "util/err.h"
#include "util/time.h"

#include <errno.h>
#include <string.h>

struct lab {
	struct server *server;
	struct s3_settings settings;
	struct s3_client *client;
	struct buf why; /* of the last call */
	char code[64];
	uint64_t size;
	size_t len;
	unsigned tries;
};

/* Finds the keys that the server knows. */
static inline int lab_find(const char *profile, const bool *stop, struct s3_credentials *out,
			   struct buf *why)
{
	(void)profile;
	(void)stop;
	(void)why;
	*out = (struct s3_credentials){ .id = strdup(SERVER_KEY),
					.secret = strdup(SERVER_SECRET),
					.found = "test" };
	return 0;
}

static inline void lab_client(struct lab *lab, s3_keeper_find_fn *find)
{
	s3_client_free(lab->client);
	lab->client = NULL;
	ck_assert_int_eq(s3_client_new(&lab->settings, find, &lab->client), 0);
}

static inline void lab_open(struct lab *lab)
{
	*lab = (struct lab){ .server = server_start() };
	ck_assert_int_eq(s3_settings_url(&lab->settings, "s3://" SERVER_BUCKET, &lab->why), 0);
	ck_assert_int_eq(s3_settings_endpoint(&lab->settings, server_url(lab->server), &lab->why),
			 0);
	lab->settings.region = strdup("us-east-1");
	lab_client(lab, lab_find);
}

static inline void lab_close(struct lab *lab)
{
	s3_client_free(lab->client);
	s3_settings_release(&lab->settings);
	buf_release(&lab->why);
	server_stop(lab->server);
}

static inline void lab_note(void *arg, const struct s3_reply *reply)
{
	struct lab *lab = arg;

	snprintf(lab->code, sizeof lab->code, "%s", reply->code);
	lab->size = reply->size;
	lab->len = reply->len;
	lab->tries = reply->tries;
	/* Only an error has words. */
	ck_assert_int_eq(reply->err != 0, *reply->why != '\0');
}

static inline int lab_call(struct lab *lab, struct s3_request r, int64_t ms)
{
	r.deadline_ns = time_mono_ns() + ms * TIME_NS_PER_MS;
	r.done = lab_note;
	r.arg = lab;
	buf_reset(&lab->why);
	return s3_client_call(lab->client, &r, &lab->why);
}

static inline int lab_put(struct lab *lab, const char *key, const void *bytes, size_t len)
{
	return lab_call(
		lab,
		(struct s3_request){ .verb = S3_PUT, .key = key, .body = bytes, .body_len = len },
		UNIT_PATIENCE_MS);
}

static inline int lab_get(struct lab *lab, const char *key, void *into, size_t size, uint64_t off)
{
	return lab_call(
		lab,
		(struct s3_request){
			.verb = S3_GET, .key = key, .into = into, .into_size = size, .off = off },
		UNIT_PATIENCE_MS);
}

/* Whether the object at `key` is these bytes, on the server itself. */
static inline bool lab_holds(struct lab *lab, const char *key, const void *bytes, size_t len)
{
	size_t there = 0;
	void *object = server_object(lab->server, key, &there);
	bool same = object && there == len && !memcmp(object, bytes, len);

	free(object);
	return same;
}

#endif
