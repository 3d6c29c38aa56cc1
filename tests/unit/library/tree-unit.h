/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A library of its own for a case of the tree's tests, and short forms of what they do to it.
 * Static, as check's cases are.
 */
#ifndef GARNER_TESTS_UNIT_LIBRARY_TREE_UNIT_H
#define GARNER_TESTS_UNIT_LIBRARY_TREE_UNIT_H

#include "library/internal.h"
#include "../unit.h"
#include "util/io.h"
#include "util/cleanup.h"
#include "util/time.h"

#include <errno.h>
#include <string.h>

struct tree_unit {
	char dir[64], path[96];
	int fd;
	struct library *lib;
	struct actor who;
	int faults;
};

static inline void tree_unit_open(struct tree_unit *u)
{
	ck_assert_int_eq(library_open(u->path, 0, &u->lib), 0);
}

/* Makes and opens a library; `config` is its machine's settings, NULL for the defaults. */
static inline void tree_unit_begin(struct tree_unit *u, const char *config)
{
	struct library_params params = { .mode = 0755 };

	memset(u, 0, sizeof(*u));
	u->fd = unit_make_dir(u->dir);
	snprintf(u->path, sizeof(u->path), "%s/library", u->dir);
	u->who = (struct actor){ .uid = 1000, .gid = 100, .umask = 022 };
	ck_assert_int_eq(library_init(u->path, &params), 0);
	if (config) {
		char name[128];

		snprintf(name, sizeof(name), "%s/config", u->path);
		ck_assert_int_eq(io_write_file(AT_FDCWD, name, config, strlen(config), 0644), 0);
	}
	tree_unit_open(u);
}

static inline void tree_unit_fault(void *arg, const char *line)
{
	(void)arg;
	fprintf(stderr, "fault: %s\n", line);
}

static inline void tree_unit_check(struct tree_unit *u)
{
	ck_assert_int_eq(tree_check(u->lib, tree_unit_fault, NULL), 0);
}

/* Checks the tree and removes everything. */
static inline void tree_unit_end(struct tree_unit *u)
{
	tree_unit_check(u);
	library_close(u->lib);
	unit_remove_dir(u->dir, u->fd);
}

static inline struct tree_new tree_unit_new(int64_t parent, const char *name, mode_t mode)
{
	return (struct tree_new){ .parent = parent,
				  .name = name,
				  .len = strlen(name),
				  .mode = mode,
				  .target = "target" };
}

/* The result of making a node; its number in *ino. */
static inline int tree_unit_try(struct tree_unit *u, int64_t parent, const char *name, mode_t mode,
				int64_t *ino)
{
	struct tree_new what = tree_unit_new(parent, name, mode);
	struct node node;
	int err = tree_make(u->lib, &u->who, &what, &node);

	if (!err && ino)
		*ino = node.ino;
	return err;
}

static inline int64_t tree_unit_make(struct tree_unit *u, int64_t parent, const char *name,
				     mode_t mode)
{
	int64_t ino = 0;

	ck_assert_int_eq(tree_unit_try(u, parent, name, mode, &ino), 0);
	ck_assert_int_gt(ino, TREE_ROOT);
	return ino;
}

static inline int64_t tree_unit_folder(struct tree_unit *u, int64_t parent, const char *name)
{
	return tree_unit_make(u, parent, name, S_IFDIR | 0777);
}

static inline int64_t tree_unit_asset(struct tree_unit *u, int64_t parent, const char *name)
{
	return tree_unit_make(u, parent, name, S_IFREG | 0666);
}

static inline struct node tree_unit_get(struct tree_unit *u, int64_t ino)
{
	struct node node;

	ck_assert_int_eq(tree_get(u->lib, ino, &node), 0);
	return node;
}

/* Nodes may have padding, so memcmp() will not do. */
static inline void tree_unit_same(const struct node *a, const struct node *b)
{
	ck_assert_int_eq(a->ino, b->ino);
	ck_assert_mem_eq(a->asset_id, b->asset_id, sizeof(a->asset_id));
	ck_assert(a->kind == b->kind && a->state == b->state && a->rdev == b->rdev);
	ck_assert_uint_eq(a->mode, b->mode);
	ck_assert(a->uid == b->uid && a->gid == b->gid && a->size == b->size &&
		  a->alloc == b->alloc);
	ck_assert(a->atime_ns == b->atime_ns && a->mtime_ns == b->mtime_ns);
	ck_assert(a->ctime_ns == b->ctime_ns && a->created_ns == b->created_ns);
	ck_assert_int_eq(a->nlink, b->nlink);
	ck_assert(a->object == b->object && a->draft == b->draft);
	ck_assert_int_eq(a->version, b->version);
}

