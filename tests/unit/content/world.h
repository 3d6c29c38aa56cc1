/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the tests of drafts, sealing and collection share: a library of metadata and blobs in a folder of its own, nodes that have drafts and
 * objects as the library would give them, and content kept beside as plain bytes.
 */
#ifndef GARNER_TESTS_UNIT_CONTENT_WORLD_H
#define GARNER_TESTS_UNIT_CONTENT_WORLD_H

#include "../unit.h"
#include "content/collect.h"
#include "content/draft-internal.h"
#include "content/seal.h"
#include "stream.h"
#include "util/io.h"
#include "util/uuid.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

/* Chunks of 1 to 8 KiB; what is up to 512 bytes goes into bundles of 64 KiB. */
#define WORLD_SMALL ((struct chunker_params){ CHUNKER_FASTCDC, 1024, 4096, 8192 })

struct world {
	char dir[64], db[96], store[96];
	int dir_fd; /* -1: the folder is another's */
	struct meta *meta;
	struct blobs *blobs;
	struct pool *pool;
	struct content *content;
	struct content_params params;
};

/* Opens what is in w->dir as a new instance. */
static inline void world_enter(struct world *w, int meta_flags)
{
	struct meta_op *op = meta_op_new();
	struct uuid id;

	ck_assert_int_eq(meta_open(w->db, meta_flags, &w->meta), 0);
	ck_assert_int_eq(blobs_open(w->store, meta_flags & META_OPEN_CREATE, false, &w->blobs), 0);
	ck_assert_int_eq(pool_new("hash", 2, 16, &w->pool), 0);
	ck_assert_int_eq(pool_start(w->pool), 0);
	uuid_random(&id);
	memcpy(w->params.instance, id.b, sizeof(id.b));
	META_ADD(op, INSTANCE_START, META_ONE, 0, META_B(id.b, 16), META_B("agent", 5),
		 META_I(getpid()), META_T("boot", 4), META_T("test", 4), META_I(1));
	ck_assert_int_eq(meta_apply(w->meta, op), 0);
	meta_op_free(op);
	ck_assert_int_eq(content_open(w->meta, w->blobs, w->pool, &w->params, &w->content), 0);
}

static inline void world_leave(struct world *w)
{
	struct meta_op *op = meta_op_new();

	content_close(w->content);
	META_ADD(op, INSTANCE_END, META_ONE, 0, META_B(w->params.instance, 16), META_I(2));
	ck_assert_int_eq(meta_apply(w->meta, op), 0);
	meta_op_free(op);
	pool_free(w->pool);
	blobs_close(w->blobs);
	meta_close(w->meta);
}

/* A world in a folder that is there. */
static inline void world_open_in(struct world *w, const char *dir, const struct chunker_params *p,
				 uint64_t bundle_limit)
{
	*w = (struct world){ .dir_fd = -1 };
	if (dir != w->dir)
		snprintf(w->dir, sizeof(w->dir), "%s", dir);
	snprintf(w->db, sizeof(w->db), "%s/garner.db", w->dir);
	snprintf(w->store, sizeof(w->store), "%s/blobs", w->dir);
	w->params = (struct content_params){ .chunker = *p,
					     .algo = HASH_SHA256,
					     .bundle_limit = bundle_limit,
					     .bundle_size = 65536,
					     .adopt = true };
	world_enter(w, META_OPEN_CREATE);
}

static inline void world_open(struct world *w)
{
	char dir[64];
	int fd = unit_make_dir(dir);

	world_open_in(w, dir, &WORLD_SMALL, 512);
	w->dir_fd = fd;
}

static inline void world_restart(struct world *w)
{
	world_leave(w);
	world_enter(w, 0);
}

static inline void world_close(struct world *w)
{
	world_leave(w);
	if (w->dir_fd >= 0)
		unit_remove_dir(w->dir, w->dir_fd);
}

/* One asset: what the library's rows say of it. */
struct asset {
	int64_t ino, object;
	uint64_t size;
	struct draft *draft;
};

