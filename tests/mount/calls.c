/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Every call that a local disk answers, in the folder that $CALLS_DIR names: what is asked here holds on ext4 as well, so the same program run there checks
 * the test itself. One case for each call; test-calls.sh runs it on a mount, as root.
 */
#include "config.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#define BLOCK 4096

static int dir = -1; /* an empty folder for each case */
static char bytes[256 * 1024], back[256 * 1024];

static void begin(void)
{
	char name[] = "case-XXXXXX", path[4096];

	snprintf(path, sizeof path, "%s/%s", getenv("CALLS_DIR"), name);
	ck_assert_ptr_nonnull(mkdtemp(path));
	ck_assert_int_eq(chmod(path, 0777), 0);
	dir = open(path, O_RDONLY | O_DIRECTORY);
	ck_assert_int_ge(dir, 0);
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (char)(i * 31 + i / 251);
}

static void end(void)
{
	close(dir);
}

static int make(const char *name, size_t len)
{
	int fd = openat(dir, name, O_CREAT | O_RDWR | O_EXCL, 0644);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pwrite(fd, bytes, len, 0), (ssize_t)len);
	return fd;
}

static struct stat stat_of(const char *name)
{
	struct stat st;

	ck_assert_int_eq(fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW), 0);
	return st;
}

static void assert_fails(int result, int wanted)
{
	int got = errno;

	ck_assert_int_eq(result, -1);
	ck_assert_int_eq(got, wanted);
}

START_TEST(create_and_open_flags)
{
	int fd = make("a", 10);

	close(fd);
	assert_fails(openat(dir, "a", O_CREAT | O_EXCL | O_RDWR, 0644), EEXIST);
	assert_fails(openat(dir, "b", O_RDWR), ENOENT);
	assert_fails(openat(dir, "a/b", O_RDWR), ENOTDIR);
	assert_fails(openat(dir, "a", O_DIRECTORY | O_RDONLY), ENOTDIR);
	assert_fails(openat(dir, ".", O_RDWR), EISDIR);
	fd = openat(dir, "a", O_RDWR | O_TRUNC);
	ck_assert_int_eq(stat_of("a").st_size, 0);
	close(fd);
	fd = openat(dir, "a", O_WRONLY | O_APPEND);
	ck_assert_int_eq(write(fd, "12", 2), 2);
	ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
	ck_assert_int_eq(write(fd, "34", 2), 2);
	ck_assert_int_eq(stat_of("a").st_size, 4);
	close(fd);
}
END_TEST

START_TEST(links_and_symlinks)
{
	char text[4096];
	int fd = make("a", 5);

	close(fd);
	ck_assert_int_eq(linkat(dir, "a", dir, "b", 0), 0);
	ck_assert_int_eq(stat_of("b").st_nlink, 2);
	ck_assert_int_eq(stat_of("b").st_ino, stat_of("a").st_ino);
	assert_fails(linkat(dir, "a", dir, "b", 0), EEXIST);
	ck_assert_int_eq(unlinkat(dir, "a", 0), 0);
	ck_assert_int_eq(stat_of("b").st_nlink, 1);
	ck_assert_int_eq(symlinkat("no/where", dir, "s"), 0);
	ck_assert_int_eq(readlinkat(dir, "s", text, sizeof text), 8);
	ck_assert_int_eq(memcmp(text, "no/where", 8), 0);
	ck_assert(S_ISLNK(stat_of("s").st_mode));
	ck_assert_int_eq(stat_of("s").st_size, 8);
	assert_fails(openat(dir, "s", O_RDONLY), ENOENT);
	assert_fails(openat(dir, "b", O_RDONLY | O_DIRECTORY), ENOTDIR);
	ck_assert_int_eq(linkat(dir, "s", dir, "s2", 0), 0);
	ck_assert_int_eq(stat_of("s2").st_nlink, 2);
	memset(text, 'x', 4095);
	text[4095] = '\0';
	ck_assert_int_eq(symlinkat(text, dir, "long"), 0);
	ck_assert_int_eq(readlinkat(dir, "long", back, sizeof back), 4095);
}
END_TEST

