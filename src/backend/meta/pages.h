/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The database as pages, for who keeps a copy of it elsewhere: which pages have changed, by whatever process, and what each holds at one moment. One
 * thread at a time uses a struct meta_pages; any number of them may be there. Closed before the database is.
 */
#ifndef GARNER_BACKEND_META_PAGES_H
#define GARNER_BACKEND_META_PAGES_H

#include "backend/meta/meta.h"

struct meta_pages;

/* The database at one moment. */
struct meta_pages_moment {
	uint32_t page_size; /* bytes */
	uint32_t count;     /* pages, numbered from 1 */
	bool all; /* what has changed since the last moment is not known: any page may have */
};

/* A page that may have changed; may be told of twice. Nonzero ends meta_pages_begin() with it. */
typedef int meta_pages_fn(void *arg, uint32_t page);

/* Begins to watch: *OUT is for meta_pages_free(). 0, -ENOMEM, -EROFS, -EOPNOTSUPP: this database has no pages. */
int meta_pages_new(struct meta *m, struct meta_pages **out);

/* Ends it, with the moment that is open. NULL allowed. */
void meta_pages_free(struct meta_pages *p);

/* Whether there may be changes since the last moment: 1, 0, or a negative errno. Two small reads. */
int meta_pages_changed(struct meta_pages *p);

/*
 * Opens a moment: the database as it is now. Until meta_pages_end() writers go on, but their log cannot be moved into the file: not for long. FN (ARG) gets each
 * page that has changed since the last moment was opened, numbers beyond the count included; at the first moment, and when it cannot be known, out->all is set instead. FN's value, or an
 * error of meta_query(); then no moment is open, and the next has `all` set.
 */
int meta_pages_begin(struct meta_pages *p, meta_pages_fn *fn, void *arg,
		     struct meta_pages_moment *out);

/* Reads PAGE, 1 to count, into BUF of page_size bytes. 0 or an error of meta_query(). */
int meta_pages_read(struct meta_pages *p, uint32_t page, void *buf);

/* Ends the moment. 0: what was read is of that moment; -EAGAIN: it may not be, read all of it again at another. */
int meta_pages_end(struct meta_pages *p);

#endif
