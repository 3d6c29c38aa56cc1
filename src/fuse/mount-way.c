/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which way the bytes of an open asset go: the kernel passes reads and writes on to the file on the disk (passthrough), or it
 * caches pages and asks the daemon for them. The kernel wants one way, and one backing file, for all handles on an inode at a time
 * (LOOKUP of another fails with EIO), so the first handle decides and the others follow.
 *
 *   the inode has         and is opened            way
 *   -------------------   ----------------------   ----------------------------------------------------------------
 *   a handle, passed      in any way               passed; a sealed content is unsealed in place before a writer gets it
 *   a handle, cached      in any way               cached
 *   no handle, a plain    in any way               passed: new files, files being written, what O_TRUNC emptied
 *     draft, or nothing
 *   no handle, sealed     for reading              passed if one blob is the content, byte for byte, else cached (bundles, edited
 *                                                  and deduplicated files)
 *   no handle, sealed     for writing              cached: an overlay takes what changes, so an edit costs what it changes
 *   no handle, overlay    in any way               cached
 *   is made               by a process that has    cached: it is likely a copy, which copy_file_range(2) then makes without
 *                         just opened sealed       copying bytes
 *                         content for reading
 *
 * Appending, O_DIRECT and mmap(2) follow the way. Hard links are one inode. Unlinked files stay as they are until the last close. Truncation, fallocate(2)
 * and copies come to the daemon in either way and act on the file that is passed. All of it is coherent: a passed file is the only place of
 * its content (src/library/file-pass.c), and the kernel drops cached pages when a passed handle is opened.
 *
 * RELEASE comes some time after close(2), so the daemon may think a handle open that the kernel has forgotten; then a new one goes the old way, which
 * is never wrong, only perhaps the slower one.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>

#define HASH_NONFATAL_OOM 1
#define uthash_nonfatal_oom(element) ((void)(element))
#include <uthash.h>

#include "fuse/mount-internal.h"
#include "util/err.h"
#include "util/log.h"
#include "util/time.h"

#define COPY_NS                                                                                    \
	(2 * TIME_NS_PER_S) /* a copy makes its target this soon after it opened its source */

enum { GIVE_MAX = 32 << 10 }; /* what is read ahead of the read */

enum way { WAY_NONE, WAY_DECIDING, WAY_CACHED, WAY_PASSED };

/* An inode that has handles. */
struct mount_open {
	UT_hash_handle hh;
	int64_t ino;
	unsigned handles;
	enum way way;
	int backing; /* the kernel's number of the backing file, of WAY_PASSED */
};

#if FUSE_VERSION >= FUSE_MAKE_VERSION(3, 17)

static int backing_open(fuse_req_t req, int fd)
{
	static atomic_bool told;
	int id = fuse_passthrough_open(req, fd);

	if (id <= 0 && !atomic_exchange(&told, true))
		log_warn("the kernel passes nothing through (is the library on a stacked "
			 "filesystem?): going on without");
	return id;
}

static void backing_close(fuse_req_t req, int id)
{
	if (req)
		fuse_passthrough_close(req, id);
}

static void fill_passed(struct fuse_file_info *fi, int backing)
{
	fi->backing_id = backing;
	fi->keep_cache = 0;
}

#else

static int backing_open(fuse_req_t req, int fd)
{
	(void)req;
	(void)fd;
	return 0;
}

static void backing_close(fuse_req_t req, int id)
{
	(void)req;
	(void)id;
}

static void fill_passed(struct fuse_file_info *fi, int backing)
{
	(void)fi;
	(void)backing;
}

#endif

static bool writes(const struct mount_handle *h)
{
	return h->flags != O_RDONLY;
}

/* Whether process `pid` has just opened sealed content for reading, and still has it open. */
static bool is_copying(struct mount *m, pid_t pid)
{
	int64_t since = time_mono_ns() - COPY_NS;
	bool found = false;

	lock_lock(&m->lock);
	/* The newest come first. */
	for (const struct mount_handle *h = m->handles; h && !found; h = h->next) {
		if (h->opened_ns < since)
			break;
		found = h->reader == pid;
	}
	lock_unlock(&m->lock);
	return found;
}

/*
 * Gives the kernel the bytes of a small asset together with the answer to open(2), which spares it the read. There is no other handle, so no page of it is locked
 * by a READ that waits for us, and nobody changes it meanwhile.
 */
static void hand_over(fuse_req_t req, struct mount_handle *h)
{
	struct mount *m = mount_of(req);
	fuse_ino_t ino = (fuse_ino_t)file_ino(h->file);
	atomic_uint_fast64_t *given = &m->given[ino % MOUNT_GIVEN];
	struct fuse_bufvec bytes = FUSE_BUFVEC_INIT(0);

	if (atomic_load(given) == ino)
		return;
	bytes.buf[0].mem = mount_read_buffer(GIVE_MAX);
	if (!bytes.buf[0].mem ||
	    !file_hold(h->file, bytes.buf[0].mem, GIVE_MAX, &bytes.buf[0].size))
		return;
	if (fuse_lowlevel_notify_store(m->se, ino, 0, &bytes, 0) == 0)
		atomic_store(given, ino);
	file_hold_end(h->file);
}

