/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Opening a library for a subcommand, and what to say when that fails: the likeliest mistakes have a sentence of their own. */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "library/control.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/err.h"

enum { RECORD_TIMEOUT_MS = 10000 };

char *cmd_full_path(const char *path)
{
	CLEANUP_FREE char *copy = NULL;
	CLEANUP_FREE char *above = NULL;
	CLEANUP_BUF struct buf out = BUF_INIT;
	char *full = realpath(path, NULL), *slash;

	if (full || errno != ENOTCONN)
		return full;
	copy = strdup(path);
	if (!copy)
		return NULL;
	for (size_t len = strlen(copy); len > 1 && copy[len - 1] == '/'; len--)
		copy[len - 1] = '\0';
	slash = strrchr(copy, '/');
	if (slash)
		*slash = '\0';
	above = realpath(!slash ? "." : slash == copy ? "/" : copy, NULL);
	if (!above ||
	    buf_printf(&out, "%s%s%s", above, above[1] ? "/" : "", slash ? slash + 1 : copy))
		return NULL;
	return buf_take(&out, NULL);
}

bool cmd_lies_in(const char *inner, const char *outer)
{
	size_t len = strlen(outer);

	return strncmp(inner, outer, len) == 0 &&
	       (inner[len] == '/' || inner[len] == '\0' || len == 1);
}

/* The last mount of garner's in the table that `fits`; *found is what else it says, to be freed. */
static void search_mounts(const char *library, const char *mountpoint, char **found)
{
	FILE *table = setmntent("/proc/self/mounts", "r");
	struct mntent *e;

	while (table && (e = getmntent(table))) {
		bool ours = strcmp(e->mnt_type, "fuse.garner") == 0;

		if (mountpoint && strcmp(e->mnt_dir, mountpoint) == 0) {
			free(*found);
			*found = ours ? strdup(e->mnt_fsname) : NULL;
		}
		if (library && ours && strcmp(e->mnt_fsname, library) == 0) {
			free(*found);
			*found = strdup(e->mnt_dir);
		}
	}
	if (table)
		endmntent(table);
}

char *cmd_library_at(const char *mountpoint)
{
	CLEANUP_FREE char *full = cmd_full_path(mountpoint);
	char *found = NULL;

	if (full)
		search_mounts(NULL, full, &found);
	return found;
}

char *cmd_mountpoint_of(const char *library)
{
	CLEANUP_FREE char *full = realpath(library, NULL);
	char *found = NULL;

	if (full)
		search_mounts(full, NULL, &found);
	return found;
}

bool cmd_is_automount(const char *mountpoint)
{
	FILE *table = setmntent("/proc/self/mounts", "r");
	struct mntent *e;
	bool found = false;

	while (table && (e = getmntent(table)))
		if (strcmp(e->mnt_dir, mountpoint) == 0)
			found = strcmp(e->mnt_type, "autofs") == 0;
	if (table)
		endmntent(table);
	return found;
}

static bool is_empty_folder(const char *path)
{
	CLEANUP_DIR DIR *d = opendir(path);
	struct dirent *e;

	while (d && (e = readdir(d)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			return false;
	return d;
}

static int refuse_no_library(const struct cmd *cmd, const char *path)
{
	CLEANUP_FREE char *library = cmd_library_at(path);

	if (library)
		return cmd_refuse(cmd, CMD_DAMAGED, path,
				  "not the library, but where it is mounted; the library is %s",
				  library);
	if (is_empty_folder(path))
		return cmd_refuse(cmd, CMD_DAMAGED, path,
				  "an empty folder, not a library; 'garner init' makes it one");
	return cmd_refuse(cmd, CMD_DAMAGED, path, "not a garner library");
}

static int refuse_locked(const struct cmd *cmd, const char *path)
{
	CLEANUP_FREE char *at = cmd_mountpoint_of(path);

	if (at)
		return cmd_refuse(cmd, CMD_BUSY, path, "mounted at %s", at);
	return cmd_refuse(cmd, CMD_BUSY, path,
			  "in use by another process (a mount, 'garner sync' or 'garner gc')");
}

int cmd_fail_library(const struct cmd *cmd, const char *path, int err)
{
	int code = cmd_exit_of(err);

	switch (err) {
	case -ENOENT:
		return cmd_refuse(cmd, code, path,
				  "there is no such library; 'garner init' makes one");
	case -ENOTDIR:
		return cmd_refuse(cmd, code, path, "not a folder; a library is one");
	case -EACCES:
	case -EPERM:
		return cmd_refuse(cmd, code, path,
				  "permission denied; a library is used by the user who made it");
	case -EROFS:
		return cmd_refuse(
			cmd, code, path,
			"on a read-only disk; 'garner mount -o ro' mounts it for reading");
	case ERR_NOTLIB:
		return refuse_no_library(cmd, path);
	case ERR_LOCKED:
		return refuse_locked(cmd, path);
	case ERR_FUTURE:
		return cmd_refuse(cmd, code, path,
				  "made or migrated by a newer garner; install that version");
	default:
		return cmd_fail(cmd, path, err);
	}
}

void cmd_record_mount(const char *library)
{
	(void)control_call(library, "{\"do\":\"flush\"}", RECORD_TIMEOUT_MS, NULL);
}

struct library *cmd_open(const struct cmd *cmd, const char *path, int flags, int *exit_code)
{
	struct library *lib = NULL;
	int err = library_open(path, flags, &lib);

	*exit_code = cmd_fail_library(cmd, path, err);
	return err ? NULL : lib;
}

const char *cmd_path_below(struct library *lib, const char *path)
{
	CLEANUP_FREE char *at = cmd_mountpoint_of(library_path(lib));
	size_t len = at ? strlen(at) : 0;

	if (!at || strncmp(path, at, len) != 0 || (path[len] != '/' && path[len]))
		return NULL;
	return path[len] ? path + len : "/";
}

int cmd_fail_path(const struct cmd *cmd, struct library *lib, const char *path, int err)
{
	const char *below = err == -ENOENT || err == -ENOTDIR ? cmd_path_below(lib, path) : NULL;

	if (below)
		return cmd_refuse(cmd, CMD_NOT_FOUND, path,
				  "paths are given from the top of the library: '%s'", below);
	if (err == -ENOENT)
		return cmd_refuse(cmd, CMD_NOT_FOUND, path, "not in the library");
	return cmd_fail(cmd, path, err);
}
