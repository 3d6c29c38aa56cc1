/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * POSIX ACLs and other extended attributes. Vectors are written out byte by byte, as setfacl(1)
 * passes them to the kernel.
 */
#include "config.h"

#include "library/acl.h"
#include "tree-unit.h"

#include <linux/limits.h>
#include <sys/xattr.h>

#define HEAD 0x02, 0, 0, 0
#define ENTRY(tag, perm, id) tag, 0, perm, 0, (id) % 256, (id) / 256 % 256, 0, 0
#define NOBODY 0xff, 0xff, 0xff, 0xff
#define USER_OBJ(perm) 0x01, 0, perm, 0, NOBODY
#define USER(perm, id) ENTRY(0x02, perm, id)
#define GROUP_OBJ(perm) 0x04, 0, perm, 0, NOBODY
#define GROUP(perm, id) ENTRY(0x08, perm, id)
#define MASK(perm) 0x10, 0, perm, 0, NOBODY
#define OTHER(perm) 0x20, 0, perm, 0, NOBODY

static const uint8_t plain_640[] = { HEAD, USER_OBJ(6), GROUP_OBJ(4), OTHER(0) };
static const uint8_t named[] = { HEAD,          USER_OBJ(7), USER(6, 1001), GROUP_OBJ(5),
				 GROUP(4, 300), MASK(6),     OTHER(1) };

static int parse(const void *bytes, size_t len)
{
	struct acl acl;
	int err = acl_parse(bytes, len, &acl);

	acl_release(&acl);
	return err;
}

START_TEST(forms)
{
	static const uint8_t empty[] = { HEAD };
	static const uint8_t version[] = { 1, 0, 0, 0, USER_OBJ(6), GROUP_OBJ(4), OTHER(0) };
	static const uint8_t no_other[] = { HEAD, USER_OBJ(6), GROUP_OBJ(4) };
	static const uint8_t no_mask[] = { HEAD, USER_OBJ(6), USER(6, 5), GROUP_OBJ(4), OTHER(0) };
	static const uint8_t order[] = { HEAD, GROUP_OBJ(4), USER_OBJ(6), OTHER(0) };
	static const uint8_t twice[] = { HEAD, USER_OBJ(6), GROUP_OBJ(4), OTHER(0), OTHER(0) };
	static const uint8_t perm[] = { HEAD, USER_OBJ(8), GROUP_OBJ(4), OTHER(0) };
	static const uint8_t tag[] = { HEAD, USER_OBJ(6), GROUP_OBJ(4), ENTRY(0x40, 0, 0) };
	static const uint8_t nobody[] = { HEAD, USER_OBJ(6), 0x02,         0,       6,
					  0,    NOBODY,      GROUP_OBJ(4), MASK(7), OTHER(0) };

	ck_assert_int_eq(parse(plain_640, sizeof(plain_640)), 0);
	ck_assert_int_eq(parse(named, sizeof(named)), 0);
	ck_assert_int_eq(parse(empty, sizeof(empty)), 0);
	ck_assert_int_eq(parse(version, sizeof(version)), -EOPNOTSUPP);
	ck_assert_int_eq(parse(no_other, sizeof(no_other)), -EINVAL);
	ck_assert_int_eq(parse(no_mask, sizeof(no_mask)), -EINVAL);
	ck_assert_int_eq(parse(order, sizeof(order)), -EINVAL);
	ck_assert_int_eq(parse(twice, sizeof(twice)), -EINVAL);
	ck_assert_int_eq(parse(perm, sizeof(perm)), -EINVAL);
	ck_assert_int_eq(parse(tag, sizeof(tag)), -EINVAL);
	ck_assert_int_eq(parse(nobody, sizeof(nobody)), -EINVAL);
	ck_assert_int_eq(parse(named, 3), -EINVAL);
	ck_assert_int_eq(parse(named, sizeof(named) - 1), -EINVAL);
}
END_TEST

START_TEST(round_trip_and_mode)
{
	CLEANUP_BUF struct buf out = BUF_INIT;
	struct acl acl;
	bool more;

	ck_assert_int_eq(acl_parse(named, sizeof(named), &acl), 0);
	ck_assert_int_eq(acl_write(&acl, &out), 0);
	ck_assert_uint_eq(out.len, sizeof(named));
	ck_assert_mem_eq(out.data, named, sizeof(named));
	ck_assert_uint_eq(acl_mode(&acl, &more), 0761);
	ck_assert(more);
	acl_chmod(&acl, 0640);
	ck_assert_uint_eq(acl_mode(&acl, &more), 0640);
	ck_assert_uint_eq(acl.entries[2].perm, 5);
	acl_release(&acl);
	ck_assert_int_eq(acl_parse(plain_640, sizeof(plain_640), &acl), 0);
	ck_assert_uint_eq(acl_mode(&acl, &more), 0640);
	ck_assert(!more);
	acl_release(&acl);
}
END_TEST

