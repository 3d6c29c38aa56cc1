/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The row of a node in memory. */
#include "config.h"

#include "library/node.h"
#include "util/time.h"

#include <string.h>

enum { NODE_BLOCK_SIZE = 128 * 1024 };

void node_read(const struct meta_row *row, int col, struct node *out)
{
	size_t len;
	const void *id = meta_row_bytes(row, col + 1, &len);

	memset(out, 0, sizeof(*out));
	if (len == sizeof(out->asset_id))
		memcpy(out->asset_id, id, len);
	out->ino = meta_row_int(row, col);
	out->kind = (enum node_kind)meta_row_int(row, col + 2);
	out->state = (enum node_state)meta_row_int(row, col + 3);
	out->mode = (mode_t)meta_row_int(row, col + 4);
	out->uid = (uid_t)meta_row_int(row, col + 5);
	out->gid = (gid_t)meta_row_int(row, col + 6);
	out->rdev = (dev_t)meta_row_int(row, col + 7);
	out->size = (uint64_t)meta_row_int(row, col + 8);
	out->alloc = (uint64_t)meta_row_int(row, col + 9);
	out->atime_ns = meta_row_int(row, col + 10);
	out->mtime_ns = meta_row_int(row, col + 11);
	out->ctime_ns = meta_row_int(row, col + 12);
	out->created_ns = meta_row_int(row, col + 13);
	out->nlink = meta_row_int(row, col + 14);
	out->object = meta_row_int(row, col + 15);
	out->draft = meta_row_int(row, col + 16);
	out->version = meta_row_int(row, col + 17);
}

static const struct {
	mode_t type;
	const char *text;
} node_kinds[] = {
	[NODE_FOLDER] = { S_IFDIR, "folder" },         [NODE_ASSET] = { S_IFREG, "asset" },
	[NODE_SYMLINK] = { S_IFLNK, "symlink" },       [NODE_FIFO] = { S_IFIFO, "fifo" },
	[NODE_CHAR] = { S_IFCHR, "character device" }, [NODE_BLOCK] = { S_IFBLK, "block device" },
	[NODE_SOCKET] = { S_IFSOCK, "socket" },
};

enum node_kind node_kind_of(mode_t mode)
{
	mode_t type = mode & S_IFMT;

	if (!type)
		return NODE_ASSET;
	for (int kind = NODE_FOLDER; kind <= NODE_SOCKET; kind++) {
		if (node_kinds[kind].type == type)
			return (enum node_kind)kind;
	}
	return (enum node_kind)0;
}

mode_t node_type(enum node_kind kind)
{
	return kind >= NODE_FOLDER && kind <= NODE_SOCKET ? node_kinds[kind].type : 0;
}

const char *node_kind_text(enum node_kind kind)
{
	return kind >= NODE_FOLDER && kind <= NODE_SOCKET ? node_kinds[kind].text : "unknown";
}

void node_stat(const struct node *n, struct stat *st)
{
	memset(st, 0, sizeof(*st));
	st->st_ino = (ino_t)n->ino;
	st->st_mode = node_type(n->kind) | n->mode;
	st->st_nlink = (nlink_t)n->nlink;
	st->st_uid = n->uid;
	st->st_gid = n->gid;
	st->st_rdev = n->rdev;
	st->st_size = (off_t)n->size;
	st->st_blksize = NODE_BLOCK_SIZE;
	st->st_blocks = (blkcnt_t)((n->alloc + 511) / 512);
	st->st_atim = time_to_spec(n->atime_ns);
	st->st_mtim = time_to_spec(n->mtime_ns);
	st->st_ctim = time_to_spec(n->ctime_ns);
}
