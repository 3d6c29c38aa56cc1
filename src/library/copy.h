/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Copies within the tree: new nodes and entries over the same content. No byte is read or written, so a copy
 * costs rows alone, whatever the size of what is copied.
 *
 * A copy has the kind, permission bits, access and modification times, extended attributes and ACLs of what it is a
 * copy of, and what is linked several times below a folder is so in the copy. Owner and group are kept for the
 * superuser; others own what they copy, without set-id bits. It is a new asset, with a history of its own.
 */
#ifndef GARNER_LIBRARY_COPY_H
#define GARNER_LIBRARY_COPY_H

#include "library/tree.h"

#define COPY_NOREPLACE 0x1 /* -EEXIST where an asset has the name */
#define COPY_TREE 0x2      /* a folder with all that lies below; else -EISDIR */

struct copy {
	int64_t ino;    /* what to copy */
	int64_t parent; /* the folder for it, and its name there; the bytes are borrowed */
	const char *name;
	size_t len;
	unsigned flags; /* COPY_* */
	/*
	 * Of node `ino` below the folder that is copied there is no copy; nonzero ends the copy, and is its result. NULL: the
	 * first failure is the result.
	 */
	int (*failed)(void *arg, int64_t ino, int err);
	/* Told now and then how many nodes were copied; may be NULL. */
	void (*progress)(void *arg, uint64_t nodes);
	void *arg;
};

/*
 * Copies one node; *out (may be NULL) is the copy. An asset takes the place of an asset of that name as its next
 * version, which then has the content and modification time alone; of the same content nothing is changed. A folder
 * is copied in several operations, so what is below it appears by and by; what is made meanwhile is not part of it.
 *
 * 0, or a negative error: -ENOENT (no such node; the folder gone), -EISDIR, -EEXIST (the name is taken, and not by an
 * asset that an asset can replace), -EBUSY (an asset that is being written: its content is no object yet), -EINVAL (an asset onto
 * itself, a folder into itself, the name), -ENAMETOOLONG, -EROFS, those of meta_apply().
 */
int copy_node(struct library *lib, const struct actor *who, const struct copy *what,
	      struct node *out);

#endif
