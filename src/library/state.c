/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where the content of an asset is. */
#include "config.h"

#include "library/state.h"
#include "library/internal.h"

struct held {
	bool remote, missing, here;
};

static int held_row(void *arg, const struct meta_row *row)
{
	struct held *h = arg;

	h->remote = meta_row_int(row, 0) != 0;
	h->missing = meta_row_int(row, 1) != 0;
	h->here = meta_row_int(row, 2) != 0;
	return 0;
}

int file_state(struct library *lib, const struct node *n, enum file_state *out)
{
	struct held h = { .remote = true };

	*out = n->draft ? FILE_STATE_DIRTY : FILE_STATE_LOCAL;
	if (n->draft || !n->object)
		return 0;
	int got = META_QUERY(lib->meta, FETCH_HELD, held_row, &h, META_I(n->object));

	if (got < 0)
		return got;
	if (!h.remote && library_remote(lib))
		*out = FILE_STATE_UPLOADING;
	else if (h.missing)
		*out = h.here ? FILE_STATE_PARTIAL : FILE_STATE_REMOTE;
	return 0;
}

const char *file_state_word(enum file_state state)
{
	static const char *const words[] = { "local", "partial", "remote", "dirty", "uploading" };

	return words[state];
}
