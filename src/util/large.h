/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Memory for what is large and short-lived, such as chunks on their way. malloc() gets it from the kernel page by page and gives it back each time, which costs
 * more than to fill it; here it is asked for in huge pages, where the kernel has them for the asking.
 */
#ifndef GARNER_UTIL_LARGE_H
#define GARNER_UTIL_LARGE_H

#include <stddef.h>

/* LEN bytes of undefined content, the caller's, for large_free() with the same LEN; also of 0 bytes. NULL: no memory. */
void *large_alloc(size_t len);

/* NULL allowed. */
void large_free(void *data, size_t len);

#endif
