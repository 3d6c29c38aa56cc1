/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reading what is imported: files without a trace in their access times, where that is allowed, attributes, holes. */
#include "config.h"

#include "agent/import-internal.h"
#include "library/acl.h"
#include "util/cleanup.h"
#include "util/time.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

enum {
	IMPORT_PATH_LEN = 300,
	IMPORT_HOLE_MIN = 64 * 1024, /* smaller ones are read as zeros */
	IMPORT_TARGET_MAX = 4096,
};

/* Attributes of a file, open or by a path that is no longer than a name. */
struct import_attr {
	int fd;
	char path[IMPORT_PATH_LEN]; /* "": by fd */
};

static ssize_t import_attr_list(const struct import_attr *a, char *list, size_t size)
{
	return *a->path ? llistxattr(a->path, list, size) : flistxattr(a->fd, list, size);
}

static ssize_t import_attr_get(const struct import_attr *a, const char *name, void *value,
			       size_t size)
{
	return *a->path ? lgetxattr(a->path, name, value, size)
			: fgetxattr(a->fd, name, value, size);
}

/* Labels of security modules belong to the machine, other names of `system.` to the filesystem. */
static bool import_attr_wanted(const char *name)
{
	return !strncmp(name, "user.", 5) || !strncmp(name, "trusted.", 8) ||
	       !strcmp(name, "security.capability") || !strcmp(name, ACL_ACCESS_NAME) ||
	       !strcmp(name, ACL_DEFAULT_NAME);
}

/* The name with its NUL, the length, the value. */
static int import_attr_add(const struct import_attr *a, const char *name, struct buf *out)
{
	static const size_t room = TREE_XATTR_MAX;
	size_t name_len = strlen(name) + 1, len;
	int err = buf_reserve(out, name_len + sizeof(len) + room);

	if (err)
		return err;
	ssize_t got = import_attr_get(a, name, out->data + out->len + name_len + sizeof(len), room);

	if (got < 0)
		return errno == ENODATA ? 0 : -errno;
	len = (size_t)got;
	memcpy(out->data + out->len, name, name_len);
	memcpy(out->data + out->len + name_len, &len, sizeof(len));
	out->len += name_len + sizeof(len) + len;
	return 0;
}

int import_source_xattrs(int fd, const char *name, struct buf *out)
{
	struct import_attr a = { .fd = fd };
	char small[1024], *list = small;
	CLEANUP_FREE char *large = NULL;

	if (name)
		snprintf(a.path, sizeof(a.path), "/proc/self/fd/%d/%s", fd, name);
	ssize_t got = import_attr_list(&a, list, sizeof(small));

	if (got < 0 && errno == ERANGE) {
		large = list = malloc(XATTR_LIST_MAX);
		if (!large)
			return -ENOMEM;
		got = import_attr_list(&a, list, XATTR_LIST_MAX);
	}
	if (got < 0)
		return errno == EOPNOTSUPP || errno == EPERM || errno == EACCES ? 0 : -errno;
	int err = 0;

	for (char *at = list; at < list + got && !err; at += strlen(at) + 1)
		err = import_attr_wanted(at) ? import_attr_add(&a, at, out) : 0;
	return err;
}

int import_source_each(const struct buf *xattrs,
		       int (*fn)(void *arg, const char *name, const void *value, size_t len),
		       void *arg)
{
	int rc = 0;

	for (size_t at = 0; at < xattrs->len && !rc;) {
		const char *name = xattrs->data + at;
		size_t len;

		at += strlen(name) + 1;
		memcpy(&len, xattrs->data + at, sizeof(len));
		at += sizeof(len);
		rc = fn(arg, name, xattrs->data + at, len);
		at += len;
	}
	return rc;
}

static int import_hole_add(struct import_item *item, off_t start, off_t end)
{
	if (end - start < IMPORT_HOLE_MIN)
		return 0;
	if (item->hole_count == item->hole_cap) {
		size_t cap = item->hole_cap ? item->hole_cap * 2 : 16;
		uint64_t(*holes)[2] = reallocarray(item->holes, cap, sizeof(*holes));

		if (!holes)
			return -ENOMEM;
		item->holes = holes;
		item->hole_cap = cap;
	}
	item->holes[item->hole_count][0] = (uint64_t)start;
	item->holes[item->hole_count++][1] = (uint64_t)(end - start);
	return 0;
}

static int import_holes(struct import_item *item)
{
	off_t size = item->st.st_size, at = 0;
	int err = 0;

	if (size < IMPORT_HOLE_MIN || item->st.st_blocks * 512 >= size)
		return 0;
	while (at < size && !err) {
		off_t data = lseek(item->fd, at, SEEK_DATA);

		if (data < 0 && errno != ENXIO)
			return 0; /* no holes here: all of it is read */
		if (data < 0 || data > size)
			data = size;
		err = data > at ? import_hole_add(item, at, data) : 0;
		at = data < size ? lseek(item->fd, data, SEEK_HOLE) : size;
		if (at < 0)
			at = size;
	}
	return err;
}

static int import_open_file(struct import_item *item, int folder)
{
	int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
	struct stat st;

	item->fd = openat(folder, item->name, flags | O_NOATIME);
	if (item->fd < 0 && errno == EPERM)
		item->fd = openat(folder, item->name, flags);
	if (item->fd < 0)
		return errno == ELOOP ? -ESTALE : -errno;
	if (fstat(item->fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_ino != item->st.st_ino || st.st_dev != item->st.st_dev)
		return -ESTALE;
	item->st = st;
	int err = import_holes(item);

	return err ? err : import_source_xattrs(item->fd, NULL, &item->xattrs);
}

int import_source_open(struct import_item *item, int folder)
{
	if (S_ISREG(item->st.st_mode))
		return import_open_file(item, folder);
	if (S_ISLNK(item->st.st_mode)) {
		int err = buf_reserve(&item->target, IMPORT_TARGET_MAX);
		ssize_t got = err ? 0
				  : readlinkat(folder, item->name, item->target.data,
					       IMPORT_TARGET_MAX - 1);

		if (err || got < 0)
			return err ? err : errno == EINVAL ? -ESTALE : -errno;
		item->target.data[got] = '\0';
		item->target.len = (size_t)got;
	}
	return import_source_xattrs(folder, item->name, &item->xattrs);
}

bool import_source_same(const struct import_item *item)
{
	const struct stat *was = &item->st;
	struct stat st;

	return item->fd < 0 || (!fstat(item->fd, &st) && st.st_size == was->st_size &&
				time_from_spec(st.st_mtim) == time_from_spec(was->st_mtim));
}

bool import_source_lease(struct import_item *item)
{
	/* Ignored unless asked for: SIGIO, which a lease sends otherwise, would end the process. */
	if (!fcntl(item->fd, F_SETSIG, SIGURG) && !fcntl(item->fd, F_SETLEASE, F_RDLCK))
		item->leased = true;
	else if (errno == EAGAIN)
		return false;
	return true;
}

bool import_source_quiet(const struct import_item *item)
{
	int fd = item->held >= 0 ? item->held : item->leased ? item->fd : -1;

	return fd < 0 || fcntl(fd, F_GETLEASE) == F_RDLCK;
}

void import_source_close(struct import_item *item)
{
	if (item->fd >= 0)
		close(item->fd);
	item->fd = -1;
	item->leased = false;
	free(item->holes);
	item->holes = NULL;
	item->hole_count = item->hole_cap = 0;
	buf_release(&item->xattrs);
	buf_release(&item->target);
}
