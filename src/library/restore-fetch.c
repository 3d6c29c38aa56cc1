/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The newest backup that is there whole, put together: segments are chosen so that the fewest lead to the last state (backup-chain.h) and laid one over the other. While that goes on the library's owner may still be
 * at work and replace segments: then the list is asked for again, and what is there is gone on with, since a segment may be laid over any state within it.
 *
 * Damage. A segment that is not what it was, or is listed and not there, is left out, and others lead on: to the same state, where it had been sent anew in a larger one, or to an older; where
 * none does, the epoch before is taken. What is put together is whole in any case: it has the sum of its state. Whether a newer one was there is told.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "library/restore-internal.h"
#include "util/cleanup.h"
#include "util/err.h"
#include "util/io.h"

/* An owner at work is made up for so often, and a part that arrives damaged asked for so often: it may have been the way. */
enum { FETCH_TRIES = 10, FETCH_READS = 2, FETCH_TEXT = 128 };

struct fetch {
	struct restore *r;
	int fd;
	uint32_t epoch;
	struct backup_chain chain; /* of the epoch, without what was dropped */
	struct backup_link *dropped;
	size_t dropped_count;
	uint64_t known; /* the epoch's last state of which the bucket shows that it was there */
	uint64_t at;    /* the state that the file is in */
	uint64_t laid;  /* above `at`: it has pages of up to this one, too */
	struct backup_link link;          /* that was laid last, or could not be */
	char key[BACKUP_SEGMENT_KEY_MAX]; /* of the part of it that was asked for last */
	struct backup_segment_head head;  /* of the last part of it */
	bool older;                       /* a newer state was there */
	struct buf body, raw;
};

/* To the beginning of the epoch. */
static int fetch_restart(struct fetch *f)
{
	f->at = f->laid = 0;
	f->head = (struct backup_segment_head){ 0 };
	return ftruncate(f->fd, 0) < 0 ? -errno : 0;
}

__attribute__((format(printf, 2, 3))) static void fetch_tell(struct fetch *f, const char *format,
							     ...)
{
	char text[FETCH_TEXT];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (f->r->watch->damaged)
		f->r->watch->damaged(f->r->watch->arg, text);
}

/* Whether the part is what its name says, and of the same library as all others. */
static int fetch_check(struct fetch *f, const struct backup_link *l, uint32_t part,
		       const struct backup_segment_head *head)
{
	bool first = f->head.page_size == 0;

	if (head->from != l->from || head->to != l->to || head->part != part ||
	    (head->last != 0) != (part == l->parts - 1))
		return ERR_CORRUPT;
	if (!first && (head->page_size != f->head.page_size ||
		       memcmp(head->library, f->head.library, sizeof(head->library)) != 0))
		return ERR_CORRUPT;
	return 0;
}

/* What a server answers for bytes that its disks do not give back any more is damage, too. */
static int fetch_read(struct fetch *f, struct backup_segment_head *head)
{
	int err = ERR_CORRUPT;

	for (int i = 0; i < FETCH_READS && err == ERR_CORRUPT; i++) {
		buf_reset(&f->body);
		err = backup_bucket_get(&f->r->bucket, f->key, BACKUP_SEGMENT_BYTES_MAX, &f->body);
		if (!err)
			err = backup_segment_read(f->body.data, f->body.len, head, &f->raw);
		else if (err == -EFBIG || err == -EIO)
			err = ERR_CORRUPT;
	}
	return err;
}

