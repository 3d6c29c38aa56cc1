/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The trash: listing it, putting back, taking out for good. */
#include "config.h"

#include "library/file.h"
#include "library/tree-internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	TREE_CHAIN_MAX = 1000, /* folders that one restore may bring back with it */
	TREE_NAMES_MAX = 1000, /* free names that are tried */
};

/* A row of the trash in memory. */
struct tree_trash_row {
	struct node node;
	int64_t parent, deleted_ns;
	uid_t actor;
	size_t len;
	char name[NAME_LEN_MAX];
};

struct tree_trash_page {
	size_t count;
	struct tree_trash_row rows[TREE_PAGE];
};

static int tree_trash_read(void *arg, const struct meta_row *row)
{
	struct tree_trash_page *page = arg;
	struct tree_trash_row *item = &page->rows[page->count];
	const void *name = meta_row_bytes(row, 2, &item->len);

	if (item->len > NAME_LEN_MAX)
		return ERR_CORRUPT;
	item->deleted_ns = meta_row_int(row, 0);
	item->parent = meta_row_int(row, 1);
	memcpy(item->name, name, item->len);
	item->actor = (uid_t)meta_row_int(row, 3);
	node_read(row, 4, &item->node);
	page->count++;
	return 0;
}

/*
 * One page of what was deleted after *last and before `before_ns`; moves *last on. The count, or
 * an error.
 */
static int tree_trash_page(struct library *lib, struct tree_trash_page *page, int64_t *last_ns,
			   int64_t *last_ino, int64_t before_ns)
{
	int count;

	page->count = 0;
	count = META_QUERY(lib->meta, TRASH_LIST, tree_trash_read, page, META_I(*last_ns),
			   META_I(*last_ino), META_I(before_ns), META_I(TREE_PAGE));
	if (count > 0) {
		*last_ns = page->rows[count - 1].deleted_ns;
		*last_ino = page->rows[count - 1].node.ino;
	}
	return count;
}

int tree_trash_list(struct library *lib, int (*fn)(void *arg, const struct tree_trash_item *item),
		    void *arg)
{
	CLEANUP_FREE struct tree_trash_page *page = malloc(sizeof(*page));
	int64_t last_ns = INT64_MIN, last_ino = 0;
	int count;

	if (!page)
		return -ENOMEM;
	while ((count = tree_trash_page(lib, page, &last_ns, &last_ino, INT64_MAX)) > 0) {
		for (int i = 0; i < count; i++) {
			const struct tree_trash_row *row = &page->rows[i];
			struct tree_trash_item item = { .node = row->node,
							.parent = row->parent,
							.name = row->name,
							.len = row->len,
							.deleted_ns = row->deleted_ns,
							.actor = row->actor };

			if (fn(arg, &item))
				return 0;
		}
	}
	return count;
}

static void tree_add_orphaned(struct tree_op *t, int64_t ino)
{
	META_ADD(t->op, TRASH_DELETE, META_ONE, -ENOENT, META_I(ino));
	META_ADD(t->op, ORPHAN_INSERT, META_ONE, -EAGAIN, META_I(ino), META_I(t->now));
	journal_add(t->op, t->lib, t->who, t->now,
		    &(struct journal_row){ .action = JOURNAL_PURGE, .ino = ino });
}

static int tree_purge_plan(struct tree_op *t, void *arg)
{
	tree_add_orphaned(t, *(int64_t *)arg);
	return 0;
}

int tree_purge(struct library *lib, const struct actor *who, int64_t ino)
{
	int err = tree_run(lib, who, tree_purge_plan, &ino);

	if (!err)
		files_unlinked(lib, ino);
	return err;
}

int tree_trash_expire(struct library *lib, int64_t now_ns)
{
	CLEANUP_FREE struct tree_trash_page *page = malloc(sizeof(*page));
	int64_t last_ns = INT64_MIN, last_ino = 0;
	int count, err, total = 0;

	if (!page)
		return -ENOMEM;
	while ((count = tree_trash_page(lib, page, &last_ns, &last_ino,
					now_ns - lib->settings.retention_ns)) > 0) {
		for (int i = 0; i < count; i++) {
			err = tree_purge(lib, NULL, page->rows[i].node.ino);
			if (err && err != -ENOENT)
				return err;
			total += !err;
		}
	}
	return count < 0 ? count : total;
}

/*
 * One node on its way back: the item itself and the folders above it that are in the trash, the
 * item first.
 */
struct tree_back {
	struct tree_trash_row row;
	char name[NAME_LEN_MAX];
	size_t len;
};

struct tree_restore_arg {
	int64_t ino;
	size_t count, size;
	struct tree_back *chain;
};

static int tree_back_read(void *arg, const struct meta_row *row)
{
	struct tree_trash_row *item = arg;
	const void *name = meta_row_bytes(row, 1, &item->len);

	if (item->len > NAME_LEN_MAX)
		return ERR_CORRUPT;
	item->parent = meta_row_int(row, 0);
	memcpy(item->name, name, item->len);
	return 0;
}

/* Adds node `ino`, which is in the trash, to the chain. -ENOENT: it is not there. */
static int tree_restore_push(struct tree_op *t, struct tree_restore_arg *restore, int64_t ino)
{
	struct tree_back *back;
	int count, err;

	if (restore->count == TREE_CHAIN_MAX)
		return -ELOOP;
	if (restore->count == restore->size) {
		size_t size = restore->size ? restore->size * 2 : 8;
		struct tree_back *chain = realloc(restore->chain, size * sizeof(*chain));

		if (!chain)
			return -ENOMEM;
		restore->chain = chain;
		restore->size = size;
	}
	back = &restore->chain[restore->count];
	count = META_QUERY(t->lib->meta, TRASH_GET, tree_back_read, &back->row, META_I(ino));
	if (count <= 0)
		return count < 0 ? count : -ENOENT;
	err = tree_row(t->lib, ino, &back->row.node);
	restore->count += !err;
	return err;
}

