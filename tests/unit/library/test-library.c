/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Making, opening, closing a library; its settings. */
#include "config.h"

#include "tree-unit.h"
#include "util/err.h"

#include <dirent.h>
#include <sched.h>
#include <sqlite3.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

static int write_text(const char *dir, const char *name, const char *text)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return io_write_file(AT_FDCWD, path, text, strlen(text), 0644);
}

/* Entries of a folder, without the files that SQLite keeps beside a database while it is open. */
static int count_entries(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	int count = 0;

	ck_assert_ptr_nonnull(dir);
	while ((entry = readdir(dir)))
		count += strncmp(entry->d_name, "garner.db-", 10) != 0;
	closedir(dir);
	return count - 2;
}

START_TEST(init_gives_a_root)
{
	struct tree_unit u;
	struct node root;

	tree_unit_begin(&u, NULL);
	root = tree_unit_get(&u, TREE_ROOT);
	ck_assert_int_eq(root.kind, NODE_FOLDER);
	ck_assert_int_eq(root.nlink, 2);
	ck_assert_uint_eq(root.mode, 0755);
	ck_assert_int_eq(u.lib->settings.retention_ns, 30 * 24 * 3600 * TIME_NS_PER_S);
	ck_assert_int_eq(u.lib->settings.seal_delay_ns, TIME_NS_PER_S);
	ck_assert_int_eq(u.lib->settings.sync_every_ns, 5 * TIME_NS_PER_S);
	ck_assert_int_ge(u.lib->settings.jobs, 1);
	ck_assert_int_eq(u.lib->algo, HASH_SHA256);
	ck_assert_uint_eq(u.lib->chunker.avg, 4 * 1048576);
	tree_unit_end(&u);
}
END_TEST

START_TEST(init_keeps_the_parameters)
{
	struct library_params params = {
		.chunker = { CHUNKER_FIXED, 65536, 65536, 65536 }, .uid = 7, .gid = 8, .mode = 0700
	};
	struct library *lib;
	struct node root;
	char dir[64], path[96];
	uint8_t id[16];
	int fd = unit_make_dir(dir);

	snprintf(path, sizeof(path), "%s/l", dir);
	ck_assert_int_eq(library_init(path, &params), 0);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(library_open(path, 0, &lib), 0);
		ck_assert_int_eq(lib->chunker.kind, CHUNKER_FIXED);
		ck_assert_uint_eq(lib->chunker.max, 65536);
		ck_assert_int_eq(tree_get(lib, TREE_ROOT, &root), 0);
		ck_assert_uint_eq(root.uid, 7);
		ck_assert_uint_eq(root.gid, 8);
		ck_assert_uint_eq(root.mode, 0700);
		if (i)
			ck_assert_mem_eq(id, lib->id, sizeof(id));
		memcpy(id, lib->id, sizeof(id));
		library_close(lib);
	}
	unit_remove_dir(dir, fd);
}
END_TEST

START_TEST(init_refuses)
{
	struct library_params params = { 0 };
	char dir[64], path[96], below[128];
	int fd = unit_make_dir(dir);

	snprintf(path, sizeof(path), "%s/l", dir);
	snprintf(below, sizeof(below), "%s/no/such", dir);
	ck_assert_int_eq(library_init(below, &params), -ENOENT);
	params.chunker = (struct chunker_params){ CHUNKER_FASTCDC, 5, 3, 1 };
	ck_assert_int_eq(library_init(path, &params), -EINVAL);
	ck_assert_int_eq(access(path, F_OK), -1);
	params.chunker.kind = 0;
	ck_assert_int_eq(mkdir(path, 0755), 0);
	ck_assert_int_eq(write_text(path, "stray", "x"), 0);
	ck_assert_int_eq(library_init(path, &params), -ENOTEMPTY);
	ck_assert_int_eq(count_entries(path), 1);
	ck_assert_int_eq(unlinkat(AT_FDCWD, path, AT_REMOVEDIR), -1);
	snprintf(below, sizeof(below), "%s/stray", path);
	ck_assert_int_eq(unlink(below), 0);
	ck_assert_int_eq(library_init(path, &params), 0);
	ck_assert_int_eq(library_init(path, &params), -EEXIST);
	ck_assert_int_eq(
		library_init(below, &params),
		0); /* a library may lie in another's folder: it is a folder like any other */
	snprintf(below, sizeof(below), "%s/file", dir);
	ck_assert_int_eq(write_text(dir, "file", "x"), 0);
	ck_assert_int_eq(library_init(below, &params), -ENOTDIR);
	unit_remove_dir(dir, fd);
}
END_TEST

