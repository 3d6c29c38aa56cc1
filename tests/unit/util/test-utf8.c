/* SPDX-License-Identifier: GPL-3.0-or-later */
/* util/utf8.h, against an encoder of its own over all code points and all short byte strings. */
#include "config.h"

#include "../unit.h"
#include "util/utf8.h"

#include <string.h>

static size_t encode(unsigned long c, unsigned char *out)
{
	if (c < 0x80) {
		out[0] = (unsigned char)c;
		return 1;
	}
	size_t len = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	static const unsigned char lead[] = { 0, 0, 0xc0, 0xe0, 0xf0 };

	for (size_t i = len - 1; i > 0; i--, c >>= 6)
		out[i] = (unsigned char)(0x80 | (c & 0x3f));
	out[0] = (unsigned char)(lead[len] | c);
	return len;
}

/* One assertion for all: each costs more than what it looks at. */
START_TEST(every_code_point_is_taken)
{
	unsigned long wrong = 0, last = 0;
	unsigned char text[4];

	for (unsigned long c = 0; c < 0x110000; c += unit_stride()) {
		size_t len = encode(c, text);
		int surrogate = c >= 0xd800 && c < 0xe000;

		if (utf8_char_len((char *)text, len) == (surrogate ? 0 : len) &&
		    utf8_char_len((char *)text, len - 1) == 0)
			continue;
		wrong++;
		last = c;
	}
	ck_assert_msg(wrong == 0, "%lu, the last is U+%04lX", wrong, last);
}
END_TEST

/* How many characters of three bytes begin with this one. */
static unsigned long led_by(unsigned lead)
{
	if (lead < 0xe0 || lead > 0xef)
		return 0;
	/* Overlong ones and surrogates are half of what these lead. */
	return lead == 0xe0 || lead == 0xed ? 0x800 : 0x1000;
}

START_TEST(no_other_three_bytes_are_taken)
{
	for (unsigned lead = 0; lead < 0x100; lead += unit_stride()) {
		unsigned long taken = 0;

		for (unsigned rest = 0; rest < 0x10000; rest++) {
			char text[3] = { (char)lead, (char)(rest >> 8), (char)rest };

			taken += utf8_char_len(text, 3) == 3;
		}
		ck_assert_uint_eq(taken, led_by(lead));
	}
}
END_TEST

START_TEST(four_bytes_end_at_the_last_code_point)
{
	ck_assert_uint_eq(utf8_char_len("\xf4\x8f\xbf\xbf", 4), 4);
	ck_assert_uint_eq(utf8_char_len("\xf4\x90\x80\x80", 4), 0);
	ck_assert_uint_eq(utf8_char_len("\xf0\x8f\xbf\xbf", 4), 0);
	ck_assert_uint_eq(utf8_char_len("\xf5\x80\x80\x80", 4), 0);
	ck_assert_uint_eq(utf8_char_len("\xf1\x80\x80\x7f", 4), 0);
}
END_TEST

UNIT_MAIN("utf8", 60, every_code_point_is_taken, no_other_three_bytes_are_taken,
	  four_bytes_end_at_the_last_code_point)
