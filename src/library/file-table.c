/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The table of open inodes: finding, pinning, reading a node's row, and freeing. A file stays in
 * the table while it is open, pinned or has a draft that waits for its seal (so that a file that
 * was just written is opened again without SQL), the latter for up to FILES_IDLE_MAX files.
 */
#include "config.h"

#include "library/file-internal.h"
#include "util/log.h"

#include <assert.h>
#include <errno.h>
#include <linux/xattr.h>
#include <stdlib.h>
#include <sys/resource.h>

void file_lock(struct file *f) LOCK_UNCHECKED
{
	lock_lock(&f->shard->lock);
}

void file_unlock(struct file *f) LOCK_UNCHECKED
{
	lock_unlock(&f->shard->lock);
}

void file_wait_locked(struct file *f)
{
	lock_cond_wait(&f->shard->cond, &f->shard->lock);
}

void file_wake_locked(struct file *f)
{
	lock_cond_broadcast(&f->shard->cond);
}

void file_settled_locked(struct file *f)
{
	while (f->busy || f->phase == FILE_COMMIT)
		file_wait_locked(f);
}

void file_resting_locked(struct file *f)
{
	while (f->busy || f->saving || f->phase == FILE_COMMIT)
		file_wait_locked(f);
}

static struct files_shard *files_shard(struct library *lib, int64_t ino)
{
	return &lib->files->shards[(uint64_t)ino % FILES_SHARDS];
}

static struct file *files_lookup_locked(struct files_shard *s, int64_t ino) LOCK_REQUIRES(&s->lock)
{
	struct file *f = NULL;

	HASH_FIND(hh, s->table, &ino, sizeof(ino), f);
	return f;
}

static struct file *files_make_locked(struct library *lib, struct files_shard *s, int64_t ino)
	LOCK_REQUIRES(&s->lock)
{
	struct file *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->lib = lib;
	f->shard = s;
	f->ino = ino;
	HASH_ADD(hh, s->table, ino, sizeof(f->ino), f);
	if (!f->hh.tbl) {
		free(f);
		return NULL;
	}
	__atomic_add_fetch(&s->count, 1, __ATOMIC_RELAXED);
	return f;
}

int files_pin(struct library *lib, int64_t ino, struct file **out)
{
	struct files_shard *s = files_shard(lib, ino);

	lock_lock(&s->lock);
	struct file *f = files_lookup_locked(s, ino);

	if (!f)
		f = files_make_locked(lib, s, ino);
	if (f)
		f->pins++;
	lock_unlock(&s->lock);
	if (!f)
		return -ENOMEM;
	*out = f;
	return 0;
}

struct file *files_find(struct library *lib, int64_t ino)
{
	struct files_shard *s = files_shard(lib, ino);

	if (!__atomic_load_n(&s->count, __ATOMIC_ACQUIRE))
		return NULL;
	lock_lock(&s->lock);
	struct file *f = files_lookup_locked(s, ino);

	if (f)
		f->pins++;
	lock_unlock(&s->lock);
	return f;
}

/*
 * A draft that waits for its seal is kept open as long as there are not too many, and never before
 * its map is saved.
 */
static bool file_keep_locked(struct file *f) LOCK_REQUIRES(&f->shard->lock)
{
	unsigned *idle = &f->lib->files->idle;

	if (!f->draft)
		return false;
	if (f->idle)
		return true;
	if (__atomic_add_fetch(idle, 1, __ATOMIC_RELAXED) > f->lib->files->idle_max) {
		__atomic_sub_fetch(idle, 1, __ATOMIC_RELAXED);
		return f->changes != f->saved;
	}
	f->idle = true;
	return true;
}

static bool file_needed_locked(struct file *f) LOCK_REQUIRES(&f->shard->lock)
{
	if (!f->opens && !f->pins && !f->readers && !f->changers && !f->busy && !f->saving)
		return file_keep_locked(f);
	if (f->idle)
		__atomic_sub_fetch(&f->lib->files->idle, 1, __ATOMIC_RELAXED);
	f->idle = false;
	return true;
}

static void file_free(struct file *f)
{
	if (f->idle)
		__atomic_sub_fetch(&f->lib->files->idle, 1, __ATOMIC_RELAXED);
	view_put(f->view);
	draft_free(f->draft);
	free(f);
}

void file_unlock_drop(struct file *f)
{
	bool needed = file_needed_locked(f);

	if (!needed) {
		HASH_DELETE(hh, f->shard->table, f);
		__atomic_sub_fetch(&f->shard->count, 1, __ATOMIC_RELAXED);
	}
	file_unlock(f);
	if (!needed)
		file_free(f);
}

void file_unpin(struct file *f)
{
	file_lock(f);
	f->pins--;
	file_unlock_drop(f);
}