/* The table's lower part, for an inode without other handles. */
static enum way decide(fuse_req_t req, struct mount_handle *h, bool created, int *backing)
{
	int fd;

	if (writes(h))
		atomic_store(&mount_of(req)->given[(fuse_ino_t)file_ino(h->file) % MOUNT_GIVEN], 0);
	if (created && is_copying(mount_of(req), fuse_req_ctx(req)->pid))
		return WAY_CACHED;
	if (!file_pass_begin(h->file, writes(h), &fd)) {
		if (!writes(h))
			hand_over(req, h);
		return WAY_CACHED;
	}
	*backing = backing_open(req, fd);
	if (*backing > 0)
		return WAY_PASSED;
	file_pass_end(h->file);
	return WAY_CACHED;
}

/* The inode with one more handle; NULL when memory is out. */
static struct mount_open *enter_locked(struct mount *m, int64_t ino) LOCK_REQUIRES(&m->lock)
{
	struct mount_open *o = NULL;

	HASH_FIND(hh, m->open, &ino, sizeof ino, o);
	if (!o) {
		o = calloc(1, sizeof *o);
		if (!o)
			return NULL;
		o->ino = ino;
		HASH_ADD(hh, m->open, ino, sizeof o->ino, o);
		if (!o->hh.tbl) {
			free(o);
			return NULL;
		}
	}
	o->handles++;
	return o;
}

static void settle_locked(struct mount *m, struct mount_open *o, enum way way)
	LOCK_REQUIRES(&m->lock)
{
	o->way = way;
	lock_cond_broadcast(&m->decided);
	if (o->handles)
		return;
	HASH_DEL(m->open, o);
	free(o);
}

/* Finds or decides the way of the handle's inode. The lock is given up meanwhile. */
static enum way find_way(fuse_req_t req, struct mount *m, struct mount_handle *h, bool created,
			 int *backing)
{
	struct mount_open *o;
	enum way way;

	lock_lock(&m->lock);
	o = enter_locked(m, file_ino(h->file));
	while (o && o->way == WAY_DECIDING)
		lock_cond_wait(&m->decided, &m->lock);
	if (o && o->way == WAY_NONE) {
		o->way = WAY_DECIDING;
		lock_unlock(&m->lock);
		way = decide(req, h, created, backing);
		lock_lock(&m->lock);
		o->backing = *backing;
		settle_locked(m, o, way);
	}
	way = o ? o->way : WAY_NONE;
	*backing = o ? o->backing : 0;
	lock_unlock(&m->lock);
	return way;
}

/* A reader of sealed content may be about to copy it. */
static void note_reader(fuse_req_t req, struct mount *m, struct mount_handle *h)
{
	bool sealed = !writes(h) && file_is_sealed(h->file);

	lock_lock(&m->lock);
	h->reader = sealed ? fuse_req_ctx(req)->pid : 0;
	lock_unlock(&m->lock);
}

int mount_way_take(fuse_req_t req, struct mount_handle *h, bool created, struct fuse_file_info *fi)
{
	struct mount *m = mount_of(req);
	enum way way;
	int backing = 0, err = 0;

	fi->keep_cache = 1;
	if (!m->passthrough)
		return 0;
	way = find_way(req, m, h, created, &backing);
	if (way == WAY_NONE)
		return -ENOMEM;
	h->counted = true;
	if (way == WAY_PASSED && writes(h))
		err = file_pass_write(h->file);
	if (err)
		return err;
	if (way == WAY_PASSED)
		fill_passed(fi, backing);
	/* What is new in the file needs no record at close(2): see file_closing(). */
	if (way == WAY_PASSED && created)
		fi->noflush = 1;
	note_reader(req, m, h);
	return 0;
}

void mount_way_leave(fuse_req_t req, struct mount *m, struct mount_handle *h)
{
	int64_t ino = file_ino(h->file);
	struct mount_open *o = NULL;
	bool passed;

	if (!h->counted)
		return;
	h->counted = false;
	lock_lock(&m->lock);
	HASH_FIND(hh, m->open, &ino, sizeof ino, o);
	if (o && --o->handles == 0) {
		passed = o->way == WAY_PASSED;
		o->way = WAY_DECIDING;
		lock_unlock(&m->lock);
		if (passed) {
			backing_close(req, o->backing);
			file_pass_end(h->file);
		}
		lock_lock(&m->lock);
		settle_locked(m, o, WAY_NONE);
	}
	lock_unlock(&m->lock);
}
