/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the metadata knows of a chunk that is to be fetched; it may be here by now. */
#include "config.h"

#include "content/fetch-internal.h"
#include "util/err.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

struct fetch_place {
	int64_t blob;
	uint64_t start;
};

enum { FETCH_PLACES_MAX = 8, FETCH_PAUSE_US = 200 };

struct fetch_places {
	struct fetch_row *row;
	struct fetch_place place[FETCH_PLACES_MAX];
	size_t count;
};

static int fetch_find_row(void *arg, const struct meta_row *row)
{
	struct fetch_places *p = arg;
	size_t len;
	const void *hash = meta_row_bytes(row, 0, &len);

	if (len != HASH_LEN)
		return ERR_CORRUPT;
	p->row->found = true;
	memcpy(p->row->hash.b, hash, HASH_LEN);
	p->row->size = (uint64_t)meta_row_int(row, 1);
	if (!meta_row_null(row, 2) && p->count < FETCH_PLACES_MAX)
		p->place[p->count++] = (struct fetch_place){ meta_row_int(row, 2),
							     (uint64_t)meta_row_int(row, 3) };
	return 0;
}

static int fetch_find_once(struct content *c, int64_t chunk, struct fetch_row *out)
{
	struct fetch_places p = { .row = out };
	int got = META_QUERY(c->meta, FETCH_CHUNK, fetch_find_row, &p, META_I(chunk));

	if (got < 0)
		return got;
	if (!out->found || !out->size || out->size > UINT32_MAX)
		return ERR_CORRUPT;
	for (size_t i = 0; i < p.count && !out->blob; i++) {
		int err = blobs_get(c->blobs, p.place[i].blob, &out->blob);

		out->start = p.place[i].start;
		if (err && err != -ENOENT)
			return err;
	}
	return 0;
}

/*
 * The process that mounts may evict what another one is about to open. What is open here while its row stands is not punched any more; -ESTALE: it does not.
 */
static int fetch_find_beside(struct content *c, int64_t chunk, struct fetch_row *out)
{
	struct fetch_row again = { .content = c };
	int err = fetch_find_once(c, chunk, out);

	if (err || !out->blob || c->params.adopt)
		return err;
	err = fetch_find_once(c, chunk, &again);
	if (!err &&
	    (!again.blob || blob_id(again.blob) != blob_id(out->blob) || again.start != out->start))
		err = -ESTALE;
	blob_put(again.blob);
	return err;
}

/* As in view_of_object(): what is found while a blob changes hands may be out of date. */
int fetch_find(struct content *c, int64_t chunk, struct fetch_row *out)
{
	for (;;) {
		unsigned ended = __atomic_load_n(&c->moves_ended, __ATOMIC_SEQ_CST);
		int err;

		*out = (struct fetch_row){ .content = c };
		err = fetch_find_beside(c, chunk, out);
		if (err != -ESTALE && __atomic_load_n(&c->moves_begun, __ATOMIC_SEQ_CST) == ended)
			return err;
		blob_put(out->blob);
		usleep(FETCH_PAUSE_US);
	}
}
