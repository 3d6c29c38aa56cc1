/* SPDX-License-Identifier: GPL-3.0-or-later */
/* agent/import.h: what is hard to bring about from outside. Whole trees, kills and moves are tested in tests/mount/test-import.sh. */
#include "config.h"

#include "../library/tree-unit.h"
#include "agent/import.h"
#include "library/acl.h"
#include "library/file.h"

#include <sys/stat.h>
#include <sys/xattr.h>

enum { MIDDLE = 200000 };

/*
 * The file whose reading changes it, for so many reads; and failures of removing names to come. Both happen on the threads of an import, where check's
 * assertions must not be used: they leave a case by longjmp().
 */
static struct {
	ino_t ino;
	char path[160];
	int changes;
} changing;
static int unlink_failures;

ssize_t __real_pread(int fd, void *buf, size_t len, off_t off);
ssize_t __wrap_pread(int fd, void *buf, size_t len, off_t off);
int __real_unlinkat(int fd, const char *name, int flags);
int __wrap_unlinkat(int fd, const char *name, int flags);

ssize_t __wrap_pread(int fd, void *buf, size_t len, off_t off)
{
	ssize_t got = __real_pread(fd, buf, len, off);
	struct stat st;

	if (changing.changes && !fstat(fd, &st) && st.st_ino == changing.ino) {
		int out = open(changing.path, O_WRONLY | O_APPEND);

		changing.changes--;
		if (out < 0 || write(out, "more", 4) != 4)
			abort();
		close(out);
	}
	return got;
}

int __wrap_unlinkat(int fd, const char *name, int flags)
{
	if (unlink_failures && !strncmp(name, "file", 4)) {
		unlink_failures--;
		errno = EPERM;
		return -1;
	}
	return __real_unlinkat(fd, name, flags);
}

struct import_unit {
	struct tree_unit t;
	char source[96];
	int told;
	char why[256];
	int stop;
	struct import_stats stats;
};

static void unit_tell(void *arg, bool failed, const char *path, const char *why)
{
	struct import_unit *u = arg;

	(void)failed;
	if (!path)
		abort();
	u->told++;
	snprintf(u->why, sizeof(u->why), "%s", why);
}

static int unit_progress(void *arg, const struct import_stats *now)
{
	(void)now;
	return ((struct import_unit *)arg)->stop;
}

static void unit_begin(struct import_unit *u)
{
	memset(u, 0, sizeof(*u));
	changing.changes = unlink_failures = 0;
	tree_unit_begin(&u->t, NULL);
	ck_assert_int_eq(library_start(u->t.lib), 0);
	snprintf(u->source, sizeof(u->source), "%s/source", u->t.dir);
	ck_assert_int_eq(mkdir(u->source, 0755), 0);
}

static int unit_import(struct import_unit *u, bool move)
{
	struct import_options o = {
		.into = TREE_ROOT,
		.who = u->t.who,
		.move = move,
		.jobs = 2,
		.tell = unit_tell,
		.progress = unit_progress,
		.arg = u,
	};
	char *sources[] = { u->source };

	u->told = 0;
	return import_run(u->t.lib, &o, sources, 1, &u->stats);
}

/* Makes a file of `len` bytes that all are `byte`. */
static void unit_file(struct import_unit *u, const char *name, int byte, size_t len)
{
	char path[256], *data = malloc(len + 1);

	memset(data, byte, len);
	snprintf(path, sizeof(path), "%s/%s", u->source, name);
	ck_assert_int_eq(io_write_file(AT_FDCWD, path, data, len, 0644), 0);
	free(data);
}

static struct node unit_find(struct import_unit *u, const char *path)
{
	struct node n = { 0 };
	int err = tree_resolve(u->t.lib, path, &n);

	ck_assert(!err || err == -ENOENT);
	return n;
}

