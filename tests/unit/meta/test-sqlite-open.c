/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the SQLite driver makes of files that are no library, damaged, from the future, or oddly named. */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "meta-test.h"
#include "util/cleanup.h"
#include "util/err.h"
#include "util/io.h"

static struct meta_test_place place;
static const struct meta_test_driver *const sqlite = &meta_test_drivers[0];

static int try_open(int flags)
{
	struct meta *m = NULL;
	int err = meta_open(place.path, flags, &m);

	meta_close(m);
	return err;
}

/* Puts `len` bytes at place.path. */
static void put_file(const void *bytes, size_t len)
{
	unlink(place.path);
	CLEANUP_CLOSE int fd = open(place.path, O_WRONLY | O_CREAT | O_EXCL, 0644);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(io_write_full(fd, bytes, len), 0);
}

/* The file is still these bytes, and nothing lies beside it but what a reader of SQLite's may leave. */
static void check_untouched(const void *bytes, size_t len)
{
	CLEANUP_BUF struct buf now = BUF_INIT;

	ck_assert_int_eq(io_read_file(AT_FDCWD, place.path, 1 << 24, &now), 0);
	ck_assert_uint_eq(now.len, len);
	ck_assert_int_eq(memcmp(buf_str(&now), bytes, len), 0);
}

/* Opening these bytes in each way gives the error and changes nothing. */
static void check_refused(const void *bytes, size_t len, int wanted)
{
	static const int ways[] = { 0, META_OPEN_RDONLY, META_OPEN_MIGRATE };

	put_file(bytes, len);
	for (int i = 0; i < 3; i++) {
		int err = try_open(ways[i]);

		ck_assert_msg(err == wanted, "%zu bytes, way %d: %s", len, i, err_text(err));
		check_untouched(bytes, len);
	}
	ck_assert_int_eq(try_open(META_OPEN_CREATE), -EEXIST);
	check_untouched(bytes, len);
}

/* The bytes of a sound library with a few hundred rows. */
static void sound_library(struct buf *out)
{
	struct meta *m = meta_test_open(&place, sqlite, META_OPEN_CREATE);

	for (int i = 0; i < 300; i++)
		ck_assert_int_eq(meta_test_put(m, i, "name", "value that fills the page a bit"), 0);
	meta_close(m);
	ck_assert_int_eq(io_read_file(AT_FDCWD, place.path, 1 << 24, out), 0);
	ck_assert_uint_gt(out->len, 100000);
}

START_TEST(what_is_no_database_is_refused)
{
	static const char zeros[8192];
	const char *text = "# A text that someone called garner.db.\n";

	meta_test_begin(&place, sqlite);
	check_refused("", 0, ERR_NOTLIB);
	check_refused("SQ", 2, ERR_CORRUPT);
	check_refused("x", 1, ERR_NOTLIB);
	check_refused(text, strlen(text), ERR_NOTLIB);
	check_refused(zeros, sizeof(zeros), ERR_NOTLIB);
	check_refused("SQLite format 2", 16, ERR_NOTLIB);
	unlink(place.path);
	ck_assert_int_eq(mkdir(place.path, 0755), 0);
	ck_assert_int_lt(try_open(0), 0);
	ck_assert_int_eq(try_open(META_OPEN_CREATE), -EEXIST);
	meta_test_end(&place);
}
END_TEST

START_TEST(what_is_cut_short_is_refused)
{
	CLEANUP_BUF struct buf whole = BUF_INIT;

	meta_test_begin(&place, sqlite);
	sound_library(&whole);
	const size_t lengths[] = { 2,
				   15,
				   16,
				   17,
				   50,
				   99,
				   100,
				   511,
				   512,
				   4095,
				   4096,
				   4097,
				   8192,
				   65536,
				   whole.len / 2,
				   whole.len - 4096,
				   whole.len - 4095,
				   whole.len - 1 };

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
		check_refused(whole.data, lengths[i], ERR_CORRUPT);
	put_file(whole.data, whole.len);
	ck_assert_int_eq(try_open(0), 0);
	meta_test_end(&place);
}
END_TEST

