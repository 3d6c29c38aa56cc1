/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Fills a folder of a library with empty assets, many to a transaction, so that what is promised of large libraries can be tried.
 *
 *	populate LIBRARY FOLDER COUNT		the folder is made; assets are called a0000000, a0000001, …
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/meta/meta.h"
#include "library/library.h"
#include "library/tree.h"
#include "util/err.h"

#define BATCH 1000

static int fill(struct library *lib, const struct actor *who, const struct node *folder,
		unsigned long count)
{
	struct meta_op *op = meta_op_new();
	char name[32];
	int err = op ? 0 : -ENOMEM;

	for (unsigned long i = 0; i < count && !err; i++) {
		int len = snprintf(name, sizeof name, "a%07lu", i);
		struct tree_new what = { .parent = folder->ino,
					 .name = name,
					 .len = (size_t)len,
					 .mode = S_IFREG | 0644 };
		struct node made;

		err = tree_plan_make(lib, who, &what, folder, op, &made);
		if (!err && (i % BATCH == BATCH - 1 || i + 1 == count)) {
			err = meta_apply(library_meta(lib), op);
			meta_op_reset(op);
		}
	}
	meta_op_free(op);
	return err;
}

int main(int argc, char **argv)
{
	struct actor who = { .uid = geteuid(), .gid = getegid(), .umask = 022 };
	struct library *lib;
	struct node root, folder;
	int err;

	if (argc != 4) {
		fprintf(stderr, "usage: populate LIBRARY FOLDER COUNT\n");
		return 2;
	}
	err = library_open(argv[1], 0, &lib);
	if (!err) {
		err = tree_get(lib, TREE_ROOT, &root);
		if (!err)
			err = tree_make(lib, &who,
					&(struct tree_new){ .parent = TREE_ROOT,
							    .name = argv[2],
							    .len = strlen(argv[2]),
							    .mode = S_IFDIR | 0755 },
					&folder);
		if (!err)
			err = fill(lib, &who, &folder, strtoul(argv[3], NULL, 10));
		library_close(lib);
	}
	if (err)
		fprintf(stderr, "populate: %s: %s\n", argv[1], err_text(err));
	return err ? 1 : 0;
}
