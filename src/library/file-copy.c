/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * copy_file_range(2): what is sealed is named in the map of the target's draft; what is being
 * written is copied. Short copies are byte copies too: a map of many small pieces costs more than
 * it saves.
 */
#include "config.h"

#include "library/file-internal.h"
#include "util/cleanup.h"

#include <errno.h>
#include <stdlib.h>

enum {
	FILE_SHARE_MIN = 64 << 10,
	FILE_COPY_BUFFER = 1 << 20,
	FILE_COPY_MAX = 64 << 20, /* per call, so that it can be interrupted */
};

/* Bytes of a sealed file from `off`, at most `len`; *object and 0 when they cannot be shared. */
static int file_shareable(struct file *in, uint64_t off, uint64_t *len, int64_t *object)
{
	file_lock(in);
	int rc = file_load_locked(in);

	*object = 0;
	if (rc == 0 && in->phase == FILE_SEALED && in->object) {
		*object = in->object;
		*len = off >= in->size ? 0 : *len < in->size - off ? *len : in->size - off;
	}
	file_unlock(in);
	return rc;
}

static ssize_t file_copy_share(struct file *out, uint64_t out_off, int64_t object, uint64_t in_off,
			       uint64_t len)
{
	int rc = file_change_begin(out, false);
	ssize_t n;

	if (rc)
		return rc;
	/* Since the change began nothing new is passed until it ends. */
	if (out->pass)
		n = draft_copy(out->draft, out_off, object, in_off,
			       len < FILE_COPY_MAX ? len : FILE_COPY_MAX);
	else
		n = draft_share(out->draft, out_off, object, in_off, len);
	if (n == 0 && !out->pass)
		n = (ssize_t)len;
	file_change_end(out, n > 0);
	return n;
}

static ssize_t file_copy_bytes(struct file *in, uint64_t in_off, struct file *out, uint64_t out_off,
			       uint64_t len)
{
	CLEANUP_FREE char *buffer = malloc(FILE_COPY_BUFFER);
	uint64_t done = 0;
	ssize_t n = 0;

	if (!buffer)
		return -ENOMEM;
	if (len > FILE_COPY_MAX)
		len = FILE_COPY_MAX;
	while (done < len) {
		size_t want = len - done < FILE_COPY_BUFFER ? (size_t)(len - done)
							    : FILE_COPY_BUFFER;

		n = file_read_here(in, buffer, want, in_off + done);
		if (n <= 0)
			break;
		n = file_write(out, buffer, (size_t)n, out_off + done);
		if (n <= 0)
			break;
		done += (uint64_t)n;
	}
	return done ? (ssize_t)done : n;
}

ssize_t file_copy(struct file *in, uint64_t in_off, struct file *out, uint64_t out_off,
		  uint64_t len)
{
	int64_t object = 0;

	if (in_off > INT64_MAX || out_off > INT64_MAX)
		return -EINVAL;
	if (len > INT64_MAX - out_off)
		len = INT64_MAX - out_off;
	if (len > INT64_MAX - in_off)
		len = INT64_MAX - in_off;
	if (in == out && in_off < out_off + len && out_off < in_off + len)
		return -EINVAL;
	int rc = in == out ? 0 : file_shareable(in, in_off, &len, &object);

	if (rc)
		return rc;
	if (len == 0)
		return 0;
	if (object && len >= FILE_SHARE_MIN)
		return file_copy_share(out, out_off, object, in_off, len);
	return file_copy_bytes(in, in_off, out, out_off, len);
}
