/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A content-addressed store of chunks: one interface, a driver for each kind of place that holds
 * bytes (store-memory: the specification; store-local: the blobs of this library). A chunk never
 * changes: a put of a name that is there is success. Callers use the store_* wrappers, which check
 * arguments and the drivers' duties once. Every call may come from any thread; wrappers such as
 * store-fault stack on the same ops.
 */
#ifndef BACKEND_STORE_STORE_H
#define BACKEND_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define STORE_NAME_LEN 32 /* bytes of a chunk's name, its hash */

/* What a store can do, as data; callers never test which driver they have. */
#define STORE_CAN_URL 0x1    /* store_url() gives something that a client can fetch */
#define STORE_CAN_VERIFY 0x2 /* store_put() refuses bytes that do not hash to the name */
#define STORE_IS_LOCAL 0x4   /* store_get() never waits for a network */

/* Whether LEN bytes hash to NAME. Hashing belongs to the layer above, which gives this in. */
typedef bool store_verify_fn(void *arg, const uint8_t name[STORE_NAME_LEN], const void *bytes,
			     size_t len);

/* Called for each chunk; nonzero stops the walk and is returned. May call the store. */
typedef int store_list_fn(void *arg, const uint8_t name[STORE_NAME_LEN], uint64_t size);

struct store_info {
	uint64_t size; /* bytes of the chunk */
};

struct store_health {
	int status;           /* 0, or the negative error that a put would give now */
	uint64_t total_bytes; /* 0: unknown */
	uint64_t free_bytes;
};

struct store;

/*
 * What a driver does. The wrapper of the same name says what the arguments are and what is
 * returned; here is what the driver may rely on and owes besides. Only url may be NULL.
 */
struct store_ops {
	const char *scheme; /* "memory", "local", …: for messages only */
	/* Frees the whole store, `s` included. No other call is running. */
	void (*close)(struct store *s);
	int (*has)(struct store *s, const uint8_t name[STORE_NAME_LEN]);
	int (*stat)(struct store *s, const uint8_t name[STORE_NAME_LEN], struct store_info *out);
	/* `len` is not 0. Must replace a damaged copy. */
	int (*put)(struct store *s, const uint8_t name[STORE_NAME_LEN], const void *bytes,
		   size_t len);
	/* `len` is not 0. */
	ssize_t (*get)(struct store *s, const uint8_t name[STORE_NAME_LEN], void *buf, size_t len,
		       uint64_t off);
	int (*del)(struct store *s, const uint8_t name[STORE_NAME_LEN]);
	/* Must give each name once and in ascending order, and hold no lock around `fn`. */
	int (*list)(struct store *s, const uint8_t *after, store_list_fn *fn, void *arg);
	/* NULL without STORE_CAN_URL. */
	ssize_t (*url)(struct store *s, const uint8_t name[STORE_NAME_LEN], unsigned seconds,
		       char *out, size_t size);
	int (*scan)(struct store *s, const uint8_t name[STORE_NAME_LEN]);
	int (*health)(struct store *s, struct store_health *out);
};

/* A driver's own struct begins with this. */
struct store {
	const struct store_ops *ops;
	unsigned flags; /* STORE_CAN_*, STORE_IS_* */
};

/* Closes and frees; NULL allowed. No other call may be running. */
void store_close(struct store *s);

/* 1 there, 0 not, <0 unknown: what keeps the store from telling. */
int store_has(struct store *s, const uint8_t name[STORE_NAME_LEN]);

/* Fills *OUT. 0, -ENOENT or another negative error. */
int store_stat(struct store *s, const uint8_t name[STORE_NAME_LEN], struct store_info *out);

/*
 * Stores LEN bytes. On 0 the chunk survives a power cut. A good copy that is there already is
 * kept, a damaged one replaced. -EINVAL for no bytes; -EBADMSG with STORE_CAN_VERIFY when the bytes do
 * not hash to NAME; -ENOSPC, -EROFS, -EIO, -ENOMEM; ERR_UNCERTAIN when the reply was lost, after which
 * a second put is right.
 */
int store_put(struct store *s, const uint8_t name[STORE_NAME_LEN], const void *bytes, size_t len);

/*
 * Reads up to LEN bytes from OFF within the chunk to BUF, unverified. The count, short only at the
 * chunk's end, 0 beyond it; -ENOENT; ERR_CORRUPT when the store knows that its bytes are not there; or
 * another negative error, and BUF is undefined.
 */
ssize_t store_get(struct store *s, const uint8_t name[STORE_NAME_LEN], void *buf, size_t len,
		  uint64_t off);

/* Removes the chunk, whoever needs it: that is the caller's to know. 0, -ENOENT, negative error. */
int store_delete(struct store *s, const uint8_t name[STORE_NAME_LEN]);

/*
 * Calls FN for all names in ascending order, from after AFTER (NULL: from the first). Chunks put
 * or deleted during the walk may or may not be seen. 0 at the end, FN's value, or negative error.
 */
int store_list(struct store *s, const uint8_t *after, store_list_fn *fn, void *arg);

/*
 * Writes an URL that gives the chunk for SECONDS, with a NUL, to OUT. Its length; -ERANGE when SIZE is
 * too small, -EOPNOTSUPP without STORE_CAN_URL, or another negative error.
 */
ssize_t store_url(struct store *s, const uint8_t name[STORE_NAME_LEN], unsigned seconds, char *out,
		  size_t size);

/* Reads the chunk back and hashes it: 0 good, ERR_CORRUPT, -ENOENT, another negative error. */
int store_scan(struct store *s, const uint8_t name[STORE_NAME_LEN]);

/* Fills *OUT. 0, or a negative error when the store does not even answer that. */
int store_health(struct store *s, struct store_health *out);

#endif
