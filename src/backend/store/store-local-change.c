/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Putting and deleting chunks. A put: bytes, fdatasync, then the rows. A delete: the rows, made durable,
 * then the bytes. So there is no moment at which a row tells of bytes that are not there.
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "backend/store/store-local-internal.h"
#include "util/cleanup.h"
#include "util/err.h"
#include "util/io.h"
#include "util/log.h"
#include "util/time.h"

struct change {
	struct store_local *s;
	const uint8_t *name;
	const void *bytes;
	size_t len;
	struct meta_op *op;
};

static int apply_durably(struct change *c)
{
	int err = meta_apply(c->s->meta, c->op);

	return err ? err : meta_sync(c->s->meta);
}

/* 1 if the bytes are at the place, 0 if others or none, else negative error. */
static int place_holds(struct change *c, const struct store_local_place *place)
{
	CLEANUP_FREE void *held = NULL;
	int err = store_local_place_load(c->s, place, c->len, &held);

	if (err)
		return store_local_place_bad(err) ? 0 : err;
	return memcmp(held, c->bytes, c->len) == 0;
}

static void drop_place(struct change *c, const struct store_local_place *place)
{
	META_ADD(c->op, STORE_PLACE_DEL, META_ANY, 0, META_B(c->name, STORE_NAME_LEN),
		 META_I(place->blob), META_I(place->start));
}

/*
 * Sorts the places: the bad ones are to go with the operation, *good is the first that holds the
 * bytes or NULL. -EAGAIN when one went while it was looked at. What the bad ones take on the disk is
 * for the next collection: readers may have them open.
 */
static int sort_places(struct change *c, const struct store_local_places *places,
		       const struct store_local_place **good)
{
	*good = NULL;
	for (size_t i = 0; i < places->count; i++) {
		const struct store_local_place *place = &places->list[i];
		int listed, holds = place_holds(c, place);

		if (holds < 0)
			return holds;
		if (!holds) {
			listed = store_local_place_listed(c->s, c->name, place);
			if (listed <= 0)
				return listed < 0 ? listed : -EAGAIN;
			log_warn("blob %lld: damaged chunk at %llu, replaced",
				 (long long)place->blob, (unsigned long long)place->start);
			drop_place(c, place);
		} else if (!*good) {
			*good = place;
		}
	}
	return 0;
}

/* The chunk is there; if it goes at this very moment, -EAGAIN. */
static int keep_place(struct change *c, const struct store_local_place *place)
{
	META_ADD(c->op, STORE_PLACE_CHECK, META_ONE, -EAGAIN, META_B(c->name, STORE_NAME_LEN),
		 META_I(place->blob), META_I(place->start));
	META_ADD(c->op, STORE_CHUNK_TOUCH, META_ANY, 0, META_B(c->name, STORE_NAME_LEN),
		 META_I(time_now_ns()));
	return apply_durably(c);
}

/*
 * A descriptor of its own for each write: an error of writing back is reported once for each, and must
 * not be taken by the fdatasync() of another thread.
 */
static int write_bytes(struct change *c, const struct store_local_place *place)
{
	CLEANUP_CLOSE int fd = blobs_open_write(c->s->blobs, place->blob);
	int err;

	if (fd < 0)
		return fd;
	err = io_pwrite_full(fd, c->bytes, c->len, place->start);
	if (!err)
		err = io_sync_data(fd);
	return err ? err : blobs_sync_names(c->s->blobs);
}

static int add_rows(struct change *c, const struct store_local_place *place)
{
	int64_t id = meta_next_id(c->s->meta, META_SEQ_CHUNK);

	if (id < 0)
		return (int)id;
	META_ADD(c->op, STORE_CHUNK_ADD, META_ANY, 0, META_I(id), META_B(c->name, STORE_NAME_LEN),
		 META_I(c->len), META_I(time_now_ns()));
	META_ADD(c->op, STORE_PLACE_ADD, META_ANY, 0, META_B(c->name, STORE_NAME_LEN),
		 META_I(place->blob), META_I(place->start));
	return apply_durably(c);
}

/*
 * Another writer of the same chunk may have been faster: then no row tells of this copy. Its room is
 * not used again, though: if a row did tell of it and was deleted already, that deletion's punch may be
 * still to come.
 */
static void give_back_unlisted(struct change *c, const struct store_local_place *place)
{
	if (store_local_place_listed(c->s, c->name, place) == 0)
		blobs_punch(c->s->blobs, place->blob, place->start, c->len);
}

static int append_chunk(struct change *c)
{
	struct store_local_room room;
	struct store_local_place place = { 0 };
	enum store_local_room_end end = STORE_LOCAL_ROOM_USED;
	int err = store_local_bundle_enter(c->s, c->len, &room);

	if (err)
		return err;
	place.blob = room.bundle->blob;
	place.start = room.start;
	err = write_bytes(c, &place);
	if (err) {
		blobs_punch(c->s->blobs, place.blob, place.start, c->len);
		end = err == -EIO ? STORE_LOCAL_ROOM_SPOILT : STORE_LOCAL_ROOM_UNUSED;
	} else {
		err = add_rows(c, &place);
		if (err != ERR_UNCERTAIN)
			give_back_unlisted(c, &place);
	}
	store_local_bundle_leave(c->s, &room, end);
	return err;
}

static int put_once(struct change *c)
{
	STORE_LOCAL_PLACES struct store_local_places places = { 0 };
	const struct store_local_place *good;
	int err = store_local_places_find(c->s, c->name, &places);

	if (err && err != -ENOENT)
		return err;
	/* The bytes were hashed: the row is wrong. */
	if (!err && places.size != c->len)
		return ERR_CORRUPT;
	err = sort_places(c, &places, &good);
	if (err)
		return err;
	return good ? keep_place(c, good) : append_chunk(c);
}

int store_local_put(struct store *store, const uint8_t name[STORE_NAME_LEN], const void *bytes,
		    size_t len)
{
	struct store_local *s = (struct store_local *)store;
	struct change c = { .s = s, .name = name, .bytes = bytes, .len = len };
	int err;

	if (!s->verify(s->verify_arg, name, bytes, len))
		return -EBADMSG;
	c.op = meta_op_new();
	if (!c.op)
		return -ENOMEM;
	do {
		meta_op_reset(c.op);
		err = put_once(&c);
	} while (err == -EAGAIN);
	meta_op_free(c.op);
	return err;
}

static void punch_place(struct store_local *s, const struct store_local_place *place, uint64_t len)
{
	int err;

	if (place->path)
		return;
	err = blobs_punch(s->blobs, place->blob, place->start, len);
	if (err && err != -EOPNOTSUPP && err != -ENOENT)
		log_warn("blob %lld: space at %llu not given back: %s", (long long)place->blob,
			 (unsigned long long)place->start, err_text(err));
}

int store_local_del(struct store *store, const uint8_t name[STORE_NAME_LEN])
{
	STORE_LOCAL_PLACES struct store_local_places places = { 0 };
	struct change c = { .s = (struct store_local *)store, .name = name };
	int err = store_local_places_find(c.s, name, &places);

	if (err)
		return err;
	c.op = meta_op_new();
	if (!c.op)
		return -ENOMEM;
	for (size_t i = 0; i < places.count; i++)
		drop_place(&c, &places.list[i]);
	err = apply_durably(&c);
	meta_op_free(c.op);
	for (size_t i = 0; i < places.count && !err; i++)
		punch_place(c.s, &places.list[i], places.size);
	return err;
}
