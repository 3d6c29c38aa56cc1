/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The bytes of an asset on their way out: chunk by chunk, each checked against its hash before it is written. Another process may mount the library
 * and move a chunk while it is read; then the bytes are wrong, and its place is looked up anew. Of a draft only what was read while
 * the asset still had it is written.
 */
#include "config.h"

#include "agent/export-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "content/hash.h"
#include "content/view.h"
#include "library/file.h"
#include "library/internal.h"
#include "util/err.h"
#include "util/io.h"

enum { PIECE = 1 << 20, PAGE_ROWS = 256, TRIES = 5 };

/* Where content goes: a file, in which holes are left out, or a stream. */
struct sink {
	int fd;
	bool seekable;
	uint8_t *buf;
	size_t room;
	uint64_t written, skip; /* of a stream: bytes so far; what is not written a second time */
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

static int sink_write(struct sink *s, const uint8_t *bytes, size_t len, uint64_t off)
{
	size_t before = s->skip < len ? (size_t)s->skip : len;

	if (s->seekable)
		return io_pwrite_full(s->fd, bytes, len, off);
	s->skip -= before;
	s->written += len - before;
	return io_write_full(s->fd, bytes + before, len - before);
}

static int sink_hole(struct sink *s, uint64_t len)
{
	int err = s->seekable ? 0 : sink_room(s, PIECE);

	if (s->seekable || err)
		return err;
	memset(s->buf, 0, PIECE);
	for (; len && !err; len -= len < PIECE ? len : PIECE)
		err = sink_write(s, s->buf, len < PIECE ? len : PIECE, 0);
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

/* Sealed content, and where its bytes are said to be. */
struct sealed {
	struct library *lib;
	int64_t object;
	struct view *view;
};

/* -ESTALE: the object is gone. */
static int sealed_find(struct sealed *from)
{
	struct view *view = NULL;
	int err = view_of_object(library_content(from->lib), from->object, &view);

	if (err)
		return err == -ENOENT ? -ESTALE : err;
	view_put(from->view);
	from->view = view;
	return 0;
}

static int read_chunk(const struct sealed *from, const struct chunk_row *r, uint8_t *buf)
{
	ssize_t n = view_read(from->view, buf, r->len, r->start);
	struct hash got;
	int err = n < 0 ? (int)n : hash_data(from->lib->algo, buf, (size_t)n, &got);

	if (!err && ((uint64_t)n != r->len || !hash_equal(&got, &r->hash)))
		err = ERR_CORRUPT;
	return err;
}

static int write_chunk(struct sealed *from, const struct chunk_row *r, struct sink *s)
{
	int err;

	if (r->hole)
		return sink_hole(s, r->len);
	err = sink_room(s, r->len);
	if (err)
		return err;
	err = read_chunk(from, r, s->buf);
	for (int i = 1; i < TRIES && (err == ERR_CORRUPT || err == -EIO); i++) {
		int found = sealed_find(from);

		err = found ? found : read_chunk(from, r, s->buf);
	}
	return err ? err : sink_write(s, s->buf, r->len, r->start);
}

static int write_chunks(struct sealed *from, struct chunk_page *page, struct sink *s)
{
	uint64_t end = 0;
	int64_t next = 0;

	for (;;) {
		page->count = 0;
		int err = META_QUERY(from->lib->meta, EXPORT_CHUNKS, add_chunk, page,
				     META_I(from->object), META_I(next));

		if (err < 0)
			return err;
		if (err == 0)
			return end == from->view->size ? 0 : -ESTALE;
		next += (int64_t)page->count;
		for (size_t i = 0; i < page->count; i++) {
			err = write_chunk(from, &page->rows[i], s);
			if (err)
				return err;
			end = page->rows[i].start + page->rows[i].len;
		}
	}
}

static int write_sealed(struct library *lib, int64_t object, struct sink *s)
{
	struct sealed from = { .lib = lib, .object = object };
	struct chunk_page *page = malloc(sizeof *page);
	int err = page ? sealed_find(&from) : -ENOMEM;

	if (!err)
		err = write_chunks(&from, page, s);
	view_put(from.view);
	free(page);
	return err;
}

/* -ESTALE unless the asset still has the draft of before. */
static int check_draft(struct library *lib, const struct node *n)
{
	struct node now;
	int err = tree_get(lib, n->ino, &now);

	return err ? err : now.draft == n->draft ? 0 : -ESTALE;
}

static int write_open(struct library *lib, const struct node *n, struct file *f, struct sink *s)
{
	int err = sink_room(s, PIECE);

	for (uint64_t off = 0; off < n->size && !err;) {
		ssize_t got = file_read(f, s->buf, PIECE, off);

		err = got < 0 ? (int)got : check_draft(lib, n);
		if (err || !got)
			return err;
		err = sink_write(s, s->buf, (size_t)got, off);
		off += (uint64_t)got;
	}
	return err;
}

/* Content that is not sealed yet has no hashes to be checked against. -ESTALE: it has been sealed meanwhile. */
static int write_draft(struct library *lib, const struct node *n, struct sink *s)
{
	struct file *f;
	int err = file_open(lib, &(struct actor){ 0 }, n->ino, O_RDONLY, &f);

	if (err)
		return err;
	err = write_open(lib, n, f, s);
	file_close(f, O_RDONLY);
	return err;
}

/* Prepares for another try: `n` as it is now. */
static int begin_again(struct library *lib, struct node *n, struct sink *s)
{
	int err = tree_get(lib, n->ino, n);

	s->skip = s->written;
	if (!err && s->seekable && ftruncate(s->fd, 0))
		err = -errno;
	return err;
}

int export_content_write(struct library *lib, struct node *n, int fd, bool seekable)
{
	struct sink s = { .fd = fd, .seekable = seekable };
	int err = -ESTALE;

	for (int i = 0; i < TRIES && err == -ESTALE; i++) {
		err = i ? begin_again(lib, n, &s) : 0;
		if (!err && n->draft)
			err = write_draft(lib, n, &s);
		else if (!err && n->object)
			err = write_sealed(lib, n->object, &s);
	}
	free(s.buf);
	return err;
}

int export_content(struct library *lib, const struct node *n, int fd)
{
	struct node now = *n;

	if (n->kind == NODE_FOLDER)
		return -EISDIR;
	return n->kind == NODE_ASSET ? export_content_write(lib, &now, fd, false) : -EINVAL;
}
