/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The store of chunks that this machine holds: bytes in blobs, places in the metadata. It reads a
 * chunk wherever it lies (home, bundle, cache, in place); what is put goes into bundles of its own.
 * A chunk that is put has no object: collection removes it after the grace time unless one takes
 * it up.
 */
#ifndef BACKEND_STORE_STORE_LOCAL_H
#define BACKEND_STORE_STORE_LOCAL_H

#include "backend/meta/meta.h"
#include "backend/store/blobs.h"
#include "backend/store/store.h"

#define STORE_OWNER_LEN 16 /* bytes of an instance's id */

/*
 * Opens the store over BLOBS and META, both borrowed until its close. OWNER, an instance of which
 * no other process thinks that it has ended, is copied; its bundles carry it while they may grow. VERIFY
 * is called with ARG from any thread, several at once. On 0 *OUT is the caller's, for store_close(),
 * after which no bundle has this owner. 0 or -ENOMEM.
 */
int store_local_open(struct blobs *blobs, struct meta *meta, const uint8_t owner[STORE_OWNER_LEN],
		     store_verify_fn *verify, void *arg, struct store **out);

#endif