static void run_sql(const char *sql)
{
	sqlite3 *db = NULL;

	ck_assert_int_eq(sqlite3_open(place.path, &db), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	ck_assert_int_eq(sqlite3_close(db), SQLITE_OK);
}

/* What lies at place.path is refused with the error, and is not changed. */
static void check_file_refused(int wanted)
{
	CLEANUP_BUF struct buf now = BUF_INIT;

	ck_assert_int_eq(io_read_file(AT_FDCWD, place.path, 1 << 24, &now), 0);
	check_refused(now.data, now.len, wanted);
}

START_TEST(other_databases_are_refused)
{
	meta_test_begin(&place, sqlite);
	run_sql("CREATE TABLE places (url TEXT); INSERT INTO places VALUES ('x')");
	check_file_refused(ERR_NOTLIB);
	run_sql("PRAGMA application_id = 77; PRAGMA journal_mode = WAL; PRAGMA user_version = 1");
	check_file_refused(ERR_NOTLIB);
	unlink(place.path);
	meta_close(meta_test_open(&place, sqlite, META_OPEN_CREATE));
	run_sql("PRAGMA user_version = 9999");
	check_file_refused(ERR_FUTURE);
	meta_test_end(&place);
}
END_TEST

struct walk {
	int faults;
	bool told; /* that something is wrong */
};

/* Reads, checks and changes whatever opens; nothing may crash, and each answer is sound or an error. */
static void exercise(struct walk *w)
{
	struct meta *m = NULL;
	int err = meta_open(place.path, 0, &m);

	if (err) {
		w->told = true;
		return;
	}
	for (int i = 0; i < 300; i += 7) {
		int rows = meta_test_count(m, i);

		ck_assert(rows == ERR_CORRUPT || rows == 0 || rows == 1);
		w->told |= rows < 0;
	}
	meta_test_put(m, 1000, "new", "row");
	int faults = meta_check(m, meta_test_report, &w->faults);

	w->told |= faults != 0;
	ck_assert_int_ge(w->faults, faults < 0 ? 0 : faults);
	meta_close(m);
}

START_TEST(damaged_pages_are_told)
{
	CLEANUP_BUF struct buf whole = BUF_INIT;
	CLEANUP_FREE unsigned char *bytes = NULL;
	int told = 0, pages;

	meta_test_begin(&place, sqlite);
	sound_library(&whole);
	bytes = malloc(whole.len);
	ck_assert_ptr_nonnull(bytes);
	pages = (int)(whole.len / 4096);
	for (int page = 1; page < pages; page++) {
		struct walk w = { .told = false };

		memcpy(bytes, whole.data, whole.len);
		memset(bytes + page * 4096, 0xa5, 4096);
		put_file(bytes, whole.len);
		exercise(&w);
		told += w.told;
	}
	ck_assert_int_eq(told, pages - 1);
	meta_test_end(&place);
}
END_TEST

START_TEST(damaged_bytes_do_not_crash)
{
	CLEANUP_BUF struct buf whole = BUF_INIT;
	unsigned seed = 4711;

	meta_test_begin(&place, sqlite);
	sound_library(&whole);
	for (int round = 0; round < 150; round++) {
		CLEANUP_FREE char *bytes = malloc(whole.len);
		struct walk w = { .told = false };

		ck_assert_ptr_nonnull(bytes);
		memcpy(bytes, whole.data, whole.len);
		for (int i = 0; i < 1 << (round % 8); i++)
			bytes[(size_t)rand_r(&seed) % whole.len] = (char)rand_r(&seed);
		put_file(bytes, whole.len);
		struct meta *m = NULL;

		if (meta_open(place.path, META_OPEN_RDONLY, &m) == 0) {
			for (int i = 0; i < 300; i += 50)
				meta_test_count(m, i);
			meta_check(m, meta_test_report, &w.faults);
		}
		meta_close(m);
	}
	meta_test_end(&place);
}
END_TEST

/* A library under this path relative to the folder, opened, left by chdir, and still read. */
static void check_name(const char *name)
{
	struct meta *m = NULL;

	ck_assert_int_eq(fchdir(place.folder_fd), 0);
	ck_assert_msg(meta_open(name, META_OPEN_CREATE, &m) == 0, "cannot make %s", name);
	struct stat st;

	ck_assert_msg(fstatat(place.folder_fd, name, &st, 0) == 0, "not there: %s", name);
	ck_assert_int_eq(meta_test_put(m, 1, "a", ""), 0);
	ck_assert_int_eq(chdir("/"), 0);
	ck_assert_int_eq(meta_test_count(m, 1), 1);
	meta_close(m);
	ck_assert_int_eq(fchdir(place.folder_fd), 0);
	ck_assert_int_eq(meta_open(name, META_OPEN_RDONLY, &m), 0);
	ck_assert_int_eq(meta_test_count(m, 1), 1);
	meta_close(m);
	ck_assert_int_eq(chdir("/"), 0);
}

START_TEST(odd_names_are_names)
{
	static const char *const names[] = { "plain.db", "a b?c#d%20.db", "file:x.db",
					     ":memory:", "\xff\xfe.db",   "quote'\".db",
					     "-dash" };

	meta_test_begin(&place, sqlite);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		check_name(names[i]);
	/* Through a symbolic link the log lies beside the file, not beside the link. */
	ck_assert_int_eq(symlinkat("plain.db", place.folder_fd, "link.db"), 0);
	ck_assert_int_eq(fchdir(place.folder_fd), 0);
	struct meta *m = NULL;

	ck_assert_int_eq(meta_open("link.db", 0, &m), 0);
	ck_assert_int_eq(meta_test_put(m, 2, "a", ""), 0);
	ck_assert_int_eq(access("plain.db-wal", F_OK), 0);
	ck_assert_int_ne(access("link.db-wal", F_OK), 0);
	meta_close(m);
	ck_assert_int_eq(chdir("/"), 0);
	meta_test_end(&place);
}
END_TEST

/* Once told to: a process of its own must not inherit what SQLite knows of locks. */
static int open_and_close_when_told(void *arg)
{
	int *told = arg;
	struct meta *m = NULL;
	char byte;

	if (io_read_full(told[0], &byte, 1) != 1)
		return 1;
	int err = meta_open(place.path, 0, &m);

	meta_close(m);
	return err ? 1 : 0;
}

/* The last process to close removes the log; one that believes so wrongly shows that our locks are gone. */
START_TEST(opening_twice_keeps_the_locks)
{
	char log[160];
	struct stat before, after;
	int told[2];

	meta_test_begin(&place, sqlite);
	ck_assert_int_eq(pipe(told), 0);
	pid_t child = meta_test_fork(open_and_close_when_told, told);
	struct meta *m = meta_test_open(&place, sqlite, META_OPEN_CREATE);

	ck_assert_int_eq(meta_test_put(m, 1, "a", ""), 0);
	snprintf(log, sizeof(log), "%s-wal", place.path);
	ck_assert_int_eq(stat(log, &before), 0);
	ck_assert_int_eq(try_open(0), 0);
	ck_assert_int_eq(try_open(META_OPEN_RDONLY), 0);
	ck_assert_int_eq(try_open(META_OPEN_CREATE), -EEXIST);
	ck_assert_int_eq(io_write_full(told[1], "", 1), 0);
	ck_assert_int_eq(meta_test_wait(child), 0);
	ck_assert_int_eq(stat(log, &after), 0);
	ck_assert_uint_eq(before.st_ino, after.st_ino);
	ck_assert_int_ge(after.st_size, before.st_size);
	meta_close(m);
	ck_assert_int_ne(access(log, F_OK), 0);
	meta_test_end(&place);
}
END_TEST

static int names_in(const char *folder)
{
	DIR *dir = opendir(folder);
	int count = 0;

	ck_assert_ptr_nonnull(dir);
	while (readdir(dir))
		count++;
	closedir(dir);
	return count - 2;
}

static void look(int flags)
{
	struct meta *m = meta_test_open(&place, sqlite, flags);

	ck_assert_int_eq(meta_test_count(m, 1), 1);
	meta_close(m);
}

static int put_and_die(void *arg)
{
	struct meta *m = NULL;

	(void)arg;
	if (meta_open(place.path, 0, &m) || meta_test_put(m, 1, "b", ""))
		return 1;
	raise(SIGKILL);
	return 1;
}

START_TEST(reading_leaves_the_folder_as_it_was)
{
	char log[160];
	struct stat before, after;

	meta_test_begin(&place, sqlite);
	struct meta *m = meta_test_open(&place, sqlite, META_OPEN_CREATE);

	ck_assert_int_eq(meta_test_put(m, 1, "a", ""), 0);
	meta_close(m);
	ck_assert_int_eq(names_in(place.folder), 1);
	ck_assert_int_eq(stat(place.path, &before), 0);
	look(META_OPEN_RDONLY);
	ck_assert_int_eq(names_in(place.folder), 1);
	ck_assert_int_eq(stat(place.path, &after), 0);
	ck_assert_int_eq(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
	/* What a crash left in the log is read and left there. */
	ck_assert_int_eq(meta_test_wait(meta_test_fork(put_and_die, NULL)), -1);
	snprintf(log, sizeof(log), "%s-wal", place.path);
	ck_assert_int_eq(stat(log, &before), 0);
	ck_assert_int_gt(before.st_size, 32);
	m = meta_test_open(&place, sqlite, META_OPEN_RDONLY);
	ck_assert_int_eq(meta_test_count(m, 1), 2);
	meta_close(m);
	ck_assert_int_eq(stat(log, &after), 0);
	ck_assert_int_eq(before.st_size, after.st_size);
	meta_test_end(&place);
}
END_TEST

static int create_once(void *arg)
{
	struct meta *m = NULL;
	int err = meta_open(arg, META_OPEN_CREATE, &m);

	if (!err)
		pause();
	return 1;
}

/* Killed at any moment, a library is there and whole, or not there. */
START_TEST(a_killed_create_leaves_all_or_nothing)
{
	int there = 0, absent = 0;

	meta_test_begin(&place, sqlite);
	for (int round = 0; round < 40; round++) {
		pid_t child = meta_test_fork(create_once, place.path);
		struct timespec nap = { .tv_nsec = round * 500000 };

		nanosleep(&nap, NULL);
		ck_assert_int_eq(kill(child, SIGKILL), 0);
		ck_assert_int_eq(meta_test_wait(child), -1);
		int err = try_open(0);

		ck_assert(err == 0 || err == -ENOENT);
		there += err == 0;
		absent += err == -ENOENT;
		unlink(place.path);
	}
	ck_assert_int_gt(absent, 0);
	ck_assert_int_eq(there + absent, 40);
	/* What they left behind does not get in the way. */
	ck_assert_int_eq(try_open(META_OPEN_CREATE), 0);
	meta_test_end(&place);
}
END_TEST

UNIT_MAIN("sqlite-open", 120, what_is_no_database_is_refused, what_is_cut_short_is_refused,
	  other_databases_are_refused, damaged_pages_are_told, damaged_bytes_do_not_crash,
	  odd_names_are_names, opening_twice_keeps_the_locks, reading_leaves_the_folder_as_it_was,
	  a_killed_create_leaves_all_or_nothing)
