/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Readers, writers and editors of one asset at once, its names, and copies into it. */
#include "config.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pass.h"

START_TEST(writer_and_reader_of_a_new_file)
{
	int w = open_file("a", O_CREAT | O_WRONLY), r = open_file("a", O_RDONLY);

	write_at(w, 0, "one");
	assert_at(r, 0, "one");
	write_at(w, 100000, "two");
	assert_at(r, 100000, "two");
	ck_assert_int_eq(size_of(r), 100003);
	ck_assert_int_eq(ftruncate(w, 2), 0);
	ck_assert_int_eq(size_of(r), 2);
	ck_assert_int_eq(pread(r, back, 10, 0), 2);
	close(w);
	seal();
	assert_at(r, 0, "on");
	close(r);
	seal();
	assert_file("a", "on", 2);
}
END_TEST

START_TEST(two_that_append)
{
	int a = open_file("a", O_CREAT | O_WRONLY | O_APPEND),
	    b = open_file("a", O_WRONLY | O_APPEND);

	for (int i = 0; i < 100; i++) {
		ck_assert_int_eq(write(a, "aaaa", 4), 4);
		ck_assert_int_eq(write(b, "bbbb", 4), 4);
	}
	ck_assert_int_eq(size_of(a), 800);
	int r = open_file("a", O_RDONLY);

	for (int i = 0; i < 100; i++)
		assert_at(r, i * 8, "aaaabbbb");
	close(r);
	close(a);
	close(b);
}
END_TEST

START_TEST(edit_while_a_reader_has_it)
{
	make_file("a");
	seal();
	int r = open_file("a", O_RDONLY);

	assert_bytes(r, bytes, LEN);
	int w = open_file("a", O_RDWR);

	write_at(w, 1000000, "EDITED");
	assert_at(r, 1000000, "EDITED");
	write_at(w, LEN, "MORE");
	assert_at(r, LEN, "MORE");
	ck_assert_int_eq(size_of(r), LEN + 4);
	close(w);
	seal();
	assert_at(r, 1000000, "EDITED");
	close(r);
	seal();
	memcpy(bytes + 1000000, "EDITED", 6);
	r = open_file("a", O_RDONLY);
	ck_assert_int_eq(pread(r, back, LEN, 0), LEN);
	ck_assert_int_eq(memcmp(back, bytes, LEN), 0);
	close(r);
}
END_TEST

/* The same bytes three times: each has its own life. */
START_TEST(edit_beside_others_with_the_same_bytes)
{
	make_file("a");
	make_file("b");
	make_file("c");
	seal();
	int ra = open_file("a", O_RDONLY), rb = open_file("b", O_RDONLY),
	    rc = open_file("c", O_RDONLY);

	assert_at(ra, 0, "");
	char *map = mmap(NULL, LEN, PROT_READ, MAP_SHARED, rb, 0);

	ck_assert_ptr_ne(map, MAP_FAILED);
	int wa = open_file("a", O_WRONLY), wc = open_file("c", O_WRONLY);

	write_at(wa, 0, "AAAA");
	write_at(wc, 0, "CCCC");
	write_at(wa, 2000000, "AAAA");
	assert_at(ra, 0, "AAAA");
	assert_at(ra, 2000000, "AAAA");
	assert_at(rc, 0, "CCCC");
	assert_bytes(rb, bytes, LEN);
	ck_assert_int_eq(memcmp(map, bytes, LEN), 0);
	close(wa);
	close(wc);
	close(ra);
	close(rc);
	seal();
	assert_bytes(rb, bytes, LEN);
	ck_assert_int_eq(memcmp(map, bytes, LEN), 0);
	munmap(map, LEN);
	close(rb);
	seal();
	assert_file("b", bytes, LEN);
	memcpy(bytes, "CCCC", 4);
	assert_file("c", bytes, LEN);
	memcpy(bytes, "AAAA", 4);
	memcpy(bytes + 2000000, "AAAA", 4);
	assert_file("a", bytes, LEN);
}
END_TEST

