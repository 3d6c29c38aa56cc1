/* SPDX-License-Identifier: GPL-3.0-or-later */
/* library/file.h: content that somebody else has the file of. The test takes the kernel's part. */
#include "config.h"

#include "pass-unit.h"

#include <sys/mman.h>
#include <sys/stat.h>

enum { BIG = 300000 };

static void assert_not_passed(struct file *f, bool writes)
{
	int fd = -1;

	ck_assert_int_eq(file_pass_begin(f, writes, &fd), 0);
	ck_assert_int_eq(fd, -1);
}

START_TEST(what_is_written_without_asking_is_found)
{
	struct lab lab;
	uint8_t *data = lab_bytes(1, BIG);
	struct node node;

	lab_make(&lab, NULL, LAB_LAZY);
	lab_open(&lab);
	library_kernel_clock(lab.lib);
	struct file *f = lab_create(&lab, "a", &node);
	int fd = lab_pass(f, O_RDWR);

	ck_assert_int_eq(pwrite(fd, data, BIG, 0), BIG);
	lab_same(f, data, BIG);
	ck_assert_uint_eq(lab_node(&lab, node.ino).size, BIG);
	ck_assert_int_ge(lab_node(&lab, node.ino).mtime_ns, node.mtime_ns);
	close(fd);
	file_pass_end(f);
	lab_close_file(f, O_RDWR);
	lab_sync(&lab);
	lab_holds(&lab, node.ino, data, BIG);
	lab_reopen(&lab);
	lab_holds(&lab, node.ino, data, BIG);
	lab_remove(&lab);
	free(data);
}
END_TEST

START_TEST(whole_objects_are_passed_to_readers)
{
	struct lab lab;
	uint8_t *data = lab_bytes(2, BIG);

	lab_make(&lab, NULL, LAB_LAZY);
	lab_open(&lab);
	int64_t big = lab_put(&lab, "big", data, BIG), small = lab_put(&lab, "small", data, 100);

	lab_sync(&lab);
	struct file *f = lab_open_file(&lab, big, O_RDONLY),
		    *g = lab_open_file(&lab, small, O_RDONLY);
	int fd = lab_pass(f, O_RDONLY);

	lab_same_fd(fd, data, BIG);
	assert_not_passed(f, false);
	assert_not_passed(g, false);
	file_pass_end(f);
	assert_not_passed(f, true);
	close(fd);
	file_close(f, O_RDONLY);
	file_close(g, O_RDONLY);
	lab_remove(&lab);
	free(data);
}
END_TEST

/* Two assets with one object: the file is one's alone, since it may be changed. */
START_TEST(one_asset_at_a_time_has_a_blob)
{
	struct lab lab;
	uint8_t *data = lab_bytes(3, BIG), *edited = lab_bytes(3, BIG);

	memset(edited + 1000, 'x', 5000);
	lab_make(&lab, NULL, LAB_LAZY);
	lab_open(&lab);
	int64_t a = lab_put(&lab, "a", data, BIG), b = lab_put(&lab, "b", data, BIG);

	lab_sync(&lab);
	struct file *fa = lab_open_file(&lab, a, O_RDWR), *fb = lab_open_file(&lab, b, O_RDONLY);
	int fd = lab_pass(fa, O_RDONLY);

	assert_not_passed(fb, false);
	lab_same(fb, data, BIG);
	ck_assert_int_eq(file_pass_write(fa), 0);
	ck_assert_int_eq(file_write(fa, edited + 1000, 5000, 1000), 5000);
	lab_same_fd(fd, edited, BIG);
	lab_same(fa, edited, BIG);
	lab_same(fb, data, BIG);
	file_pass_end(fa);
	close(fd);
	lab_close_file(fa, O_RDWR);
	file_close(fb, O_RDONLY);
	lab_sync(&lab);
	fb = lab_open_file(&lab, b, O_RDONLY);
	lab_same(fb, data, BIG);
	file_close(fb, O_RDONLY);
	lab_reopen(&lab);
	lab_holds(&lab, a, edited, BIG);
	lab_holds(&lab, b, data, BIG);
	lab_remove(&lab);
	free(data);
	free(edited);
}
END_TEST

