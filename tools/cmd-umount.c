/* SPDX-License-Identifier: GPL-3.0-or-later */
/* garner umount. */
#include "config.h"

#include <errno.h>
#include <stdio.h>

#include "cmd.h"
#include "fuse/mount.h"

static const struct cmd_option options[] = {
	{ "lazy", 'l', NULL, "take the name away now, even if files are in use" },
	{ 0 },
};

static int run(const struct cmd *cmd, int argc, char **argv)
{
	struct cmd_line l;
	bool lazy = false;
	int key, err;

	cmd_begin(&l, cmd, argc, argv);
	while ((key = cmd_next(&l)) >= 0)
		lazy = lazy || key == 'l';
	if (key == CMD_STOP)
		return l.exit;
	err = mount_detach(l.argv[0], lazy);
	if (err == -EBUSY)
		fprintf(stderr,
			"garner umount: files are in use ('fuser -vm %s' shows by whom); --lazy "
			"unmounts all the same\n",
			l.argv[0]);
	if (err == -EINVAL) {
		fprintf(stderr, "garner umount: %s: nothing is mounted there\n", l.argv[0]);
		return CMD_NOT_FOUND;
	}
	return cmd_fail(cmd, l.argv[0], err);
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
