/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * An S3 server for tests, in threads of the test itself: one bucket in memory, signatures checked, and wrong
 * in whatever way and at whatever request it is told to be. It is no model of S3: the tests against real
 * servers see to that.
 */
#ifndef TESTS_UNIT_S3_SERVER_H
#define TESTS_UNIT_S3_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SERVER_BUCKET "bucket"
#define SERVER_KEY "AKIATEST"
#define SERVER_SECRET "a/secret+of=tests"

enum fault_kind {
	FAULT_STATUS,         /* answers `status` with `code` and the lines of `headers` */
	FAULT_RESET,          /* resets the connection instead of answering, nothing done */
	FAULT_LOST_REPLY,     /* does it, then resets the connection */
	FAULT_HANG,           /* reads the request and never answers */
	FAULT_STALL,          /* sends half of the answer's body, then nothing more */
	FAULT_TRUNCATE,       /* sends half of the body, then closes */
	FAULT_CUT,            /* sends half of the body, then resets */
	FAULT_CORRUPT,        /* one bit of the answer's body is wrong */
	FAULT_SPOIL_UPLOAD,   /* one bit of the request's body is wrong when it arrives */
	FAULT_RESET_UPLOAD,   /* resets after half of the request's body */
	FAULT_WRONG_ETAG,     /* */
	FAULT_WRONG_CHECKSUM, /* tells another x-amz-checksum-sha256 than was sent */
	FAULT_WRONG_PART,     /* sends the bytes behind those that were asked for */
	FAULT_NO_RANGE,       /* does not know ranges */
	FAULT_GARBAGE,        /* answers what is no HTTP */
	FAULT_DISORDER,       /* lists the last keys of a page first */
};

struct fault {
	enum fault_kind kind;
	const char *method; /* NULL: any; "LIST": those GETs that list */
	unsigned skip;      /* so many requests go well first */
	unsigned count;     /* then so many go wrong; 0: all */
	int status;
	const char *code;
	const char *headers; /* "name: value\r\n" */
};

struct server;

/* Starts one on a free port of 127.0.0.1. Ended with server_stop(), which waits for its threads. */
struct server *server_start(void);
void server_stop(struct server *s);

/* "http://127.0.0.1:PORT" */
const char *server_url(const struct server *s);

/* What follows goes wrong so; at most 8 at a time, tried in order. server_heal() takes all back. */
void server_fault(struct server *s, struct fault fault);
void server_heal(struct server *s);

/* How many requests came that were answered, or not, as told ("LIST": of the GETs, those that list); how many went wrong as told. */
unsigned server_requests(struct server *s, const char *method);
unsigned server_faults(struct server *s);

/* The most requests that were under way at a time. */
unsigned server_most(struct server *s);

/* Nobody listens any more and all connections are reset; listens again, on the same port. */
void server_pause(struct server *s);
void server_resume(struct server *s);

/* What it is like; before or between requests. */
void server_set_bucket(struct server *s, bool there);
void server_set_region(struct server *s, const char *region); /* static */
void server_set_skew(struct server *s, long seconds);
void server_set_token(struct server *s, const char *token); /* wanted, else ExpiredToken; static */
void server_set_conditional(struct server *s, bool known, bool kept);
void server_set_delete_many(struct server *s, bool known);

/* A copy of the object's bytes, NULL when it is not there; to be freed. */
void *server_object(struct server *s, const char *key, size_t *len);

/* Puts an object there, or another in its place. */
void server_store(struct server *s, const char *key, const void *bytes, size_t len);

/* The value of a header of the last PUT, "" if none; the caller's until the next call. */
const char *server_put_header(struct server *s, const char *name);

#endif
