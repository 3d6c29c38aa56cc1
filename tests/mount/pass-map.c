/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Mappings, and what goes past every cache. */
#include "config.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pass.h"

START_TEST(mapping_sees_what_is_written)
{
	make_file("a");
	seal();
	int r = open_file("a", O_RDONLY);
	char *map = mmap(NULL, LEN, PROT_READ, MAP_SHARED, r, 0);

	ck_assert_ptr_ne(map, MAP_FAILED);
	ck_assert_int_eq(memcmp(map, bytes, LEN), 0);
	int w = open_file("a", O_RDWR);

	write_at(w, 1234567, "WRITTEN");
	ck_assert_int_eq(memcmp(map + 1234567, "WRITTEN", 7), 0);
	char *shared = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, w, 0);

	ck_assert_ptr_ne(shared, MAP_FAILED);
	memcpy(shared + 70000, "MAPPED", 6);
	ck_assert_int_eq(msync(shared, LEN, MS_SYNC), 0);
	assert_at(r, 70000, "MAPPED");
	ck_assert_int_eq(memcmp(map + 70000, "MAPPED", 6), 0);
	munmap(map, LEN);
	munmap(shared, LEN);
	close(r);
	close(w);
	seal();
	memcpy(bytes + 1234567, "WRITTEN", 7);
	memcpy(bytes + 70000, "MAPPED", 6);
	assert_file("a", bytes, LEN);
}
END_TEST

/* The last close comes before the last store. */
START_TEST(mapping_outlives_the_close)
{
	int w = open_file("a", O_CREAT | O_RDWR);

	ck_assert_int_eq(ftruncate(w, LEN), 0);
	char *map = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, w, 0);

	ck_assert_ptr_ne(map, MAP_FAILED);
	memcpy(map, bytes, LEN / 2);
	close(w);
	(void)system(getenv("PASS_SEAL"));
	memcpy(map + LEN / 2, bytes + LEN / 2, LEN - LEN / 2);
	ck_assert_int_eq(munmap(map, LEN), 0);
	seal();
	assert_file("a", bytes, LEN);
}
END_TEST

/* What a mapping shows of a file that is gone never becomes another file's bytes. */
START_TEST(mapping_outlives_the_file)
{
	char name[16];

	for (int size = 3000; size <= LEN; size *= 32) {
		int w = open_file("gone", O_CREAT | O_RDWR);

		ck_assert_int_eq(write(w, bytes, (size_t)size), size);
		char *map = mmap(NULL, (size_t)size, PROT_READ, MAP_SHARED, w, 0);

		ck_assert_ptr_ne(map, MAP_FAILED);
		close(w);
		ck_assert_int_eq(unlinkat(dir, "gone", 0), 0);
		(void)system(getenv("PASS_SEAL"));
		memset(back, 'z', LEN);
		for (int i = 0; i < 300; i++) {
			snprintf(name, sizeof name, "other%d", i);
			int o = open_file(name, O_CREAT | O_WRONLY);

			ck_assert_int_eq(write(o, back, 5000), 5000);
			close(o);
		}
		ck_assert_int_eq(memcmp(map, bytes, (size_t)size), 0);
		munmap(map, (size_t)size);
	}
}
END_TEST

START_TEST(direct_io)
{
	char *page;
	int fd;

	ck_assert_int_eq(posix_memalign((void **)&page, 4096, 65536), 0);
	memcpy(page, bytes, 65536);
	fd = open_file("a", O_CREAT | O_RDWR | O_DIRECT);
	ck_assert_int_eq(pwrite(fd, page, 65536, 0), 65536);
	assert_file("a", bytes, 65536);
	close(fd);
	seal();
	fd = open_file("a", O_RDWR | O_DIRECT);
	memset(page, 0, 65536);
	ck_assert_int_eq(pread(fd, page, 65536, 0), 65536);
	ck_assert_int_eq(memcmp(page, bytes, 65536), 0);
	memset(page, 'd', 4096);
	ck_assert_int_eq(pwrite(fd, page, 4096, 8192), 4096);
	memset(bytes + 8192, 'd', 4096);
	assert_file("a", bytes, 65536);
	close(fd);
	free(page);
}
END_TEST

const TTest *const *pass_map(size_t *count)
{
	static const TTest *cases[4];
	size_t n = 0;

	cases[n++] = mapping_sees_what_is_written;
	cases[n++] = mapping_outlives_the_close;
	cases[n++] = mapping_outlives_the_file;
	cases[n++] = direct_io;
	*count = n;
	return cases;
}