START_TEST(open_says_what_is_wrong)
{
	struct library *lib = NULL;
	struct tree_unit u;
	char path[128], db[128];
	sqlite3 *sql;

	tree_unit_begin(&u, NULL);
	library_close(u.lib);
	snprintf(path, sizeof(path), "%s/none", u.dir);
	ck_assert_int_eq(library_open(path, 0, &lib), -ENOENT);
	ck_assert_int_eq(library_open(u.dir, 0, &lib), ERR_NOTLIB);
	snprintf(path, sizeof(path), "%s/config", u.path);
	ck_assert_int_eq(library_open(path, 0, &lib), -ENOTDIR);
	ck_assert_int_eq(write_text(u.path, "config", "[trash]\nretention = soon\n"), 0);
	ck_assert_int_eq(library_open(u.path, 0, &lib), -EINVAL);
	ck_assert_int_eq(write_text(u.path, "config", "[trash]\nretension = 3d\n"), 0);
	ck_assert_int_eq(library_open(u.path, 0, &lib), -EINVAL);
	ck_assert_int_eq(unlink(path), 0);
	tree_unit_open(&u);
	library_close(u.lib);
	snprintf(db, sizeof(db), "%s/garner.db", u.path);
	ck_assert_int_eq(sqlite3_open(db, &sql), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(sql, "PRAGMA user_version = 999", NULL, NULL, NULL),
			 SQLITE_OK);
	sqlite3_close(sql);
	ck_assert_int_eq(library_open(u.path, 0, &lib), ERR_FUTURE);
	ck_assert_int_eq(truncate(db, 5000), 0);
	ck_assert_int_eq(library_open(u.path, 0, &lib), ERR_CORRUPT);
	ck_assert_int_eq(write_text(u.path, "garner.db",
				    "this is a letter to my aunt, and quite a long one\n"),
			 0);
	ck_assert_int_eq(library_open(u.path, 0, &lib), ERR_NOTLIB);
	ck_assert_ptr_null(lib);
	unit_remove_dir(u.dir, u.fd);
}
END_TEST

START_TEST(settings_are_read)
{
	struct tree_unit u;

	tree_unit_begin(
		&u, "[trash]\nretention = 0\n[seal]\ndelay = 250ms\njobs = 3\n[log]\nsync = 1m\n");
	ck_assert_int_eq(u.lib->settings.retention_ns, 0);
	ck_assert_int_eq(u.lib->settings.seal_delay_ns, 250 * TIME_NS_PER_MS);
	ck_assert_int_eq(u.lib->settings.jobs, 3);
	ck_assert_int_eq(u.lib->settings.sync_every_ns, 60 * TIME_NS_PER_S);
	tree_unit_end(&u);
}
END_TEST

START_TEST(one_mount_at_a_time)
{
	struct library *lib = NULL, *other = NULL;
	struct tree_unit u;

	tree_unit_begin(&u, NULL);
	ck_assert_int_eq(library_open(u.path, LIBRARY_MOUNT, &lib), 0);
	ck_assert_int_eq(library_open(u.path, LIBRARY_MOUNT, &other), ERR_LOCKED);
	ck_assert_int_eq(library_open(u.path, LIBRARY_MOUNT | LIBRARY_RDONLY, &other), ERR_LOCKED);
	library_close(lib);
	ck_assert_int_eq(library_open(u.path, LIBRARY_MOUNT, &lib), 0);
	library_close(lib);
	tree_unit_end(&u);
}
END_TEST

