/* SPDX-License-Identifier: GPL-3.0-or-later */
/* UUIDs over libuuid. */
#include "config.h"

#include "util/uuid.h"

#include <errno.h>
#include <string.h>

#include <uuid/uuid.h>

void uuid_random(struct uuid *out)
{
	uuid_generate_random(out->b);
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

bool uuid_is_nil(const struct uuid *u)
{
	static const struct uuid nil;

	return uuid_equal(u, &nil);
}
