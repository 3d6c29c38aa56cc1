/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Finds out what the filesystem under the blobs can do, by doing it to files of its own. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "backend/store/blobs-internal.h"
#include "util/cleanup.h"
#include "util/io.h"

enum { PROBE_BYTES = 65536 }; /* whole blocks on every filesystem that shares */

/* A file without a name: a descriptor to write it and, if `reader` is not NULL, one to read it. */
static int make_file(struct blobs *b, int *writer, int *reader)
{
	CLEANUP_BUF struct buf path = BUF_INIT;
	int err = buf_printf(&path, "%s/probe-XXXXXX", b->path);

	if (err)
		return err;
	*writer = mkostemp(path.data, O_CLOEXEC);
	if (*writer < 0)
		return -errno;
	if (reader) {
		*reader = open(path.data, O_RDONLY | O_CLOEXEC);
		if (*reader < 0)
			err = -errno;
	}
	unlink(path.data);
	return err;
}

static bool can_share(int src, int dst)
{
	struct file_clone_range range = { .src_fd = src };
	struct blobs_share share = { .src = src, .dst = dst, .len = PROBE_BYTES };

	return ioctl(dst, FICLONERANGE, &range) == 0 && blobs_io_share(&share) == 0;
}

static int probe(struct blobs *b)
{
	CLEANUP_CLOSE int first = -1, reader = -1, second = -1;
	CLEANUP_FREE char *bytes = calloc(1, PROBE_BYTES);
	int err = bytes ? make_file(b, &first, &reader) : -ENOMEM;

	if (!err)
		err = make_file(b, &second, NULL);
	if (!err)
		err = io_pwrite_full(first, bytes, PROBE_BYTES, 0);
	if (err)
		return err;
	b->caps.reflink = can_share(first, second);
	b->caps.punch = blobs_io_punch(first, 0, PROBE_BYTES) == 0;
	close(first);
	first = -1;
	b->caps.lease = blobs_io_lease(reader, F_RDLCK) == 1;
	return 0;
}

int blobs_probe(struct blobs *b)
{
	int err = probe(b);

	/* A full disk proves nothing, and is when giving space back matters most. */
	return err == -ENOSPC || err == -EDQUOT ? 0 : err;
}
