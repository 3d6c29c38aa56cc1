/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where fetched chunks are kept: a cache blob for each object, every chunk at its offset in that; small chunks in bundles. They are read from there at
 * once; that they are there is recorded some time later (fetch-record.c).
 *
 * A cache belongs to this process's instance and its file is open as long as anything may be written to it: nobody else gives ranges of it back. Once let go it
 * is written again only by who takes it over (fetch_cache_continue()). One that has all of its object is a home from then on.
 */
#include "config.h"

#include "content/fetch-internal.h"
#include "util/err.h"
#include "util/io.h"
#include "util/log.h"
#include "util/time.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

enum { FETCH_CACHES_MAX = 64 }; /* open ones that nothing is written to */

#define FETCH_IDLE_NS (10 * TIME_NS_PER_S)

struct fetch_cache_row {
	struct content *c;
	struct fetch_cache *cache;
};

static int fetch_object_row(void *arg, const struct meta_row *row)
{
	struct fetch_cache *k = arg;

	k->size = (uint64_t)meta_row_int(row, 0);
	k->pieces = meta_row_int(row, 1);
	return 0;
}

static void fetch_fill_add(struct meta_op *op, void *arg)
{
	const struct fetch_cache_row *r = arg;

	META_ADD(op, FETCH_BLOB_ADD, META_ONE, -ESTALE, META_I(r->cache->blob), CONTENT_OWNER(r->c),
		 META_I(r->cache->object));
}

static int fetch_free_row(void *arg, const struct meta_row *row)
{
	struct fetch_cache *k = arg;

	k->blob = meta_row_int(row, 0);
	k->recorded = meta_row_int(row, 1);
	return 0;
}

static void fetch_fill_take(struct meta_op *op, void *arg)
{
	const struct fetch_cache_row *r = arg;

	META_ADD(op, FETCH_TAKE, META_ONE, -ESTALE, META_I(r->cache->blob), CONTENT_OWNER(r->c),
		 META_I(r->cache->object));
}

static void fetch_fill_disown(struct meta_op *op, void *arg)
{
	const struct fetch_cache_row *r = arg;

	META_ADD(op, BLOB_DISOWN, META_ANY, 0, META_I(r->cache->blob), CONTENT_OWNER(r->c));
}

static int fetch_cache_open(struct content *c, struct fetch_cache *k)
{
	struct blob *blob = NULL;
	int err;

	k->fd = blobs_open_write(c->blobs, k->blob);
	if (k->fd < 0)
		return k->fd;
	if (ftruncate(k->fd, (off_t)k->size))
		return -errno;
	err = blobs_get(c->blobs, k->blob, &blob);
	k->file = err ? NULL : fetch_file_new(blob);
	if (!err && !k->file) {
		blob_put(blob);
		err = -ENOMEM;
	}
	return err;
}

/*
 * One that was let go of, by whom ever, is gone on with: 1. 0: there is none. The file is open from before anything is written to it, and whoever gives
 * ranges of it back holds it meanwhile (blobs_hold()), reads the rows that are there then, and does nothing where someone has it.
 */
static int fetch_cache_continue(struct content *c, struct fetch_cache *k)
{
	struct fetch_cache_row row = { c, k };
	int got = META_QUERY(c->meta, FETCH_FREE, fetch_free_row, k, META_I(k->object));

	if (got <= 0)
		return got;
	int err = content_change(c, fetch_fill_take, &row);

	if (!err) {
		err = fetch_cache_open(c, k);
		if (!err)
			return 1;
		(void)content_change(c, fetch_fill_disown, &row);
	}
	k->recorded = 0;
	return err == -ESTALE || err == -ENOENT ? 0 : err;
}

