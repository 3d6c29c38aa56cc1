/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where a run of bytes is cut into chunks. Two kinds:
 *
 * FastCDC (Xia et al., "FastCDC: a Fast and Efficient Content-Defined Chunking Approach for Data
 * Deduplication", USENIX ATC 2016), with minimum skipping and normalised chunking. Exactly: let
 * h(n) be the gear hash of the 64 bytes before position n,
 *
 *     h(n) = sum over k = 0..63 of gear[data[n - 1 - k]] << k   (mod 2^64),
 *
 * where gear[v] is the first 8 bytes, big-endian, of SHA-256 of the one byte v. A chunk that starts
 * at position 0 ends at the smallest n >= min for which the top bits of h(n) are all zero:
 * log2(avg) + 1 bits while n < normal, log2(avg) - 1 bits from there on, with normal = (min + avg)
 * / 2; or at max; or where the data ends. Positions count from the start of the chunk and only
 * bytes of the chunk count, so a boundary depends on nothing before the previous one.
 *
 * Two choices differ from the paper, both for falling back into step after an edit. The hash is
 * warm before min, so that it depends on the last 64 bytes only and not on where the chunk began.
 * And normalisation is level 1 with an earlier middle, not level 2: at 1, 4, 8 MiB the mean length
 * is 3.9 MiB, and after 1 MiB is inserted at the front of a file 1.5 new chunks are seen on average
 * instead of 2.2, and more than three in 2.6 % of cases instead of 17 % (doc/chunking.md; the unit
 * test measures it).
 *
 * Fixed: a chunk ends every avg bytes.
 */
#ifndef GARNER_CONTENT_CHUNKER_H
#define GARNER_CONTENT_CHUNKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The numbers are part of stored formats: never change them, nor what they mean. */
enum chunker_kind {
	CHUNKER_FASTCDC = 1,
	CHUNKER_FIXED = 2,
};

/* Lengths in bytes. */
struct chunker_params {
	enum chunker_kind kind;
	uint32_t min;
	uint32_t avg;
	uint32_t max;
};

enum {
	CHUNKER_WINDOW = 64,             /* bytes that a boundary depends on */
	CHUNKER_LEN_MAX = 256 * 1048576, /* no chunk is longer */
};

/* What a library gets unless it asks for something else. */
#define CHUNKER_DEFAULT                                                                            \
	((struct chunker_params){ CHUNKER_FASTCDC, 1 * 1048576, 4 * 1048576, 8 * 1048576 })

/* Ready for use; read-only, so that any number of threads can share one. */
struct chunker {
	struct chunker_params params;
	uint32_t normal;
	uint64_t limit_early; /* cut where hash < limit: the top bits are zero */
	uint64_t limit_late;
};

/* The table of gear hashes; see above. */
extern const uint64_t chunker_gear[256];

/*
 * Whether the parameters make sense. FastCDC: 64 <= min <= avg / 2, avg <= max <= CHUNKER_LEN_MAX,
 * avg a power of two. Fixed: 1 <= min = avg = max <= CHUNKER_LEN_MAX. 0 or -EINVAL.
 */
int chunker_check(const struct chunker_params *params);

/* Prepares a chunker; needs no release. 0, or -EINVAL as chunker_check(). */
int chunker_init(struct chunker *c, const struct chunker_params *params);

/*
 * The length of the chunk at the front of data[0..len), or 0: no end was found and more data is
 * needed. With `last`, nothing follows data[len), and 0 comes only from len 0. With len >= max the
 * answer is never 0.
 */
size_t chunker_cut(const struct chunker *c, const uint8_t *data, size_t len, bool last);

/*
 * chunker_cut() for data that grows. *done is 0 for a new chunk and carries, from one call to the
 * next on the same chunk, how far has been looked at; nothing is looked at twice.
 */
size_t chunker_resume(const struct chunker *c, const uint8_t *data, size_t len, bool last,
		      size_t *done);

#endif
