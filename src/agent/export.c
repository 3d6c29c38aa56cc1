/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Export. */
#include "config.h"

#include "agent/export.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "content/hash.h"
#include "library/file.h"
#include "library/internal.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/err.h"
#include "util/io.h"
#include "util/time.h"

enum { PIECE = 1 << 20, PAGE_ROWS = 256 };

struct export
{
	struct library *lib;
	const struct export_watch *watch;
	struct export_stats *stats;
	struct link_seen *links;
};

/* An asset with several placements, and where it was written first. */
struct link_seen {
	int64_t ino;
	char *path;
	struct link_seen *next;
};

/* Where content goes: a file, in which holes are left out, or a stream. */
struct sink {
	int fd;
	bool seekable;
	uint8_t *buf;
	size_t room;
};

static int sink_room(struct sink *s, size_t len)
{
	uint8_t *buf;

	if (len <= s->room)
		return 0;
	buf = realloc(s->buf, len);
	if (!buf)
		return -ENOMEM;
	s->buf = buf;
	s->room = len;
	return 0;
}

static int sink_write(struct sink *s, const void *bytes, size_t len, uint64_t off)
{
	return s->seekable ? io_pwrite_full(s->fd, bytes, len, off)
			   : io_write_full(s->fd, bytes, len);
}

static int sink_hole(struct sink *s, uint64_t len)
{
	int err = s->seekable ? 0 : sink_room(s, PIECE);

	if (s->seekable || err)
		return err;
	memset(s->buf, 0, PIECE);
	for (; len && !err; len -= len < PIECE ? len : PIECE)
		err = io_write_full(s->fd, s->buf, len < PIECE ? len : PIECE);
	return err;
}

struct chunk_row {
	uint64_t start, len;
	bool hole;
	struct hash hash;
};

struct chunk_page {
	struct chunk_row rows[PAGE_ROWS];
	size_t count;
};

static int add_chunk(void *arg, const struct meta_row *row)
{
	struct chunk_page *p = arg;
	struct chunk_row *r = &p->rows[p->count++];
	size_t len;
	const void *name = meta_row_bytes(row, 2, &len);

	*r = (struct chunk_row){ .start = (uint64_t)meta_row_int(row, 0),
				 .len = (uint64_t)meta_row_int(row, 1),
				 .hole = !name };
	if (name && len == sizeof r->hash.b)
		memcpy(r->hash.b, name, len);
	return 0;
}

static int write_chunk(struct export *x, struct file *f, const struct chunk_row *r, struct sink *s)
{
	struct hash got;
	ssize_t n;
	int err;

	if (r->hole)
		return sink_hole(s, r->len);
	err = sink_room(s, r->len);
	if (err)
		return err;
	n = file_read(f, s->buf, r->len, r->start);
	if (n < 0)
		return (int)n;
	err = hash_data(x->lib->algo, s->buf, (size_t)n, &got);
	if (err)
		return err;
	if ((uint64_t)n != r->len || !hash_equal(&got, &r->hash))
		return ERR_CORRUPT;
	return sink_write(s, s->buf, r->len, r->start);
}

static int write_sealed(struct export *x, struct file *f, int64_t object, struct sink *s)
{
	struct chunk_page *page = malloc(sizeof *page);
	int64_t next = 0;
	int err = page ? 0 : -ENOMEM;

	while (!err) {
		page->count = 0;
		err = META_QUERY(x->lib->meta, EXPORT_CHUNKS, add_chunk, page, META_I(object),
				 META_I(next));
		if (err <= 0)
			break;
		next += (int64_t)page->count;
		err = 0;
		for (size_t i = 0; i < page->count && !err; i++)
			err = write_chunk(x, f, &page->rows[i], s);
	}
	free(page);
	return err;
}

/* Content that is not sealed yet has no hashes to be checked against. */
static int write_draft(struct file *f, uint64_t size, struct sink *s)
{
	int err = sink_room(s, PIECE);

	for (uint64_t off = 0; off < size && !err;) {
		ssize_t n = file_read(f, s->buf, PIECE, off);

		if (n <= 0)
			return n < 0 ? (int)n : 0;
		err = sink_write(s, s->buf, (size_t)n, off);
		off += (uint64_t)n;
	}
	return err;
}

static int write_content(struct export *x, const struct node *n, struct sink *s)
{
	struct file *f;
	int err = file_open(x->lib, &(struct actor){ 0 }, n->ino, O_RDONLY, &f);

	if (err)
		return err;
	if (n->draft)
		err = write_draft(f, n->size, s);
	else if (n->object)
		err = write_sealed(x, f, n->object, s);
	file_close(f, O_RDONLY);
	free(s->buf);
	return err;
}

int export_content(struct library *lib, const struct node *n, int fd)
{
	struct export x = { .lib = lib };
	struct sink s = { .fd = fd };

	return n->kind == NODE_FOLDER  ? -EISDIR
	       : n->kind != NODE_ASSET ? -EINVAL
				       : write_content(&x, n, &s);
}

static int copy_xattrs(struct export *x, int64_t ino, const char *path)
{
	CLEANUP_BUF struct buf names = BUF_INIT;
	CLEANUP_BUF struct buf value = BUF_INIT;
	int err = tree_xattr_list(x->lib, ino, &names);

	for (size_t at = 0; at < names.len && !err; at += strlen(names.data + at) + 1) {
		buf_reset(&value);
		err = tree_xattr_get(x->lib, ino, names.data + at, &value);
		if (!err && lsetxattr(path, names.data + at, buf_str(&value), value.len, 0) &&
		    errno != EPERM && errno != EOPNOTSUPP)
			err = -errno;
	}
	return err;
}

