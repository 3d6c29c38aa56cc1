/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Requests about the content of assets. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fuse/mount-internal.h"
#include "util/time.h"

static struct mount_handle *handle(const struct fuse_file_info *fi)
{
	return (struct mount_handle *)(uintptr_t)fi->fh;
}

static int handle_new(int flags, struct mount_handle **out)
{
	struct mount_handle *h = calloc(1, sizeof *h);

	if (!h)
		return -ENOMEM;
	h->flags = flags & O_ACCMODE;
	h->opened_ns = time_mono_ns();
	*out = h;
	return 0;
}

static void handle_list(struct mount *m, struct mount_handle *h)
{
	lock_lock(&m->lock);
	h->next = m->handles;
	h->at = &m->handles;
	if (h->next)
		h->next->at = &h->next;
	m->handles = h;
	lock_unlock(&m->lock);
}

/* `req` may be NULL when the connection is gone. */
static void handle_free(fuse_req_t req, struct mount *m, struct mount_handle *h)
{
	lock_lock(&m->lock);
	*h->at = h->next;
	if (h->next)
		h->next->at = h->at;
	lock_unlock(&m->lock);
	mount_way_leave(req, m, h);
	file_close(h->file, h->flags);
	free(h);
}

void mount_close_handles(struct mount *m)
{
	while (m->handles)
		handle_free(NULL, m, m->handles);
}

/*
 * Lists the handle and tells the kernel what it may do with it: its pages stay valid across opens; only writers have something to say at close(2).
 * On failure the handle is gone.
 */
static int handle_ready(fuse_req_t req, struct mount_handle *h, bool created,
			struct fuse_file_info *fi)
{
	struct mount *m = mount_of(req);
	int err;

	handle_list(m, h);
	fi->fh = (uintptr_t)h;
	fi->noflush = h->flags == O_RDONLY;
	err = mount_way_take(req, h, created, fi);
	if (err)
		handle_free(req, m, h);
	return err;
}

static void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct mount *m = mount_of(req);
	struct actor who = mount_actor(req);
	struct mount_handle *h = NULL;
	int err = handle_new(fi->flags, &h);

	if (!err)
		err = file_open(m->lib, &who, (int64_t)ino, fi->flags & (O_ACCMODE | O_TRUNC),
				&h->file);
	if (err) {
		free(h);
		mount_reply_err(req, err);
		return;
	}
	if (fi->flags & O_TRUNC && m->kills && file_is_privileged(h->file))
		(void)mount_before_change(req, ino);
	/* What a reader reads may all be cached, and we would not hear of it: open counts. */
	if (h->flags == O_RDONLY && !(fi->flags & O_NOATIME))
		mount_note_access(m, (int64_t)ino);
	atomic_store(&h->accessed, h->flags == O_RDONLY || (fi->flags & O_NOATIME));
	err = handle_ready(req, h, false, fi);
	if (err)
		mount_reply_err(req, err);
	else if (fuse_reply_open(req, fi) == -ENOENT)
		handle_free(NULL, m, h);
}

/* Makes an asset and opens it; without a name (NULL) it goes with its last close unless it was linked. */
static void make_and_open(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
			  struct fuse_file_info *fi)
{
	struct mount *m = mount_of(req);
	struct actor who = mount_actor(req);
	struct tree_new what = { .parent = (int64_t)parent,
				 .name = name,
				 .len = name ? strlen(name) : 0,
				 .mode = (mode & 07777) | S_IFREG };
	struct fuse_entry_param e;
	struct mount_handle *h = NULL;
	struct node n;
	int err = handle_new(fi->flags, &h);

	if (!err)
		err = file_create(m->lib, &who, &what, fi->flags & O_ACCMODE, &n, &h->file);
	if (err) {
		free(h);
		mount_reply_err(req, err);
		return;
	}
	err = handle_ready(req, h, true, fi);
	if (err) {
		mount_reply_err(req, err);
		return;
	}
	mount_fill_entry(m, &n, &e);
	if (fuse_reply_create(req, &e, fi) == -ENOENT)
		handle_free(NULL, m, h);
}

static void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
		      struct fuse_file_info *fi)
{
	make_and_open(req, parent, name, mode, fi);
}

