/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Passing: the kernel has the file that holds the content and reads and writes it without asking. What it writes is found by the file's own times.
 *
 * Of a passed file the content never moves: a copy into it copies bytes, a seal that would leave holes in it is given up, and where a
 * sealed one is changed after all, what its object and others need of the blob moves instead (draft_unseal()). For that no two assets may have one blob passed.
 *
 * A mapping outlives the last close (RELEASE comes before), so a blob that was passed is emptied or punched only where nobody has it (blobs_alone()), and
 * sealed only where nobody can write it (draft_quiesce()).
 */
#include "config.h"

#include "library/file-internal.h"
#include "library/sealer.h"
#include "util/err.h"
#include "util/time.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

enum { UNSEAL_PAUSE_US = 20 * 1000 };

static struct file_stamp pass_stamp_of(const struct stat *st)
{
	return (struct file_stamp){ .mtime_ns = time_from_spec(st->st_mtim),
				    .ctime_ns = time_from_spec(st->st_ctim),
				    .size = st->st_size };
}

/* False when the file cannot be asked. */
static bool pass_stamp(const struct blob *blob, struct file_stamp *out)
{
	struct stat st;

	if (fstat(blob_fd(blob), &st))
		return false;
	*out = pass_stamp_of(&st);
	return true;
}

void file_pass_look_locked(struct file *f)
{
	struct file_stamp now, *seen = &f->pass_seen;

	if (!f->pass || !f->draft || !pass_stamp(f->pass, &now))
		return;
	if (now.mtime_ns == seen->mtime_ns && now.ctime_ns == seen->ctime_ns &&
	    now.size == seen->size)
		return;
	f->mtime_ns = now.mtime_ns;
	if (f->ctime_ns < now.ctime_ns)
		f->ctime_ns = now.ctime_ns;
	f->changed = true;
	f->told = true;
	f->changes++;
	*seen = now;
}

bool file_pass_tells_locked(const struct file *f)
{
	return f->told && f->draft && (uint64_t)f->pass_seen.size != f->recorded &&
	       draft_is_plain(f->draft);
}

bool file_pass_set_mtime_locked(struct file *f, int64_t mtime_ns)
{
	struct draft *draft = f->draft;
	struct stat st;

	if (!file_pass_tells_locked(f))
		return false;
	f->readers++;
	file_unlock(f);
	int rc = draft_set_mtime(draft, mtime_ns, &st);

	file_lock(f);
	f->readers--;
	file_wake_locked(f);
	if (rc || f->draft != draft || !f->told)
		return false;
	f->pass_seen = pass_stamp_of(&st);
	f->mtime_ns = f->pass_seen.mtime_ns;
	if (f->ctime_ns < f->pass_seen.ctime_ns)
		f->ctime_ns = f->pass_seen.ctime_ns;
	return true;
}

void file_pass_seen_locked(struct file *f)
{
	if (f->pass && f->draft)
		(void)pass_stamp(f->pass, &f->pass_seen);
}

/* Gives the file another status change time, and nothing else, where its draft's file tells it. */
static bool pass_change_status(struct library *lib, int64_t ino)
{
	struct file *f = files_find(lib, ino);

	if (!f)
		return false;
	file_lock(f);
	file_pass_look_locked(f);
	bool done = file_pass_set_mtime_locked(f, f->mtime_ns);

	f->changes += done;
	f->pins--;
	file_unlock_drop(f);
	return done;
}

/* From memory: whether it is worth asking the metadata. */
static bool pass_may_be_same(struct library *lib, int64_t ino, int set, const struct node *values)
{
	struct file *f = files_find(lib, ino);

	if (!f)
		return false;
	file_lock(f);
	file_pass_look_locked(f);
	bool may = file_pass_tells_locked(f) && (!(set & TREE_SET_MODE) || f->mode == values->mode);

	f->pins--;
	file_unlock_drop(f);
	return may;
}

bool file_set_same(struct library *lib, int64_t ino, int set, const struct node *values)
{
	struct node n;

	if (set & ~(TREE_SET_MODE | TREE_SET_UID | TREE_SET_GID) ||
	    !pass_may_be_same(lib, ino, set, values) || tree_get(lib, ino, &n))
		return false;
	if ((set & TREE_SET_MODE && n.mode != values->mode) ||
	    (set & TREE_SET_UID && n.uid != values->uid) ||
	    (set & TREE_SET_GID && n.gid != values->gid))
		return false;
	return pass_change_status(lib, ino);
}

