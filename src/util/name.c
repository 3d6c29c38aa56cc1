/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Names of entries. */
#include "config.h"

#include "util/name.h"
#include "util/cleanup.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include <utf8proc.h>

int name_check(const char *name, size_t len)
{
	if (len > NAME_LEN_MAX)
		return -ENAMETOOLONG;
	if (!len || memchr(name, '/', len) || memchr(name, '\0', len))
		return -EINVAL;
	if (name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.')))
		return -EINVAL;
	return 0;
}

static bool name_is_ascii(const char *name, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)name[i] >= 0x80)
			return false;
	}
	return true;
}

static int name_fold_ascii(const char *name, size_t len, struct buf *out)
{
	int err = buf_add(out, name, len);

	if (err)
		return err;
	for (char *at = out->data + out->len - len; len--; at++) {
		if (*at >= 'A' && *at <= 'Z')
			*at = (char)(*at | 0x20);
	}
	return 0;
}

/* utf8proc_map() with its three outcomes: 1 mapped, 0 not UTF-8, -ENOMEM. */
static int name_map(const void *text, size_t len, int options, utf8proc_uint8_t **out,
		    size_t *out_len)
{
	utf8proc_ssize_t got = utf8proc_map(text, (utf8proc_ssize_t)len, out,
					    (utf8proc_option_t)options);

	if (got == UTF8PROC_ERROR_NOMEM)
		return -ENOMEM;
	if (got < 0)
		return 0;
	*out_len = (size_t)got;
	return 1;
}

int name_fold(const char *name, size_t len, struct buf *out)
{
	CLEANUP_FREE utf8proc_uint8_t *nfd = NULL;
	CLEANUP_FREE utf8proc_uint8_t *folded = NULL;
	size_t nfd_len, folded_len;

	if (name_is_ascii(name, len))
		return name_fold_ascii(name, len, out);
	/* Without this, U+0345 would be folded before it is put in order. */
	int got = name_map(name, len, UTF8PROC_STABLE | UTF8PROC_DECOMPOSE, &nfd, &nfd_len);

	if (got > 0)
		got = name_map(nfd, nfd_len, UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_CASEFOLD,
			       &folded, &folded_len);
	if (got < 0)
		return got;
	return got ? buf_add(out, folded, folded_len) : buf_add(out, name, len);
}
