/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Chunks in memory: what the interface means, in the fewest words. Every other driver is tested against
 * it. Nothing survives its close.
 */
#ifndef BACKEND_STORE_STORE_MEMORY_H
#define BACKEND_STORE_STORE_MEMORY_H

#include "backend/store/store.h"

/*
 * A store that holds at most CAPACITY_BYTES of chunks and fails with -ENOSPC beyond. VERIFY is
 * called with ARG from any thread, several at once. On 0 *OUT is the caller's, for store_close(). 0
 * or -ENOMEM.
 */
int store_memory_new(uint64_t capacity_bytes, store_verify_fn *verify, void *arg,
		     struct store **out);

/* Flips bits of the first byte of chunk NAME, as a failing disk does. 0 or -ENOENT. */
int store_memory_damage(struct store *s, const uint8_t name[STORE_NAME_LEN]);

#endif