START_TEST(truncation_keeps_the_file)
{
	struct lab lab;
	uint8_t *data = lab_bytes(4, BIG);

	lab_make(&lab, NULL, LAB_LAZY);
	lab_open(&lab);
	int64_t a = lab_put(&lab, "a", data, BIG);

	lab_sync(&lab);
	struct file *f = lab_open_file(&lab, a, O_RDWR);
	int fd = lab_pass(f, O_RDONLY);

	ck_assert_int_eq(file_truncate(f, 1234), 0);
	lab_same_fd(fd, data, 1234);
	ck_assert_int_eq(file_truncate(f, 0), 0);
	lab_same_fd(fd, data, 0);
	close(fd);
	file_pass_end(f);
	lab_close_file(f, O_RDWR);
	lab_sync(&lab);
	lab_holds(&lab, a, data, 0);
	lab_remove(&lab);
	free(data);
}
END_TEST

/* A seal that would leave holes, or none of the file, waits, and that is told. */
START_TEST(a_seal_leaves_a_passed_file_whole)
{
	struct lab lab;
	struct files_counts files;
	uint8_t *data = lab_bytes(5, BIG);

	lab_make(&lab, NULL, LAB_LAZY);
	lab_open(&lab);
	lab_put(&lab, "first", data, BIG);
	lab_sync(&lab);
	int64_t again = lab_put(&lab, "again", data, BIG), small = lab_put(&lab, "small", data, 50);
	struct file *f = lab_open_file(&lab, again, O_RDONLY),
		    *g = lab_open_file(&lab, small, O_RDONLY);
	int fd = lab_pass(f, O_RDONLY), gd = lab_pass(g, O_RDONLY);

	lab_sync(&lab);
	lab_same_fd(fd, data, BIG);
	lab_same_fd(gd, data, 50);
	files_counts(lab.lib, &files);
	ck_assert_uint_eq(files.held, 2);
	file_pass_end(f);
	file_pass_end(g);
	close(fd);
	close(gd);
	file_close(f, O_RDONLY);
	file_close(g, O_RDONLY);
	lab_sync(&lab);
	ck_assert_int_eq(lab_node(&lab, again).draft, 0);
	ck_assert_int_eq(lab_node(&lab, small).draft, 0);
	lab_holds(&lab, again, data, BIG);
	lab_holds(&lab, small, data, 50);
	lab_remove(&lab);
	free(data);
}
END_TEST

/* One that leaves the file as it is does not wait for the readers, and they may become writers after it. */
START_TEST(a_seal_in_place_waits_for_no_reader)
{
	struct lab lab;
	struct files_counts files;
	uint8_t *data = lab_bytes(10, BIG);

	lab_make(&lab, NULL, LAB_LAZY);
	lab_open(&lab);
	int64_t ino = lab_put(&lab, "a", data, BIG);
	struct file *f = lab_open_file(&lab, ino, O_RDONLY);
	int fd = lab_pass(f, O_RDONLY);

	lab_sync(&lab);
	ck_assert_int_eq(lab_node(&lab, ino).draft, 0);
	files_counts(lab.lib, &files);
	ck_assert_uint_eq(files.held, 0);
	lab_same_fd(fd, data, BIG);
	lab_same(f, data, BIG);
	struct file *w = lab_open_file(&lab, ino, O_RDWR);

	ck_assert_int_eq(file_pass_write(w), 0);
	data[5] ^= 1;
	ck_assert_int_eq(file_write(w, data + 5, 1, 5), 1);
	lab_same_fd(fd, data, BIG);
	lab_same(f, data, BIG);
	lab_close_file(w, O_RDWR);
	close(fd);
	file_pass_end(f);
	file_close(f, O_RDONLY);
	lab_sync(&lab);
	lab_holds(&lab, ino, data, BIG);
	lab_remove(&lab);
	free(data);
}
END_TEST

