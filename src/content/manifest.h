/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The manifest: an object written down, the same bytes for the same object everywhere. The root
 * hash of an object is the hash of its manifest, by the library's algorithm. Numbers are unsigned
 * LEB128 (7 bits a byte, lowest first, the high bit says that more follow), as short as can be.
 *
 *     1 byte   version, 1
 *     1 byte   algorithm (enum hash_algo) of the chunks' names and of the root
 *     number   the object's size in bytes, holes included
 *     then, in order, until the size is reached, one of
 *       number   length << 1        a chunk of that length, followed by the 32 bytes of its hash
 *       number   length << 1 | 1    a hole of that length; no two follow each other
 *
 * Lengths are at least 1, a chunk's at most CHUNKER_LEN_MAX, and they sum up to the size. Nothing
 * follows. A manifest that is not in exactly this form is damaged. A hole is not the same as a
 * chunk of zeros: two files with the same bytes but other holes are two objects, that share the
 * chunks which are alike.
 */
#ifndef GARNER_CONTENT_MANIFEST_H
#define GARNER_CONTENT_MANIFEST_H

#include "content/hash.h"
#include "util/buf.h"

enum { MANIFEST_VERSION = 1 };

/* A manifest being written. One thread at a time. */
struct manifest {
	enum hash_algo algo;
	uint64_t size; /* of the object */
	uint64_t at;   /* what the parts so far sum up to */
	uint64_t hole; /* the end of `at` that is a hole not yet written */
	struct buf bytes;
};

/* Begins the manifest of an object of `size` bytes; ended with manifest_release(). 0 or -ENOMEM. */
int manifest_init(struct manifest *m, enum hash_algo algo, uint64_t size);

/* Frees what `m` holds. */
void manifest_release(struct manifest *m);

/*
 * Adds the next chunk. 0, -ENOMEM, or -EINVAL for a length that is out of range or passes the
 * object's end.
 */
int manifest_add_chunk(struct manifest *m, uint32_t len, const struct hash *hash);

/*
 * Adds a hole, that joins one just before it; length 0 adds nothing. 0, or -EINVAL where it passes
 * the object's end.
 */
int manifest_add_hole(struct manifest *m, uint64_t len);

/*
 * Ends the manifest, whose bytes are then in m->bytes, and writes its root hash. 0, -EINVAL if the
 * parts do not reach the object's end, -ENOTSUP or -ENOMEM; *root is untouched unless 0.
 */
int manifest_end(struct manifest *m, struct hash *root);

/* A part of a manifest that is read: a chunk, or a hole where `hash` is NULL. */
struct manifest_part {
	uint64_t offset;
	uint64_t len;
	const struct hash *hash; /* valid during the callback */
};

/* What the head of a manifest says. */
struct manifest_head {
	enum hash_algo algo;
	uint64_t size;
};

/*
 * Reads a manifest and calls `part` for each part, in order, until it returns something else than
 * 0, which is then returned. *head is set before the first call; it may be NULL. ERR_CORRUPT: not a
 * manifest, or damaged (parts before the damage have been given out); ERR_FUTURE: a later version,
 * or an algorithm unknown to this one. Does not check the bytes against a root hash: hash_data()
 * does.
 */
int manifest_read(const void *data, size_t len, struct manifest_head *head,
		  int (*part)(void *arg, const struct manifest_part *part), void *arg);

#endif
