/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Single operations of the tree: what they give, what they refuse. */
#include "config.h"

#include "tree-unit.h"

START_TEST(make_every_kind)
{
	static const struct {
		mode_t mode;
		enum node_kind kind;
	} kinds[] = { { S_IFDIR | 0777, NODE_FOLDER },  { S_IFREG | 0666, NODE_ASSET },
		      { S_IFLNK | 0777, NODE_SYMLINK }, { S_IFIFO | 0666, NODE_FIFO },
		      { S_IFCHR | 0666, NODE_CHAR },    { S_IFBLK | 0666, NODE_BLOCK },
		      { S_IFSOCK | 0666, NODE_SOCKET } };
	struct tree_unit u;

	tree_unit_begin(&u, NULL);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		char name[] = { 'k', (char)('0' + i), 0 };
		struct tree_new what = tree_unit_new(TREE_ROOT, name, kinds[i].mode);
		struct node made, got;
		struct stat st;

		what.rdev = 0x1234;
		ck_assert_int_eq(tree_make(u.lib, &u.who, &what, &made), 0);
		got = tree_unit_get(&u, made.ino);
		tree_unit_same(&made, &got);
		ck_assert_int_eq(got.kind, kinds[i].kind);
		node_stat(&got, &st);
		ck_assert_uint_eq(
			st.st_mode,
			(kinds[i].mode & S_IFMT) |
				(kinds[i].kind == NODE_SYMLINK ? 0777 : kinds[i].mode & 0755));
		ck_assert_uint_eq(st.st_uid, 1000);
		ck_assert_uint_eq(st.st_gid, 100);
		ck_assert_uint_eq(st.st_nlink, got.kind == NODE_FOLDER ? 2 : 1);
		ck_assert_uint_eq(st.st_rdev,
				  got.kind == NODE_CHAR || got.kind == NODE_BLOCK ? 0x1234 : 0);
		ck_assert_int_eq(st.st_size, got.kind == NODE_FOLDER    ? 4096
					     : got.kind == NODE_SYMLINK ? 6
									: 0);
		ck_assert_int_eq(got.asset_id[6] >> 4, 7);
	}
	ck_assert_int_eq(tree_unit_get(&u, TREE_ROOT).nlink, 3);
	tree_unit_end(&u);
}
END_TEST

START_TEST(make_refuses)
{
	struct tree_unit u;
	struct tree_new what;
	struct node node;
	int64_t asset;

	tree_unit_begin(&u, NULL);
	asset = tree_unit_asset(&u, TREE_ROOT, "a");
	ck_assert_int_eq(tree_unit_try(&u, TREE_ROOT, "a", S_IFDIR | 0755, NULL), -EEXIST);
	ck_assert_int_eq(tree_unit_try(&u, asset, "b", S_IFDIR | 0755, NULL), -ENOTDIR);
	ck_assert_int_eq(tree_unit_try(&u, 999999, "b", S_IFDIR | 0755, NULL), -ENOENT);
	ck_assert_int_eq(tree_unit_try(&u, TREE_ROOT, "", S_IFREG, NULL), -EINVAL);
	ck_assert_int_eq(tree_unit_try(&u, TREE_ROOT, ".", S_IFREG, NULL), -EINVAL);
	ck_assert_int_eq(tree_unit_try(&u, TREE_ROOT, "..", S_IFREG, NULL), -EINVAL);
	ck_assert_int_eq(tree_unit_try(&u, TREE_ROOT, "a/b", S_IFREG, NULL), -EINVAL);
	what = tree_unit_new(TREE_ROOT, "link", S_IFLNK | 0777);
	what.target = "";
	ck_assert_int_eq(tree_make(u.lib, &u.who, &what, &node), -EINVAL);
	tree_unit_end(&u);
}
END_TEST

/* Folder, then the name in all calls that take one. */
static void name_round_trip(struct tree_unit *u, const char *name, size_t len)
{
	struct tree_new what = {
		.parent = TREE_ROOT, .name = name, .len = len, .mode = S_IFREG | 0644
	};
	struct node node, found;

	ck_assert_int_eq(tree_make(u->lib, &u->who, &what, &node), 0);
	ck_assert_int_eq(tree_lookup(u->lib, TREE_ROOT, name, len, &found), 0);
	ck_assert_int_eq(found.ino, node.ino);
	ck_assert_int_eq(
		tree_rename(u->lib, &u->who, TREE_ROOT, name, len, TREE_ROOT, "other", 5, 0), 0);
	ck_assert_int_eq(tree_lookup(u->lib, TREE_ROOT, name, len, &found), -ENOENT);
	ck_assert_int_eq(
		tree_rename(u->lib, &u->who, TREE_ROOT, "other", 5, TREE_ROOT, name, len, 0), 0);
	ck_assert_int_eq(tree_unlink(u->lib, &u->who, TREE_ROOT, name, len, NULL), 0);
}