/* Takes the claim on `blob` for the file. */
static bool pass_claim_locked(struct file *f, struct blob *blob) LOCK_REQUIRES(&f->shard->lock)
{
	if (!blob || !pass_stamp(blob, &f->pass_seen) || !blob_claim(blob))
		return false;
	f->pass = blob_ref(blob);
	return true;
}

/* The blob that was claimed, for the caller to put without the lock. */
static struct blob *pass_drop_locked(struct file *f) LOCK_REQUIRES(&f->shard->lock)
{
	struct blob *blob = f->pass;

	f->pass = NULL;
	if (blob)
		blob_unclaim(blob);
	return blob;
}

/* Makes the view, which tells where the content is, and comes back with the file at rest. */
static int pass_settle_locked(struct file *f, bool writes) LOCK_REQUIRES(&f->shard->lock)
{
	struct file_source src;

	for (;;) {
		int rc = file_load_locked(f);

		if (rc)
			return rc;
		file_settled_locked(f);
		if (f->changers) {
			file_wait_locked(f);
			continue;
		}
		if (!f->known || f->draft || f->view || writes)
			return 0;
		file_unlock(f);
		rc = file_source_get(f, &src);
		if (rc == 0)
			file_source_put(f, &src);
		file_lock(f);
		if (rc)
			return rc;
	}
}

static bool file_is_privileged_locked(const struct file *f) LOCK_REQUIRES(&f->shard->lock)
{
	return f->capable || f->mode & (S_ISUID | S_ISGID);
}

bool file_is_privileged(struct file *f)
{
	file_lock(f);
	bool privileged = file_is_privileged_locked(f);

	file_unlock(f);
	return privileged;
}

void files_privileged(struct library *lib, int64_t ino)
{
	struct file *f = files_find(lib, ino);

	if (!f)
		return;
	file_lock(f);
	f->capable = true;
	f->pins--;
	file_unlock_drop(f);
}

bool files_incapable(struct library *lib, int64_t ino)
{
	struct file *f = files_find(lib, ino);

	if (!f)
		return false;
	file_lock(f);
	bool incapable = f->known && !f->capable;

	f->pins--;
	file_unlock_drop(f);
	return incapable;
}

/* Claims the blob that has the content by itself, `home` as far as `view` is the content; false where there is none. */
static bool pass_claim_content_locked(struct file *f, bool writes, const struct view *view,
				      struct blob *home) LOCK_REQUIRES(&f->shard->lock)
{
	if (!f->known || f->stale || f->phase == FILE_GONE)
		return false;
	if (writes && file_is_privileged_locked(f))
		return false;
	if (f->draft)
		return draft_is_plain(f->draft) && pass_claim_locked(f, draft_pass(f->draft));
	return !writes && f->view == view && pass_claim_locked(f, home);
}

/* Writing nothing yet into an asset without content: it gets its draft now, so that it can be passed. */
static int pass_prepare(struct file *f)
{
	file_lock(f);
	int rc = file_load_locked(f);
	bool empty = rc == 0 && f->phase == FILE_SEALED && f->size == 0;

	file_unlock(f);
	if (!empty)
		return rc;
	rc = file_change_begin(f, true);
	if (rc == 0)
		file_change_end(f, false);
	return rc;
}

int file_pass_begin(struct file *f, bool writes, int *fd)
{
	struct view *view = NULL;
	struct blob *home = NULL;
	int rc = writes ? pass_prepare(f) : 0;

	if (rc)
		return 0; /* who writes will be told */
	file_lock(f);
	rc = pass_settle_locked(f, writes);
	if (rc == 0 && !f->draft && f->view && !writes) {
		view = view_get(f->view);
		file_unlock(f);
		home = view_whole(view);
		file_lock(f);
		rc = pass_settle_locked(f, writes);
	}
	bool passed = rc == 0 && !f->pass && pass_claim_content_locked(f, writes, view, home);

	if (passed)
		*fd = blob_fd(f->pass);
	file_unlock(f);
	view_put(view);
	return passed;
}

