/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The driver over blobs and metadata: opening, reading, walking. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backend/store/store-local-internal.h"
#include "util/cleanup.h"
#include "util/err.h"
#include "util/log.h"

enum { PAGE_CHUNKS = 256 };

static struct store_local *local_of(struct store *s)
{
	return (struct store_local *)s;
}

static void local_close(struct store *store)
{
	struct store_local *s = local_of(store);

	store_local_bundle_end(s);
	lock_cond_release(&s->made);
	lock_release(&s->lock);
	free(s);
}

static int local_stat(struct store *store, const uint8_t *name, struct store_info *out)
{
	STORE_LOCAL_PLACES struct store_local_places places = { 0 };
	int err = store_local_places_find(local_of(store), name, &places);

	if (!err)
		out->size = places.size;
	return err;
}

static int local_has(struct store *store, const uint8_t *name)
{
	struct store_info info;
	int err = local_stat(store, name, &info);

	if (err == -ENOENT)
		return 0;
	return err ? err : 1;
}

/*
 * Reads from the first place that gives the bytes. -EAGAIN when that one was deleted meanwhile: its bytes
 * may be punched already.
 */
static int read_places(struct store_local *s, const uint8_t *name,
		       const struct store_local_places *places, void *buf, size_t len, uint64_t off)
{
	int result = ERR_CORRUPT;

	for (size_t i = 0; i < places->count; i++) {
		const struct store_local_place *place = &places->list[i];
		int listed, err = store_local_place_read(s, place, buf, len, off);

		listed = store_local_place_listed(s, name, place);
		if (listed < 0)
			return listed;
		if (!listed)
			return -EAGAIN;
		if (!err)
			return 0;
		log_error("blob %lld: reading a chunk at %llu: %s", (long long)place->blob,
			  (unsigned long long)place->start, err_text(err));
		result = err;
	}
	return result;
}

static ssize_t get_once(struct store_local *s, const uint8_t *name, void *buf, size_t len,
			uint64_t off)
{
	STORE_LOCAL_PLACES struct store_local_places places = { 0 };
	int err = store_local_places_find(s, name, &places);

	if (err)
		return err;
	if (off >= places.size)
		return 0;
	if (len > places.size - off)
		len = places.size - off;
	err = read_places(s, name, &places, buf, len, off);
	return err ? err : (ssize_t)len;
}

static ssize_t local_get(struct store *store, const uint8_t *name, void *buf, size_t len,
			 uint64_t off)
{
	ssize_t result;

	do
		result = get_once(local_of(store), name, buf, len, off);
	while (result == -EAGAIN);
	return result;
}

/* 0, ERR_CORRUPT, or another error that says nothing of the bytes. */
static int scan_place(struct store_local *s, const uint8_t *name, uint64_t size,
		      const struct store_local_place *place)
{
	CLEANUP_FREE void *bytes = NULL;
	int listed, err = store_local_place_load(s, place, size, &bytes);

	if (!err && !s->verify(s->verify_arg, name, bytes, size))
		err = ERR_CORRUPT;
	if (!store_local_place_bad(err))
		return err;
	listed = store_local_place_listed(s, name, place);
	if (listed <= 0)
		return listed < 0 ? listed : -EAGAIN;
	log_error("blob %lld: chunk at %llu is damaged", (long long)place->blob,
		  (unsigned long long)place->start);
	return ERR_CORRUPT;
}

static int scan_once(struct store_local *s, const uint8_t *name)
{
	STORE_LOCAL_PLACES struct store_local_places places = { 0 };
	int err = store_local_places_find(s, name, &places);

	for (size_t i = 0; i < places.count && !err; i++)
		err = scan_place(s, name, places.size, &places.list[i]);
	return err;
}

static int local_scan(struct store *store, const uint8_t *name)
{
	int err;

	do
		err = scan_once(local_of(store), name);
	while (err == -EAGAIN);
	return err;
}

struct page {
	size_t count;
	struct {
		uint8_t name[STORE_NAME_LEN];
		uint64_t size;
	} chunks[PAGE_CHUNKS];
};

static int add_chunk(void *arg, const struct meta_row *row)
{
	struct page *page = arg;
	size_t len;
	const void *name = meta_row_bytes(row, 0, &len);

	if (len != STORE_NAME_LEN || page->count == PAGE_CHUNKS)
		return ERR_CORRUPT;
	memcpy(page->chunks[page->count].name, name, STORE_NAME_LEN);
	page->chunks[page->count++].size = (uint64_t)meta_row_int(row, 1);
	return 0;
}

/* A query per page, so that `fn` may use the store and a long walk holds nothing up. */
static int local_list(struct store *store, const uint8_t *after, store_list_fn *fn, void *arg)
{
	struct store_local *s = local_of(store);
	CLEANUP_FREE struct page *page = malloc(sizeof *page);
	uint8_t last[STORE_NAME_LEN];
	size_t last_len = 0;
	int result;

	if (!page)
		return -ENOMEM;
	if (after) {
		memcpy(last, after, STORE_NAME_LEN);
		last_len = STORE_NAME_LEN;
	}
	do {
		page->count = 0;
		result = META_QUERY(s->meta, STORE_LIST, add_chunk, page, META_B(last, last_len),
				    META_I(PAGE_CHUNKS));
		if (result < 0)
			return result;
		result = 0;
		for (size_t i = 0; i < page->count && !result; i++)
			result = fn(arg, page->chunks[i].name, page->chunks[i].size);
		if (page->count > 0)
			memcpy(last, page->chunks[page->count - 1].name, STORE_NAME_LEN);
		last_len = STORE_NAME_LEN;
	} while (!result && page->count == PAGE_CHUNKS);
	return result;
}

static int local_health(struct store *store, struct store_health *out)
{
	struct store_local *s = local_of(store);
	int err = blobs_space(s->blobs, &out->total_bytes, &out->free_bytes);

	if (err)
		return err;
	if (blobs_read_only(s->blobs))
		out->status = -EROFS;
	else
		out->status = out->free_bytes > 0 ? 0 : -ENOSPC;
	return 0;
}

static const struct store_ops store_local_ops = {
	.scheme = "local",
	.close = local_close,
	.has = local_has,
	.stat = local_stat,
	.put = store_local_put,
	.get = local_get,
	.del = store_local_del,
	.list = local_list,
	.scan = local_scan,
	.health = local_health,
};

int store_local_open(struct blobs *blobs, struct meta *meta, const uint8_t owner[STORE_OWNER_LEN],
		     store_verify_fn *verify, void *arg, struct store **out)
{
	struct store_local *s = calloc(1, sizeof *s);

	if (!s)
		return -ENOMEM;
	s->store.ops = &store_local_ops;
	s->store.flags = STORE_CAN_VERIFY | STORE_IS_LOCAL;
	s->blobs = blobs;
	s->meta = meta;
	memcpy(s->owner, owner, STORE_OWNER_LEN);
	s->verify = verify;
	s->verify_arg = arg;
	lock_init(&s->lock, LOCK_RANK_STORE);
	lock_cond_init(&s->made);
	*out = &s->store;
	return 0;
}