static int get(struct tree_unit *u, int64_t ino, const char *name, struct buf *out)
{
	buf_reset(out);
	return tree_xattr_get(u->lib, ino, name, out);
}

static int set(struct tree_unit *u, int64_t ino, const char *name, const void *value, size_t len,
	       int flags)
{
	return tree_xattr_set(u->lib, &u->who, ino, name, value, len, flags);
}

START_TEST(access_acl_and_mode)
{
	static const uint8_t changed[] = { HEAD,          USER_OBJ(6), USER(6, 1001), GROUP_OBJ(5),
					   GROUP(4, 300), MASK(4),     OTHER(0) };
	CLEANUP_BUF struct buf value = BUF_INIT;
	struct node values = { .mode = 0640 };
	struct tree_unit u;
	int64_t asset;

	tree_unit_begin(&u, NULL);
	asset = tree_unit_asset(&u, TREE_ROOT, "a");
	ck_assert_int_eq(set(&u, asset, ACL_ACCESS_NAME, named, sizeof(named), 0), 0);
	ck_assert_uint_eq(tree_unit_get(&u, asset).mode, 0761);
	ck_assert_int_eq(get(&u, asset, ACL_ACCESS_NAME, &value), 0);
	ck_assert_uint_eq(value.len, sizeof(named));
	ck_assert_mem_eq(value.data, named, sizeof(named));
	ck_assert_int_eq(tree_set(u.lib, &u.who, asset, TREE_SET_MODE, &values, NULL), 0);
	ck_assert_int_eq(get(&u, asset, ACL_ACCESS_NAME, &value), 0);
	ck_assert_mem_eq(value.data, changed, sizeof(changed));
	/* One that says no more than the mode is not kept. */
	ck_assert_int_eq(set(&u, asset, ACL_ACCESS_NAME, plain_640, sizeof(plain_640), 0), 0);
	ck_assert_int_eq(get(&u, asset, ACL_ACCESS_NAME, &value), -ENODATA);
	ck_assert_uint_eq(tree_unit_get(&u, asset).mode, 0640);
	ck_assert_int_eq(set(&u, asset, ACL_ACCESS_NAME, "bad", 3, 0), -EINVAL);
	ck_assert_int_eq(set(&u, asset, ACL_DEFAULT_NAME, named, sizeof(named), 0), -EACCES);
	values.mode = 02777;
	ck_assert_int_eq(tree_set(u.lib, &u.who, asset, TREE_SET_MODE, &values, NULL), 0);
	ck_assert_int_eq(set(&u, asset, ACL_ACCESS_NAME, named, sizeof(named), 0), 0);
	ck_assert_uint_eq(tree_unit_get(&u, asset).mode, 02761);
	ck_assert_int_eq(
		set(&u, asset, ACL_ACCESS_NAME, named, sizeof(named), TREE_XATTR_KILL_SGID), 0);
	ck_assert_uint_eq(tree_unit_get(&u, asset).mode, 0761);
	tree_unit_end(&u);
}
END_TEST

START_TEST(default_acl_is_inherited)
{
	static const uint8_t acl[] = { HEAD,         USER_OBJ(7), USER(7, 1001),
				       GROUP_OBJ(5), MASK(7),     OTHER(5) };
	/*
	 * acl(5), OBJECT CREATION AND DEFAULT ACLs: what the mode lacks goes from user::, mask::,
	 * other::, and no umask.
	 */
	static const uint8_t asset_acl[] = { HEAD,         USER_OBJ(6), USER(7, 1001),
					     GROUP_OBJ(5), MASK(6),     OTHER(4) };
	CLEANUP_BUF struct buf value = BUF_INIT;
	struct tree_unit u;
	int64_t folder, asset, link, sub;

	tree_unit_begin(&u, NULL);
	u.who.umask = 077;
	folder = tree_unit_folder(&u, TREE_ROOT, "d");
	ck_assert_uint_eq(tree_unit_get(&u, folder).mode, 0700);
	ck_assert_int_eq(set(&u, folder, ACL_DEFAULT_NAME, acl, sizeof(acl), 0), 0);
	asset = tree_unit_asset(&u, folder, "a");
	ck_assert_uint_eq(tree_unit_get(&u, asset).mode, 0664);
	ck_assert_int_eq(get(&u, asset, ACL_ACCESS_NAME, &value), 0);
	ck_assert_uint_eq(value.len, sizeof(asset_acl));
	ck_assert_mem_eq(value.data, asset_acl, sizeof(asset_acl));
	ck_assert_int_eq(get(&u, asset, ACL_DEFAULT_NAME, &value), -ENODATA);
	sub = tree_unit_folder(&u, folder, "sub");
	ck_assert_uint_eq(tree_unit_get(&u, sub).mode, 0775);
	ck_assert_int_eq(get(&u, sub, ACL_DEFAULT_NAME, &value), 0);
	ck_assert_mem_eq(value.data, acl, sizeof(acl));
	link = tree_unit_make(&u, folder, "l", S_IFLNK | 0777);
	ck_assert_uint_eq(tree_unit_get(&u, link).mode, 0777);
	ck_assert_int_eq(get(&u, link, ACL_ACCESS_NAME, &value), -ENODATA);
	/* A plain default ACL gives modes only. */
	ck_assert_int_eq(set(&u, folder, ACL_DEFAULT_NAME, plain_640, sizeof(plain_640), 0), 0);
	asset = tree_unit_asset(&u, folder, "plain");
	ck_assert_uint_eq(tree_unit_get(&u, asset).mode, 0640);
	ck_assert_int_eq(get(&u, asset, ACL_ACCESS_NAME, &value), -ENODATA);
	ck_assert_int_eq(tree_xattr_remove(u.lib, &u.who, folder, ACL_DEFAULT_NAME), 0);
	ck_assert_uint_eq(tree_unit_get(&u, tree_unit_asset(&u, folder, "b")).mode, 0600);
	tree_unit_end(&u);
}
END_TEST