START_TEST(special_files)
{
	struct stat st;
	pid_t child;
	char c;
	int fd;

	ck_assert_int_eq(mknodat(dir, "p", S_IFIFO | 0600, 0), 0);
	ck_assert_int_eq(mknodat(dir, "c", S_IFCHR | 0600, makedev(1, 3)), 0);
	ck_assert_int_eq(mknodat(dir, "d", S_IFBLK | 0600, makedev(7, 200)), 0);
	ck_assert_int_eq(mknodat(dir, "s", S_IFSOCK | 0600, 0), 0);
	ck_assert(S_ISFIFO(stat_of("p").st_mode));
	st = stat_of("c");
	ck_assert(S_ISCHR(st.st_mode));
	ck_assert_uint_eq(st.st_rdev, makedev(1, 3));
	ck_assert(S_ISBLK(stat_of("d").st_mode));
	ck_assert(S_ISSOCK(stat_of("s").st_mode));
	child = fork();
	if (child == 0) {
		fd = openat(dir, "p", O_WRONLY);
		_exit(write(fd, "x", 1) != 1);
	}
	fd = openat(dir, "p", O_RDONLY);
	ck_assert_int_eq(read(fd, &c, 1), 1);
	waitpid(child, NULL, 0);
	close(fd);
	fd = openat(dir, "c",
		    O_WRONLY); /* /dev/null by number: mounts of root have special files */
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, "x", 1), 1);
	close(fd);
}
END_TEST

START_TEST(extended_attributes)
{
	static char big[65536];
	char list[1024];
	ssize_t n;
	int fd = make("a", 1);

	memset(big, 'v', sizeof big);
	ck_assert_int_eq(fsetxattr(fd, "user.small", "abc", 3, 0), 0);
	ck_assert_int_eq(fgetxattr(fd, "user.small", list, sizeof list), 3);
	ck_assert_int_eq(fgetxattr(fd, "user.small", NULL, 0), 3);
	assert_fails((int)fgetxattr(fd, "user.small", list, 2), ERANGE);
	assert_fails(fsetxattr(fd, "user.small", "x", 1, XATTR_CREATE), EEXIST);
	assert_fails(fsetxattr(fd, "user.none", "x", 1, XATTR_REPLACE), ENODATA);
	assert_fails((int)fgetxattr(fd, "user.none", list, sizeof list), ENODATA);
	ck_assert_int_eq(fsetxattr(fd, "user.empty", "", 0, 0), 0);
	ck_assert_int_eq(fgetxattr(fd, "user.empty", list, sizeof list), 0);
	ck_assert_int_eq(fsetxattr(fd, "trusted.t", "1", 1, 0), 0);
	ck_assert_int_eq(fsetxattr(fd, "security.s", "1", 1, 0), 0);
	n = flistxattr(fd, list, sizeof list);
	ck_assert_ptr_nonnull(memmem(list, (size_t)n, "user.small\0", 11));
	ck_assert_ptr_nonnull(memmem(list, (size_t)n, "trusted.t\0", 10));
	ck_assert_int_eq(fremovexattr(fd, "user.small"), 0);
	assert_fails(fremovexattr(fd, "user.small"), ENODATA);
	if (!getenv("CALLS_NATIVE")) { /* ext4 has no room for it */
		ck_assert_int_eq(fsetxattr(fd, "user.big", big, sizeof big, 0), 0);
		ck_assert_int_eq(fgetxattr(fd, "user.big", back, sizeof back), (ssize_t)sizeof big);
		ck_assert_int_eq(memcmp(big, back, sizeof big), 0);
	}
	close(fd);
}
END_TEST

START_TEST(rename_flags)
{
	int a = make("a", 10), b = make("b", 20);

	close(a);
	close(b);
	ck_assert_int_eq(mkdirat(dir, "d", 0755), 0);
	assert_fails(renameat2(dir, "a", dir, "b", RENAME_NOREPLACE), EEXIST);
	ck_assert_int_eq(renameat2(dir, "a", dir, "c", RENAME_NOREPLACE), 0);
	ck_assert_int_eq(renameat2(dir, "c", dir, "b", RENAME_EXCHANGE), 0);
	ck_assert_int_eq(stat_of("c").st_size, 20);
	ck_assert_int_eq(stat_of("b").st_size, 10);
	ck_assert_int_eq(renameat2(dir, "c", dir, "d", RENAME_EXCHANGE), 0);
	ck_assert(S_ISDIR(stat_of("c").st_mode));
	ck_assert_int_eq(renameat(dir, "b", dir, "d"), 0);
	ck_assert_int_eq(stat_of("d").st_size, 10);
	assert_fails(renameat(dir, "c", dir, "d"), ENOTDIR);
	assert_fails(renameat(dir, "d", dir, "c"), EISDIR);
	ck_assert_int_eq(mkdirat(dir, "c/below", 0755), 0);
	assert_fails(renameat(dir, "c", dir, "c/below/x"), EINVAL);
	ck_assert_int_eq(mkdirat(dir, "e", 0755), 0);
	assert_fails(renameat(dir, "e", dir, "c"), ENOTEMPTY);
	ck_assert_int_eq(renameat(dir, "c", dir, "e"), 0);
	ck_assert_int_eq(faccessat(dir, "e/below", F_OK, 0), 0);
	assert_fails(unlinkat(dir, "e", AT_REMOVEDIR), ENOTEMPTY);
	assert_fails(unlinkat(dir, "e", 0), EISDIR);
	assert_fails(unlinkat(dir, "d", AT_REMOVEDIR), ENOTDIR);
}
END_TEST

