/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Assets and folders written out of a library, with holes, times, modes, owners, attributes and links. */
#ifndef GARNER_AGENT_EXPORT_H
#define GARNER_AGENT_EXPORT_H

#include "library/library.h"
#include "library/tree.h"

struct export_stats {
	uint64_t assets, folders, others, links; /* written */
	uint64_t skipped, failed, bytes;
};

struct export;

struct export_watch {
	void (*failed)(void *arg, const char *path, int err);
	void (*progress)(void *arg, const struct export_stats *s); /* may be NULL */
	void *arg;
};

/*
 * One run, of one thread: what has several names is written once in it and linked for the others, also where they lie in several trees. `watch` and
 * `stats` (zeroed by the caller, filled by export_tree()) live as long. 0 and *out for export_end(), or -ENOMEM.
 */
int export_begin(struct library *lib, const struct export_watch *watch, struct export_stats *stats,
		 struct export **out);
void export_end(struct export *x);

/*
 * Writes node `n` and all below it as `target` (a path that need not exist). What is there with the same kind, size and time of change is passed over. Every chunk of sealed
 * content is checked against its hash: ERR_CORRUPT for the file, which is then not left behind. A file is written under a temporary name and renamed.
 * May run beside a mount: of what is being edited it has the content that was sealed last, or what was in the draft when it was read. 0, or
 * an error that ended all of it; what one file could not is told and counted.
 */
int export_tree(struct export *x, const struct node *n, const char *target);

/* Writes the content of asset `n` to `fd`, which need not be seekable, checked in the same way. 0, ERR_CORRUPT, -EISDIR, -EPIPE, … */
int export_content(struct library *lib, const struct node *n, int fd);

#endif
