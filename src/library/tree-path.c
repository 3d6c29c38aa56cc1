/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Paths from the root, and sums below a folder. */
#include "config.h"

#include "library/file.h"
#include "library/tree-internal.h"

#include <errno.h>
#include <string.h>

/* The next part of a path at *at, past the slashes before it; false at the end. */
static bool tree_path_part(const char **at, const char **name, size_t *len)
{
	const char *begin = *at + strspn(*at, "/");

	*name = begin;
	*len = strcspn(begin, "/");
	*at = begin + *len;
	return *len > 0;
}

static bool tree_path_is_dots(const char *name, size_t len, const char *dots)
{
	return len == strlen(dots) && !memcmp(name, dots, len);
}

/* One step from *node. */
static int tree_path_step(struct library *lib, struct node *node, const char *name, size_t len)
{
	int64_t parent;
	int err;

	if (node->kind != NODE_FOLDER)
		return -ENOTDIR;
	if (tree_path_is_dots(name, len, "."))
		return 0;
	if (!tree_path_is_dots(name, len, ".."))
		return tree_lookup(lib, node->ino, name, len, node);
	err = tree_parent(lib, node->ino, &parent);
	return err ? err : tree_get(lib, parent, node);
}

int tree_resolve(struct library *lib, const char *path, struct node *out)
{
	struct node node;
	const char *name;
	size_t len;
	int err = tree_get(lib, TREE_ROOT, &node);

	while (!err && tree_path_part(&path, &name, &len))
		err = tree_path_step(lib, &node, name, len);
	if (!err)
		*out = node;
	return err;
}

int tree_resolve_parent(struct library *lib, const char *path, struct node *parent,
			const char **name, size_t *len)
{
	struct node node;
	const char *last = NULL, *next;
	size_t last_len = 0, next_len;
	int err = tree_get(lib, TREE_ROOT, &node);

	while (!err && tree_path_part(&path, &next, &next_len)) {
		if (last)
			err = tree_path_step(lib, &node, last, last_len);
		last = next;
		last_len = next_len;
	}
	if (!err && !last)
		err = -EINVAL;
	if (!err && node.kind != NODE_FOLDER)
		err = -ENOTDIR;
	if (!err)
		err = name_check(last, last_len);
	if (err)
		return err;
	*parent = node;
	*name = last;
	*len = last_len;
	return 0;
}

struct tree_above {
	int64_t parent;
	size_t len;
	char name[NAME_LEN_MAX];
};

static int tree_above_read(void *arg, const struct meta_row *row)
{
	struct tree_above *above = arg;
	const void *name = meta_row_bytes(row, 1, &above->len);

	if (above->len > sizeof(above->name))
		return ERR_CORRUPT;
	above->parent = meta_row_int(row, 0);
	memcpy(above->name, name, above->len);
	return 0;
}

static void tree_path_reverse(char *bytes, size_t len)
{
	for (size_t i = 0; i < len / 2; i++) {
		char byte = bytes[i];

		bytes[i] = bytes[len - 1 - i];
		bytes[len - 1 - i] = byte;
	}
}

/* Where the node is, or, with GONE, was: 1, 0 when there is no such place, or an error. */
static int tree_above_of(struct library *lib, int64_t ino, const bool *gone,
			 struct tree_above *above)
{
	int count = META_QUERY(lib->meta, ENTRY_OF, tree_above_read, above, META_I(ino));

	if (count == 0 && gone)
		count = META_QUERY(lib->meta, TRASH_GET, tree_above_read, above, META_I(ino));
	return count;
}

/*
 * The path is put together backwards, each name turned round, and turned round as a whole at the
 * end.
 */
static int tree_path_up(struct library *lib, int64_t ino, bool *gone, struct buf *out)
{
	CLEANUP_BUF struct buf path = BUF_INIT;
	struct tree_above above;
	int err = 0;

	for (int depth = 0; !err && ino != TREE_ROOT; depth++) {
		int count = tree_above_of(lib, ino, gone, &above);

		if (count < 0)
			return count;
		if (!count) {
			if (!gone)
				return -ENOENT;
			*gone = true;
			break;
		}
		if (depth > TREE_DEPTH_MAX)
			return -ELOOP;
		tree_path_reverse(above.name, above.len);
		err = buf_add(&path, above.name, above.len);
		if (!err)
			err = buf_add_byte(&path, '/');
		ino = above.parent;
	}
	if (!err && !path.len)
		err = buf_add_byte(&path, '/');
	if (err)
		return err;
	tree_path_reverse(path.data, path.len);
	return buf_add(out, path.data, path.len);
}

int tree_path(struct library *lib, int64_t ino, struct buf *out)
{
	return tree_path_up(lib, ino, NULL, out);
}

int tree_path_was(struct library *lib, int64_t ino, bool *gone, struct buf *out)
{
	*gone = false;
	return tree_path_up(lib, ino, gone, out);
}

/* Rows as they are kept until the statement is done: the folder's number, the name, a NUL. */
static int tree_placement_read(void *arg, const struct meta_row *row)
{
	int64_t parent = meta_row_int(row, 0);
	size_t len;
	const void *name = meta_row_bytes(row, 1, &len);
	int err = buf_add(arg, &parent, sizeof(parent));

	if (!err)
		err = buf_add(arg, name, len);
	return err ? err : buf_add_byte(arg, '\0');
}

int tree_placements(struct library *lib, int64_t ino,
		    int (*fn)(void *arg, int64_t parent, const char *name, size_t len), void *arg)
{
	CLEANUP_BUF struct buf rows = BUF_INIT;
	int rc = META_QUERY(lib->meta, ENTRY_LIST_OF, tree_placement_read, &rows, META_I(ino));

	rc = rc < 0 ? rc : 0;
	for (size_t at = 0; !rc && at < rows.len;) {
		int64_t parent;
		const char *name = rows.data + at + sizeof(parent);
		size_t len = strlen(name);

		memcpy(&parent, rows.data + at, sizeof(parent));
		rc = fn(arg, parent, name, len);
		at += sizeof(parent) + len + 1;
	}
	return rc;
}

static int tree_usage_read(void *arg, const struct meta_row *row)
{
	struct tree_usage *usage = arg;

	if (meta_row_int(row, 0) == NODE_FOLDER) {
		usage->folders += (uint64_t)meta_row_int(row, 1);
		return 0;
	}
	if (meta_row_int(row, 0) == NODE_ASSET)
		usage->assets += (uint64_t)meta_row_int(row, 1);
	usage->bytes += (uint64_t)meta_row_int(row, 2);
	usage->alloc += (uint64_t)meta_row_int(row, 3);
	return 0;
}

int tree_usage(struct library *lib, int64_t ino, struct tree_usage *out)
{
	struct tree_usage usage = { 0 };
	int count = META_QUERY(lib->meta, TREE_USAGE, tree_usage_read, &usage, META_I(ino));

	if (count < 0)
		return count;
	*out = usage;
	return 0;
}
