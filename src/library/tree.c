/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Looking things up in the tree and listing folders; and the run of an operation. */
#include "config.h"

#include "library/file.h"
#include "library/sealer.h"
#include "library/tree-internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	TREE_TIDY = 256,      /* so many changes may make work for the clock */
	TREE_TRIES = 100,     /* plans of one operation before it gives up */
	TREE_PAGE_FIRST = 32, /* a folder's first page: about what one request of readdir takes */
};

int tree_run(struct library *lib, const struct actor *who, tree_plan_fn *plan, void *arg)
{
	struct tree_op t = { .lib = lib, .who = who };
	int err = -EAGAIN;

	if (library_read_only(lib))
		return -EROFS;
	t.op = meta_op_new();
	if (!t.op)
		return -ENOMEM;
	for (int i = 0; i < TREE_TRIES && err == -EAGAIN; i++) {
		meta_op_reset(t.op);
		t.now = library_now_ns(lib);
		err = plan(&t, arg);
		if (!err)
			err = meta_apply(lib->meta, t.op);
	}
	if (__atomic_add_fetch(&lib->changes, 1, __ATOMIC_RELAXED) % TREE_TIDY == 0)
		sealer_tidy(lib);
	meta_op_free(t.op);
	return err == -EAGAIN ? -EBUSY : err < 0 ? err : 0;
}

struct meta_value tree_name_value(const struct tree_name *name)
{
	return META_B(name->name, name->len);
}

static int tree_row_read(void *arg, const struct meta_row *row)
{
	node_read(row, 0, arg);
	return 0;
}

int tree_row(struct library *lib, int64_t ino, struct node *out)
{
	int count = META_QUERY(lib->meta, NODE_GET, tree_row_read, out, META_I(ino));

	return count > 0 ? 0 : count < 0 ? count : -ENOENT;
}

static int tree_find_read(void *arg, const struct meta_row *row)
{
	struct tree_found *found = arg;

	node_read(row, 0, &found->node);
	found->entry = meta_row_int(row, NODE_COLUMN_COUNT);
	return 0;
}

int tree_find(struct library *lib, const struct tree_name *name, struct tree_found *out)
{
	int count = META_QUERY(lib->meta, NODE_LOOKUP, tree_find_read, out, META_I(name->parent),
			       tree_name_value(name));

	return count > 0 ? 0 : count < 0 ? count : -ENOENT;
}

int tree_get(struct library *lib, int64_t ino, struct node *out)
{
	int err = tree_row(lib, ino, out);

	if (!err)
		file_overlay(lib, out);
	return err;
}

int tree_lookup(struct library *lib, int64_t parent, const char *name, size_t len, struct node *out)
{
	struct tree_found found;
	int err;

	if (len > NAME_LEN_MAX)
		return -ENAMETOOLONG;
	err = tree_find(lib, &(struct tree_name){ parent, name, len }, &found);
	if (err)
		return err;
	*out = found.node;
	file_overlay(lib, out);
	return 0;
}

struct tree_target {
	struct buf *out;
	int err;
};

static int tree_readlink_read(void *arg, const struct meta_row *row)
{
	struct tree_target *target = arg;
	size_t len;
	const void *bytes = meta_row_bytes(row, 1, &len);

	if (meta_row_int(row, 0) != NODE_SYMLINK)
		return -EINVAL;
	return buf_add(target->out, bytes, len);
}

int tree_readlink(struct library *lib, int64_t ino, struct buf *out)
{
	struct tree_target target = { .out = out };
	int count = META_QUERY(lib->meta, NODE_TARGET, tree_readlink_read, &target, META_I(ino));

	return count > 0 ? 0 : count < 0 ? count : -ENOENT;
}

/*
 * One page of a folder, read in one go so that no statement is open while the caller's function
 * runs.
 */
struct tree_page {
	size_t count;
	int64_t ids[TREE_PAGE];
	struct node nodes[TREE_PAGE];
	unsigned char lens[TREE_PAGE];
	char names[TREE_PAGE][NAME_LEN_MAX];
};

static int tree_page_read(void *arg, const struct meta_row *row)
{
	struct tree_page *page = arg;
	size_t at = page->count, len;
	const void *name = meta_row_bytes(row, 1, &len);

	if (!len || len > NAME_LEN_MAX)
		return ERR_CORRUPT;
	page->ids[at] = meta_row_int(row, 0);
	page->lens[at] = (unsigned char)len;
	memcpy(page->names[at], name, len);
	node_read(row, 2, &page->nodes[at]);
	page->count++;
	return 0;
}

static int tree_page_give(struct library *lib, struct tree_page *page, tree_list_fn *fn, void *arg)
{
	for (size_t i = 0; i < page->count; i++) {
		file_overlay(lib, &page->nodes[i]);
		if (fn(arg, page->names[i], page->lens[i], page->ids[i], &page->nodes[i]))
			return 1;
	}
	return 0;
}

int tree_list(struct library *lib, int64_t parent, int64_t cookie, tree_list_fn *fn, void *arg)
{
	CLEANUP_FREE struct tree_page *page = malloc(sizeof(*page));
	int want = TREE_PAGE_FIRST, got;

	if (!page)
		return -ENOMEM;
	do {
		page->count = 0;
		got = META_QUERY(lib->meta, ENTRY_LIST, tree_page_read, page, META_I(parent),
				 META_I(cookie), META_I(want));
		if (got < 0)
			return got;
		if (tree_page_give(lib, page, fn, arg))
			return 0;
		if (got)
			cookie = page->ids[got - 1];
		want = want * 2 < TREE_PAGE ? want * 2 : TREE_PAGE;
	} while (got >= TREE_PAGE_FIRST);
	return 0;
}

static int tree_parent_read(void *arg, const struct meta_row *row)
{
	*(int64_t *)arg = meta_row_int(row, 0);
	return 0;
}

int tree_parent(struct library *lib, int64_t folder, int64_t *parent)
{
	int count;

	if (folder == TREE_ROOT) {
		*parent = TREE_ROOT;
		return 0;
	}
	count = META_QUERY(lib->meta, ENTRY_OF, tree_parent_read, parent, META_I(folder));
	return count > 0 ? 0 : count < 0 ? count : -ENOENT;
}
