/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Bytes as hexadecimal digits and back. */
#ifndef GARNER_UTIL_HEX_H
#define GARNER_UTIL_HEX_H

#include <stddef.h>

/* Bytes that LEN bytes take as text, the NUL included. */
#define HEX_TEXT_LEN(len) (2 * (len) + 1)

/* Writes LEN bytes as lower-case digits and a NUL to TEXT (HEX_TEXT_LEN). */
void hex_encode(const void *data, size_t len, char *text);

/*
 * Reads exactly TEXT_LEN digits, of either case, into the TEXT_LEN / 2 bytes at DATA. 0, or -EINVAL
 * for an odd length or anything that is not a digit; DATA is then undefined.
 */
int hex_decode(const char *text, size_t text_len, void *data);

#endif
