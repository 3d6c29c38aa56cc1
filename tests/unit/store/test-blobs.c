/* SPDX-License-Identifier: GPL-3.0-or-later */
/* backend/store/blobs.h on the filesystem of the test's own folder: names, handles, holes. */
#include "config.h"

#include "blobs-unit.h"

#include <sys/resource.h>

START_TEST(layout_on_disk)
{
	struct place p;
	struct stat st;
	struct buf path = BUF_INIT;

	place_open(&p);
	for (unsigned i = 0; i < 256; i++) {
		char name[16];

		snprintf(name, sizeof name, "blobs/%02x", i);
		ck_assert_int_eq(fstatat(p.dir_fd, name, &st, 0), 0);
		ck_assert(S_ISDIR(st.st_mode));
		ck_assert_uint_eq(st.st_mode & 0777, 0700);
	}
	ck_assert_int_eq(blobs_create(p.blobs, 0x123456789abcdeLL), 0);
	ck_assert_int_eq(fstatat(p.dir_fd, "blobs/bc/00123456789abcde", &st, 0), 0);
	ck_assert_int_eq(st.st_size, 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0600);
	ck_assert_int_eq(blobs_create(p.blobs, 0x123456789abcdeLL), -EEXIST);
	ck_assert_int_eq(blobs_path(p.blobs, 0x123456789abcdeLL, &path), 0);
	ck_assert_int_eq(stat(buf_str(&path), &st), 0);
	buf_release(&path);
	place_close(&p);
}
END_TEST

START_TEST(opening_what_is_not_there)
{
	struct blobs *b = NULL;
	char dir[64], path[96];
	int fd = unit_make_dir(dir);

	snprintf(path, sizeof path, "%s/none", dir);
	ck_assert_int_eq(blobs_open(path, false, false, &b), -ENOENT);
	ck_assert_int_eq(blobs_open(path, false, true, &b), -ENOENT);
	snprintf(path, sizeof path, "%s/none/blobs", dir);
	ck_assert_int_eq(blobs_open(path, true, false, &b), -ENOENT);
	ck_assert_int_eq(io_write_file(fd, "file", "x", 1, 0600), 0);
	snprintf(path, sizeof path, "%s/file", dir);
	ck_assert_int_eq(blobs_open(path, false, false, &b), -ENOTDIR);
	ck_assert_int_eq(blobs_open(path, true, false, &b), -ENOTDIR);
	ck_assert_ptr_null(b);
	unit_remove_dir(dir, fd);
}
END_TEST

START_TEST(opening_again_keeps_what_is_there)
{
	struct place p;

	place_open(&p);
	blob_make(p.blobs, 7, 'a', 100);
	blobs_close(p.blobs);
	ck_assert_int_eq(blobs_open(p.path, true, false, &p.blobs), 0);
	ck_assert(blob_is(p.blobs, 7, 'a', 100, 0));
	blobs_close(p.blobs);
	ck_assert_int_eq(blobs_open(p.path, false, false, &p.blobs), 0);
	ck_assert(blob_is(p.blobs, 7, 'a', 100, 0));
	place_close(&p);
}
END_TEST

START_TEST(probing_leaves_nothing_behind)
{
	struct place p;
	DIR *dir;
	const struct dirent *entry;

	place_open(&p);
	dir = opendir(p.path);
	ck_assert_ptr_nonnull(dir);
	while ((entry = readdir(dir)))
		ck_assert_uint_le(strlen(entry->d_name), 2);
	closedir(dir);
	place_close(&p);
}
END_TEST

static int no_file(void *arg, int64_t id)
{
	(void)arg;
	ck_abort_msg("blob %lld", (long long)id);
	return 0;
}

