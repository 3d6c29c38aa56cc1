/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A content-addressed store of chunks: one interface, a driver for each kind of place that holds bytes (memory: the specification;
 * local: blobs of this library; s3). Callers use the store_* wrappers, which check arguments and the duties of drivers once.
 * Every call may come from any thread. A chunk never changes: a put of a name that is there is success.
 */
#ifndef GARNER_BACKEND_STORE_STORE_H
#define GARNER_BACKEND_STORE_STORE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define STORE_NAME_LEN 32 /* bytes of a chunk's name, its hash */

/* What a driver can do, as data; callers never test which driver they have. */
#define STORE_CAN_URL 0x1     /* url() gives something a client can fetch */
#define STORE_CAN_VERIFY 0x2  /* put() refuses bytes that do not hash to the name */
#define STORE_IS_LOCAL 0x4    /* get() never waits for a network */

struct store;

/* What stat() tells. */
struct store_info {
	uint64_t size; /* bytes of the chunk */
};

/* What health() tells. */
struct store_health {
	int status;           /* 0, or the negative error that a put would give now */
	uint64_t total_bytes; /* 0: unknown */
	uint64_t free_bytes;
};

/* Called for each chunk; nonzero stops the walk and is returned. */
typedef int store_list_fn(void *arg, const uint8_t name[STORE_NAME_LEN], uint64_t size);

struct store_ops {
	const char *scheme; /* "memory", "local", "s3": for messages only */
	unsigned flags;     /* STORE_CAN_* */
	/* Frees the driver's state. Never NULL. */
	void (*close)(struct store *s);
	/* 1 there, 0 not, <0 unknown. Never NULL. */
	int (*has)(struct store *s, const uint8_t name[STORE_NAME_LEN]);
	/* Fills *out; -ENOENT. Never NULL. */
	int (*stat)(struct store *s, const uint8_t name[STORE_NAME_LEN], struct store_info *out);
	/* Stores the bytes; durable on 0 (survives a power cut). Replaces a damaged copy. Never NULL. */
	int (*put)(struct store *s, const uint8_t name[STORE_NAME_LEN], const void *bytes, size_t len);
	/* Reads `len` bytes from `off` within the chunk; returns the count, short only at its end; -ENOENT. Never NULL. */
	ssize_t (*get)(struct store *s, const uint8_t name[STORE_NAME_LEN], void *buf, size_t len, uint64_t off);
	/* Removes it; -ENOENT when absent. Never NULL. */
	int (*del)(struct store *s, const uint8_t name[STORE_NAME_LEN]);
	/* Walks all names in ascending order, from after `after` (NULL: from the first). Never NULL. */
	int (*list)(struct store *s, const uint8_t *after, store_list_fn *fn, void *arg);
	/* Writes an URL valid for `seconds`; NULL without STORE_CAN_URL. Returns its length or <0 (-ERANGE: `size` too small). */
	ssize_t (*url)(struct store *s, const uint8_t name[STORE_NAME_LEN], unsigned seconds, char *out, size_t size);
	/* Re-hashes one chunk: 0 good, ERR_CORRUPT, -ENOENT. Never NULL. */
	int (*scan)(struct store *s, const uint8_t name[STORE_NAME_LEN]);
	/* Never NULL. */
	int (*health)(struct store *s, struct store_health *out);
};

struct store {
	const struct store_ops *ops;
};

/* The wrappers; results as the callback of the same name says. store_close(NULL) is allowed. */
void store_close(struct store *s);
int store_has(struct store *s, const uint8_t name[STORE_NAME_LEN]);
int store_stat(struct store *s, const uint8_t name[STORE_NAME_LEN], struct store_info *out);
int store_put(struct store *s, const uint8_t name[STORE_NAME_LEN], const void *bytes, size_t len);
ssize_t store_get(struct store *s, const uint8_t name[STORE_NAME_LEN], void *buf, size_t len, uint64_t off);
int store_delete(struct store *s, const uint8_t name[STORE_NAME_LEN]);
int store_list(struct store *s, const uint8_t *after, store_list_fn *fn, void *arg);
ssize_t store_url(struct store *s, const uint8_t name[STORE_NAME_LEN], unsigned seconds, char *out, size_t size); /* -EOPNOTSUPP */
int store_scan(struct store *s, const uint8_t name[STORE_NAME_LEN]);
int store_health(struct store *s, struct store_health *out);

#endif
