/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Keeps credentials at hand: looks for them on a thread of its own, so that whoever signs never waits,
 * and looks again before they lapse or when a server refuses them.
 */
#ifndef BACKEND_S3_KEEPER_H
#define BACKEND_S3_KEEPER_H

#include "backend/s3/credentials.h"

struct s3_keeper;

/* As s3_credentials_find(); another one serves tests. */
typedef int s3_keeper_find_fn(const char *profile, const bool *stop, struct s3_credentials *out,
			      struct buf *why);

/*
 * Makes it, without a thread: that comes with the first s3_keeper_get(). PROFILE may be NULL and is
 * copied. CHANGED is called with ARG, by its thread and without locks, whenever a search has ended. 0 or
 * -ENOMEM.
 */
int s3_keeper_new(const char *profile, s3_keeper_find_fn *find, void (*changed)(void *arg),
		  void *arg, struct s3_keeper **out);

/* Ends a search, waits for the thread (about a second at most), frees. NULL allowed. */
void s3_keeper_free(struct s3_keeper *k);

/*
 * The credentials to sign with, as a copy for s3_credentials_release(), also while newer ones are
 * looked for. -EAGAIN: they are being looked for, `changed` will be called; the error of the last
 * search, with WHY (NULL allowed), when it found none; the next search comes with a call that is 5 s
 * later. -ENOMEM. Any thread; never blocks.
 */
int s3_keeper_get(struct s3_keeper *k, struct s3_credentials *out, struct buf *why);

/* The same, but waits for a search until DEADLINE_NS (time_mono_ns()): then -ETIMEDOUT. */
int s3_keeper_wait(struct s3_keeper *k, int64_t deadline_ns, struct s3_credentials *out,
		   struct buf *why);

/*
 * The server refused BAD: unless others are kept by now, new ones are looked for. What comes may be the
 * same again, from files that nobody changed. Any thread.
 */
void s3_keeper_refused(struct s3_keeper *k, const struct s3_credentials *bad);

#endif
