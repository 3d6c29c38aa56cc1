/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An asset as one object under a readable key in the library's bucket, put together by the server as far as it can. */
#ifndef GARNER_AGENT_EXPORT_BUCKET_H
#define GARNER_AGENT_EXPORT_BUCKET_H

#include "library/library.h"
#include "library/tree.h"
#include "util/buf.h"

/* Where such objects are, below the library's prefix. */
#define EXPORT_BUCKET_FOLDER "exports/"

struct export_bucket_stats {
	uint64_t bytes;  /* of the object */
	uint64_t copied; /* of them, by the server, from chunks that it has */
	unsigned parts;
};

/*
 * Makes the sealed content of asset N the object EXPORT_BUCKET_FOLDER KEY; what is there is replaced, when all of it is there, and not before. A chunk that the bucket has, and that is large enough for
 * a part (5 MiB), does not pass this machine; the rest is read as by export_content(), checked, and sent. 0; -EISDIR: no asset; -ENODATA: nothing of it was sealed; -ENODEV: the library has
 * no bucket; ERR_CORRUPT; -EFBIG; errors of s3_client_submit() and view_read(). WHY gets what a server says.
 */
int export_to_bucket(struct library *lib, const struct node *n, const char *key,
		     struct export_bucket_stats *out, struct buf *why);

#endif
