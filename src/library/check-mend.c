/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A chunk of which a copy here is damaged or gone, brought back: its bytes, hashed, are taken from another copy here or from the bucket, and put into the store of chunks, which replaces what is damaged.
 * Nothing that is damaged loses its row before good bytes have one.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "backend/store/blobs.h"
#include "backend/store/store-local.h"
#include "library/check-internal.h"
#include "library/internal.h"
#include "util/err.h"
#include "util/io.h"

enum { MEND_PLACES = 8 };

static int mend_room(struct check *c, uint64_t size)
{
	if (size <= c->room)
		return 0;
	uint8_t *buf = realloc(c->buf, size);

	if (!buf)
		return -ENOMEM;
	c->buf = buf;
	c->room = size;
	return 0;
}

int check_read(struct check *c, int64_t id, uint64_t start, uint64_t size, const struct hash *hash)
{
	struct blob *blob;
	struct hash got;
	int err = mend_room(c, size);

	if (!err)
		err = blobs_get(c->lib->blobs, id, &blob);
	if (err)
		return err;
	ssize_t n = io_pread_full(blob_fd(blob), c->buf, size, start);

	blob_put(blob);
	if (n < 0)
		return (int)n;
	c->result.bytes_hashed += (uint64_t)n;
	if ((uint64_t)n < size)
		return 0;
	err = hash_data(c->lib->algo, c->buf, size, &got);
	return err ? err : hash_equal(&got, hash);
}

struct mend_places {
	size_t count;
	struct {
		int64_t blob;
		uint64_t start;
	} list[MEND_PLACES];
};

static int mend_place(void *arg, const struct meta_row *row)
{
	struct mend_places *p = arg;

	if (meta_row_null(row, 1))
		return 0;
	p->list[p->count].blob = meta_row_int(row, 1);
	p->list[p->count].start = (uint64_t)meta_row_int(row, 2);
	return ++p->count == MEND_PLACES;
}

/* Has the chunk in c->buf, from another place here: 1, 0, or an error. */
static int mend_from_here(struct check *c, const struct hash *hash, uint64_t size)
{
	struct mend_places places = { 0 };
	int good = META_QUERY(c->meta, CHUNK_PLACES, mend_place, &places,
			      META_B(hash->b, HASH_LEN));

	if (good < 0)
		return good;
	good = 0;
	for (size_t i = 0; i < places.count && good != 1 && good != -ENOMEM; i++)
		good = check_read(c, places.list[i].blob, places.list[i].start, size, hash);
	return good == 1 || good == -ENOMEM ? good : 0;
}

/* The same from the bucket; -EREMOTE: that does not answer, and is not asked again. */
static int mend_from_bucket(struct check *c, const struct hash *hash, uint64_t size)
{
	struct hash got;
	int err = mend_room(c, size);

	if (err || !c->lib->remote)
		return err;
	if (c->bucket_err)
		return -EREMOTE;
	ssize_t n = store_get(c->lib->remote, hash->b, c->buf, size, 0);

	if (n == -ENOENT || n == ERR_CORRUPT)
		return 0;
	if (n < 0) {
		c->bucket_err = (int)n;
		return -EREMOTE;
	}
	if ((uint64_t)n < size)
		return 0;
	err = hash_data(c->lib->algo, c->buf, size, &got);
	return err ? err : hash_equal(&got, hash);
}

int check_mend(struct check *c, const struct hash *hash, uint64_t size, const char **how)
{
	int good = mend_from_here(c, hash, size), err = 0;

	*how = ": another copy takes its place";
	if (!good) {
		*how = ": brought back from the bucket";
		good = mend_from_bucket(c, hash, size);
	}
	if (good <= 0)
		return good;
	if (!c->local)
		err = store_local_open(c->lib->blobs, c->meta, c->lib->instance, library_verify,
				       c->lib, &c->local);
	if (!err)
		err = store_put(c->local, hash->b, c->buf, size);
	return err ? err : 1;
}
