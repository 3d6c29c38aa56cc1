/* SPDX-License-Identifier: GPL-3.0-or-later */
/* content/chunker.h: the definition, the vectors, and what boundaries are for. */
#include "config.h"

#include "../unit.h"
#include "chunker-vectors.h"
#include "content/hash.h"
#include "stream.h"
#include "util/cleanup.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

/* The definition word by word: every window is summed up anew. */
static size_t slow_cut(const struct chunker_params *p, const uint8_t *data, size_t len)
{
	unsigned bits = 0;
	size_t normal = ((size_t)p->min + p->avg) / 2;

	while (1U << bits < p->avg)
		bits++;
	for (size_t n = p->min; n <= len && n < p->max; n++) {
		unsigned zeros = n < normal ? bits + 1 : bits - 1;
		uint64_t h = 0;

		for (size_t k = 0; k < 64; k++)
			h += chunker_gear[data[n - 1 - k]] << k;
		if (h >> (64 - zeros) == 0)
			return n;
	}
	return len < p->max ? len : p->max;
}

START_TEST(parameters_are_checked)
{
	static const struct chunker_params good[] = {
		CHUNKER_DEFAULT,
		{ CHUNKER_FASTCDC, 64, 128, 128 },
		{ CHUNKER_FASTCDC, 64, 1 << 28, 1 << 28 },
		{ CHUNKER_FIXED, 1, 1, 1 },
		{ CHUNKER_FIXED, 5000, 5000, 5000 },
	};
	static const struct chunker_params bad[] = {
		{ 0, 1024, 4096, 8192 },
		{ 3, 1024, 4096, 8192 },
		{ CHUNKER_FASTCDC, 63, 4096, 8192 },
		{ CHUNKER_FASTCDC, 2049, 4096, 8192 },
		{ CHUNKER_FASTCDC, 1024, 4095, 8192 },
		{ CHUNKER_FASTCDC, 1024, 5000, 8192 },
		{ CHUNKER_FASTCDC, 1024, 4096, 4095 },
		{ CHUNKER_FASTCDC, 1024, 4096, (1 << 28) + 1 },
		{ CHUNKER_FASTCDC, 1024, 0, 8192 },
		{ CHUNKER_FIXED, 0, 0, 0 },
		{ CHUNKER_FIXED, 1, 2, 2 },
		{ CHUNKER_FIXED, 2, 2, 3 },
		{ CHUNKER_FIXED, (1 << 28) + 1, (1 << 28) + 1, (1 << 28) + 1 },
	};
	struct chunker c;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		ck_assert_msg(chunker_init(&c, &good[i]) == 0, "good %zu", i);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ck_assert_msg(chunker_check(&bad[i]) == -EINVAL, "bad %zu", i);
		ck_assert_int_eq(chunker_init(&c, &bad[i]), -EINVAL);
	}
}
END_TEST

START_TEST(the_gear_table_is_made_of_sha_256)
{
	for (int v = 0; v < 256; v++) {
		uint8_t byte = (uint8_t)v;
		struct hash h;
		uint64_t entry = 0;

		ck_assert_int_eq(hash_data(HASH_SHA256, &byte, 1, &h), 0);
		for (int i = 0; i < 8; i++)
			entry = entry << 8 | h.b[i];
		ck_assert_uint_eq(chunker_gear[v], entry);
	}
}
END_TEST

START_TEST(the_vectors_are_met)
{
	for (size_t i = 0; i < sizeof(chunker_vectors) / sizeof(chunker_vectors[0]); i++) {
		size_t len = chunker_vectors[i].len, at = 0, count = 0;
		CLEANUP_FREE uint8_t *data = stream_new(chunker_vectors[i].seed, len);
		struct chunker c;

		ck_assert_int_eq(chunker_init(&c, &chunker_vectors[i].params), 0);
		while (at < len) {
			at += chunker_cut(&c, data + at, len - at, true);
			ck_assert_uint_lt(count, chunker_vectors[i].count);
			ck_assert_uint_eq(at, chunker_vectors[i].ends[count]);
			count++;
		}
		ck_assert_uint_eq(count, chunker_vectors[i].count);
	}
}
END_TEST

/* Random bytes, or a few values only, or runs: real files are not random. */
static void fill_some_way(uint64_t *random, uint8_t *data, size_t len)
{
	size_t way = stream_below(random, 3);

	stream_fill(random, data, len);
	for (size_t i = 0; way && i < len; i++)
		data[i] = way == 1 ? data[i] & 1 : data[i - i % 97];
}