#if FUSE_VERSION >= FUSE_MAKE_VERSION(3, 17)
static void op_tmpfile(fuse_req_t req, fuse_ino_t parent, mode_t mode, struct fuse_file_info *fi)
{
	make_and_open(req, parent, NULL, mode, fi);
}
#endif

/* A buffer for one read request of each worker thread, kept for its life. */
static _Thread_local char *read_buffer;
static _Thread_local size_t read_room;

char *mount_read_buffer(size_t size)
{
	if (size > read_room) {
		free(read_buffer);
		read_buffer = malloc(size);
		read_room = read_buffer ? size : 0;
	}
	return read_buffer;
}

void mount_release_buffers(void)
{
	free(read_buffer);
	read_buffer = NULL;
	read_room = 0;
}

static void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		    struct fuse_file_info *fi)
{
	struct mount_handle *h = handle(fi);
	char *buf = mount_read_buffer(size);
	ssize_t got;

	if (!buf) {
		mount_reply_err(req, -ENOMEM);
		return;
	}
	if (!atomic_exchange(&h->accessed, true))
		mount_note_access(mount_of(req), (int64_t)ino);
	got = file_read(h->file, buf, size, (uint64_t)off);
	if (got < 0)
		mount_reply_err(req, (int)got);
	else
		fuse_reply_buf(req, buf, (size_t)got);
}

static void op_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t off,
		     struct fuse_file_info *fi)
{
	struct mount_handle *h = handle(fi);
	ssize_t put = 0;

	if (mount_of(req)->kills && file_is_privileged(h->file))
		put = mount_before_change(req, ino);
	if (!put)
		put = file_write(h->file, buf, size, (uint64_t)off);
	if (put < 0)
		mount_reply_err(req, (int)put);
	else
		fuse_reply_write(req, (size_t)put);
}

static void op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct mount_handle *h = handle(fi);

	(void)ino;
	mount_reply_err(req, h->flags == O_RDONLY ? 0 : file_closing(h->file));
}

static void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	handle_free(req, mount_of(req), handle(fi));
	mount_reply_err(req, 0);
}

static void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	(void)ino;
	mount_reply_err(req, file_sync(handle(fi)->file, datasync));
}

static void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t off, off_t len,
			 struct fuse_file_info *fi)
{
	int err = mount_before_change(req, ino);

	if (!err)
		err = file_allocate(handle(fi)->file, mode, (uint64_t)off, (uint64_t)len);
	mount_reply_err(req, err);
}

/* The kernel asks without writing back first: dirty pages would be taken for holes. */
static void op_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence,
		     struct fuse_file_info *fi)
{
	struct mount *m = mount_of(req);
	int64_t pos;

	if (m->opts.writeback && file_has_writer(handle(fi)->file))
		fuse_lowlevel_notify_inval_inode(m->se, ino, 0, 0);
	pos = file_seek(handle(fi)->file, (uint64_t)off, whence);
	if (pos < 0)
		mount_reply_err(req, (int)pos);
	else
		fuse_reply_lseek(req, pos);
}

static void op_copy_file_range(fuse_req_t req, fuse_ino_t ino_in, off_t off_in,
			       struct fuse_file_info *fi_in, fuse_ino_t ino_out, off_t off_out,
			       struct fuse_file_info *fi_out, size_t len, int flags)
{
	ssize_t done;

	(void)ino_in;
	done = flags ? -EINVAL : mount_before_change(req, ino_out);
	if (done) {
		mount_reply_err(req, (int)done);
		return;
	}
	done = file_copy(handle(fi_in)->file, (uint64_t)off_in, handle(fi_out)->file,
			 (uint64_t)off_out, len);
	if (done < 0)
		mount_reply_err(req, (int)done);
	else
		fuse_reply_write(req, (size_t)done);
}

void mount_add_file_ops(struct fuse_lowlevel_ops *ops)
{
	ops->open = op_open;
	ops->create = op_create;
#if FUSE_VERSION >= FUSE_MAKE_VERSION(3, 17)
	ops->tmpfile = op_tmpfile;
#endif
	ops->read = op_read;
	ops->write = op_write;
	ops->flush = op_flush;
	ops->release = op_release;
	ops->fsync = op_fsync;
	ops->fallocate = op_fallocate;
	ops->lseek = op_lseek;
	ops->copy_file_range = op_copy_file_range;
}
