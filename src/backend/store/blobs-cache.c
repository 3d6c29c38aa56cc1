/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Counted handles on blob files and the cache of their descriptors.
 *
 *   listed, in use   found by id, refs > 0
 *   listed, idle     found by id, refs == 0, closed when room is needed, the longest idle first
 *   unlisted         in use, its name was removed or means another file; closed at the last put
 *
 * Files are opened outside the lock. A removal meanwhile shows in `removals`: the handle is then
 * good for the one who opened it, but not listed.
 */
#include "config.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "backend/store/blobs-internal.h"

enum { LIMIT_MAX = 1024, LIMIT_SHARE = 4 };

void blobs_cache_init(struct blobs *b)
{
	struct rlimit files;
	rlim_t limit = LIMIT_MAX;

	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur / LIMIT_SHARE < limit)
		limit = files.rlim_cur / LIMIT_SHARE;
	b->limit = (unsigned)limit;
}

static void idle_add_locked(struct blobs *b, struct blob *blob) LOCK_REQUIRES(&b->lock)
{
	blob->newer = NULL;
	blob->older = b->idle_newest;
	if (blob->older)
		blob->older->newer = blob;
	else
		b->idle_oldest = blob;
	b->idle_newest = blob;
}

static void idle_remove_locked(struct blobs *b, struct blob *blob) LOCK_REQUIRES(&b->lock)
{
	*(blob->newer ? &blob->newer->older : &b->idle_newest) = blob->older;
	*(blob->older ? &blob->older->newer : &b->idle_oldest) = blob->newer;
}

static void unlist_locked(struct blobs *b, struct blob *blob) LOCK_REQUIRES(&b->lock)
{
	if (blob->refs == 0)
		idle_remove_locked(b, blob);
	HASH_DEL(b->open, blob);
	b->open_count--;
	blob->listed = false;
}

/* Unlists the `count` blobs that are idle longest; the chain by `older` is to be closed. */
static struct blob *take_idle_locked(struct blobs *b, unsigned count) LOCK_REQUIRES(&b->lock)
{
	struct blob *chain = NULL;

	while (count-- > 0 && b->idle_oldest) {
		struct blob *blob = b->idle_oldest;

		unlist_locked(b, blob);
		blob->older = chain;
		chain = blob;
	}
	return chain;
}

static void close_chain(struct blob *chain)
{
	while (chain) {
		struct blob *next = chain->older;

		close(chain->fd);
		free(chain);
		chain = next;
	}
}

static unsigned excess_locked(const struct blobs *b) LOCK_REQUIRES(&b->lock)
{
	return b->open_count > b->limit ? b->open_count - b->limit : 0;
}

bool blobs_cache_shrink(struct blobs *b)
{
	const struct blob *blob;
	struct blob *chain;
	unsigned idle = 0;

	lock_lock(&b->lock);
	for (blob = b->idle_oldest; blob; blob = blob->newer)
		idle++;
	chain = take_idle_locked(b, (idle + 1) / 2);
	lock_unlock(&b->lock);
	close_chain(chain);
	return idle > 0;
}

void blobs_cache_release(struct blobs *b)
{
	struct blob *chain;

	lock_lock(&b->lock);
	chain = take_idle_locked(b, b->open_count);
	assert(b->open_count == 0);
	lock_unlock(&b->lock);
	close_chain(chain);
}

static struct blob *find_locked(struct blobs *b, int64_t id) LOCK_REQUIRES(&b->lock)
{
	struct blob *blob = NULL;

	HASH_FIND(hh, b->open, &id, sizeof id, blob);
	if (blob && blob->refs++ == 0)
		idle_remove_locked(b, blob);
	return blob;
}

void blobs_cache_forget(struct blobs *b, int64_t id)
{
	struct blob *blob = NULL;
	bool idle = false;

	lock_lock(&b->lock);
	b->removals++;
	HASH_FIND(hh, b->open, &id, sizeof id, blob);
	if (blob) {
		idle = blob->refs == 0;
		unlist_locked(b, blob);
		blob->older = NULL;
	}
	lock_unlock(&b->lock);
	if (idle)
		close_chain(blob);
}

/* Lists `blob`, or finds that another thread was faster: then that one's, with a reference. */
static struct blob *list_locked(struct blobs *b, struct blob *blob, uint64_t removals)
	LOCK_REQUIRES(&b->lock)
{
	struct blob *other;

	if (b->removals != removals)
		return blob;
	other = find_locked(b, blob->id);
	if (other)
		return other;
	HASH_ADD(hh, b->open, id, sizeof blob->id, blob);
	blob->listed = blob->hh.tbl != NULL;
	b->open_count += blob->listed;
	return blob;
}

static int open_blob(struct blobs *b, int64_t id, struct blob **out)
{
	struct blob *blob = calloc(1, sizeof *blob);
	int fd;

	if (!blob)
		return -ENOMEM;
	fd = blobs_open_read(b, id);
	if (fd < 0) {
		free(blob);
		return fd;
	}
	*blob = (struct blob){ .owner = b, .id = id, .fd = fd, .refs = 1 };
	*out = blob;
	return 0;
}

int blobs_get(struct blobs *b, int64_t id, struct blob **out)
{
	struct blob *blob, *winner, *chain;
	uint64_t removals;
	int err;

	lock_lock(&b->lock);
	blob = find_locked(b, id);
	removals = b->removals;
	lock_unlock(&b->lock);
	if (blob) {
		*out = blob;
		return 0;
	}
	err = open_blob(b, id, &blob);
	if (err)
		return err;
	lock_lock(&b->lock);
	winner = list_locked(b, blob, removals);
	chain = take_idle_locked(b, excess_locked(b));
	lock_unlock(&b->lock);
	close_chain(chain);
	if (winner != blob)
		close_chain(blob);
	*out = winner;
	return 0;
}

struct blob *blob_ref(struct blob *blob)
{
	lock_lock(&blob->owner->lock);
	assert(blob->refs > 0);
	blob->refs++;
	lock_unlock(&blob->owner->lock);
	return blob;
}

void blob_put(struct blob *blob)
{
	struct blobs *b;
	struct blob *chain = NULL;

	if (!blob)
		return;
	b = blob->owner;
	lock_lock(&b->lock);
	assert(blob->refs > 0);
	if (--blob->refs == 0) {
		if (blob->listed) {
			idle_add_locked(b, blob);
			chain = take_idle_locked(b, excess_locked(b));
		} else {
			blob->older = NULL;
			chain = blob;
		}
	}
	lock_unlock(&b->lock);
	close_chain(chain);
}

int blob_fd(const struct blob *blob)
{
	return blob->fd;
}

int64_t blob_id(const struct blob *blob)
{
	return blob->id;
}