START_TEST(temporary_file_without_a_name)
{
	char path[64];
	int fd = openat(dir, ".", O_TMPFILE | O_RDWR, 0600);

	if (fd < 0) {
		ck_assert_int_eq(errno, EOPNOTSUPP); /* FUSE has it from libfuse 3.17 on */
		return;
	}
	ck_assert_int_eq(write(fd, bytes, 100), 100);
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	ck_assert_int_eq(linkat(AT_FDCWD, path, dir, "named", AT_SYMLINK_FOLLOW), 0);
	ck_assert_int_eq(stat_of("named").st_size, 100);
	ck_assert_uint_eq(stat_of("named").st_nlink, 1);
	close(fd);
	fd = openat(dir, "named", O_RDONLY);
	ck_assert_int_eq(read(fd, back, sizeof back), 100);
	ck_assert_int_eq(memcmp(back, bytes, 100), 0);
	close(fd);
	/* One that may not be named, and one that is not: both are gone with the close. */
	fd = openat(dir, ".", O_TMPFILE | O_RDWR | O_EXCL, 0600);
	ck_assert_int_ge(fd, 0);
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	assert_fails(linkat(AT_FDCWD, path, dir, "never", AT_SYMLINK_FOLLOW), ENOENT);
	close(fd);
	fd = openat(dir, ".", O_TMPFILE | O_WRONLY, 0600);
	ck_assert_int_eq(write(fd, bytes, 100), 100);
	close(fd);
}
END_TEST

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

/* Stamps go by the tick, and two changes may have the same one: waits until it has passed that of `name`. */
static void pass_stamp(const char *name)
{
	struct timespec last = stat_of(name).st_ctim, now;

	do
		clock_gettime(CLOCK_REALTIME_COARSE, &now);
	while (now.tv_sec < last.tv_sec ||
	       (now.tv_sec == last.tv_sec && now.tv_nsec <= last.tv_nsec));
}

START_TEST(times_in_nanoseconds)
{
	const struct timespec set[2] = { { 1, 123456789 }, { -100, 987654321 } };
	const struct timespec some[2] = { { 0, UTIME_OMIT }, { 5000000000, 1 } };
	struct stat before, after;
	struct statx x;
	int fd = make("a", 1);

	before = stat_of("a");
	pass_stamp("a");
	ck_assert_int_eq(futimens(fd, set), 0);
	after = stat_of("a");
	ck_assert_int_eq(after.st_atim.tv_sec, 1);
	ck_assert_int_eq(after.st_atim.tv_nsec, 123456789);
	ck_assert_int_eq(after.st_mtim.tv_sec, -100);
	ck_assert_int_eq(after.st_mtim.tv_nsec, 987654321);
	ck_assert(after.st_ctim.tv_sec > before.st_ctim.tv_sec ||
		  after.st_ctim.tv_nsec > before.st_ctim.tv_nsec);
	ck_assert_int_eq(futimens(fd, some), 0);
	ck_assert_int_eq(statx(dir, "a", 0, STATX_BASIC_STATS, &x), 0);
	ck_assert_int_eq(x.stx_atime.tv_sec, 1);
	ck_assert_int_eq(x.stx_mtime.tv_sec, 5000000000);
	ck_assert_int_eq(x.stx_mtime.tv_nsec, 1);
	close(fd);
	ck_assert_int_eq(stat_of("a").st_mtim.tv_sec,
			 5000000000); /* the close does not change it */
}
END_TEST