/* An asset with draft `d`, which may be NULL. It has no entry. */
static inline void asset_make(struct world *w, struct asset *a, struct draft *d)
{
	struct meta_op *op = meta_op_new();
	struct uuid id;

	uuid_random(&id);
	*a = (struct asset){ .ino = meta_next_id(w->meta, META_SEQ_INO), .draft = d };
	META_ADD(op, NODE_INSERT, META_ONE, 0, META_I(a->ino), META_B(id.b, 16), META_I(2),
		 META_I(1), META_I(0644), META_I(0), META_I(0), META_I(0), META_I(0), META_I(0),
		 META_I(1), META_I(1), META_I(1), META_I(1), META_I(0),
		 d ? META_I(draft_blob(d)) : META_N(), META_I(1), META_N());
	ck_assert_int_eq(meta_apply(w->meta, op), 0);
	meta_op_free(op);
}

/* An asset with a fresh plain draft. */
static inline void asset_new(struct world *w, struct asset *a)
{
	struct draft *d = NULL;

	ck_assert_int_eq(draft_take(w->content, &d), 0);
	ck_assert(draft_is_plain(d));
	ck_assert_uint_eq(draft_size(d), 0);
	asset_make(w, a, d);
}

/* Gives a sealed asset a draft over its object. */
static inline void asset_edit(struct world *w, struct asset *a)
{
	struct meta_op *op = meta_op_new();

	ck_assert_ptr_null(a->draft);
	ck_assert_int_eq(draft_take(w->content, &a->draft), 0);
	if (a->object)
		ck_assert_int_eq(draft_lay_over(a->draft, a->object, a->size, op), 0);
	META_ADD(op, FILE_ATTACH, META_ONE, -ESTALE, META_I(a->ino), META_I(draft_blob(a->draft)),
		 META_I(a->size), a->object ? META_I(a->object) : META_N());
	ck_assert_int_eq(meta_apply(w->meta, op), 0);
	meta_op_free(op);
}

/* Whether the map has changed since the last draft_save(). */
static inline bool draft_unsaved(const struct draft *d)
{
	return !d->plain && (d->rewrite || d->cut != UINT64_MAX || d->dirty.size);
}

/* Records map and size. */
static inline void asset_save(struct world *w, struct asset *a)
{
	struct meta_op *op = meta_op_new();

	a->size = draft_size(a->draft);
	ck_assert_int_eq(draft_save(a->draft, op), 0);
	META_ADD(op, FILE_SAVE, META_ONE, -ESTALE, META_I(a->ino), META_I(draft_blob(a->draft)),
		 META_I(a->size), META_I(draft_alloc(a->draft)), META_I(1), META_I(1), META_I(1));
	ck_assert_int_eq(meta_apply(w->meta, op), 0);
	ck_assert(!draft_unsaved(a->draft));
	meta_op_free(op);
}

static inline void asset_reopen(struct world *w, struct asset *a)
{
	int64_t blob = draft_blob(a->draft);

	draft_free(a->draft);
	a->draft = NULL;
	ck_assert_int_eq(draft_open(w->content, blob, a->size, false, &a->draft), 0);
	ck_assert_uint_eq(draft_size(a->draft), a->size);
}

static inline int world_object_row(void *arg, const struct meta_row *row)
{
	*(int64_t *)arg = meta_row_int(row, 7);
	return 1;
}

/* Adds what makes asset `a` have item `i` of the seal. 0 or the error of seal_add(). */
static inline int asset_add_seal(struct asset *a, struct seal *s, size_t i, struct meta_op *op)
{
	const uint8_t *root = seal_root(s, i);
	int err = seal_add(s, i, op);

	if (!err)
		META_ADD(op, FILE_SEAL, META_ONE, -ESTALE, META_I(a->ino),
			 META_I(draft_blob(a->draft)), root ? META_B(root, 32) : META_N(),
			 META_I(seal_stats(s, i)->size), META_I(seal_stats(s, i)->data), META_N(),
			 META_N(), META_N());
	return err;
}

