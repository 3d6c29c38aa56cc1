/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Hashes: the names of chunks and objects. An algorithm is a library's choice, made when the
 * library is created, and recorded by its number in everything that leaves the library. All of them
 * give 32 bytes.
 *
 * A hash is computed for one run of bytes (hash_data) or piece by piece (struct hash_run). All
 * functions may be called from any thread; each thread keeps what it needs between calls and gives
 * it back when it ends.
 */
#ifndef GARNER_CONTENT_HASH_H
#define GARNER_CONTENT_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The numbers are part of stored formats: never change them. */
enum hash_algo {
	HASH_SHA256 = 1, /* FIPS 180-4 */
	HASH_BLAKE3 = 2, /* the BLAKE3 paper, 2020; only where libblake3 was found at build */
};

enum { HASH_LEN = 32, HASH_TEXT_LEN = 65 };

struct hash {
	uint8_t b[HASH_LEN];
};

/* Whether this build can compute `algo`. */
bool hash_available(enum hash_algo algo);

/* "sha256", "blake3"; NULL for a number that is neither. */
const char *hash_algo_name(enum hash_algo algo);

/*
 * The algorithm of that name. 0, -EINVAL for an unknown name, -ENOTSUP for one that this build
 * lacks.
 */
int hash_algo_read(const char *name, enum hash_algo *out);

/* The hash of `len` bytes. 0, -ENOTSUP, or -ENOMEM; *out is untouched unless 0. */
int hash_data(enum hash_algo algo, const void *data, size_t len, struct hash *out);

/* A hash in the making. One thread at a time. */
struct hash_run;

/* Starts one. 0 and *out, ended with hash_run_free(); -ENOTSUP or -ENOMEM. */
int hash_run_new(enum hash_algo algo, struct hash_run **out);

/* Takes `len` more bytes. 0, or -ENOMEM. */
int hash_run_add(struct hash_run *r, const void *data, size_t len);

/*
 * Writes the hash of what was added and starts over with nothing added. 0, or -ENOMEM with *out
 * untouched; after that only hash_run_free() may be called.
 */
int hash_run_end(struct hash_run *r, struct hash *out);

/* Frees `r` in whatever state. NULL is fine. */
void hash_run_free(struct hash_run *r);

/* Writes a hash as 64 lower-case digits and a NUL. */
void hash_hex(const struct hash *h, char text[HASH_TEXT_LEN]);

/* Reads exactly 64 digits of either case. 0, or -EINVAL with *out untouched. */
int hash_read(const char *text, size_t len, struct hash *out);

/* Whether two hashes are the same. */
bool hash_equal(const struct hash *a, const struct hash *b);

#endif
