/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The power cut that sqlite-sync.c reasons about, tried. This program stands between SQLite and the C library: it
 * keeps for each file what was synced and, since then, every write. At writes and syncs picked at random
 * it makes the files as a power cut at that instant could have left them: what was synced, and of the rest any part, cut at
 * sectors, in any order. Such a library must open, be sound, and hold all that a meta_sync() before had
 * returned for, and of what came after it a first part.
 */
#include "config.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

#include "meta-test.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/err.h"
#include "util/io.h"

enum { POWER_SECTOR = 512, POWER_FILES = 2, POWER_CUTS = 36, POWER_OPERATIONS = 1300 };

/* Calls until the next cut, at most: as a rule, and where it is likely to hurt. */
enum { POWER_FAR = 2500, POWER_NEAR = 60 };

/* A write since the last sync, or, without data, a new length of the file. */
struct change {
	uint64_t offset;
	size_t len;
	char *data;
};

/* The main file and the log. */
struct file {
	const char *name;
	struct buf synced; /* the bytes that a power cut leaves for certain */
	struct change *changes;
	size_t count, cap;
};

static struct meta_test_place place;
static struct file files[POWER_FILES] = { { .name = "/garner.db" }, { .name = "/garner.db-wal" } };
static bool watching;
static bool folder_synced; /* since the log was made */
static unsigned seed = 20;
static int until_cut; /* calls until the next cut */
static bool cut_made; /* an image lies in the folder "cut" and has not been looked at */
static int64_t synced_number,
	cut_number; /* operations that were promised; that were when the cut was made */

static unsigned any(unsigned below)
{
	return (unsigned)rand_r(&seed) % below;
}

/* The file of ours that FD is, or NULL. */
static struct file *file_of(int fd)
{
	char link[32], path[160];
	size_t folder = strlen(place.folder);

	if (!watching)
		return NULL;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	ssize_t len = readlink(link, path, sizeof(path) - 1);

	if (len < 0)
		return NULL;
	path[len] = '\0';
	if (strcmp(path, place.folder) == 0)
		folder_synced = true;
	for (int i = 0; i < POWER_FILES; i++)
		if (strncmp(path, place.folder, folder) == 0 &&
		    strcmp(path + folder, files[i].name) == 0)
			return &files[i];
	return NULL;
}

static void file_set_length(struct buf *b, size_t len)
{
	if (len > b->len) {
		ck_assert_int_eq(buf_reserve(b, len - b->len), 0);
		memset(b->data + b->len, 0, len - b->len);
	}
	b->len = len;
}

/* Part of a change: the sectors that ALL or chance picks. */
static void file_apply(struct buf *b, const struct change *c, bool all)
{
	if (!c->data) {
		if (all || any(2))
			file_set_length(b, c->offset);
		return;
	}
	for (size_t at = 0; at < c->len; at += POWER_SECTOR) {
		size_t len = c->len - at < POWER_SECTOR ? c->len - at : POWER_SECTOR;

		if (!all && any(2))
			continue;
		if (c->offset + at + len > b->len)
			file_set_length(b, c->offset + at + len);
		memcpy(b->data + c->offset + at, c->data + at, len);
	}
}

static void file_note(struct file *f, const void *data, size_t len, uint64_t offset)
{
	if (f->count == f->cap) {
		f->cap = f->cap ? f->cap * 2 : 64;
		f->changes = reallocarray(f->changes, f->cap, sizeof(*f->changes));
		ck_assert_ptr_nonnull(f->changes);
	}
	struct change *c = &f->changes[f->count++];

	*c = (struct change){ .offset = offset, .len = len };
	if (!data)
		return;
	c->data = malloc(len);
	ck_assert_ptr_nonnull(c->data);
	memcpy(c->data, data, len);
}

static void file_note_sync(struct file *f)
{
	for (size_t i = 0; i < f->count; i++) {
		file_apply(&f->synced, &f->changes[i], true);
		free(f->changes[i].data);
	}
	f->count = 0;
}

/* What a power cut now could leave of F. Four kinds: nothing unsynced, all, a first part, any part. */
static void file_cut(const struct file *f, unsigned kind, const char *folder)
{
	CLEANUP_BUF struct buf left = BUF_INIT;
	size_t whole = kind == 1 ? f->count : kind == 2 ? any((unsigned)f->count + 1) : 0;
	char path[200];

	ck_assert_int_eq(buf_add(&left, buf_str(&f->synced), f->synced.len), 0);
	for (size_t i = 0; i < f->count; i++)
		if (i < whole || kind == 3)
			file_apply(&left, &f->changes[i], i < whole);
	snprintf(path, sizeof(path), "%s%s", folder, f->name);
	CLEANUP_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(io_write_full(fd, buf_str(&left), left.len), 0);
}

/*
 * Before a call on one of our files: the power may go. More often while the log is moved into the main file
 * and started over.
 */
static void power(const struct file *called)
{
	char folder[100];
	unsigned kind = any(4);

	if (called == &files[0] && until_cut > POWER_NEAR)
		until_cut = 1 + (int)any(POWER_NEAR);
	if (--until_cut > 0 || cut_made)
		return;
	snprintf(folder, sizeof(folder), "%s/cut", place.folder);
	for (int i = 0; i < POWER_FILES; i++)
		file_cut(&files[i], kind, folder);
	cut_number = synced_number;
	cut_made = true;
}

/* The next definition of a function of the C library. */
#define REAL(name, type)                                                                           \
	static type *real;                                                                         \
	if (!real)                                                                                 \
	real = (type *)dlsym(RTLD_NEXT, name)

typedef ssize_t pwrite_fn(int fd, const void *data, size_t len, off_t offset);
typedef int truncate_fn(int fd, off_t len);

