/* SPDX-License-Identifier: GPL-3.0-or-later */
/* util/large.h */
#include "config.h"

#include "../unit.h"
#include "util/large.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const size_t sizes[] = { 0,       1,         100000,        (2 << 20) - 1, 2 << 20,
				3000001, (4 << 20), (4 << 20) + 1, 16 << 20 };

/* Bytes that this process has mapped. */
static long mapped(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	long pages = 0;

	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(fscanf(f, "%ld", &pages), 1);
	fclose(f);
	return pages * sysconf(_SC_PAGESIZE);
}

/* Each byte can be written, and those of several at a time are apart. */
START_TEST(all_of_it_is_there)
{
	enum { COUNT = sizeof(sizes) / sizeof(*sizes) };
	uint8_t *data[COUNT];

	for (int i = 0; i < COUNT; i++) {
		data[i] = large_alloc(sizes[i]);
		ck_assert_ptr_nonnull(data[i]);
		memset(data[i], i + 1, sizes[i]);
	}
	for (int i = 0; i < COUNT; i++) {
		for (size_t at = 0; at < sizes[i]; at += 1000)
			ck_assert_uint_eq(data[i][at], (unsigned)i + 1);
		large_free(data[i], sizes[i]);
	}
	large_free(NULL, 5);
}
END_TEST

/* Of any size that it maps by itself, before, between and behind whole huge pages. */
START_TEST(all_of_it_goes)
{
	enum { ROUNDS = 1000, KEPT = 4 << 20 };
	long before = mapped();

	for (size_t i = 0; i < ROUNDS; i++) {
		size_t len = ((size_t)2 << 20) + i * 7777;

		large_free(large_alloc(len), len);
	}
	ck_assert_int_le(mapped(), before + KEPT);
}
END_TEST

START_TEST(too_much_is_refused)
{
	ck_assert_ptr_null(large_alloc(SIZE_MAX));
	ck_assert_ptr_null(large_alloc(SIZE_MAX / 2));
}
END_TEST

UNIT_MAIN("large", 20, all_of_it_is_there, all_of_it_goes, too_much_is_refused)
