/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The trash: what goes there, what comes back, what goes for good; and that the check finds what
 * is wrong.
 */
#include "config.h"

#include "tree-unit.h"

static int count_item(void *arg, const struct tree_trash_item *item)
{
	ck_assert_uint_gt(item->len, 0);
	ck_assert_int_eq(item->node.state, NODE_DELETED);
	++*(int *)arg;
	return 0;
}

static int trash_count(struct tree_unit *u)
{
	int count = 0;

	ck_assert_int_eq(tree_trash_list(u->lib, count_item, &count), 0);
	return count;
}

static int64_t sealed(struct tree_unit *u, int64_t parent, const char *name)
{
	int64_t ino = tree_unit_asset(u, parent, name);

	tree_unit_seal(u, ino, 10);
	return ino;
}

START_TEST(what_goes_there)
{
	struct tree_unit u;
	int64_t asset, link;

	tree_unit_begin(&u, NULL);
	asset = sealed(&u, TREE_ROOT, "sealed");
	link = sealed(&u, TREE_ROOT, "linked");
	ck_assert_int_eq(tree_unit_link(&u, link, TREE_ROOT, "linked2"), 0);
	tree_unit_asset(&u, TREE_ROOT, "draft");
	tree_unit_make(&u, TREE_ROOT, "symlink", S_IFLNK | 0777);
	tree_unit_folder(&u, TREE_ROOT, "folder");
	ck_assert_int_eq(tree_unit_unlink(&u, TREE_ROOT, "draft"), 0);
	ck_assert_int_eq(tree_unit_unlink(&u, TREE_ROOT, "symlink"), 0);
	ck_assert_int_eq(tree_unit_unlink(&u, TREE_ROOT, "linked"), 0);
	ck_assert_int_eq(trash_count(&u), 0);
	ck_assert_int_eq(tree_unit_unlink(&u, TREE_ROOT, "sealed"), 0);
	ck_assert_int_eq(tree_unit_rmdir(&u, TREE_ROOT, "folder"), 0);
	ck_assert_int_eq(trash_count(&u), 2);
	ck_assert_int_eq(tree_unit_sweep(&u), 2);
	ck_assert_int_eq(trash_count(&u), 2);
	ck_assert_int_eq(tree_restore(u.lib, &u.who, asset, NULL), 0);
	ck_assert_int_eq(tree_unit_find(&u, TREE_ROOT, "sealed"), asset);
	ck_assert_int_eq(tree_restore(u.lib, &u.who, asset, NULL), -ENOENT);
	tree_unit_end(&u);
}
END_TEST

START_TEST(a_sweep_waits_a_minute)
{
	struct tree_unit u;
	struct node node;
	int64_t ino;

	tree_unit_begin(&u, NULL);
	ino = tree_unit_make(&u, TREE_ROOT, "fifo", S_IFIFO | 0600);
	ck_assert_int_eq(tree_unit_unlink(&u, TREE_ROOT, "fifo"), 0);
	ck_assert_int_eq(tree_sweep(u.lib, TREE_SWEEP_AGE_NS, 100), 0);
	ck_assert_int_eq(tree_get(u.lib, ino, &node), 0);
	ck_assert_int_eq(node.nlink, 0);
	ck_assert_int_eq(tree_unit_sweep(&u), 1);
	ck_assert_int_eq(tree_get(u.lib, ino, &node), -ENOENT);
	/* Unless it is told that no one can have it open. */
	ino = tree_unit_make(&u, TREE_ROOT, "fifo", S_IFIFO | 0600);
	ck_assert_int_eq(tree_unit_unlink(&u, TREE_ROOT, "fifo"), 0);
	ck_assert_int_eq(tree_sweep(u.lib, 0, 100), 1);
	ck_assert_int_eq(tree_get(u.lib, ino, &node), -ENOENT);
	tree_unit_end(&u);
}
END_TEST

START_TEST(a_folder_with_all_below)
{
	struct tree_unit u;
	struct tree_usage before, after;
	int64_t a, b, other;

	tree_unit_begin(&u, NULL);
	a = tree_unit_folder(&u, TREE_ROOT, "a");
	b = tree_unit_folder(&u, a, "b");
	for (int i = 0; i < 10; i++) {
		char name[4] = { 'f', (char)('0' + i), 0 };

		sealed(&u, b, name);
	}
	ck_assert_int_eq(tree_usage(u.lib, a, &before), 0);
	ck_assert_int_eq(tree_remove(u.lib, &u.who, TREE_ROOT, "a", 1), 0);
	ck_assert_int_eq(tree_unit_find(&u, TREE_ROOT, "a"), 0);
	ck_assert_int_eq(tree_unit_get(&u, TREE_ROOT).nlink, 2);
	ck_assert_int_eq(trash_count(&u), 1);
	tree_unit_check(&u);
	/* Its name is taken meanwhile. */
	other = tree_unit_folder(&u, TREE_ROOT, "a");
	ck_assert_int_eq(tree_restore(u.lib, &u.who, a, NULL), 0);
	ck_assert_int_eq(tree_unit_find(&u, TREE_ROOT, "a"), other);
	ck_assert_int_eq(tree_unit_find(&u, TREE_ROOT, "a (1)"), a);
	ck_assert_int_eq(tree_usage(u.lib, a, &after), 0);
	ck_assert_uint_eq(after.assets, before.assets);
	ck_assert_uint_eq(after.bytes, before.bytes);
	ck_assert_int_eq(trash_count(&u), 0);
	tree_unit_end(&u);
}
END_TEST