static int file_row(void *arg, const struct meta_row *row)
{
	struct file_row *r = arg;

	r->kind = (enum node_kind)meta_row_int(row, 0);
	r->uid = (uid_t)meta_row_int(row, 1);
	r->size = (uint64_t)meta_row_int(row, 2);
	r->alloc = (uint64_t)meta_row_int(row, 3);
	r->atime_ns = meta_row_int(row, 4);
	r->mtime_ns = meta_row_int(row, 5);
	r->ctime_ns = meta_row_int(row, 6);
	r->object = meta_row_int(row, 7);
	r->draft = meta_row_int(row, 8);
	r->orphan = meta_row_int(row, 9) != 0;
	r->mode = (mode_t)meta_row_int(row, 10);
	r->capable = meta_row_int(row, 11) != 0;
	return 0;
}

int file_row_get(struct library *lib, int64_t ino, struct file_row *out)
{
	int rc = META_QUERY(library_meta(lib), FILE_LOAD, file_row, out, META_I(ino),
			    META_B(XATTR_NAME_CAPS, sizeof(XATTR_NAME_CAPS) - 1));

	return rc < 0 ? rc : rc == 0 ? -ENOENT : 0;
}

static int file_fetch(struct library *lib, int64_t ino, struct file_row *n, struct draft **draft)
{
	int rc = file_row_get(lib, ino, n);

	if (rc)
		return rc;
	if (n->kind == NODE_FOLDER)
		return -EISDIR;
	if (n->kind != NODE_ASSET)
		return -EINVAL;
	if (!n->draft)
		return 0;
	/* Only the process that mounts may go on writing what another one began. */
	rc = draft_open(lib->content, n->draft, n->size,
			!(lib->flags & LIBRARY_MOUNT) || library_read_only(lib), draft);
	return rc == -ENOENT ? -EIO : rc; /* the asset is there, its draft's file is missing */
}

static void file_fill_locked(struct file *f, const struct file_row *n, struct draft *draft)
	LOCK_REQUIRES(&f->shard->lock)
{
	f->draft = draft;
	f->phase = draft ? FILE_DRAFT : FILE_SEALED;
	f->object = n->object;
	f->size = n->size;
	f->alloc = n->alloc;
	f->orphan = n->orphan;
	f->known = true;
	f->told = false;
	f->recorded = n->size;
	f->mode = n->mode;
	f->capable = n->capable;
	if (f->changed)
		return;
	f->actor = n->uid;
	f->atime_ns = n->atime_ns;
	f->mtime_ns = n->mtime_ns;
	f->ctime_ns = n->ctime_ns;
}

int file_load_locked(struct file *f)
{
	while (!f->known) {
		if (f->phase == FILE_GONE)
			return -ENOENT;
		if (f->busy) {
			file_wait_locked(f);
			continue;
		}
		struct file_row n = { 0 };
		struct draft *draft = NULL;

		f->busy = true;
		file_unlock(f);
		int rc = file_fetch(f->lib, f->ino, &n, &draft);

		file_lock(f);
		f->busy = false;
		file_wake_locked(f);
		if (rc)
			return rc;
		file_fill_locked(f, &n, draft);
	}
	return f->phase == FILE_GONE ? -ENOENT : 0;
}

struct view *file_forget_locked(struct file *f)
{
	struct view *old = f->view;

	assert(!f->draft);
	f->view = NULL;
	f->known = false;
	f->stale = false;
	return old;
}

/* Each takes a descriptor. */
static unsigned files_idle_max(void)
{
	struct rlimit files;
	rlim_t share = FILES_IDLE_MAX;

	if (getrlimit(RLIMIT_NOFILE, &files) == 0)
		share = files.rlim_cur / FILES_IDLE_SHARE + 1;
	return share < FILES_IDLE_MAX ? (unsigned)share : FILES_IDLE_MAX;
}

int files_new(struct library *lib)
{
	struct files *files = calloc(1, sizeof(*files));

	if (!files)
		return -ENOMEM;
	files->idle_max = files_idle_max();
	for (int i = 0; i < FILES_SHARDS; i++) {
		lock_init(&files->shards[i].lock, LOCK_RANK_FILE);
		lock_cond_init(&files->shards[i].cond);
	}
	lib->files = files;
	return 0;
}

static void files_free_shard(struct files_shard *s)
{
	while (s->table) {
		struct file *f = s->table;

		if (f->opens || f->pins)
			log_warn("asset %lld is still open as the library closes",
				 (long long)f->ino);
		HASH_DELETE(hh, s->table, f);
		file_free(f);
	}
	lock_cond_release(&s->cond);
	lock_release(&s->lock);
}

void files_free(struct library *lib)
{
	if (!lib->files)
		return;
	(void)files_flush(lib, true);
	for (int i = 0; i < FILES_SHARDS; i++)
		files_free_shard(&lib->files->shards[i]);
	free(lib->files);
	lib->files = NULL;
}

bool files_is_open(struct library *lib, int64_t ino)
{
	struct files_shard *s = files_shard(lib, ino);

	if (!__atomic_load_n(&s->count, __ATOMIC_ACQUIRE))
		return false;
	lock_lock(&s->lock);
	const struct file *f = files_lookup_locked(s, ino);
	bool open = f && f->opens > 0;

	lock_unlock(&s->lock);
	return open;
}
