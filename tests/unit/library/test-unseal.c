/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A sealed file that the kernel has is written again, and something fails on the way: whatever it is, at whichever call, the next try succeeds,
 * or nobody can write. Readers of the same content through other assets never see a byte of the edit.
 */
#include "config.h"

#include "../wrap.h"
#include "pass-unit.h"

#include <errno.h>

#include "backend/meta/meta.h"
#include "backend/store/blobs.h"

enum { LEN = 100000, AT = 30000, COUNT = 5000 };

enum fault {
	FAULT_CALLOC,
	FAULT_APPLY,
	FAULT_GET,
	FAULT_OPEN_WRITE,
	FAULT_OPEN_READ,
	FAULT_META_SYNC,
	FAULT_SYNC,
	FAULT_COUNT
};

/* What fails, and only in the test's own thread. */
static _Thread_local enum fault kind;
static _Thread_local int left; /* calls until the one that fails; 0: none does */
static _Thread_local bool struck;

static bool strike(enum fault what)
{
	if (left <= 0 || what != kind || --left)
		return false;
	struck = true;
	return true;
}

WRAP(void *, calloc, (size_t count, size_t size))
{
	return strike(FAULT_CALLOC) ? NULL : __real_calloc(count, size);
}

WRAP(int, meta_apply, (struct meta * m, const struct meta_op *op))
{
	return strike(FAULT_APPLY) ? -ENOSPC : __real_meta_apply(m, op);
}

WRAP(int, blobs_get, (struct blobs * b, int64_t id, struct blob **out))
{
	return strike(FAULT_GET) ? -EMFILE : __real_blobs_get(b, id, out);
}

WRAP(int, blobs_open_write, (struct blobs * b, int64_t id))
{
	return strike(FAULT_OPEN_WRITE) ? -EMFILE : __real_blobs_open_write(b, id);
}

WRAP(int, blobs_open_read, (struct blobs * b, int64_t id))
{
	return strike(FAULT_OPEN_READ) ? -EMFILE : __real_blobs_open_read(b, id);
}

WRAP(int, meta_sync, (struct meta * m))
{
	return strike(FAULT_META_SYNC) ? -EIO : __real_meta_sync(m);
}

WRAP(int, io_sync_data, (int fd))
{
	return strike(FAULT_SYNC) ? -EIO : __real_io_sync_data(fd);
}

/* Three assets with one content; of the first the kernel has the file, the second is read. */
struct three {
	struct lab lab;
	uint8_t *data, *edited;
	int64_t a, b, c;
	struct file *fa, *fb;
	int fd;
};

static void three_begin(struct three *t)
{
	t->data = lab_bytes(1, LEN);
	t->edited = lab_bytes(1, LEN);
	for (int i = 0; i < COUNT; i++)
		t->edited[AT + i] ^= 0x55;
	lab_make(&t->lab, NULL, LAB_LAZY);
	lab_open(&t->lab);
	t->a = lab_put(&t->lab, "a", t->data, LEN);
	t->b = lab_put(&t->lab, "b", t->data, LEN);
	t->c = lab_put(&t->lab, "c", t->data, LEN);
	lab_sync(&t->lab);
	t->fa = lab_open_file(&t->lab, t->a, O_RDWR);
	t->fb = lab_open_file(&t->lab, t->b, O_RDONLY);
	lab_same(t->fb, t->data, LEN);
	t->fd = lab_pass(t->fa, O_RDONLY);
}

static void three_close(struct three *t)
{
	close(t->fd);
	file_pass_end(t->fa);
	file_close(t->fa, O_RDWR);
	lab_same(t->fb, t->data, LEN);
	file_close(t->fb, O_RDONLY);
}

static void three_end(struct three *t)
{
	lab_remove(&t->lab);
	free(t->data);
	free(t->edited);
}

/* As a program that opens the passed file for writing as well. */
static void write_as_kernel(const struct three *t, int passed)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", passed);
	int fd = open(path, O_RDWR);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pwrite(fd, t->edited + AT, COUNT, AT), COUNT);
	close(fd);
}

/* The third asset goes the same way while the copy of the first is being read. */
static void edit_third(struct three *t)
{
	struct file *fc = lab_open_file(&t->lab, t->c, O_RDWR);
	int fd = lab_pass(fc, O_RDONLY);

	lab_same(fc, t->data, LEN);
	ck_assert_int_eq(file_pass_write(fc), 0);
	write_as_kernel(t, fd);
	lab_same(fc, t->edited, LEN);
	lab_same(t->fb, t->data, LEN);
	close(fd);
	file_pass_end(fc);
	lab_close_file(fc, O_RDWR);
}

static void next_try(struct three *t)
{
	ck_assert_int_eq(file_pass_write(t->fa), 0);
	write_as_kernel(t, t->fd);
	lab_same(t->fa, t->edited, LEN);
	lab_same_fd(t->fd, t->edited, LEN);
	lab_same(t->fb, t->data, LEN);
	edit_third(t);
	three_close(t);
	lab_sync(&t->lab);
	lab_reopen(&t->lab);
	lab_holds(&t->lab, t->a, t->edited, LEN);
	lab_holds(&t->lab, t->b, t->data, LEN);
	lab_holds(&t->lab, t->c, t->edited, LEN);
}

/* The metadata says that the file is a draft, but may not say so after a power cut: nobody writes until the library is opened anew. */
static void nobody_writes(struct three *t)
{
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(file_pass_write(t->fa), -EIO);
		ck_assert_int_eq(file_write(t->fa, "x", 1, 0), -EIO);
		ck_assert_int_eq(file_truncate(t->fa, 5), -EIO);
	}
	lab_same(t->fa, t->data, LEN);
	three_close(t);
	struct file *f = lab_open_file(&t->lab, t->a, O_RDWR);

	lab_same(f, t->data, LEN);
	ck_assert_int_eq(file_write(f, "x", 1, 0), -EIO);
	file_close(f, O_RDWR);
	lab_reopen(&t->lab);
	f = lab_open_file(&t->lab, t->a, O_RDWR);
	ck_assert_int_eq(file_write(f, t->edited + AT, COUNT, AT), COUNT);
	lab_close_file(f, O_RDWR);
	lab_holds(&t->lab, t->a, t->edited, LEN);
	lab_holds(&t->lab, t->b, t->data, LEN);
}

/* False when there is no such call. */
static bool try_fault(enum fault what, int nth)
{
	struct three t;

	three_begin(&t);
	kind = what;
	struck = false;
	left = nth;
	int rc = file_pass_write(t.fa);

	left = 0;
	ck_assert_msg(struck || rc == 0, "%d with nothing wrong", rc);
	lab_same(t.fa, t.data, LEN);
	lab_same(t.fb, t.data, LEN);
	lab_same_fd(t.fd, t.data, LEN);
	if (rc && lab_node(&t.lab, t.a).draft)
		nobody_writes(&t);
	else
		next_try(&t);
	three_end(&t);
	return struck;
}

START_TEST(whatever_fails_the_next_try_succeeds)
{
	for (enum fault what = 0; what < FAULT_COUNT; what++)
		for (int nth = 1; try_fault(what, nth) && nth < 50; nth++)
			;
}
END_TEST

UNIT_MAIN("unseal", 240, whatever_fails_the_next_try_succeeds)
