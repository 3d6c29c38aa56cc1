/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Keeping the kernel's caches true to what other processes change: the journal watch calls us, we tell the kernel. Runs on the watch's thread, never on a
 * worker: a notification may wait for a request that a worker must answer. ENOENT means that the kernel has forgotten the node, which is as good.
 */
#include "config.h"

#include <stdlib.h>

#include "fuse/mount-later.h"
#include "library/watch.h"
#include "util/log.h"

/* Whether a notification may wait for requests: there is someone to answer them. */
static bool wait_begin(struct mount *m)
{
	bool may;

	lock_lock(&m->lock);
	may = !m->ending;
	m->notifying += may;
	lock_unlock(&m->lock);
	return may;
}

static void wait_end(struct mount *m)
{
	lock_lock(&m->lock);
	m->notifying--;
	lock_cond_broadcast(&m->notified);
	lock_unlock(&m->lock);
}

void mount_notify_end(struct mount *m)
{
	lock_lock(&m->lock);
	m->ending = true;
	while (m->notifying)
		lock_cond_wait(&m->notified, &m->lock);
	lock_unlock(&m->lock);
}

/* Waits for whoever changes the folder. */
static void forget_name(struct mount *m, int64_t parent, const char *name, size_t len)
{
	if (!parent || !len || !wait_begin(m))
		return;
	fuse_lowlevel_notify_inval_entry(m->se, (fuse_ino_t)parent, name, len);
	wait_end(m);
}

static void forget_attributes(struct mount *m, int64_t ino)
{
	if (ino)
		fuse_lowlevel_notify_inval_inode(m->se, (fuse_ino_t)ino, -1, 0);
}

/* All of a folder's cached listing, or of an asset's pages, and the attributes. */
void mount_notify_content(struct mount *m, int64_t ino)
{
	if (!ino || !wait_begin(m))
		return;
	fuse_lowlevel_notify_inval_inode(m->se, (fuse_ino_t)ino, 0, 0);
	wait_end(m);
}

static int forget_placement(void *arg, int64_t parent, const char *name, size_t len)
{
	forget_name(arg, parent, name, len);
	return 0;
}

/* With write-back the kernel takes no size from us for an inode that it knows: it has to forget it, by all its names. */
static void content_changed(struct mount *m, int64_t ino)
{
	if (m->opts.writeback)
		(void)tree_placements(m->lib, ino, forget_placement, m);
	mount_notify_content(m, ino);
}

static void changed(void *arg, const struct watch_change *c)
{
	struct mount *m = arg;

	/* The last close of the asset, which RELEASE makes: a change of content and of nothing else. */
	if (mount_later_must()) {
		if (mount_later_do(m, content_changed, c->ino))
			log_warn("inode %lld: the kernel may still cache what another process has "
				 "changed",
				 (long long)c->ino);
		return;
	}
	forget_name(m, c->parent, c->name, c->len);
	forget_name(m, c->old_parent, c->old_name, c->old_len);
	mount_notify_content(m, c->parent);
	if (c->old_parent != c->parent)
		mount_notify_content(m, c->old_parent);
	if (c->content)
		content_changed(m, c->ino);
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
		mount_notify_content(m, inos[i]);
	free(inos);
}
