/* SPDX-License-Identifier: GPL-3.0-or-later */
/* content/hash.h */
#include "config.h"

#include "../unit.h"
#include "content/hash.h"
#include "stream.h"
#include "util/cleanup.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

static void expect_hash(enum hash_algo algo, const void *data, size_t len, const char *hex)
{
	char text[HASH_TEXT_LEN];
	struct hash h;

	ck_assert_int_eq(hash_data(algo, data, len, &h), 0);
	hash_hex(&h, text);
	ck_assert_str_eq(text, hex);
}

/* FIPS 180-2, appendix B, and the empty message. */
START_TEST(sha_256_is_that_of_the_standard)
{
	CLEANUP_FREE char *million = malloc(1000000);

	memset(million, 'a', 1000000);
	expect_hash(HASH_SHA256, "", 0,
		    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	expect_hash(HASH_SHA256, "abc", 3,
		    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	expect_hash(HASH_SHA256, "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56,
		    "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
	expect_hash(HASH_SHA256, million, 1000000,
		    "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}
END_TEST

/* With libblake3, its published test vectors; without, a plain refusal. */
START_TEST(blake3_is_right_or_refused)
{
	enum hash_algo algo = HASH_SHA256;
	struct hash_run *run = NULL;
	struct hash h = { { 1 } };

	if (hash_available(HASH_BLAKE3)) {
		expect_hash(HASH_BLAKE3, "", 0,
			    "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262");
		expect_hash(HASH_BLAKE3, "\0\1\2", 3,
			    "e1be4d7a8ab5560aa4199eea339849ba8e293d55ca0a81006726d184519e647f");
		ck_assert_int_eq(hash_algo_read("blake3", &algo), 0);
		ck_assert_int_eq(algo, HASH_BLAKE3);
		return;
	}
	ck_assert_int_eq(hash_data(HASH_BLAKE3, "", 0, &h), -ENOTSUP);
	ck_assert_int_eq(h.b[0], 1);
	ck_assert_int_eq(hash_run_new(HASH_BLAKE3, &run), -ENOTSUP);
	ck_assert_int_eq(hash_algo_read("blake3", &algo), -ENOTSUP);
	ck_assert_int_eq(algo, HASH_SHA256);
}
END_TEST

START_TEST(pieces_make_the_whole)
{
	enum { LEN = 100000 };
	static const enum hash_algo algos[] = { HASH_SHA256, HASH_BLAKE3 };
	CLEANUP_FREE uint8_t *data = stream_new(1, LEN);
	uint64_t random = 2;

	for (int a = 0; a < 2; a++) {
		struct hash_run *run = NULL;
		struct hash whole, pieces;

		if (!hash_available(algos[a]))
			continue;
		ck_assert_int_eq(hash_run_new(algos[a], &run), 0);
		for (int round = 0; round < 20; round++) {
			size_t len = stream_below(&random, LEN);

			for (size_t at = 0, step; at < len; at += step) {
				step = 1 + stream_below(&random, 5000);
				step = step < len - at ? step : len - at;
				ck_assert_int_eq(hash_run_add(run, data + at, step), 0);
			}
			ck_assert_int_eq(hash_run_end(run, &pieces), 0);
			ck_assert_int_eq(hash_data(algos[a], data, len, &whole), 0);
			ck_assert(hash_equal(&whole, &pieces));
		}
		hash_run_free(run);
	}
	hash_run_free(NULL);
}
END_TEST

static void *hash_often(void *arg)
{
	const uint8_t *data = arg;

	for (size_t i = 0; i < 300; i++) {
		struct hash one, two;

		ck_assert_int_eq(hash_data(HASH_SHA256, data, i * 10, &one), 0);
		ck_assert_int_eq(hash_data(HASH_SHA256, data, i * 10, &two), 0);
		ck_assert(hash_equal(&one, &two));
	}
	return NULL;
}

START_TEST(threads_do_not_disturb_each_other)
{
	CLEANUP_FREE uint8_t *data = stream_new(3, 3000);
	pthread_t ids[4];

	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&ids[i], NULL, hash_often, data), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(ids[i], NULL);
}
END_TEST

START_TEST(names_of_algorithms)
{
	enum hash_algo algo = HASH_BLAKE3;

	ck_assert(hash_available(HASH_SHA256));
	ck_assert(!hash_available(0));
	ck_assert_str_eq(hash_algo_name(HASH_SHA256), "sha256");
	ck_assert_str_eq(hash_algo_name(HASH_BLAKE3), "blake3");
	ck_assert_ptr_null(hash_algo_name(0));
	ck_assert_ptr_null(hash_algo_name(3));
	ck_assert_int_eq(hash_algo_read("sha256", &algo), 0);
	ck_assert_int_eq(algo, HASH_SHA256);
	ck_assert_int_eq(hash_algo_read("md5", &algo), -EINVAL);
	ck_assert_int_eq(hash_algo_read("", &algo), -EINVAL);
}
END_TEST

START_TEST(text_goes_round)
{
	char text[HASH_TEXT_LEN];
	struct hash h, back;

	ck_assert_int_eq(hash_data(HASH_SHA256, "x", 1, &h), 0);
	hash_hex(&h, text);
	ck_assert_uint_eq(strlen(text), 64);
	ck_assert_int_eq(hash_read(text, 64, &back), 0);
	ck_assert(hash_equal(&h, &back));
	text[10] = 'g';
	ck_assert_int_eq(hash_read(text, 64, &back), -EINVAL);
	ck_assert_int_eq(hash_read(text, 63, &back), -EINVAL);
	ck_assert_int_eq(hash_read(text, 8, &back), -EINVAL);
	ck_assert(hash_equal(&h, &back));
	back.b[31] ^= 1;
	ck_assert(!hash_equal(&h, &back));
}
END_TEST

UNIT_MAIN("hash", 60, sha_256_is_that_of_the_standard, blake3_is_right_or_refused,
	  pieces_make_the_whole, threads_do_not_disturb_each_other, names_of_algorithms,
	  text_goes_round)