START_TEST(attributes)
{
	static uint8_t large[TREE_XATTR_MAX + 1];
	CLEANUP_BUF struct buf value = BUF_INIT;
	char name[257] = "user.";
	struct tree_unit u;
	struct node before;
	int64_t asset;
	int err, number = 0;

	tree_unit_begin(&u, NULL);
	asset = tree_unit_asset(&u, TREE_ROOT, "a");
	before = tree_unit_get(&u, asset);
	ck_assert_int_eq(set(&u, asset, "user.a", "1", 1, XATTR_REPLACE), -ENODATA);
	ck_assert_int_eq(set(&u, asset, "user.a", "1", 1, XATTR_CREATE), 0);
	ck_assert_int_eq(set(&u, asset, "user.a", "2", 1, XATTR_CREATE), -EEXIST);
	ck_assert_int_eq(set(&u, asset, "user.a", "22", 2, XATTR_REPLACE), 0);
	ck_assert_int_eq(get(&u, asset, "user.a", &value), 0);
	ck_assert_str_eq(value.data, "22");
	ck_assert_int_gt(tree_unit_get(&u, asset).ctime_ns, before.ctime_ns);
	ck_assert_int_eq(set(&u, asset, "user.empty", "", 0, 0), 0);
	ck_assert_int_eq(get(&u, asset, "user.empty", &value), 0);
	ck_assert_uint_eq(value.len, 0);
	ck_assert_int_eq(set(&u, asset, "security.capability", large, TREE_XATTR_MAX, 0), 0);
	ck_assert_int_eq(get(&u, asset, "security.capability", &value), 0);
	ck_assert_uint_eq(value.len, TREE_XATTR_MAX);
	ck_assert_int_eq(set(&u, asset, "user.b", large, sizeof(large), 0), -E2BIG);
	buf_reset(&value);
	ck_assert_int_eq(tree_xattr_list(u.lib, asset, &value), 0);
	ck_assert_uint_eq(value.len, 38);
	ck_assert_mem_eq(value.data, "security.capability\0user.a\0user.empty\0", 38);
	ck_assert_int_eq(tree_xattr_remove(u.lib, &u.who, asset, "user.a"), 0);
	ck_assert_int_eq(tree_xattr_remove(u.lib, &u.who, asset, "user.a"), -ENODATA);
	ck_assert_int_eq(get(&u, asset, "user.a", &value), -ENODATA);
	ck_assert_int_eq(set(&u, 4711, "user.a", "1", 1, 0), -ENOENT);
	memset(name + 5, 'x', 251);
	ck_assert_int_eq(set(&u, asset, name, "1", 1, 0), -ERANGE);
	name[255] = '\0';
	for (err = 0; !err; number++) {
		for (int i = 254, rest = number; i > 250; i--, rest /= 10)
			name[i] = (char)('0' + rest % 10);
		err = set(&u, asset, name, "1", 1, 0);
	}
	ck_assert_int_eq(err, -ENOSPC);
	buf_reset(&value);
	ck_assert_int_eq(tree_xattr_list(u.lib, asset, &value), 0);
	ck_assert_uint_le(value.len, XATTR_LIST_MAX);
	ck_assert_uint_gt(value.len + 256, XATTR_LIST_MAX);
	ck_assert_int_eq(set(&u, asset, "user.empty", "2", 1, 0), 0);
	tree_unit_end(&u);
}
END_TEST

UNIT_MAIN("acl", 60, forms, round_trip_and_mode, access_acl_and_mode, default_acl_is_inherited,
	  attributes)
