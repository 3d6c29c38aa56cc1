/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The bundles that the local store appends to. Room is reserved under the lock and written outside. A
 * bundle loses its owner, and with it the protection of bytes that no row tells of yet, only when its
 * last writer is done.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "backend/store/store-local-internal.h"
#include "util/err.h"
#include "util/log.h"

/* Large enough that blobs are few, small enough that one is soon all hole and can go. */
#define BUNDLE_BYTES (UINT64_C(64) << 20)

/*
 * Ids are new to the metadata, but not to the folder if that is younger than the metadata, as after
 * going back to a backup: what lies there is left as it is.
 */
static int make_file(struct store_local *s, struct store_local_bundle *bundle)
{
	int err = blobs_create(s->blobs, bundle->blob);

	if (err != -EEXIST)
		return err;
	return blobs_stat(s->blobs, bundle->blob, &bundle->end, NULL);
}

/* The row comes first: a file without a row is litter that any process may remove. */
static int make_bundle(struct store_local *s, struct store_local_bundle **out)
{
	struct store_local_bundle *bundle = calloc(1, sizeof *bundle);
	struct meta_op *op = meta_op_new();
	int err = bundle && op ? 0 : -ENOMEM;

	if (!err) {
		bundle->blob = meta_next_id(s->meta, META_SEQ_BLOB);
		err = bundle->blob < 0 ? (int)bundle->blob : 0;
	}
	if (!err) {
		META_ADD(op, STORE_BUNDLE_ADD, META_ONE, -EEXIST, META_I(bundle->blob),
			 META_B(s->owner, STORE_OWNER_LEN));
		err = meta_apply(s->meta, op);
	}
	if (!err)
		err = make_file(s, bundle);
	meta_op_free(op);
	if (err) {
		free(bundle);
		return err;
	}
	*out = bundle;
	return 0;
}

/* Makes the current bundle, or waits for the thread that does; the lock is held again after. */
static int make_current_locked(struct store_local *s) LOCK_REQUIRES(&s->lock)
{
	struct store_local_bundle *bundle = NULL;
	int err;

	if (s->making) {
		lock_cond_wait(&s->made, &s->lock);
		return 0;
	}
	s->making = true;
	lock_unlock(&s->lock);
	err = make_bundle(s, &bundle);
	lock_lock(&s->lock);
	s->making = false;
	s->current = bundle;
	lock_cond_broadcast(&s->made);
	return err;
}

int store_local_bundle_enter(struct store_local *s, uint64_t len, struct store_local_room *out)
{
	int err = 0;

	lock_lock(&s->lock);
	while (!s->current && !err)
		err = make_current_locked(s);
	if (!err) {
		struct store_local_bundle *bundle = s->current;

		*out = (struct store_local_room){ bundle, bundle->end, len };
		bundle->users++;
		bundle->end += len;
		bundle->full = bundle->end >= BUNDLE_BYTES;
		if (bundle->full)
			s->current = NULL;
	}
	lock_unlock(&s->lock);
	return err;
}

static void close_bundle(struct store_local *s, struct store_local_bundle *bundle)
{
	struct meta_op *op = meta_op_new();
	int err = -ENOMEM;

	if (op) {
		META_ADD(op, STORE_BUNDLE_CLOSE, META_ONE, -ENOENT, META_I(bundle->blob),
			 META_I(bundle->end));
		err = meta_apply(s->meta, op);
	}
	/* The owner in its row then ends with this process. */
	if (err)
		log_warn("closing bundle %lld: %s", (long long)bundle->blob, err_text(err));
	meta_op_free(op);
	free(bundle);
}

void store_local_bundle_leave(struct store_local *s, struct store_local_room *room,
			      enum store_local_room_end end)
{
	struct store_local_bundle *bundle = room->bundle;
	bool last;

	lock_lock(&s->lock);
	if (end == STORE_LOCAL_ROOM_UNUSED && bundle->end == room->start + room->len)
		bundle->end = room->start;
	if (end == STORE_LOCAL_ROOM_SPOILT) {
		bundle->full = true;
		if (s->current == bundle)
			s->current = NULL;
	}
	last = --bundle->users == 0 && bundle->full;
	lock_unlock(&s->lock);
	room->bundle = NULL;
	if (last)
		close_bundle(s, bundle);
}

void store_local_bundle_end(struct store_local *s)
{
	if (s->current)
		close_bundle(s, s->current);
	s->current = NULL;
}