/* The row, then the file. Of what fails half-way collection finds the rest. */
static int fetch_cache_make(struct content *c, struct fetch_cache *k)
{
	struct fetch_cache_row row = { c, k };
	int got = META_QUERY(c->meta, FETCH_OBJECT, fetch_object_row, k, META_I(k->object));

	if (got <= 0)
		return got ? got : -ESTALE;
	got = fetch_cache_continue(c, k);
	if (got)
		return got < 0 ? got : 0;
	k->blob = meta_next_id(c->meta, META_SEQ_BLOB);
	if (k->blob < 0)
		return (int)k->blob;
	int err = content_change(c, fetch_fill_add, &row);

	if (!err)
		err = content_empty_file(c, k->blob);
	return err ? err : fetch_cache_open(c, k);
}

static void fetch_cache_free(struct fetch_cache *k)
{
	if (k->fd >= 0)
		close(k->fd);
	fetch_file_put(k->file);
	free(k);
}

static struct fetch_cache *fetch_cache_new_locked(struct fetch *f, int64_t object)
	LOCK_REQUIRES(&f->lock)
{
	struct fetch_cache *k = calloc(1, sizeof(*k));

	if (!k)
		return NULL;
	k->fd = -1;
	k->object = object;
	k->making = true;
	HASH_ADD(hh, f->caches, object, sizeof(k->object), k);
	if (!k->hh.tbl) {
		free(k);
		return NULL;
	}
	fetch_unlock(f);
	int err = fetch_cache_make(f->content, k);

	lock_lock(&f->lock);
	k->making = false;
	lock_cond_broadcast(&f->change);
	if (!err)
		return k;
	HASH_DEL(f->caches, k);
	fetch_unlock(f);
	log_warn("what is fetched cannot be kept: %s", err_text(err));
	fetch_cache_free(k);
	lock_lock(&f->lock);
	return NULL;
}

/* The object's cache, with one more writer; NULL: there can be none. The lock is given up meanwhile. */
static struct fetch_cache *fetch_cache_get_locked(struct fetch *f, int64_t object)
	LOCK_REQUIRES(&f->lock)
{
	struct fetch_cache *k = NULL;

	for (;;) {
		HASH_FIND(hh, f->caches, &object, sizeof(object), k);
		if (!k || !k->making)
			break;
		lock_cond_wait(&f->change, &f->lock);
	}
	if (!k)
		k = fetch_cache_new_locked(f, object);
	if (k)
		k->writers++;
	return k;
}

/* The bytes are in `file`, whose reference the entry takes. */
static void fetch_placed_locked(struct fetch *f, struct fetch_entry *e, struct fetch_file *file,
				uint64_t off, struct fetch_list *list) LOCK_REQUIRES(&f->lock)
{
	e->phase = FETCH_PLACED;
	e->file = file;
	e->off = off;
	if (!e->readers)
		fetch_entry_drop_bytes_locked(f, e);
	fetch_list_add(list, e);
	f->unrecorded++;
	fetch_record_soon_locked(f);
}

static bool fetch_keep_cached_locked(struct fetch *f, struct fetch_entry *e) LOCK_REQUIRES(&f->lock)
{
	struct fetch_cache *k = fetch_cache_get_locked(f, e->object);

	if (!k)
		return false;
	k->used_ns = time_mono_ns();
	fetch_unlock(f);
	int err = e->at > k->size || e->size > k->size - e->at
			  ? ERR_CORRUPT
			  : io_pwrite_full(k->fd, e->bytes, e->size, e->at);

	lock_lock(&f->lock);
	bool kept = !err && !fetch_file_bad(k->file);

	k->writers--;
	if (kept)
		fetch_placed_locked(f, e, fetch_file_get(k->file), e->at, &k->unrecorded);
	else if (err != f->kept_err)
		log_warn("blob %" PRId64 ": what is fetched is not kept: %s", k->blob,
			 err_text(err));
	f->kept_err = err;
	lock_cond_broadcast(&f->change);
	return kept;
}

