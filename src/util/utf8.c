/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Well-formed UTF-8. */
#include "config.h"

#include "util/utf8.h"

#include <stdbool.h>
#include <stdint.h>

/* The second byte has a narrower range after some first bytes. */
static bool utf8_second_ok(uint8_t first, uint8_t second)
{
	switch (first) {
	case 0xe0:
		return second >= 0xa0 && second <= 0xbf;
	case 0xed:
		return second >= 0x80 && second <= 0x9f;
	case 0xf0:
		return second >= 0x90 && second <= 0xbf;
	case 0xf4:
		return second >= 0x80 && second <= 0x8f;
	default:
		return second >= 0x80 && second <= 0xbf;
	}
}

size_t utf8_char_len(const char *text, size_t len)
{
	if (!len)
		return 0;
	uint8_t first = (uint8_t)text[0];

	if (first < 0x80)
		return 1;
	size_t want = first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;

	if (!want || want > len || !utf8_second_ok(first, (uint8_t)text[1]))
		return 0;
	for (size_t i = 2; i < want; i++) {
		if (((uint8_t)text[i] & 0xc0) != 0x80)
			return 0;
	}
	return want;
}