START_TEST(names_are_bytes)
{
	char longest[257];
	struct tree_unit u;

	memset(longest, 'x', sizeof(longest));
	tree_unit_begin(&u, NULL);
	name_round_trip(&u, longest, 255);
	name_round_trip(&u, "\xff\xfe\x80 not UTF-8", 13);
	name_round_trip(&u, "line\nfeed\tand \"quotes\"\\", 23);
	name_round_trip(&u, "\xc3\x84pfel \xf0\x9f\x8d\x8e", 11);
	name_round_trip(&u, "...", 3);
	longest[256] = '\0';
	ck_assert_int_eq(tree_unit_try(&u, TREE_ROOT, longest, S_IFREG, NULL), -ENAMETOOLONG);
	ck_assert_int_eq(tree_unit_unlink(&u, TREE_ROOT, longest), -ENAMETOOLONG);
	ck_assert_int_eq(tree_unit_rename(&u, TREE_ROOT, "a", TREE_ROOT, longest, 0),
			 -ENAMETOOLONG);
	/* Names that fold to the same are different names. */
	tree_unit_asset(&u, TREE_ROOT, "Name");
	tree_unit_asset(&u, TREE_ROOT, "name");
	tree_unit_asset(&u, TREE_ROOT, "NAME");
	tree_unit_end(&u);
}
END_TEST

START_TEST(symlinks)
{
	CLEANUP_BUF struct buf target = BUF_INIT;
	char longest[4097];
	struct tree_new what;
	struct tree_unit u;
	struct node node;

	tree_unit_begin(&u, NULL);
	memset(longest, 't', sizeof(longest));
	longest[4096] = '\0';
	what = tree_unit_new(TREE_ROOT, "l", S_IFLNK | 0777);
	what.target = longest;
	ck_assert_int_eq(tree_make(u.lib, &u.who, &what, &node), -ENAMETOOLONG);
	longest[4095] = '\0';
	ck_assert_int_eq(tree_make(u.lib, &u.who, &what, &node), 0);
	ck_assert_uint_eq(node.size, 4095);
	ck_assert_int_eq(tree_readlink(u.lib, node.ino, &target), 0);
	ck_assert_uint_eq(target.len, 4095);
	ck_assert_mem_eq(target.data, longest, 4095);
	ck_assert_int_eq(tree_readlink(u.lib, TREE_ROOT, &target), -EINVAL);
	ck_assert_int_eq(tree_readlink(u.lib, 4711, &target), -ENOENT);
	tree_unit_end(&u);
}
END_TEST

START_TEST(setgid_folders_pass_their_group)
{
	struct node root = { .mode = 02775, .gid = 4242 };
	struct tree_unit u;
	int64_t folder;

	tree_unit_begin(&u, NULL);
	ck_assert_int_eq(
		tree_set(u.lib, &u.who, TREE_ROOT, TREE_SET_MODE | TREE_SET_GID, &root, NULL), 0);
	folder = tree_unit_folder(&u, TREE_ROOT, "d");
	ck_assert_uint_eq(tree_unit_get(&u, folder).mode, 02755);
	ck_assert_uint_eq(tree_unit_get(&u, folder).gid, 4242);
	ck_assert_uint_eq(tree_unit_get(&u, tree_unit_asset(&u, folder, "f")).mode, 0644);
	ck_assert_uint_eq(tree_unit_get(&u, tree_unit_find(&u, folder, "f")).gid, 4242);
	tree_unit_end(&u);
}
END_TEST

