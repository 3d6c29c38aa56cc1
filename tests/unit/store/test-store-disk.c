/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Blobs and the local store on disks of the test's own: XFS that can share blocks, a small ext4 that is
 * full or read-only. Needs root and loop devices; the mounts are seen by this process alone and end with
 * it.
 */
#include "config.h"

#include "store-unit.h"

#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>

enum { BLOCK = 4096, MIB = 1 << 20 };

static char work[] = "/tmp/garner-disks-XXXXXX";

static bool run(const char *format, ...) __attribute__((format(printf, 1, 2)));
static bool run(const char *format, ...)
{
	char command[600];
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(command, sizeof command, format, args);
	va_end(args);
	return len < (int)sizeof command && system(command) == 0;
}

/* Makes a filesystem in a file and mounts it on the folder of the same name. */
static bool make_disk(const char *name, unsigned mib, const char *mkfs)
{
	return run("mkdir %s/%s && truncate -s %uM %s/%s.img && %s %s/%s.img >%s/log 2>&1 && "
		   "mount -o loop %s/%s.img %s/%s",
		   work, name, mib, work, name, mkfs, work, name, work, work, name, work, name);
}

static bool make_disks(void)
{
	return unshare(CLONE_NEWNS) == 0 &&
	       mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) == 0 &&
	       make_disk("xfs", 400, "mkfs.xfs -q -m reflink=1") &&
	       make_disk("ext4", 32, "mkfs.ext4 -q -b 4096 -m 0 -N 1024");
}

static void remove_disks(void)
{
	run("cd / && umount %s/xfs; umount %s/ext4; rm -rf %s", work, work, work);
}

static struct blobs *open_on(const char *disk, bool create)
{
	char path[100];
	struct blobs *b = NULL;

	if (create)
		ck_assert(run("rm -rf %s/%s/blobs", work, disk));
	snprintf(path, sizeof path, "%s/%s/blobs", work, disk);
	ck_assert_int_eq(blobs_open(path, create, false, &b), 0);
	return b;
}

static void close_on(const char *disk, struct blobs *b)
{
	blobs_close(b);
	ck_assert(run("rm -rf %s/%s/blobs", work, disk));
}

/* Bytes of the blob that share their blocks with another file. */
static uint64_t shared_bytes(struct blobs *b, int64_t id)
{
	static union {
		struct fiemap map;
		char room[sizeof(struct fiemap) + 1000 * sizeof(struct fiemap_extent)];
	} call;
	uint64_t bytes = 0;
	int fd = blobs_open_write(b, id);

	memset(&call, 0, sizeof call);
	call.map.fm_length = UINT64_MAX;
	call.map.fm_flags = FIEMAP_FLAG_SYNC;
	call.map.fm_extent_count = 1000;
	ck_assert_int_eq(ioctl(fd, FS_IOC_FIEMAP, &call), 0);
	close(fd);
	for (unsigned i = 0; i < call.map.fm_mapped_extents; i++)
		if (call.map.fm_extents[i].fe_flags & FIEMAP_EXTENT_SHARED)
			bytes += call.map.fm_extents[i].fe_length;
	return bytes;
}

START_TEST(capabilities)
{
	struct blobs *b = open_on("xfs", true);

	ck_assert(blobs_caps(b)->reflink);
	ck_assert(blobs_caps(b)->punch);
	ck_assert(blobs_caps(b)->lease);
	close_on("xfs", b);
	b = open_on("ext4", true);
	ck_assert(!blobs_caps(b)->reflink);
	ck_assert(blobs_caps(b)->punch);
	ck_assert(blobs_caps(b)->lease);
	close_on("ext4", b);
}
END_TEST

/* More than the kernel takes at once. */
START_TEST(dedupe_of_much)
{
	struct blobs *b = open_on("xfs", true);
	uint64_t size = 0;

	blob_make(b, 1, 'd', 40 * MIB + 1000);
	blob_make(b, 2, 'd', 40 * MIB + 1000);
	ck_assert_uint_eq(shared_bytes(b, 2), 0);
	ck_assert_int_eq(blobs_dedupe(b, 1, 0, 2, 0, 40 * MIB + 1000), 0);
	/* The last block, too: it is the end of both. */
	ck_assert_uint_eq(shared_bytes(b, 2), 40 * MIB + BLOCK);
	ck_assert_int_eq(blobs_whole(b, 2, 0, 40 * MIB + 1000), 1);
	ck_assert_int_eq(blobs_stat(b, 2, &size, NULL), 0);
	ck_assert_uint_eq(size, 40 * MIB + 1000);
	/* Sharing is no link: what one loses the other keeps. */
	ck_assert_int_eq(blobs_punch(b, 1, 0, 40 * MIB), 0);
	ck_assert(blob_is(b, 2, 'd', 40 * MIB + 1000, 0));
	ck_assert_uint_eq(shared_bytes(b, 2), BLOCK);
	close_on("xfs", b);
}
END_TEST

