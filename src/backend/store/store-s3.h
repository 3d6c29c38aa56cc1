/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The store of chunks in a bucket: `PREFIX/chunks/HASH` in lower-case hex, an object for each. Besides
 * the calls of store.h, which block until they are done or their time is over, the same get and put
 * without waiting: for whoever has many under way at a time.
 */
#ifndef BACKEND_STORE_STORE_S3_H
#define BACKEND_STORE_STORE_S3_H

#include "backend/s3/client.h"
#include "backend/store/store.h"

/* The folders of a bucket whose objects are named by a hash: chunks, and manifests by the root hash. */
#define STORE_S3_CHUNKS "chunks/"
#define STORE_S3_MANIFESTS "manifests/"

/* Bytes of a key in either, the NUL included. */
enum { STORE_S3_KEY_LEN = sizeof(STORE_S3_MANIFESTS) + 2 * STORE_NAME_LEN };

/* Writes the key of NAME in FOLDER, which is one of the two, for requests of the client's. */
void store_s3_key(const char *folder, const uint8_t name[STORE_NAME_LEN],
		  char key[STORE_S3_KEY_LEN]);

/* The name in KEY, as a list of C's bucket gives it, in NAME: false for what is no object of FOLDER that is named by a hash. */
bool store_s3_name(const struct s3_client *c, const char *folder, const char *key,
		   uint8_t name[STORE_NAME_LEN]);

/*
 * Opens the store over *CLIENT, which is taken over and set NULL; asks nobody. VERIFY is called with ARG
 * from any thread, several at once. A call of store.h ends after TIMEOUT_MS at the latest (0: a
 * minute), a walk after as long without a page. On 0 *OUT is the caller's, for store_close(). 0 or
 * -ENOMEM, with *CLIENT still the caller's.
 */
int store_s3_open(struct s3_client **client, store_verify_fn *verify, void *arg,
		  unsigned timeout_ms, struct store **out);

/* The client within, as long as the store is open: for the probe and what is no chunk. */
struct s3_client *store_s3_client(struct store *s);

/*
 * The end of a transfer: what store_get() or store_put() would have returned. By the client's thread:
 * must not block, may submit. Nothing is logged; WHY, with an error, is one line that names bucket, key
 * and cause, valid during the call.
 */
typedef void store_s3_done_fn(void *arg, ssize_t result, const char *why);

/*
 * Begins what store_get() does; BUF is the transfer's until done(). LEN is not 0, OFF within what an
 * int64_t holds. 0: DONE will be called, once; *TICKET (NULL allowed) is for store_s3_cancel(). Else
 * -EINVAL or -ENOMEM, and it will not.
 */
int store_s3_submit_get(struct store *s, const uint8_t name[STORE_NAME_LEN], void *buf, size_t len,
			uint64_t off, int64_t deadline_ns, store_s3_done_fn *done, void *arg,
			uint64_t *ticket);

/* What is put without waiting, and from where. */
struct store_s3_source {
	const void *bytes; /* LEN of them, the transfer's until done(), or NULL: */
	s3_read_fn *read;  /* who reads them, by the client's thread: from a blob, quickly */
	void *read_arg;
	uint64_t len;
	const uint8_t *sha256; /* of the bytes, where it is known; needed with `read` */
	bool if_absent;        /* -EEXIST when there is one: a damaged one, too, is then kept */
};

/*
 * Begins what store_put() does, but trusts that the bytes are those of NAME. As store_s3_submit_get().
 */
int store_s3_submit_put(struct store *s, const uint8_t name[STORE_NAME_LEN],
			const struct store_s3_source *source, int64_t deadline_ns,
			store_s3_done_fn *done, void *arg, uint64_t *ticket);

/* Ends a transfer soon, with -ECANCELED unless it is over by then. Any thread. */
void store_s3_cancel(struct store *s, uint64_t ticket);

#endif