START_TEST(links)
{
	struct tree_unit u;
	struct tree_new what;
	struct node node;
	int64_t asset, folder;

	tree_unit_begin(&u, NULL);
	asset = tree_unit_asset(&u, TREE_ROOT, "a");
	folder = tree_unit_folder(&u, TREE_ROOT, "d");
	ck_assert_int_eq(tree_unit_link(&u, asset, folder, "b"), 0);
	ck_assert_int_eq(tree_unit_get(&u, asset).nlink, 2);
	ck_assert_int_eq(tree_unit_link(&u, asset, folder, "b"), -EEXIST);
	ck_assert_int_eq(tree_unit_link(&u, folder, folder, "c"), -EPERM);
	ck_assert_int_eq(tree_unit_link(&u, 999, folder, "c"), -ENOENT);
	ck_assert_int_eq(tree_unlink(u.lib, &u.who, TREE_ROOT, "a", 1, &node), 0);
	ck_assert_int_eq(node.nlink, 1);
	ck_assert_int_eq(tree_unlink(u.lib, &u.who, folder, "b", 1, &node), 0);
	ck_assert_int_eq(node.nlink, 0);
	ck_assert_int_eq(tree_unit_link(&u, asset, folder, "c"), -ENOENT);
	what = tree_unit_new(folder, "", S_IFREG | 0600);
	ck_assert_int_eq(tree_make_unnamed(u.lib, &u.who, &what, &node), 0);
	ck_assert_int_eq(node.nlink, 0);
	tree_unit_check(&u);
	ck_assert_int_eq(tree_unit_link(&u, node.ino, folder, "named"), 0);
	ck_assert_int_eq(tree_unit_get(&u, node.ino).nlink, 1);
	tree_unit_end(&u);
}
END_TEST

START_TEST(removing)
{
	struct tree_unit u;
	int64_t folder;

	tree_unit_begin(&u, NULL);
	folder = tree_unit_folder(&u, TREE_ROOT, "d");
	tree_unit_asset(&u, folder, "f");
	ck_assert_int_eq(tree_unit_rmdir(&u, TREE_ROOT, "d"), -ENOTEMPTY);
	ck_assert_int_eq(tree_unit_unlink(&u, TREE_ROOT, "d"), -EISDIR);
	ck_assert_int_eq(tree_unit_rmdir(&u, folder, "f"), -ENOTDIR);
	ck_assert_int_eq(tree_unit_unlink(&u, folder, "g"), -ENOENT);
	ck_assert_int_eq(tree_unit_rmdir(&u, folder, "g"), -ENOENT);
	ck_assert_int_eq(tree_unit_unlink(&u, folder, "f"), 0);
	ck_assert_int_eq(tree_unit_rmdir(&u, TREE_ROOT, "d"), 0);
	ck_assert_int_eq(tree_unit_get(&u, TREE_ROOT).nlink, 2);
	/* One who still has the folder open cannot put anything into it. */
	ck_assert_int_eq(tree_unit_try(&u, folder, "late", S_IFREG | 0600, NULL), -ENOENT);
	ck_assert_int_eq(tree_unit_get(&u, folder).nlink, 0);
	tree_unit_end(&u);
}
END_TEST

START_TEST(attributes)
{
	struct node values = { .mode = 04711,
			       .uid = 1,
			       .gid = 2,
			       .atime_ns = -5,
			       .mtime_ns = 6,
			       .ctime_ns = 7 },
		    node, was;
	struct tree_unit u;
	int64_t asset;

	tree_unit_begin(&u, NULL);
	asset = tree_unit_asset(&u, TREE_ROOT, "a");
	was = tree_unit_get(&u, asset);
	ck_assert_int_eq(tree_set(u.lib, &u.who, asset, TREE_SET_MODE, &values, &node), 0);
	ck_assert_uint_eq(node.mode, 04711);
	ck_assert_uint_eq(node.uid, 1000);
	ck_assert_int_gt(node.ctime_ns, was.ctime_ns);
	ck_assert_int_eq(node.mtime_ns, was.mtime_ns);
	ck_assert_int_eq(node.version, was.version + 1);
	ck_assert_int_eq(tree_set(u.lib, &u.who, asset, 0x3f, &values, &node), 0);
	was = tree_unit_get(&u, asset);
	tree_unit_same(&was, &node);
	ck_assert_uint_eq(node.uid, 1);
	ck_assert_uint_eq(node.gid, 2);
	ck_assert_int_eq(node.atime_ns, -5);
	ck_assert_int_eq(node.mtime_ns, 6);
	ck_assert_int_eq(node.ctime_ns, 7);
	ck_assert_int_eq(tree_touch(u.lib, asset, 99), 0);
	node = tree_unit_get(&u, asset);
	ck_assert_int_eq(node.atime_ns, 99);
	ck_assert_int_eq(node.version, was.version);
	ck_assert_int_eq(tree_set(u.lib, &u.who, 4711, TREE_SET_MODE, &values, &node), -ENOENT);
	ck_assert_int_eq(tree_touch(u.lib, 4711, 99), -ENOENT);
	tree_unit_end(&u);
}
END_TEST