START_TEST(dedupe_of_whole_blocks)
{
	struct blobs *b = open_on("xfs", true);

	blob_make(b, 1, 'd', MIB);
	blob_make(b, 2, 'd', MIB);
	/* Rounded inwards. */
	ck_assert_int_eq(blobs_dedupe(b, 1, 100, 2, 100, 5 * BLOCK), 0);
	ck_assert_uint_eq(shared_bytes(b, 2), 4 * BLOCK);
	/* No whole block, nothing at all. */
	ck_assert_int_eq(blobs_dedupe(b, 1, 8 * BLOCK + 1, 2, 8 * BLOCK + 1, BLOCK), 0);
	ck_assert_int_eq(blobs_dedupe(b, 1, 8 * BLOCK + 1, 2, 8 * BLOCK + 1, 10), 0);
	ck_assert_int_eq(blobs_dedupe(b, 1, 8 * BLOCK, 2, 8 * BLOCK, BLOCK - 1), 0);
	ck_assert_int_eq(blobs_dedupe(b, 1, 8 * BLOCK, 2, 8 * BLOCK, 0), 0);
	ck_assert_uint_eq(shared_bytes(b, 2), 4 * BLOCK);
	/* From elsewhere in the file, if the blocks can match. */
	ck_assert_int_eq(blobs_dedupe(b, 1, 0, 2, 16 * BLOCK, BLOCK), 0);
	ck_assert_uint_eq(shared_bytes(b, 2), 5 * BLOCK);
	ck_assert_int_eq(blobs_dedupe(b, 1, 0, 2, 32 * BLOCK + 1, 8 * BLOCK), -EINVAL);
	ck_assert_uint_eq(shared_bytes(b, 2), 5 * BLOCK);
	ck_assert(blob_is(b, 2, 'd', MIB, 0));
	close_on("xfs", b);
}
END_TEST

START_TEST(dedupe_of_what_differs)
{
	struct blobs *b = open_on("xfs", true);

	blob_make(b, 1, 'd', MIB);
	blob_make(b, 2, 'd', MIB);
	blob_write(b, 2, "x", 1, MIB / 2);
	ck_assert_int_eq(blobs_dedupe(b, 1, 0, 2, 0, MIB), -EILSEQ);
	ck_assert(blob_is(b, 2, 'x', 1, MIB / 2));
	ck_assert(blob_is(b, 1, 'd', MIB, 0));
	close_on("xfs", b);
}
END_TEST

START_TEST(dedupe_beyond_the_end)
{
	struct blobs *b = open_on("xfs", true);

	blob_make(b, 1, 'd', MIB);
	blob_make(b, 2, 'd', 2 * MIB);
	ck_assert_int_eq(blobs_dedupe(b, 1, 0, 2, 0, 2 * MIB), -EINVAL);
	ck_assert(blob_is(b, 2, 'd', 2 * MIB, 0));
	close_on("xfs", b);
}
END_TEST

START_TEST(dedupe_where_it_cannot_be)
{
	struct blobs *b = open_on("ext4", true);

	blob_make(b, 1, 'd', MIB);
	blob_make(b, 2, 'd', MIB);
	ck_assert_int_eq(blobs_dedupe(b, 1, 0, 2, 0, MIB), -EOPNOTSUPP);
	ck_assert(blob_is(b, 2, 'd', MIB, 0));
	close_on("ext4", b);
}
END_TEST

START_TEST(full_disk)
{
	struct blobs *b = open_on("ext4", true), *again = NULL;
	char *data = calloc(1, MIB), path[100];
	uint64_t total, rest, off = 0;
	int fd, err;

	ck_assert_int_eq(blobs_create(b, 1), 0);
	fd = blobs_open_write(b, 1);
	for (size_t step = MIB; step >= BLOCK; step /= 2) {
		while ((err = io_pwrite_full(fd, data, step, off)) == 0)
			off += step;
		ck_assert_int_eq(err, -ENOSPC);
	}
	close(fd);
	ck_assert_int_eq(blobs_space(b, &total, &rest), 0);
	ck_assert_uint_eq(rest, 0);
	/* It can be opened, and its space be given back. */
	snprintf(path, sizeof path, "%s/ext4/blobs", work);
	ck_assert_int_eq(blobs_open(path, false, false, &again), 0);
	ck_assert(blobs_caps(again)->punch);
	ck_assert_int_eq(blobs_punch(again, 1, 0, 4 * MIB), 0);
	blob_make(again, 2, 'n', MIB);
	blobs_close(again);
	free(data);
	close_on("ext4", b);
}
END_TEST

