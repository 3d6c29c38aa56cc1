/* SPDX-License-Identifier: GPL-3.0-or-later */
/* UUIDs over libuuid. */
#include "config.h"

#include "util/uuid.h"
#include "util/time.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include <uuid/uuid.h>

void uuid_random(struct uuid *out)
{
	uuid_generate_random(out->b);
}

void uuid_ordered(struct uuid *out)
{
	int64_t now = time_now_ns();
	uint64_t ms = (uint64_t)(now / TIME_NS_PER_MS);
	unsigned fraction = (unsigned)((uint64_t)(now % TIME_NS_PER_MS) * 4096 /
				       (uint64_t)TIME_NS_PER_MS);

	/* libuuid asks for more than randomness each time. */
	if (getrandom(out->b, UUID_LEN, 0) != UUID_LEN)
		uuid_random(out);
	out->b[8] = (uint8_t)(0x80 | (out->b[8] & 0x3f));
	for (int i = 0; i < 6; i++)
		out->b[i] = (uint8_t)(ms >> (40 - 8 * i));
	out->b[6] = (uint8_t)(0x70 | fraction >> 8);
	out->b[7] = (uint8_t)fraction;
}

void uuid_format(const struct uuid *u, char text[UUID_TEXT_LEN])
{
	uuid_unparse_lower(u->b, text);
}

int uuid_read(const char *text, size_t len, struct uuid *out)
{
	char copy[UUID_TEXT_LEN];
	uuid_t raw;

	if (len != UUID_TEXT_LEN - 1 || memchr(text, '\0', len))
		return -EINVAL;
	memcpy(copy, text, len);
	copy[len] = '\0';
	if (uuid_parse(copy, raw))
		return -EINVAL;
	memcpy(out->b, raw, UUID_LEN);
	return 0;
}

bool uuid_equal(const struct uuid *a, const struct uuid *b)
{
	return memcmp(a->b, b->b, UUID_LEN) == 0;
}
