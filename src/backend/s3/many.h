/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Deleting many objects with one request: what it sends and what comes back. For S3_DELETE_MANY (client.h); not every server knows it. */
#ifndef BACKEND_S3_MANY_H
#define BACKEND_S3_MANY_H

#include <stddef.h>

#include "backend/s3/settings.h"
#include "util/buf.h"

/* What S3 takes at a time. */
enum { S3_MANY_KEYS = 1000 };

/* Appends the body that names COUNT keys, at most S3_MANY_KEYS, below the prefix. 0, -ENOMEM. */
int s3_many_body(const struct s3_settings *s, const char *const *keys, size_t count,
		 struct buf *out);

/* A key below the prefix that was not deleted, and S3's code for why. Nonzero stops and is returned. */
typedef int s3_many_fn(void *arg, const char *key, const char *code);

/*
 * Reads the answer, calling FN for each key that is still there; what it does not name is deleted. One that was not there to begin with counts as
 * deleted. 0; FN's value; -EPROTO: it is no whole answer, and nothing is known; -ENOMEM.
 */
int s3_many_read(const struct s3_settings *s, const char *text, size_t len, s3_many_fn *fn,
		 void *arg);

#endif
