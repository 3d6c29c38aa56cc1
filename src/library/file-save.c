/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Recording size, times and map of open files in the metadata. One thread saves a file at a time
 * (`saving`); changes that come meanwhile are left to the next save, which `changes` and `saved`
 * tell. A save and the commit of a seal exclude each other, so that an older size never follows a
 * newer one.
 */
#include "config.h"

#include "library/file-internal.h"
#include "library/sealer.h"
#include "library/times.h"
#include "util/err.h"
#include "util/log.h"
#include "util/time.h"

#include <errno.h>
#include <stdlib.h>

/* What one save writes, taken under the lock. */
struct file_save {
	uint32_t changes;
	int64_t atime_ns, mtime_ns, ctime_ns;
	struct draft *draft;
	uint64_t size; /* of the draft */
};

/* 1: the caller saves; 0: nothing is unsaved. */
static int file_save_begin(struct file *f, struct file_save *save)
{
	file_lock(f);
	file_resting_locked(f);
	file_pass_look_locked(f);
	if (f->changes == f->saved || f->phase == FILE_GONE) {
		file_unlock(f);
		return 0;
	}
	f->saving = true;
	if (f->draft)
		f->readers++;
	*save = (struct file_save){ .changes = f->changes,
				    .atime_ns = f->atime_ns,
				    .mtime_ns = f->mtime_ns,
				    .ctime_ns = f->ctime_ns,
				    .draft = f->draft };
	file_unlock(f);
	return 1;
}

static void file_save_end(struct file *f, const struct file_save *save, int rc)
{
	file_lock(f);
	f->saving = false;
	if (save->draft)
		f->readers--;
	if (rc == 0) {
		f->saved = save->changes;
		f->recorded = save->draft ? save->size : f->recorded;
	}
	file_wake_locked(f);
	file_unlock(f);
}

static int file_save_apply(struct file *f, struct file_save *save)
{
	struct meta_op *op = meta_op_new();
	int rc = op ? 0 : -ENOMEM;

	if (op && save->draft) {
		save->size = draft_size(save->draft);
		rc = draft_save(save->draft, op);
		META_ADD(op, FILE_SAVE, META_ONE, -ESTALE, META_I(f->ino),
			 META_I(draft_blob(save->draft)), META_I(save->size),
			 META_I(draft_alloc(save->draft)), META_I(save->atime_ns),
			 META_I(save->mtime_ns), META_I(save->ctime_ns));
	} else if (op) {
		META_ADD(op, FILE_SAVE_TIMES, META_ONE, -ESTALE, META_I(f->ino),
			 META_I(save->atime_ns), META_I(save->mtime_ns), META_I(save->ctime_ns));
	}
	if (rc == 0)
		rc = meta_apply(library_meta(f->lib), op);
	if (rc && save->draft)
		draft_save_failed(save->draft);
	meta_op_free(op);
	return rc;
}

int file_flush(struct file *f)
{
	struct file_save save;

	if (!file_save_begin(f, &save))
		return 0;
	int rc = file_save_apply(f, &save);

	file_save_end(f, &save, rc);
	return rc;
}

/*
 * A kill now would leave all that is to be known in the draft's file, and its seal records it soon. Files that wait for it are kept in memory, so there must
 * not be too many.
 */
static bool file_may_wait(struct file *f)
{
	struct library *lib = f->lib;

	file_lock(f);
	file_pass_look_locked(f);
	bool may = f->changes == f->saved ||
		   (lib->sealer && file_pass_tells_locked(f) &&
		    __atomic_load_n(&lib->files->idle, __ATOMIC_RELAXED) < lib->files->idle_max);

	file_unlock(f);
	return may;
}

int file_closing(struct file *f)
{
	return file_may_wait(f) ? 0 : file_flush(f);
}

/* The draft's bytes on disk; nothing for sealed content, which is there before its row says so. */
static int file_sync_draft(struct file *f, bool data_only)
{
	struct draft *draft;

	file_lock(f);
	draft = f->draft;
	if (draft)
		f->readers++;
	file_unlock(f);
	if (!draft)
		return 0;
	int rc = data_only ? draft_sync(draft) : draft_sync_all(draft);

	file_lock(f);
	f->readers--;
	file_wake_locked(f);
	file_unlock(f);
	return rc;
}