START_TEST(parents_times_and_links)
{
	struct stat before = stat_of("."), after;

	pass_stamp(".");
	ck_assert_int_eq(mkdirat(dir, "d", 0755), 0);
	after = stat_of(".");
	ck_assert_int_eq(after.st_nlink, before.st_nlink + 1);
	ck_assert(after.st_mtim.tv_sec > before.st_mtim.tv_sec ||
		  after.st_mtim.tv_nsec != before.st_mtim.tv_nsec);
	ck_assert_int_eq(stat_of("d").st_nlink, 2);
	ck_assert_int_eq(unlinkat(dir, "d", AT_REMOVEDIR), 0);
	ck_assert_int_eq(stat_of(".").st_nlink, before.st_nlink);
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

START_TEST(names)
{
	char name[258];
	int fd;

	memset(name, 'n', sizeof name);
	name[255] = '\0';
	fd = make(name, 1);
	close(fd);
	ck_assert_int_eq(unlinkat(dir, name, 0), 0);
	name[255] = 'n';
	name[256] = '\0';
	assert_fails(openat(dir, name, O_CREAT | O_RDWR, 0644), ENAMETOOLONG);
	fd = make("\xff\xfe\x80 \n\t'\"\\", 1);
	close(fd);
	ck_assert_int_eq(faccessat(dir, "\xff\xfe\x80 \n\t'\"\\", F_OK, 0), 0);
	fd = make("Case", 1);
	close(fd);
	fd = make("case", 1); /* another file */
	close(fd);
	fd = make("e\xcc\x81", 1); /* decomposed and composed are two names */
	close(fd);
	fd = make("\xc3\xa9", 1);
	close(fd);
}
END_TEST

START_TEST(listing_while_it_changes)
{
	enum { COUNT = 3000 };
	static bool seen[COUNT];
	struct dirent *e;
	char name[32];
	int n = 0, kept = 0;
	DIR *d;

	for (int i = 0; i < COUNT; i++) {
		snprintf(name, sizeof name, "f%d", i);
		close(make(name, 0));
	}
	d = fdopendir(dup(dir));
	rewinddir(d);
	while ((e = readdir(d))) {
		int i;

		if (sscanf(e->d_name, "f%d", &i) != 1)
			continue;
		ck_assert(!seen[i]);
		seen[i] = true;
		n++;
		if (n % 2)
			ck_assert_int_eq(unlinkat(dir, e->d_name, 0), 0); /* as rm -r does */
	}
	ck_assert_int_eq(n, COUNT);
	rewinddir(d);
	while ((e = readdir(d)))
		kept += e->d_name[0] == 'f';
	ck_assert_int_eq(kept, COUNT / 2);
	rewinddir(d);
	for (int i = 0; i < 100; i++)
		e = readdir(d);
	snprintf(name, sizeof name, "%.31s", readdir(d)->d_name);
	rewinddir(d);
	for (int i = 0; i < 100; i++)
		e = readdir(d);
	seekdir(d, telldir(d));
	ck_assert_str_eq(readdir(d)->d_name, name);
	closedir(d);
}
END_TEST

START_TEST(owners_and_set_id_bits)
{
	int fd = make("a", 10);
	pid_t child;

	ck_assert_int_eq(fchown(fd, 1000, 1001), 0);
	ck_assert_int_eq(fchmod(fd, 06777), 0);
	ck_assert_int_eq(stat_of("a").st_mode & 07777, 06777);
	child = fork();
	if (child == 0) { /* a write by someone who is not root takes the bits away */
		int own;

		if (setgid(1002) || setuid(1002))
			_exit(2);
		own = openat(dir, "a", O_WRONLY);
		_exit(own < 0 || write(own, "x", 1) != 1);
	}
	waitpid(child, NULL, 0);
	ck_assert_int_eq(stat_of("a").st_mode & 06000, 0);
	ck_assert_int_eq(fchmod(fd, 06777), 0);
	ck_assert_int_eq(fchownat(dir, "a", 1003, (gid_t)-1, 0), 0);
	ck_assert_int_eq(stat_of("a").st_uid, 1003);
	ck_assert_int_eq(stat_of("a").st_gid, 1001);
	close(fd);
	ck_assert_int_eq(mkdirat(dir, "g", 0755), 0);
	ck_assert_int_eq(fchownat(dir, "g", 0, 1234, 0), 0);
	ck_assert_int_eq(fchmodat(dir, "g", 02755, 0), 0);
	ck_assert_int_eq(mkdirat(dir, "g/below", 0755), 0);
	ck_assert_int_eq(stat_of("g/below").st_gid, 1234);
	ck_assert(stat_of("g/below").st_mode & S_ISGID);
}
END_TEST

/* What a child without rights does to "a", which is another's, with `change`; returns the mode bits afterwards. */
static mode_t mode_after(mode_t mode, int (*change)(int fd))
{
	pid_t child;
	int status;

	ck_assert_int_eq(fchownat(dir, "a", 1000, 1001, 0), 0);
	ck_assert_int_eq(fchmodat(dir, "a", mode, 0), 0);
	child = fork();
	if (child == 0) {
		if (setgroups(0, NULL) || setgid(1002) || setuid(1002))
			_exit(2);
		_exit(change(openat(dir, "a", O_RDWR)) < 0);
	}
	waitpid(child, &status, 0);
	ck_assert_int_eq(WEXITSTATUS(status), 0);
	return stat_of("a").st_mode & 07777;
}

static int change_allocate(int fd)
{
	return fallocate(fd, 0, 0, 2 * BLOCK);
}

static int change_punch(int fd)
{
	return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, BLOCK);
}

