/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Keeping the kernel's caches true to what other processes change: the journal watch calls us, we tell the kernel. Runs on the watch's thread, never on a
 * worker: a notification may wait for a request that a worker must answer. ENOENT means that the kernel has forgotten the node, which is as good.
 */
#include "config.h"

#include <stdlib.h>

#include "fuse/mount-internal.h"
#include "library/watch.h"

static void forget_name(struct mount *m, int64_t parent, const char *name, size_t len)
{
	if (parent && len)
		fuse_lowlevel_notify_inval_entry(m->se, (fuse_ino_t)parent, name, len);
}

static void forget_attributes(struct mount *m, int64_t ino)
{
	if (ino)
		fuse_lowlevel_notify_inval_inode(m->se, (fuse_ino_t)ino, -1, 0);
}

/* All of a folder's cached listing, or of an asset's pages, and the attributes. */
static void forget_content(struct mount *m, int64_t ino)
{
	if (ino)
		fuse_lowlevel_notify_inval_inode(m->se, (fuse_ino_t)ino, 0, 0);
}

static int forget_placement(void *arg, int64_t parent, const char *name, size_t len)
{
	forget_name(arg, parent, name, len);
	return 0;
}

static void changed(void *arg, const struct watch_change *c)
{
	struct mount *m = arg;

	forget_name(m, c->parent, c->name, c->len);
	forget_name(m, c->old_parent, c->old_name, c->old_len);
	forget_content(m, c->parent);
	if (c->old_parent != c->parent)
		forget_content(m, c->old_parent);
	/* With write-back the kernel takes no size from us for an inode that it knows: it has to forget it, by all its names. */
	if (c->content && m->opts.writeback)
		(void)tree_placements(m->lib, c->ino, forget_placement, m);
	if (c->content)
		forget_content(m, c->ino);
	else
		forget_attributes(m, c->ino);
}

int mount_notify_start(struct mount *m)
{
	watch_listen(m->lib, changed, m);
	return 0;
}

void mount_notify_stop(struct mount *m)
{
	watch_listen(m->lib, NULL, NULL);
}

void mount_write_back(struct mount *m)
{
	int64_t *inos = NULL;
	size_t count = 0;

	if (!m->opts.writeback || files_writers(m->lib, &inos, &count))
		return;
	for (size_t i = 0; i < count; i++)
		forget_content(m, inos[i]);
	free(inos);
}
