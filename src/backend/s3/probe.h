/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Trying a bucket out: whether it can be reached, listed, written, read and deleted from; and what to do. */
#ifndef BACKEND_S3_PROBE_H
#define BACKEND_S3_PROBE_H

#include "backend/s3/client.h"

struct s3_probe {
	const char *failed; /* at what: "list", "write", "read", "delete"; NULL: all is well */
	struct buf why;     /* with failed: one line that names bucket, key and cause */
	struct buf advice;  /* with failed: what is likely to help; may be empty */
	char code[64];      /* of S3, of the last error */
	int64_t skew_s;     /* the clock's error, where it was in the way */
};

/*
 * Lists, and with WRITE also writes, reads and deletes an object of its own, and learns whether the
 * server keeps conditions. Blocks until DEADLINE_NS at most. *OUT is overwritten and ended with
 * s3_probe_release(). 0 or the error of what failed, as s3_client_submit() says.
 */
int s3_probe_run(struct s3_client *c, bool write, int64_t deadline_ns, struct s3_probe *out);

/* Frees what P holds. */
void s3_probe_release(struct s3_probe *p);

#endif
