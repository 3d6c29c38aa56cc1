/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which chunks are held already. A row is not trusted: the stored bytes are compared with those at hand, and where no copy is whole
 * the new bytes take its place.
 */
#include "config.h"

#include "content/seal-internal.h"
#include "util/err.h"
#include "util/io.h"
#include "util/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
	SEAL_PLACES_MAX = 8, /* copies of a chunk that are tried */
	SEAL_COMPARE_STEP = 64 * 1024,
};

void seal_known_free(struct seal *s)
{
	struct seal_known *k, *next;

	HASH_ITER (hh, s->known, k, next) {
		HASH_DEL(s->known, k);
		free(k);
	}
}

static struct seal_known *seal_known_find(struct seal *s, const struct hash *hash)
{
	struct seal_known *k;

	HASH_FIND(hh, s->known, hash->b, HASH_LEN, k);
	return k;
}

/* Notes the last chunk of the item. Without memory for it a repetition costs space, no more. */
static void seal_known_add(struct seal *s, const struct seal_item *it)
{
	struct seal_known *k = calloc(1, sizeof(*k));

	if (!k)
		return;
	k->hash = it->chunks[it->count - 1].hash;
	k->item = (size_t)(it - s->items);
	k->chunk = it->count - 1;
	HASH_ADD(hh, s->known, hash.b, HASH_LEN, k);
	if (!k->hh.tbl)
		free(k);
}

struct seal_place {
	int64_t blob;
	uint64_t at;
};

struct seal_places {
	struct seal_place place[SEAL_PLACES_MAX];
	size_t count;
	bool found; /* there is a row of the chunk */
};

static int seal_place_row(void *arg, const struct meta_row *row)
{
	struct seal_places *p = arg;

	p->found = true;
	if (meta_row_null(row, 1))
		return 0;
	p->place[p->count].blob = meta_row_int(row, 1);
	p->place[p->count].at = (uint64_t)meta_row_int(row, 2);
	return ++p->count == SEAL_PLACES_MAX;
}

/* Whether the bytes stored at a place are `data`: 1, 0 (also when they cannot be read), or an error that says nothing of them. */
static int seal_compare(struct content *c, int64_t id, uint64_t at, const uint8_t *data, size_t len)
{
	uint8_t stored[SEAL_COMPARE_STEP];
	struct blob *blob = NULL;
	int err = blobs_get(c->blobs, id, &blob);
	bool same = true;

	if (err)
		return err == -ENOENT || err == -EIO ? 0 : err;
	for (size_t done = 0; same && done < len;) {
		size_t part = len - done < sizeof(stored) ? len - done : sizeof(stored);
		ssize_t got = io_pread_full(blob_fd(blob), stored, part, at + done);

		same = got == (ssize_t)part && !memcmp(stored, data + done, part);
		done += part;
	}
	blob_put(blob);
	return same;
}

static int seal_bad_add(struct seal_item *it, size_t chunk, int64_t blob, uint64_t at)
{
	int err = SEAL_GROW(it->bads, it->bad_count, it->bad_cap);

	if (!err)
		it->bads[it->bad_count++] = (struct seal_bad){ chunk, blob, at };
	return err;
}

/* One place of the chunk that is added next is damaged: its row goes. */
static int seal_bad_note(struct seal_item *it, const struct seal_place *p, const struct hash *hash)
{
	char name[HASH_TEXT_LEN];

	hash_hex(hash, name);
	log_error("chunk %s: its copy in blob %" PRId64 " at %" PRIu64 " is damaged, and replaced",
		  name, p->blob, p->at);
	return seal_bad_add(it, it->count, p->blob, p->at);
}

/* Whether the place is recorded still: 1, 0, or an error. */
static int seal_place_stays(struct seal *s, const struct seal_place *p, const struct hash *hash)
{
	struct seal_places now = { .count = 0 };
	int got = META_QUERY(s->content->meta, CHUNK_PLACES, seal_place_row, &now,
			     META_B(hash->b, HASH_LEN));

	for (size_t i = 0; i < now.count; i++) {
		if (now.place[i].blob == p->blob && now.place[i].at == p->at)
			return 1;
	}
	return got < 0 ? got : 0;
}

/* Other bytes than the chunk's: the copy is damaged, or -EAGAIN: it has moved since its place was read. */
static int seal_differs(struct seal *s, struct seal_item *it, const struct seal_place *p,
			const struct hash *hash)
{
	int stays = seal_place_stays(s, p, hash);

	return stays < 0 ? stays : stays ? seal_bad_note(it, p, hash) : -EAGAIN;
}

