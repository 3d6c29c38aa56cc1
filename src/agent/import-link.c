/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Hard links: the first name of a file brings it, the others wait for that and become links of its node. */
#include "config.h"

#include "agent/import-internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int import_link_wait(struct import_link *l, const struct import_item *item)
{
	if (l->count == l->cap) {
		size_t cap = l->cap ? l->cap * 2 : 4;
		struct import_item *grown = reallocarray(l->waiting, cap, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		l->waiting = grown;
		l->cap = cap;
	}
	l->waiting[l->count++] = *item;
	l->waiting[l->count - 1].link = l;
	return 1;
}

/* All names were seen and none is on its way: it is of no use any more. */
static void import_link_settle_locked(struct import *run, struct import_link *l)
	LOCK_REQUIRES(&run->lock)
{
	if (l->names || l->pending || l->count)
		return;
	HASH_DEL(run->links, l);
	free(l->waiting);
	free(l);
}

static int import_link_found_locked(struct import *run, struct import_item *item)
	LOCK_REQUIRES(&run->lock)
{
	struct import_link *l, probe;

	memset(&probe, 0, sizeof(probe));
	probe.key.dev = item->st.st_dev;
	probe.key.ino = item->st.st_ino;
	HASH_FIND(hh, run->links, &probe.key, sizeof(probe.key), l);
	if (!l) {
		l = calloc(1, sizeof(*l));
		if (!l)
			return -ENOMEM;
		l->key = probe.key;
		l->names = item->st.st_nlink;
		HASH_ADD(hh, run->links, key, sizeof(l->key), l);
		if (!l->hh.tbl) {
			free(l);
			return -ENOMEM;
		}
	}
	l->names -= l->names > 0;
	if (l->pending)
		return import_link_wait(l, item);
	if (l->node) {
		item->link_to = l->node;
		import_link_settle_locked(run, l);
		return 0;
	}
	item->link = l;
	l->pending = true;
	return 0;
}

int import_link_found(struct import *run, struct import_item *item)
{
	lock_lock(&run->lock);
	int rc = import_link_found_locked(run, item);

	lock_unlock(&run->lock);
	return rc;
}

struct import_item *import_link_done(struct import *run, struct import_link *l, int64_t node,
				     size_t *count)
{
	struct import_item *items = NULL;

	*count = 0;
	lock_lock(&run->lock);
	l->node = node;
	if (node || l->count < 2) {
		items = l->waiting;
		*count = l->count;
		l->waiting = NULL;
		l->count = l->cap = 0;
	} else {
		items = malloc(sizeof(*items));
		if (items) {
			items[0] = l->waiting[--l->count];
			*count = 1;
		}
	}
	for (size_t i = 0; node && i < *count; i++) {
		items[i].link_to = node;
		items[i].link = NULL;
	}
	bool lost = l->count && !*count;

	l->pending = !node && *count;
	import_link_settle_locked(run, l);
	lock_unlock(&run->lock);
	if (lost)
		import_fail(run, -ENOMEM);
	return items;
}

void import_link_free(struct import *run)
{
	struct import_link *l, *next;

	HASH_ITER (hh, run->links, l, next) {
		HASH_DEL(run->links, l);
		for (size_t i = 0; i < l->count; i++) {
			l->waiting[i].link = NULL;
			import_item_release(run, &l->waiting[i]);
		}
		free(l->waiting);
		free(l);
	}
}