static int fetch_part(struct fetch *f, const struct backup_link *l, uint32_t part)
{
	struct backup_segment_head head;
	int err;

	backup_segment_key(
		&(struct backup_segment_name){ f->epoch, l->from, l->to, part, l->parts }, f->key);
	err = fetch_read(f, &head);
	if (!err)
		err = fetch_check(f, l, part, &head);
	if (err == ERR_CORRUPT)
		fetch_tell(f, "%s is damaged", f->key);
	if (!err && l->to > f->laid)
		f->laid = l->to;
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

static uint64_t fetch_bytes_left(const struct fetch *f)
{
	const struct backup_link *l;
	uint64_t bytes = 0;

	for (uint64_t at = f->at; (l = backup_chain_next(&f->chain, at)); at = l->to)
		bytes += l->bytes;
	return bytes;
}

/* Lays segments over the file until none leads on. -ENOENT: f->link has gone meanwhile; ERR_CORRUPT: it is damaged. */
static int fetch_chain(struct fetch *f)
{
	const struct backup_link *l;
	uint64_t all = f->r->result.bytes + fetch_bytes_left(f);
	int err = 0;

	while (!err && (l = backup_chain_next(&f->chain, f->at))) {
		f->link = *l;
		for (uint32_t part = 0; part < l->parts && !err; part++) {
			restore_progress(f->r, "fetching the backup", f->r->result.bytes, all);
			err = fetch_part(f, l, part);
		}
		if (!err)
			f->at = l->to;
	}
	return err;
}

static int fetch_list(struct fetch *f)
{
	backup_chain_free(&f->chain);
	int err = backup_chain_list(&f->r->bucket, f->epoch, &f->chain);

	if (err)
		return err;
	f->known = backup_chain_known(&f->chain);
	for (size_t i = 0; i < f->dropped_count; i++)
		backup_chain_drop(&f->chain, &f->dropped[i]);
	return 0;
}

/* Leaves f->link out from now on: -EAGAIN, or -ENOMEM. */
static int fetch_drop(struct fetch *f)
{
	struct backup_link *dropped = realloc(f->dropped,
					      (f->dropped_count + 1) * sizeof(*dropped));

	if (!dropped)
		return -ENOMEM;
	f->dropped = dropped;
	f->dropped[f->dropped_count++] = f->link;
	return -EAGAIN;
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
	return sum == f->head.sum ? 0 : ERR_CORRUPT;
}

/* Goes as far as the list leads. -EAGAIN: with another list it may be further. TRIES counts lists of this epoch. */
static int fetch_try(struct fetch *f, int tries)
{
	int err = fetch_list(f);

	if (!err)
		err = fetch_chain(f);
	if (err == -ENOENT && tries < FETCH_TRIES)
		return -EAGAIN;
	if (err == -ENOENT)
		fetch_tell(f, "%s is listed, but not there", f->key);
	if (err == -ENOENT || err == ERR_CORRUPT)
		return fetch_drop(f);
	/* A list comes in pages, between which an owner may have been at work. */
	if (!err && f->at < f->known && !tries)
		return -EAGAIN;
	/* What was laid and then left out has to come off again. */
	if (!err && f->at < f->laid) {
		err = fetch_restart(f);
		return err ? err : -EAGAIN;
	}
	return err;
}

/* One epoch: 0 with the file in its last state that is whole, -ENODATA when it has none. */
static int fetch_epoch(struct fetch *f)
{
	int err = fetch_restart(f);

	f->dropped_count = 0;
	f->known = 0;
	if (err)
		return err;
	for (int tries = 0;; tries++) {
		err = fetch_try(f, tries);
		if (!err && f->at)
			err = fetch_verify(f);
		if (err == ERR_CORRUPT) {
			fetch_tell(f,
				   "meta/%08" PRIx32 ": state %" PRIx64
				   " does not add up to what it was made from",
				   f->epoch, f->at);
			err = fetch_restart(f);
			err = err ? err : fetch_drop(f);
		}
		if (err != -EAGAIN)
			break;
	}
	if (err)
		return err;
	if (f->at < f->known && !f->dropped_count)
		fetch_tell(f,
			   "meta/%08" PRIx32 ": what leads from state %" PRIx64 " to %" PRIx64
			   " is missing",
			   f->epoch, f->at, f->known);
	f->older = f->older || f->at < f->known;
	return f->at ? 0 : -ENODATA;
}

static int fetch_newest(struct fetch *f)
{
	int err = -ENODATA;

	/* One that was begun and has nothing whole yet: the one before is the newest then. */
	f->epoch = BACKUP_EPOCH_MAX + 1;
	while (f->epoch && err == -ENODATA) {
		err = backup_owner_newest(&f->r->bucket, f->epoch - 1, &f->epoch);
		if (!err)
			err = f->epoch ? fetch_epoch(f) : -ENODATA;
	}
	if (err != -ENODATA || !f->older)
		return err;
	buf_add_str(f->r->why, "nothing of it is whole");
	return ERR_CORRUPT;
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
		err = io_sync_file(f.fd);
	close(f.fd);
	backup_chain_free(&f.chain);
	free(f.dropped);
	buf_release(&f.body);
	buf_release(&f.raw);
	if (err)
		return err;
	memcpy(r->library, f.head.library, sizeof(r->library));
	r->result.epoch = f.epoch;
	r->result.state = f.at;
	r->result.at_ns = f.head.at_ns;
	r->result.older = f.older;
	return f.older && !r->older ? -ESTALE : 0;
}
