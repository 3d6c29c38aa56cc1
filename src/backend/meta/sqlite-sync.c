/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Durability with `synchronous = NORMAL` and an fdatasync of our own. Why it is enough:
 *
 * 1. A commit appends its pages to the log (PATH-wal) and returns; nothing is synced. A crash of the
 *    process loses nothing, since the bytes are in the kernel.
 * 2. fdatasync of the log's inode makes every page appended before it durable, and the log's
 *    length with them. After a power cut SQLite replays the log up to the last commit whose checksums,
 *    chained from the head of the log, hold. What was synced is such a prefix.
 * 3. The log is moved into the main file (a checkpoint) in the order: sync the log, write the pages, sync
 *    the main file; only when that is done for all of the log may a writer start it over, and it
 *    syncs the new head of the log before it writes a page behind it. SQLite does these syncs at
 *    NORMAL too (wal.c, walCheckpoint, sqlite3WalFrames). So at every instant each commit that was
 *    durable in the log is durable in the log or in the main file, and a sync that runs while
 *    the log is started over still says the truth: what it came for is in the main file then.
 * 4. The log has one inode for as long as any connection is open: only the last one to close removes it,
 *    and the writer stays open. So one descriptor, opened after the writer's first transaction, is enough. It
 *    must stay open: the kernel reports a failed write-back once to each open descriptor, and one opened later would
 *    not hear of it. No lock of SQLite's is on this file, so our closing it is harmless (unlike the
 *    main file and the -shm, which are never touched here).
 * 5. The log's name is in the folder since the writer was opened; the folder is synced with
 *    the first sync. The main file's name was synced when it was made.
 * 6. After a failed fdatasync the kernel may have dropped the pages and call them clean: a second try that succeeds proves
 *    nothing. So failure is for good until the library is opened anew.
 */
#include "config.h"

#include "backend/meta/sqlite-sync.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "backend/meta/sqlite-copy.h"
#include "util/err.h"
#include "util/io.h"
#include "util/log.h"
#include "util/time.h"

/* Frames (pages of 4 KiB) in the log from which on meta_tidy() moves them, and the writer does. */
enum { SYNC_TIDY_FRAMES = 1000, SYNC_FOLD_FRAMES = 16000, SYNC_FOLD_AGAIN_FRAMES = 4000 };

/* … and again. */
#define SYNC_TIDY_NS TIME_NS_PER_S
enum { SYNC_TIDY_AGAIN_FRAMES = 4000 };

/* What is set aside for the log: this part of the disk, within limits. */
enum { SYNC_ASIDE_SHARE = 64, SYNC_ASIDE_MIN = 4 << 20, SYNC_ASIDE_MAX = 16 << 20 };

int meta_sqlite_sync(struct meta_driver *d)
{
	struct meta_sqlite *s = (struct meta_sqlite *)d;

	if (s->log_fd < 0)
		return 0;
	if (s->sync_failed)
		return -EIO;
	int err = io_sync_data(s->log_fd);

	if (err)
		log_error("meta: %s-wal: sync: %s", log_name(s->path, strlen(s->path)),
			  err_text(err));
	if (!err && !s->folder_synced)
		err = meta_sqlite_copy_sync_folder(s->path);
	if (err) {
		s->sync_failed = true;
		return -EIO;
	}
	s->folder_synced = true;
	return 0;
}

/*
 * Keeps blocks behind the log's end for it to grow into, so that the metadata can still change when something else has filled the
 * disk: files can be removed, and what was written can be recorded. The log is the one file that every change needs to grow. Where the disk is
 * full already, or takes no reservation, there is none.
 */
static void sync_set_aside(const struct meta_sqlite *s)
{
	struct statvfs disk;
	struct stat st;

	if (fstatvfs(s->log_fd, &disk) || fstat(s->log_fd, &st))
		return;
	uint64_t part = (uint64_t)disk.f_blocks * disk.f_frsize / SYNC_ASIDE_SHARE;

	part = part < SYNC_ASIDE_MIN   ? SYNC_ASIDE_MIN
	       : part > SYNC_ASIDE_MAX ? SYNC_ASIDE_MAX
				       : part;
	(void)fallocate(s->log_fd, FALLOC_FL_KEEP_SIZE, 0, st.st_size + (off_t)part);
}

/* Whether there is enough in the log that was not moved lately: as long as the writer goes on, it does not become shorter. */
static bool sync_is_due(struct meta_sqlite *s)
{
	int frames = atomic_load(&s->log_frames), before = atomic_load(&s->tidied_frames);
	int64_t now = time_mono_ns();

	if (frames < SYNC_TIDY_FRAMES)
		return false;
	if (frames >= before && frames - before < SYNC_TIDY_AGAIN_FRAMES &&
	    now - atomic_load(&s->tidied_ns) < SYNC_TIDY_NS)
		return false;
	atomic_store(&s->tidied_frames, frames);
	atomic_store(&s->tidied_ns, now);
	return true;
}

int meta_sqlite_tidy(struct meta_driver *d)
{
	struct meta_sqlite *s = (struct meta_sqlite *)d;
	struct meta_sqlite_conn *c;

	if (s->mode == META_SQLITE_WRITER && s->log_fd >= 0)
		sync_set_aside(s);

	if (s->mode != META_SQLITE_WRITER || !sync_is_due(s))
		return 0;
	int err = meta_sqlite_reader_get(s, &c);

	if (err)
		return err;
	int rc = sqlite3_wal_checkpoint_v2(c->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);

	if ((rc & 0xff) != SQLITE_BUSY)
		err = meta_sqlite_fail(c, rc, "move the log into the file");
	meta_sqlite_reader_put(s, c);
	return err;
}

void meta_sqlite_fold(struct meta_sqlite *s)
{
	int frames = s->main->log_frames, moved = 0, all = 0;

	s->main->full_told = false;
	atomic_store(&s->log_frames, frames);
	if (frames < SYNC_FOLD_FRAMES)
		s->next_fold = SYNC_FOLD_FRAMES;
	if (frames < s->next_fold)
		return;
	int rc = sqlite3_wal_checkpoint_v2(s->main->db, NULL, SQLITE_CHECKPOINT_PASSIVE, &all,
					   &moved);

	if ((rc & 0xff) != SQLITE_BUSY)
		meta_sqlite_fail(s->main, rc, "move the log into the file");
	s->next_fold = frames + SYNC_FOLD_AGAIN_FRAMES;
}
