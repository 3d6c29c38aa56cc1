/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The log as a file. */
#include "config.h"

#include "backend/meta/sqlite-wal.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/io.h"

enum {
	WAL_MAGIC = 0x377f0682, /* the lowest bit: words are summed in big-endian order */
	WAL_VERSION = 3007000,
	WAL_READ = 64, /* frames at a time */
	WAL_PAGE_MIN = 512,
	WAL_PAGE_MAX = 65536,
	WAL_TRIES = 5,
	WAL_TRY_US = 500,
};

static uint32_t wal_be(const unsigned char *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint32_t wal_word(const unsigned char *p, bool big)
{
	return big ? wal_be(p)
		   : (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}

/* Goes on with the chain over LEN bytes, a multiple of 8 (section 4.2). */
static void wal_sum(bool big, const unsigned char *p, size_t len, uint32_t sum[2])
{
	uint32_t a = sum[0], b = sum[1];

	for (const unsigned char *end = p + len; p < end; p += 8) {
		a += wal_word(p, big) + b;
		b += wal_word(p + 4, big) + a;
	}
	sum[0] = a;
	sum[1] = b;
}

static size_t wal_frame_len(const struct meta_sqlite_wal_head *head)
{
	return META_SQLITE_WAL_FRAME_HEADER + (size_t)head->page_size;
}

static uint64_t wal_frame_at(const struct meta_sqlite_wal_head *head, uint32_t frame)
{
	return META_SQLITE_WAL_HEADER + (uint64_t)(frame - 1) * wal_frame_len(head);
}

uint64_t meta_sqlite_wal_page_at(uint32_t page_size, uint32_t frame)
{
	const struct meta_sqlite_wal_head head = { .page_size = page_size };

	return wal_frame_at(&head, frame) + META_SQLITE_WAL_FRAME_HEADER;
}

static void wal_read_head(const unsigned char *b, struct meta_sqlite_wal_head *out)
{
	struct meta_sqlite_wal_head head = { .big = wal_be(b) & 1,
					     .page_size = wal_be(b + 8),
					     .salt = { wal_be(b + 16), wal_be(b + 20) } };

	wal_sum(head.big, b, META_SQLITE_WAL_HEADER - 8, head.sum);
	head.there = (wal_be(b) & ~1U) == WAL_MAGIC && wal_be(b + 4) == WAL_VERSION &&
		     head.sum[0] == wal_be(b + 24) && head.sum[1] == wal_be(b + 28) &&
		     head.page_size >= WAL_PAGE_MIN && head.page_size <= WAL_PAGE_MAX &&
		     !(head.page_size & (head.page_size - 1));
	*out = head;
}

int meta_sqlite_wal_head(int fd, struct meta_sqlite_wal_head *out)
{
	unsigned char b[META_SQLITE_WAL_HEADER];

	/* What is no header may be one that is being written right now. */
	for (int i = 0; i < WAL_TRIES; i++) {
		ssize_t len = io_pread_full(fd, b, sizeof(b), 0);

		if (len < 0)
			return (int)len;
		*out = (struct meta_sqlite_wal_head){ 0 };
		if (len == (ssize_t)sizeof(b))
			wal_read_head(b, out);
		if (out->there || len < (ssize_t)sizeof(b))
			break;
		usleep(WAL_TRY_US);
	}
	return 0;
}

void meta_sqlite_wal_start(const struct meta_sqlite_wal_head *head,
			   struct meta_sqlite_wal_place *out)
{
	*out = (struct meta_sqlite_wal_place){ .salt = { head->salt[0], head->salt[1] },
					       .sum = { head->sum[0], head->sum[1] } };
}

/* The frames since the last that ended a transaction: they are told of when theirs is there whole. */
struct wal_open {
	uint32_t *pages;
	size_t count, room;
};

static int wal_open_add(struct wal_open *o, uint32_t page)
{
	if (o->count == o->room) {
		size_t room = o->room ? 2 * o->room : WAL_READ;
		uint32_t *pages = realloc(o->pages, room * sizeof(*pages));

		if (!pages)
			return -ENOMEM;
		o->pages = pages;
		o->room = room;
	}
	o->pages[o->count++] = page;
	return 0;
}

static int wal_tell(const struct wal_open *o, uint32_t first, meta_sqlite_wal_fn *fn, void *arg)
{
	int err = 0;

	for (size_t i = 0; i < o->count && !err; i++)
		err = fn(arg, o->pages[i], first + (uint32_t)i);
	return err;
}

/* Whether the frame B goes on with the chain that AT is in; then AT is behind it. */
static bool wal_follows(const struct meta_sqlite_wal_head *head, const unsigned char *b,
			struct meta_sqlite_wal_place *at)
{
	uint32_t sum[2] = { at->sum[0], at->sum[1] };

	if (wal_be(b) == 0 || wal_be(b + 8) != at->salt[0] || wal_be(b + 12) != at->salt[1])
		return false;
	wal_sum(head->big, b, 8, sum);
	wal_sum(head->big, b + META_SQLITE_WAL_FRAME_HEADER, head->page_size, sum);
	if (sum[0] != wal_be(b + 16) || sum[1] != wal_be(b + 20))
		return false;
	memcpy(at->sum, sum, sizeof(sum));
	at->frame++;
	return true;
}

struct wal_walk {
	const struct meta_sqlite_wal_head *head;
	struct meta_sqlite_wal_place at,
		*place; /* how far it went; the last end of a transaction */
	struct wal_open open;
	meta_sqlite_wal_fn *fn;
	void *arg;
};

/* One frame: 1 when it follows, 0 when it does not. */
static int wal_step(struct wal_walk *w, const unsigned char *b)
{
	if (!wal_follows(w->head, b, &w->at))
		return 0;
	int err = wal_open_add(&w->open, wal_be(b));

	if (err || !wal_be(b + 4))
		return err ? err : 1;
	err = wal_tell(&w->open, w->place->frame + 1, w->fn, w->arg);
	w->open.count = 0;
	w->at.pages = wal_be(b + 4);
	*w->place = w->at;
	return err ? err : 1;
}

int meta_sqlite_wal_walk(int fd, const struct meta_sqlite_wal_head *head,
			 struct meta_sqlite_wal_place *place, meta_sqlite_wal_fn *fn, void *arg)
{
	struct wal_walk w = { .head = head, .at = *place, .place = place, .fn = fn, .arg = arg };
	size_t len = wal_frame_len(head);
	CLEANUP_FREE unsigned char *b = malloc(WAL_READ * len);
	int more = b ? 1 : -ENOMEM;

	while (more > 0) {
		ssize_t got = io_pread_full(fd, b, WAL_READ * len,
					    wal_frame_at(head, w.at.frame + 1));

		more = got < (ssize_t)len ? (got < 0 ? (int)got : 0) : 1;
		for (size_t i = 0; more > 0 && (i + 1) * len <= (size_t)got; i++)
			more = wal_step(&w, b + i * len);
		if (more > 0 && got < (ssize_t)(WAL_READ * len))
			more = 0;
	}
	free(w.open.pages);
	return more;
}

int meta_sqlite_wal_holds(int fd, const struct meta_sqlite_wal_head *head,
			  const struct meta_sqlite_wal_place *place)
{
	unsigned char b[META_SQLITE_WAL_FRAME_HEADER];

	if (place->frame == 0)
		return head->salt[0] == place->salt[0] && head->salt[1] == place->salt[1];
	ssize_t got = io_pread_full(fd, b, sizeof(b), wal_frame_at(head, place->frame));

	if (got < 0)
		return (int)got;
	return got == sizeof(b) && wal_be(b + 8) == place->salt[0] &&
	       wal_be(b + 12) == place->salt[1] && wal_be(b + 16) == place->sum[0] &&
	       wal_be(b + 20) == place->sum[1];
}

int meta_sqlite_wal_next(int fd, const struct meta_sqlite_wal_head *head,
			 const struct meta_sqlite_wal_place *place, enum meta_sqlite_wal_next *out)
{
	unsigned char b[META_SQLITE_WAL_FRAME_HEADER];
	ssize_t got = io_pread_full(fd, b, sizeof(b), wal_frame_at(head, place->frame + 1));

	if (got < 0)
		return (int)got;
	if (got < (ssize_t)sizeof(b))
		*out = META_SQLITE_WAL_NEXT_NONE;
	else if (wal_be(b + 8) == place->salt[0] && wal_be(b + 12) == place->salt[1])
		*out = META_SQLITE_WAL_NEXT_OWN;
	else if (wal_be(b + 8) == head->salt[0] || wal_be(b + 12) == head->salt[1])
		*out = META_SQLITE_WAL_NEXT_HEAD;
	else
		*out = META_SQLITE_WAL_NEXT_OTHER;
	return 0;
}