START_TEST(emptied_while_a_reader_has_it)
{
	make_file("a");
	seal();
	int r = open_file("a", O_RDONLY);

	assert_at(r, 0, "");
	int w = open_file("a", O_WRONLY | O_TRUNC);

	ck_assert_int_eq(size_of(r), 0);
	ck_assert_int_eq(pread(r, back, 10, 0), 0);
	write_at(w, 0, "new");
	assert_at(r, 0, "new");
	ck_assert_int_eq(size_of(r), 3);
	close(w);
	close(r);
	seal();
	assert_file("a", "new", 3);
}
END_TEST

START_TEST(truncated_by_name_while_a_reader_has_it)
{
	char path[64];

	make_file("a");
	seal();
	int r = open_file("a", O_RDONLY);

	snprintf(path, sizeof path, "/proc/self/fd/%d/a", dir);
	ck_assert_int_eq(truncate(path, 5000), 0);
	ck_assert_int_eq(size_of(r), 5000);
	ck_assert_int_eq(pread(r, back, LEN, 0), 5000);
	ck_assert_int_eq(memcmp(back, bytes, 5000), 0);
	close(r);
	seal();
	assert_file("a", bytes, 5000);
}
END_TEST

START_TEST(hard_links_are_one)
{
	make_file("a");
	ck_assert_int_eq(linkat(dir, "a", dir, "b", 0), 0);
	seal();
	int r = open_file("a", O_RDONLY), w = open_file("b", O_WRONLY);

	write_at(w, 4096, "LINKED");
	assert_at(r, 4096, "LINKED");
	ck_assert_int_eq(unlinkat(dir, "b", 0), 0);
	write_at(w, 9000, "STILL");
	assert_at(r, 9000, "STILL");
	close(w);
	close(r);
}
END_TEST

START_TEST(unlinked_and_open)
{
	make_file("a");
	seal();
	int r = open_file("a", O_RDONLY), w = open_file("a", O_RDWR);

	ck_assert_int_eq(unlinkat(dir, "a", 0), 0);
	write_at(w, 0, "GONE");
	assert_at(r, 0, "GONE");
	seal();
	assert_at(r, 0, "GONE");
	close(w);
	assert_at(r, 0, "GONE");
	ck_assert_int_eq(pread(r, back, LEN, 0), LEN);
	ck_assert_int_eq(memcmp(back + 4, bytes + 4, LEN - 4), 0);
	close(r);
}
END_TEST

START_TEST(copied_into_an_open_file)
{
	loff_t from = 0, to = 0;

	make_file("a");
	seal();
	int w = open_file("b", O_CREAT | O_RDWR);

	write_at(w, 0, "head");
	int r = open_file("a", O_RDONLY);

	while (to < LEN)
		ck_assert_int_gt(copy_file_range(r, &from, w, &to, (size_t)(LEN - to), 0), 0);
	assert_bytes(w, bytes, LEN);
	write_at(w, 100, "own");
	assert_at(w, 100, "own");
	assert_bytes(r, bytes, LEN);
	close(r);
	close(w);
	seal();
	assert_file("a", bytes, LEN);
	memcpy(bytes + 100, "own", 3);
	assert_file("b", bytes, LEN);
}
END_TEST

const TTest *const *pass_edit(size_t *count)
{
	static const TTest *cases[9];
	size_t n = 0;

	cases[n++] = writer_and_reader_of_a_new_file;
	cases[n++] = two_that_append;
	cases[n++] = edit_while_a_reader_has_it;
	cases[n++] = edit_beside_others_with_the_same_bytes;
	cases[n++] = emptied_while_a_reader_has_it;
	cases[n++] = truncated_by_name_while_a_reader_has_it;
	cases[n++] = hard_links_are_one;
	cases[n++] = unlinked_and_open;
	cases[n++] = copied_into_an_open_file;
	*count = n;
	return cases;
}