/*
 * The draft that is the content by itself, 0: none. Its size is its file's, also after a power cut (recover.c): as far as the metadata that names it is durable, a
 * sync of data need do no more than sync that file.
 */
static int64_t file_plain_draft(struct file *f)
{
	file_lock(f);
	int64_t blob = f->draft && draft_is_plain(f->draft) ? draft_blob(f->draft) : 0;

	file_unlock(f);
	return blob;
}

/*
 * What the metadata says of a plain draft is true whatever becomes of its bytes, so both are synced at once, the log by the clock's thread where that is free.
 */
static int file_sync_plain(struct file *f, bool data_only)
{
	struct meta *meta = library_meta(f->lib);
	int rc = file_closing(f);

	if (rc == 0)
		rc = times_record(f->lib);
	if (rc)
		return rc;
	uint64_t ticket = meta_sync_ticket(meta);

	if (ticket)
		sealer_sync_soon(f->lib);
	rc = file_sync_draft(f, data_only);
	int synced = meta_sync_wait(meta, ticket);

	return rc ? rc : synced;
}

/* The map of an overlay must not name bytes that are not there. */
static int file_sync_other(struct file *f)
{
	int rc = file_sync_draft(f, true);

	if (rc == 0)
		rc = file_flush(f);
	if (rc == 0)
		rc = times_record(f->lib);
	return rc ? rc : meta_sync(library_meta(f->lib));
}

int file_sync(struct file *f, bool data_only)
{
	int64_t plain = file_plain_draft(f);

	if (data_only && plain && __atomic_load_n(&f->durable, __ATOMIC_RELAXED) == plain)
		return file_sync_draft(f, true);
	int rc = plain ? file_sync_plain(f, data_only) : file_sync_other(f);

	if (rc == 0)
		__atomic_store_n(&f->durable, plain, __ATOMIC_RELAXED);
	return rc;
}

int files_settle(struct library *lib, int64_t ino)
{
	struct file *f;
	int rc = files_pin(lib, ino, &f);

	if (rc)
		return rc;
	file_lock(f);
	rc = file_load_locked(f);
	file_unlock(f);
	if (rc == 0)
		rc = file_sync_draft(f, true);
	if (rc == 0)
		rc = file_closing(f);
	file_unpin(f);
	return rc;
}

static void file_times_locked(struct file *f, int set, const struct node *values)
	LOCK_REQUIRES(&f->shard->lock)
{
	/* What was written before the times were set counts no more. */
	file_pass_seen_locked(f);
	if (set & TREE_SET_MODE)
		f->mode = values->mode;
	if (set & TREE_SET_ATIME)
		f->atime_ns = values->atime_ns;
	if (set & TREE_SET_MTIME)
		f->mtime_ns = values->mtime_ns;
	if (set & TREE_SET_CTIME)
		f->ctime_ns = values->ctime_ns;
}

void files_times(struct library *lib, int64_t ino, int set, const struct node *values)
{
	struct file *f = files_find(lib, ino);

	if (!f)
		return;
	file_lock(f);
	if (f->known)
		file_times_locked(f, set, values);
	f->pins--;
	file_unlock_drop(f);
}

/* Times of a file whose changes are not recorded yet go with them; 1: done, <0 the error of recording them. */
static int file_times_unsaved(struct library *lib, int64_t ino, int set, const struct node *values)
{
	struct file *f = files_find(lib, ino);
	bool save = false;
	int done = 0;

	if (!f)
		return 0;
	file_lock(f);
	file_pass_look_locked(f);
	if (f->known && f->draft && f->changes != f->saved) {
		if (set != TREE_SET_MTIME || !file_pass_set_mtime_locked(f, values->mtime_ns)) {
			f->ctime_ns = library_now_ns(lib);
			file_times_locked(f, set, values);
			save = f->pass || f->told;
			f->told = false;
		}
		f->changes++;
		done = 1;
	}
	file_unlock(f);
	/* Where the kernel writes by itself it need not tell of the close. */
	int rc = save ? file_flush(f) : 0;

	file_unpin(f);
	return rc ? rc : done;
}

/*
 * After a rename or an unlink the kernel, where it writes back, hands in the times that it keeps: nothing but a
 * status change time by its own clock, a tick beside the one that was recorded with the change. True: kept.
 */
