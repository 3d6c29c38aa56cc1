/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the files of views share: a view as it is made, and what is found of it later. Not for other folders. */
#ifndef GARNER_CONTENT_VIEW_INTERNAL_H
#define GARNER_CONTENT_VIEW_INTERNAL_H

#include "content/content-internal.h"
#include "content/fetch.h"
#include "content/view.h"

/* Where a chunk is that was missing when the view was made. */
struct view_found {
	struct fetch_file *file;
	uint64_t off; /* of the run's first byte */
};

/* One reader that goes on where it stopped has what follows fetched before it asks. */
struct view_ahead {
	struct lock lock; /* guards what follows */
	uint64_t begun;   /* it reads without a gap since … */
	uint64_t next;    /* … and is about to read here */
	size_t run;       /* the run that it was in last */
	size_t asked;     /* runs before this one were asked for */
	unsigned window;  /* missing runs that are asked for ahead of it */
};

/* The view that is given out is the first member. */
struct view_held {
	struct view view;
	struct content *content; /* NULL: not of an object */
	int64_t object;
	/* Of a view with missing runs, else NULL: for each run what was found, each pointer set once, atomically. */
	struct view_found **found;
	struct view_ahead ahead; /* of such a view */
};

struct view_plan_run {
	struct view_run run;
	int64_t blob; /* of VIEW_BLOB */
};

/* An object's runs. All zero: none yet. */
struct view_plan {
	uint64_t size;
	int64_t object;
	struct view_plan_run *runs;
	size_t count, cap;
	int64_t *lost; /* blobs whose file is missing: what has no other place is missing */
	size_t lost_count;
};

/* Reads the runs of p->object. 0; -ENOENT, ERR_CORRUPT, -ENOMEM or as meta_query(). */
int view_plan_read(struct content *c, struct view_plan *p);
/* The blob has no file: -ESTALE, for the plan is to be made again without it; or -ENOMEM. */
int view_plan_lose(struct view_plan *p, int64_t blob);
/* Whether that was said of it. */
bool view_plan_lost(const struct view_plan *p, int64_t blob);
void view_plan_release(struct view_plan *p);

/* What of the plan's missing runs is an edge is here. 0, -ENOMEM or as meta_query(). */
int view_edges_read(struct content *c, struct view_plan *p);

/* Makes ready for runs that are missing. 0 or -ENOMEM; ended by view_away_release(). */
int view_away_init(struct view_held *held);
void view_away_release(struct view_held *held);

/* Reads `len` bytes from `skip` within missing run `i`, if they are here by now: 0; -EREMOTE; or an error of reading (logged). */
int view_away_read(struct view_held *held, size_t i, void *buf, size_t len, uint64_t skip);
/* The same from memory alone, else -EAGAIN. */
ssize_t view_away_read_now(struct view_held *held, size_t i, void *buf, size_t len, uint64_t skip);

/* A reader has read, or wants, [off, off + len): asks for what it is likely to want next. */
void view_away_ahead(struct view_held *held, uint64_t off, size_t len);

#endif
