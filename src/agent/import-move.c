/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Moving: the source goes once its content is durable in the library.
 *
 * A file on the filesystem of the blobs that has one name, and that no one can write while a lease is held, is not copied: it becomes the blob itself, under
 * a second name, and then loses its first. While it has both, nothing is changed of it. If a writer comes in between, or the first name cannot
 * be removed, the library lets go of it and takes a copy.
 */
#include "config.h"

#include "agent/import-internal.h"
#include "util/err.h"
#include "util/log.h"
#include "util/time.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum seal_reuse import_move_reuse(struct import *run, const struct import_item *item)
{
	const struct stat *st = &item->st;
	bool ours = geteuid() == 0 || (st->st_uid == geteuid() && (st->st_mode & 0600) == 0600);

	if (item->what == IMPORT_VERIFY || item->held >= 0)
		return SEAL_COPY;
	if (run->o->move && item->leased && st->st_nlink == 1 && st->st_dev == run->blobs_dev &&
	    ours)
		return SEAL_ADOPT;
	return st->st_dev == run->blobs_dev ? SEAL_CLONE : SEAL_COPY;
}

/* Whether the name still is that of the file that was read. */
static int import_move_check(const struct import_item *item, int at)
{
	const struct stat *was = &item->st;
	struct stat st;

	if (fstatat(at, item->name, &st, AT_SYMLINK_NOFOLLOW))
		return -errno;
	if (st.st_ino != was->st_ino || st.st_dev != was->st_dev || st.st_size != was->st_size ||
	    time_from_spec(st.st_mtim) != time_from_spec(was->st_mtim) ||
	    !import_source_quiet(item))
		return -ESTALE;
	return 0;
}

static int import_move_unlink(struct import *run, const struct import_item *item)
{
	int at = import_folder_enter(run, item->folder);
	int err = at < 0 ? at : import_move_check(item, at);

	if (!err && unlinkat(at, item->name, 0))
		err = -errno;
	if (at >= 0)
		import_folder_leave(run, item->folder);
	return err;
}

/* The content again, as a copy. Its rows are there already and get places for the bytes. */
static int import_move_copy(struct import_item *item, struct seal *seal)
{
	int err = seal_disown(seal, item->source);

	if (err)
		return err;
	item->held = item->fd;
	item->fd = -1;
	item->tries = 0;
	item->again = true;
	return 0;
}

void import_move_source(struct import *run, struct import_item *item, struct seal *seal)
{
	bool adopted = item->sealed && seal && seal_adopted(seal, item->source);
	int err = import_move_unlink(run, item);

	if (!err) {
		import_count(run, &run->stats.removed, 1);
		/* A blob's mode and owner, now that it is no one else's any more. */
		if (adopted && (fchown(item->fd, geteuid(), getegid()) || fchmod(item->fd, 0600)))
			log_warn("%s: keeps its mode and owner as a blob",
				 log_name(item->name, strlen(item->name)));
		return;
	}
	if (adopted) {
		int undone = import_move_copy(item, seal);

		if (undone)
			import_fail(run, undone);
		return;
	}
	if (err == -ESTALE)
		import_tell(run, item->folder, item->name, true,
			    "was changed meanwhile and is not removed");
	else
		import_tell(run, item->folder, item->name, true, err_text(err));
}

/* A folder that is left has its times again, so that another import finds them. */
static void import_move_times(struct import *run, struct import_folder *f)
{
	struct timespec times[2] = { f->st.st_atim, f->st.st_mtim };
	int at = import_folder_enter(run, f);

	if (at < 0)
		return;
	if (futimens(at, times))
		log_debug("%s: %s", log_name(f->name, strlen(f->name)), err_text(-errno));
	import_folder_leave(run, f);
}

void import_move_folder(struct import *run, struct import_folder *f)
{
	int at = import_folder_enter(run, f->parent);

	if (at < 0)
		return;
	if (!unlinkat(at, f->name, AT_REMOVEDIR))
		import_count(run, &run->stats.removed, 1);
	else
		import_move_times(run, f);
	import_folder_leave(run, f->parent);
}
