/* SPDX-License-Identifier: GPL-3.0-or-later */
/* content/manifest.h */
#include "config.h"

#include "../unit.h"
#include "content/chunker.h"
#include "content/manifest.h"
#include "stream.h"
#include "util/cleanup.h"
#include "util/err.h"

#include <errno.h>
#include <string.h>

static struct hash hash_of(uint8_t byte)
{
	struct hash h;

	memset(h.b, byte, HASH_LEN);
	return h;
}

/* Writes a manifest anew, part by part, as it is read. */
static int copy_part(void *arg, const struct manifest_part *part)
{
	struct manifest *m = arg;

	ck_assert_uint_eq(part->offset, m->at);
	ck_assert_int_eq(part->hash ? manifest_add_chunk(m, (uint32_t)part->len, part->hash)
				    : manifest_add_hole(m, part->len),
			 0);
	return 0;
}

static int read_only(void *arg, const struct manifest_part *part)
{
	(void)part;
	++*(int *)arg;
	return 0;
}

static int read_bytes(const void *bytes, size_t len)
{
	struct manifest_head head;
	int parts = 0;

	return manifest_read(bytes, len, &head, read_only, &parts);
}

START_TEST(the_form_is_fixed)
{
	static const uint8_t head[] = { 1, 1, 0xac, 0x86, 0x01 }; /* 17196 */
	struct hash a = hash_of(0xaa), b = hash_of(0xbb), root, expect;
	struct manifest m;

	ck_assert_int_eq(manifest_init(&m, HASH_SHA256, 17196), 0);
	ck_assert_int_eq(manifest_add_chunk(&m, 100, &a), 0);
	ck_assert_int_eq(manifest_add_hole(&m, 0), 0);
	ck_assert_int_eq(manifest_add_hole(&m, 8192), 0);
	ck_assert_int_eq(manifest_add_hole(&m, 8192), 0);
	ck_assert_int_eq(manifest_add_chunk(&m, 712, &b), 0);
	ck_assert_int_eq(manifest_end(&m, &root), 0);
	const uint8_t *at = (const uint8_t *)m.bytes.data;

	ck_assert_uint_eq(m.bytes.len, 5 + 2 + 32 + 3 + 2 + 32);
	ck_assert_mem_eq(at, head, 5);
	ck_assert_mem_eq(at + 5, "\xc8\x01", 2); /* 100 << 1 */
	ck_assert_mem_eq(at + 7, a.b, HASH_LEN);
	ck_assert_mem_eq(at + 39, "\x81\x80\x02", 3); /* 16384 << 1 | 1 */
	ck_assert_mem_eq(at + 42, "\x90\x0b", 2);     /* 712 << 1 */
	ck_assert_mem_eq(at + 44, b.b, HASH_LEN);
	ck_assert_int_eq(hash_data(HASH_SHA256, at, m.bytes.len, &expect), 0);
	ck_assert(hash_equal(&root, &expect));
	manifest_release(&m);
}
END_TEST

START_TEST(nothing_has_a_manifest_too)
{
	struct manifest m;
	struct hash root;

	ck_assert_int_eq(manifest_init(&m, HASH_SHA256, 0), 0);
	ck_assert_int_eq(manifest_end(&m, &root), 0);
	ck_assert_uint_eq(m.bytes.len, 3);
	ck_assert_int_eq(read_bytes(m.bytes.data, 3), 0);
	manifest_release(&m);
}
END_TEST

START_TEST(parts_must_fit)
{
	struct hash a = hash_of(1), root = a;
	struct manifest m;

	ck_assert_int_eq(manifest_init(&m, HASH_SHA256, 100), 0);
	ck_assert_int_eq(manifest_add_chunk(&m, 0, &a), -EINVAL);
	ck_assert_int_eq(manifest_add_chunk(&m, 101, &a), -EINVAL);
	ck_assert_int_eq(manifest_add_hole(&m, 101), -EINVAL);
	ck_assert_int_eq(manifest_add_hole(&m, UINT64_MAX), -EINVAL);
	ck_assert_int_eq(manifest_add_chunk(&m, 60, &a), 0);
	ck_assert_int_eq(manifest_add_chunk(&m, 41, &a), -EINVAL);
	ck_assert_int_eq(manifest_end(&m, &root), -EINVAL);
	ck_assert(hash_equal(&root, &a));
	ck_assert_int_eq(manifest_add_hole(&m, 40), 0);
	ck_assert_int_eq(manifest_end(&m, &root), 0);
	manifest_release(&m);
	ck_assert_int_eq(manifest_init(&m, HASH_SHA256, UINT64_MAX), 0);
	ck_assert_int_eq(manifest_add_chunk(&m, CHUNKER_LEN_MAX + 1, &a), -EINVAL);
	ck_assert_int_eq(manifest_add_hole(&m, UINT64_MAX), -EINVAL);
	ck_assert_int_eq(manifest_add_hole(&m, UINT64_MAX >> 1), 0);
	ck_assert_int_eq(manifest_add_hole(&m, 1), -EINVAL);
	manifest_release(&m);
}
END_TEST

