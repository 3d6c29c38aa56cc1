/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Every lock of garner in the order in which they are taken: a thread that holds a lock takes only
 * locks further down this list. A new lock gets a line here, beside the locks of its folder;
 * folders stand in the order of the layers, top first.
 */
#ifndef GARNER_UTIL_RANKS_H
#define GARNER_UTIL_RANKS_H

enum lock_rank {
	/* src/fuse */
	LOCK_RANK_MOUNT,
	/* src/agent */
	LOCK_RANK_AGENT,
	/* src/library */
	LOCK_RANK_LIBRARY,
	LOCK_RANK_FILE,   /* a shard of the open files: src/library/file-table.c */
	LOCK_RANK_TIMES,  /* times that wait to be recorded */
	LOCK_RANK_SEALER, /* the queue of drafts, the watch, the control socket */
	/* src/content */
	LOCK_RANK_CONTENT,
	LOCK_RANK_SPACE, /* the account of what is fetched, asked by who keeps it */
	LOCK_RANK_CUT,   /* one run of the cutter: its buffers and results */
	/* src/backend */
	LOCK_RANK_STORE,
	LOCK_RANK_META,
	LOCK_RANK_S3, /* the loop's orders; the credentials; a thread that waits for its reply */
	/* src/util */
	LOCK_RANK_POOL, /* a pool's queue */
	/* tests only: below everything */
	LOCK_RANK_LEAF,
};

#endif
