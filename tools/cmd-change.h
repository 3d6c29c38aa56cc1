/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the subcommands that change the tree share: mkdir, mv, rm, cp. */
#ifndef GARNER_TOOLS_CMD_CHANGE_H
#define GARNER_TOOLS_CMD_CHANGE_H

#include "cmd.h"

/* One open library and who changes it. */
struct change {
	const struct cmd *cmd;
	struct library *lib;
	struct actor who;
};

/* Opens the library; an exit code, after which, where it is CMD_OK, change_end() is due. */
int change_begin(struct change *c, const struct cmd *cmd, const char *library);
/* Tells a running mount what has changed, waits for it, and closes the library. */
void change_end(struct change *c);

/* cmd_fail_path() with what can be said of a change of the tree. */
int change_tell(const struct change *c, const char *path, int err);

/* A name in a folder; the bytes are within the path that it was made from. */
struct change_place {
	int64_t parent;
	const char *name;
	size_t len;
};

/* The place that a path names. As tree_resolve_parent(). */
int change_find(struct library *lib, const char *path, struct change_place *out);

/*
 * Where something of the name of FROM goes that is to go to TO: into TO if that is a folder, else under the name TO. 0, or as tree_resolve_parent().
 */
int change_find_target(struct library *lib, const struct change_place *from, const char *to,
		       struct change_place *out);

/* Whether TO is a folder, for what can be done with several only there; an exit code, told if it is none. */
int change_need_folder(const struct change *c, const char *to, const char *why);

#endif
