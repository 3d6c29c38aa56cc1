/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One bucket: requests for objects in it, signed, tried again as S3 wants it, told of when they are over.
 * The asynchronous entry is s3_client_submit(): the reply comes to a callback on the client's thread;
 * s3_client_call() waits for it. Any number of threads; memory is that of the requests in flight, whose
 * bodies stay their callers'.
 */
#ifndef BACKEND_S3_CLIENT_H
#define BACKEND_S3_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend/s3/http.h"
#include "backend/s3/keeper.h"
#include "backend/s3/settings.h"

struct s3_client;

enum { S3_HASH_LEN = 32 };

enum s3_verb {
	S3_GET,    /* an object, or a part of it */
	S3_STAT,   /* its size: the first byte is read, for only a GET tells what is missing */
	S3_PUT,    /* an object, whole */
	S3_DELETE, /* also of one that is not there */
	S3_LIST,   /* a page of keys; the key is where they begin: "chunks/" */
	S3_COPY,   /* a put of what the server has at `source` */
	/* An object of several parts: begun (the answer's text has its UploadId), put or copied part by part, and ended with a list of them; or dropped with a DELETE. */
	S3_BEGIN,
	S3_END,
	S3_DELETE_MANY, /* the body has their names (many.h); the key is for messages alone */
};

/* What came of a request; valid during the callback. */
struct s3_reply {
	int err;          /* 0 or negative, see s3_client_submit() */
	int status;       /* of HTTP; 0: no answer */
	const char *code; /* of S3; "": none */
	const char *why;  /* with err: one line that names bucket, key and cause */
	uint64_t size;    /* GET, STAT: of the whole object */
	size_t len;       /* GET: bytes in `into` */
	const char *
		text; /* LIST: the page, for s3_xml_read_page(); BEGIN, COPY: XML, for s3_xml_read_text(); DELETE_MANY: for s3_many_read() */
	size_t text_len;
	const char *etag; /* PUT; "": none */
	unsigned tries;
};

/* By the client's thread: must not block; may submit. */
typedef void s3_done_fn(void *arg, const struct s3_reply *reply);

struct s3_request {
	enum s3_verb verb;
	const char *key;     /* below the prefix; copied */
	int64_t deadline_ns; /* time_mono_ns() at which it is over at the latest */
	s3_done_fn *done;
	void *arg;
	/* GET: where to, how much at most, and from which offset on. Untouched by others from now on. */
	void *into;
	size_t into_size;
	uint64_t off;
	/* PUT, END, DELETE_MANY: the bytes, or who reads them, until done. */
	const void *body;
	s3_read_fn *read;
	void *read_arg;
	uint64_t body_len;
	const uint8_t *sha256; /* of the body, copied; NULL with `body`: found out here */
	bool if_absent;        /* -EEXIST when there is one already */
	/* PUT, COPY: with `upload`, a part of it, from 1 to 10000. END, DELETE: all of it. */
	const char *upload; /* UploadId; copied; NULL: an object by itself */
	unsigned part;
	const char *source; /* COPY: a key below the prefix; copied */
	/* LIST */
	const char *after; /* a key below the prefix; NULL: from the first */
	unsigned max_keys; /* 0: 1000 */
};

/* Whether a put's condition is kept by the server itself. */
enum s3_conditional {
	S3_CONDITIONAL_UNKNOWN, /* no condition was put to the test yet */
	S3_CONDITIONAL_YES,
	S3_CONDITIONAL_NO, /* looked first, put then: two writers may both succeed */
};

/*
 * Makes a client, without thread and without asking anyone. SETTINGS have a bucket and are copied; a
 * region that they do not have is taken from environment and profile. FIND, commonly
 * s3_credentials_find(), looks for credentials. 0, -ENOMEM, -EIO.
 */
int s3_client_new(const struct s3_settings *settings, s3_keeper_find_fn *find,
		  struct s3_client **out);

/*
 * Ends what is in flight with -ECANCELED, waits for the threads, frees. NULL allowed. Not from a
 * callback.
 */
void s3_client_free(struct s3_client *c);

/*
 * Takes the request. 0: done() is called, once; *TICKET (NULL allowed) is for s3_client_cancel().
 * -ENOMEM, -EINVAL (a put without body, or without hash of one that is read; a get of nothing): it is not.
 *
 * Errors of replies: -ENOENT no such key; -ENODEV no such bucket; -EACCES; -ENOKEY no credentials; -EEXIST
 * the condition; -ENOSPC; -EBUSY too many requests; -ETIMEDOUT; -ECONNREFUSED, -ECONNRESET, -EHOSTUNREACH
 * and other errors of the network; -EPROTO no trust in the server's certificate, or no S3 server; -EIO;
 * -ECANCELED; what `read` returned. ERR_UNCERTAIN: the last answer to a put or delete was lost.
 */
int s3_client_submit(struct s3_client *c, const struct s3_request *request, uint64_t *ticket);

/* Ends a request soon, with -ECANCELED unless it is over by then. Any thread. */
void s3_client_cancel(struct s3_client *c, uint64_t ticket);

/*
 * The same and waits for it: the reply's error, its text in WHY (appended, NULL allowed). The request's
 * done() may be NULL, and is called before this returns. Not from a callback.
 */
int s3_client_call(struct s3_client *c, const struct s3_request *request, struct buf *why);

/*
 * Appends an URL that gives the object for SECONDS, at most 7 days, and no longer than the credentials
 * hold. May look for credentials until DEADLINE_NS. 0, -EINVAL for the time, an error of credentials.
 */
int s3_client_presign(struct s3_client *c, const char *key, unsigned seconds, int64_t deadline_ns,
		      struct buf *out);

/* Whether conditions are kept, as far as known; and what a test of it found. Any thread. */
enum s3_conditional s3_client_conditional(struct s3_client *c);
void s3_client_set_conditional(struct s3_client *c, enum s3_conditional known);

/* The server's clock less ours in seconds, once it had to be corrected; else 0. Any thread. */
int64_t s3_client_skew_s(struct s3_client *c);

/* Appends the region that is signed for. 0 or -ENOMEM. Any thread. */
int s3_client_region(struct s3_client *c, struct buf *out);

/* The client's settings, as long as it is there. */
const struct s3_settings *s3_client_settings(const struct s3_client *c);

#endif