/* A random manifest of up to 20 parts. */
static void make_some(uint64_t *random, struct manifest *m)
{
	uint64_t lens[20], size = 0;
	size_t count = stream_below(random, 20);

	for (size_t i = 0; i < count; i++) {
		lens[i] = 1 +
			  (stream_next(random) & ((UINT64_C(1) << stream_below(random, 29)) - 1));
		size += lens[i] > CHUNKER_LEN_MAX ? lens[i] = CHUNKER_LEN_MAX : lens[i];
	}
	ck_assert_int_eq(manifest_init(m, HASH_SHA256, size), 0);
	for (size_t i = 0; i < count; i++) {
		struct hash h = hash_of((uint8_t)stream_next(random));

		if (stream_below(random, 3))
			ck_assert_int_eq(manifest_add_chunk(m, (uint32_t)lens[i], &h), 0);
		else
			ck_assert_int_eq(manifest_add_hole(m, lens[i]), 0);
	}
}

START_TEST(what_is_written_is_read)
{
	uint64_t random = 21;

	for (int round = 0; round < 300; round++) {
		struct manifest m, copy;
		struct manifest_head head;
		struct hash root, root_copy;

		make_some(&random, &m);
		ck_assert_int_eq(manifest_end(&m, &root), 0);
		ck_assert_int_eq(manifest_init(&copy, HASH_SHA256, m.size), 0);
		ck_assert_int_eq(manifest_read(m.bytes.data, m.bytes.len, &head, copy_part, &copy),
				 0);
		ck_assert_uint_eq(head.size, m.size);
		ck_assert_int_eq(head.algo, HASH_SHA256);
		ck_assert_int_eq(manifest_end(&copy, &root_copy), 0);
		ck_assert(hash_equal(&root, &root_copy));
		manifest_release(&copy);
		manifest_release(&m);
	}
}
END_TEST

START_TEST(a_cut_manifest_is_damaged)
{
	uint64_t random = 22;

	for (int round = 0; round < 50; round++) {
		struct manifest m;
		struct hash root;

		make_some(&random, &m);
		ck_assert_int_eq(manifest_end(&m, &root), 0);
		for (size_t len = 0; len < m.bytes.len; len++)
			ck_assert_int_eq(read_bytes(m.bytes.data, len), ERR_CORRUPT);
		ck_assert_int_eq(buf_add_byte(&m.bytes, 1), 0);
		ck_assert_int_eq(read_bytes(m.bytes.data, m.bytes.len), ERR_CORRUPT);
		manifest_release(&m);
	}
}
END_TEST

START_TEST(one_object_has_one_form)
{
	static const struct {
		const char *bytes;
		size_t len;
		int err;
	} cases[] = {
		{ "\1\1\0", 3, 0 },
		{ "\1\1\x80\0", 4, ERR_CORRUPT },   /* not the shortest 0 */
		{ "\1\1\3\7", 4, 0 },               /* one hole of 3 */
		{ "\1\1\3\3\5", 5, ERR_CORRUPT },   /* holes of 1 and 2 */
		{ "\1\1\3\1\7", 5, ERR_CORRUPT },   /* a hole of nothing */
		{ "\1\1\3\x09", 4, ERR_CORRUPT },   /* a hole past the end */
		{ "\1\1\3\x87\0", 5, ERR_CORRUPT }, /* not the shortest 7 */
		{ "\1\1\3\6", 4, ERR_CORRUPT },     /* a chunk without its hash */
		{ "\1\1\xff\xff\xff\xff\xff\xff\xff\xff\xff\2", 12,
		  ERR_CORRUPT }, /* more than 64 bits */
		{ "\1\1\xff\xff\xff\xff\xff\xff\xff\xff\xff\x81\0", 13,
		  ERR_CORRUPT }, /* longer still */
		{ "\1\1\xff\xff\xff\xff\xff\xff\xff\xff\x7f\xff\xff\xff\xff\xff\xff\xff\xff\xff\1",
		  21, 0 },
		{ "\2\1\0", 3, ERR_FUTURE },
		{ "\1\3\0", 3, ERR_FUTURE },
		{ "\1\0\0", 3, ERR_FUTURE },
		{ "\0\1\0", 3, ERR_CORRUPT },
		{ "", 0, ERR_CORRUPT },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		ck_assert_msg(read_bytes(cases[i].bytes, cases[i].len) == cases[i].err, "case %zu",
			      i);
}
END_TEST

static int stop_at_three(void *arg, const struct manifest_part *part)
{
	(void)part;
	return ++*(int *)arg == 3 ? 42 : 0;
}

START_TEST(a_reader_can_stop)
{
	struct hash a = hash_of(1), root;
	struct manifest m;
	int parts = 0;

	ck_assert_int_eq(manifest_init(&m, HASH_SHA256, 50), 0);
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(manifest_add_chunk(&m, 10, &a), 0);
	ck_assert_int_eq(manifest_end(&m, &root), 0);
	ck_assert_int_eq(manifest_read(m.bytes.data, m.bytes.len, NULL, stop_at_three, &parts), 42);
	ck_assert_int_eq(parts, 3);
	manifest_release(&m);
}
END_TEST

UNIT_MAIN("manifest", 60, the_form_is_fixed, nothing_has_a_manifest_too, parts_must_fit,
	  what_is_written_is_read, a_cut_manifest_is_damaged, one_object_has_one_form,
	  a_reader_can_stop)
