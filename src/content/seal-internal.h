/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the files of sealing share. Not for other folders.
 *
 * An item is one content. Its pieces say where its bytes come from; runs of pieces between holes are cut, each on its own, into chunks. Each
 * chunk is given a place: where it is held already, in the item's own draft (the home) at its natural offset, or, for small items, in
 * a bundle. One thread works on a seal.
 */
#ifndef GARNER_CONTENT_SEAL_INTERNAL_H
#define GARNER_CONTENT_SEAL_INTERNAL_H

#define HASH_NONFATAL_OOM 1
#define uthash_nonfatal_oom(element) ((void)(element))
#include <uthash.h>

#include "content/cut.h"
#include "content/draft-internal.h"
#include "content/manifest.h"
#include "content/seal.h"

/* Where a chunk's bytes are and how that is known. */
enum seal_from {
	SEAL_HOLE, /* no chunk */
	SEAL_NEW,  /* in the item's home or a bundle; held nowhere else */
	SEAL_HEAL, /* the same, and the copies that were held are damaged */
	SEAL_SHARED, /* put into a bundle by another item of this seal, whose rows may never be applied */
	SEAL_HELD,   /* held, and compared with the bytes */
	SEAL_REPEAT, /* as an earlier chunk of this item */
	SEAL_BASE,   /* a chunk of a base, not looked at */
};

struct seal_chunk {
	uint64_t start, len;
	enum seal_from from;
	struct hash hash; /* not of a hole */
	int64_t id;       /* for the row of a chunk that may be new; else 0 */
	int64_t blob;     /* 0: in seal.pending, at `at`, until that is written; or none */
	uint64_t at;
};

/* A held copy that is damaged: chunk number `chunk` of the item. */
struct seal_bad {
	size_t chunk;
	int64_t blob;
	uint64_t at;
};

struct seal_base_part {
	uint64_t start, len;
	bool hole;
	struct hash hash;
};

/* The chunk list of an object that drafts of this seal lie over. */
struct seal_base {
	int64_t object;
	struct seal_base_part *parts;
	size_t count, cap;
};

enum seal_piece_kind { SEAL_PIECE_FILE, SEAL_PIECE_BASE, SEAL_PIECE_ZERO };

struct seal_piece {
	uint64_t start, len;
	enum seal_piece_kind kind;
};

/* A chunk of a base that lies unchanged in the content. */
struct seal_take {
	uint64_t start, len;
	bool natural; /* it ends where the chunker ends it, not where its content or a hole made it end */
	const struct hash *hash;
};

enum seal_phase { SEAL_PREPARED, SEAL_ADDED, SEAL_FINISHED };

struct seal_item {
	struct draft *draft;              /* NULL: an import that keeps nothing of its own */
	bool own;                         /* the draft was taken for this import and is ours */
	bool filled;                      /* the own draft's file has all of the content */
	bool adopted;                     /* it is the source's file */
	const struct seal_source *source; /* of an import, while it is prepared; else NULL */
	bool small;
	bool home;          /* the draft holds chunks */
	bool plain;         /* the draft's file alone is the content */
	uint64_t epoch;     /* of the draft when it was begun */
	uint64_t size, end; /* `end`: what the chunks so far sum up to */
	enum seal_phase phase;
	struct seal_stats stats;
	int64_t object;
	struct hash root;
	struct seal_chunk *chunks;
	size_t count, cap;
	struct seal_bad *bads;
	size_t bad_count, bad_cap;

	/* Of use while it is prepared. */
	struct seal_piece *pieces;
	size_t piece_count, piece_cap;
	struct cut_extent *extents;
	size_t extent_count;
	struct seal_take *takes;
	size_t take_count, take_cap;
};

/* A chunk that this seal has seen. */
struct seal_known {
	struct hash hash;
	size_t item, chunk;
	UT_hash_handle hh;
};

/* Bytes that were read ahead: [start, start + len) of the content that is being cut. */
struct seal_window {
	uint8_t *data; /* the chunker's max bytes */
	uint64_t start;
	size_t len;
};

struct seal {
	struct content *content;
	int (*stop)(void *arg);
	void *stop_arg;
	struct seal_item *items;
	size_t count;
	struct seal_known *known; /* by hash */
	struct seal_base **bases;
	size_t base_count;
	struct cut *cut; /* made when first needed */
	struct seal_window window;
	struct buf pending;      /* bytes of small items, not yet in a bundle */
	size_t flushed;          /* items before this one have nothing pending */
	struct bundle **bundles; /* held, with ranges of this seal */
	size_t bundle_count;
};

/* `list` with room for one more element of `size` behind `count`; NULL, with the list as it was, when memory is out. */
void *seal_grow(void *list, size_t count, size_t *cap, size_t size);

/* seal_grow() that stores the new list; 0 or -ENOMEM. */
#define SEAL_GROW(list, count, cap)                                                                \
	({                                                                                         \
		void *grown_ = seal_grow((list), (count), &(cap), sizeof(*(list)));                \
		if (grown_)                                                                        \
			(list) = grown_;                                                           \
		grown_ ? 0 : -ENOMEM;                                                              \
	})

/* Whether the caller wants to give up. */
bool seal_stopped(const struct seal *s);

/* seal-piece.c: the item's pieces, extents and takes, from its draft or source. */
int seal_survey(struct seal *s, struct seal_item *it);

/* Reads exactly `len` bytes of the item's content. -ECANCELED: it has become shorter. -EREMOTE: some have to be fetched, which has begun. Counts them. */
int seal_read(struct seal_item *it, void *buf, size_t len, uint64_t off);

/* seal-known.c: gives the next chunk of the item its place; stores the bytes where they are new. 0 or negative error. */
int seal_add_chunk(struct seal *s, struct seal_item *it, const struct cut_chunk *chunk,
		   const uint8_t *data);
/* Takes the next chunk over from a base. */
int seal_add_base(struct seal_item *it, const struct seal_take *take);
/* Ends the item's chunks: what follows the last one is a hole. */
int seal_add_end(struct seal_item *it);
/* seal-reuse.c: makes the source's file, or a clone of it, the item's draft if its `reuse` asks for that and it can be. 0 or negative error. */
int seal_reuse(struct seal *s, struct seal_item *it);
/* Adds the rows of an adopted file. */
void seal_reuse_add(const struct seal_item *it, const struct meta_value *owner, struct meta_op *op);
/* Takes the blob's name from an adopted file that is no home, and its row. */
void seal_reuse_drop(struct seal *s, struct seal_item *it);

/* Frees the table of chunks that were seen. */
void seal_known_free(struct seal *s);

/* seal-store.c: where new bytes go. */
int seal_store(struct seal *s, struct seal_item *it, struct seal_chunk *chunk, const uint8_t *data);
/* Writes what is pending into the bundle. */
int seal_flush(struct seal *s);
/* Makes all that was stored durable. */
int seal_sync(struct seal *s);

/* seal-cut.c: cuts the item, whose survey is done. */
int seal_cut(struct seal *s, struct seal_item *it);

/* seal-rows.c: whether a copy that is kept beside the one that is held would be worth it for this chunk. */
bool seal_can_reflink(const struct seal *s, const struct seal_item *it,
		      const struct seal_chunk *chunk);

/* seal-finish.c: gives back what is not kept of all items, and the drafts. */
void seal_give_back(struct seal *s);

#endif
