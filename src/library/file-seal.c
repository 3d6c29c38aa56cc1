/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How the sealer takes a file from phase DRAFT through SEALING and COMMIT to SEALED, or back. */
#include "config.h"

#include "library/file-internal.h"

#include <errno.h>

/* DRAFT -> SEALING, if the file is at rest. */
static int file_seal_start_locked(struct file *f, struct file_seal *s)
	LOCK_REQUIRES(&f->shard->lock)
{
	file_resting_locked(f);
	if (f->phase != FILE_DRAFT || !f->draft)
		return 0;
	if (f->orphan && !f->opens)
		return -EIDRM;
	if (f->writers || f->changers)
		return -EBUSY;
	file_pass_look_locked(f);
	f->phase = FILE_SEALING;
	f->sealing = true;
	*s = (struct file_seal){ .file = f,
				 .draft = f->draft,
				 .object = f->object,
				 .epoch = f->epoch,
				 .actor = f->actor };
	return 1;
}

int file_seal_begin(struct library *lib, int64_t ino, struct file_seal *out)
{
	struct file *f;
	int rc = files_pin(lib, ino, &f);

	if (rc)
		return rc;
	file_lock(f);
	rc = file_load_locked(f);
	if (rc == 0)
		rc = file_seal_start_locked(f, out);
	if (rc <= 0) {
		f->pins--;
		file_unlock_drop(f);
		if (rc == -EIDRM)
			files_purge_later(lib, ino);
		return rc == -ENOENT || rc == -EIDRM ? 0 : rc;
	}
	file_unlock(f);
	rc = draft_quiesce(out->draft);
	if (rc <= 0) {
		(void)file_seal_end(out, false);
		return rc ? rc : -EAGAIN;
	}
	out->size = draft_size(out->draft);
	return 1;
}

bool file_seal_lost(const struct file_seal *s)
{
	struct file *f = s->file;

	file_lock(f);
	bool lost = f->phase != FILE_SEALING || f->epoch != s->epoch;

	file_unlock(f);
	return lost;
}

bool file_seal_commit(struct file_seal *s, bool stays)
{
	struct file *f = s->file;

	file_lock(f);
	while (f->saving)
		file_wait_locked(f);
	if (f->phase == FILE_SEALING && f->epoch == s->epoch && f->pass && !stays) {
		f->phase = FILE_DRAFT;
		f->epoch++;
	}
	s->committing = f->phase == FILE_SEALING && f->epoch == s->epoch;
	if (s->committing) {
		f->phase = FILE_COMMIT;
		s->changes = f->changes;
		s->unsaved = f->changes != f->saved;
		s->actor = f->actor;
		s->atime_ns = f->atime_ns;
		s->mtime_ns = f->mtime_ns;
		s->ctime_ns = f->ctime_ns;
	}
	file_unlock(f);
	return s->committing;
}

/* The row has the object now; what is known here is read again when it is needed. */
static void file_sealed_locked(struct file *f, const struct file_seal *s)
	LOCK_REQUIRES(&f->shard->lock)
{
	f->busy = true;
	f->draft = NULL;
	f->phase = FILE_SEALED;
	f->known = false;
	f->saved = s->changes;
	file_wake_locked(f);
	while (f->readers)
		file_wait_locked(f);
	f->busy = false;
}

int file_seal_end(struct file_seal *s, bool done)
{
	struct file *f = s->file;
	int again = 0;

	file_lock(f);
	if (done) {
		file_sealed_locked(f, s);
	} else {
		s->draft = NULL;
		if (f->phase == FILE_COMMIT || (f->phase == FILE_SEALING && f->epoch == s->epoch))
			f->phase = FILE_DRAFT;
		again = f->phase == FILE_DRAFT && !f->writers && !f->orphan;
	}
	f->sealing = false;
	bool purge = f->orphan && !f->opens;
	struct library *lib = f->lib;
	int64_t ino = f->ino;

	file_wake_locked(f);
	f->pins--;
	file_unlock_drop(f);
	if (purge)
		files_purge_later(lib, ino);
	return again;
}
