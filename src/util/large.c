/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Mappings of their own, that begin where a huge page can. What is behind the last whole huge page stays small pages, so that no more is used than asked for. */
#include "config.h"

#include "util/large.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define LARGE_PAGE ((size_t)2 << 20) /* of x86 and ARM with 4 KiB pages; elsewhere it only aligns */

/* What the kernel maps for LEN bytes. */
static size_t large_mapped(size_t len)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return (len + page - 1) / page * page;
}

void *large_alloc(size_t len)
{
	if (len < LARGE_PAGE)
		return malloc(len ? len : 1);
	if (len > SIZE_MAX / 2)
		return NULL;
	size_t size = large_mapped(len);
	char *at = mmap(NULL, size + LARGE_PAGE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		return NULL;
	size_t before = (LARGE_PAGE - (uintptr_t)at % LARGE_PAGE) % LARGE_PAGE;

	if (before)
		munmap(at, before);
	at += before;
	if (before < LARGE_PAGE)
		munmap(at + size, LARGE_PAGE - before);
	/* A kernel without them says no, and maps small ones. */
	(void)madvise(at, size / LARGE_PAGE * LARGE_PAGE, MADV_HUGEPAGE);
	return at;
}

void large_free(void *data, size_t len)
{
	if (!data)
		return;
	if (len < LARGE_PAGE)
		free(data);
	else
		munmap(data, large_mapped(len));
}
