/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the subcommands that change the tree share. */
#include "config.h"

#include "cmd-change.h"

#include <errno.h>
#include <string.h>

#include "library/control.h"

int change_begin(struct change *c, const struct cmd *cmd, const char *library)
{
	int code;

	*c = (struct change){ .cmd = cmd, .who = cmd_actor() };
	c->lib = cmd_open(cmd, library, 0, &code);
	return code;
}

void change_end(struct change *c)
{
	library_changed(c->lib);
	library_close(c->lib);
}

int change_tell(const struct change *c, const char *path, int err)
{
	if (err == -EINVAL && path[strspn(path, "/")] == '\0')
		return cmd_refuse(c->cmd, CMD_FAILED, path,
				  "the top folder cannot be made, moved or removed");
	return cmd_fail_path(c->cmd, c->lib, path, err);
}

int change_find(struct library *lib, const char *path, struct change_place *out)
{
	struct node parent;
	int err = tree_resolve_parent(lib, path, &parent, &out->name, &out->len);

	if (!err)
		out->parent = parent.ino;
	return err;
}

int change_find_target(struct library *lib, const struct change_place *from, const char *to,
		       struct change_place *out)
{
	struct node n;
	int err = tree_resolve(lib, to, &n);

	if (!err && n.kind == NODE_FOLDER) {
		*out = (struct change_place){ .parent = n.ino,
					      .name = from->name,
					      .len = from->len };
		return 0;
	}
	if (err && err != -ENOENT)
		return err;
	return change_find(lib, to, out);
}

int change_need_folder(const struct change *c, const char *to, const char *why)
{
	struct node n;

	if (!tree_resolve(c->lib, to, &n) && n.kind == NODE_FOLDER)
		return CMD_OK;
	return cmd_refuse(c->cmd, CMD_NOT_FOUND, to, "%s", why);
}
