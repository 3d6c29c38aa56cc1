/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Segments: what a backup of the metadata consists of. The states of the database that were backed up are numbered. A segment (from, to] has the pages that changed after state `from`, as
 * they are in state `to`: put over any state between the two it gives `to`. One with `from` 0 has all pages.
 *
 * A segment is one object or more ("parts"), each with at most BACKUP_SEGMENT_PAGES pages, under
 *
 * 	meta/EPOCH/TO-FROM-PART-PARTS       in lower-case hex of 8, 12, 12, 4 and 4 digits; PART counts from 0
 *
 * Body of a part: struct backup_segment_head in its order, little-endian, BACKUP_SEGMENT_HEAD bytes, the first eight "garnmeta"; then one zstd frame of `pages` page numbers (32 bits each)
 * and as many pages; then the SHA-256 of all before it.
 */
#ifndef GARNER_LIBRARY_BACKUP_SEGMENT_H
#define GARNER_LIBRARY_BACKUP_SEGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/buf.h"

enum {
	BACKUP_SEGMENT_PAGES = 2048,
	BACKUP_SEGMENT_HEAD = 104,
	BACKUP_SEGMENT_KEY_MAX = 64,
	BACKUP_SEGMENT_PARTS_MAX = 0xffff,
	BACKUP_SEGMENT_BYTES_MAX = 256 << 20, /* of a part, whatever its pages' size */
};

/* Which part of which segment. */
struct backup_segment_name {
	uint32_t epoch;
	uint64_t from, to;
	uint32_t part, parts;
};

struct backup_segment_head {
	uint32_t version;   /* 1 */
	uint32_t page_size; /* bytes */
	uint64_t from, to;
	uint32_t part;
	uint32_t last;       /* 1: no part follows */
	uint32_t pages;      /* in this part */
	uint32_t count;      /* pages of the database in state `to` */
	uint64_t sum;        /* of all of them: backup_page_sum(); in the last part */
	int64_t at_ns;       /* when it was in that state */
	uint8_t library[16]; /* id */
	uint8_t run[16];     /* of the process that made it: random */
	uint32_t raw_len;    /* of what zstd packed */
	uint32_t packed_len;
};

/* The key of a part below the library's prefix. */
void backup_segment_key(const struct backup_segment_name *name, char key[BACKUP_SEGMENT_KEY_MAX]);

/* Reads such a key. False for any other. */
bool backup_segment_parse(const char *key, struct backup_segment_name *out);

/* A page's share in the sum of a state, which is the exclusive or of those of all pages; never 0. */
uint64_t backup_page_sum(uint32_t page, const void *bytes, size_t len);

/* A segment that is being made or waits to be sent: all but its last part are in a file without a name. */
struct backup_segment;

/*
 * Begins one. HEAD has what all parts have in common. The file, if one is needed, goes into the folder DIR_FD, which stays the caller's. NULL: no memory. Ended with
 * backup_segment_free(), which takes NULL.
 */
struct backup_segment *backup_segment_new(const struct backup_segment_head *head, int dir_fd);
void backup_segment_free(struct backup_segment *s);

/* Adds a page. Pages come in rising order. 0, -ENOMEM, -EFBIG, or an error of writing. */
int backup_segment_add(struct backup_segment *s, uint32_t page, const void *bytes);

/* Ends it, with the sum of the state. 0 or as backup_segment_add(). A segment has one part at least. */
int backup_segment_end(struct backup_segment *s, uint64_t sum);

/* What it is, and how many pages and, packed, bytes it has. */
const struct backup_segment_head *backup_segment_head(const struct backup_segment *s);
uint64_t backup_segment_pages(const struct backup_segment *s);
uint64_t backup_segment_bytes(const struct backup_segment *s);

/* How many parts an ended segment has, and the body of one, appended. 0, -ENOMEM, or an error of reading. */
uint32_t backup_segment_parts(const struct backup_segment *s);
int backup_segment_body(const struct backup_segment *s, uint32_t part, struct buf *out);

/*
 * Reads the body of a part: *HEAD, and the page numbers and pages, unpacked, in RAW (overwritten). 0; ERR_CORRUPT; ERR_FUTURE: made by a newer garner; -ENOMEM.
 */
int backup_segment_read(const void *body, size_t len, struct backup_segment_head *head,
			struct buf *raw);

/* Page INDEX of what backup_segment_read() gave: its number in *PAGE; its bytes. */
const void *backup_segment_page(const struct backup_segment_head *head, const struct buf *raw,
				uint32_t index, uint32_t *page);

#endif
