/* SPDX-License-Identifier: GPL-3.0-or-later */
/* garner umount: takes the mount away and waits until its daemon has put everything where it belongs. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "cmd.h"
#include "fuse/mount.h"
#include "util/cleanup.h"

#define DAEMON_TIMEOUT_MS 60000
#define BUSY_PAUSE_MS 50
#define BUSY_TRIES 20

static const struct cmd_option options[] = {
	{ "lazy", 'l', NULL, "take the name away now, even if files are in use" },
	{ 0 },
};

static int wait_for_daemon(const struct cmd *cmd, const char *library)
{
	int err = library_wait_unmounted(library, DAEMON_TIMEOUT_MS);

	if (err == -ETIMEDOUT)
		return cmd_refuse(cmd, CMD_FAILED, library,
				  "unmounted here, but its daemon is still at work; a container or "
				  "service may have the mount in a namespace of its own");
	return cmd_fail(cmd, library, err);
}

/* What looks at every new mount (indexers, file managers) has it open for a moment: that is waited for. */
static int detach(const char *mountpoint, bool lazy)
{
	int err = mount_detach(mountpoint, lazy);

	for (int i = 0; i < BUSY_TRIES && err == -EBUSY; i++) {
		nanosleep(&(struct timespec){ .tv_nsec = BUSY_PAUSE_MS * 1000000L }, NULL);
		err = mount_detach(mountpoint, lazy);
	}
	return err;
}

static int run(const struct cmd *cmd, int argc, char **argv)
{
	CLEANUP_FREE char *library = NULL;
	CLEANUP_FREE char *at = NULL;
	struct cmd_line l;
	bool lazy = false;
	int key, err;

	cmd_begin(&l, cmd, argc, argv);
	while ((key = cmd_next(&l)) >= 0)
		lazy = lazy || key == 'l';
	if (key == CMD_STOP)
		return l.exit;
	at = cmd_full_path(l.argv[0]);
	library = cmd_library_at(l.argv[0]);
	if (!library) {
		free(at);
		at = cmd_mountpoint_of(l.argv[0]);
		library = at ? realpath(l.argv[0], NULL) : NULL;
	}
	if (!library)
		return cmd_refuse(cmd, CMD_NOT_FOUND, l.argv[0], "no library is mounted there");
	err = detach(at, lazy);
	if (err == -EBUSY)
		return cmd_refuse(cmd, CMD_BUSY, at,
				  "files in it are in use ('fuser -vm' shows by whom); --lazy "
				  "unmounts all the same");
	if (err)
		return cmd_fail(cmd, at, err);
	return lazy ? CMD_OK : wait_for_daemon(cmd, library);
}

const struct cmd cmd_umount = {
	.name = "umount",
	.operands = "MOUNTPOINT|LIBRARY",
	.summary = "Unmount a library",
	.options = options,
	.min_operands = 1,
	.max_operands = 1,
	.run = run,
};
