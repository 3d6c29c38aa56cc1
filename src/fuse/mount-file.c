/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Requests about the content of assets. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fuse/mount-later.h"
#include "util/time.h"

/* A write of this much fits into memory without waiting, as a rule. */
#define WRITE_AT_ONCE (64 << 10)

/* What a copy waits for at a time. */
#define COPY_AWAIT (1 << 20)

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

static void do_open(struct mount_call *c)
{
	fuse_req_t req = c->req;
	fuse_ino_t ino = c->ino;
	struct fuse_file_info *fi = &c->fi;
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
	else if (mount_reply_open(req, fi) == -ENOENT)
		handle_free(NULL, m, h);
}

/* To write to sealed content that others have open, or to empty it, may mean to copy it. */
static void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	mount_call(&(struct mount_call){ .run = do_open,
					 .req = req,
					 .slow = (fi->flags & O_ACCMODE) != O_RDONLY ||
						 fi->flags & O_TRUNC,
					 .ino = ino,
					 .fi = *fi });
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

/* A buffer for one request of each thread, kept for the thread's life. */
struct read_buffer {
	size_t room;
	char bytes[];
};

static pthread_key_t read_key;

static void make_read_key(void)
{
	(void)pthread_key_create(&read_key, free);
}

char *mount_read_buffer(size_t size)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct read_buffer *b;

	(void)pthread_once(&once, make_read_key);
	b = pthread_getspecific(read_key);
	if (b && b->room >= size)
		return b->bytes;
	free(b);
	b = malloc(sizeof *b + size);
	if (b)
		b->room = size;
	if (pthread_setspecific(read_key, b)) {
		free(b);
		b = NULL;
	}
	return b ? b->bytes : NULL;
}

static void reply_read(struct mount_call *c, const char *buf, ssize_t got)
{
	struct mount_handle *h = handle(&c->fi);

	if (!atomic_exchange(&h->accessed, true))
		mount_note_access(mount_of(c->req), (int64_t)c->ino);
	if (got < 0)
		mount_reply_err(c->req, (int)got);
	else
		mount_reply_bytes(c->req, buf, (size_t)got);
}

static void do_read(struct mount_call *c)
{
	struct file *file = handle(&c->fi)->file;
	char *buf = mount_ring_request(c->req) ? mount_ring_memory(c->req, c->size)
					       : mount_read_buffer(c->size);
	ssize_t got = buf ? file_read_here(file, buf, c->size, (uint64_t)c->off) : -ENOMEM;

	if (got == -EREMOTE)
		mount_call_await(c, file, (uint64_t)c->off, c->size);
	else
		reply_read(c, buf, got);
}

/* What is in memory. */
static bool read_at_once(struct mount_call *c)
{
	char *buf = mount_ring_memory(c->req, c->size);
	ssize_t got = buf ? file_read_now(handle(&c->fi)->file, buf, c->size, (uint64_t)c->off)
			  : -EAGAIN;

	if (got < 0)
		return false;
	reply_read(c, buf, got);
	return true;
}

static void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		    struct fuse_file_info *fi)
{
	mount_call(&(struct mount_call){ .run = do_read,
					 .at_once = read_at_once,
					 .req = req,
					 .slow = true,
					 .ino = ino,
					 .size = size,
					 .off = off,
					 .fi = *fi });
}

static void do_write(struct mount_call *c)
{
	struct mount_handle *h = handle(&c->fi);
	ssize_t put = 0;

	if (mount_of(c->req)->kills && file_is_privileged(h->file))
		put = mount_before_change(c->req, c->ino);
	if (!put)
		put = file_write(h->file, c->name, c->size, (uint64_t)c->off);
	if (put < 0)
		mount_reply_err(c->req, (int)put);
	else
		mount_reply_write(c->req, (size_t)put);
}

/* It goes to memory; large ones are what fills that. */
static void op_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t off,
		     struct fuse_file_info *fi)
{
	mount_call(&(struct mount_call){ .run = do_write,
					 .req = req,
					 .slow = size > WRITE_AT_ONCE,
					 .ino = ino,
					 .name = buf,
					 .size = size,
					 .off = off,
					 .fi = *fi });
}

