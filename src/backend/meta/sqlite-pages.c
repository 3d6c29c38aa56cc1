/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Pages by way of the log (PATH-wal), which has each change of every process until it was moved into the main file. Nothing is written and nothing
 * held between two moments, so neither writers nor the moving of the log notice.
 *
 * A moment is a read transaction, and the log up to the last transaction in it. Why what is read is of one moment:
 * - Of a page that is in the log the newest frame is read, of another the main file. With a read transaction open only such frames are moved into the main file as the transaction
 *   sees (wal.c, walCheckpoint), and all of those are in the log that is read here: so no page that is read from the main file changes.
 * - Or the transaction reads the main file alone, since all of the log was moved: then nothing is moved while it is open, but a writer may begin the log anew. It writes the
 *   log's header first, so the header, looked at again at the end, tells; then all is to be read again (-EAGAIN). More than once that cannot happen in one transaction.
 * - The last transaction in the log may not be known to others yet, or be lost to them if its writer died in that instant. The next moment then finds another frame in its place, and
 *   gives up on knowing what has changed.
 *
 * What has changed since the last moment are the pages in the log behind where it ended. When the log was begun anew once since, that is the rest of the round
 * before, as far as it is still behind the frames of the new one, and all of the new one. Where that cannot be told, any page may have changed (moment.all).
 */
#include "config.h"

#include "backend/meta/sqlite-pages.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "backend/meta/sqlite-wal.h"
#include "util/err.h"
#include "util/io.h"

/* From this length on SQLite may have cut the file when a round began (journal_size_limit, less a little). */
enum { PAGES_LOG_CUT = 60 << 20, PAGES_HEADER_COUNT = 28, PAGES_HEADER_LEN = 100 };

struct sqlite_pages {
	struct meta_pages base;
	struct meta_sqlite *s;
	struct meta_sqlite_conn *c; /* while a moment is open */
	sqlite3_file *file;         /* the main file, of c */
	bool known;                 /* `place` is where the last moment ended */
	struct meta_sqlite_wal_head head;
	struct meta_sqlite_wal_place place;
	uint32_t *frames; /* of a page - 1: its newest frame in this round; 0: none */
	size_t room;
	meta_pages_fn *fn; /* during begin */
	void *arg;
};

static struct sqlite_pages *pages_of(struct meta_pages *p)
{
	return (struct sqlite_pages *)p;
}

static int pages_changed(struct meta_pages *base)
{
	struct sqlite_pages *p = pages_of(base);
	enum meta_sqlite_wal_next next;
	struct meta_sqlite_wal_head head;
	int err = meta_sqlite_wal_head(p->s->log_fd, &head);

	if (err)
		return err;
	if (!p->known)
		return 1;
	if (!head.there)
		return p->head.there;
	if (memcmp(head.salt, p->place.salt, sizeof(head.salt)) != 0)
		return 1;
	err = meta_sqlite_wal_next(p->s->log_fd, &head, &p->place, &next);
	return err ? err : next == META_SQLITE_WAL_NEXT_OWN;
}

static int pages_note_frame(struct sqlite_pages *p, uint32_t page, uint32_t frame)
{
	if (page > p->room) {
		size_t room = p->room ? p->room : 1024;

		while (room < page)
			room *= 2;
		uint32_t *frames = realloc(p->frames, room * sizeof(*frames));

		if (!frames)
			return -ENOMEM;
		memset(frames + p->room, 0, (room - p->room) * sizeof(*frames));
		p->frames = frames;
		p->room = room;
	}
	p->frames[page - 1] = frame;
	return 0;
}

/* A frame of this round. */
static int pages_frame(void *arg, uint32_t page, uint32_t frame)
{
	struct sqlite_pages *p = arg;
	int err = pages_note_frame(p, page, frame);

	return !err && p->fn ? p->fn(p->arg, page) : err;
}

/* A frame of the round before. */
static int pages_former_frame(void *arg, uint32_t page, uint32_t frame)
{
	struct sqlite_pages *p = arg;

	(void)frame;
	return p->fn(p->arg, page);
}

/*
 * The rest of the round before this one: 1 when all of it was found, 0 when the new round may have overwritten some. What is behind the chain's end tells: a frame of the new
 * round, or the end of a file that may have been cut, and no one knows what was there.
 */
static int pages_former(struct sqlite_pages *p)
{
	enum meta_sqlite_wal_next next = META_SQLITE_WAL_NEXT_OTHER;
	struct meta_sqlite_wal_place place = p->place;
	int fd = p->s->log_fd, rc = meta_sqlite_wal_holds(fd, &p->head, &place);
	struct stat st;

	/* Of a place at the head of a round nothing but that is known, and the head is overwritten. */
	if (rc <= 0 || place.frame == 0)
		return rc < 0 ? rc : 0;
	rc = meta_sqlite_wal_walk(fd, &p->head, &place, pages_former_frame, p);
	if (!rc)
		rc = meta_sqlite_wal_next(fd, &p->head, &place, &next);
	if (!rc && fstat(fd, &st) < 0)
		rc = -errno;
	if (rc || next == META_SQLITE_WAL_NEXT_HEAD)
		return rc;
	return next != META_SQLITE_WAL_NEXT_NONE || st.st_size < PAGES_LOG_CUT;
}

