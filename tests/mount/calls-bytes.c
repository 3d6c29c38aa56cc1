/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Calls about bytes: holes, sizes, copies, mappings, locks; files that are open. See calls.c. */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "calls.h"

START_TEST(allocate_punch_and_seek)
{
	int fd = make("a", sizeof bytes);
	off_t hole;

	ck_assert_int_eq(fallocate(fd, 0, 0, 2 * sizeof bytes), 0);
	ck_assert_int_eq(stat_of("a").st_size, 2 * sizeof bytes);
	ck_assert_int_eq(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 4 * sizeof bytes), 0);
	ck_assert_int_eq(stat_of("a").st_size, 2 * sizeof bytes);
	ck_assert_int_eq(
		fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, BLOCK, 4 * BLOCK), 0);
	ck_assert_int_eq(pread(fd, back, sizeof back, 0), sizeof back);
	memset(bytes + BLOCK, 0, 4 * BLOCK);
	ck_assert_int_eq(memcmp(bytes, back, sizeof back), 0);
	ck_assert_int_eq(fallocate(fd, FALLOC_FL_ZERO_RANGE, 10 * BLOCK, BLOCK), 0);
	ck_assert_int_eq(pread(fd, back, BLOCK, 10 * BLOCK), BLOCK);
	for (int i = 0; i < BLOCK; i++)
		ck_assert_int_eq(back[i], 0);
	ck_assert_int_eq(lseek(fd, 0, SEEK_DATA), 0);
	hole = lseek(fd, 0, SEEK_HOLE);
	ck_assert_int_eq(hole, BLOCK);
	ck_assert_int_eq(lseek(fd, hole, SEEK_DATA), 5 * BLOCK);
	assert_fails((int)lseek(fd, 4 * sizeof bytes, SEEK_DATA), ENXIO);
	assert_fails(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, BLOCK), EOPNOTSUPP);
	close(fd);
}
END_TEST

START_TEST(truncate_down_and_up)
{
	int fd = make("a", 10000);

	ck_assert_int_eq(ftruncate(fd, 5000), 0);
	ck_assert_int_eq(ftruncate(fd, 20000), 0);
	ck_assert_int_eq(pread(fd, back, sizeof back, 0), 20000);
	ck_assert_int_eq(memcmp(back, bytes, 5000), 0);
	for (int i = 5000; i < 20000; i++)
		ck_assert_int_eq(back[i], 0);
	close(fd);
	fd = openat(dir, "a", O_RDONLY);
	assert_fails(ftruncate(fd, 1), EINVAL);
	close(fd);
}
END_TEST

START_TEST(sparse_file_of_a_terabyte)
{
	const off_t far = (off_t)1 << 40;
	int fd = make("a", BLOCK);

	ck_assert_int_eq(pwrite(fd, "end", 3, far), 3);
	ck_assert_int_eq(fsync(fd), 0);
	ck_assert_int_eq(stat_of("a").st_size, far + 3);
	ck_assert_int_lt(stat_of("a").st_blocks, 4096);
	ck_assert_int_eq(lseek(fd, BLOCK, SEEK_DATA), far & ~(off_t)(BLOCK - 1));
	ck_assert_int_eq(pread(fd, back, 100, far / 2), 100);
	ck_assert_int_eq(back[50], 0);
	close(fd);
}
END_TEST

START_TEST(copy_range)
{
	int a = make("a", sizeof bytes), b = make("b", 0);
	off_t in = 0, out = BLOCK;

	while (in < (off_t)sizeof bytes)
		ck_assert_int_gt(copy_file_range(a, &in, b, &out, sizeof bytes - (size_t)in, 0), 0);
	ck_assert_int_eq(stat_of("b").st_size, sizeof bytes + BLOCK);
	ck_assert_int_eq(pread(b, back, sizeof bytes, BLOCK), sizeof bytes);
	ck_assert_int_eq(memcmp(back, bytes, sizeof bytes), 0);
	in = 0;
	out = 100;
	assert_fails((int)copy_file_range(a, &in, a, &out, 1000, 0), EINVAL);
	in = sizeof bytes;
	ck_assert_int_eq(copy_file_range(a, &in, b, &out, 1000, 0), 0);
	close(a);
	close(b);
}
END_TEST

