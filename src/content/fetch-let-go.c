/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is kept open for more chunks to come stands in eviction's way: letting go of it. */
#include "config.h"

#include "content/fetch-internal.h"

#include <stdlib.h>

/* The objects of all caches, into a new array of *COUNT; NULL: there are none, or no memory. */
static int64_t *fetch_cached_objects(struct fetch *f, size_t *count)
{
	struct fetch_cache *k, *next;
	int64_t *objects;

	*count = 0;
	lock_lock(&f->lock);
	objects = f->caches ? calloc(HASH_COUNT(f->caches), sizeof(*objects)) : NULL;
	HASH_ITER (hh, f->caches, k, next) {
		if (objects)
			objects[(*count)++] = k->object;
	}
	fetch_unlock(f);
	return objects;
}

/* The cache of an object counts as unused for long. */
static void fetch_cache_forget_locked(struct fetch *f, int64_t object) LOCK_REQUIRES(&f->lock)
{
	struct fetch_cache *k;

	HASH_FIND(hh, f->caches, &object, sizeof(object), k);
	if (k)
		k->used_ns = 0;
}

void fetch_let_go(struct content *c)
{
	struct fetch *f = c->fetch;
	size_t count = 0, idle = 0;
	int64_t *objects = f ? fetch_cached_objects(f, &count) : NULL;

	if (!objects)
		return;
	for (size_t i = 0; i < count; i++) {
		if (!view_open_has(&c->views, objects[i]))
			objects[idle++] = objects[i];
	}
	lock_lock(&f->lock);
	while (f->recording)
		lock_cond_wait(&f->change, &f->lock);
	for (size_t i = 0; i < idle; i++)
		fetch_cache_forget_locked(f, objects[i]);
	if (idle)
		(void)fetch_record_locked(f);
	fetch_unlock(f);
	free(objects);
}
