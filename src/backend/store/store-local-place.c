/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Finding and reading the places of a chunk. */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "backend/store/store-local-internal.h"
#include "util/err.h"
#include "util/io.h"
#include "util/log.h"

static int make_room(struct store_local_places *places)
{
	size_t room = places->room ? 2 * places->room : 4;
	struct store_local_place *list;

	if (places->count < places->room)
		return 0;
	list = realloc(places->list, room * sizeof *list);
	if (!list)
		return -ENOMEM;
	places->list = list;
	places->room = room;
	return 0;
}

static int add_place(void *arg, const struct meta_row *row)
{
	struct store_local_places *places = arg;
	struct store_local_place *place;
	const char *path;
	size_t len;
	int err = make_room(places);

	if (err)
		return err;
	place = &places->list[places->count];
	places->size = (uint64_t)meta_row_int(row, 0);
	*place = (struct store_local_place){ .blob = meta_row_int(row, 1),
					     .start = (uint64_t)meta_row_int(row, 2) };
	path = meta_row_bytes(row, 3, &len);
	if (path) {
		place->path = strndup(path, len);
		if (!place->path)
			return -ENOMEM;
	}
	places->count++;
	return 0;
}

void store_local_places_release(struct store_local_places *places)
{
	for (size_t i = 0; i < places->count; i++)
		free(places->list[i].path);
	free(places->list);
	*places = (struct store_local_places){ 0 };
}

int store_local_places_find(struct store_local *s, const uint8_t name[STORE_NAME_LEN],
			    struct store_local_places *out)
{
	int result = META_QUERY(s->meta, STORE_PLACES, add_place, out,
				META_B(name, STORE_NAME_LEN));

	for (size_t i = 0; i < out->count && result > 0; i++) {
		int err = 0;

		if (out->list[i].path)
			err = blobs_refer(s->blobs, out->list[i].blob, out->list[i].path);
		result = err ? err : result;
	}
	if (result > 0)
		return 0;
	store_local_places_release(out);
	return result < 0 ? result : -ENOENT;
}

bool store_local_place_bad(int err)
{
	return err == ERR_CORRUPT || err == -EIO;
}

int store_local_place_read(struct store_local *s, const struct store_local_place *place, void *buf,
			   size_t len, uint64_t off)
{
	struct blob *blob;
	ssize_t count;
	int err = blobs_get(s->blobs, place->blob, &blob);

	if (err)
		return err == -ENOENT ? ERR_CORRUPT : err;
	count = io_pread_full(blob_fd(blob), buf, len, place->start + off);
	blob_put(blob);
	if (count < 0)
		return (int)count;
	return (size_t)count == len ? 0 : ERR_CORRUPT;
}

int store_local_place_load(struct store_local *s, const struct store_local_place *place,
			   uint64_t size, void **out)
{
	uint64_t file_bytes = 0;
	void *bytes;
	int err = blobs_stat(s->blobs, place->blob, &file_bytes, NULL);

	if (err == -ENOENT)
		return ERR_CORRUPT;
	if (err)
		return err;
	/* A size out of a damaged row is not to be believed, let alone allocated. */
	if (size == 0 || size > file_bytes || place->start > file_bytes - size)
		return ERR_CORRUPT;
	bytes = malloc(size);
	if (!bytes)
		return -ENOMEM;
	err = store_local_place_read(s, place, bytes, size, 0);
	if (err) {
		free(bytes);
		return err;
	}
	*out = bytes;
	return 0;
}

static int see_row(void *arg, const struct meta_row *row)
{
	(void)arg;
	(void)row;
	return 0;
}

int store_local_place_listed(struct store_local *s, const uint8_t name[STORE_NAME_LEN],
			     const struct store_local_place *place)
{
	return META_QUERY(s->meta, STORE_PLACE_CHECK, see_row, NULL, META_B(name, STORE_NAME_LEN),
			  META_I(place->blob), META_I(place->start));
}