/* Owner, mode, attributes, times, in the order in which none undoes another. Owners as far as we may. */
static int set_attributes(struct export *x, const struct node *n, const char *path)
{
	struct stat st;
	struct timespec times[2];
	int err = 0;

	node_stat(n, &st);
	times[0] = st.st_atim;
	times[1] = st.st_mtim;
	if (lchown(path, n->uid, n->gid) && geteuid() == 0)
		err = -errno;
	if (!err && n->kind != NODE_SYMLINK && chmod(path, n->mode))
		err = -errno;
	if (!err)
		err = copy_xattrs(x, n->ino, path);
	if (!err && utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW))
		err = -errno;
	return err;
}

static bool there_already(const struct node *n, const char *path)
{
	struct stat st, want;

	node_stat(n, &want);
	return !lstat(path, &st) && (st.st_mode & S_IFMT) == (want.st_mode & S_IFMT) &&
	       (n->kind != NODE_ASSET ||
		(st.st_size == want.st_size && time_from_spec(st.st_mtim) == n->mtime_ns));
}

/* Writes under a temporary name beside `path`; nothing is left on failure. */
static int write_asset(struct export *x, const struct node *n, const char *path)
{
	CLEANUP_BUF struct buf part = BUF_INIT;
	struct sink s = { .seekable = true };
	int err = buf_printf(&part, "%s.garner-part", path);

	if (err)
		return err;
	s.fd = open(part.data, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (s.fd < 0)
		return -errno;
	err = write_content(x, n, &s);
	if (!err && ftruncate(s.fd, (off_t)n->size))
		err = -errno;
	if (close(s.fd) && !err)
		err = -errno;
	if (!err)
		err = set_attributes(x, n, part.data);
	if (!err && rename(part.data, path))
		err = -errno;
	if (err)
		unlink(part.data);
	return err;
}

/* 1: linked to where it was written before; 0: it is the first; negative: failed. */
static int link_again(struct export *x, const struct node *n, const char *path)
{
	struct link_seen *l;

	for (l = x->links; l; l = l->next)
		if (l->ino == n->ino)
			return link(l->path, path) ? -errno : 1;
	l = calloc(1, sizeof *l);
	if (!l)
		return -ENOMEM;
	*l = (struct link_seen){ .ino = n->ino, .path = strdup(path), .next = x->links };
	x->links = l;
	return l->path ? 0 : -ENOMEM;
}

static int export_asset(struct export *x, const struct node *n, const char *path)
{
	int err = n->nlink > 1 ? link_again(x, n, path) : 0;

	if (err)
		return err < 0 ? err : 0;
	err = write_asset(x, n, path);
	if (!err) {
		x->stats->assets++;
		x->stats->bytes += n->size;
	}
	return err;
}

static int export_other(struct export *x, const struct node *n, const char *path)
{
	CLEANUP_BUF struct buf target = BUF_INIT;
	struct stat st;
	int err = 0;

	node_stat(n, &st);
	if (n->kind == NODE_SYMLINK) {
		err = tree_readlink(x->lib, n->ino, &target);
		if (!err && symlink(buf_str(&target), path))
			err = -errno;
	} else if (mknod(path, st.st_mode, n->rdev)) {
		err = -errno;
	}
	x->stats->others += !err;
	return err ? err : set_attributes(x, n, path);
}

static int export_node(struct export *x, const struct node *n, struct buf *path);

struct folder_walk {
	struct export *x;
	struct buf *path;
	int err;
};

static int export_entry(void *arg, const char *name, size_t len, int64_t cookie,
			const struct node *n)
{
	struct folder_walk *w = arg;
	size_t kept = w->path->len;
	int err;

	(void)cookie;
	if (buf_add_byte(w->path, '/') || buf_add(w->path, name, len))
		return w->err = -ENOMEM;
	err = export_node(w->x, n, w->path);
	if (err == -ENOSPC || err == -ENOMEM)
		w->err = err;
	else if (err) {
		w->x->stats->failed++;
		w->x->watch->failed(w->x->watch->arg, w->path->data, err);
	}
	w->path->len = kept;
	w->path->data[kept] = '\0';
	return w->err;
}

static int export_folder(struct export *x, const struct node *n, struct buf *path)
{
	struct folder_walk w = { .x = x, .path = path };
	int err = mkdir(path->data, 0700) && errno != EEXIST ? -errno : 0;

	if (!err)
		err = tree_list(x->lib, n->ino, 0, export_entry, &w);
	if (!err)
		err = w.err;
	x->stats->folders += !err;
	return err ? err : set_attributes(x, n, path->data);
}

static int export_node(struct export *x, const struct node *n, struct buf *path)
{
	if (x->watch->progress)
		x->watch->progress(x->watch->arg, x->stats);
	if (n->kind == NODE_FOLDER)
		return export_folder(x, n, path);
	if (there_already(n, path->data)) {
		x->stats->skipped++;
		return 0;
	}
	return n->kind == NODE_ASSET ? export_asset(x, n, path->data)
				     : export_other(x, n, path->data);
}

int export_tree(struct library *lib, const struct node *n, const char *target,
		const struct export_watch *watch, struct export_stats *stats)
{
	struct export x = { .lib = lib, .watch = watch, .stats = stats };
	CLEANUP_BUF struct buf path = BUF_INIT;
	int err = buf_add_str(&path, target);

	if (!err)
		err = export_node(&x, n, &path);
	while (x.links) {
		struct link_seen *l = x.links;

		x.links = l->next;
		free(l->path);
		free(l);
	}
	return err;
}