static int change_zero(int fd)
{
	return fallocate(fd, FALLOC_FL_ZERO_RANGE, 0, BLOCK);
}

static int change_size(int fd)
{
	return ftruncate(fd, 10);
}

static int change_by_copy(int fd)
{
	off64_t from = 0, to = 0;
	int in = openat(dir, "b", O_RDONLY);

	return copy_file_range(in, &from, fd, &to, BLOCK, 0) == BLOCK ? 0 : -1;
}

/* A group's bit goes with the user's also where the group may not execute. */
START_TEST(set_id_bits_after_changes)
{
	static int (*const changes[])(int fd) = { change_allocate, change_punch, change_zero,
						  change_size, change_by_copy };

	close(make("a", 4 * BLOCK));
	close(make("b", 4 * BLOCK));
	for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
		ck_assert_int_eq(mode_after(06777, changes[i]), 0777);
		ck_assert_int_eq(mode_after(06666, changes[i]), 0666);
		ck_assert_int_eq(mode_after(02676, changes[i]), 0676);
		ck_assert_int_eq(mode_after(02666, changes[i]), 0666);
	}
}
END_TEST

static int64_t changed_at(const char *name)
{
	struct stat st = stat_of(name);

	return st.st_ctim.tv_sec * INT64_C(1000000000) + st.st_ctim.tv_nsec;
}

/* Some stamps are the kernel's and some the filesystem's; who changes one thing after another sees them in that order. */
START_TEST(times_in_the_order_of_changes)
{
	int fd = make("a", 1);
	int64_t last = changed_at("a");
	char name[32];

	for (int i = 0; i < 500; i++) {
		int64_t written, made;

		ck_assert_int_eq(pwrite(fd, "x", 1, i), 1);
		written = changed_at("a");
		ck_assert_int_ge(written, last);
		snprintf(name, sizeof name, "d%d", i);
		ck_assert_int_eq(mkdirat(dir, name, 0755), 0);
		made = changed_at(name);
		ck_assert_int_ge(made, written);
		ck_assert_int_eq(fchmod(fd, i & 1 ? 0600 : 0640), 0);
		last = changed_at("a");
		ck_assert_int_ge(last, made);
	}
	close(fd);
}
END_TEST

START_TEST(permissions_are_kept)
{
	pid_t child;
	int status, fd = make("a", 10);

	ck_assert_int_eq(fchmod(fd, 0600), 0);
	close(fd);
	ck_assert_int_eq(mkdirat(dir, "d", 0700), 0);
	child = fork();
	if (child == 0) {
		if (setgid(1002) || setuid(1002))
			_exit(2);
		_exit(openat(dir, "a", O_RDONLY) >= 0 || errno != EACCES ||
		      openat(dir, "d/x", O_CREAT | O_RDWR, 0644) >= 0 || errno != EACCES);
	}
	waitpid(child, &status, 0);
	ck_assert_int_eq(WEXITSTATUS(status), 0);
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

int main(void)
{
	const TTest *const cases[] = { create_and_open_flags,
				       links_and_symlinks,
				       special_files,
				       extended_attributes,
				       rename_flags,
				       temporary_file_without_a_name,
				       allocate_punch_and_seek,
				       truncate_down_and_up,
				       sparse_file_of_a_terabyte,
				       copy_range,
				       memory_maps,
				       direct_io,
				       locks,
				       figures_of_the_filesystem,
				       times_in_nanoseconds,
				       parents_times_and_links,
				       unlinked_but_open,
				       names,
				       listing_while_it_changes,
				       owners_and_set_id_bits,
				       set_id_bits_after_changes,
				       times_in_the_order_of_changes,
				       permissions_are_kept,
				       two_handles_see_one_file };
	TCase *tc = tcase_create("calls");
	Suite *s = suite_create("calls");
	SRunner *r;
	int failed;

	if (!getenv("CALLS_DIR")) {
		fprintf(stderr, "calls: set CALLS_DIR to the folder to be tested\n");
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
