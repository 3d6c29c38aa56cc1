/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Growable bytes. */
#include "config.h"

#include "util/buf.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUF_FIRST_CAP = 64 };

void buf_init(struct buf *b)
{
	*b = BUF_INIT;
}

void buf_release(struct buf *b)
{
	free(b->data);
	buf_init(b);
}

void buf_reset(struct buf *b)
{
	b->len = 0;
	if (b->data)
		b->data[0] = '\0';
}

int buf_reserve(struct buf *b, size_t extra)
{
	if (extra >= SIZE_MAX / 2 - b->len)
		return -ENOMEM;
	size_t need = b->len + extra + 1;

	if (need <= b->cap)
		return 0;
	size_t cap = b->cap ? b->cap : BUF_FIRST_CAP;

	while (cap < need)
		cap *= 2;
	char *data = realloc(b->data, cap);

	if (!data)
		return -ENOMEM;
	b->data = data;
	b->cap = cap;
	b->data[b->len] = '\0';
	return 0;
}

int buf_add(struct buf *b, const void *data, size_t len)
{
	int err = buf_reserve(b, len);

	if (err)
		return err;
	if (len)
		memcpy(b->data + b->len, data, len);
	b->len += len;
	b->data[b->len] = '\0';
	return 0;
}

int buf_add_str(struct buf *b, const char *text)
{
	return buf_add(b, text, strlen(text));
}

int buf_add_byte(struct buf *b, unsigned char byte)
{
	return buf_add(b, &byte, 1);
}

int buf_vprintf(struct buf *b, const char *format, va_list args)
{
	va_list again;

	va_copy(again, args);
	int len = vsnprintf(NULL, 0, format, again);

	va_end(again);
	if (len < 0)
		return -EINVAL;
	int err = buf_reserve(b, (size_t)len);

	if (err)
		return err;
	vsnprintf(b->data + b->len, (size_t)len + 1, format, args);
	b->len += (size_t)len;
	return 0;
}

int buf_printf(struct buf *b, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	int err = buf_vprintf(b, format, args);

	va_end(args);
	return err;
}

const char *buf_str(const struct buf *b)
{
	return b->data ? b->data : "";
}

char *buf_take(struct buf *b, size_t *len)
{
	if (buf_reserve(b, 0))
		return NULL;
	char *data = b->data;

	if (len)
		*len = b->len;
	buf_init(b);
	return data;
}
