/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * agent/export.h beside a process that mounts the library: another opening of it here. The export goes into a pipe, so that it stands still in the
 * middle while the mount moves what is still to be read.
 */
#include "config.h"

#include "../library/pass-unit.h"

#include <pthread.h>

#include "agent/export.h"

enum { LEN = 3 << 20, AT = 2 << 20, COUNT = 50000 };

struct reader {
	struct library *lib;
	struct node node;
	int out, result;
	pthread_t thread;
};

static void *reader_main(void *arg)
{
	struct reader *r = arg;

	r->result = export_content(r->lib, &r->node, r->out);
	close(r->out);
	return NULL;
}

/* Begins an export; what it gives comes from the descriptor. The first byte was read. */
static int reader_begin(struct reader *r, struct lab *lab, int64_t ino, uint8_t *first)
{
	int ends[2];

	ck_assert_int_eq(library_open(lab->path, LIBRARY_RDONLY, &r->lib), 0);
	ck_assert_int_eq(tree_get(r->lib, ino, &r->node), 0);
	ck_assert_int_eq(pipe(ends), 0);
	r->out = ends[1];
	ck_assert_int_eq(pthread_create(&r->thread, NULL, reader_main, r), 0);
	ck_assert_int_eq(read(ends[0], first, 1), 1);
	return ends[0];
}

/* The rest, which must be `data`. */
static void reader_end(struct reader *r, int in, uint8_t *got, const uint8_t *data, size_t len)
{
	size_t have = 1;
	ssize_t n;

	while ((n = read(in, got + have, len + 1 - have)) > 0)
		have += (size_t)n;
	close(in);
	pthread_join(r->thread, NULL);
	ck_assert_int_eq(r->result, 0);
	ck_assert_uint_eq(have, len);
	lab_equal(got, data, len, 0);
	library_close(r->lib);
}

START_TEST(an_edit_in_place_is_not_seen)
{
	struct lab lab;
	struct reader r;
	uint8_t *data = lab_bytes(1, LEN), *other = lab_bytes(2, COUNT), *got = malloc(LEN + 1);

	lab_make(&lab, NULL, LAB_LAZY);
	lab_open(&lab);
	int64_t ino = lab_put(&lab, "a", data, LEN);

	lab_sync(&lab);
	struct file *f = lab_open_file(&lab, ino, O_RDWR);
	int fd = lab_pass(f, O_RDONLY), in = reader_begin(&r, &lab, ino, got);

	ck_assert_int_eq(file_pass_write(f), 0);
	ck_assert_int_eq(file_write(f, other, COUNT, AT), COUNT);
	reader_end(&r, in, got, data, LEN);
	close(fd);
	file_pass_end(f);
	lab_close_file(f, O_RDWR);
	lab_remove(&lab);
	free(data);
	free(other);
	free(got);
}
END_TEST

/* The draft's file loses what is held already. */
START_TEST(a_seal_takes_nothing_away)
{
	struct lab lab;
	struct reader r;
	uint8_t *data = lab_bytes(3, LEN), *got = malloc(LEN + 1);

	lab_make(&lab, NULL, LAB_LAZY);
	lab_open(&lab);
	lab_put(&lab, "a", data, LEN);
	lab_sync(&lab);
	data[0] ^= 1;
	int64_t ino = lab_put(&lab, "b", data, LEN);
	int in = reader_begin(&r, &lab, ino, got);

	ck_assert_int_ne(r.node.draft, 0);
	lab_sync(&lab);
	ck_assert_int_eq(lab_node(&lab, ino).draft, 0);
	/* The space of one is given back before the next is sealed. */
	lab_put(&lab, "c", data, 10);
	lab_sync(&lab);
	reader_end(&r, in, got, data, LEN);
	lab_remove(&lab);
	free(data);
	free(got);
}
END_TEST

UNIT_MAIN("export", 60, an_edit_in_place_is_not_seen, a_seal_takes_nothing_away)
