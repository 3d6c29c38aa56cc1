/* SPDX-License-Identifier: GPL-3.0-or-later */
/* util/hex.h */
#include "config.h"

#include "../unit.h"
#include "util/hex.h"

#include <errno.h>
#include <string.h>

START_TEST(every_byte_goes_round)
{
	unsigned char bytes[256], back[256];
	char text[HEX_TEXT_LEN(256)];

	for (int i = 0; i < 256; i++)
		bytes[i] = (unsigned char)i;
	hex_encode(bytes, 256, text);
	ck_assert_uint_eq(strlen(text), 512);
	ck_assert_int_eq(strncmp(text + 508, "feff", 4), 0);
	ck_assert_int_eq(hex_decode(text, 512, back), 0);
	ck_assert_mem_eq(bytes, back, 256);
}
END_TEST

START_TEST(upper_case_is_read)
{
	unsigned char bytes[2];

	ck_assert_int_eq(hex_decode("AbcD", 4, bytes), 0);
	ck_assert_int_eq(bytes[0], 0xab);
	ck_assert_int_eq(bytes[1], 0xcd);
}
END_TEST

START_TEST(anything_else_is_refused)
{
	static const char *const bad[] = { "a",  "abc",  "0g",   "g0",   " 0",  "0x",
					   "0-", "00/0", "00:0", "00@0", "00`0" };
	unsigned char bytes[4];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_int_eq(hex_decode(bad[i], strlen(bad[i]), bytes), -EINVAL);
	ck_assert_int_eq(hex_decode("", 0, bytes), 0);
}
END_TEST

UNIT_MAIN("hex", 10, every_byte_goes_round, upper_case_is_read, anything_else_is_refused)
