/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Calls about names: opening, links, special files, renaming, listing. See calls.c. */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "calls.h"

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

const TTest *const *calls_names(size_t *count)
{
	static const TTest *cases[7];
	size_t n = 0;

	cases[n++] = create_and_open_flags;
	cases[n++] = links_and_symlinks;
	cases[n++] = special_files;
	cases[n++] = rename_flags;
	cases[n++] = temporary_file_without_a_name;
	cases[n++] = names;
	cases[n++] = listing_while_it_changes;
	*count = n;
	return cases;
}
