/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where the content of an asset is: on this machine, in the bucket, or not safe yet. From the metadata alone; nobody is asked. */
#ifndef GARNER_LIBRARY_STATE_H
#define GARNER_LIBRARY_STATE_H

#include "library/tree.h"

enum file_state {
	FILE_STATE_LOCAL,     /* all of it is here; with a bucket, there too */
	FILE_STATE_PARTIAL,   /* some of it is here, the rest in the bucket */
	FILE_STATE_REMOTE,    /* none of it is here, but perhaps for its first and last bytes */
	FILE_STATE_DIRTY,     /* it has changes that are not sealed */
	FILE_STATE_UPLOADING, /* sealed, and not all of it is in the bucket */
};

/* The extended attribute that tells it, of assets alone; never listed, never set. */
#define FILE_STATE_XATTR "user.garner.state"

/* Of asset `n` as its row is now. 0 or an error of meta_query(). */
int file_state(struct library *lib, const struct node *n, enum file_state *out);

/* "local", "partial", "remote", "dirty", "uploading". */
const char *file_state_word(enum file_state state);

#endif
