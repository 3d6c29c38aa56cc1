/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A bucket for who works through a list of requests, one after the other, and may have to stop at once: get, put, delete and list that wait, with a deadline each. One thread
 * at a time calls; any thread may cancel.
 */
#ifndef GARNER_LIBRARY_BACKUP_BUCKET_H
#define GARNER_LIBRARY_BACKUP_BUCKET_H

#include <stdbool.h>

#include "backend/s3/client.h"
#include "util/buf.h"
#include "util/lock.h"

struct backup_bucket {
	struct s3_client *client; /* owned */
	struct buf why;           /* of the last error: one line that names bucket, key and cause */

	struct lock lock; /* guards what follows */
	struct lock_cond done;
	bool cancelled, running;
	uint64_t ticket;

	bool one_by_one; /* the server deletes no more than one at a time; of who calls */
};

/* Takes over the client. Ended with backup_bucket_release(). */
void backup_bucket_init(struct backup_bucket *b, struct s3_client *client);
void backup_bucket_release(struct backup_bucket *b);

/* From now on every request ends at once with -ECANCELED, that under way too. Any thread. */
void backup_bucket_cancel(struct backup_bucket *b);

/* Appends the object at KEY, of at most MAX bytes, to OUT. 0, -ENOENT, -EFBIG, or an error of s3_client_submit(). */
int backup_bucket_get(struct backup_bucket *b, const char *key, size_t max, struct buf *out);

/* Puts the object, whole; with IF_ABSENT -EEXIST when there is one. 0 or an error of s3_client_submit(). */
int backup_bucket_put(struct backup_bucket *b, const char *key, const void *bytes, size_t len,
		      bool if_absent);

/* Removes it, also when it is not there. */
int backup_bucket_delete(struct backup_bucket *b, const char *key);

/*
 * Removes COUNT objects, at most S3_MANY_KEYS, with one request where the server takes that; GONE[i] says whether it is not there any more. 0 when all was answered, with the cause of the first that is
 * still there in `why`; else an error of s3_client_submit(): of those that are not known to be gone nothing is known.
 */
int backup_bucket_delete_many(struct backup_bucket *b, const char *const *keys, size_t count,
			      bool *gone);

/* A key below the library's prefix; valid during the call. Nonzero stops the list and is its result. */
typedef int backup_bucket_fn(void *arg, const char *key, uint64_t size);

/* All keys that begin with PREFIX ("meta/"), in their order. 0, FN's value, or an error. FN may not use the bucket. */
int backup_bucket_list(struct backup_bucket *b, const char *prefix, backup_bucket_fn *fn,
		       void *arg);

#endif
