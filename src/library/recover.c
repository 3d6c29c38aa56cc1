/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Drafts that a former process left, at the start of a mount. Every byte that it wrote is in its file; what may be behind is the size in the node's row, which is set right here. The
 * sealer then takes the drafts up by itself (sealer_backlog()).
 *
 *   plain     the file is the content: its size counts, and when that is not the one recorded its times of change too
 *   overlay   the log in the metadata is the content, with the size that was recorded with it
 *   no file   the node becomes INCONSISTENT and keeps its draft: a blobs folder that is not there today may be tomorrow. Only fsck --repair
 *             (recover_give_up()) lets go of it and turns the node back to what was sealed last
 */
#include "config.h"

#include "library/internal.h"
#include "library/journal.h"
#include "util/err.h"
#include "util/log.h"
#include "util/time.h"

#include <errno.h>
#include <sys/stat.h>

enum { RECOVER_PAGE = 512, RECOVER_TOLD = 10 };

struct recover_draft {
	int64_t blob, ino;
	uint64_t size;
	bool plain, known;
};

struct recover_page {
	size_t count;
	struct recover_draft drafts[RECOVER_PAGE];
};

/* One walk over the drafts. */
struct recover {
	struct library *lib;
	bool give_up;
	uint64_t missing;
};

static int recover_row(void *arg, const struct meta_row *row)
{
	struct recover_page *page = arg;

	page->drafts[page->count++] = (struct recover_draft){
		.blob = meta_row_int(row, 0),
		.ino = meta_row_int(row, 1),
		.size = (uint64_t)meta_row_int(row, 2),
		.plain = meta_row_int(row, 3) != 0,
		.known = !meta_row_null(row, 3),
	};
	return 0;
}

/* Tells of the first few by name; a whole folder may be missing. */
static void recover_missing(struct recover *r, const struct recover_draft *d, struct meta_op *op)
{
	if (r->missing++ < RECOVER_TOLD)
		log_error("asset %lld: the file of its draft %016llx is missing", (long long)d->ino,
			  (long long)d->blob);
	if (r->give_up) {
		META_ADD(op, RECOVER_LOST, META_ONE, -ESTALE, META_I(d->ino), META_I(d->blob));
		META_ADD(op, RECOVER_LOST_LOG, META_ANY, 0, META_I(d->blob));
		META_ADD(op, RECOVER_LOST_BLOB, META_ANY, 0, META_I(d->blob));
	} else {
		META_ADD(op, RECOVER_MISSING, META_ANY, 0, META_I(d->ino), META_I(d->blob));
	}
	journal_add(op, r->lib, NULL, time_now_ns(),
		    &(struct journal_row){ .action = JOURNAL_LOST, .ino = d->ino });
}

/* Adds what is to be changed for one draft. */
static int recover_one(struct recover *r, const struct recover_draft *d, struct meta_op *op)
{
	struct blob *blob = NULL;
	struct stat st;
	int rc = d->known ? blobs_get(r->lib->blobs, d->blob, &blob) : -ENOENT;

	if (rc == -ENOENT) {
		recover_missing(r, d, op);
		return 0;
	}
	if (rc)
		return rc;
	rc = fstat(blob_fd(blob), &st) ? -errno : 0;
	blob_put(blob);
	if (rc == 0 && !r->give_up && d->plain && (uint64_t)st.st_size != d->size)
		META_ADD(op, RECOVER_SIZE, META_ONE, -ESTALE, META_I(d->ino), META_I(d->blob),
			 META_I(st.st_size), META_I((int64_t)st.st_blocks * 512),
			 META_I(time_from_spec(st.st_mtim)), META_I(time_from_spec(st.st_ctim)));
	return rc;
}

/* One bad file does not keep the library from opening: its draft stays as it is. */
static int recover_page(struct recover *r, const struct recover_page *page)
{
	struct meta_op *op = meta_op_new();
	int rc = 0;

	if (!op)
		return -ENOMEM;
	for (size_t i = 0; i < page->count; i++) {
		int one = recover_one(r, &page->drafts[i], op);

		if (one)
			log_error("asset %lld: its draft cannot be looked at: %s",
				  (long long)page->drafts[i].ino, err_text(one));
	}
	if (meta_op_count(op))
		rc = meta_apply(r->lib->meta, op);
	meta_op_free(op);
	return rc;
}

static int recover_all(struct recover *r)
{
	struct recover_page page = { 0 };
	int64_t after = 0;

	do {
		page.count = 0;
		int rc = META_QUERY(r->lib->meta, RECOVER_LIST, recover_row, &page, META_I(after),
				    META_I(RECOVER_PAGE));

		if (rc >= 0)
			rc = recover_page(r, &page);
		if (rc < 0)
			return rc;
		if (page.count)
			after = page.drafts[page.count - 1].blob;
	} while (page.count == RECOVER_PAGE);
	return 0;
}

int recover_drafts(struct library *lib)
{
	struct recover r = { .lib = lib };
	int rc = recover_all(&r);

	if (r.missing)
		log_error("%s: %llu drafts are missing; is all of the blobs folder there? 'garner "
			  "fsck --repair' gives them up",
			  lib->path, (unsigned long long)r.missing);
	return rc;
}

static int any_row(void *arg, const struct meta_row *row)
{
	(void)arg;
	(void)row;
	return 1;
}

int library_has_drafts(struct library *lib)
{
	return META_QUERY(lib->meta, RECOVER_LIST, any_row, NULL, META_I(0), META_I(1));
}

int recover_give_up(struct library *lib, uint64_t *count)
{
	struct recover r = { .lib = lib, .give_up = true };
	int rc = recover_all(&r);

	*count = r.missing;
	return rc;
}
