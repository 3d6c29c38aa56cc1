/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * POSIX access control lists in the form in which the kernel passes them as extended attributes
 * (linux/posix_acl_xattr.h, version 2: a little-endian header and entries of tag, permissions,
 * id), and what they have to do with a node's mode. The meaning is that of acl(5) and of IEEE
 * 1003.1e draft 17, sections 23.1 to 23.5.
 */
#ifndef GARNER_LIBRARY_ACL_H
#define GARNER_LIBRARY_ACL_H

#include "library/tree.h"

#define ACL_ACCESS_NAME "system.posix_acl_access"
#define ACL_DEFAULT_NAME "system.posix_acl_default"

/* One entry; id is that of a named user or group, else ACL_UNDEFINED_ID. */
struct acl_entry {
	uint16_t tag, perm;
	uint32_t id;
};

struct acl {
	size_t count;
	struct acl_entry *entries; /* acl_release() */
};

/*
 * Reads and checks `len` bytes. 0 and *out, which may have no entry (which means: no ACL). -EINVAL
 * (form, order, or an entry that is missing or there twice), -EOPNOTSUPP (another version),
 * -ENOMEM. *out is the caller's, to be released also on failure.
 */
int acl_parse(const void *bytes, size_t len, struct acl *out);
void acl_release(struct acl *acl);

/* Appends the form that acl_parse() reads. 0 or -ENOMEM. */
int acl_write(const struct acl *acl, struct buf *out);

/*
 * Permission bits (0777) that stat(2) shows for the ACL: the mask, where there is one, as those of
 * the group. *more: it says more than they do.
 */
mode_t acl_mode(const struct acl *acl, bool *more);

/* Makes user::, mask:: (else group::) and other:: those of `mode`, as chmod(2) does. */
void acl_chmod(struct acl *acl, mode_t mode);

/*
 * Takes from the same entries what `mode` does not have, as the creation of a file does to the
 * folder's default ACL.
 */
void acl_restrict(struct acl *acl, mode_t mode);

/*
 * Adds what a new node inherits from the default ACL (`bytes` as stored): its access ACL where
 * that says more than the mode, for a folder the default ACL; and sets the permission bits of
 * node->mode. 0, ERR_CORRUPT (stored bytes that are no ACL), -ENOMEM.
 */
int acl_add_inherited(struct meta_op *op, const void *bytes, size_t len, struct node *node);

#endif