/* Goes from where the last moment ended to the log's end. *ALL: it could not. */
static int pages_follow(struct sqlite_pages *p, bool *all)
{
	int fd = p->s->log_fd, rc = 0;
	bool known = p->known;

	p->known = false;
	if (known && p->head.there && !memcmp(p->head.salt, p->place.salt, sizeof(p->head.salt))) {
		rc = meta_sqlite_wal_holds(fd, &p->head, &p->place);
		if (rc > 0)
			return meta_sqlite_wal_walk(fd, &p->head, &p->place, pages_frame, p);
	} else if (known && p->head.there && p->head.salt[0] == p->place.salt[0] + 1) {
		rc = pages_former(p);
	}
	if (rc < 0)
		return rc;
	*all = rc == 0;
	if (*all)
		p->fn = NULL;
	if (p->frames)
		memset(p->frames, 0, p->room * sizeof(*p->frames));
	meta_sqlite_wal_start(&p->head, &p->place);
	return p->head.there ? meta_sqlite_wal_walk(fd, &p->head, &p->place, pages_frame, p) : 0;
}

static int pages_read_file(struct sqlite_pages *p, void *buf, size_t len, uint64_t at)
{
	int rc = p->file->pMethods->xRead(p->file, buf, (int)len, (sqlite3_int64)at);

	/* What is behind the end is zeroed. */
	return rc == SQLITE_IOERR_SHORT_READ ? 0 : meta_sqlite_fail(p->c, rc, "read pages");
}

/* How large pages are and how many there are: as the log says, or the main file where the log is empty. */
static int pages_size(struct sqlite_pages *p, struct meta_pages_moment *out)
{
	unsigned char b[PAGES_HEADER_LEN];
	int64_t size = 0;
	int err = meta_sqlite_fail(p->c, meta_sqlite_conn_number(p->c, "PRAGMA page_size", &size),
				   "read the size of pages");

	if (err)
		return err;
	out->page_size = (uint32_t)size;
	out->count = p->place.pages;
	if (out->count)
		return 0;
	err = pages_read_file(p, b, sizeof(b), 0);
	b[0] = b[PAGES_HEADER_COUNT];
	out->count = (uint32_t)b[0] << 24 | (uint32_t)b[PAGES_HEADER_COUNT + 1] << 16 |
		     (uint32_t)b[PAGES_HEADER_COUNT + 2] << 8 | b[PAGES_HEADER_COUNT + 3];
	return err;
}

static int pages_open(struct sqlite_pages *p)
{
	int err = meta_sqlite_reader_get(p->s, &p->c);

	if (err)
		return err;
	int rc = sqlite3_exec(p->c->db, "BEGIN; SELECT 1 FROM sqlite_schema LIMIT 1", NULL, NULL,
			      NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_file_control(p->c->db, "main", SQLITE_FCNTL_FILE_POINTER, &p->file);
	return meta_sqlite_fail(p->c, rc, "begin reading pages");
}

static void pages_shut(struct sqlite_pages *p)
{
	if (!p->c)
		return;
	if (!sqlite3_get_autocommit(p->c->db))
		sqlite3_exec(p->c->db, "ROLLBACK", NULL, NULL, NULL);
	meta_sqlite_reader_put(p->s, p->c);
	p->c = NULL;
}

static int pages_begin(struct meta_pages *base, meta_pages_fn *fn, void *arg,
		       struct meta_pages_moment *out)
{
	struct sqlite_pages *p = pages_of(base);
	bool all = false;
	int err = pages_open(p);

	p->fn = fn;
	p->arg = arg;
	if (!err)
		err = meta_sqlite_wal_head(p->s->log_fd, &p->head);
	if (!err)
		err = pages_follow(p, &all);
	if (!err)
		err = pages_size(p, out);
	out->all = all;
	p->known = !err;
	if (err)
		pages_shut(p);
	return err;
}

static int pages_read(struct meta_pages *base, uint32_t page, void *buf)
{
	struct sqlite_pages *p = pages_of(base);
	uint32_t size = base->moment.page_size, frame = page <= p->room ? p->frames[page - 1] : 0;

	if (!frame)
		return pages_read_file(p, buf, size, (uint64_t)(page - 1) * size);
	ssize_t got = io_pread_full(p->s->log_fd, buf, size, meta_sqlite_wal_page_at(size, frame));

	if (got < 0)
		return (int)got;
	/* Begun anew and cut meanwhile: the end of the moment will tell. */
	memset((char *)buf + got, 0, size - (size_t)got);
	return 0;
}

static int pages_end(struct meta_pages *base)
{
	struct sqlite_pages *p = pages_of(base);
	struct meta_sqlite_wal_head head;
	int err = meta_sqlite_wal_head(p->s->log_fd, &head);

	pages_shut(p);
	if (err)
		return err;
	if (head.there == p->head.there && !memcmp(head.salt, p->head.salt, sizeof(head.salt)))
		return 0;
	return -EAGAIN;
}

static void pages_close(struct meta_pages *base)
{
	struct sqlite_pages *p = pages_of(base);

	pages_shut(p);
	free(p->frames);
	free(p);
}

static const struct meta_pages_ops pages_ops = {
	.changed = pages_changed,
	.begin = pages_begin,
	.read = pages_read,
	.end = pages_end,
	.close = pages_close,
};

int meta_sqlite_pages(struct meta_driver *d, struct meta_pages **out)
{
	struct meta_sqlite *s = (struct meta_sqlite *)d;

	if (s->mode != META_SQLITE_WRITER || s->log_fd < 0)
		return -EROFS;
	struct sqlite_pages *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->base.ops = &pages_ops;
	p->s = s;
	*out = &p->base;
	return 0;
}