START_TEST(read_only_changes_nothing)
{
	struct place p;
	struct blob *blob;

	place_open(&p);
	blob_make(p.blobs, 7, 'a', 100);
	ck_assert(!blobs_read_only(p.blobs));
	blobs_close(p.blobs);
	ck_assert_int_eq(blobs_open(p.path, false, true, &p.blobs), 0);
	ck_assert(blobs_read_only(p.blobs));
	ck_assert_int_eq(blobs_create(p.blobs, 8), -EROFS);
	ck_assert_int_eq(blobs_unlink(p.blobs, 7), -EROFS);
	ck_assert_int_eq(blobs_punch(p.blobs, 7, 0, 100), -EROFS);
	ck_assert_int_eq(blobs_open_write(p.blobs, 7), -EROFS);
	ck_assert_int_eq(blobs_dedupe(p.blobs, 7, 0, 7, 0, 100), -EROFS);
	ck_assert_int_eq(blobs_sync_names(p.blobs), 0);
	ck_assert_int_eq(blobs_get(p.blobs, 8, &blob), -ENOENT);
	ck_assert(blob_is(p.blobs, 7, 'a', 100, 0));
	place_close(&p);
}
END_TEST

START_TEST(folder_that_may_not_be_entered)
{
	struct place p;
	struct blobs *b = NULL;
	bool root = geteuid() == 0;

	place_open(&p);
	if (root)
		ck_assert_int_eq(seteuid(65534), 0);
	else
		ck_assert_int_eq(chmod(p.path, 0), 0);
	ck_assert_int_eq(blobs_open(p.path, false, false, &b), -EACCES);
	ck_assert_int_eq(blobs_open(p.path, false, true, &b), -EACCES);
	if (root)
		ck_assert_int_eq(seteuid(0), 0);
	ck_assert_int_eq(chmod(p.path, 0700), 0);
	place_close(&p);
}
END_TEST

START_TEST(missing_files)
{
	struct place p;
	struct blob *blob = NULL;
	uint64_t size = 99;

	place_open(&p);
	ck_assert_int_eq(blobs_get(p.blobs, 5, &blob), -ENOENT);
	ck_assert_ptr_null(blob);
	ck_assert_int_eq(blobs_open_write(p.blobs, 5), -ENOENT);
	ck_assert_int_eq(blobs_quiet(p.blobs, 5), -ENOENT);
	ck_assert_int_eq(blobs_punch(p.blobs, 5, 0, 4096), -ENOENT);
	ck_assert_int_eq(blobs_whole(p.blobs, 5, 0, 1), -ENOENT);
	ck_assert_int_eq(blobs_stat(p.blobs, 5, &size, NULL), -ENOENT);
	ck_assert_uint_eq(size, 99);
	ck_assert_int_eq(blobs_unlink(p.blobs, 5), -ENOENT);
	ck_assert_int_eq(blobs_create(p.blobs, 6), 0);
	ck_assert_int_eq(blobs_dedupe(p.blobs, 5, 0, 6, 0, 4096), -ENOENT);
	ck_assert_int_eq(blobs_dedupe(p.blobs, 6, 0, 5, 0, 4096), -ENOENT);
	place_close(&p);
}
END_TEST

START_TEST(lost_subfolder_comes_back)
{
	struct place p;

	place_open(&p);
	ck_assert_int_eq(unlinkat(p.dir_fd, "blobs/03", AT_REMOVEDIR), 0);
	ck_assert_int_eq(blobs_scan(p.blobs, no_file, NULL), 0);
	blob_make(p.blobs, 0x30a, 'z', 10);
	ck_assert_int_eq(blobs_sync_names(p.blobs), 0);
	ck_assert(blob_is(p.blobs, 0x30a, 'z', 10, 0));
	place_close(&p);
}
END_TEST

START_TEST(unlinked_handle_stays_readable)
{
	struct place p;
	struct blob *blob, *other;
	char data[100];

	place_open(&p);
	blob_make(p.blobs, 5, 'u', 100);
	ck_assert_int_eq(blobs_get(p.blobs, 5, &blob), 0);
	ck_assert_int_eq(blobs_unlink(p.blobs, 5), 0);
	ck_assert_int_eq(blobs_get(p.blobs, 5, &other), -ENOENT);
	ck_assert_int_eq(blobs_unlink(p.blobs, 5), -ENOENT);
	ck_assert_int_eq(io_pread_full(blob_fd(blob), data, 100, 0), 100);
	ck_assert_int_eq(data[99], 'u');
	blob_put(blob);
	place_close(&p);
}
END_TEST

