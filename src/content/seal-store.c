/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where new bytes are stored while a seal is prepared: at their place in the item's draft, or in a bundle. */
#include "config.h"

#include "content/seal-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

enum { SEAL_PENDING_MAX = 8 * 1024 * 1024 };

/* Writes what of the chunk is not in the draft's file already. */
static int seal_store_rest(struct seal_item *it, const struct seal_chunk *chunk,
			   const uint8_t *data)
{
	uint64_t end = chunk->start + chunk->len;
	size_t low = 0, high = it->piece_count;
	int err = 0;

	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (it->pieces[middle].start <= chunk->start)
			low = middle;
		else
			high = middle;
	}
	for (size_t i = low; i < it->piece_count && it->pieces[i].start < end && !err; i++) {
		const struct seal_piece *p = &it->pieces[i];
		uint64_t from = p->start > chunk->start ? p->start : chunk->start;
		uint64_t to = p->start + p->len < end ? p->start + p->len : end;

		if (p->kind != SEAL_PIECE_FILE)
			err = draft_fill(it->draft, it->epoch, data + (from - chunk->start),
					 to - from, from);
	}
	return err;
}

/* Writes a chunk of an import into a draft that is taken for it. */
static int seal_store_import(struct seal *s, struct seal_item *it, const struct seal_chunk *chunk,
			     const uint8_t *data)
{
	if (!it->draft) {
		int err = draft_take(s->content, &it->draft);

		if (err)
			return err;
		it->own = true;
	}
	for (size_t done = 0; done < chunk->len;) {
		ssize_t put = draft_write(it->draft, data + done, chunk->len - done,
					  chunk->start + done);

		if (put <= 0)
			return put ? (int)put : -EIO;
		done += (size_t)put;
	}
	return 0;
}

int seal_store(struct seal *s, struct seal_item *it, struct seal_chunk *chunk, const uint8_t *data)
{
	int err = 0;

	if (it->small) {
		if (s->pending.len && s->pending.len + chunk->len > SEAL_PENDING_MAX)
			err = seal_flush(s);
		chunk->blob = 0;
		chunk->at = s->pending.len;
		return err ? err : buf_add(&s->pending, data, chunk->len);
	}
	if (it->source && !it->filled)
		err = seal_store_import(s, it, chunk, data);
	else if (!it->plain)
		err = seal_store_rest(it, chunk, data);
	if (err)
		return err;
	/* The disk begins with it while the next chunk is cut, so that the sync at the end is short. */
	(void)sync_file_range(blob_fd(it->draft->file), (off_t)chunk->start, (off_t)chunk->len,
			      SYNC_FILE_RANGE_WRITE);
	it->home = true;
	chunk->blob = draft_blob(it->draft);
	chunk->at = chunk->start;
	return 0;
}

/* Tells the chunks that were pending where their bytes are now. */
static void seal_flushed(struct seal *s, int64_t blob, uint64_t start)
{
	for (size_t i = s->flushed; i < s->count; i++) {
		struct seal_item *it = &s->items[i];

		for (size_t k = 0; k < it->count; k++) {
			struct seal_chunk *chunk = &it->chunks[k];

			if (chunk->blob || (chunk->from != SEAL_NEW && chunk->from != SEAL_HEAL &&
					    chunk->from != SEAL_SHARED))
				continue;
			chunk->blob = blob;
			chunk->at += start;
		}
		if (it->end < it->size)
			break;
		s->flushed = i;
	}
}

int seal_flush(struct seal *s)
{
	struct bundle **bundles, *b = NULL;
	uint64_t start;

	if (!s->pending.len)
		return 0;
	bundles = reallocarray(s->bundles, s->bundle_count + 1, sizeof(*bundles));
	if (!bundles)
		return -ENOMEM;
	s->bundles = bundles;
	int err = bundle_append(s->content, s->pending.data, s->pending.len, &b, &start);

	if (err)
		return err;
	bundles[s->bundle_count++] = b;
	seal_flushed(s, bundle_blob(b), start);
	buf_reset(&s->pending);
	return 0;
}

int seal_sync(struct seal *s)
{
	int err = seal_flush(s);

	for (size_t i = 0; i < s->bundle_count && !err; i++) {
		if (!i || s->bundles[i] != s->bundles[i - 1])
			err = bundle_sync(s->content, s->bundles[i]);
	}
	for (size_t i = 0; i < s->count && !err; i++) {
		if (s->items[i].home)
			err = draft_sync(s->items[i].draft);
	}
	return err;
}
