/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The objects that are being viewed, counted in a hash table. */
#include "config.h"

#include "content/view-open.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define HASH_NONFATAL_OOM 1
#define uthash_nonfatal_oom(element) ((void)(element))
#include <uthash.h>

struct view_open_object {
	int64_t id;
	unsigned views;
	UT_hash_handle hh;
};

void view_open_init(struct view_open_set *s)
{
	lock_init(&s->lock, LOCK_RANK_CONTENT);
	s->table = NULL;
}

void view_open_release(struct view_open_set *s)
{
	assert(!s->table);
	lock_release(&s->lock);
}

/* Adds an object that is not in the table. NULL when memory is out. */
static struct view_open_object *view_open_new_locked(struct view_open_set *s, int64_t object)
	LOCK_REQUIRES(&s->lock)
{
	struct view_open_object *o = calloc(1, sizeof(*o));

	if (!o)
		return NULL;
	o->id = object;
	HASH_ADD(hh, s->table, id, sizeof(o->id), o);
	if (!o->hh.tbl) {
		free(o);
		return NULL;
	}
	return o;
}

int view_open_add(struct view_open_set *s, int64_t object)
{
	struct view_open_object *o;

	lock_lock(&s->lock);
	HASH_FIND(hh, s->table, &object, sizeof(object), o);
	if (!o)
		o = view_open_new_locked(s, object);
	if (o)
		o->views++;
	lock_unlock(&s->lock);
	return o ? 0 : -ENOMEM;
}

void view_open_drop(struct view_open_set *s, int64_t object)
{
	struct view_open_object *o;

	lock_lock(&s->lock);
	HASH_FIND(hh, s->table, &object, sizeof(object), o);
	assert(o);
	if (--o->views == 0) {
		HASH_DEL(s->table, o);
		free(o);
	}
	lock_unlock(&s->lock);
}

bool view_open_has(struct view_open_set *s, int64_t object)
{
	struct view_open_object *o;

	lock_lock(&s->lock);
	HASH_FIND(hh, s->table, &object, sizeof(object), o);
	lock_unlock(&s->lock);
	return o != NULL;
}