START_TEST(unlinking_frees_an_idle_descriptor)
{
	struct place p;
	unsigned before;

	place_open(&p);
	before = open_files();
	blob_make(p.blobs, 5, 'u', 100);
	ck_assert(blob_is(p.blobs, 5, 'u', 100, 0));
	ck_assert_uint_eq(open_files(), before + 1);
	ck_assert_int_eq(blobs_unlink(p.blobs, 5), 0);
	ck_assert_uint_eq(open_files(), before);
	place_close(&p);
}
END_TEST

START_TEST(handles_are_shared_and_counted)
{
	struct place p;
	struct blob *first, *second;

	place_open(&p);
	blob_make(p.blobs, 9, 's', 10);
	ck_assert_int_eq(blobs_get(p.blobs, 9, &first), 0);
	ck_assert_int_eq(blobs_get(p.blobs, 9, &second), 0);
	ck_assert_ptr_eq(first, second);
	ck_assert_ptr_eq(blob_ref(first), first);
	ck_assert_int_eq(blob_id(first), 9);
	blob_put(first);
	blob_put(first);
	ck_assert_int_ge(fcntl(blob_fd(second), F_GETFD), 0);
	blob_put(second);
	blob_put(NULL);
	place_close(&p);
}
END_TEST

enum { FEW_FILES = 64, MANY_BLOBS = 100 };

static struct rlimit limit_files(rlim_t count)
{
	struct rlimit before, now;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
	now = (struct rlimit){ .rlim_cur = count, .rlim_max = before.rlim_max };
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &now), 0);
	return before;
}

START_TEST(idle_descriptors_have_a_limit)
{
	struct rlimit before = limit_files(FEW_FILES);
	struct place p;
	struct blob *held[FEW_FILES / 3];
	unsigned base;

	place_open(&p);
	base = open_files();
	for (int i = 1; i <= MANY_BLOBS; i++) {
		blob_make(p.blobs, i, i, 10);
		ck_assert(blob_is(p.blobs, i, i, 10, 0));
		ck_assert_uint_le(open_files(), base + FEW_FILES / 4);
	}
	ck_assert_uint_eq(open_files(), base + FEW_FILES / 4);
	/* The oldest is gone, the newest is not. */
	ck_assert_int_eq(blobs_get(p.blobs, MANY_BLOBS, &held[0]), 0);
	ck_assert_uint_eq(open_files(), base + FEW_FILES / 4);
	blob_put(held[0]);
	/* What is in use may go above the limit, and falls back to it. */
	for (int i = 0; i < FEW_FILES / 3; i++)
		ck_assert_int_eq(blobs_get(p.blobs, i + 1, &held[i]), 0);
	ck_assert_uint_eq(open_files(), base + FEW_FILES / 3);
	for (int i = 0; i < FEW_FILES / 3; i++)
		blob_put(held[i]);
	ck_assert_uint_eq(open_files(), base + FEW_FILES / 4);
	place_close(&p);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
}
END_TEST

START_TEST(idle_descriptors_make_room)
{
	struct rlimit before = limit_files(FEW_FILES);
	struct place p;
	struct blob *blob;
	int taken[FEW_FILES], count = 0, fd;

	place_open(&p);
	for (int i = 1; i <= 3; i++)
		blob_make(p.blobs, i, i, 10);
	ck_assert(blob_is(p.blobs, 1, 1, 10, 0));
	ck_assert(blob_is(p.blobs, 2, 2, 10, 0));
	while ((taken[count] = dup(p.dir_fd)) >= 0)
		count++;
	ck_assert_int_eq(errno, EMFILE);
	/* Two are idle: one goes for a handle, one for a writer; then there is nothing left. */
	ck_assert_int_eq(blobs_get(p.blobs, 3, &blob), 0);
	fd = blobs_open_write(p.blobs, 1);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(blobs_open_write(p.blobs, 2), -EMFILE);
	ck_assert_int_eq(blobs_create(p.blobs, 4), -EMFILE);
	blob_put(blob);
	ck_assert_int_eq(blobs_get(p.blobs, 2, &blob), 0);
	blob_put(blob);
	close(fd);
	while (count > 0)
		close(taken[--count]);
	place_close(&p);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
}
END_TEST

