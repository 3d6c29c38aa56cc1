/* SPDX-License-Identifier: GPL-3.0-or-later */
/* garner mount in the form that mount(8) calls. */
#ifndef GARNER_TOOLS_CMD_MOUNT_H
#define GARNER_TOOLS_CMD_MOUNT_H

#include "fuse/mount.h"
#include "util/buf.h"

/* Runs as mount.garner: argv is SPEC DIR [-sfnv] [-t TYPE] [-o OPTIONS]. Returns an exit code of mount(8): 0, 1 usage, 2 system, 32 failed. */
int cmd_mount_helper(int argc, char **argv);

/* What -o gave, beyond what the mount itself takes. */
struct mount_request {
	struct mount_options options;
	struct buf kernel; /* further options for the kernel; owned */
	bool remount;
	bool nofail;                 /* in fstab: a library that does not exist is no failure */
	bool nonempty;               /* no warning for a mountpoint that is not empty */
	unsigned long remount_flags; /* MS_* that `kernel` stands for */
};

/* The defaults for the calling user: root mounts for all users, with special files and set-uid, as a disk is. */
void mount_request_init(struct mount_request *r);
void mount_request_release(struct mount_request *r);

/*
 * Reads one -o list into `r`. Options that are for mount(8), systemd or init scripts alone are passed over. 0, -EINVAL with the offender
 * copied to `bad` (at most `size` bytes), or -ENOMEM.
 */
int mount_request_parse(struct mount_request *r, const char *list, char *bad, size_t size);

#endif
