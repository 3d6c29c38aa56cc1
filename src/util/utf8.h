/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The shape of UTF-8: RFC 3629, section 4. */
#ifndef GARNER_UTIL_UTF8_H
#define GARNER_UTIL_UTF8_H

#include <stddef.h>

/*
 * The length (1 to 4) of the well-formed character at the front of the LEN bytes at TEXT, or 0
 * where there is none: end of text, a stray or missing continuation byte, an overlong form, a
 * surrogate, or above U+10FFFF.
 */
size_t utf8_char_len(const char *text, size_t len);

#endif
