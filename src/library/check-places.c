/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Chunks against the bytes in the blobs. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend/store/blobs.h"
#include "content/draft.h"
#include "library/check-internal.h"
#include "library/internal.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/hex.h"
#include "util/log.h"

#define PAGE 256

/* A chunk and one of its places; blob 0: it has none. */
struct item {
	int64_t chunk, refcount, blob;
	bool remote; /* the bucket has it */
	uint64_t size, start;
	struct hash hash;
};

struct page {
	struct item *items;
	size_t count, room;
};

static int add_item(void *arg, const struct meta_row *row)
{
	struct page *p = arg;
	struct item *it;
	const void *name;
	size_t len;

	if (p->count == p->room) {
		size_t room = p->room ? 2 * p->room : PAGE;
		struct item *items = realloc(p->items, room * sizeof *items);

		if (!items)
			return -ENOMEM;
		p->items = items;
		p->room = room;
	}
	it = &p->items[p->count++];
	*it = (struct item){ .chunk = meta_row_int(row, 0),
			     .size = (uint64_t)meta_row_int(row, 2),
			     .refcount = meta_row_int(row, 3),
			     .blob = meta_row_int(row, 4),
			     .start = (uint64_t)meta_row_int(row, 5),
			     .remote = meta_row_int(row, 6) != 0 };
	name = meta_row_bytes(row, 1, &len);
	if (len == HASH_LEN)
		memcpy(it->hash.b, name, HASH_LEN);
	return 0;
}

static int no_row(void *arg, const struct meta_row *row)
{
	(void)arg;
	(void)row;
	return 0;
}

/* Whether the place is still what was read: collection or healing may have moved it meanwhile. */
static int still_there(struct check *c, const struct item *it)
{
	return META_QUERY(c->meta, CHECK_PLACE, no_row, NULL, META_I(it->chunk), META_I(it->blob),
			  META_I(it->start));
}

/* Tells what is wrong with a place and, where that is wanted, mends it. GONE: readers have the bytes from the bucket, if it has them. */
static int report_place(struct check *c, const struct item *it, const char *what, bool gone)
{
	const char *how = it->remote ? ": the bucket has it" : "", *from = how;
	char hex[2 * HASH_LEN + 1];
	int there = it->blob ? still_there(c, it) : 1, mended = 0;

	if (there > 0 && c->flags & CHECK_REPAIR)
		mended = check_mend(c, &it->hash, it->size, &from);
	if (there <= 0 || (mended < 0 && mended != -EREMOTE))
		return there < 0 ? there : mended;
	if (mended == -EREMOTE)
		how = ": the bucket does not answer";
	else if (mended)
		how = from;
	else if (c->flags & CHECK_REPAIR)
		how = ": there is no other copy";
	hex_encode(it->hash.b, HASH_LEN, hex);
	check_fault(c, "chunk %.16s…: %s (blob %016llx at %llu, %llu bytes)%s", hex, what,
		    (unsigned long long)it->blob, (unsigned long long)it->start,
		    (unsigned long long)it->size, how);
	c->result.mended += mended == 1;
	if (mended == 1)
		return check_absolve(c, it->chunk);
	/* What the bucket has is not lost as long as nobody reads it here, or nobody knows. */
	bool lost = !it->remote || (c->flags & CHECK_REPAIR ? mended == 0 : !gone);

	return lost ? check_blame(c, it->chunk) : 0;
}

static int check_place(struct check *c, const struct item *it)
{
	int good;

	c->result.chunks++;
	if (!it->blob)
		return it->refcount > 0 && !it->remote ? report_place(c, it, "held nowhere", true)
						       : 0;
	good = blobs_whole(c->lib->blobs, it->blob, it->start, it->size);
	if (good == -ENOENT)
		return report_place(c, it, "the blob's file is missing", true);
	if (good < 0)
		return report_place(c, it, "the blob cannot be read", false);
	if (good && !(c->flags & CHECK_DEEP))
		return 0; /* a hole may be zeros that were never written: the bytes decide */
	good = check_read(c, it->blob, it->start, it->size, &it->hash);
	if (good == -ENOMEM)
		return good;
	return good == 1 ? 0
			 : report_place(c, it,
					good < 0 ? "the bytes cannot be read"
						 : "the bytes are not what was stored",
					false);
}

/* Drafts that nodes point at must have their file. */
struct drafts {
	int64_t (*rows)[4]; /* inode, blob, its kind, in doubt */
	size_t count, room;
};

