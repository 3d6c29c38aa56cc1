/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Figures about a library, and the past of one asset: what garner status and garner history print. Reads only. */
#ifndef GARNER_LIBRARY_REPORT_H
#define GARNER_LIBRARY_REPORT_H

#include "content/upload.h"
#include "library/library.h"
#include "library/reap.h"
#include "library/tree.h"

struct report {
	uint64_t folders, assets,
		others; /* nodes that are not in the trash; others: symlinks and special files */
	uint64_t bytes; /* of all assets, as their sizes say */
	uint64_t trash_items, trash_bytes; /* deleted, still restorable */
	uint64_t drafts, draft_bytes;      /* written, not sealed yet */
	int64_t doubts; /* of the drafts: the disk failed to keep what was written */
	uint64_t objects,
		object_bytes; /* sealed contents and their bytes without holes, before deduplication */
	uint64_t chunks, chunk_bytes; /* what the store holds of them, each chunk once */
	int64_t journal;              /* number of the last change */
	bool uploads;                 /* it has a bucket: */
	bool upload_paused;
	struct upload_backlog upload; /* what is not there yet */
	struct reap_backlog reap;     /* what nothing needs there any more */
};

/* Fills *out. 0 or an error of meta_query(). Counts rows: takes time in proportion to the library's size. */
int report_library(struct library *lib, struct report *out);

struct report_version {
	int64_t version, at_ns, mtime_ns;
	uid_t actor;
	uint64_t size;
	const uint8_t *root; /* 32 bytes, NULL for empty content; valid during the call */
};
/* Calls `fn` for each version of the asset's content, oldest first, until it returns nonzero. Number of versions, or an error. */
int report_versions(struct library *lib, const uint8_t asset_id[16],
		    int (*fn)(void *arg, const struct report_version *v), void *arg);

struct report_event {
	int64_t seq, at_ns, version;
	uid_t actor;
	const char *action;
	int64_t parent, old_parent; /* 0: none */
	const char *name, *old_name;
	size_t len, old_len;
	const char *before, *after; /* JSON; NULL: none */
};
/* Calls `fn` for each journal row of the node, oldest first, until it returns nonzero. 0 or an error. */
int report_events(struct library *lib, int64_t ino,
		  int (*fn)(void *arg, const struct report_event *e), void *arg);

#endif
