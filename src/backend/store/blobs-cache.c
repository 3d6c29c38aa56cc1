/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Counted handles on blob files and the cache of their descriptors.
 *
 *   listed, in use   found by id, refs > 0
 *   listed, idle     found by id, refs == 0, closed when room is needed, the longest idle first
 *   unlisted         in use, its name was removed or means another file; closed at the last put
 *   standing         unlisted, and reads the file of another blob, which has the same bytes
 *
 * Files are opened outside the lock. A removal meanwhile shows in `removals`: what was opened may be what was removed, so it is closed and
 * looked for again. So every handle that is out and reads a file that has its name still is listed or standing, and blobs_stand_in() finds it.
 */
#include "config.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>
#include <utlist.h>

#include "backend/store/blobs-internal.h"
#include "util/cleanup.h"
#include "util/io.h"

enum { LIMIT_MAX = 1024, LIMIT_SHARE = 4, DRAIN_US = 100 };

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

void blobs_cache_close_idle(struct blobs *b, int64_t id)
{
	struct blob *blob = NULL;
	bool idle;

	lock_lock(&b->lock);
	HASH_FIND(hh, b->open, &id, sizeof id, blob);
	idle = blob && blob->refs == 0;
	if (idle) {
		unlist_locked(b, blob);
		blob->older = NULL;
	}
	lock_unlock(&b->lock);
	if (idle)
		close_chain(blob);
}

/*
 * Lists `blob`, or finds that another thread was faster: then that one's, with a reference. -EAGAIN: a name
 * went meanwhile, perhaps this one's.
 */
static int list_locked(struct blobs *b, struct blob *blob, uint64_t removals, struct blob **out)
	LOCK_REQUIRES(&b->lock)
{
	if (b->removals != removals)
		return -EAGAIN;
	*out = find_locked(b, blob->id);
	if (*out)
		return 0;
	HASH_ADD(hh, b->open, id, sizeof blob->id, blob);
	if (!blob->hh.tbl)
		return -ENOMEM;
	blob->listed = true;
	b->open_count++;
	*out = blob;
	return 0;
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
	*blob = (struct blob){ .owner = b, .id = id, .reads = id, .fd = fd, .refs = 1 };
	*out = blob;
	return 0;
}

/* One try of blobs_get(). -EAGAIN: another try. */
static int get_once(struct blobs *b, int64_t id, struct blob **out)
{
	struct blob *blob, *chain;
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
	err = list_locked(b, blob, removals, out);
	chain = take_idle_locked(b, excess_locked(b));
	lock_unlock(&b->lock);
	close_chain(chain);
	if (err || *out != blob)
		close_chain(blob);
	return err;
}

int blobs_get(struct blobs *b, int64_t id, struct blob **out)
{
	int err;

	do
		err = get_once(b, id, out);
	while (err == -EAGAIN);
	return err;
}

/* Waits until the reads that began before are done. */
static void drain(struct blob *blob)
{
	unsigned old = __atomic_fetch_xor(&blob->turn, 1, __ATOMIC_SEQ_CST);

	while (__atomic_load_n(&blob->reading[old], __ATOMIC_SEQ_CST))
		usleep(DRAIN_US);
}

/* Gives the handle the file behind FD, and puts it at the head of *CHAIN with a reference. */
static int redirect_locked(struct blobs *b, struct blob *blob, int fd, int64_t reads,
			   struct blob **chain) LOCK_REQUIRES(&b->lock)
{
	assert(blob->owner == b && blob->refs > 0);
	if (dup3(fd, blob->fd, O_CLOEXEC) < 0)
		return -errno;
	blob->reads = reads;
	blob->refs++;
	blob->older = *chain;
	*chain = blob;
	return 0;
}

/* Lists OWN in the place of the handle that gets find now, with its claim. */
static int replace_locked(struct blobs *b, struct blob *own, int fd, int64_t other,
			  struct blob **chain) LOCK_REQUIRES(&b->lock)
{
	struct blob *before = NULL;
	int err = 0;

	HASH_FIND(hh, b->open, &own->id, sizeof own->id, before);
	/* While both are in the table nobody looks. */
	HASH_ADD(hh, b->open, id, sizeof own->id, own);
	if (!own->hh.tbl)
		return -ENOMEM;
	if (before)
		err = before->refs ? redirect_locked(b, before, fd, other, chain) : -EAGAIN;
	if (err) {
		HASH_DEL(b->open, own);
		return err;
	}
	own->listed = true;
	b->open_count++;
	b->removals++;
	if (!before)
		return 0;
	unlist_locked(b, before);
	DL_APPEND2(b->standing, before, before_standing, after_standing);
	own->claimed = before->claimed;
	before->claimed = false;
	return 0;
}

/* Turns all that read the file of OWN's blob to FD, and lists OWN. What was turned is in *CHAIN, also on failure. */
static int stand_in_locked(struct blobs *b, struct blob *own, int fd, int64_t other,
			   struct blob **chain) LOCK_REQUIRES(&b->lock)
{
	struct blob *blob;

	DL_FOREACH2(b->standing, blob, after_standing)
	{
		int err = blob->reads == own->id ? redirect_locked(b, blob, fd, other, chain) : 0;

		if (err)
			return err;
	}
	return replace_locked(b, own, fd, other, chain);
}

int blobs_stand_in(struct blobs *b, int64_t id, int64_t other, struct blob **own)
{
	CLEANUP_CLOSE int fd = blobs_open_read(b, other);
	struct blob *fresh, *chain = NULL;
	int err;

	if (fd < 0)
		return fd;
	err = open_blob(b, id, &fresh);
	if (err)
		return err;
	do {
		blobs_cache_close_idle(b, id);
		lock_lock(&b->lock);
		err = stand_in_locked(b, fresh, fd, other, &chain);
		lock_unlock(&b->lock);
	} while (err == -EAGAIN);
	while (chain) {
		struct blob *blob = chain;

		chain = blob->older;
		drain(blob);
		blob_put(blob);
	}
	if (err)
		close_chain(fresh);
	else
		*own = fresh;
	return err;
}

bool blob_claim(struct blob *blob)
{
	lock_lock(&blob->owner->lock);
	bool claimed = blob->listed && !blob->claimed;

	blob->claimed |= claimed;
	lock_unlock(&blob->owner->lock);
	return claimed;
}

void blob_unclaim(struct blob *blob)
{
	lock_lock(&blob->owner->lock);
	blob->claimed = false;
	lock_unlock(&blob->owner->lock);
}

typedef ssize_t blob_pread_fn(int fd, void *buf, size_t len, uint64_t off);

static ssize_t blob_pread(struct blob *blob, blob_pread_fn *fn, void *buf, size_t len, uint64_t off)
{
	unsigned turn = __atomic_load_n(&blob->turn, __ATOMIC_SEQ_CST);
	ssize_t got;

	__atomic_add_fetch(&blob->reading[turn], 1, __ATOMIC_SEQ_CST);
	got = fn(blob->fd, buf, len, off);
	__atomic_sub_fetch(&blob->reading[turn], 1, __ATOMIC_SEQ_CST);
	return got;
}

ssize_t blob_read(struct blob *blob, void *buf, size_t len, uint64_t off)
{
	return blob_pread(blob, io_pread_full, buf, len, off);
}

ssize_t blob_read_now(struct blob *blob, void *buf, size_t len, uint64_t off)
{
	return blob_pread(blob, io_pread_now, buf, len, off);
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
			if (blob->reads != blob->id)
				DL_DELETE2(b->standing, blob, before_standing, after_standing);
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
