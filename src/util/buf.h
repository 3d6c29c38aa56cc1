/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A growable run of bytes that is also a string builder: whatever it holds is followed by a NUL
 * that `len` does not count. A zeroed struct is an empty buffer. One thread at a time.
 */
#ifndef GARNER_UTIL_BUF_H
#define GARNER_UTIL_BUF_H

#include <stdarg.h>
#include <stddef.h>

struct buf {
	char *data; /* NULL until the first byte is added */
	size_t len;
	size_t cap; /* bytes allocated, the NUL's included */
};

#define BUF_INIT ((struct buf){ NULL, 0, 0 })

/* Makes B empty, without memory. */
void buf_init(struct buf *b);

/* Frees what B holds and makes it empty again. */
void buf_release(struct buf *b);

/* Makes B empty and keeps its memory. */
void buf_reset(struct buf *b);

/* Makes room for EXTRA more bytes. 0, or -ENOMEM with B as it was. */
int buf_reserve(struct buf *b, size_t extra);

/* Appends LEN bytes, which must not lie in B. 0, or -ENOMEM with B as it was. */
int buf_add(struct buf *b, const void *data, size_t len);

/* Appends a string. 0, or -ENOMEM with B as it was. */
int buf_add_str(struct buf *b, const char *text);

/* Appends one byte. 0, or -ENOMEM with B as it was. */
int buf_add_byte(struct buf *b, unsigned char byte);

/*
 * Appends formatted text. 0, -ENOMEM, or -EINVAL for a format that libc refuses; B is as it was
 * unless 0.
 */
int buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* As buf_printf. */
int buf_vprintf(struct buf *b, const char *format, va_list args)
	__attribute__((format(printf, 2, 0)));

/* The text in B, "" when empty; valid until B is changed. */
const char *buf_str(const struct buf *b);

/*
 * Hands the bytes over to the caller, who frees them with free(), and makes B empty. *LEN, where
 * LEN is not NULL, is their number without the NUL. NULL only when B was empty and there is no
 * memory for the NUL.
 */
char *buf_take(struct buf *b, size_t *len);

#endif