/* Reads which object the asset has now. */
static inline void asset_load(struct world *w, struct asset *a)
{
	int64_t object = 0;

	ck_assert_int_eq(META_QUERY(w->meta, FILE_LOAD, world_object_row, &object, META_I(a->ino),
				    META_B("none", 4)),
			 1);
	a->object = object;
}

/* Seals the drafts of `count` assets in one operation. 0 or the first error; the drafts are gone only on 0. */
static inline int assets_seal(struct world *w, struct asset *const *assets, size_t count,
			      struct seal_stats *stats)
{
	struct draft *drafts[256];
	struct seal *s = NULL;
	struct meta_op *op = meta_op_new();

	ck_assert_uint_le(count, 256);
	for (size_t i = 0; i < count; i++)
		drafts[i] = assets[i]->draft;
	int err = seal_prepare(w->content, drafts, count, NULL, NULL, &s);

	for (size_t i = 0; i < count && !err; i++)
		err = asset_add_seal(assets[i], s, i, op);
	if (!err)
		err = meta_apply(w->meta, op);
	for (size_t i = 0; i < count && !err; i++) {
		assets[i]->size = seal_stats(s, i)->size;
		if (stats)
			stats[i] = *seal_stats(s, i);
		seal_finish(s, i, &assets[i]->draft);
		asset_load(w, assets[i]);
	}
	meta_op_free(op);
	seal_free(s);
	return err;
}

static inline struct seal_stats asset_seal(struct world *w, struct asset *a)
{
	struct seal_stats stats = { 0 };

	ck_assert_int_eq(assets_seal(w, &a, 1, &stats), 0);
	return stats;
}

/* Removes the node; its object, if it has one, is then free. */
static inline void asset_remove(struct world *w, struct asset *a)
{
	struct meta_op *op = meta_op_new();

	if (a->draft)
		draft_add_release(a->draft, op);
	META_ADD(op, NODE_PURGE, META_ONE, -ENOENT, META_I(a->ino));
	ck_assert_int_eq(meta_apply(w->meta, op), 0);
	meta_op_free(op);
	if (a->draft)
		draft_recycle(w->content, &a->draft);
}

static inline void draft_put(struct draft *d, const void *data, size_t len, uint64_t off)
{
	ck_assert_int_eq(draft_write(d, data, len, off), (ssize_t)len);
}

/* A sealed asset of these bytes. */
static inline struct seal_stats asset_of(struct world *w, struct asset *a, const uint8_t *data,
					 size_t len)
{
	asset_new(w, a);
	if (len)
		draft_put(a->draft, data, len, 0);
	return asset_seal(w, a);
}

/* That the draft reads as `data`. */
static inline void draft_is(struct draft *d, const uint8_t *data, size_t len)
{
	uint8_t *got = malloc(len + 1);

	ck_assert_uint_eq(draft_size(d), len);
	ck_assert_int_eq(draft_read(d, got, len + 1, 0), (ssize_t)len);
	ck_assert(!len || !memcmp(got, data, len));
	/* The same, or not at once. */
	memset(got, 0x5a, len + 1);
	ssize_t n = draft_read_now(d, got, len + 1, 0);

	ck_assert(n == -EAGAIN || (n == (ssize_t)len && (!len || !memcmp(got, data, len))));
	free(got);
}

/* That the asset's object reads as `data`. */
static inline void asset_is(struct world *w, const struct asset *a, const uint8_t *data, size_t len)
{
	uint8_t *got = malloc(len + 1);
	struct view *v = NULL;

	ck_assert_uint_eq(a->size, len);
	if (len) {
		ck_assert_int_eq(view_of_object(w->content, a->object, &v), 0);
		ck_assert_int_eq(view_read(v, got, len + 1, 0), (ssize_t)len);
		ck_assert(!memcmp(got, data, len));
		memset(got, 0x5a, len + 1);
		ssize_t n = view_read_now(v, got, len + 1, 0);

		ck_assert(n == -EAGAIN || (n == (ssize_t)len && !memcmp(got, data, len)));
		n = view_read_now(v, got, 1, len - 1);
		ck_assert(n == -EAGAIN || (n == 1 && got[0] == data[len - 1]));
		ck_assert_int_eq(view_read_now(v, got, 1, len), 0);
		view_put(v);
	}
	free(got);
}

