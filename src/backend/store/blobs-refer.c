/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Blobs held elsewhere: the table of their paths. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backend/store/blobs-internal.h"

static struct blobs_reference *find_locked(struct blobs *b, int64_t id) LOCK_REQUIRES(&b->lock)
{
	struct blobs_reference *found = NULL;

	HASH_FIND(hh, b->references, &id, sizeof id, found);
	return found;
}

static void remove_locked(struct blobs *b, struct blobs_reference *reference)
	LOCK_REQUIRES(&b->lock)
{
	if (reference) {
		HASH_DEL(b->references, reference);
		free(reference);
	}
}

int blobs_refer(struct blobs *b, int64_t id, const char *path)
{
	size_t size = strlen(path) + 1;
	struct blobs_reference *reference = malloc(sizeof *reference + size);
	bool added;

	if (!reference)
		return -ENOMEM;
	reference->id = id;
	memcpy(reference->path, path, size);
	lock_lock(&b->lock);
	remove_locked(b, find_locked(b, id));
	HASH_ADD(hh, b->references, id, sizeof id, reference);
	added = reference->hh.tbl != NULL;
	lock_unlock(&b->lock);
	blobs_cache_forget(b, id);
	if (!added) {
		free(reference);
		return -ENOMEM;
	}
	return 0;
}

int blobs_refer_path(struct blobs *b, int64_t id, char **out)
{
	struct blobs_reference *found;
	char *copy = NULL;

	lock_lock(&b->lock);
	found = find_locked(b, id);
	if (found)
		copy = strdup(found->path);
	lock_unlock(&b->lock);
	if (found && !copy)
		return -ENOMEM;
	*out = copy;
	return copy != NULL;
}

void blobs_refer_release(struct blobs *b)
{
	struct blobs_reference *reference, *next;

	lock_lock(&b->lock);
	HASH_ITER (hh, b->references, reference, next)
		remove_locked(b, reference);
	lock_unlock(&b->lock);
}
