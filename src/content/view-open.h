/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which objects this process has views of: collection leaves them alone. Any thread.
 */
#ifndef GARNER_CONTENT_VIEW_OPEN_H
#define GARNER_CONTENT_VIEW_OPEN_H

#include <stdbool.h>
#include <stdint.h>

#include "util/lock.h"

struct view_open_object;

struct view_open_set {
	struct lock lock;
	struct view_open_object *table; /* by object id; under the lock */
};

/* Prepares the set, ended with view_open_release() when it is empty. */
void view_open_init(struct view_open_set *s);
void view_open_release(struct view_open_set *s);

/* One more view of `object`. 0 or -ENOMEM. */
int view_open_add(struct view_open_set *s, int64_t object);

/* One view less. */
void view_open_drop(struct view_open_set *s, int64_t object);

/* Whether there is a view of it. */
bool view_open_has(struct view_open_set *s, int64_t object);

#endif
