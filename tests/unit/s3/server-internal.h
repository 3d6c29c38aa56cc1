/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the files of the test server share. */
#ifndef TESTS_UNIT_S3_SERVER_INTERNAL_H
#define TESTS_UNIT_S3_SERVER_INTERNAL_H

#include "backend/s3/sign.h"
#include "server.h"
#include "util/buf.h"

#include <pthread.h>
#include <stdatomic.h>

enum {
	SERVER_FAULTS = 8,
	SERVER_HEADERS = 32,
	SERVER_CONNECTIONS = 1024,
	SERVER_PAGE = 250,
	SERVER_PARTS = 20
};

struct object {
	char *key;
	char *bytes;
	size_t len;
};

struct request {
	char *head; /* the text that what follows points into */
	const char *method, *path, *query;
	char *path_text;  /* the path as it came */
	char *query_text; /* of a presigned request, as it came */
	struct s3_pair headers[SERVER_HEADERS], parameters[SERVER_HEADERS];
	size_t header_count, parameter_count;
	char *body;
	size_t body_len;
	const struct fault *fault; /* NULL: none */
	struct fault fault_room;
};

struct answer {
	int status;
	const char *reason;
	struct buf headers, body;
};

struct connection {
	struct server *server;
	int fd;
	pthread_t thread;
};

struct server {
	int listener, port;
	char url[64];
	pthread_t acceptor;
	atomic_bool stopping;
	atomic_uint under_way, most;

	pthread_mutex_t mutex; /* guards what follows */
	struct connection *connections[SERVER_CONNECTIONS];
	size_t connection_count;
	struct fault faults[SERVER_FAULTS];
	unsigned fault_seen[SERVER_FAULTS];
	size_t fault_count;
	unsigned fired, gets, lists, puts, deletes;
	struct object *objects; /* sorted by key */
	size_t object_count;
	bool bucket, conditional_known, conditional_kept, delete_many_known;
	const char *region, *token;
	long skew;
	struct buf put_headers;
	char put_value[512];
};

/* Percent-decodes in place. */
void server_decode(char *text);

/* The value of a header or parameter; NULL: it has none. */
const char *server_find(const struct s3_pair *pairs, size_t count, const char *name);

/* What S3 would answer; the server is locked. */
void server_answer(struct server *s, struct request *r, struct answer *a);

/* An answer that is an error. */
void server_error(struct answer *a, int status, const char *code, const char *more);

#endif
