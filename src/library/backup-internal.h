/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the files of the backup share. Not for other files. */
#ifndef GARNER_LIBRARY_BACKUP_INTERNAL_H
#define GARNER_LIBRARY_BACKUP_INTERNAL_H

#include "backend/meta/pages.h"
#include "library/backup-bucket.h"
#include "library/backup-chain.h"
#include "library/backup-segment.h"
#include "library/backup-ship.h"
#include "library/backup-state.h"

/* A page that is sent by the step that is being made. */
struct backup_changed {
	uint32_t page;
	uint64_t sum;
};

struct backup_ship {
	struct meta_pages *pages;
	int dir_fd;
	char *path;
	uint8_t library[16], machine[16];
	struct backup_bucket bucket;
	struct backup_state state;
	struct buf why;
	bool begun;

	/* Pages that may have changed since the last step: all with `scan`, else those in `dirty`. */
	bool scan;
	uint8_t *dirty; /* a bit for each page - 1 */
	size_t dirty_len;

	/* Of the step that is being made. */
	struct meta_pages_moment moment;
	struct backup_changed *changed;
	size_t changed_count, changed_room;
	uint64_t sum;
	unsigned char *page; /* of moment.page_size bytes */

	/* A segment that replaces others, on its way: of this level, and sent up to this part. */
	struct backup_segment *merge;
	int merge_level;
	uint32_t merge_part;
	uint32_t merge_steps; /* that went beside it */
	bool clean;           /* what is replaced is still to be deleted: */
	uint64_t clean_from, clean_to;
	uint64_t
		raise_to; /* a segment with all pages is wanted, of this state or later; 0: none is */
	bool raise_clean; /* the epoch before is to be deleted too, with what such a segment replaces */

	uint64_t steps, bytes;
	int64_t saved_ns, owner_ns; /* time_mono_ns() when it was saved, and looked whose it is */
};

/* The claim to an epoch, as it stands in the bucket. */
struct backup_owner {
	uint8_t library[16], token[16], machine[16];
	char host[256];
	char *path; /* owned */
	int64_t at_ns;
};

/* The last epoch that there may be, so that what comes after it is a number still. */
#define BACKUP_EPOCH_MAX (UINT32_MAX - 1)

/*
 * The newest epoch, of those up to UP_TO, that was claimed, or of which there is a segment although its claim is lost; 0: none. By what the bucket lists, however
 * far one is from the next. 0 or as backup_bucket_list().
 */
int backup_owner_newest(struct backup_bucket *b, uint32_t up_to, uint32_t *epoch);

/* Appends to OUT whose it is: "that of PATH on HOST, since TIME". */
void backup_owner_tell(const struct backup_owner *o, struct buf *out);

/* Whether there is a claim to the epoch after EPOCH, as every take-over from its owner makes one: 1, 0, or as backup_bucket_get(). */
int backup_owner_next(struct backup_bucket *b, uint32_t epoch);

/* Reads a claim; backup_owner_release() ends it. 0, -ENOENT, ERR_CORRUPT, or as backup_bucket_get(). */
int backup_owner_read(struct backup_bucket *b, uint32_t epoch, struct backup_owner *out);
void backup_owner_release(struct backup_owner *o);

/* Claims an epoch. 0, -EEXIST, or as backup_bucket_put(). */
int backup_owner_claim(struct backup_bucket *b, uint32_t epoch, const struct backup_owner *owner);

/* Sets s->why from the bucket's last error where that is one of it; returns ERR. */
int backup_ship_failed(struct backup_ship *s, int err);

/* Marks a page for the next step. 0 or -ENOMEM. For meta_pages_begin(). */
int backup_ship_mark(void *ship, uint32_t page);

/* The level of the segment that is due to be sent with this step, 0: none, and the state that it begins at in *FROM. */
int backup_merge_due(const struct backup_ship *s, uint64_t *from);

/* Takes over a segment that was made beside a step that has been sent. */
void backup_merge_take(struct backup_ship *s, struct backup_segment **merge, int level);

/* A segment of LEVEL that ends at TO is in the bucket; STEPS went beside it. */
void backup_merge_done(struct backup_ship *s, int level, uint64_t to, uint32_t steps);

/* Sends one part. 0, -EEXIST, or an error of the bucket. */
int backup_ship_put(struct backup_ship *s, const struct backup_segment *segment, uint32_t part);

/* The key of an epoch's copy of LIBRARY/config. */
void backup_config_key(uint32_t epoch, char key[BACKUP_SEGMENT_KEY_MAX]);

enum { BACKUP_CONFIG_MAX = 1 << 20, BACKUP_LEVEL_ALL = BACKUP_LEVELS - 1 };

#endif