/* One pass of collection, in steps of `limit`. */
static inline struct collect_stats world_collect(struct world *w, int64_t now_ns, int64_t grace_ns,
						 unsigned limit)
{
	struct collect_stats stats = { 0 };
	int more = 1;

	for (int i = 0; i < 1000000 && more; i++) {
		more = collect_step(w->content, now_ns, grace_ns, limit, &stats);
		ck_assert_int_ge(more, 0);
	}
	ck_assert_int_eq(more, 0);
	return stats;
}

struct world_check {
	struct world *w;
	size_t chunks, bad;
};

/* One chunk at one place: what an object needs has to be there, or in the bucket, with the right bytes. */
static inline int world_check_row(void *arg, const struct meta_row *row)
{
	struct world_check *k = arg;
	size_t hash_len, size = (size_t)meta_row_int(row, 2);
	const void *want = meta_row_bytes(row, 1, &hash_len);
	uint8_t *data = malloc(size);
	struct blob *blob = NULL;
	struct hash got;

	k->chunks++;
	if (meta_row_null(row, 4)) {
		k->bad += meta_row_int(row, 3) > 0 && !meta_row_int(row, 6);
	} else if (blobs_get(k->w->blobs, meta_row_int(row, 4), &blob)) {
		k->bad++;
	} else {
		ssize_t n = io_pread_full(blob_fd(blob), data, size,
					  (uint64_t)meta_row_int(row, 5));

		ck_assert_int_eq(hash_data(HASH_SHA256, data, size, &got), 0);
		k->bad += n != (ssize_t)size || memcmp(got.b, want, 32) != 0;
		blob_put(blob);
	}
	free(data);
	return 0;
}

static inline int world_any_row(void *arg, const struct meta_row *row)
{
	(void)arg;
	(void)row;
	return 1;
}

/* That every chunk is whole wherever a place says it is, and reference counts are right. The number of chunks. */
static inline size_t world_check(struct world *w)
{
	struct world_check k = { .w = w };

	ck_assert_int_ge(
		META_QUERY(w->meta, CHECK_PLACES, world_check_row, &k, META_I(0), META_I(1000000)),
		0);
	ck_assert_uint_eq(k.bad, 0);
	ck_assert_int_eq(meta_query(w->meta, META_CHECK_REFS, 0, NULL, world_any_row, NULL), 0);
	ck_assert_int_eq(meta_query(w->meta, META_CHECK_GAPS, 0, NULL, world_any_row, NULL), 0);
	ck_assert_int_eq(meta_query(w->meta, META_CHECK_DANGLING, 0, NULL, world_any_row, NULL), 0);
	return k.chunks;
}

static inline int world_add_bytes(void *arg, int64_t id)
{
	struct world *w = ((void **)arg)[0];
	uint64_t *sum = ((void **)arg)[1];
	struct blob *blob = NULL;
	off_t at = 0;

	ck_assert_int_eq(blobs_get(w->blobs, id, &blob), 0);
	while ((at = lseek(blob_fd(blob), at, SEEK_DATA)) >= 0) {
		off_t end = lseek(blob_fd(blob), at, SEEK_HOLE);

		*sum += (uint64_t)(end - at);
		at = end;
	}
	blob_put(blob);
	return 0;
}

/* Bytes that all blob files have on disk, whatever the filesystem has set aside for them beside. */
static inline uint64_t world_bytes(struct world *w)
{
	uint64_t sum = 0;
	void *arg[] = { w, &sum };

	ck_assert_int_eq(blobs_scan(w->blobs, world_add_bytes, arg), 0);
	return sum;
}

#endif
