/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The upload queue: sends chunks, and manifests once all of their chunks are there, from this machine to the bucket. The queue is the table `upload`.
 * Sealing fills it in the operation that makes the chunks, so nothing is forgotten; a row is taken with a lease and goes in the operation that
 * sets `remote`, so nothing is lost, and several processes may drain one queue. What is sent twice is the same bytes under the same name.
 *
 * Only bytes that hash to the chunk's name are sent. A chunk without good bytes here is `stuck`: shown, and tried again now and then.
 * What keeps the bucket from answering holds the whole queue and is tried again for ever, with one request at a time.
 */
#ifndef GARNER_CONTENT_UPLOAD_H
#define GARNER_CONTENT_UPLOAD_H

#include "backend/s3/client.h"
#include "content/content.h"

struct upload;

/* Zero means the default. */
struct upload_params {
	unsigned window;       /* requests at a time at most; 16 */
	uint64_t memory_bytes; /* of bodies at a time, or one body; 48 MiB */
	bool small_first;      /* else the oldest first */
	int64_t pause_ns;    /* after the first failure; doubles, up to 10 or 30 times that; 1 s */
	int64_t deadline_ns; /* of one request; 10 min */
};

/* What one engine is doing; figures since it was made. */
struct upload_status {
	bool paused;               /* by upload_pause() */
	unsigned flying;           /* requests under way */
	uint64_t flying_bytes;     /* memory of their bodies */
	uint64_t sent, sent_bytes; /* chunks and manifests that were put */
	uint64_t found;            /* of which the bucket had a copy already */
	uint64_t bytes_per_s;      /* of the last moments; 0: nothing goes on */
	unsigned window;           /* requests at a time now */
	int err;                   /* what keeps the queue back; 0: nothing */
	char why[256];             /* in words: bucket, key, cause */
	int64_t err_ns;            /* when it was met last, by the wall clock */
};

/*
 * Makes an engine over *CLIENT, which is taken over and set NULL on 0: one of its own, for a read of the bucket must not stand behind uploads.
 * C is borrowed. Starts no thread. 0 or -ENOMEM.
 */
int upload_new(struct content *c, struct s3_client **client, const struct upload_params *params,
	       struct upload **out);

/* Frees it; no thread is in upload_run(). NULL allowed. */
void upload_free(struct upload *u);

/* Queues what was never queued, then sends by the calling thread until upload_stop(). What is under way then is cut off and stays queued. */
void upload_run(struct upload *u);

/* Ends upload_run() soon, now or as soon as it begins. Any thread. */
void upload_stop(struct upload *u);

/* There may be something new to send. HURRY: what waits for another try is due now. Any thread; does not block. */
void upload_kick(struct upload *u, bool hurry);

/* Any thread. */
void upload_status(struct upload *u, struct upload_status *out);

/* The queue itself, for whoever asks, with or without an engine. Any thread. */

/* What waits. */
struct upload_backlog {
	uint64_t chunks, chunk_bytes; /* chunks to be sent */
	uint64_t objects;             /* whose manifests are to be sent: contents not yet safe */
	uint64_t stuck;               /* of the chunks */
	char why[256];                /* of one of those */
};

/* Fills *OUT. 0 or an error of meta_query(). Takes time in proportion to the queue. */
int upload_backlog(struct meta *m, struct upload_backlog *out);

/* What waits for another try, or is stuck, is due now. 0 or an error of meta_apply(). */
int upload_retry(struct meta *m);

/*
 * Queues what has no row though the bucket does not have it. Takes time in proportion to the library, and asks STOPPED (may be NULL) now and then whether to leave the rest to the next
 * time: -ECANCELED. 0 or an error of meta_apply().
 */
int upload_sweep(struct meta *m, bool (*stopped)(void *arg), void *arg);

/* What there is now, for upload_left(). */
struct upload_mark {
	int64_t chunk, object;
};
int upload_mark(struct meta *m, struct upload_mark *out);

/* 0: all up to the mark is in the bucket; 1: something waits; 2: all that waits is stuck or needs what is stuck; or an error of meta_query(). */
int upload_left(struct meta *m, const struct upload_mark *mark);

/* Whether object OBJECT is in the bucket with all of its chunks and its manifest: 1, 0, or an error of meta_query(). */
int upload_object_state(struct meta *m, int64_t object);

/* Whether the queue is paused: 1, 0 or an error of meta_query(). */
int upload_paused(struct meta *m);

/* Pauses the library's queue, or ends that; whoever drains it sees it at the next kick or within seconds. 0 or as meta_apply(). */
int upload_pause(struct meta *m, bool paused);

#endif