START_TEST(times_of_folders)
{
	struct node before, after;
	struct tree_unit u;
	int64_t from, to;

	tree_unit_begin(&u, NULL);
	from = tree_unit_folder(&u, TREE_ROOT, "from");
	to = tree_unit_folder(&u, TREE_ROOT, "to");
	before = tree_unit_get(&u, from);
	tree_unit_asset(&u, from, "a");
	after = tree_unit_get(&u, from);
	ck_assert_int_gt(after.mtime_ns, before.mtime_ns);
	ck_assert_int_eq(after.mtime_ns, after.ctime_ns);
	before = tree_unit_get(&u, to);
	ck_assert_int_eq(tree_unit_rename(&u, from, "a", to, "b", 0), 0);
	ck_assert_int_gt(tree_unit_get(&u, from).mtime_ns, after.mtime_ns);
	ck_assert_int_gt(tree_unit_get(&u, to).mtime_ns, before.mtime_ns);
	ck_assert_int_eq(tree_unit_get(&u, tree_unit_find(&u, to, "b")).ctime_ns,
			 tree_unit_get(&u, to).mtime_ns);
	tree_unit_end(&u);
}
END_TEST

struct listing {
	int count, stop_after;
	int64_t cookie;
	char seen[2000];
};

static int list_number(void *arg, const char *name, size_t len, int64_t cookie,
		       const struct node *node)
{
	struct listing *listing = arg;
	char digits[16] = "";
	int number;

	if (listing->stop_after && listing->count == listing->stop_after)
		return 1;
	ck_assert_uint_gt(len, 1);
	ck_assert_int_gt(cookie, listing->cookie);
	ck_assert_int_eq(node->kind, NODE_ASSET);
	/* A name has no end of its own. */
	ck_assert_uint_le(len, sizeof(digits));
	memcpy(digits, name + 1, len - 1);
	number = atoi(digits);
	ck_assert_int_lt(number, 2000);
	ck_assert_int_eq(listing->seen[number], 0);
	listing->seen[number] = 1;
	listing->cookie = cookie;
	listing->count++;
	return 0;
}

START_TEST(listing_while_things_change)
{
	static struct listing listing;
	struct tree_unit u;
	char name[16], other[16];
	int64_t folder;

	tree_unit_begin(&u, NULL);
	folder = tree_unit_folder(&u, TREE_ROOT, "d");
	ck_assert_int_eq(tree_list(u.lib, folder, 0, list_number, &listing), 0);
	ck_assert_int_eq(listing.count, 0);
	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "n%04d", i);
		tree_unit_asset(&u, folder, name);
	}
	for (int i = 0; listing.count < 1000; i++) {
		ck_assert_int_lt(i, 1000);
		listing.stop_after = listing.count + 7;
		ck_assert_int_eq(tree_list(u.lib, folder, listing.cookie, list_number, &listing),
				 0);
		/*
		 * Renaming what was seen and what was not makes nothing come twice or not at all.
		 */
		snprintf(name, sizeof(name), "%c%04d", i ? 'm' : 'n', 3);
		snprintf(other, sizeof(other), "%c%04d", 'm', 3);
		ck_assert_int_eq(tree_unit_rename(&u, folder, name, folder, other, 0), 0);
		snprintf(name, sizeof(name), "%c%04d", i ? 'm' : 'n', 997);
		snprintf(other, sizeof(other), "%c%04d", 'm', 997);
		ck_assert_int_eq(tree_unit_rename(&u, folder, name, folder, other, 0), 0);
	}
	listing.stop_after = 0;
	ck_assert_int_eq(tree_list(u.lib, folder, listing.cookie, list_number, &listing), 0);
	ck_assert_int_eq(listing.count, 1000);
	tree_unit_end(&u);
}
END_TEST