static bool fetch_keep_bundled_locked(struct fetch *f, struct fetch_entry *e)
	LOCK_REQUIRES(&f->lock)
{
	struct content *c = f->content;
	struct fetch_file *file = NULL;
	struct bundle *b = NULL;
	struct blob *blob = NULL;
	uint64_t start = 0;

	fetch_unlock(f);
	int err = bundle_append(c, e->bytes, e->size, &b, &start);

	if (!err)
		err = blobs_get(c->blobs, bundle_blob(b), &blob);
	if (!err)
		file = fetch_file_new(blob);
	if (!file) {
		blob_put(blob);
		bundle_put(c, b);
	}
	lock_lock(&f->lock);
	if (!file)
		return false;
	e->bundle = b;
	fetch_placed_locked(f, e, file, start, &f->bundled);
	return true;
}

/* Space has a lock of its own. */
static bool fetch_take_space_locked(struct fetch *f, uint64_t size) LOCK_REQUIRES(&f->lock)
{
	fetch_unlock(f);
	bool taken = space_take(f->content, size);

	lock_lock(&f->lock);
	return taken;
}

static void fetch_give_space_locked(struct fetch *f, uint64_t size) LOCK_REQUIRES(&f->lock)
{
	fetch_unlock(f);
	space_give(f->content, size);
	lock_lock(&f->lock);
}

void fetch_keep_locked(struct fetch *f, struct fetch_entry *e)
{
	bool small = e->size <= f->content->params.bundle_limit, kept = false;

	f->keeping++;
	if (f->params.keep && fetch_take_space_locked(f, e->size)) {
		kept = small ? fetch_keep_bundled_locked(f, e) : fetch_keep_cached_locked(f, e);
		if (!kept)
			fetch_give_space_locked(f, e->size);
	}
	f->keeping--;
	if (!kept)
		fetch_entry_put_locked(f, e);
	fetch_pump_locked(f);
	lock_cond_broadcast(&f->change);
}

/* It is not in the table any more, and nothing is written to it. */
static void fetch_cache_close(struct fetch *f, struct fetch_cache *k)
{
	struct fetch_cache_row row = { f->content, k };

	if (k->fd >= 0)
		close(k->fd);
	k->fd = -1;
	(void)content_change(f->content, fetch_fill_disown, &row);
	fetch_cache_free(k);
}

void fetch_caches_trim_locked(struct fetch *f)
{
	int64_t before = time_mono_ns() - FETCH_IDLE_NS;
	struct fetch_cache *k, *next, *gone = NULL;

	HASH_ITER (hh, f->caches, k, next) {
		if (k->making || k->writers || k->unrecorded.first)
			continue;
		if (k->recorded < k->pieces && !fetch_file_bad(k->file) && k->used_ns > before &&
		    HASH_COUNT(f->caches) <= FETCH_CACHES_MAX)
			continue;
		HASH_DEL(f->caches, k);
		k->next_gone = gone;
		gone = k;
	}
	if (f->caches && !f->record_ns)
		f->record_ns = time_mono_ns() + FETCH_IDLE_NS;
	fetch_unlock(f);
	while (gone) {
		k = gone;
		gone = k->next_gone;
		fetch_cache_close(f, k);
	}
	lock_lock(&f->lock);
}

void fetch_caches_release(struct fetch *f)
{
	struct fetch_cache *k, *next;
	struct fetch_entry *e;

	/* What could not be recorded is lost. No other thread is left. */
	fetch_record_put_bundles(f, &f->bundled);
	lock_lock(&f->lock);
	fetch_record_end_locked(f, &f->bundled);
	while ((e = f->held.first) != NULL) {
		fetch_list_drop(e);
		fetch_entry_put_locked(f, e);
	}
	HASH_ITER (hh, f->caches, k, next) {
		fetch_record_end_locked(f, &k->unrecorded);
		HASH_DEL(f->caches, k);
		fetch_unlock(f);
		fetch_cache_close(f, k);
		lock_lock(&f->lock);
	}
	fetch_unlock(f);
}