static void do_flush(struct mount_call *c)
{
	struct mount_handle *h = handle(&c->fi);

	mount_reply_err(c->req, h->flags == O_RDONLY ? 0 : file_closing(h->file));
}

static void op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	mount_call(&(struct mount_call){ .run = do_flush, .req = req, .ino = ino, .fi = *fi });
}

static void do_release(struct mount_call *c)
{
	handle_free(c->req, mount_of(c->req), handle(&c->fi));
	mount_reply_err(c->req, 0);
}

/* What a writer leaves may have to be recorded. */
static void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	mount_call(&(struct mount_call){ .run = do_release,
					 .req = req,
					 .slow = handle(fi)->flags != O_RDONLY,
					 .ino = ino,
					 .fi = *fi });
}

static void do_fsync(struct mount_call *c)
{
	mount_reply_err(c->req, file_sync(handle(&c->fi)->file, c->flags));
}

static void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	mount_call(&(struct mount_call){ .run = do_fsync,
					 .req = req,
					 .slow = true,
					 .ino = ino,
					 .flags = datasync,
					 .fi = *fi });
}

static void do_fallocate(struct mount_call *c)
{
	int err = mount_before_change(c->req, c->ino);

	if (!err)
		err = file_allocate(handle(&c->fi)->file, c->flags, (uint64_t)c->off,
				    (uint64_t)c->len);
	mount_reply_err(c->req, err);
}

static void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t off, off_t len,
			 struct fuse_file_info *fi)
{
	mount_call(&(struct mount_call){ .run = do_fallocate,
					 .req = req,
					 .slow = true,
					 .ino = ino,
					 .flags = mode,
					 .off = off,
					 .len = len,
					 .fi = *fi });
}

static void do_lseek(struct mount_call *c)
{
	struct mount *m = mount_of(c->req);
	int64_t pos;

	if (c->waits)
		mount_notify_content(m, (int64_t)c->ino);
	pos = file_seek(handle(&c->fi)->file, (uint64_t)c->off, c->flags);
	if (pos < 0)
		mount_reply_err(c->req, (int)pos);
	else
		mount_reply_lseek(c->req, pos);
}

/* The kernel asks without writing back first: dirty pages would be taken for holes. */
static void op_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence,
		     struct fuse_file_info *fi)
{
	mount_call(&(struct mount_call){ .run = do_lseek,
					 .req = req,
					 .slow = true,
					 .waits = mount_of(req)->opts.writeback &&
						  file_has_writer(handle(fi)->file),
					 .ino = ino,
					 .off = off,
					 .flags = whence,
					 .fi = *fi });
}

static void do_copy(struct mount_call *c)
{
	ssize_t done = c->flags ? -EINVAL : mount_before_change(c->req, c->other);

	if (done) {
		mount_reply_err(c->req, (int)done);
		return;
	}
	done = file_copy(handle(&c->fi)->file, (uint64_t)c->off, handle(&c->other_fi)->file,
			 (uint64_t)c->other_off, c->size);
	if (done == -EREMOTE)
		mount_call_await(c, handle(&c->fi)->file, (uint64_t)c->off,
				 c->size < COPY_AWAIT ? c->size : COPY_AWAIT);
	else if (done < 0)
		mount_reply_err(c->req, (int)done);
	else
		mount_reply_write(c->req, (size_t)done);
}

static void op_copy_file_range(fuse_req_t req, fuse_ino_t ino_in, off_t off_in,
			       struct fuse_file_info *fi_in, fuse_ino_t ino_out, off_t off_out,
			       struct fuse_file_info *fi_out, size_t len, int flags)
{
	mount_call(&(struct mount_call){ .run = do_copy,
					 .req = req,
					 .slow = true,
					 .ino = ino_in,
					 .off = off_in,
					 .fi = *fi_in,
					 .other = ino_out,
					 .other_off = off_out,
					 .other_fi = *fi_out,
					 .size = len,
					 .flags = flags });
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
