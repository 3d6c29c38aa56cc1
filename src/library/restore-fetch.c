/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The newest backup that is there whole, put together: segments are chosen so that the fewest lead to the last state (backup-chain.h) and laid one over the other. While that goes on the library's owner may still be
 * at work and replace segments: then the list is asked for again, and what is there is gone on with, since a segment may be laid over any state within it.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "library/restore-internal.h"
#include "util/cleanup.h"
#include "util/err.h"
#include "util/io.h"

enum { FETCH_TRIES = 10 };

struct fetch {
	struct restore *r;
	int fd;
	uint32_t epoch;
	uint64_t at;                     /* the state that the file is in */
	struct backup_segment_head head; /* of the last part of it */
	struct buf body, raw;
};

static int fetch_damaged(struct fetch *f, const char *what)
{
	buf_reset(f->r->why);
	buf_printf(f->r->why, "%s", what);
	return ERR_CORRUPT;
}

/* Whether the part is what its name says, and of the same library as all others. */
static int fetch_check(struct fetch *f, const struct backup_link *l, uint32_t part,
		       const struct backup_segment_head *head)
{
	bool first = f->head.page_size == 0;

	if (head->from != l->from || head->to != l->to || head->part != part ||
	    (head->last != 0) != (part == l->parts - 1))
		return fetch_damaged(f, "a segment of the backup is not what its name says");
	if (!first && (head->page_size != f->head.page_size ||
		       memcmp(head->library, f->head.library, sizeof(head->library)) != 0))
		return fetch_damaged(f, "segments of the backup do not belong together");
	return 0;
}

static int fetch_part(struct fetch *f, const struct backup_link *l, uint32_t part)
{
	struct backup_segment_head head;
	char key[BACKUP_SEGMENT_KEY_MAX];
	int err;

	backup_segment_key(
		&(struct backup_segment_name){ f->epoch, l->from, l->to, part, l->parts }, key);
	buf_reset(&f->body);
	err = backup_bucket_get(&f->r->bucket, key, BACKUP_SEGMENT_BYTES_MAX, &f->body);
	if (err)
		return err;
	err = backup_segment_read(f->body.data, f->body.len, &head, &f->raw);
	if (err == ERR_CORRUPT)
		return fetch_damaged(f, key);
	if (!err)
		err = fetch_check(f, l, part, &head);
	for (uint32_t i = 0, page; i < (err ? 0 : head.pages) && !err; i++) {
		const void *bytes = backup_segment_page(&head, &f->raw, i, &page);

		err = io_pwrite_full(f->fd, bytes, head.page_size,
				     (uint64_t)(page - 1) * head.page_size);
	}
	if (err)
		return err;
	f->head = head;
	f->r->result.bytes += f->body.len;
	return 0;
}

static uint64_t fetch_bytes_left(const struct fetch *f, const struct backup_chain *c)
{
	const struct backup_link *l;
	uint64_t bytes = 0;

	for (uint64_t at = f->at; (l = backup_chain_next(c, at)); at = l->to)
		bytes += l->bytes;
	return bytes;
}

/* Lays segments over the file until none leads on. -ENOENT: one of them has gone meanwhile. */
static int fetch_chain(struct fetch *f, const struct backup_chain *c)
{
	const struct backup_link *l;
	uint64_t all = f->r->result.bytes + fetch_bytes_left(f, c);
	int err = 0;

	while (!err && (l = backup_chain_next(c, f->at))) {
		for (uint32_t part = 0; part < l->parts && !err; part++) {
			restore_progress(f->r, "fetching the backup", f->r->result.bytes, all);
			err = fetch_part(f, l, part);
		}
		if (!err)
			f->at = l->to;
	}
	return err;
}

/* One epoch: 0 with the file in its last state, -ENODATA when it has none. */
static int fetch_epoch(struct fetch *f)
{
	int err = -ENOENT;

	if (ftruncate(f->fd, 0) < 0)
		return -errno;
	f->at = 0;
	f->head = (struct backup_segment_head){ 0 };
	for (int i = 0; i < FETCH_TRIES && err == -ENOENT; i++) {
		struct backup_chain c;

		err = backup_chain_list(&f->r->bucket, f->epoch, &c);
		if (err)
			return err;
		err = fetch_chain(f, &c);
		backup_chain_free(&c);
	}
	return err ? err : f->at ? 0 : -ENODATA;
}

/* The whole file is what the backup says that it was in this state. */
static int fetch_verify(struct fetch *f)
{
	CLEANUP_FREE unsigned char *page = malloc(f->head.page_size);
	uint64_t sum = 0, size = (uint64_t)f->head.count * f->head.page_size;

	if (!page)
		return -ENOMEM;
	if (ftruncate(f->fd, (off_t)size) < 0)
		return -errno;
	for (uint32_t i = 1; i <= f->head.count; i++) {
		ssize_t got = io_pread_full(f->fd, page, f->head.page_size,
					    (uint64_t)(i - 1) * f->head.page_size);

		if (got != (ssize_t)f->head.page_size)
			return got < 0 ? (int)got : -EIO;
		sum ^= backup_page_sum(i, page, f->head.page_size);
		if (i % 65536 == 0)
			restore_progress(f->r, "checking the backup", i, f->head.count);
	}
	return sum == f->head.sum ? 0
				  : fetch_damaged(f, "the backup does not add up to what it was "
						     "made from");
}

static int fetch_newest(struct fetch *f)
{
	int err = backup_owner_newest(&f->r->bucket, &f->epoch);

	/* One that was begun and has nothing whole yet: the one before is the newest then. */
	for (int found = err ? err : -ENODATA; f->epoch && found == -ENODATA; f->epoch--) {
		err = found = fetch_epoch(f);
		if (found != -ENODATA)
			break;
	}
	if (!err && !f->epoch)
		err = -ENODATA;
	return err;
}

int restore_fetch(struct restore *r)
{
	struct fetch f = { .r = r };
	int err;

	f.fd = openat(r->dir_fd, RESTORE_DB, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
		      0600);
	if (f.fd < 0)
		return -errno;
	err = fetch_newest(&f);
	if (!err)
		err = fetch_verify(&f);
	if (!err)
		err = io_sync_file(f.fd);
	close(f.fd);
	buf_release(&f.body);
	buf_release(&f.raw);
	if (err)
		return err;
	memcpy(r->library, f.head.library, sizeof(r->library));
	r->result.epoch = f.epoch;
	r->result.state = f.at;
	r->result.at_ns = f.head.at_ns;
	return 0;
}