START_TEST(the_definition_is_met)
{
	enum { LEN = 20000 };
	uint64_t random = 11;
	CLEANUP_FREE uint8_t *data = malloc(LEN);

	for (unsigned round = 0; round < 60; round += unit_stride()) {
		uint32_t avg = 128U << stream_below(&random, 5);
		uint32_t min = 64 + (uint32_t)stream_below(&random, avg / 2 - 63);
		struct chunker_params p = { CHUNKER_FASTCDC, min, avg,
					    avg + (uint32_t)stream_below(&random, 3 * avg) };
		struct chunker c;

		fill_some_way(&random, data, LEN);
		ck_assert_int_eq(chunker_init(&c, &p), 0);
		for (size_t at = 0; at < LEN;) {
			size_t len = chunker_cut(&c, data + at, LEN - at, true);

			ck_assert_uint_eq(len, slow_cut(&p, data + at, LEN - at));
			ck_assert(len >= p.min || at + len == LEN);
			ck_assert_uint_le(len, p.max);
			at += len;
		}
	}
}
END_TEST

START_TEST(data_that_grows_is_cut_alike)
{
	enum { LEN = 300000 };
	static const struct chunker_params kinds[] = { { CHUNKER_FASTCDC, 512, 2048, 5000 },
						       { CHUNKER_FIXED, 3000, 3000, 3000 } };
	uint64_t random = 12;
	CLEANUP_FREE uint8_t *data = stream_new(13, LEN);

	for (int k = 0; k < 2; k++) {
		struct chunker c;
		size_t have = 0, at = 0, done = 0;

		ck_assert_int_eq(chunker_init(&c, &kinds[k]), 0);
		while (at < LEN) {
			size_t len = chunker_resume(&c, data + at, have - at, have == LEN, &done);

			if (len) {
				ck_assert_uint_eq(len, chunker_cut(&c, data + at, LEN - at, true));
				at += len;
				done = 0;
				continue;
			}
			ck_assert_uint_lt(have - at, kinds[k].max);
			have += 1 + stream_below(&random, 900);
			have = have < LEN ? have : LEN;
		}
	}
}
END_TEST

START_TEST(fixed_cuts_are_fixed)
{
	struct chunker_params p = { CHUNKER_FIXED, 1000, 1000, 1000 };
	uint8_t data[2500] = { 0 };
	struct chunker c;

	ck_assert_int_eq(chunker_init(&c, &p), 0);
	ck_assert_uint_eq(chunker_cut(&c, data, 2500, true), 1000);
	ck_assert_uint_eq(chunker_cut(&c, data, 1000, false), 1000);
	ck_assert_uint_eq(chunker_cut(&c, data, 999, false), 0);
	ck_assert_uint_eq(chunker_cut(&c, data, 999, true), 999);
	ck_assert_uint_eq(chunker_cut(&c, data, 0, true), 0);
}
END_TEST

START_TEST(the_end_of_data_ends_a_chunk)
{
	struct chunker_params p = { CHUNKER_FASTCDC, 1024, 4096, 8192 };
	uint8_t data[8192] = { 0 };
	struct chunker c;

	ck_assert_int_eq(chunker_init(&c, &p), 0);
	ck_assert_uint_eq(chunker_cut(&c, data, 0, true), 0);
	ck_assert_uint_eq(chunker_cut(&c, data, 1, false), 0);
	ck_assert_uint_eq(chunker_cut(&c, data, 1, true), 1);
	ck_assert_uint_eq(chunker_cut(&c, data, 1024, true), 1024);
	ck_assert_uint_ne(chunker_cut(&c, data, 8192, false), 0);
}
END_TEST

/* The ends of all chunks of data[0..len); the count. */
static size_t cut_all(const struct chunker *c, const uint8_t *data, size_t len, uint32_t *ends)
{
	size_t count = 0;

	for (size_t at = 0; at < len;) {
		at += chunker_cut(c, data + at, len - at, true);
		ends[count++] = (uint32_t)at;
	}
	return count;
}

/* The default's proportions, a thousandth of its size. */
static const struct chunker_params small_default = { CHUNKER_FASTCDC, 1024, 4096, 8192 };