static bool file_times_kept(struct library *lib, int64_t ino, int set, const struct node *values,
			    struct node *out)
{
	struct node n;

	if (set != (TREE_SET_MTIME | TREE_SET_CTIME) || tree_get(lib, ino, &n) ||
	    n.mtime_ns != values->mtime_ns)
		return false;
	if (!times_keep_change(lib, ino, n.ctime_ns, values->ctime_ns))
		return false;
	files_times(lib, ino, TREE_SET_CTIME, values);
	n.ctime_ns = values->ctime_ns;
	*out = n;
	return true;
}

int file_set_times(struct library *lib, const struct actor *who, int64_t ino, int set,
		   const struct node *values, struct node *out)
{
	if (library_read_only(lib))
		return -EROFS;
	if (set & TREE_SET_ATIME)
		times_forget_access(lib, ino);
	int done = file_times_unsaved(lib, ino, set, values);

	if (done)
		return done < 0 ? done : tree_get(lib, ino, out);
	if (file_times_kept(lib, ino, set, values, out))
		return 0;
	return tree_set(lib, who, ino, set, values, out);
}

/* The inode numbers of the files that `wanted` picks: *out is the caller's to free. */
typedef bool file_pick(const struct file *f);

static size_t files_count(struct library *lib)
{
	size_t count = 0;

	for (int i = 0; i < FILES_SHARDS; i++)
		count += __atomic_load_n(&lib->files->shards[i].count, __ATOMIC_RELAXED);
	return count;
}

static size_t files_pick_shard(struct files_shard *s, file_pick *wanted, int64_t *out, size_t room)
{
	size_t count = 0;

	lock_lock(&s->lock);
	for (const struct file *f = s->table; f && count < room; f = f->hh.next)
		if (wanted(f))
			out[count++] = f->ino;
	lock_unlock(&s->lock);
	return count;
}

/* Files that come while it looks may be left out. */
static int files_pick(struct library *lib, file_pick *wanted, int64_t **out, size_t *count)
{
	size_t room = files_count(lib), n = 0;
	int64_t *inos = calloc(room + 1, sizeof(*inos));

	if (!inos)
		return -ENOMEM;
	for (int i = 0; i < FILES_SHARDS; i++)
		n += files_pick_shard(&lib->files->shards[i], wanted, inos + n, room - n);
	*out = inos;
	*count = n;
	return 0;
}

static bool file_is_unsaved(const struct file *f)
{
	return (f->changes != f->saved || f->pass) && f->phase != FILE_GONE;
}

static bool file_is_written(const struct file *f)
{
	return f->writers > 0;
}

int files_writers(struct library *lib, int64_t **out, size_t *count)
{
	return files_pick(lib, file_is_written, out, count);
}

bool file_has_writer(struct file *f)
{
	file_lock(f);
	bool writer = f->writers > 0;

	file_unlock(f);
	return writer;
}

static int files_flush_one(struct library *lib, int64_t ino, bool all)
{
	struct file *f = files_find(lib, ino);

	if (!f)
		return 0;
	file_lock(f);
	bool open = f->opens > 0;

	file_unlock(f);
	int rc = all || open ? file_flush(f) : file_closing(f);

	file_unpin(f);
	return rc == -ESTALE ? 0 : rc;
}

int files_flush(struct library *lib, bool all)
{
	int64_t *inos = NULL;
	size_t count = 0;
	int rc = files_pick(lib, file_is_unsaved, &inos, &count);

	for (size_t i = 0; i < count; i++) {
		int one = files_flush_one(lib, inos[i], all);

		if (one)
			log_error("asset %lld: size and times cannot be recorded: %s",
				  (long long)inos[i], err_text(one));
		if (rc == 0)
			rc = one;
	}
	free(inos);
	return rc;
}

void files_counts(struct library *lib, struct files_counts *out)
{
	*out = (struct files_counts){ 0 };
	for (int i = 0; i < FILES_SHARDS; i++) {
		struct files_shard *s = &lib->files->shards[i];

		lock_lock(&s->lock);
		for (const struct file *f = s->table; f; f = f->hh.next) {
			out->open += f->opens > 0;
			out->writing += f->writers > 0;
			out->held += f->draft && f->pass && !f->writers && !f->sealing;
		}
		lock_unlock(&s->lock);
	}
}