static int add_draft(void *arg, const struct meta_row *row)
{
	struct drafts *d = arg;

	if (d->count == d->room) {
		size_t room = d->room ? 2 * d->room : 64;
		int64_t(*rows)[4] = realloc(d->rows, room * sizeof *rows);

		if (!rows)
			return -ENOMEM;
		d->rows = rows;
		d->room = room;
	}
	for (int i = 0; i < 4; i++)
		d->rows[d->count][i] = meta_row_int(row, i);
	d->count++;
	return 0;
}

/* The disk failed to keep what was written: repairing takes what it has. */
static int check_doubt(struct check *c, int64_t ino, int64_t blob)
{
	CLEANUP_BUF struct buf path = BUF_INIT;
	int err = tree_path(c->lib, ino, &path);

	if (err && err != -ENOENT)
		return err;
	check_fault(c, "%s (inode %lld): the disk failed to keep what was written to it",
		    err ? "an asset without a name" : log_name(path.data, path.len),
		    (long long)ino);
	if (!(c->flags & CHECK_REPAIR))
		return 0;
	err = draft_trust(library_content(c->lib), blob);
	c->result.mended += !err;
	return err;
}

static int check_drafts(struct check *c)
{
	struct drafts d = { 0 };
	int err = meta_query(c->meta, META_CHECK_DRAFTS, 0, NULL, add_draft, &d);
	uint64_t missing = 0, given_up = 0;

	for (size_t i = 0; err >= 0 && i < d.count; i++) {
		int64_t ino = d.rows[i][0], blob = d.rows[i][1];

		if (d.rows[i][3])
			err = check_doubt(c, ino, blob);
		if (d.rows[i][2] != 1)
			check_fault(c, "inode %lld: its draft %016llx is not a draft",
				    (long long)ino, (unsigned long long)blob);
		else if (blobs_stat(c->lib->blobs, blob, NULL, NULL) != -ENOENT)
			continue;
		else
			check_fault(c, "inode %lld: the file of its draft %016llx is missing",
				    (long long)ino, (unsigned long long)blob);
		missing++;
	}
	free(d.rows);
	if (err >= 0 && missing && (c->flags & CHECK_REPAIR))
		err = recover_give_up(c->lib, &given_up);
	c->result.mended += given_up;
	return err < 0 ? err : 0;
}

struct homes {
	int64_t ids[PAGE];
	size_t count;
};

static int add_home(void *arg, const struct meta_row *row)
{
	struct homes *h = arg;

	h->ids[h->count++] = meta_row_int(row, 0);
	return 0;
}

/* A home that has a name elsewhere can be changed there, unseen. A move that was cut off leaves one, until it is repeated. */
static int check_names(struct check *c)
{
	struct homes h;
	int64_t last = 0;
	int err;

	do {
		h.count = 0;
		err = META_QUERY(c->meta, CHECK_HOMES, add_home, &h, META_I(last), META_I(PAGE));
		for (size_t i = 0; i < h.count; i++) {
			last = h.ids[i];
			if (blobs_linked(c->lib->blobs, last) == 1)
				check_fault(c,
					    "blob %016llx: its file has another name outside of "
					    "the library, where it may be changed (does an 'import "
					    "--move' that was cut off wait to be repeated?)",
					    (unsigned long long)last);
		}
	} while (h.count == PAGE);
	return err < 0 ? err : 0;
}

static int take_count(void *arg, const struct meta_row *row)
{
	*(uint64_t *)arg = (uint64_t)meta_row_int(row, 0);
	return 0;
}

static int check_page(struct check *c, struct page *p, uint64_t total)
{
	for (size_t i = 0; i < p->count; i++) {
		int err = check_place(c, &p->items[i]);

		if (err < 0)
			return err;
	}
	if (c->watch->progress)
		c->watch->progress(c->watch->arg, c->result.chunks, total);
	return 0;
}

int check_places(struct check *c)
{
	struct page p = { 0 };
	uint64_t total = 0;
	int64_t last = 0;
	int err = meta_query(c->meta, META_REPORT_CHUNKS, 0, NULL, take_count, &total);

	while (err >= 0) {
		p.count = 0;
		err = META_QUERY(c->meta, CHECK_PLACES, add_item, &p, META_I(last), META_I(PAGE));
		if (err <= 0)
			break;
		last = p.items[p.count - 1].chunk;
		err = check_page(c, &p, total);
	}
	free(p.items);
	if (err >= 0)
		err = check_names(c);
	return err < 0 ? err : check_drafts(c);
}