START_TEST(memory_maps)
{
	int fd = make("a", 3 * BLOCK);
	char *shared = mmap(NULL, 3 * BLOCK, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	char *private = mmap(NULL, 3 * BLOCK, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);

	ck_assert_ptr_ne(shared, MAP_FAILED);
	ck_assert_ptr_ne(private, MAP_FAILED);
	ck_assert_int_eq(memcmp(shared, bytes, 3 * BLOCK), 0);
	shared[BLOCK + 1] = 'S';
	ck_assert_int_eq(pread(fd, back, 1, BLOCK + 1), 1);
	ck_assert_int_eq(back[0], 'S');
	ck_assert_int_eq(pwrite(fd, "W", 1, 2 * BLOCK), 1);
	ck_assert_int_eq(shared[2 * BLOCK], 'W');
	private[0] = 'P';
	ck_assert_int_eq(pread(fd, back, 1, 0), 1);
	ck_assert_int_eq(back[0], bytes[0]);
	close(fd);
	shared[0] = 'L'; /* after the close: the mapping keeps the file */
	ck_assert_int_eq(msync(shared, 3 * BLOCK, MS_SYNC), 0);
	munmap(private, 3 * BLOCK);
	munmap(shared, 3 * BLOCK);
	fd = openat(dir, "a", O_RDONLY);
	ck_assert_int_eq(pread(fd, back, 1, 0), 1);
	ck_assert_int_eq(back[0], 'L');
	close(fd);
}
END_TEST

START_TEST(direct_io)
{
	int fd = make("a", 8 * BLOCK), direct;
	void *buf = NULL;

	ck_assert_int_eq(posix_memalign(&buf, BLOCK, 2 * BLOCK), 0);
	direct = openat(dir, "a", O_RDWR | O_DIRECT);
	ck_assert_int_ge(direct, 0);
	ck_assert_int_eq(pread(direct, buf, 2 * BLOCK, BLOCK), 2 * BLOCK);
	ck_assert_int_eq(memcmp(buf, bytes + BLOCK, 2 * BLOCK), 0);
	memset(buf, 'D', 2 * BLOCK);
	ck_assert_int_eq(pwrite(direct, buf, 2 * BLOCK, 4 * BLOCK), 2 * BLOCK);
	ck_assert_int_eq(pread(fd, back, BLOCK, 5 * BLOCK),
			 BLOCK); /* the buffered handle sees it */
	ck_assert_int_eq(back[7], 'D');
	free(buf);
	close(direct);
	close(fd);
}
END_TEST

static int lock_in_child(bool posix, short type)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		int fd = openat(dir, "a", O_RDWR);
		struct flock l = {
			.l_type = type, .l_whence = SEEK_SET, .l_start = 10, .l_len = 10
		};
		int how = type == F_WRLCK ? LOCK_EX : LOCK_SH;
		int bad = posix ? fcntl(fd, F_SETLK, &l) : flock(fd, how | LOCK_NB);

		_exit(bad ? 1 : 0);
	}
	waitpid(child, &status, 0);
	return WEXITSTATUS(status);
}

START_TEST(locks)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 15 };
	int fd = make("a", 100);

	ck_assert_int_eq(flock(fd, LOCK_SH), 0);
	ck_assert_int_eq(lock_in_child(false, F_RDLCK), 0);
	ck_assert_int_eq(lock_in_child(false, F_WRLCK), 1);
	ck_assert_int_eq(flock(fd, LOCK_UN), 0);
	ck_assert_int_eq(fcntl(fd, F_SETLK, &l), 0);
	ck_assert_int_eq(lock_in_child(true, F_RDLCK), 1);
	l.l_len = 10;
	l.l_type = F_UNLCK;
	l.l_start = 10;
	ck_assert_int_eq(fcntl(fd, F_SETLK, &l), 0);
	ck_assert_int_eq(lock_in_child(true, F_WRLCK), 0);
	close(fd);
}
END_TEST

START_TEST(figures_of_the_filesystem)
{
	struct statvfs v;

	ck_assert_int_eq(fstatvfs(dir, &v), 0);
	ck_assert_uint_eq(v.f_namemax, 255);
	ck_assert_uint_gt(v.f_blocks, 0);
	ck_assert_uint_ge(v.f_blocks, v.f_bfree);
	ck_assert_uint_gt(v.f_bsize, 0);
}
END_TEST

START_TEST(unlinked_but_open)
{
	int fd = make("a", 1000);
	struct stat st;

	ck_assert_int_eq(unlinkat(dir, "a", 0), 0);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_int_eq(st.st_nlink, 0);
	ck_assert_int_eq(pwrite(fd, "more", 4, 5000), 4);
	ck_assert_int_eq(pread(fd, back, sizeof back, 0), 5004);
	ck_assert_int_eq(memcmp(back, bytes, 1000), 0);
	ck_assert_int_eq(fsync(fd), 0);
	ck_assert_int_eq(fchmod(fd, 0600), 0);
	close(fd);
	ck_assert_int_eq(mkdirat(dir, "d", 0755), 0);
	fd = openat(dir, "d", O_RDONLY | O_DIRECTORY);
	ck_assert_int_eq(unlinkat(dir, "d", AT_REMOVEDIR), 0);
	ck_assert_int_eq(fstat(fd, &st), 0);
	assert_fails(openat(fd, "x", O_CREAT | O_RDWR, 0644), ENOENT);
	close(fd);
}
END_TEST

START_TEST(two_handles_see_one_file)
{
	int w = make("a", 0), r = openat(dir, "a", O_RDONLY);

	for (int i = 0; i < 100; i++) {
		ck_assert_int_eq(pwrite(w, bytes + i * 700, 700, i * 700), 700);
		ck_assert_int_eq(pread(r, back, 700, i * 700), 700);
		ck_assert_int_eq(memcmp(bytes + i * 700, back, 700), 0);
	}
	ck_assert_int_eq(fdatasync(w), 0);
	close(w);
	ck_assert_int_eq(pread(r, back, sizeof back, 0), 70000);
	close(r);
}
END_TEST

const TTest *const *calls_bytes(size_t *count)
{
	static const TTest *cases[10];
	size_t n = 0;

	cases[n++] = allocate_punch_and_seek;
	cases[n++] = truncate_down_and_up;
	cases[n++] = sparse_file_of_a_terabyte;
	cases[n++] = copy_range;
	cases[n++] = memory_maps;
	cases[n++] = direct_io;
	cases[n++] = locks;
	cases[n++] = figures_of_the_filesystem;
	cases[n++] = unlinked_but_open;
	cases[n++] = two_handles_see_one_file;
	*count = n;
	return cases;
}