START_TEST(sizes_are_spread_as_promised)
{
	enum { LEN = 40 << 20 };
	CLEANUP_FREE uint8_t *data = stream_new(14, LEN);
	CLEANUP_FREE uint32_t *ends = calloc(LEN / 1024 + 1, sizeof(*ends));
	struct chunker c;

	ck_assert_int_eq(chunker_init(&c, &small_default), 0);
	size_t count = cut_all(&c, data, LEN, ends);
	size_t longest = 0, early = 0;

	for (size_t i = 0; i + 1 < count; i++) {
		size_t len = ends[i] - (i ? ends[i - 1] : 0);

		ck_assert_uint_ge(len, 1024);
		ck_assert_uint_le(len, 8192);
		longest += len == 8192;
		early += len < 2560;
	}
	/* Expected: mean 3.92 KiB, 5.3 % at the maximum, 17 % before the middle. */
	ck_assert_uint_ge(LEN / count, 3920);
	ck_assert_uint_le(LEN / count, 4120);
	ck_assert_uint_le(longest * 1000 / count, 60);
	ck_assert_uint_ge(early * 1000 / count, 155);
	ck_assert_uint_le(early * 1000 / count, 190);
}
END_TEST

/*
 * How many chunks of the changed data do not end where one of the old data did, moved by `shift`,
 * up to the first that does.
 */
static size_t new_chunks(const uint32_t *old, size_t old_count, const uint32_t *now, size_t count,
			 size_t shift)
{
	size_t i = 0;

	for (size_t n = 0; n < count; n++) {
		while (i < old_count && old[i] + shift < now[n])
			i++;
		if (i < old_count && old[i] + shift == now[n])
			return n + 1;
	}
	return count;
}

START_TEST(an_insertion_is_soon_behind)
{
	enum { LEN = 200 * 1024, ADDED = 1024, ROUNDS = 1500 };
	CLEANUP_FREE uint8_t *data = malloc(LEN + ADDED);
	static uint32_t old[LEN / 1024 + 2], now[LEN / 1024 + 2];
	size_t total = 0, many = 0;
	uint64_t random = 15;
	struct chunker c;

	ck_assert_int_eq(chunker_init(&c, &small_default), 0);
	for (int round = 0; round < ROUNDS; round++) {
		stream_fill(&random, data, LEN + ADDED);
		size_t old_count = cut_all(&c, data + ADDED, LEN, old);
		size_t count = cut_all(&c, data, LEN + ADDED, now);
		size_t fresh = new_chunks(old, old_count, now, count, ADDED);

		total += fresh;
		many += fresh > 3;
		ck_assert_uint_le(fresh, 15);
	}
	/* Expected: 1.55 chunks, 2.6 % above 3. */
	ck_assert_uint_le(total * 100 / ROUNDS, 170);
	ck_assert_uint_le(many * 1000 / ROUNDS, 40);
}
END_TEST

START_TEST(a_changed_byte_spoils_few_chunks)
{
	enum { LEN = 1 << 20, ROUNDS = 300 };
	CLEANUP_FREE uint8_t *data = stream_new(16, LEN);
	static uint32_t old[LEN / 1024 + 2], now[LEN / 1024 + 2];
	uint64_t random = 17;
	struct chunker c;
	size_t total = 0;

	ck_assert_int_eq(chunker_init(&c, &small_default), 0);
	size_t old_count = cut_all(&c, data, LEN, old);

	for (int round = 0; round < ROUNDS; round++) {
		size_t at = stream_below(&random, LEN / 2);
		size_t first = 0;

		data[at] ^= 0x55;
		size_t count = cut_all(&c, data, LEN, now);

		data[at] ^= 0x55;
		while (old[first] <= at)
			first++;
		ck_assert_mem_eq(old, now, first * sizeof(old[0]));
		total += new_chunks(old + first, old_count - first, now + first, count - first, 0);
	}
	ck_assert_uint_le(total * 100 / ROUNDS, 115);
}
END_TEST

START_TEST(bytes_before_a_chunk_do_not_count)
{
	enum { LEN = 100000 };
	CLEANUP_FREE uint8_t *data = stream_new(18, 2 * LEN);
	CLEANUP_FREE uint8_t *moved = malloc(LEN);
	struct chunker c;

	ck_assert_int_eq(chunker_init(&c, &small_default), 0);
	memcpy(moved, data + LEN, LEN);
	for (size_t at = 0; at < LEN;) {
		size_t len = chunker_cut(&c, moved + at, LEN - at, true);

		ck_assert_uint_eq(len, chunker_cut(&c, data + LEN + at, LEN - at, true));
		at += len;
	}
}
END_TEST

UNIT_MAIN("chunker", 120, parameters_are_checked, the_gear_table_is_made_of_sha_256,
	  the_vectors_are_met, the_definition_is_met, data_that_grows_is_cut_alike,
	  fixed_cuts_are_fixed, the_end_of_data_ends_a_chunk, sizes_are_spread_as_promised,
	  an_insertion_is_soon_behind, a_changed_byte_spoils_few_chunks,
	  bytes_before_a_chunk_do_not_count)