START_TEST(paths)
{
	CLEANUP_BUF struct buf path = BUF_INIT;
	struct tree_unit u;
	struct node node;
	const char *name;
	int64_t a, b, c;
	size_t len;

	tree_unit_begin(&u, NULL);
	a = tree_unit_folder(&u, TREE_ROOT, "alpha");
	b = tree_unit_folder(&u, a, "beta");
	c = tree_unit_asset(&u, b, "gamma");
	ck_assert_int_eq(tree_path(u.lib, c, &path), 0);
	ck_assert_str_eq(path.data, "/alpha/beta/gamma");
	buf_reset(&path);
	ck_assert_int_eq(tree_path(u.lib, TREE_ROOT, &path), 0);
	ck_assert_str_eq(path.data, "/");
	ck_assert_int_eq(tree_path(u.lib, 4711, &path), -ENOENT);
	ck_assert_int_eq(tree_resolve(u.lib, "/alpha//beta/./../beta/gamma", &node), 0);
	ck_assert_int_eq(node.ino, c);
	ck_assert_int_eq(tree_resolve(u.lib, "/../..", &node), 0);
	ck_assert_int_eq(node.ino, TREE_ROOT);
	ck_assert_int_eq(tree_resolve(u.lib, "/alpha/beta/gamma/delta", &node), -ENOTDIR);
	ck_assert_int_eq(tree_resolve(u.lib, "alpha/none", &node), -ENOENT);
	ck_assert_int_eq(tree_resolve_parent(u.lib, "/alpha/beta/new/", &node, &name, &len), 0);
	ck_assert_int_eq(node.ino, b);
	ck_assert_uint_eq(len, 3);
	ck_assert_int_eq(strncmp(name, "new", 3), 0);
	ck_assert_int_eq(tree_resolve_parent(u.lib, "/alpha/beta/gamma/x", &node, &name, &len),
			 -ENOTDIR);
	ck_assert_int_eq(tree_resolve_parent(u.lib, "//", &node, &name, &len), -EINVAL);
	ck_assert_int_eq(tree_resolve_parent(u.lib, "/alpha/..", &node, &name, &len), -EINVAL);
	ck_assert_int_eq(tree_parent(u.lib, b, &a), 0);
	ck_assert_int_eq(a, tree_unit_find(&u, TREE_ROOT, "alpha"));
	ck_assert_int_eq(tree_parent(u.lib, TREE_ROOT, &a), 0);
	ck_assert_int_eq(a, TREE_ROOT);
	tree_unit_end(&u);
}
END_TEST

START_TEST(usage_counts_each_node_once)
{
	struct tree_usage usage;
	struct tree_unit u;
	int64_t a, b, asset;

	tree_unit_begin(&u, NULL);
	a = tree_unit_folder(&u, TREE_ROOT, "a");
	b = tree_unit_folder(&u, a, "b");
	asset = tree_unit_asset(&u, b, "f");
	tree_unit_seal(&u, asset, 1000);
	ck_assert_int_eq(tree_unit_link(&u, asset, a, "again"), 0);
	tree_unit_seal(&u, tree_unit_asset(&u, TREE_ROOT, "outside"), 5);
	ck_assert_int_eq(tree_usage(u.lib, a, &usage), 0);
	ck_assert_uint_eq(usage.bytes, 1000);
	ck_assert_uint_eq(usage.alloc, 1000);
	ck_assert_uint_eq(usage.assets, 1);
	ck_assert_uint_eq(usage.folders, 1);
	ck_assert_int_eq(tree_usage(u.lib, TREE_ROOT, &usage), 0);
	ck_assert_uint_eq(usage.bytes, 1005);
	ck_assert_uint_eq(usage.folders, 2);
	tree_unit_end(&u);
}
END_TEST

START_TEST(many_in_one_operation)
{
	struct meta_op *op = meta_op_new();
	struct tree_new what;
	struct tree_unit u;
	struct node folder, node;
	char name[16];

	tree_unit_begin(&u, NULL);
	what = tree_unit_new(TREE_ROOT, "batch", S_IFDIR | 0700);
	ck_assert_int_eq(tree_plan_make(u.lib, &u.who, &what, NULL, op, &folder), 0);
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		what = tree_unit_new(folder.ino, name, S_IFREG | 0777);
		what.set = TREE_SET_MODE | TREE_SET_UID | TREE_SET_MTIME;
		what.values = (struct node){ .mode = 0666, .uid = (uid_t)i, .mtime_ns = 1000 + i };
		ck_assert_int_eq(tree_plan_make(u.lib, &u.who, &what, &folder, op, &node), 0);
	}
	ck_assert_int_eq(tree_plan_xattr(u.lib, node.ino, "user.a", "b", 1, op), 0);
	what = tree_unit_new(TREE_ROOT, "linked", 0);
	ck_assert_int_eq(tree_plan_link(u.lib, &u.who, node.ino, &what, op), 0);
	ck_assert_int_eq(tree_unit_find(&u, TREE_ROOT, "batch"), 0);
	tree_unit_apply(&u, op);
	node = tree_unit_get(&u, tree_unit_find(&u, folder.ino, "f99"));
	ck_assert_int_eq(node.ino, tree_unit_find(&u, TREE_ROOT, "linked"));
	ck_assert_uint_eq(node.mode, 0666);
	ck_assert_uint_eq(node.uid, 99);
	ck_assert_int_eq(node.mtime_ns, 1099);
	ck_assert_int_eq(node.nlink, 2);
	tree_unit_end(&u);
}
END_TEST

UNIT_MAIN("tree", 60, make_every_kind, make_refuses, names_are_bytes, symlinks,
	  setgid_folders_pass_their_group, links, removing, attributes, times_of_folders,
	  listing_while_things_change, paths, usage_counts_each_node_once, many_in_one_operation)
