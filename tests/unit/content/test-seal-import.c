/* SPDX-License-Identifier: GPL-3.0-or-later */
/* seal_import(), and sealing under pressure: two processes at once, a full disk. */
#include "config.h"

#include "util/cleanup.h"
#include "world.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>

enum { LEN = 200000 };

/* Each child seals the same contents, in the same order, with small ones and large ones. */
static void race_child(const char *dir, int start_fd)
{
	struct world w = { .dir_fd = -1 };
	struct asset a;
	char go;

	snprintf(w.dir, sizeof(w.dir), "%s", dir);
	snprintf(w.db, sizeof(w.db), "%s/garner.db", dir);
	snprintf(w.store, sizeof(w.store), "%s/blobs", dir);
	w.params = (struct content_params){ WORLD_SMALL, HASH_SHA256, 512,  65536,
					    { 0 },       false,       false };
	world_enter(&w, 0);
	ck_assert_int_eq(read(start_fd, &go, 1), 0);
	for (uint64_t i = 0; i < 40; i++) {
		size_t len = i % 2 ? 400 : 20000;
		uint8_t *data = stream_new(100 + i, len);
		struct asset *list[] = { &a };
		int err, tries = 0;

		asset_new(&w, &a);
		draft_put(a.draft, data, len, 0);
		do {
			err = assets_seal(&w, list, 1, NULL);
		} while (err == -EAGAIN && ++tries < 10);
		ck_assert_int_eq(err, 0);
		asset_is(&w, &a, data, len);
		free(data);
	}
	world_leave(&w);
}

START_TEST(two_processes_may_seal_the_same_content)
{
	struct world w;
	pid_t children[2];
	int gate[2];

	world_open(&w);
	world_leave(&w);
	ck_assert_int_eq(pipe(gate), 0);
	for (int i = 0; i < 2; i++) {
		children[i] = fork();
		ck_assert_int_ge(children[i], 0);
		if (!children[i]) {
			close(gate[1]);
			race_child(w.dir, gate[0]);
			_exit(0);
		}
	}
	close(gate[0]);
	close(gate[1]);
	for (int i = 0; i < 2; i++) {
		int status;

		ck_assert_int_eq(waitpid(children[i], &status, 0), children[i]);
		ck_assert_int_eq(status, 0);
	}
	world_enter(&w, 0);
	size_t chunks = world_check(&w);
	/* What the slower one wrote is given back. */
	struct collect_stats stats = world_collect(&w, 1000, 0, 7);

	ck_assert_uint_eq(stats.objects, 0);
	ck_assert_uint_eq(world_check(&w), chunks);
	world_close(&w);
}
END_TEST

struct import {
	const uint8_t *data;
	size_t len, reads, fail_at;
	const uint64_t (*holes)[2];
	size_t hole_count;
};

static ssize_t import_read(void *arg, void *buf, size_t len, uint64_t off)
{
	struct import *im = arg;

	if (++im->reads == im->fail_at)
		return -EIO;
	if (off >= im->len)
		return 0;
	for (size_t i = 0; i < im->hole_count; i++)
		ck_assert(off + len <= im->holes[i][0] || off >= im->holes[i][0] + im->holes[i][1]);
	if (len > im->len - off)
		len = im->len - off;
	memcpy(buf, im->data + off, len);
	return (ssize_t)len;
}

static int import_one(struct world *w, struct import *im, uint64_t size, struct seal **out)
{
	struct seal_source src = { .read = import_read,
				   .arg = im,
				   .size = size,
				   .holes = im->holes,
				   .hole_count = im->hole_count };

	return seal_import(w->content, &src, 1, NULL, NULL, out);
}

/* Gives asset `a` the import's object. */
static void import_commit(struct world *w, struct asset *a, struct seal *s)
{
	struct meta_op *op = meta_op_new();

	asset_new(w, a);
	ck_assert_int_eq(asset_add_seal(a, s, 0, op), 0);
	draft_add_release(a->draft, op);
	ck_assert_int_eq(meta_apply(w->meta, op), 0);
	meta_op_free(op);
	a->size = seal_stats(s, 0)->size;
	draft_recycle(w->content, &a->draft);
	seal_finish(s, 0, NULL);
	seal_free(s);
	asset_load(w, a);
}