/* That the asset at `path` has `len` bytes that all are `byte`, but for `tail` at its end. */
static void unit_is(struct import_unit *u, const char *path, int byte, size_t len, const char *tail)
{
	struct node n = unit_find(u, path);
	size_t size = len + strlen(tail);
	char *want = malloc(size + 1), *got = malloc(size + 1);
	struct file *f = NULL;

	memset(want, byte, len);
	memcpy(want + len, tail, strlen(tail));
	ck_assert_int_eq(n.kind, NODE_ASSET);
	ck_assert_uint_eq(n.size, size);
	ck_assert_int_eq(file_open(u->t.lib, &u->t.who, n.ino, O_RDONLY, &f), 0);
	ck_assert_int_eq(file_read(f, got, size + 1, 0), (ssize_t)size);
	ck_assert(!memcmp(want, got, size));
	file_close(f, O_RDONLY);
	free(want);
	free(got);
}

static void unit_changing(struct import_unit *u, const char *name, int changes)
{
	struct stat st;

	snprintf(changing.path, sizeof(changing.path), "%s/%s", u->source, name);
	ck_assert_int_eq(stat(changing.path, &st), 0);
	changing.ino = st.st_ino;
	changing.changes = changes;
}

START_TEST(a_file_that_changes_once_is_read_again)
{
	struct import_unit u;

	unit_begin(&u);
	unit_file(&u, "small", 'a', 100);
	unit_file(&u, "quiet", 'b', 100);
	unit_changing(&u, "small", 1);
	ck_assert_int_eq(unit_import(&u, false), 0);
	ck_assert_int_eq(u.told, 0);
	ck_assert_uint_eq(u.stats.added, 2);
	unit_is(&u, "/source/small", 'a', 100, "more");
	unit_is(&u, "/source/quiet", 'b', 100, "");
	tree_unit_end(&u.t);
}
END_TEST

START_TEST(a_file_that_goes_on_changing_fails)
{
	struct import_unit u;

	unit_begin(&u);
	unit_file(&u, "small", 'a', 100);
	unit_file(&u, "quiet", 'b', 100);
	unit_changing(&u, "small", 1000);
	ck_assert_int_eq(unit_import(&u, false), 0);
	ck_assert_int_eq(u.told, 1);
	ck_assert_uint_eq(u.stats.failed, 1);
	ck_assert_ptr_nonnull(strstr(u.why, "changes while it is read"));
	ck_assert_int_eq(unit_find(&u, "/source/small").ino, 0);
	unit_is(&u, "/source/quiet", 'b', 100, "");
	tree_unit_end(&u.t);
}
END_TEST

START_TEST(other_content_is_a_new_version)
{
	struct import_unit u;
	struct node first, second;

	unit_begin(&u);
	unit_file(&u, "file", 'a', MIDDLE);
	ck_assert_int_eq(unit_import(&u, false), 0);
	first = unit_find(&u, "/source/file");
	unit_file(&u, "file", 'b', MIDDLE + 1);
	ck_assert_int_eq(unit_import(&u, false), 0);
	second = unit_find(&u, "/source/file");
	ck_assert_int_eq(first.ino, second.ino);
	ck_assert_mem_eq(first.asset_id, second.asset_id, 16);
	ck_assert_int_eq(second.version, first.version + 1);
	ck_assert_uint_eq(u.stats.changed, 1);
	unit_is(&u, "/source/file", 'b', MIDDLE + 1, "");
	tree_unit_end(&u.t);
}
END_TEST

/* The same bytes with another time are no new version. */
START_TEST(another_time_alone_is_no_version)
{
	struct import_unit u;
	struct timespec times[2] = { { 5, 6 }, { 7, 8 } };
	struct node first, second;
	char path[128];

	unit_begin(&u);
	unit_file(&u, "file", 'a', MIDDLE);
	ck_assert_int_eq(unit_import(&u, false), 0);
	first = unit_find(&u, "/source/file");
	snprintf(path, sizeof(path), "%s/file", u.source);
	ck_assert_int_eq(utimensat(AT_FDCWD, path, times, 0), 0);
	ck_assert_int_eq(unit_import(&u, false), 0);
	second = unit_find(&u, "/source/file");
	ck_assert_int_eq(second.object, first.object);
	ck_assert_int_eq(second.mtime_ns, 7 * TIME_NS_PER_S + 8);
	ck_assert_int_eq(second.atime_ns, 5 * TIME_NS_PER_S + 6);
	tree_unit_end(&u.t);
}
END_TEST