/* Compares all places with the bytes. Sets from, and blob and at where one is whole. */
static int seal_verify(struct seal *s, struct seal_item *it, const struct seal_places *places,
		       struct seal_chunk *chunk, const uint8_t *data)
{
	size_t bad = 0;

	chunk->from = SEAL_NEW;
	for (size_t i = 0; i < places->count; i++) {
		const struct seal_place *p = &places->place[i];
		int same = seal_compare(s->content, p->blob, p->at, data, chunk->len);
		int err = same < 0 ? same : same ? 0 : seal_differs(s, it, p, &chunk->hash);

		if (err)
			return err;
		bad += !same;
		if (same && chunk->from == SEAL_NEW) {
			chunk->from = SEAL_HELD;
			chunk->blob = p->blob;
			chunk->at = p->at;
		}
	}
	if (bad && chunk->from == SEAL_NEW)
		chunk->from = SEAL_HEAL;
	it->stats.healed += bad > 0;
	return 0;
}

/* Sets from, blob and at of a chunk that this seal sees for the first time. */
static int seal_look_up(struct seal *s, struct seal_item *it, struct seal_chunk *chunk,
			const uint8_t *data)
{
	size_t bads = it->bad_count;
	struct seal_places places;
	int err;

	do {
		places = (struct seal_places){ .count = 0 };
		it->bad_count = bads;
		err = META_QUERY(s->content->meta, CHUNK_PLACES, seal_place_row, &places,
				 META_B(chunk->hash.b, HASH_LEN));
		if (err >= 0)
			err = seal_verify(s, it, &places, chunk, data);
	} while (err == -EAGAIN);
	if (!err && !places.found) {
		it->stats.new_chunks++;
		it->stats.new_bytes += chunk->len;
	}
	return err;
}

/* As the chunk `like` of the item `other`, which this seal saw before. */
static int seal_repeat(struct seal_item *it, struct seal_chunk *chunk,
		       const struct seal_item *other, size_t like)
{
	const struct seal_chunk *first = &other->chunks[like];
	int err = 0;

	chunk->blob = first->blob;
	chunk->at = first->at;
	if (it == other) {
		chunk->from = SEAL_REPEAT;
		return 0;
	}
	switch (first->from) {
	case SEAL_NEW:
	case SEAL_HEAL:
	case SEAL_SHARED:
		chunk->from = other->small ? SEAL_SHARED : SEAL_HELD;
		break;
	default:
		chunk->from = first->from;
	}
	for (size_t i = 0; i < other->bad_count && !err; i++) {
		const struct seal_bad *b = &other->bads[i];

		if (b->chunk == like && chunk->from == SEAL_SHARED)
			err = seal_bad_add(it, it->count, b->blob, b->at);
	}
	return err;
}

/* Adds the chunk behind the others, with the hole before it. */
static int seal_push(struct seal_item *it, const struct seal_chunk *chunk)
{
	int err = 0;

	if (chunk->start > it->end) {
		struct seal_chunk hole = { .start = it->end, .len = chunk->start - it->end };

		err = SEAL_GROW(it->chunks, it->count, it->cap);
		if (err)
			return err;
		it->chunks[it->count++] = hole;
		it->end = chunk->start;
	}
	if (!chunk->len)
		return 0;
	err = SEAL_GROW(it->chunks, it->count, it->cap);
	if (err)
		return err;
	it->chunks[it->count++] = *chunk;
	it->end += chunk->len;
	it->stats.data += chunk->len;
	it->stats.chunks++;
	return 0;
}

int seal_add_end(struct seal_item *it)
{
	struct seal_chunk nothing = { .start = it->size };

	return seal_push(it, &nothing);
}

int seal_add_base(struct seal_item *it, const struct seal_take *take)
{
	struct seal_chunk chunk = { .start = take->start, .len = take->len, .from = SEAL_BASE };

	chunk.hash = *take->hash;
	return seal_push(it, &chunk);
}

int seal_add_chunk(struct seal *s, struct seal_item *it, const struct cut_chunk *cut,
		   const uint8_t *data)
{
	struct seal_chunk chunk = { .start = cut->offset, .len = cut->len, .hash = cut->hash };
	struct seal_chunk hole = { .start = cut->offset };
	struct seal_known *known = seal_known_find(s, &chunk.hash);
	int err = seal_push(it, &hole);

	if (err)
		return err;
	if (known)
		err = seal_repeat(it, &chunk, &s->items[known->item], known->chunk);
	else
		err = seal_look_up(s, it, &chunk, data);
	if (!err && (chunk.from == SEAL_NEW || chunk.from == SEAL_HEAL))
		err = seal_store(s, it, &chunk, data);
	if (!err)
		err = seal_push(it, &chunk);
	if (!err && !known)
		seal_known_add(s, it);
	return err;
}
