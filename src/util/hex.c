/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Hexadecimal digits. */
#include "config.h"

#include "util/hex.h"

#include <errno.h>
#include <stdint.h>

void hex_encode(const void *data, size_t len, char *text)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *bytes = data;

	for (size_t i = 0; i < len; i++) {
		*text++ = digits[bytes[i] >> 4];
		*text++ = digits[bytes[i] & 15];
	}
	*text = '\0';
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int hex_decode(const char *text, size_t text_len, void *data)
{
	uint8_t *bytes = data;

	if (text_len % 2)
		return -EINVAL;
	for (size_t i = 0; i < text_len; i += 2) {
		int high = hex_digit(text[i]);
		int low = hex_digit(text[i + 1]);

		if (high < 0 || low < 0)
			return -EINVAL;
		*bytes++ = (uint8_t)(high << 4 | low);
	}
	return 0;
}
