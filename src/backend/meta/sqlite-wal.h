/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reading SQLite's write-ahead log as a file: sqlite.org/fileformat2, section 4. A log is a header and frames, each a header and a page; the checksums of the frames are a
 * chain from the header on, so that what follows a place that one knows can be told from what an earlier round has left behind. When a log was moved into
 * the database whole, a writer may begin a new round at its head, under another salt.
 */
#ifndef GARNER_BACKEND_META_SQLITE_WAL_H
#define GARNER_BACKEND_META_SQLITE_WAL_H

#include <stdbool.h>
#include <stdint.h>

enum { META_SQLITE_WAL_HEADER = 32, META_SQLITE_WAL_FRAME_HEADER = 24 };

/* The header of a log. */
struct meta_sqlite_wal_head {
	bool there;         /* else the log is empty */
	bool big;           /* words are summed in big-endian order */
	uint32_t page_size; /* bytes */
	uint32_t salt[2];   /* of this round; the first rises by one with each */
	uint32_t sum[2];
};

/* A place in a round: behind its frame number `frame`, counted from 1. */
struct meta_sqlite_wal_place {
	uint32_t salt[2];
	uint32_t sum[2]; /* of the chain up to here */
	uint32_t frame;
	uint32_t pages; /* of the database after it; 0: nothing was committed in this round */
};

/* One frame of a transaction that is in the log whole. Nonzero ends the walk with it. */
typedef int meta_sqlite_wal_fn(void *arg, uint32_t page, uint32_t frame);

/* Reads the header of the log that FD is open on. 0, with out->there false for what is none; a negative errno. */
int meta_sqlite_wal_head(int fd, struct meta_sqlite_wal_head *out);

/* The beginning of the round that HEAD is of. */
void meta_sqlite_wal_start(const struct meta_sqlite_wal_head *head,
			   struct meta_sqlite_wal_place *out);

/*
 * Walks from PLACE, which need not be in the round of HEAD, to the end of the last transaction that follows it without a gap, calls FN for each frame and leaves PLACE there.
 * 0; FN's value; a negative errno, -ENOMEM.
 */
int meta_sqlite_wal_walk(int fd, const struct meta_sqlite_wal_head *head,
			 struct meta_sqlite_wal_place *place, meta_sqlite_wal_fn *fn, void *arg);

/* Whether the frame that ends at PLACE is still in the file: 1, 0, or a negative errno. */
int meta_sqlite_wal_holds(int fd, const struct meta_sqlite_wal_head *head,
			  const struct meta_sqlite_wal_place *place);

/* What is where the frame behind PLACE would be. */
enum meta_sqlite_wal_next {
	META_SQLITE_WAL_NEXT_NONE,  /* the file ends */
	META_SQLITE_WAL_NEXT_OWN,   /* a frame of the round of PLACE, whole or not */
	META_SQLITE_WAL_NEXT_HEAD,  /* one of HEAD's round */
	META_SQLITE_WAL_NEXT_OTHER, /* one of another */
};

/* 0 and *OUT, or a negative errno. */
int meta_sqlite_wal_next(int fd, const struct meta_sqlite_wal_head *head,
			 const struct meta_sqlite_wal_place *place, enum meta_sqlite_wal_next *out);

/* Where in the file the page of FRAME begins. */
uint64_t meta_sqlite_wal_page_at(uint32_t page_size, uint32_t frame);

#endif
