/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the upload-*.c share. Not for other files.
 *
 * An item is a row that this engine took. Phases: ready -> flying (its request is the client's) -> back (the answer is there) -> flying again, or
 * over (its end is known) -> recorded and freed. The engine's thread does everything but answer(), which is the client's.
 */
#ifndef GARNER_CONTENT_UPLOAD_INTERNAL_H
#define GARNER_CONTENT_UPLOAD_INTERNAL_H

#include "backend/store/store-s3.h"
#include "content/content-internal.h"
#include "content/upload.h"
#include "util/lock.h"

/* Kinds of rows; the numbers of the schema. */
enum upload_kind { UPLOAD_CHUNK = 1, UPLOAD_MANIFEST = 2 };

/* What an item's request asks. */
enum upload_ask {
	UPLOAD_PUT_NEW, /* put unless there is one */
	UPLOAD_LOOK,    /* there is one: of what size */
	UPLOAD_PUT,     /* put */
};

/* How it ended, and what becomes of its row. */
enum upload_end {
	UPLOAD_SENT,
	UPLOAD_FOUND,
	UPLOAD_GONE,   /* nothing needs it any more */
	UPLOAD_STUCK,  /* no good bytes here */
	UPLOAD_AGAIN,  /* its own failure: later, in a while that grows */
	UPLOAD_UNDONE, /* not its own failure: at the next opportunity */
};

struct upload_item {
	struct upload_item *prev, *next; /* of the engine's lists */
	struct upload_item *below;       /* of `back` */
	struct upload *owner;
	enum upload_kind kind;
	int64_t target;
	unsigned tries;
	bool there; /* something needs it */
	struct hash hash;
	uint64_t size; /* of the chunk, or of the content that the manifest describes */
	uint64_t room; /* what the body will take, about */
	void *bytes;   /* the body */
	size_t len;
	enum upload_ask ask;
	int64_t started_ns;
	uint64_t ticket;
	/* The answer, set by the client's thread before the item is back. */
	int err;
	uint64_t there_bytes;
	struct buf why;
	enum upload_end end;
};

/* The last moments' bytes, in two windows. */
struct upload_rate {
	int64_t last_ns, this_ns; /* when the windows began; 0: nothing yet */
	uint64_t last, this;
};

/* What the bucket listed of its chunks: upload-list.c. */
struct upload_list {
	bool back; /* a page came; guarded by the engine's lock */
	/* Set by the client's thread before that: the answer, and the page or why there is none. */
	int err;
	struct buf text;

	/* The engine's thread's. */
	uint64_t *names; /* the beginnings of those that were listed, rising */
	size_t count, cap;
	struct hash
		last; /* of them; nothing between the first that there can be and this one was left out */
	unsigned pages;
	bool asked; /* a page is under way */
	uint64_t ticket;
	bool whole;     /* that was the last */
	bool over;      /* no more pages are asked for */
	bool told;      /* that it cannot be listed */
	int64_t end_ns; /* until then it is believed; time_mono_ns() */
	double share;   /* of all chunks there can be, what a page told of; 0: not known */
};

/* What a listing says of a chunk. */
enum upload_listed {
	UPLOAD_LISTED_UNKNOWN,
	UPLOAD_LISTED_NO,    /* it was not there */
	UPLOAD_LISTED_MAYBE, /* it was there, or one that is named much like it */
};

struct upload {
	struct content *content;
	struct s3_client *client;
	struct upload_params params;

	struct lock lock; /* guards what follows up to `rate` */
	struct lock_cond wake;
	bool stop, kicked, hurry;
	struct upload_item *back; /* a stack; what is back is still in `aloft` */
	struct upload_status status;
	struct upload_rate rate;

	struct upload_list list;

	/* The engine's thread's. */
	struct upload_item *ready, *over, *aloft; /* lists */
	unsigned over_count;
	unsigned aloft_count;
	int64_t over_ns;       /* since when there is something to record */
	int64_t due_ns;        /* by when all rows that failed here are due again */
	int64_t dry_ns;        /* until then the table has nothing to take, unless there is news */
	int logged;            /* the error of the metadata that was logged last */
	bool ending;           /* nothing is begun any more */
	unsigned window, well; /* well: good answers since the window changed */
	uint64_t sent_count;   /* requests begun */
	bool answered;         /* what a condition costs is known, or none is needed */
	unsigned
		misses; /* looks in a row that found nothing, of a server that keeps no conditions */
	int64_t slowed_ns;
	int64_t landed_ns; /* when an answer came last */
	unsigned failures; /* in a row */
	int64_t held_ns,
		hold_ns; /* when that was last found reason to wait, and until when; time_mono_ns() */
	bool troubled;   /* told in the log, and not over */
	int64_t walked;                /* manifests up to this one were looked at in this walk */
	uint64_t walk_sent, walk_done; /* what was sent when this walk, the last whole one began */
	uint64_t recorded;             /* chunks whose `remote` was set by now */
	int64_t walk_ns, sweep_ns;     /* when that walk ended, when the next sweep is due */
};

/* upload-rows.c: the table. */

/* Takes rows into `ready`, which is empty. Their number, or a negative error. */
int upload_take(struct upload *u);
/* Records how the items of `over` ended and frees them. On an error they stay. 0 or as meta_apply(). */
int upload_record(struct upload *u);
void upload_item_free(struct upload_item *item);

/* upload-send.c: requests. */

/* Reads the item's body, checks it and begins the request. When that cannot be, the item is over. */
void upload_send(struct upload *u, struct upload_item *item);
/* Takes what is back, and judges it. */
void upload_receive(struct upload *u);
/* Frees the body, whose length stays. */
void upload_drop_body(struct upload_item *item);
/* Puts an item, which is in no list, among those that are over. */
void upload_over(struct upload *u, struct upload_item *item, enum upload_end end);

/* upload-list.c: what is there already, for many at a time. */

/* There may be many to send: has a page listed where that answers for enough of them. */
void upload_list_begin(struct upload *u);
/* Whether to wait for the first page. */
bool upload_list_awaited(const struct upload *u);
/* Takes in the page that came, and has the next one listed. */
void upload_list_receive(struct upload *u);
/* What is known of a chunk. */
enum upload_listed upload_list_find(const struct upload *u, const struct hash *chunk);
/* Cuts off what is under way; upload_list_receive() takes that in. */
void upload_list_cancel(struct upload *u);
/* Forgets all; nothing is under way. */
void upload_list_release(struct upload *u);

/* upload-pace.c: how many at a time, and when. */

/* How many requests may be under way now. */
unsigned upload_window(const struct upload *u);
/* An answer came. */
void upload_pace(struct upload *u, const struct upload_item *item);
/* What the failure of a request says: whether it is the item's own. Holds the queue where it should be. */
bool upload_failure(struct upload *u, const struct upload_item *item);
/* Someone wants all tried now: ends pauses, and cuts off what may hang. */
void upload_hurried(struct upload *u);
/* A request went well. */
void upload_success(struct upload *u);
/* Counts bytes that were sent; the lock is held. */
void upload_rate_add_locked(struct upload *u, uint64_t bytes, int64_t now_ns);
/* How long the row of an item that failed, or is stuck, waits for its next try. */
int64_t upload_delay_ns(const struct upload *u, const struct upload_item *item);

/* Longest times that rows carry; beyond them a clock was wrong. */
#define UPLOAD_HORIZON_NS (2 * 3600 * TIME_NS_PER_S)
#define UPLOAD_LEASE_NS (1800 * TIME_NS_PER_S)

#endif