START_TEST(held_elsewhere)
{
	struct place p;
	char path[96];
	struct blob *blob;
	struct buf text = BUF_INIT;
	uint64_t size = 0;

	place_open(&p);
	ck_assert_int_eq(io_write_file(p.dir_fd, "one", "11111", 5, 0600), 0);
	ck_assert_int_eq(io_write_file(p.dir_fd, "two", "222", 3, 0600), 0);
	snprintf(path, sizeof path, "%s/one", p.dir);
	ck_assert_int_eq(blobs_refer(p.blobs, 77, path), 0);
	ck_assert(blob_is(p.blobs, 77, '1', 5, 0));
	ck_assert_int_eq(blobs_path(p.blobs, 77, &text), 0);
	ck_assert_str_eq(buf_str(&text), path);
	buf_release(&text);
	ck_assert_int_eq(blobs_stat(p.blobs, 77, &size, NULL), 0);
	ck_assert_uint_eq(size, 5);
	ck_assert_int_eq(blobs_whole(p.blobs, 77, 0, 5), 1);
	ck_assert_int_eq(blobs_open_write(p.blobs, 77), -EPERM);
	ck_assert_int_eq(blobs_punch(p.blobs, 77, 0, 5), -EPERM);
	ck_assert_int_eq(blobs_unlink(p.blobs, 77), -EPERM);
	ck_assert_int_eq(blobs_create(p.blobs, 77), -EEXIST);
	/* Told again: the descriptor of before is not served any more. */
	snprintf(path, sizeof path, "%s/two", p.dir);
	ck_assert_int_eq(blobs_refer(p.blobs, 77, path), 0);
	ck_assert(blob_is(p.blobs, 77, '2', 3, 0));
	ck_assert_int_eq(unlinkat(p.dir_fd, "two", 0), 0);
	ck_assert_int_eq(mkfifoat(p.dir_fd, "two", 0600), 0);
	ck_assert_int_eq(blobs_refer(p.blobs, 77, path), 0);
	ck_assert_int_eq(blobs_get(p.blobs, 77, &blob), -ENOENT);
	place_close(&p);
}
END_TEST

START_TEST(punched_is_not_whole)
{
	enum { BLOCK = 65536 };
	struct place p;
	uint64_t size, before, now;

	place_open(&p);
	ck_assert(blobs_caps(p.blobs)->punch);
	blob_make(p.blobs, 3, 'p', 4 * BLOCK);
	before = blob_allocated(p.blobs, 3);
	ck_assert_uint_ge(before, 4 * BLOCK);
	ck_assert_int_eq(blobs_whole(p.blobs, 3, 0, 4 * BLOCK), 1);
	ck_assert_int_eq(blobs_punch(p.blobs, 3, BLOCK, BLOCK), 0);
	ck_assert_int_eq(blobs_whole(p.blobs, 3, 0, 4 * BLOCK), 0);
	ck_assert_int_eq(blobs_whole(p.blobs, 3, 0, BLOCK), 1);
	ck_assert_int_eq(blobs_whole(p.blobs, 3, BLOCK, 1), 0);
	ck_assert_int_eq(blobs_whole(p.blobs, 3, BLOCK - 1, 2), 0);
	ck_assert_int_eq(blobs_whole(p.blobs, 3, 2 * BLOCK, 2 * BLOCK), 1);
	ck_assert_int_eq(blobs_stat(p.blobs, 3, &size, &now), 0);
	ck_assert_uint_eq(size, 4 * BLOCK);
	ck_assert_uint_eq(now, before - BLOCK);
	ck_assert(blob_is(p.blobs, 3, 'p', BLOCK, 0));
	ck_assert(blob_is(p.blobs, 3, 0, BLOCK, BLOCK));
	ck_assert(blob_is(p.blobs, 3, 'p', 2 * BLOCK, 2 * BLOCK));
	ck_assert_int_eq(blobs_punch(p.blobs, 3, 0, 0), 0);
	ck_assert(blob_is(p.blobs, 3, 'p', BLOCK, 0));
	place_close(&p);
}
END_TEST

