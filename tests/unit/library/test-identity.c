/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which asset id an asset has after a save, as programs save: over the old one, after renaming it
 * away, after unlinking it.
 */
#include "config.h"

#include "library/identity.h"
#include "tree-unit.h"

static int count_row(void *arg, const struct meta_row *row)
{
	int64_t *seen = arg;

	seen[0]++;
	seen[1] = meta_row_int(row, 0);
	return 0;
}

/* The number of versions that the asset id has; the last one read in *last. */
static int versions(struct tree_unit *u, const uint8_t id[16], int64_t *last)
{
	int64_t seen[2] = { 0 };

	ck_assert_int_ge(META_QUERY(u->lib->meta, VERSION_SOME, count_row, seen, META_B(id, 16),
				    META_I(100)),
			 0);
	if (last)
		*last = seen[1];
	return (int)seen[0];
}

static bool is_same(const uint8_t a[16], const uint8_t b[16])
{
	return !memcmp(a, b, 16);
}

/* An asset with two versions: one that people know. */
static struct node known(struct tree_unit *u, const char *name)
{
	int64_t ino = tree_unit_asset(u, TREE_ROOT, name);

	tree_unit_seal(u, ino, 100);
	tree_unit_seal(u, ino, 200);
	ck_assert_int_eq(tree_xattr_set(u->lib, &u->who, ino, "user.xdg.tags", "summer", 6, 0), 0);
	return tree_unit_get(u, ino);
}

/* Makes the asset look as if it had been made so long ago. */
static int64_t aged(struct tree_unit *u, const char *name, int64_t age_ns)
{
	struct meta_op *op = meta_op_new();
	int64_t now = time_now_ns() - age_ns, ino = meta_next_id(u->lib->meta, META_SEQ_INO);
	int64_t entry = meta_next_id(u->lib->meta, META_SEQ_ENTRY);
	uint8_t id[16] = { 0xee };

	memcpy(id + 1, &ino, sizeof(ino));
	META_ADD(op, NODE_INSERT, META_ONE, 0, META_I(ino), META_B(id, 16), META_I(NODE_ASSET),
		 META_I(NODE_ACTIVE), META_I(0644), META_I(0), META_I(0), META_I(0), META_I(0),
		 META_I(0), META_I(now), META_I(now), META_I(now), META_I(now), META_I(1), META_N(),
		 META_I(1), META_N());
	META_ADD(op, ENTRY_INSERT, META_ONE, 0, META_I(entry), META_I(TREE_ROOT),
		 META_B(name, strlen(name)), META_N(), META_I(ino));
	tree_unit_apply(u, op);
	return ino;
}

static void has_taken_over(struct tree_unit *u, int64_t ino, const struct node *old)
{
	CLEANUP_BUF struct buf tags = BUF_INIT;
	struct node node = tree_unit_get(u, ino);

	ck_assert(is_same(node.asset_id, old->asset_id));
	ck_assert_int_gt(node.version, old->version);
	ck_assert_int_ge(versions(u, old->asset_id, NULL), 2);
	ck_assert_int_eq(tree_xattr_get(u->lib, ino, "user.xdg.tags", &tags), 0);
	ck_assert_str_eq(tags.data, "summer");
	tree_unit_check(u);
}

START_TEST(fresh_over_known)
{
	struct tree_unit u;
	struct node old;
	int64_t fresh, last;

	tree_unit_begin(&u, NULL);
	old = known(&u, "a");
	fresh = tree_unit_asset(&u, TREE_ROOT, "a.tmp");
	tree_unit_seal(&u, fresh, 300);
	ck_assert_int_eq(tree_unit_rename(&u, TREE_ROOT, "a.tmp", TREE_ROOT, "a", 0), 0);
	ck_assert_int_eq(tree_unit_find(&u, TREE_ROOT, "a"), fresh);
	has_taken_over(&u, fresh, &old);
	ck_assert_int_eq(versions(&u, old.asset_id, &last), 3);
	ck_assert_int_eq(last, old.version + 1);
	/* The old node goes for good, and its versions stay with the asset. */
	ck_assert_int_eq(tree_unit_get(&u, old.ino).state, NODE_DELETED);
	ck_assert_int_eq(tree_restore(u.lib, &u.who, old.ino, NULL), -ENOENT);
	ck_assert_int_eq(tree_unit_sweep(&u), 1);
	ck_assert_int_eq(tree_get(u.lib, old.ino, &old), -ENOENT);
	has_taken_over(&u, fresh, &old);
	tree_unit_end(&u);
}
END_TEST