START_TEST(read_only_writes_nothing)
{
	struct tree_unit u;
	struct node node;
	int entries;

	tree_unit_begin(&u, NULL);
	tree_unit_folder(&u, TREE_ROOT, "kept");
	library_close(u.lib);
	entries = count_entries(u.path);
	ck_assert_int_eq(library_open(u.path, LIBRARY_RDONLY, &u.lib), 0);
	ck_assert_int_eq(tree_lookup(u.lib, TREE_ROOT, "kept", 4, &node), 0);
	ck_assert_int_eq(tree_unit_try(&u, TREE_ROOT, "new", S_IFDIR | 0755, NULL), -EROFS);
	ck_assert_int_eq(tree_unit_rmdir(&u, TREE_ROOT, "kept"), -EROFS);
	ck_assert_int_eq(tree_set(u.lib, &u.who, node.ino, TREE_SET_MODE, &node, NULL), -EROFS);
	library_close(u.lib);
	ck_assert_int_eq(count_entries(u.path), entries);
	tree_unit_open(&u);
	tree_unit_end(&u);
}
END_TEST

static int count_rows(void *arg, const struct meta_row *row)
{
	(void)row;
	++*(int *)arg;
	return 0;
}

static int open_instances(struct library *lib)
{
	int count = 0;

	ck_assert_int_ge(meta_query(lib->meta, META_INSTANCE_OPEN, 0, NULL, count_rows, &count), 0);
	return count;
}

START_TEST(instances_of_the_dead_end)
{
	struct library *lib;
	struct tree_unit u;
	int status;
	pid_t pid;

	tree_unit_begin(&u, NULL);
	library_close(u.lib);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (!pid)
		_exit(library_open(u.path, 0, &lib) ? 1 : 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(library_open(u.path, LIBRARY_RDONLY, &lib), 0);
	ck_assert_int_eq(open_instances(lib), 1);
	library_close(lib);
	tree_unit_open(&u);
	ck_assert_int_eq(open_instances(u.lib), 1);
	ck_assert_int_eq(library_open(u.path, 0, &lib), 0);
	ck_assert_int_eq(open_instances(lib), 2);
	library_close(lib);
	ck_assert_int_eq(open_instances(u.lib), 1);
	tree_unit_end(&u);
}
END_TEST

/* What is left of an attempt on a disk of this size: a whole library, or nothing. */
static bool init_on_disk_of(const char *dir, int kib)
{
	struct library_params params = { .mode = 0755 };
	struct library *lib;
	char path[96], size[32];

	snprintf(path, sizeof(path), "%s/library", dir);
	snprintf(size, sizeof(size), "size=%dk", kib);
	ck_assert_int_eq(mount("tmpfs", dir, "tmpfs", 0, size), 0);
	int err = library_init(path, &params);

	if (err) {
		ck_assert_int_eq(err, -ENOSPC);
		ck_assert_int_eq(count_entries(dir), 0);
	} else {
		ck_assert_int_eq(library_open(path, LIBRARY_RDONLY, &lib), 0);
		ck_assert_int_eq(tree_check(lib, tree_unit_fault, NULL), 0);
		library_close(lib);
		ck_assert_int_eq(count_entries(path), 3);
	}
	ck_assert_int_eq(umount2(dir, MNT_DETACH), 0);
	return !err;
}

START_TEST(init_on_a_full_disk_is_all_or_nothing)
{
	int made = 0, refused = 0;
	char dir[64];
	int fd = unit_make_dir(dir);

	ck_assert_int_eq(unshare(CLONE_NEWNS), 0);
	ck_assert_int_eq(mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL), 0);
	for (int kib = 64; made < 20; kib += 4) {
		if (init_on_disk_of(dir, kib))
			made++;
		else
			refused++;
	}
	ck_assert_int_gt(refused, 20);
	unit_remove_dir(dir, fd);
}
END_TEST

UNIT_MAIN("library", 60, init_gives_a_root, init_keeps_the_parameters, init_refuses,
	  open_says_what_is_wrong, settings_are_read, one_mount_at_a_time, read_only_writes_nothing,
	  instances_of_the_dead_end, init_on_a_full_disk_is_all_or_nothing)
