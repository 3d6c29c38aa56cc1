/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Sealing: a draft's bytes are cut, hashed, compared with what is held, and described as an object. Three steps, so that the caller can commit the
 * object together with its own rows:
 *
 *   seal_prepare   reads, cuts, hashes; verifies every dedup hit against the stored bytes (a stored copy that differs, is short or gone
 *                  is healed: the new bytes take its place); makes the bytes durable (fdatasync). Changes no rows.
 *   seal_add       adds the statements to the caller's operation: object, chunks, places, reference counts, the draft's blob row.
 *   seal_finish    after the operation was applied: takes the draft over. seal_free() then makes the metadata durable and gives back the space of
 *                  deduplicated ranges (reflink dedupe where the filesystem has it, else punching), recycles the draft or closes it as
 *                  home blob. A crash before it costs space only; collection finds it.
 *
 * Small contents are appended to the open bundle; many of them are prepared as one batch with a single fdatasync.
 * For overlay drafts only the chunks that touch changed ranges are read and cut: chunks of the base that lie unchanged at a cut position are taken
 * over as they are (FastCDC restarts at each cut, so boundaries fall back in step), except an object's last chunk when more follows.
 *
 * Two processes that seal the same content at once both succeed: rows are keyed by hash, and the loser's bytes are space for collection.
 */
#ifndef GARNER_CONTENT_SEAL_H
#define GARNER_CONTENT_SEAL_H

#include "content/draft.h"

struct seal;

struct seal_stats {
	uint64_t size;       /* of the content */
	uint64_t data;       /* bytes that are not holes */
	uint64_t read_bytes; /* read, cut and hashed for this seal */
	uint64_t new_bytes;  /* bytes of chunks that were not held before */
	uint32_t chunks, new_chunks, healed;
};

/*
 * Prepares `count` drafts (quiesced, not changing). `stop(arg)` (may be NULL) is asked between chunks; nonzero ends it with -ECANCELED.
 * On 0 *out is the caller's, for seal_free(), even after seal_finish(). On failure nothing is kept. Errors: -ECANCELED, -ENOSPC, -EIO (also of a base chunk
 * whose bytes are damaged or cannot be had), -EREMOTE (bytes of a base have to be fetched, which has begun: to be tried again when they may be here), -ENOMEM, ERR_CORRUPT (a base's chunk list makes no sense).
 */
int seal_prepare(struct content *c, struct draft *const *drafts, size_t count,
		 int (*stop)(void *arg), void *arg, struct seal **out);

/*
 * Adds the rows for draft number `i` to `op`. Afterwards the caller adds its own statements; object `i` is named by root hash: seal_root(). `op` fails with
 * -EAGAIN when a chunk that was relied on has been collected meanwhile: then prepare again; with -ESTALE when the draft is no draft any more. 0; -ECANCELED: the
 * draft was changed since seal_prepare() began, and nothing was added.
 */
int seal_add(struct seal *s, size_t i, struct meta_op *op);
/* The root hash of item `i`, 32 bytes; NULL for empty content, which has no object. The seal's. */
const uint8_t *seal_root(const struct seal *s, size_t i);
/* Whether the file of draft `i` will hold the whole content as before, so that who reads it by itself may go on. */
bool seal_stays(const struct seal *s, size_t i);
/* What sealing item `i` came to. The seal's. */
const struct seal_stats *seal_stats(const struct seal *s, size_t i);

/* Call once after the operation was applied, when no reader uses draft `i` any more (they took a view of the object). Takes *draft over, which is draft `i`. Does no I/O. */
void seal_finish(struct seal *s, size_t i, struct draft **draft);

/*
 * Frees the seal and does what seal_finish() promised, after one sync of the metadata for all items. Blocks. Drafts of items that were not finished stay the caller's
 * and as they were. NULL allowed.
 */
void seal_free(struct seal *s);

/*
 * What may be done to spare the second copy of a source that no bundle takes. Where it cannot be done the bytes are copied.
 *   CLONE  the home begins as a clone of `fd` (FICLONE) and is cut from that
 *   ADOPT  the file `fd` gets a second name and is the home. Nobody may write it any more (the caller's care). After the operation was
 *          applied and synced the caller removes the first name, and then gives it mode and owner of a blob; or else calls seal_disown().
 *          Until the first name is gone no range of the file is given back, here and in collection.
 */
enum seal_reuse { SEAL_COPY, SEAL_CLONE, SEAL_ADOPT };

/* What is taken in. */
struct seal_source {
	/* Up to `len` bytes at `off`, in ascending order: the count, 0 where the content ends early, or negative errno. */
	ssize_t (*read)(void *arg, void *buf, size_t len, uint64_t off);
	void *arg;
	uint64_t size;
	const uint64_t (*holes)[2]; /* start and length, ascending; they are not read */
	size_t hole_count;
	enum seal_reuse reuse;
	int fd; /* of a regular file, for reading; unless SEAL_COPY */
};

/*
 * Takes content in without a draft (import): reads it, writes only chunks that are not held, at their natural offsets in a new home blob or into
 * the open bundle. There is one item for each of the `count` sources, which need not outlive the call. Errors as seal_prepare(), and -ECANCELED when a source ends
 * early, -EINVAL for holes out of order. Then seal_add() and seal_finish(…, NULL), as above.
 */
int seal_import(struct content *c, const struct seal_source *src, size_t count,
		int (*stop)(void *arg), void *stop_arg, struct seal **out);

/* Whether source number `i` was adopted and holds chunks. */
bool seal_adopted(const struct seal *s, size_t i);

/*
 * Undoes the adoption of source `i`, after seal_finish(): its chunks have no place any more, and the blob's name goes; the file is as it was. The
 * caller takes the content in again as SEAL_COPY, before which it cannot be read. 0, -ENOMEM or as meta_apply(): then it stays adopted.
 */
int seal_disown(struct seal *s, size_t i);

#endif