START_TEST(an_asset_that_is_being_written_is_left_alone)
{
	struct import_unit u;
	struct file *f = NULL;
	struct node n;

	unit_begin(&u);
	unit_file(&u, "file", 'a', 100);
	ck_assert_int_eq(unit_import(&u, false), 0);
	n = unit_find(&u, "/source/file");
	ck_assert_int_eq(file_open(u.t.lib, &u.t.who, n.ino, O_RDWR, &f), 0);
	ck_assert_int_eq(file_write(f, "mine", 4, 0), 4);
	unit_file(&u, "file", 'b', 200);
	ck_assert_int_eq(unit_import(&u, false), 0);
	ck_assert_uint_eq(u.stats.failed, 1);
	ck_assert_ptr_nonnull(strstr(u.why, "in use"));
	file_close(f, O_RDWR);
	tree_unit_end(&u.t);
}
END_TEST

/* The first name cannot be given, so the second brings the file. */
START_TEST(a_link_whose_first_name_fails_is_imported)
{
	struct import_unit u;
	char from[128], to[128];
	int64_t folder;

	unit_begin(&u);
	folder = tree_unit_folder(&u.t, TREE_ROOT, "source");
	tree_unit_folder(&u.t, folder, "a");
	tree_unit_folder(&u.t, folder, "c");
	unit_file(&u, "a", 'a', 100);
	for (const char *name = "bcd"; *name; name++) {
		snprintf(from, sizeof(from), "%s/a", u.source);
		snprintf(to, sizeof(to), "%s/%c", u.source, *name);
		ck_assert_int_eq(link(from, to), 0);
	}
	ck_assert_int_eq(unit_import(&u, false), 0);
	ck_assert_uint_eq(u.stats.failed, 2);
	ck_assert_uint_eq(u.stats.added, 1);
	ck_assert_uint_eq(u.stats.linked, 1);
	unit_is(&u, "/source/b", 'a', 100, "");
	ck_assert_int_eq(unit_find(&u, "/source/b").ino, unit_find(&u, "/source/d").ino);
	ck_assert_int_eq(unit_find(&u, "/source/b").nlink, 2);
	tree_unit_end(&u.t);
}
END_TEST

START_TEST(kinds_that_differ_are_replaced_but_for_folders)
{
	struct import_unit u;
	char path[128];
	int64_t folder;

	unit_begin(&u);
	folder = tree_unit_folder(&u.t, TREE_ROOT, "source");
	tree_unit_asset(&u.t, folder, "link");
	tree_unit_asset(&u.t, folder, "folder");
	tree_unit_make(&u.t, folder, "file", S_IFLNK | 0777);
	unit_file(&u, "file", 'a', 100);
	snprintf(path, sizeof(path), "%s/link", u.source);
	ck_assert_int_eq(symlink("elsewhere", path), 0);
	snprintf(path, sizeof(path), "%s/folder", u.source);
	ck_assert_int_eq(mkdir(path, 0755), 0);
	ck_assert_int_eq(unit_import(&u, false), 0);
	ck_assert_uint_eq(u.stats.failed, 1);
	unit_is(&u, "/source/file", 'a', 100, "");
	ck_assert_int_eq(unit_find(&u, "/source/link").kind, NODE_SYMLINK);
	ck_assert_int_eq(unit_find(&u, "/source/folder").kind, NODE_ASSET);
	tree_unit_end(&u.t);
}
END_TEST

START_TEST(tags_of_the_library_survive_another_version)
{
	CLEANUP_BUF struct buf value = BUF_INIT;
	struct import_unit u;
	struct node n;
	char path[128];

	unit_begin(&u);
	unit_file(&u, "file", 'a', 100);
	ck_assert_int_eq(unit_import(&u, false), 0);
	n = unit_find(&u, "/source/file");
	ck_assert_int_eq(tree_xattr_set(u.t.lib, &u.t.who, n.ino, "user.tag", "kept", 4, 0), 0);
	unit_file(&u, "file", 'b', 200);
	snprintf(path, sizeof(path), "%s/file", u.source);
	ck_assert_int_eq(setxattr(path, "user.source", "new", 3, 0), 0);
	ck_assert_int_eq(unit_import(&u, false), 0);
	ck_assert_int_eq(tree_xattr_get(u.t.lib, n.ino, "user.tag", &value), 0);
	ck_assert_str_eq(buf_str(&value), "kept");
	buf_reset(&value);
	ck_assert_int_eq(tree_xattr_get(u.t.lib, n.ino, "user.source", &value), 0);
	ck_assert_str_eq(buf_str(&value), "new");
	tree_unit_end(&u.t);
}
END_TEST