START_TEST(no_more_inodes)
{
	struct blobs *b = open_on("ext4", true);
	int64_t id = 1;
	int err;

	while ((err = blobs_create(b, id)) == 0)
		id++;
	ck_assert_int_eq(err, -ENOSPC);
	ck_assert_int_eq(blobs_unlink(b, 1), 0);
	ck_assert_int_eq(blobs_create(b, id), 0);
	close_on("ext4", b);
}
END_TEST

START_TEST(read_only_disk)
{
	struct blobs *b = open_on("ext4", true);
	char path[100];

	blob_make(b, 1, 'r', 100);
	blobs_close(b);
	b = NULL;
	ck_assert(run("mount -o remount,ro %s/ext4", work));
	snprintf(path, sizeof path, "%s/ext4/blobs", work);
	ck_assert_int_eq(blobs_open(path, false, false, &b), -EROFS);
	ck_assert_int_eq(blobs_open(path, false, true, &b), 0);
	ck_assert(blob_is(b, 1, 'r', 100, 0));
	ck_assert_int_eq(blobs_quiet(b, 1), 1);
	blobs_close(b);
	snprintf(path, sizeof path, "%s/ext4/other", work);
	ck_assert_int_eq(blobs_open(path, true, false, &b), -EROFS);
	ck_assert(run("mount -o remount,rw %s/ext4", work));
	close_on("ext4", open_on("ext4", false));
}
END_TEST

/* The metadata stays on another disk, so that it is the bytes that find no room. */
START_TEST(store_on_a_full_disk)
{
	enum { SIZE = 512 * 1024, MANY = 200 };
	struct fixture f = { .kind = FIXTURE_LOCAL };
	struct chunk c = { 0 };
	unsigned count = 0;
	int err = 0;

	close_on("ext4", open_on("ext4", true));
	f.place.dir_fd = unit_make_dir(f.place.dir);
	snprintf(f.place.path, sizeof f.place.path, "%s/ext4/blobs", work);
	fixture_open_local(&f, META_OPEN_CREATE, false);
	while (!err && count < MANY) {
		c = chunk_make(count, SIZE);
		err = chunk_put(f.store, &c);
		if (!err) {
			count++;
			chunk_free(&c);
		}
	}
	ck_assert_int_eq(err, -ENOSPC);
	ck_assert_uint_gt(count, 10);
	for (int i = 0; i < 200; i++)
		ck_assert_int_eq(chunk_put(f.store, &c), -ENOSPC);
	ck_assert_int_eq(store_has(f.store, c.name), 0);
	/* Deleting makes room for it, and nothing that was acknowledged is harmed. */
	for (unsigned i = 0; i < count; i++) {
		struct chunk old = chunk_make(i, SIZE);

		ck_assert_int_eq(store_scan(f.store, old.name), 0);
		if (i < 2)
			ck_assert_int_eq(store_delete(f.store, old.name), 0);
		chunk_free(&old);
	}
	ck_assert_int_eq(chunk_put(f.store, &c), 0);
	ck_assert_int_eq(store_scan(f.store, c.name), 0);
	/* The failed ones left no litter of bundles. */
	ck_assert_int_eq(fixture_places(&f, c.name).blob[0], 2);
	chunk_free(&c);
	fixture_close_local(&f);
	unit_remove_dir(f.place.dir, f.place.dir_fd);
	ck_assert(run("rm -rf %s/ext4/blobs", work));
}
END_TEST

int main(void)
{
	const TTest *const cases[] = { capabilities,
				       dedupe_of_much,
				       dedupe_of_whole_blocks,
				       dedupe_of_what_differs,
				       dedupe_beyond_the_end,
				       dedupe_where_it_cannot_be,
				       full_disk,
				       no_more_inodes,
				       read_only_disk,
				       store_on_a_full_disk };
	char path[4096];
	int failed;

	if (geteuid() != 0) {
		puts("SKIP: only root can mount the disks that this test needs");
		return 77;
	}
	snprintf(path, sizeof path, "%s:/usr/sbin:/sbin", getenv("PATH") ? getenv("PATH") : "/bin");
	setenv("PATH", path, 1);
	if (!mkdtemp(work) || !make_disks()) {
		run("cat %s/log 2>/dev/null", work);
		puts("SKIP: no disks for this test: it needs loop devices, mount namespaces, XFS, "
		     "ext4");
		remove_disks();
		return 77;
	}
	failed = unit_run("store on disks", 60, cases, sizeof cases / sizeof *cases);
	remove_disks();
	return failed;
}