/*
 * The lowest folder at or above `folder` that is deleted: 0 where there is none (the folder is in
 * the tree), -ENOENT where a folder above is gone altogether.
 */
static int tree_restore_deleted(struct tree_op *t, int64_t folder, int64_t *out)
{
	struct node node;
	int err;

	for (int depth = 0; folder != TREE_ROOT; depth++) {
		err = tree_row(t->lib, folder, &node);
		if (err)
			return err;
		if (depth > TREE_DEPTH_MAX)
			return -ELOOP;
		if (node.state == NODE_DELETED) {
			*out = folder;
			return 0;
		}
		err = tree_parent(t->lib, folder, &folder);
		if (err)
			return err;
	}
	*out = 0;
	return 0;
}

/* What has to come back for restore->ino to be in the tree again. */
static int tree_restore_chain(struct tree_op *t, struct tree_restore_arg *restore)
{
	int64_t deleted = restore->ino;
	int err = 0;

	restore->count = 0;
	while (!err && deleted) {
		struct tree_trash_row *row;

		err = tree_restore_push(t, restore, deleted);
		if (err)
			break;
		row = &restore->chain[restore->count - 1].row;
		err = tree_restore_deleted(t, row->parent, &deleted);
		if (err == -ENOENT) {
			row->parent = TREE_ROOT;
			deleted = 0;
			err = 0;
		}
	}
	/*
	 * A folder above that was taken out of the trash for good: what hung on it goes into the
	 * root.
	 */
	if (err == -ENOENT && restore->count) {
		restore->chain[restore->count - 1].row.parent = TREE_ROOT;
		err = 0;
	}
	return err;
}

/* "name (n).ext", cut so that it fits and no character is split. */
static size_t tree_free_name(const struct tree_trash_row *row, int n, char *out)
{
	char mark[16];
	size_t mark_len = (size_t)snprintf(mark, sizeof(mark), " (%d)", n);
	const char *dot = memrchr(row->name, '.', row->len);
	size_t stem = dot && dot != row->name ? (size_t)(dot - row->name) : row->len,
	       tail = row->len - stem;

	if (tail + mark_len >= NAME_LEN_MAX) {
		stem = row->len;
		tail = 0;
	}
	if (stem + mark_len + tail > NAME_LEN_MAX) {
		size_t keep = NAME_LEN_MAX - mark_len - tail;

		while (keep > 1 && ((unsigned char)row->name[keep] & 0xc0) == 0x80)
			keep--;
		memcpy(out, row->name, keep);
		memcpy(out + keep, mark, mark_len);
		memcpy(out + keep + mark_len, row->name + stem, tail);
		return keep + mark_len + tail;
	}
	memcpy(out, row->name, stem);
	memcpy(out + stem, mark, mark_len);
	memcpy(out + stem + mark_len, row->name + stem, tail);
	return stem + mark_len + tail;
}

static int tree_restore_name(struct tree_op *t, struct tree_back *back)
{
	struct tree_found found;
	int err;

	memcpy(back->name, back->row.name, back->row.len);
	back->len = back->row.len;
	for (int n = 1; n <= TREE_NAMES_MAX; n++) {
		err = tree_find(t->lib,
				&(struct tree_name){ back->row.parent, back->name, back->len },
				&found);
		if (err)
			return err == -ENOENT ? 0 : err;
		back->len = tree_free_name(&back->row, n, back->name);
	}
	return -EEXIST;
}

static int tree_restore_add(struct tree_op *t, struct tree_back *back)
{
	const struct node *node = &back->row.node;
	struct tree_name name = { back->row.parent, back->name, back->len };
	int64_t entry = meta_next_id(t->lib->meta, META_SEQ_ENTRY);
	bool folder = node->kind == NODE_FOLDER;
	int err;

	if (entry < 0)
		return (int)entry;
	META_ADD(t->op, TRASH_DELETE, META_ONE, -EAGAIN, META_I(node->ino));
	if (folder)
		META_ADD(t->op, FOLDER_RESTORE, META_ONE, -EAGAIN, META_I(node->ino),
			 META_I(t->now));
	else
		META_ADD(t->op, NODE_RESTORE, META_ONE, -EAGAIN, META_I(node->ino), META_I(t->now));
	tree_add_touch(t, name.parent, folder ? 1 : 0);
	err = tree_add_entry(t->op, entry, &name, node->ino, -EAGAIN);
	if (err)
		return err;
	journal_add(t->op, t->lib, t->who, t->now,
		    &(struct journal_row){ .action = JOURNAL_RESTORE,
					   .ino = node->ino,
					   .parent = name.parent,
					   .name = name.name,
					   .name_len = name.len });
	return 0;
}

static int tree_restore_plan(struct tree_op *t, void *arg)
{
	struct tree_restore_arg *restore = arg;
	int err = tree_restore_chain(t, restore);

	for (size_t i = restore->count; !err && i--;) {
		err = tree_restore_name(t, &restore->chain[i]);
		if (!err)
			err = tree_restore_add(t, &restore->chain[i]);
	}
	return err;
}

int tree_restore(struct library *lib, const struct actor *who, int64_t ino, struct node *out)
{
	struct tree_restore_arg restore = { .ino = ino };
	int err = tree_run(lib, who, tree_restore_plan, &restore);

	free(restore.chain);
	return err || !out ? err : tree_get(lib, ino, out);
}