/* The node under a name, or 0. */
static inline int64_t tree_unit_find(struct tree_unit *u, int64_t parent, const char *name)
{
	struct node node;
	int err = tree_lookup(u->lib, parent, name, strlen(name), &node);

	ck_assert(err == 0 || err == -ENOENT);
	return err ? 0 : node.ino;
}

static inline int tree_unit_rename(struct tree_unit *u, int64_t parent, const char *name,
				   int64_t to, const char *new_name, unsigned flags)
{
	return tree_rename(u->lib, &u->who, parent, name, strlen(name), to, new_name,
			   strlen(new_name), flags);
}

static inline int tree_unit_unlink(struct tree_unit *u, int64_t parent, const char *name)
{
	return tree_unlink(u->lib, &u->who, parent, name, strlen(name), NULL);
}

static inline int tree_unit_rmdir(struct tree_unit *u, int64_t parent, const char *name)
{
	return tree_rmdir(u->lib, &u->who, parent, name, strlen(name));
}

static inline int tree_unit_link(struct tree_unit *u, int64_t ino, int64_t parent, const char *name)
{
	struct node node;

	return tree_link(u->lib, &u->who, ino, parent, name, strlen(name), &node);
}

static inline void tree_unit_apply(struct tree_unit *u, struct meta_op *op)
{
	ck_assert_int_eq(meta_apply(u->lib->meta, op), 0);
	meta_op_free(op);
}

/*
 * Gives the asset sealed content as the sealer's rows would, without bytes. The object's id; size 0 is
 * empty content, which has none.
 */
static inline int64_t tree_unit_seal(struct tree_unit *u, int64_t ino, int64_t size)
{
	struct node node = tree_unit_get(u, ino);
	int64_t object = meta_next_id(u->lib->meta, META_SEQ_OBJECT),
		draft = meta_next_id(u->lib->meta, META_SEQ_BLOB);
	struct meta_op *op = meta_op_new();
	uint8_t root[32] = { 0 };

	memcpy(root, &object, sizeof(object));
	if (size)
		META_ADD(op, OBJECT_ADD, META_ONE, 0, META_I(object), META_B(root, sizeof(root)),
			 META_I(size), META_I(size), META_I(0));
	META_ADD(op, FILE_ATTACH, META_ONE, -EAGAIN, META_I(ino), META_I(draft), META_I(size),
		 node.object ? META_I(node.object) : META_N());
	META_ADD(op, FILE_SEAL, META_ONE, -EAGAIN, META_I(ino), META_I(draft),
		 size ? META_B(root, sizeof(root)) : META_N(), META_I(size), META_I(size), META_N(),
		 META_N(), META_I(time_now_ns()));
	META_ADD(op, VERSION_RECORD, META_ONE, -EAGAIN, META_I(ino), META_I(time_now_ns()),
		 META_I(u->who.uid));
	tree_unit_apply(u, op);
	ck_assert_int_eq(tree_unit_get(u, ino).object, size ? object : 0);
	return size ? object : 0;
}

/* Makes every orphan older than the sweep asks for. */
static inline int tree_unit_ino(void *arg, const struct meta_row *row)
{
	int64_t *list = arg;

	list[++list[0]] = meta_row_int(row, 0);
	return 0;
}

static inline void tree_unit_age(struct tree_unit *u)
{
	int64_t list[1001] = { 0 };
	struct meta_op *op = meta_op_new();

	META_QUERY(u->lib->meta, ORPHAN_LIST, tree_unit_ino, list, META_I(0), META_I(INT64_MAX),
		   META_I(1000));
	for (int64_t i = 1; i <= list[0]; i++) {
		META_ADD(op, ORPHAN_DELETE, META_ONE, 0, META_I(list[i]));
		META_ADD(op, ORPHAN_INSERT, META_ONE, 0, META_I(list[i]), META_I(1));
	}
	if (list[0])
		tree_unit_apply(u, op);
	else
		meta_op_free(op);
}

/* Runs the sweep until nothing is left to do; how many nodes went. */
static inline int tree_unit_sweep(struct tree_unit *u)
{
	int total = 0, got;

	tree_unit_age(u);
	while ((got = tree_sweep(u->lib, TREE_SWEEP_AGE_NS, 100)) > 0)
		total += got;
	ck_assert_int_eq(got, 0);
	return total;
}

#endif