START_TEST(folders_above_come_back_too)
{
	struct tree_unit u;
	int64_t a, b, c, asset;

	tree_unit_begin(&u, NULL);
	a = tree_unit_folder(&u, TREE_ROOT, "a");
	b = tree_unit_folder(&u, a, "b");
	c = tree_unit_folder(&u, b, "c");
	asset = sealed(&u, c, "f");
	ck_assert_int_eq(tree_unit_unlink(&u, c, "f"), 0);
	ck_assert_int_eq(tree_unit_rmdir(&u, b, "c"), 0);
	ck_assert_int_eq(tree_remove(u.lib, &u.who, TREE_ROOT, "a", 1), 0);
	ck_assert_int_eq(trash_count(&u), 3);
	ck_assert_int_eq(tree_restore(u.lib, &u.who, asset, NULL), 0);
	ck_assert_int_eq(trash_count(&u), 0);
	ck_assert_int_eq(tree_unit_find(&u, c, "f"), asset);
	ck_assert_int_eq(tree_unit_find(&u, b, "c"), c);
	ck_assert_int_eq(tree_unit_find(&u, TREE_ROOT, "a"), a);
	/* Where a folder above is gone for good, it goes into the root. */
	ck_assert_int_eq(tree_unit_unlink(&u, c, "f"), 0);
	ck_assert_int_eq(tree_remove(u.lib, &u.who, TREE_ROOT, "a", 1), 0);
	ck_assert_int_eq(tree_purge(u.lib, &u.who, a), 0);
	ck_assert_int_gt(tree_unit_sweep(&u), 0);
	ck_assert_int_eq(tree_restore(u.lib, &u.who, asset, NULL), 0);
	ck_assert_int_eq(tree_unit_find(&u, TREE_ROOT, "f"), asset);
	tree_unit_end(&u);
}
END_TEST

START_TEST(free_names)
{
	static const char *const name = "\xc3\xa4.tar.gz";
	struct tree_unit u;
	char longest[256], got[256];
	int64_t first, second;

	tree_unit_begin(&u, NULL);
	first = sealed(&u, TREE_ROOT, name);
	ck_assert_int_eq(tree_unit_unlink(&u, TREE_ROOT, name), 0);
	tree_unit_folder(&u, TREE_ROOT, name);
	tree_unit_folder(&u, TREE_ROOT, "\xc3\xa4.tar (1).gz");
	ck_assert_int_eq(tree_restore(u.lib, &u.who, first, NULL), 0);
	ck_assert_int_eq(tree_unit_find(&u, TREE_ROOT, "\xc3\xa4.tar (2).gz"), first);
	/* 127 characters of two bytes and one more byte: cut between characters. */
	for (int i = 0; i < 127; i++)
		memcpy(longest + 2 * i, "\xc3\xa4", 2);
	strcpy(longest + 254, "x");
	second = sealed(&u, TREE_ROOT, longest);
	ck_assert_int_eq(tree_unit_unlink(&u, TREE_ROOT, longest), 0);
	tree_unit_folder(&u, TREE_ROOT, longest);
	ck_assert_int_eq(tree_restore(u.lib, &u.who, second, NULL), 0);
	memcpy(got, longest, 250);
	strcpy(got + 250, " (1)");
	ck_assert_int_eq(tree_unit_find(&u, TREE_ROOT, got), second);
	tree_unit_end(&u);
}
END_TEST