START_TEST(again_and_again)
{
	struct tree_unit u;
	struct node old;
	int64_t fresh = 0, last = 0;

	tree_unit_begin(&u, NULL);
	old = known(&u, "a");
	for (int i = 0; i < 5; i++) {
		fresh = tree_unit_asset(&u, TREE_ROOT, "a.tmp");
		if (i % 2)
			tree_unit_seal(&u, fresh, 300);
		ck_assert_int_eq(tree_unit_rename(&u, TREE_ROOT, "a.tmp", TREE_ROOT, "a", 0), 0);
		if (i % 2 == 0)
			tree_unit_seal(&u, fresh, 300);
	}
	has_taken_over(&u, fresh, &old);
	ck_assert_int_eq(versions(&u, old.asset_id, &last), 7);
	ck_assert_int_eq(last, tree_unit_get(&u, fresh).version);
	tree_unit_end(&u);
}
END_TEST

START_TEST(not_fresh_over_known)
{
	struct tree_unit u;
	struct node old, other;
	int64_t ino;

	tree_unit_begin(&u, NULL);
	old = known(&u, "a");
	other = known(&u, "b");
	ck_assert_int_eq(tree_unit_rename(&u, TREE_ROOT, "b", TREE_ROOT, "a", 0), 0);
	ck_assert(is_same(tree_unit_get(&u, other.ino).asset_id, other.asset_id));
	ck_assert_int_eq(tree_unit_get(&u, old.ino).state, NODE_DELETED);
	ck_assert_int_eq(tree_restore(u.lib, &u.who, old.ino, NULL), 0);
	/* Emptied, but with a past of its own. */
	ino = tree_unit_asset(&u, TREE_ROOT, "emptied");
	tree_unit_seal(&u, ino, 10);
	tree_unit_seal(&u, ino, 0);
	other = tree_unit_get(&u, ino);
	ck_assert_int_eq(tree_unit_rename(&u, TREE_ROOT, "emptied", TREE_ROOT, "a", 0), 0);
	ck_assert(is_same(tree_unit_get(&u, ino).asset_id, other.asset_id));
	ino = aged(&u, "aged", IDENTITY_FRESH_NS + TIME_NS_PER_S);
	old = tree_unit_get(&u, ino);
	ck_assert_int_eq(tree_unit_rename(&u, TREE_ROOT, "aged", TREE_ROOT, "a", 0), 0);
	ck_assert(is_same(tree_unit_get(&u, ino).asset_id, old.asset_id));
	tree_unit_end(&u);
}
END_TEST

START_TEST(placed_twice_keeps_its_identity)
{
	struct tree_unit u;
	struct node old, was;
	int64_t fresh;

	tree_unit_begin(&u, NULL);
	old = known(&u, "a");
	ck_assert_int_eq(tree_unit_link(&u, old.ino, TREE_ROOT, "elsewhere"), 0);
	fresh = tree_unit_asset(&u, TREE_ROOT, "a.tmp");
	was = tree_unit_get(&u, fresh);
	ck_assert_int_eq(tree_unit_rename(&u, TREE_ROOT, "a.tmp", TREE_ROOT, "a", 0), 0);
	ck_assert(is_same(tree_unit_get(&u, old.ino).asset_id, old.asset_id));
	ck_assert(is_same(tree_unit_get(&u, fresh).asset_id, was.asset_id));
	ck_assert_int_eq(tree_unit_get(&u, old.ino).nlink, 1);
	tree_unit_end(&u);
}
END_TEST

