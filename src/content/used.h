/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * When objects were read last, for the order in which they are evicted: noted in memory by views, recorded now and then for many together. What is lost is no
 * harm. Of a library without a bucket nothing is noted. Any thread.
 */
#ifndef GARNER_CONTENT_USED_H
#define GARNER_CONTENT_USED_H

#include <stdint.h>

#include "util/lock.h"

struct content;
struct used_object;

/* Part of struct content. */
struct used_set {
	struct lock lock;          /* guards what follows */
	struct used_object *table; /* by object id */
};
void used_init(struct used_set *s);
void used_release(struct used_set *s);

/* The object is being read. */
void used_note(struct content *c, int64_t object);

/* Records what was noted: in `object.used_ns`, where that is older by more than some minutes. 0, -ENOMEM or an error of meta_apply(). */
int used_record(struct content *c);

#endif
