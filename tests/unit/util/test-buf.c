/* SPDX-License-Identifier: GPL-3.0-or-later */
/* util/buf.h */
#include "config.h"

#include "../unit.h"
#include "util/buf.h"
#include "util/cleanup.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

START_TEST(bytes_come_back_in_order)
{
	CLEANUP_BUF struct buf b = BUF_INIT;

	for (int i = 0; i < 10000; i++)
		ck_assert_int_eq(buf_add_byte(&b, (unsigned char)i), 0);
	ck_assert_uint_eq(b.len, 10000);
	for (int i = 0; i < 10000; i++)
		ck_assert_int_eq((unsigned char)b.data[i], i & 255);
	ck_assert_int_eq(b.data[10000], 0);
}
END_TEST

START_TEST(text_is_always_ended)
{
	CLEANUP_BUF struct buf b = BUF_INIT;

	ck_assert_str_eq(buf_str(&b), "");
	ck_assert_int_eq(buf_add_str(&b, "one"), 0);
	ck_assert_int_eq(buf_add(&b, " two!", 4), 0);
	ck_assert_str_eq(buf_str(&b), "one two");
	ck_assert_int_eq(buf_reserve(&b, 1000), 0);
	ck_assert_str_eq(buf_str(&b), "one two");
	buf_reset(&b);
	ck_assert_str_eq(buf_str(&b), "");
	ck_assert_uint_eq(b.len, 0);
	ck_assert_uint_gt(b.cap, 1000);
}
END_TEST

START_TEST(printf_appends)
{
	CLEANUP_BUF struct buf b = BUF_INIT;

	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(buf_printf(&b, "%03d,", i), 0);
	ck_assert_uint_eq(b.len, 400);
	ck_assert_int_eq(strncmp(b.data + 396, "099,", 5), 0);
}
END_TEST

START_TEST(too_much_is_refused_and_nothing_lost)
{
	CLEANUP_BUF struct buf b = BUF_INIT;

	ck_assert_int_eq(buf_add_str(&b, "kept"), 0);
	ck_assert_int_eq(buf_reserve(&b, SIZE_MAX), -ENOMEM);
	ck_assert_int_eq(buf_reserve(&b, SIZE_MAX / 2 - 4), -ENOMEM);
	ck_assert_str_eq(buf_str(&b), "kept");
}
END_TEST

START_TEST(take_hands_over)
{
	struct buf b = BUF_INIT;
	size_t len = 99;
	char *nothing = buf_take(&b, &len);

	ck_assert_str_eq(nothing, "");
	ck_assert_uint_eq(len, 0);
	free(nothing);
	ck_assert_int_eq(buf_add(&b, "a\0b", 3), 0);
	char *bytes = buf_take(&b, &len);

	ck_assert_uint_eq(len, 3);
	ck_assert_int_eq(memcmp(bytes, "a\0b", 4), 0);
	ck_assert_ptr_null(b.data);
	free(bytes);
}
END_TEST

UNIT_MAIN("buf", 10, bytes_come_back_in_order, text_is_always_ended, printf_appends,
	  too_much_is_refused_and_nothing_lost, take_hands_over)
