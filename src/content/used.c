/* SPDX-License-Identifier: GPL-3.0-or-later */
/* When objects were read last. */
#include "config.h"

#include "content/content-internal.h"
#include "util/time.h"

#include <errno.h>
#include <stdlib.h>

#define HASH_NONFATAL_OOM 1
#define uthash_nonfatal_oom(element) ((void)(element))
#include <uthash.h>

enum { USED_MAX = 16384, USED_BATCH = 256 };

/* As exact as eviction needs it: less is written, and reading the same again writes nothing. */
#define USED_GRAIN_NS (600 * TIME_NS_PER_S)

struct used_object {
	UT_hash_handle hh;
	int64_t id, at_ns;
};

void used_init(struct used_set *s)
{
	lock_init(&s->lock, LOCK_RANK_CONTENT);
	s->table = NULL;
}

static void used_free(struct used_object *table)
{
	struct used_object *o, *next;

	HASH_ITER (hh, table, o, next) {
		HASH_DEL(table, o);
		free(o);
	}
}

void used_release(struct used_set *s)
{
	used_free(s->table);
	lock_release(&s->lock);
}

/* Without memory, or with very many, it is not noted. */
static void used_add_locked(struct used_set *s, int64_t object, int64_t now) LOCK_REQUIRES(&s->lock)
{
	struct used_object *o = HASH_COUNT(s->table) < USED_MAX ? calloc(1, sizeof(*o)) : NULL;

	if (!o)
		return;
	o->id = object;
	o->at_ns = now;
	HASH_ADD(hh, s->table, id, sizeof(o->id), o);
	if (!o->hh.tbl)
		free(o);
}

void used_note(struct content *c, int64_t object)
{
	struct used_set *s = &c->used;
	int64_t now = time_now_ns();
	struct used_object *o;

	if (!c->fetch || !c->pool)
		return;
	lock_lock(&s->lock);
	HASH_FIND(hh, s->table, &object, sizeof(object), o);
	if (o)
		o->at_ns = now;
	else
		used_add_locked(s, object, now);
	lock_unlock(&s->lock);
}

int used_record(struct content *c)
{
	struct used_set *s = &c->used;
	struct meta_op *op = meta_op_new();
	struct used_object *table, *o, *next;
	int err = op ? 0 : -ENOMEM;

	lock_lock(&s->lock);
	table = s->table;
	s->table = NULL;
	lock_unlock(&s->lock);
	HASH_ITER (hh, table, o, next) {
		if (err)
			break;
		META_ADD(op, FETCH_READ, META_ANY, 0, META_I(o->id), META_I(o->at_ns),
			 META_I(o->at_ns - USED_GRAIN_NS));
		if (meta_op_count(op) == USED_BATCH || !next) {
			err = meta_apply(c->meta, op);
			meta_op_reset(op);
		}
	}
	used_free(table);
	meta_op_free(op);
	return err;
}
