/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Several handles and mappings on one asset at once, whichever way its bytes go (src/fuse/mount-way.c has the table): what one writes all others see, and what was
 * kept elsewhere, in a copy or another asset with the same bytes, does not change with it. In the folder $PASS_DIR of a mount; the command $PASS_SEAL seals what is
 * closed. What is asked here holds on a disk as well.
 */
#include "config.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define LEN (3 * 1024 * 1024)

static char bytes[LEN], back[LEN];
static int dir = -1;

static void begin(void)
{
	char path[4096];
	unsigned x = (unsigned)getpid();

	snprintf(path, sizeof path, "%s/case-XXXXXX", getenv("PASS_DIR"));
	ck_assert_ptr_nonnull(mkdtemp(path));
	dir = open(path, O_RDONLY | O_DIRECTORY);
	ck_assert_int_ge(dir, 0);
	for (size_t i = 0; i < LEN; i++) {
		x = x * 1103515245 + 12345;
		bytes[i] = (char)(x >> 16);
	}
}

static void end(void)
{
	close(dir);
}

static void seal(void)
{
	ck_assert_int_eq(system(getenv("PASS_SEAL")), 0);
}

static int open_file(const char *name, int flags)
{
	int fd = openat(dir, name, flags, 0644);

	ck_assert_msg(fd >= 0, "%s: %s", name, strerror(errno));
	return fd;
}

/* A file with all of `bytes`, closed. */
static void make_file(const char *name)
{
	int fd = open_file(name, O_CREAT | O_EXCL | O_WRONLY);

	ck_assert_int_eq(write(fd, bytes, LEN), LEN);
	ck_assert_int_eq(close(fd), 0);
}

static void assert_bytes(int fd, const char *wanted, size_t len)
{
	ck_assert_int_eq(pread(fd, back, LEN, 0), (ssize_t)len);
	ck_assert_int_eq(memcmp(back, wanted, len), 0);
}

static void assert_file(const char *name, const char *wanted, size_t len)
{
	int fd = open_file(name, O_RDONLY);

	assert_bytes(fd, wanted, len);
	close(fd);
}

static void assert_at(int fd, off_t off, const char *text)
{
	size_t len = strlen(text);

	ck_assert_int_eq(pread(fd, back, len, off), (ssize_t)len);
	ck_assert_int_eq(memcmp(back, text, len), 0);
}

static void write_at(int fd, off_t off, const char *text)
{
	ck_assert_int_eq(pwrite(fd, text, strlen(text), off), (ssize_t)strlen(text));
}

static off_t size_of(int fd)
{
	struct stat st;

	ck_assert_int_eq(fstat(fd, &st), 0);
	return st.st_size;
}

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

START_TEST(times_follow_the_writes)
{
	struct timespec past[2] = { { .tv_sec = 1000000000 }, { .tv_sec = 1000000000 } };
	struct stat st;
	int w = open_file("a", O_CREAT | O_WRONLY);

	write_at(w, 0, "one");
	ck_assert_int_eq(futimens(w, past), 0);
	ck_assert_int_eq(fstat(w, &st), 0);
	ck_assert_int_eq(st.st_mtim.tv_sec, 1000000000);
	close(w);
	seal();
	ck_assert_int_eq(fstatat(dir, "a", &st, 0), 0);
	ck_assert_int_eq(st.st_mtim.tv_sec, 1000000000);
	w = open_file("a", O_WRONLY | O_TRUNC);
	ck_assert_int_eq(futimens(w, past), 0);
	write_at(w, 0, "two");
	ck_assert_int_eq(fstat(w, &st), 0);
	ck_assert_int_gt(st.st_mtim.tv_sec, 1000000000);
	ck_assert_int_eq(st.st_size, 3);
	close(w);
	ck_assert_int_eq(fstatat(dir, "a", &st, 0), 0);
	ck_assert_int_gt(st.st_mtim.tv_sec, 1000000000);
}
END_TEST

/* As `uid`, opens the file, waits until it has set-id bits, and writes into it. */
static void write_as(uid_t uid, const char *name)
{
	int opened[2], go[2], status;
	char byte = 0;
	pid_t pid;

	ck_assert_int_eq(pipe(opened), 0);
	ck_assert_int_eq(pipe(go), 0);
	pid = fork();
	if (pid == 0) {
		int fd = setuid(uid) ? -1 : openat(dir, name, O_WRONLY);

		_exit(fd < 0 || write(opened[1], &byte, 1) != 1 || read(go[0], &byte, 1) != 1 ||
		      pwrite(fd, "x", 1, 0) != 1);
	}
	ck_assert_int_eq(read(opened[0], &byte, 1), 1);
	ck_assert_int_eq(fchmodat(dir, name, 06777, 0), 0);
	ck_assert_int_eq(write(go[1], &byte, 1), 1);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	close(opened[0]);
	close(opened[1]);
	close(go[0]);
	close(go[1]);
}

START_TEST(privileges_go_with_a_strangers_write)
{
	struct stat st;
	int fd;

	make_file("a");
	ck_assert_int_eq(fchmodat(dir, "a", 06777, 0), 0);
	ck_assert_int_eq(fchmod(dir, 0777), 0);
	write_as(1234, "a");
	ck_assert_int_eq(fstatat(dir, "a", &st, 0), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0777);
	/* The bits come while it is open. */
	fd = open_file("a", O_RDONLY);
	ck_assert_int_eq(fchmodat(dir, "a", 06777, 0), 0);
	ck_assert_int_eq(fchownat(dir, "a", 1234, 1234, 0), 0);
	ck_assert_int_eq(fstatat(dir, "a", &st, 0), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0777);
	close(fd);
}
END_TEST

/* Of what is no file too, but of no folder. */
START_TEST(privileges_go_with_the_owner)
{
	struct stat st;

	ck_assert_int_eq(mknodat(dir, "pipe", S_IFIFO | 0600, 0), 0);
	ck_assert_int_eq(fchmodat(dir, "pipe", 06777, 0), 0);
	ck_assert_int_eq(fchownat(dir, "pipe", 1234, 1234, 0), 0);
	ck_assert_int_eq(fstatat(dir, "pipe", &st, 0), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0777);
	ck_assert_int_eq(mkdirat(dir, "folder", 0700), 0);
	ck_assert_int_eq(fchmodat(dir, "folder", 06777, 0), 0);
	ck_assert_int_eq(fchownat(dir, "folder", 1234, 1234, 0), 0);
	ck_assert_int_eq(fstatat(dir, "folder", &st, 0), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 06777);
}
END_TEST

int main(void)
{
	const TTest *const cases[] = { writer_and_reader_of_a_new_file,
				       two_that_append,
				       edit_while_a_reader_has_it,
				       edit_beside_others_with_the_same_bytes,
				       emptied_while_a_reader_has_it,
				       truncated_by_name_while_a_reader_has_it,
				       mapping_sees_what_is_written,
				       mapping_outlives_the_close,
				       mapping_outlives_the_file,
				       direct_io,
				       hard_links_are_one,
				       unlinked_and_open,
				       copied_into_an_open_file,
				       times_follow_the_writes,
				       privileges_go_with_a_strangers_write,
				       privileges_go_with_the_owner };
	TCase *tc = tcase_create("pass");
	Suite *s = suite_create("pass");
	SRunner *r;
	int failed;

	if (!getenv("PASS_DIR") || !getenv("PASS_SEAL")) {
		fprintf(stderr, "pass: set PASS_DIR to the folder, PASS_SEAL to a command\n");
		return 2;
	}
	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, begin, end);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		tcase_add_test(tc, cases[i]);
	suite_add_tcase(s, tc);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
