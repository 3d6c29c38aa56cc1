/* SPDX-License-Identifier: GPL-3.0-or-later */
/* garner umount: takes the mount away and waits until its daemon has put everything where it belongs. */
#include "config.h"

#include <errno.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "fuse/mount.h"
#include "util/cleanup.h"

#define DAEMON_TIMEOUT_MS 60000

static const struct cmd_option options[] = {
	{ "lazy", 'l', NULL, "take the name away now, even if files are in use" },
	{ 0 },
};

/* The library mounted at `mountpoint` (the topmost mount there), to be freed; NULL when there is none. */
static char *find_library(const char *mountpoint)
{
	CLEANUP_FREE char *full = realpath(mountpoint, NULL);
	const char *wanted = full ? full : mountpoint; /* a dead mount has no real path */
	FILE *table = setmntent("/proc/self/mounts", "r");
	struct mntent *e;
	char *found = NULL;

	while (table && (e = getmntent(table))) {
		if (strcmp(e->mnt_dir, wanted) != 0)
			continue;
		free(found);
		found = strcmp(e->mnt_type, "fuse.garner") == 0 ? strdup(e->mnt_fsname) : NULL;
	}
	if (table)
		endmntent(table);
	return found;
}

static int wait_for_daemon(const struct cmd *cmd, const char *library)
{
	int err = library_wait_unmounted(library, DAEMON_TIMEOUT_MS);

	if (err == -ETIMEDOUT)
		fprintf(stderr, "garner umount: unmounted, but the daemon of %s is still at work\n",
			library);
	return cmd_fail(cmd, library, err);
}

static int run(const struct cmd *cmd, int argc, char **argv)
{
	CLEANUP_FREE char *library = NULL;
	struct cmd_line l;
	bool lazy = false;
	int key, err;

	cmd_begin(&l, cmd, argc, argv);
	while ((key = cmd_next(&l)) >= 0)
		lazy = lazy || key == 'l';
	if (key == CMD_STOP)
		return l.exit;
	library = find_library(l.argv[0]);
	if (!library) {
		fprintf(stderr, "garner umount: %s: no library is mounted there\n", l.argv[0]);
		return CMD_NOT_FOUND;
	}
	err = mount_detach(l.argv[0], lazy);
	if (err == -EBUSY)
		fprintf(stderr,
			"garner umount: files are in use ('fuser -vm %s' shows by whom); --lazy "
			"unmounts all the same\n",
			l.argv[0]);
	if (err)
		return cmd_fail(cmd, l.argv[0], err);
	return lazy ? CMD_OK : wait_for_daemon(cmd, library);
}

const struct cmd cmd_umount = {
	.name = "umount",
	.operands = "MOUNTPOINT",
	.summary = "Unmount a library",
	.options = options,
	.min_operands = 1,
	.max_operands = 1,
	.run = run,
};