START_TEST(a_copy_into_a_passed_file_is_of_bytes)
{
	struct lab lab;
	uint8_t *data = lab_bytes(6, BIG);
	struct node node;
	uint64_t at = 0;

	lab_make(&lab, NULL, LAB_LAZY);
	lab_open(&lab);
	int64_t a = lab_put(&lab, "a", data, BIG);

	lab_sync(&lab);
	struct file *in = lab_open_file(&lab, a, O_RDONLY), *out = lab_create(&lab, "b", &node);
	int fd = lab_pass(out, O_RDWR);

	while (at < BIG) {
		ssize_t n = file_copy(in, at, out, at, BIG - at);

		ck_assert_int_gt(n, 0);
		at += (uint64_t)n;
	}
	lab_same_fd(fd, data, BIG);
	close(fd);
	file_pass_end(out);
	lab_close_file(out, O_RDWR);
	file_close(in, O_RDONLY);
	lab_sync(&lab);
	lab_holds(&lab, node.ino, data, BIG);
	lab_remove(&lab);
	free(data);
}
END_TEST

/* The mapping is all that is left of the file's opening. */
START_TEST(a_draft_that_is_mapped_is_not_used_again)
{
	struct lab lab;
	uint8_t *data = lab_bytes(7, BIG), *other = lab_bytes(8, BIG);
	struct node node;
	char name[16];

	lab_make(&lab, NULL, LAB_LAZY);
	lab_open(&lab);
	struct file *f = lab_create(&lab, "a", &node);
	int fd = lab_pass(f, O_RDWR);

	ck_assert_int_eq(pwrite(fd, data, 100, 0), 100);
	close(fd);
	file_pass_end(f);
	fd = lab_pass(f, O_RDONLY);
	uint8_t *map = mmap(NULL, 100, PROT_READ, MAP_SHARED, fd, 0);

	ck_assert_ptr_ne(map, MAP_FAILED);
	close(fd);
	file_pass_end(f);
	lab_close_file(f, O_RDWR);
	lab_sync(&lab);
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		lab_put(&lab, name, other, 100);
	}
	lab_sync(&lab);
	lab_equal(map, data, 100, 0);
	munmap(map, 100);
	lab_holds(&lab, node.ino, data, 100);
	lab_remove(&lab);
	free(data);
	free(other);
}
END_TEST

START_TEST(set_id_bits_are_not_passed_to_writers)
{
	struct lab lab;
	struct node node;

	lab_make(&lab, NULL, LAB_LAZY);
	lab_open(&lab);
	struct file *f = lab_create(&lab, "a", &node);

	ck_assert(!file_is_privileged(f));
	node.mode |= S_ISUID;
	ck_assert_int_eq(tree_set(lab.lib, &lab_who, node.ino, TREE_SET_MODE, &node, &node), 0);
	ck_assert(file_is_privileged(f));
	assert_not_passed(f, true);
	lab_close_file(f, O_RDWR);
	lab_remove(&lab);
}
END_TEST

/* The second sync leaves the metadata alone; a machine that stops then finds the size all the same. */
START_TEST(data_synced_alone_is_found_after_a_crash)
{
	struct lab lab, after = { .dir_fd = -1 };
	uint8_t *data = lab_bytes(9, BIG);
	struct node node;
	char command[1200];

	lab_make(&lab, NULL, LAB_LAZY);
	lab_open(&lab);
	struct file *f = lab_create(&lab, "a", &node);

	ck_assert_int_eq(file_write(f, data, 1000, 0), 1000);
	ck_assert_int_eq(file_sync(f, true), 0);
	ck_assert_int_eq(file_write(f, data + 1000, BIG - 1000, 1000), BIG - 1000);
	ck_assert_int_eq(file_sync(f, true), 0);
	snprintf(after.path, sizeof(after.path), "%s/after", lab.dir);
	snprintf(command, sizeof(command), "cp -r '%s' '%s'", lab.path, after.path);
	ck_assert_int_eq(system(command), 0);
	lab_open(&after);
	lab_holds(&after, node.ino, data, BIG);
	lab_close(&after);
	lab_close_file(f, O_RDWR);
	lab_remove(&lab);
	free(data);
}
END_TEST
UNIT_MAIN("pass", 60, what_is_written_without_asking_is_found, whole_objects_are_passed_to_readers,
	  one_asset_at_a_time_has_a_blob, truncation_keeps_the_file,
	  a_seal_leaves_a_passed_file_whole, a_seal_in_place_waits_for_no_reader,
	  a_copy_into_a_passed_file_is_of_bytes, a_draft_that_is_mapped_is_not_used_again,
	  set_id_bits_are_not_passed_to_writers, data_synced_alone_is_found_after_a_crash)
