/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The bytes of an asset on their way out: chunk by chunk, each checked against its hash before it is written. */
#include "config.h"

#include "agent/export-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "content/hash.h"
#include "library/file.h"
#include "library/internal.h"
#include "util/err.h"
#include "util/io.h"

enum { PIECE = 1 << 20, PAGE_ROWS = 256 };

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

static int write_chunk(struct library *lib, struct file *f, const struct chunk_row *r,
		       struct sink *s)
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
	err = hash_data(lib->algo, s->buf, (size_t)n, &got);
	if (err)
		return err;
	if ((uint64_t)n != r->len || !hash_equal(&got, &r->hash))
		return ERR_CORRUPT;
	return sink_write(s, s->buf, r->len, r->start);
}

static int write_sealed(struct library *lib, struct file *f, int64_t object, struct sink *s)
{
	struct chunk_page *page = malloc(sizeof *page);
	int64_t next = 0;
	int err = page ? 0 : -ENOMEM;

	while (!err) {
		page->count = 0;
		err = META_QUERY(lib->meta, EXPORT_CHUNKS, add_chunk, page, META_I(object),
				 META_I(next));
		if (err <= 0)
			break;
		next += (int64_t)page->count;
		err = 0;
		for (size_t i = 0; i < page->count && !err; i++)
			err = write_chunk(lib, f, &page->rows[i], s);
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

int export_content_write(struct library *lib, const struct node *n, int fd, bool seekable)
{
	struct sink s = { .fd = fd, .seekable = seekable };
	struct file *f;
	int err = file_open(lib, &(struct actor){ 0 }, n->ino, O_RDONLY, &f);

	if (err)
		return err;
	if (n->draft)
		err = write_draft(f, n->size, &s);
	else if (n->object)
		err = write_sealed(lib, f, n->object, &s);
	file_close(f, O_RDONLY);
	free(s.buf);
	return err;
}

int export_content(struct library *lib, const struct node *n, int fd)
{
	if (n->kind == NODE_FOLDER)
		return -EISDIR;
	return n->kind == NODE_ASSET ? export_content_write(lib, n, fd, false) : -EINVAL;
}