START_TEST(purge_takes_all_below)
{
	struct tree_unit u;
	struct node node;
	int64_t a, shared, both, deep;

	tree_unit_begin(&u, NULL);
	a = tree_unit_folder(&u, TREE_ROOT, "a");
	shared = sealed(&u, a, "shared");
	ck_assert_int_eq(tree_unit_link(&u, shared, TREE_ROOT, "kept"), 0);
	ck_assert_int_eq(tree_unit_link(&u, shared, a, "twice"), 0);
	both = sealed(&u, a, "both");
	ck_assert_int_eq(tree_unit_link(&u, both, a, "both again"), 0);
	deep = a;
	for (int i = 0; i < 4; i++) {
		deep = tree_unit_folder(&u, deep, "deep");
		for (int k = 0; k < 300; k++) {
			char name[8];

			snprintf(name, sizeof(name), "f%d", k);
			tree_unit_asset(&u, deep, name);
		}
	}
	ck_assert_int_eq(tree_xattr_set(u.lib, &u.who, deep, "user.a", "b", 1, 0), 0);
	ck_assert_int_eq(tree_remove(u.lib, &u.who, TREE_ROOT, "a", 1), 0);
	ck_assert_int_eq(tree_purge(u.lib, &u.who, a), 0);
	ck_assert_int_eq(tree_purge(u.lib, &u.who, a), -ENOENT);
	ck_assert_int_eq(tree_restore(u.lib, &u.who, a, NULL), -ENOENT);
	/* In small steps: the tree is in order after each. */
	for (int i = 0; i < 5; i++) {
		tree_unit_age(&u);
		ck_assert_int_gt(tree_sweep(u.lib, TREE_SWEEP_AGE_NS, 50), 0);
		tree_unit_check(&u);
	}
	ck_assert_int_gt(tree_unit_sweep(&u), 1000);
	ck_assert_int_eq(tree_get(u.lib, a, &node), -ENOENT);
	ck_assert_int_eq(tree_get(u.lib, deep, &node), -ENOENT);
	ck_assert_int_eq(tree_get(u.lib, both, &node), -ENOENT);
	ck_assert_int_eq(tree_unit_get(&u, shared).nlink, 1);
	ck_assert_int_eq(tree_unit_find(&u, TREE_ROOT, "kept"), shared);
	tree_unit_end(&u);
}
END_TEST

START_TEST(retention)
{
	struct tree_unit u;
	int64_t first, day = 24 * 3600 * TIME_NS_PER_S;

	tree_unit_begin(&u, "[trash]\nretention = 2d\n");
	first = sealed(&u, TREE_ROOT, "a");
	ck_assert_int_eq(tree_unit_unlink(&u, TREE_ROOT, "a"), 0);
	ck_assert_int_eq(tree_trash_expire(u.lib, time_now_ns() + day), 0);
	ck_assert_int_eq(trash_count(&u), 1);
	ck_assert_int_eq(tree_trash_expire(u.lib, time_now_ns() + 2 * day), 1);
	ck_assert_int_eq(trash_count(&u), 0);
	ck_assert_int_eq(tree_restore(u.lib, &u.who, first, NULL), -ENOENT);
	ck_assert_int_eq(tree_unit_sweep(&u), 1);
	tree_unit_end(&u);
	tree_unit_begin(&u, "[trash]\nretention = 0\n");
	sealed(&u, TREE_ROOT, "a");
	tree_unit_folder(&u, tree_unit_folder(&u, TREE_ROOT, "d"), "e");
	ck_assert_int_eq(tree_unit_unlink(&u, TREE_ROOT, "a"), 0);
	ck_assert_int_eq(tree_remove(u.lib, &u.who, TREE_ROOT, "d", 1), 0);
	ck_assert_int_eq(trash_count(&u), 0);
	tree_unit_check(&u);
	ck_assert_int_eq(tree_unit_sweep(&u), 4);
	tree_unit_end(&u);
}
END_TEST

START_TEST(the_check_finds_faults)
{
	struct tree_unit u;
	struct meta_op *op = meta_op_new();
	int64_t a, b, asset, entry;

	tree_unit_begin(&u, NULL);
	a = tree_unit_folder(&u, TREE_ROOT, "a");
	b = tree_unit_folder(&u, a, "b");
	asset = sealed(&u, a, "f");
	entry = meta_next_id(u.lib->meta, META_SEQ_ENTRY);
	tree_unit_check(&u);
	/*
	 * A circle of a and b, an asset without its entry or version, an entry of nothing,
	 * attributes of nothing.
	 */
	META_ADD(op, ENTRY_MOVE, META_ONE, 0, META_I(TREE_ROOT), META_B("a", 1), META_I(a),
		 META_I(b), META_B("a", 1), META_N());
	META_ADD(op, ENTRY_DELETE, META_ONE, 0, META_I(a), META_B("f", 1), META_I(asset));
	META_ADD(op, VERSION_PURGE, META_ONE, 0, META_I(asset));
	META_ADD(op, ENTRY_INSERT, META_ONE, 0, META_I(entry), META_I(TREE_ROOT), META_B("x", 1),
		 META_N(), META_I(4711));
	META_ADD(op, XATTR_INSERT, META_ONE, 0, META_I(4712), META_B("user.a", 6), META_B("", 0));
	tree_unit_apply(&u, op);
	/* Links: of the asset, the root, b. Reached: neither a nor b. */
	ck_assert_int_eq(tree_check(u.lib, tree_unit_fault, NULL), 3 + 2 + 1 + 1 + 1);
	library_close(u.lib);
	unit_remove_dir(u.dir, u.fd);
}
END_TEST

UNIT_MAIN("tree trash", 60, what_goes_there, a_sweep_waits_a_minute, a_folder_with_all_below,
	  folders_above_come_back_too, free_names, purge_takes_all_below, retention,
	  the_check_finds_faults)
