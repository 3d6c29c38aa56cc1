/* SPDX-License-Identifier: GPL-3.0-or-later */
/* POSIX access control lists. */
#include "config.h"

#include "library/acl.h"
#include "util/cleanup.h"
#include "util/err.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>

void acl_release(struct acl *acl)
{
	free(acl->entries);
	*acl = (struct acl){ 0 };
}

/* The place of each tag in the order that every ACL keeps; 0 for a tag that is none. */
static int acl_rank(uint16_t tag)
{
	switch (tag) {
	case ACL_USER_OBJ:
		return 1;
	case ACL_USER:
		return 2;
	case ACL_GROUP_OBJ:
		return 3;
	case ACL_GROUP:
		return 4;
	case ACL_MASK:
		return 5;
	case ACL_OTHER:
		return 6;
	default:
		return 0;
	}
}

static bool acl_is_named(uint16_t tag)
{
	return tag == ACL_USER || tag == ACL_GROUP;
}

/* The order; one each of user::, group::, other::; a mask where a user or group is named. */
static bool acl_is_valid(const struct acl *acl)
{
	unsigned seen = 0;
	int last = 0;

	for (size_t i = 0; i < acl->count; i++) {
		const struct acl_entry *entry = &acl->entries[i];
		int rank = acl_rank(entry->tag);

		if (!rank || rank < last || entry->perm & ~7u)
			return false;
		if (rank == last && !acl_is_named(entry->tag))
			return false;
		if (acl_is_named(entry->tag) && entry->id == (uint32_t)ACL_UNDEFINED_ID)
			return false;
		last = rank;
		seen |= 1u << rank;
	}
	if (!(seen & 1u << 1) || !(seen & 1u << 3) || !(seen & 1u << 6))
		return false;
	return seen & 1u << 5 || !(seen & (1u << 2 | 1u << 4));
}

int acl_parse(const void *bytes, size_t len, struct acl *out)
{
	struct posix_acl_xattr_header header;
	struct posix_acl_xattr_entry entry;
	const unsigned char *at = bytes;

	*out = (struct acl){ 0 };
	if (len < sizeof(header) || (len - sizeof(header)) % sizeof(entry))
		return -EINVAL;
	memcpy(&header, at, sizeof(header));
	if (le32toh(header.a_version) != POSIX_ACL_XATTR_VERSION)
		return -EOPNOTSUPP;
	out->count = (len - sizeof(header)) / sizeof(entry);
	if (!out->count)
		return 0;
	out->entries = calloc(out->count, sizeof(*out->entries));
	if (!out->entries)
		return -ENOMEM;
	at += sizeof(header);
	for (size_t i = 0; i < out->count; i++, at += sizeof(entry)) {
		memcpy(&entry, at, sizeof(entry));
		out->entries[i] = (struct acl_entry){ le16toh(entry.e_tag), le16toh(entry.e_perm),
						      le32toh(entry.e_id) };
		if (!acl_is_named(out->entries[i].tag))
			out->entries[i].id = (uint32_t)ACL_UNDEFINED_ID;
	}
	return acl_is_valid(out) ? 0 : -EINVAL;
}

int acl_write(const struct acl *acl, struct buf *out)
{
	struct posix_acl_xattr_header header = { .a_version = htole32(POSIX_ACL_XATTR_VERSION) };
	int err = buf_add(out, &header, sizeof(header));

	for (size_t i = 0; !err && i < acl->count; i++) {
		struct posix_acl_xattr_entry entry = { .e_tag = htole16(acl->entries[i].tag),
						       .e_perm = htole16(acl->entries[i].perm),
						       .e_id = htole32(acl->entries[i].id) };

		err = buf_add(out, &entry, sizeof(entry));
	}
	return err;
}

static struct acl_entry *acl_find(const struct acl *acl, uint16_t tag)
{
	for (size_t i = 0; i < acl->count; i++) {
		if (acl->entries[i].tag == tag)
			return &acl->entries[i];
	}
	return NULL;
}

/* The entry that the group bits of a mode stand for. */
static struct acl_entry *acl_group_class(const struct acl *acl)
{
	struct acl_entry *mask = acl_find(acl, ACL_MASK);

	return mask ? mask : acl_find(acl, ACL_GROUP_OBJ);
}

mode_t acl_mode(const struct acl *acl, bool *more)
{
	*more = acl->count > 3;
	return (mode_t)(acl_find(acl, ACL_USER_OBJ)->perm << 6 | acl_group_class(acl)->perm << 3 |
			acl_find(acl, ACL_OTHER)->perm);
}

void acl_chmod(struct acl *acl, mode_t mode)
{
	acl_find(acl, ACL_USER_OBJ)->perm = mode >> 6 & 7;
	acl_group_class(acl)->perm = mode >> 3 & 7;
	acl_find(acl, ACL_OTHER)->perm = mode & 7;
}

void acl_restrict(struct acl *acl, mode_t mode)
{
	acl_find(acl, ACL_USER_OBJ)->perm &= mode >> 6 & 7;
	acl_group_class(acl)->perm &= mode >> 3 & 7;
	acl_find(acl, ACL_OTHER)->perm &= mode & 7;
}

static void acl_add_row(struct meta_op *op, int64_t ino, const char *name, const void *bytes,
			size_t len)
{
	META_ADD(op, XATTR_INSERT, META_ONE, -EAGAIN, META_I(ino), META_B(name, strlen(name)),
		 META_B(bytes, len));
}

int acl_add_inherited(struct meta_op *op, const void *bytes, size_t len, struct node *node)
{
	CLEANUP_BUF struct buf access = BUF_INIT;
	struct acl acl;
	bool more;
	int err = acl_parse(bytes, len, &acl);

	if (!err && !acl.count)
		err = -EINVAL;
	if (!err) {
		acl_restrict(&acl, node->mode);
		node->mode = (node->mode & ~0777u) | acl_mode(&acl, &more);
		err = more ? acl_write(&acl, &access) : 0;
	}
	acl_release(&acl);
	if (err)
		return err == -ENOMEM ? err : ERR_CORRUPT;
	if (access.len)
		acl_add_row(op, node->ino, ACL_ACCESS_NAME, access.data, access.len);
	if (node->kind == NODE_FOLDER)
		acl_add_row(op, node->ino, ACL_DEFAULT_NAME, bytes, len);
	return 0;
}