/*
 * Emacs, vim with backups, LibreOffice: the old one becomes the backup, a new one is written under
 * its name.
 */
START_TEST(renamed_away_then_made)
{
	struct tree_unit u;
	struct node old, backup;
	int64_t fresh;

	tree_unit_begin(&u, NULL);
	old = known(&u, "a");
	ck_assert_int_eq(tree_unit_rename(&u, TREE_ROOT, "a", TREE_ROOT, "a~", 0), 0);
	ck_assert(is_same(tree_unit_get(&u, old.ino).asset_id, old.asset_id));
	fresh = tree_unit_asset(&u, TREE_ROOT, "a");
	has_taken_over(&u, fresh, &old);
	backup = tree_unit_get(&u, old.ino);
	ck_assert(!is_same(backup.asset_id, old.asset_id));
	ck_assert_int_eq(backup.state, NODE_ACTIVE);
	ck_assert_int_eq(versions(&u, backup.asset_id, NULL), 1);
	tree_unit_seal(&u, fresh, 300);
	ck_assert_int_eq(versions(&u, old.asset_id, NULL), 3);
	/* Once taken, the name gives nothing any more. */
	ck_assert_int_eq(tree_unit_rename(&u, TREE_ROOT, "a", TREE_ROOT, "c", 0), 0);
	ck_assert_int_eq(tree_unit_link(&u, fresh, TREE_ROOT, "d"), 0);
	ck_assert(!is_same(tree_unit_get(&u, tree_unit_asset(&u, TREE_ROOT, "a")).asset_id,
			   old.asset_id));
	tree_unit_end(&u);
}
END_TEST

START_TEST(renamed_away_then_renamed_in)
{
	struct tree_unit u;
	struct node old;
	int64_t fresh;

	tree_unit_begin(&u, NULL);
	old = known(&u, "a");
	fresh = tree_unit_asset(&u, TREE_ROOT, "a.new");
	tree_unit_seal(&u, fresh, 300);
	ck_assert_int_eq(tree_unit_rename(&u, TREE_ROOT, "a", TREE_ROOT, "a.bak", 0), 0);
	ck_assert_int_eq(tree_unit_rename(&u, TREE_ROOT, "a.new", TREE_ROOT, "a", 0), 0);
	has_taken_over(&u, fresh, &old);
	ck_assert_int_eq(tree_unit_unlink(&u, TREE_ROOT, "a.bak"), 0);
	has_taken_over(&u, fresh, &old);
	tree_unit_end(&u);
}
END_TEST

START_TEST(unlinked_then_made_or_renamed_in)
{
	struct tree_unit u;
	struct node old;
	int64_t fresh;

	tree_unit_begin(&u, NULL);
	old = known(&u, "a");
	ck_assert_int_eq(tree_unit_unlink(&u, TREE_ROOT, "a"), 0);
	fresh = tree_unit_asset(&u, TREE_ROOT, "a");
	has_taken_over(&u, fresh, &old);
	ck_assert_int_eq(tree_restore(u.lib, &u.who, old.ino, NULL), -ENOENT);
	old = known(&u, "b");
	fresh = tree_unit_asset(&u, TREE_ROOT, "b.new");
	ck_assert_int_eq(tree_unit_unlink(&u, TREE_ROOT, "b"), 0);
	ck_assert_int_eq(tree_unit_rename(&u, TREE_ROOT, "b.new", TREE_ROOT, "b", 0), 0);
	has_taken_over(&u, fresh, &old);
	ck_assert_int_eq(tree_unit_sweep(&u), 2);
	has_taken_over(&u, fresh, &old);
	tree_unit_end(&u);
}
END_TEST