bool file_hold(struct file *f, void *buf, size_t room, size_t *len)
{
	struct view *view = NULL;
	ssize_t got = -1;

	file_lock(f);
	int rc = pass_settle_locked(f, false);

	if (rc == 0 && f->known && f->phase == FILE_SEALED && f->view && !f->stale && f->size &&
	    f->size <= room) {
		f->busy = true;
		view = view_get(f->view);
		*len = f->size;
	}
	file_unlock(f);
	if (!view)
		return false;
	got = view_read_here(view, buf, *len, 0);
	view_put(view);
	if (got == (ssize_t)*len)
		return true;
	file_hold_end(f);
	return false;
}

void file_hold_end(struct file *f)
{
	file_lock(f);
	f->busy = false;
	file_wake_locked(f);
	file_unlock(f);
}

int file_pass_write(struct file *f)
{
	int rc = file_change_begin(f, false);

	if (rc == 0)
		file_change_end(f, false);
	return rc;
}

void file_pass_end(struct file *f)
{
	struct library *lib = f->lib;
	int64_t ino = f->ino;
	uint64_t size = 0;

	file_lock(f);
	file_settled_locked(f);
	file_pass_look_locked(f);
	struct blob *blob = pass_drop_locked(f);
	bool queue = f->draft && !f->writers && !f->orphan;

	if (queue)
		size = draft_size(f->draft);
	file_unlock(f);
	blob_put(blob);
	if (queue)
		sealer_queue(lib, ino, size);
}

/* Whether the blob holds what the node has now: another process may have given it other content. */
static int unseal_check(struct file *f, int64_t home)
{
	struct view *view = NULL;
	int rc = view_of_object(library_content(f->lib), f->object, &view);
	const struct blob *whole = rc ? NULL : view_whole(view);

	if (rc == 0 && (!whole || blob_id(whole) != home))
		rc = -EBUSY;
	view_put(view);
	return rc;
}

/*
 * What is in the blob moves to a copy, and the blob is the node's draft: then *applied, also where that cannot be made durable. Where *out is set it has
 * the blob's own file.
 */
static int unseal(struct file *f, int64_t home, struct draft **out, bool *applied)
{
	struct draft *copy = NULL;
	struct meta_op *op = meta_op_new();
	int rc = op ? unseal_check(f, home) : -ENOMEM;

	if (rc == 0)
		rc = draft_unseal(library_content(f->lib), home, f->size, &copy, out, op);
	if (rc == 0) {
		META_ADD(op, FILE_ATTACH, META_ONE, -ESTALE, META_I(f->ino), META_I(home),
			 META_I(f->size), f->object ? META_I(f->object) : META_N());
		rc = meta_apply(library_meta(f->lib), op);
		*applied = rc == 0;
		int end = draft_unsealed(*out, *applied, &copy);

		rc = rc ? rc : end;
	}
	meta_op_free(op);
	/* Someone is giving back what the blob does not need. */
	if (rc == -EAGAIN)
		usleep(UNSEAL_PAUSE_US);
	return rc == -EAGAIN ? -ESTALE : rc;
}

/* The file of before reads the copy now: the draft's is passed. The handle of before is the caller's to put. */
static struct blob *pass_follow_locked(struct file *f, struct draft *draft)
	LOCK_REQUIRES(&f->shard->lock)
{
	struct blob *before = f->pass;

	f->pass = blob_ref(draft_pass(draft));
	(void)pass_stamp(f->pass, &f->pass_seen);
	return before;
}

int file_unseal_locked(struct file *f)
{
	struct draft *draft = NULL;
	struct view *view = NULL;
	struct blob *blob = NULL;
	int64_t home = blob_id(f->pass);
	bool applied = false;

	f->busy = true;
	file_unlock(f);
	int rc = unseal(f, home, &draft, &applied);

	file_lock(f);
	f->busy = false;
	file_wake_locked(f);
	if (draft)
		blob = pass_follow_locked(f, draft);
	if (applied) {
		view = f->view;
		f->view = NULL;
		f->draft = draft;
		f->phase = FILE_DRAFT;
		f->stale = false;
		f->told = false;
		f->recorded = f->size;
		draft = NULL;
	}
	file_unlock(f);
	blob_put(blob);
	view_put(view);
	draft_free(draft);
	file_lock(f);
	return rc;
}

bool file_is_sealed(struct file *f)
{
	file_lock(f);
	bool sealed = f->known && f->phase == FILE_SEALED && f->object;

	file_unlock(f);
	return sealed;
}
