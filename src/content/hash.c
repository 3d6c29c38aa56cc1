/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Hashes over OpenSSL's EVP and, where it was found, libblake3. EVP_sha256() would look the
 * algorithm up at every start, so it is fetched once for the process; a context costs an
 * allocation, so each thread keeps one.
 */
#include "config.h"

#include "content/hash.h"
#include "util/hex.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#ifdef HAVE_BLAKE3
#include <blake3.h>
#endif

struct hash_run {
	enum hash_algo algo;
	EVP_MD_CTX *evp; /* SHA-256 only */
#ifdef HAVE_BLAKE3
	blake3_hasher blake3;
#endif
};

static pthread_once_t hash_once = PTHREAD_ONCE_INIT;
/* Written under hash_once, read-only after. */
static EVP_MD *hash_sha256;
static pthread_key_t hash_key; /* the thread's EVP_MD_CTX */
static bool hash_key_made;

static void hash_ctx_free(void *ctx)
{
	EVP_MD_CTX_free(ctx);
}

static void hash_set_up(void)
{
	hash_sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	hash_key_made = pthread_key_create(&hash_key, hash_ctx_free) == 0;
}

/* The calling thread's context, or NULL without memory. */
static EVP_MD_CTX *hash_ctx(void)
{
	pthread_once(&hash_once, hash_set_up);
	if (!hash_sha256 || !hash_key_made)
		return NULL;
	EVP_MD_CTX *ctx = pthread_getspecific(hash_key);

	if (ctx)
		return ctx;
	ctx = EVP_MD_CTX_new();
	if (ctx && pthread_setspecific(hash_key, ctx)) {
		EVP_MD_CTX_free(ctx);
		ctx = NULL;
	}
	return ctx;
}

bool hash_available(enum hash_algo algo)
{
#ifdef HAVE_BLAKE3
	if (algo == HASH_BLAKE3)
		return true;
#endif
	return algo == HASH_SHA256;
}

const char *hash_algo_name(enum hash_algo algo)
{
	switch (algo) {
	case HASH_SHA256:
		return "sha256";
	case HASH_BLAKE3:
		return "blake3";
	}
	return NULL;
}

int hash_algo_read(const char *name, enum hash_algo *out)
{
	static const enum hash_algo all[] = { HASH_SHA256, HASH_BLAKE3 };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (strcmp(name, hash_algo_name(all[i])) != 0)
			continue;
		if (!hash_available(all[i]))
			return -ENOTSUP;
		*out = all[i];
		return 0;
	}
	return -EINVAL;
}

#ifdef HAVE_BLAKE3
static int hash_data_blake3(const void *data, size_t len, struct hash *out)
{
	blake3_hasher hasher;

	blake3_hasher_init(&hasher);
	blake3_hasher_update(&hasher, data, len);
	blake3_hasher_finalize(&hasher, out->b, HASH_LEN);
	return 0;
}
#endif

int hash_data(enum hash_algo algo, const void *data, size_t len, struct hash *out)
{
	struct hash hash;

	if (!hash_available(algo))
		return -ENOTSUP;
#ifdef HAVE_BLAKE3
	if (algo == HASH_BLAKE3)
		return hash_data_blake3(data, len, out);
#endif
	EVP_MD_CTX *ctx = hash_ctx();

	if (!ctx || !EVP_DigestInit_ex2(ctx, hash_sha256, NULL) ||
	    !EVP_DigestUpdate(ctx, data, len) || !EVP_DigestFinal_ex(ctx, hash.b, NULL))
		return -ENOMEM;
	*out = hash;
	return 0;
}

/* Starts over with nothing added. */
static int hash_run_start(struct hash_run *r)
{
#ifdef HAVE_BLAKE3
	if (r->algo == HASH_BLAKE3) {
		blake3_hasher_init(&r->blake3);
		return 0;
	}
#endif
	return EVP_DigestInit_ex2(r->evp, hash_sha256, NULL) ? 0 : -ENOMEM;
}

int hash_run_new(enum hash_algo algo, struct hash_run **out)
{
	if (!hash_available(algo))
		return -ENOTSUP;
	struct hash_run *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	pthread_once(&hash_once, hash_set_up);
	r->algo = algo;
	r->evp = EVP_MD_CTX_new();
	if (!r->evp || !hash_sha256 || hash_run_start(r)) {
		hash_run_free(r);
		return -ENOMEM;
	}
	*out = r;
	return 0;
}

int hash_run_add(struct hash_run *r, const void *data, size_t len)
{
#ifdef HAVE_BLAKE3
	if (r->algo == HASH_BLAKE3) {
		blake3_hasher_update(&r->blake3, data, len);
		return 0;
	}
#endif
	return EVP_DigestUpdate(r->evp, data, len) ? 0 : -ENOMEM;
}

int hash_run_end(struct hash_run *r, struct hash *out)
{
	struct hash hash;

#ifdef HAVE_BLAKE3
	if (r->algo == HASH_BLAKE3) {
		blake3_hasher_finalize(&r->blake3, out->b, HASH_LEN);
		return hash_run_start(r);
	}
#endif
	if (!EVP_DigestFinal_ex(r->evp, hash.b, NULL) || hash_run_start(r))
		return -ENOMEM;
	*out = hash;
	return 0;
}

void hash_run_free(struct hash_run *r)
{
	if (!r)
		return;
	EVP_MD_CTX_free(r->evp);
	free(r);
}

void hash_hex(const struct hash *h, char text[HASH_TEXT_LEN])
{
	hex_encode(h->b, HASH_LEN, text);
}

int hash_read(const char *text, size_t len, struct hash *out)
{
	struct hash hash = { { 0 } };

	if (len != HASH_TEXT_LEN - 1 || hex_decode(text, len, hash.b))
		return -EINVAL;
	*out = hash;
	return 0;
}

bool hash_equal(const struct hash *a, const struct hash *b)
{
	return memcmp(a->b, b->b, HASH_LEN) == 0;
}