START_TEST(what_does_not_tunnel)
{
	struct tree_unit u;
	struct node old;
	int64_t folder, other;

	tree_unit_begin(&u, NULL);
	folder = tree_unit_folder(&u, TREE_ROOT, "folder");
	/* Filed elsewhere under its name: that is a move, not a save. */
	old = known(&u, "a");
	ck_assert_int_eq(tree_unit_rename(&u, TREE_ROOT, "a", folder, "a", 0), 0);
	other = tree_unit_asset(&u, TREE_ROOT, "a");
	ck_assert(is_same(tree_unit_get(&u, old.ino).asset_id, old.asset_id));
	ck_assert(!is_same(tree_unit_get(&u, other).asset_id, old.asset_id));
	/* There and back again. */
	old = known(&u, "b");
	ck_assert_int_eq(tree_unit_rename(&u, TREE_ROOT, "b", TREE_ROOT, "b2", 0), 0);
	ck_assert_int_eq(tree_unit_rename(&u, TREE_ROOT, "b2", TREE_ROOT, "b", 0), 0);
	ck_assert(is_same(tree_unit_get(&u, old.ino).asset_id, old.asset_id));
	/* Renumbering: each takes the name that the next gave up, and stays what it is. */
	old = known(&u, "2");
	other = aged(&u, "1", IDENTITY_TUNNEL_NS + TIME_NS_PER_S);
	tree_unit_seal(&u, other, 10);
	ck_assert_int_eq(tree_unit_rename(&u, TREE_ROOT, "2", TREE_ROOT, "3", 0), 0);
	ck_assert_int_eq(tree_unit_rename(&u, TREE_ROOT, "1", TREE_ROOT, "2", 0), 0);
	ck_assert(is_same(tree_unit_get(&u, old.ino).asset_id, old.asset_id));
	/* Nothing to pass on: never sealed. */
	other = tree_unit_asset(&u, TREE_ROOT, "new");
	old = tree_unit_get(&u, other);
	ck_assert_int_eq(tree_unit_unlink(&u, TREE_ROOT, "new"), 0);
	ck_assert(!is_same(tree_unit_get(&u, tree_unit_asset(&u, TREE_ROOT, "new")).asset_id,
			   old.asset_id));
	tree_unit_end(&u);
}
END_TEST

START_TEST(a_name_is_given_up_for_a_while)
{
	struct meta_op *op = meta_op_new();
	struct tree_unit u;
	struct node old;

	tree_unit_begin(&u, NULL);
	old = known(&u, "a");
	ck_assert_int_eq(tree_unit_unlink(&u, TREE_ROOT, "a"), 0);
	META_ADD(op, TUNNEL_PUT, META_ONE, 0, META_I(TREE_ROOT), META_B("a", 1), META_I(old.ino),
		 META_I(time_now_ns() - TIME_NS_PER_MS));
	tree_unit_apply(&u, op);
	ck_assert(!is_same(tree_unit_get(&u, tree_unit_asset(&u, TREE_ROOT, "a")).asset_id,
			   old.asset_id));
	ck_assert_int_eq(META_QUERY(u.lib->meta, TUNNEL_OLD, tree_unit_ino, ((int64_t[2]){ 0 }),
				    META_I(INT64_MAX)),
			 1);
	ck_assert_int_eq(tree_sweep(u.lib, TREE_SWEEP_AGE_NS, 100), 0);
	ck_assert_int_eq(META_QUERY(u.lib->meta, TUNNEL_OLD, tree_unit_ino, ((int64_t[2]){ 0 }),
				    META_I(INT64_MAX)),
			 0);
	tree_unit_end(&u);
}
END_TEST

UNIT_MAIN("identity", 60, fresh_over_known, again_and_again, not_fresh_over_known,
	  placed_twice_keeps_its_identity, renamed_away_then_made, renamed_away_then_renamed_in,
	  unlinked_then_made_or_renamed_in, what_does_not_tunnel, a_name_is_given_up_for_a_while)
