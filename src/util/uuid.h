/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * UUIDs (RFC 9562) as 16 bytes in network order. The functions avoid the names that libuuid
 * exports.
 */
#ifndef GARNER_UTIL_UUID_H
#define GARNER_UTIL_UUID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { UUID_LEN = 16, UUID_TEXT_LEN = 37 };

struct uuid {
	uint8_t b[UUID_LEN];
};

/* Makes a random UUID (version 4). Any thread; cannot fail. */
void uuid_random(struct uuid *out);

/*
 * Makes a UUID of version 7 (RFC 9562, section 5.7, with 12 bits of sub-millisecond time as in
 * section 6.2, method 3): one made later sorts later, as far as the wall clock goes. Any thread;
 * cannot fail.
 */
void uuid_ordered(struct uuid *out);

/* Writes the 36 characters of lower-case text and a NUL. */
void uuid_format(const struct uuid *u, char text[UUID_TEXT_LEN]);

/*
 * Reads exactly 36 characters in the form 8-4-4-4-12, digits of either case. 0, or -EINVAL with
 * *OUT untouched.
 */
int uuid_read(const char *text, size_t len, struct uuid *out);

/* Whether A and B are the same 16 bytes. */
bool uuid_equal(const struct uuid *a, const struct uuid *b);

#endif