/* The name of an adopted file cannot be removed: the library takes a copy after all. */
START_TEST(a_source_that_stays_is_not_shared)
{
	struct import_unit u;
	struct stat st;
	char path[128];
	int fd;

	unit_begin(&u);
	unit_file(&u, "file", 'a', MIDDLE);
	unlink_failures = 2;
	ck_assert_int_eq(unit_import(&u, true), 0);
	unlink_failures = 0;
	ck_assert_uint_eq(u.stats.failed, 1);
	snprintf(path, sizeof(path), "%s/file", u.source);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_nlink, 1);
	ck_assert_uint_eq(st.st_mode & 0777, 0644);
	fd = open(path, O_WRONLY);
	ck_assert_int_eq(write(fd, "other", 5), 5);
	close(fd);
	unit_is(&u, "/source/file", 'a', MIDDLE, "");
	tree_unit_end(&u.t);
}
END_TEST

START_TEST(a_source_with_a_writer_is_not_moved)
{
	struct import_unit u;
	char path[128];
	int fd;

	unit_begin(&u);
	unit_file(&u, "file", 'a', MIDDLE);
	snprintf(path, sizeof(path), "%s/file", u.source);
	fd = open(path, O_WRONLY);
	ck_assert_int_eq(unit_import(&u, true), 0);
	ck_assert_uint_eq(u.stats.failed, 1);
	ck_assert_int_eq(access(path, F_OK), 0);
	close(fd);
	ck_assert_int_eq(unit_import(&u, true), 0);
	ck_assert_uint_eq(u.stats.failed, 0);
	ck_assert_int_eq(access(u.source, F_OK), -1);
	unit_is(&u, "/source/file", 'a', MIDDLE, "");
	tree_unit_end(&u.t);
}
END_TEST

/* What is in the library has the same size and time, but not the same bytes. */
START_TEST(a_move_compares_before_it_removes)
{
	struct import_unit u;
	struct timespec times[2] = { { 5, 6 }, { 7, 8 } };
	char path[128];

	unit_begin(&u);
	snprintf(path, sizeof(path), "%s/file", u.source);
	unit_file(&u, "file", 'a', MIDDLE);
	ck_assert_int_eq(utimensat(AT_FDCWD, path, times, 0), 0);
	ck_assert_int_eq(unit_import(&u, false), 0);
	unit_file(&u, "file", 'b', MIDDLE);
	ck_assert_int_eq(utimensat(AT_FDCWD, path, times, 0), 0);
	ck_assert_int_eq(unit_import(&u, true), 0);
	ck_assert_int_eq(access(path, F_OK), -1);
	unit_is(&u, "/source/file", 'b', MIDDLE, "");
	tree_unit_end(&u.t);
}
END_TEST

START_TEST(a_run_that_is_stopped_says_so)
{
	struct import_unit u;

	unit_begin(&u);
	for (int i = 0; i < 200; i++) {
		char name[16];

		snprintf(name, sizeof(name), "file-%d", i);
		unit_file(&u, name, i, MIDDLE);
	}
	u.stop = 1;
	ck_assert_int_eq(unit_import(&u, false), -ECANCELED);
	u.stop = 0;
	ck_assert_int_eq(unit_import(&u, false), 0);
	unit_is(&u, "/source/file-199", 199, MIDDLE, "");
	tree_unit_end(&u.t);
}
END_TEST

UNIT_MAIN("import", 60, a_file_that_changes_once_is_read_again, a_file_that_goes_on_changing_fails,
	  other_content_is_a_new_version, another_time_alone_is_no_version,
	  an_asset_that_is_being_written_is_left_alone, a_link_whose_first_name_fails_is_imported,
	  kinds_that_differ_are_replaced_but_for_folders,
	  tags_of_the_library_survive_another_version, a_source_that_stays_is_not_shared,
	  a_source_with_a_writer_is_not_moved, a_move_compares_before_it_removes,
	  a_run_that_is_stopped_says_so)