START_TEST(imports_write_only_what_is_new)
{
	struct world w;
	struct asset a, b, c;
	uint8_t *data = stream_new(14, LEN);
	struct import im = { .data = data, .len = LEN };
	struct seal *s = NULL;

	world_open(&w);
	ck_assert_int_eq(import_one(&w, &im, LEN, &s), 0);
	ck_assert_uint_eq(seal_stats(s, 0)->new_bytes, LEN);
	import_commit(&w, &a, s);
	asset_is(&w, &a, data, LEN);
	/* The same object as a draft makes of the same bytes. */
	ck_assert_uint_eq(asset_of(&w, &b, data, LEN).new_chunks, 0);
	ck_assert_int_eq(b.object, a.object);
	uint64_t before = world_bytes(&w);

	im.reads = 0;
	ck_assert_int_eq(import_one(&w, &im, LEN, &s), 0);
	ck_assert_uint_eq(seal_stats(s, 0)->new_bytes, 0);
	import_commit(&w, &c, s);
	ck_assert_int_eq(c.object, a.object);
	ck_assert_uint_eq(world_bytes(&w), before);
	world_check(&w);
	free(data);
	world_close(&w);
}
END_TEST

START_TEST(small_imports_go_into_the_bundle)
{
	struct world w;
	struct asset a;
	struct import im = { .data = (const uint8_t *)"small content", .len = 13 };
	struct seal *s = NULL;

	world_open(&w);
	ck_assert_int_eq(import_one(&w, &im, 13, &s), 0);
	import_commit(&w, &a, s);
	asset_is(&w, &a, im.data, 13);
	world_check(&w);
	world_close(&w);
}
END_TEST

START_TEST(the_holes_of_an_import_are_not_read)
{
	struct world w;
	struct asset a;
	static const uint64_t holes[][2] = { { 10000, 50000 }, { 70000, 100 } };
	static const uint64_t bad[][2] = { { 10000, 50000 }, { 5000, 100 } };
	uint8_t *data = stream_new(15, LEN);
	struct import im = { .data = data, .len = LEN, .holes = holes, .hole_count = 2 };
	struct seal *s = NULL;

	memset(data + 10000, 0, 50000);
	memset(data + 70000, 0, 100);
	world_open(&w);
	ck_assert_int_eq(import_one(&w, &im, LEN, &s), 0);
	ck_assert_uint_eq(seal_stats(s, 0)->data, LEN - 50000);
	import_commit(&w, &a, s);
	asset_is(&w, &a, data, LEN);
	im.holes = bad;
	ck_assert_int_eq(import_one(&w, &im, LEN, &s), -EINVAL);
	world_check(&w);
	free(data);
	world_close(&w);
}
END_TEST

START_TEST(an_import_that_fails_leaves_nothing)
{
	struct world w;
	struct asset a;
	uint8_t *data = stream_new(16, LEN);
	struct seal *s = NULL;

	world_open(&w);
	for (size_t at = 1; at < 20; at++) {
		struct import im = { .data = data, .len = LEN, .fail_at = at };

		ck_assert_int_eq(import_one(&w, &im, LEN, &s), -EIO);
		ck_assert_ptr_null(s);
	}
	struct import cut = { .data = data, .len = LEN / 2 };

	ck_assert_int_eq(import_one(&w, &cut, LEN, &s), -ECANCELED);
	/* Prepared and never used. */
	cut.len = LEN;
	ck_assert_int_eq(import_one(&w, &cut, LEN, &s), 0);
	seal_free(s);
	ck_assert_uint_eq(world_check(&w), 0);
	asset_of(&w, &a, data, LEN);
	asset_is(&w, &a, data, LEN);
	world_restart(&w);
	world_collect(&w, 1000, 0, 50);
	ck_assert_uint_lt(world_bytes(&w), LEN + 65536);
	asset_is(&w, &a, data, LEN);
	free(data);
	world_close(&w);
}
END_TEST

