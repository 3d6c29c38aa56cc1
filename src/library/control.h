/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The mount's control socket, LIBRARY/control: how other processes of garner speak with the one
 * that mounts. A stream of lines; each request and each answer is one JSON object on a line of at
 * most CONTROL_LINE_MAX bytes. Mode 0600.
 *
 *   {"do":"status"}  process, queue and open files
 *   {"do":"sync"}    answered when what was written and closed before is sealed: "skipped" files
 *                    were left out (open for writing or mapped). "timeout_ms" (optional)
 *   {"do":"flush"}   sizes and times of open files are recorded and the log is synced
 *   {"do":"push"}    what waits for another try to be uploaded is due now, and whether uploads are paused is looked up
 *   {"do":"pull","inodes":[…]}
 *                    answered when these assets, PULL_MAX at most, are all here or cannot be: "files", "bytes" that were fetched, and
 *                    "failed", an array of [inode, negative error]
 *   {"do":"backup"}  answered when the bucket has the metadata as it is now; "take_over": true (optional) where another machine's
 *                    backup is no obstacle, "timeout_ms" (optional). "why": what is wrong, with an error
 *   {"do":"evict","ino":N}  answered when what may go of the asset, or of all below the folder, is evicted: "evicted" contents, "freed_bytes", and how many
 *                    stay because they are "pinned", "open", "unsent" or "unanswered" for, or "small"; "lost" chunks
 *   {"do":"poke"}    answered when the journal up to now was read and the kernel's caches follow it
 *
 * Answers have "ok": true, or false with "error" (text) and "errno" (the negative error). One
 * thread serves all; a client that is slow or silent for CONTROL_PATIENCE_MS is cut off.
 */
#ifndef GARNER_LIBRARY_CONTROL_H
#define GARNER_LIBRARY_CONTROL_H

#include <jansson.h>

#include "library/library.h"

enum { CONTROL_LINE_MAX = 64 << 10, CONTROL_PATIENCE_MS = 5000 };

/*
 * Sends a request to the process that mounts the library at `library_path`. On 0 *answer (may be
 * NULL) is the caller's to json_decref(); an answer with "ok": false is 0 as well. -ENOENT,
 * -ECONNREFUSED: nobody mounts it; -EACCES; -ETIMEDOUT (timeout_ms < 0: never); -EPROTO: the answer
 * makes no sense; -ECONNRESET.
 */
int control_call(const char *library_path, const char *request, int timeout_ms, json_t **answer);

/*
 * After a change by a process that does not mount: lets the one that does see it at once. Nothing
 * happens when nobody mounts.
 */
void library_changed(struct library *lib);

/*
 * A text that "status" gives under `name`, such as the mountpoint; copied. 0, -ENOMEM, -ENOTCONN
 * (no socket is served). Any thread.
 */
int control_describe(struct library *lib, const char *name, const char *text);

#endif
