/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Unmounting by name: umount2(2) where we may, the setuid fusermount3 for an ordinary user. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fuse/mount.h"

extern char **environ;

/* Runs fusermount3 with its messages suppressed; what went wrong is found out by looking. */
static int run_fusermount(const char *mountpoint, bool lazy)
{
	char program[] = "fusermount3", quiet[] = "-q", unmount[] = "-u", detach[] = "-z",
	     end[] = "--";
	char *path = strdup(mountpoint);
	char *with[] = { program, quiet, unmount, detach, end, path, NULL };
	char *without[] = { program, quiet, unmount, end, path, NULL };
	posix_spawn_file_actions_t files;
	int status = -1, err;
	pid_t pid;

	if (!path)
		return -ENOMEM;
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_addopen(&files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	err = posix_spawnp(&pid, program, &files, NULL, lazy ? with : without, environ);
	posix_spawn_file_actions_destroy(&files);
	free(path);
	if (err)
		return -err;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EBUSY;
}

int mount_detach(const char *mountpoint, bool lazy)
{
	if (!umount2(mountpoint, (lazy ? MNT_DETACH : 0) | UMOUNT_NOFOLLOW))
		return 0;
	if (errno != EPERM)
		return -errno;
	return run_fusermount(mountpoint, lazy);
}