static void write_line(const char *path, const char *line)
{
	CLEANUP_CLOSE int fd = open(path, O_WRONLY | O_CLOEXEC);

	ck_assert_msg(dprintf(fd, "%s", line) > 0, "%s: %s", path, strerror(errno));
}

/* Maps one id to itself. */
static void map_id(const char *path, unsigned id)
{
	char line[32];

	snprintf(line, sizeof(line), "%u %u 1", id, id);
	write_line(path, line);
}

/* A filesystem of 24 MiB that only this process sees, on w->dir; an ordinary user needs a user namespace for that. */
static void small_disk(const char *dir)
{
	unsigned uid = geteuid(), gid = getegid();
	int flags = uid ? CLONE_NEWUSER | CLONE_NEWNS : CLONE_NEWNS;

	ck_assert_msg(!unshare(flags), "no mount namespace: %s", strerror(errno));
	if (uid) {
		write_line("/proc/self/setgroups", "deny");
		map_id("/proc/self/uid_map", uid);
		map_id("/proc/self/gid_map", gid);
	}
	ck_assert_msg(!mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL), "private: %s",
		      strerror(errno));
	ck_assert_msg(!mount("garner", dir, "tmpfs", 0, "size=24m"), "tmpfs: %s", strerror(errno));
}

/* Takes all space that is left. */
static void fill_disk(const char *path)
{
	static const uint8_t zeros[4096];
	CLEANUP_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	while (write(fd, zeros, sizeof(zeros)) > 0)
		continue;
	ck_assert_int_eq(errno, ENOSPC);
}

static void full_disk(const char *dir)
{
	struct world w;
	struct asset a, b;
	uint8_t *data = stream_new(17, 2000000), *more = stream_new(18, 30000000);
	struct seal *s = NULL;
	uint64_t have = 0;
	ssize_t put;
	char filler[96];

	small_disk(dir);
	snprintf(filler, sizeof(filler), "%s/filler", dir);
	world_open_in(&w, dir, &WORLD_SMALL, 512);
	asset_of(&w, &a, data, 1000000);
	asset_new(&w, &b);
	while ((put = draft_write(b.draft, more + have, 65536, have)) > 0)
		have += (uint64_t)put;
	ck_assert_int_eq(put, -ENOSPC);
	ck_assert_uint_lt(have, 24000000);
	/* Neither a bundle nor an import finds room; both leave things as they were. */
	fill_disk(filler);
	struct import im = { .data = data + 1000000, .len = 500 };

	ck_assert_int_eq(import_one(&w, &im, 500, &s), -ENOSPC);
	im.len = 1000000;
	ck_assert_int_eq(import_one(&w, &im, 1000000, &s), -ENOSPC);
	asset_is(&w, &a, data, 1000000);
	draft_is(b.draft, more, have);
	/* With room again all goes on. */
	ck_assert_int_eq(unlink(filler), 0);
	ck_assert_int_eq(draft_truncate(b.draft, 0), 0);
	draft_put(b.draft, more, 300000, 0);
	asset_seal(&w, &b);
	asset_is(&w, &b, more, 300000);
	world_check(&w);
	world_leave(&w);
	free(more);
	free(data);
}

START_TEST(a_full_disk_loses_nothing)
{
	char dir[64];
	int fd = unit_make_dir(dir), status;
	pid_t child = fork();

	ck_assert_int_ge(child, 0);
	if (!child) {
		full_disk(dir);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	unit_remove_dir(dir, fd);
}
END_TEST

UNIT_MAIN("seal-import", 240, two_processes_may_seal_the_same_content,
	  imports_write_only_what_is_new, small_imports_go_into_the_bundle,
	  the_holes_of_an_import_are_not_read, an_import_that_fails_leaves_nothing,
	  a_full_disk_loses_nothing)