static ssize_t watched_pwrite(pwrite_fn *real, int fd, const void *data, size_t len, off_t offset)
{
	struct file *f = file_of(fd);

	if (f)
		power(f);
	ssize_t done = real(fd, data, len, offset);

	if (f && done > 0)
		file_note(f, data, (size_t)done, (uint64_t)offset);
	return done;
}

static int watched_truncate(truncate_fn *real, int fd, off_t len)
{
	struct file *f = file_of(fd);

	if (f) {
		power(f);
		file_note(f, NULL, 0, (uint64_t)len);
	}
	return real(fd, len);
}

/* The disk itself is no part of this. */
static int watched_sync(int fd)
{
	struct file *f = file_of(fd);

	if (f) {
		power(f);
		file_note_sync(f);
	}
	return 0;
}

ssize_t pwrite(int fd, const void *data, size_t len, off_t offset)
{
	REAL("pwrite", pwrite_fn);
	return watched_pwrite(real, fd, data, len, offset);
}

ssize_t pwrite64(int fd, const void *data, size_t len, off_t offset)
{
	REAL("pwrite64", pwrite_fn);
	return watched_pwrite(real, fd, data, len, offset);
}

int ftruncate(int fd, off_t len)
{
	REAL("ftruncate", truncate_fn);
	return watched_truncate(real, fd, len);
}

int ftruncate64(int fd, off_t len)
{
	REAL("ftruncate64", truncate_fn);
	return watched_truncate(real, fd, len);
}

int fsync(int fd)
{
	return watched_sync(fd);
}

int fdatasync(int fd)
{
	return watched_sync(fd);
}

/* The library that the power cut left. */
static void check_cut(int64_t applied, int64_t highest_id)
{
	char path[160];
	struct meta *m = NULL;
	int64_t number = 1;
	int faults = 0;

	snprintf(path, sizeof(path), "%s/cut/garner.db", place.folder);
	watching = false;
	ck_assert_int_eq(meta_open(path, 0, &m), 0);
	while (meta_test_count(m, number) == 2)
		number++;
	ck_assert_msg(number > cut_number, "%lld operations are left of %lld that were promised",
		      (long long)number - 1, (long long)cut_number);
	ck_assert_int_le(number - 1, applied);
	for (int64_t lost = number; lost <= applied + 1; lost++)
		ck_assert_int_eq(meta_test_count(m, lost), 0);
	ck_assert_int_eq(meta_check(m, meta_test_report, &faults), 0);
	ck_assert_int_gt(meta_next_id(m, META_SEQ_BLOB), highest_id);
	meta_close(m);
	watching = true;
	cut_made = false;
	until_cut = 1 + (int)any(POWER_FAR);
}

static void begin(void)
{
	char folder[100];

	meta_test_begin(&place, &meta_test_drivers[0]);
	snprintf(folder, sizeof(folder), "%s/cut", place.folder);
	ck_assert_int_eq(mkdir(folder, 0700), 0);
	meta_close(meta_test_open(&place, &meta_test_drivers[0], META_OPEN_CREATE));
	ck_assert_int_eq(io_read_file(AT_FDCWD, place.path, 1 << 24, &files[0].synced), 0);
	until_cut = 20;
	watching = true;
}

static void end(void)
{
	watching = false;
	for (int i = 0; i < POWER_FILES; i++) {
		file_note_sync(&files[i]);
		free(files[i].changes);
		buf_release(&files[i].synced);
		files[i] = (struct file){ .name = files[i].name };
	}
	folder_synced = cut_made = false;
	synced_number = 0;
	meta_test_end(&place);
}

static void apply_pair(struct meta *m, struct meta_op *op, int64_t number)
{
	static const char large[25000];

	meta_op_reset(op);
	meta_test_add(op, number, "a", "left");
	META_ADD(op, XATTR_INSERT, META_ONE, -EEXIST, META_I(number), META_B("b", 1),
		 META_B(large, any(sizeof(large))));
	ck_assert_int_eq(meta_apply(m, op), 0);
}

START_TEST(a_power_cut_takes_nothing_that_was_synced)
{
	struct meta_op *op = meta_op_new();
	const int few = (int)unit_stride();
	int64_t number = 0;
	int cuts = 0;

	begin();
	struct meta *m = meta_test_open(&place, &meta_test_drivers[0], 0);

	while (number < POWER_OPERATIONS / few || cuts < POWER_CUTS / few) {
		apply_pair(m, op, ++number);
		if (any(40) == 0) {
			ck_assert_int_eq(meta_sync(m), 0);
			ck_assert(folder_synced);
			synced_number = number;
		}
		if (any(1000) == 0)
			ck_assert_int_eq(meta_tidy(m), 0);
		if (cut_made) {
			check_cut(number, 0);
			cuts++;
		}
	}
	meta_close(m);
	meta_op_free(op);
	end();
}
END_TEST

START_TEST(a_power_cut_takes_no_ids)
{
	struct meta_op *op = meta_op_new();

	begin();
	struct meta *m = meta_test_open(&place, &meta_test_drivers[0], 0);

	for (int64_t number = 1; number <= 1 + 24 / unit_stride(); number++) {
		int64_t id = 0;

		for (int i = 0; i < 700; i++)
			id = meta_next_id(m, META_SEQ_BLOB);
		cut_made = false;
		until_cut = 1;
		apply_pair(m, op, number);
		ck_assert(cut_made);
		check_cut(number, id);
	}
	meta_close(m);
	meta_op_free(op);
	end();
}
END_TEST

UNIT_MAIN("sqlite-power", 120, a_power_cut_takes_nothing_that_was_synced, a_power_cut_takes_no_ids)