START_TEST(whole_ends_with_the_file)
{
	struct place p;
	int fd;

	place_open(&p);
	blob_make(p.blobs, 3, 'w', 1000);
	ck_assert_int_eq(blobs_whole(p.blobs, 3, 0, 1000), 1);
	ck_assert_int_eq(blobs_whole(p.blobs, 3, 0, 1001), 0);
	ck_assert_int_eq(blobs_whole(p.blobs, 3, 999, 1), 1);
	ck_assert_int_eq(blobs_whole(p.blobs, 3, 1000, 0), 1);
	ck_assert_int_eq(blobs_whole(p.blobs, 3, 1000, 1), 0);
	ck_assert_int_eq(blobs_whole(p.blobs, 3, 1001, 0), 0);
	ck_assert_int_eq(blobs_whole(p.blobs, 3, 1, UINT64_MAX), 0);
	ck_assert_int_eq(blobs_whole(p.blobs, 3, UINT64_MAX, 1), 0);
	/* A file that was made longer is a hole there. */
	fd = blobs_open_write(p.blobs, 3);
	ck_assert_int_eq(ftruncate(fd, 1 << 20), 0);
	close(fd);
	ck_assert_int_eq(blobs_whole(p.blobs, 3, 0, 1000), 1);
	ck_assert_int_eq(blobs_whole(p.blobs, 3, 0, 1 << 20), 0);
	place_close(&p);
}
END_TEST

struct seen {
	unsigned count;
	int64_t ids[8];
	int stop; /* returned at the first */
};

static int note(void *arg, int64_t id)
{
	struct seen *seen = arg;

	ck_assert_uint_lt(seen->count, 8);
	seen->ids[seen->count++] = id;
	return seen->stop;
}

START_TEST(scan_finds_blobs_alone)
{
	const int64_t ids[] = { 1, 0x101, 0xff, INT64_MAX };
	static const char *const litter[] = { "blobs/01/0000000000000002", "blobs/01/x",
					      "blobs/01/00000000000000010",
					      "blobs/00/00000000000000AB",
					      "blobs/0000000000000001" };
	struct seen seen = { 0 }, stopped = { .stop = 42 };
	struct place p;

	place_open(&p);
	for (size_t i = 0; i < 4; i++)
		ck_assert_int_eq(blobs_create(p.blobs, ids[i]), 0);
	for (size_t i = 0; i < sizeof litter / sizeof *litter; i++) {
		int fd = openat(p.dir_fd, litter[i], O_CREAT | O_WRONLY, 0600);

		ck_assert_int_ge(fd, 0);
		close(fd);
	}
	ck_assert_int_eq(blobs_scan(p.blobs, note, &seen), 0);
	ck_assert_uint_eq(seen.count, 4);
	for (size_t i = 0; i < 4; i++) {
		bool found = false;

		for (size_t k = 0; k < 4; k++)
			found = found || seen.ids[k] == ids[i];
		ck_assert(found);
	}
	ck_assert_int_eq(blobs_scan(p.blobs, note, &stopped), 42);
	ck_assert_uint_eq(stopped.count, 1);
	place_close(&p);
}
END_TEST

START_TEST(space_of_the_disk)
{
	struct place p;
	uint64_t total = 0, rest = 0;

	place_open(&p);
	ck_assert_int_eq(blobs_space(p.blobs, &total, &rest), 0);
	ck_assert_uint_gt(total, 0);
	ck_assert_uint_le(rest, total);
	place_close(&p);
}
END_TEST

UNIT_MAIN("blobs", 30, layout_on_disk, opening_what_is_not_there, opening_again_keeps_what_is_there,
	  probing_leaves_nothing_behind, read_only_changes_nothing, folder_that_may_not_be_entered,
	  missing_files, lost_subfolder_comes_back, unlinked_handle_stays_readable,
	  unlinking_frees_an_idle_descriptor, handles_are_shared_and_counted,
	  idle_descriptors_have_a_limit, idle_descriptors_make_room, held_elsewhere,
	  punched_is_not_whole, whole_ends_with_the_file, scan_finds_blobs_alone, space_of_the_disk)
