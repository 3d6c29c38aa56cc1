/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Waiting for bytes of an open file that have to be fetched. */
#include "config.h"

#include "content/fetch.h"
#include "library/file-internal.h"

#include <errno.h>

int file_wait_new(struct file *f, uint64_t off, uint64_t len, int64_t *deadline_ns,
		  struct fetch_wait **out)
{
	struct content *c = library_content(f->lib);
	struct fetch_wait *w = NULL;
	struct file_source src;
	int rc = file_source_get(f, &src);

	if (rc)
		return rc;
	if (!*deadline_ns)
		*deadline_ns = fetch_deadline_ns(c);
	rc = fetch_wait_new(c, *deadline_ns, &w);
	if (rc == 0)
		rc = src.draft ? draft_want(src.draft, off, len, w)
			       : view_want(src.view, off, len, w);
	file_source_put(f, &src);
	if (rc)
		fetch_wait_free(w);
	else
		*out = w;
	return rc;
}

void file_wait_brief(struct fetch_wait *w)
{
	fetch_wait_brief(w);
}

int file_wait_go(struct fetch_wait *w, void (*done)(void *arg, int err), void *arg)
{
	return fetch_wait_go(w, done, arg);
}

void file_wait_cancel(struct fetch_wait *w, int err)
{
	fetch_wait_cancel(w, err);
}

void file_wait_free(struct fetch_wait *w)
{
	fetch_wait_free(w);
}
