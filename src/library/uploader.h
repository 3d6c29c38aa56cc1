/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The thread that drains the upload queue (content/upload.h): in the process that mounts a library with a bucket, and in `garner push` when
 * nobody mounts. Any number of them may work on one queue. Nothing is lost when one stops at any point.
 */
#ifndef GARNER_LIBRARY_UPLOADER_H
#define GARNER_LIBRARY_UPLOADER_H

#include "content/upload.h"
#include "library/library.h"

/*
 * Starts it, after library_start(). 0, also when the library has no bucket, is open for reading only or it runs already; -ENOMEM or a negative errno.
 * library_close() stops it.
 */
int uploader_start(struct library *lib);

/* Something was sealed. HURRY: someone wants it sent now. Nothing happens where none runs. Any thread; does not block. */
void uploader_kick(struct library *lib, bool hurry);

/* What this process's uploader does: true, or false with zeroes when none runs. Any thread. */
bool uploader_status(struct library *lib, struct upload_status *out);

#endif
