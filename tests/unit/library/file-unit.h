/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A library of its own for a test of open files: small chunks, so that small files show what large
 * ones do.
 */
#ifndef GARNER_TESTS_UNIT_LIBRARY_FILE_UNIT_H
#define GARNER_TESTS_UNIT_LIBRARY_FILE_UNIT_H

#include <check.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "library/file.h"
#include "library/sealer.h"
#include "../unit.h"
#include "util/time.h"

struct lab {
	char dir[64];
	int dir_fd;
	char path[512];
	struct library *lib;
};

static const struct actor lab_who = { .umask = 022 };

/* Makes the library with these settings; not open yet. `under`: a folder for it, or NULL. */
static inline void lab_make(struct lab *lab, const char *under, const char *config)
{
	struct library_params params = {
		.chunker = { .kind = CHUNKER_FASTCDC, .min = 512, .avg = 2048, .max = 8192 },
		.mode = 0755
	};
	char name[600];

	lab->lib = NULL;
	lab->dir_fd = -1;
	lab->dir[0] = 0;
	if (!under)
		lab->dir_fd = unit_make_dir(lab->dir);
	snprintf(lab->path, sizeof(lab->path), "%s/library", under ? under : lab->dir);
	ck_assert_int_eq(library_init(lab->path, &params), 0);
	snprintf(name, sizeof(name), "%s/config", lab->path);
	FILE *out = fopen(name, "w");

	ck_assert_ptr_nonnull(out);
	fputs(config, out);
	fclose(out);
}

/* A sealer that seals at once, and a clock that does not get in the way. */
#define LAB_EAGER "[seal]\ndelay = 0\njobs = 2\n[log]\nsync = 1h\n"
/* A sealer that seals when it is told to. */
#define LAB_LAZY "[seal]\ndelay = 1h\njobs = 2\n[log]\nsync = 1h\n"

static inline void lab_open(struct lab *lab)
{
	ck_assert_int_eq(library_open(lab->path, LIBRARY_MOUNT, &lab->lib), 0);
	ck_assert_int_eq(library_start(lab->lib), 0);
}

static inline void lab_close(struct lab *lab)
{
	library_close(lab->lib);
	lab->lib = NULL;
}

static inline void lab_reopen(struct lab *lab)
{
	lab_close(lab);
	lab_open(lab);
}

static inline void lab_remove(struct lab *lab)
{
	lab_close(lab);
	if (lab->dir_fd >= 0)
		unit_remove_dir(lab->dir, lab->dir_fd);
}

static inline void lab_sync(struct lab *lab)
{
	ck_assert_int_eq(sealer_sync(lab->lib, time_mono_ns() + 600 * TIME_NS_PER_S, NULL), 0);
}

static inline struct file *lab_create(struct lab *lab, const char *name, struct node *node)
{
	struct tree_new what = {
		.parent = TREE_ROOT, .name = name, .len = strlen(name), .mode = S_IFREG | 0644
	};
	struct node made;
	struct file *f = NULL;

	ck_assert_int_eq(file_create(lab->lib, &lab_who, &what, O_RDWR, node ? node : &made, &f),
			 0);
	return f;
}

static inline struct file *lab_open_file(struct lab *lab, int64_t ino, int flags)
{
	struct file *f = NULL;

	ck_assert_int_eq(file_open(lab->lib, &lab_who, ino, flags, &f), 0);
	return f;
}

/* close(2) as the mount does it. */
static inline void lab_close_file(struct file *f, int flags)
{
	if ((flags & O_ACCMODE) != O_RDONLY)
		ck_assert_int_eq(file_closing(f), 0);
	file_close(f, flags);
}

/* Makes an asset with this content; its inode number. */
static inline int64_t lab_put(struct lab *lab, const char *name, const void *data, size_t len)
{
	struct node node;
	struct file *f = lab_create(lab, name, &node);

	if (len)
		ck_assert_int_eq(file_write(f, data, len, 0), (ssize_t)len);
	lab_close_file(f, O_RDWR);
	return node.ino;
}

static inline struct node lab_node(struct lab *lab, int64_t ino)
{
	struct node node;

	ck_assert_int_eq(tree_get(lab->lib, ino, &node), 0);
	return node;
}

/*
 * Compares bytes that were read at `off`. Only a difference is told to check, which keeps a record
 * of every assertion.
 */
static inline void lab_equal(const uint8_t *got, const uint8_t *want, size_t len, size_t off)
{
	if (!memcmp(got, want, len))
		return;
	size_t i = 0;

	while (got[i] == want[i])
		i++;
	ck_abort_msg("byte %zu is %02x, not %02x", off + i, got[i], want[i]);
}

/* Reads the whole of an open file and compares it. */
static inline void lab_same(struct file *f, const uint8_t *data, size_t len)
{
	uint8_t *got = malloc(len + 64);
	size_t at = 0;

	ck_assert_ptr_nonnull(got);
	for (;;) {
		ssize_t n = file_read(f, got + at, len + 64 - at, at);

		if (n <= 0) {
			ck_assert_int_eq(n, 0);
			break;
		}
		at += (size_t)n;
	}
	ck_assert_uint_eq(at, len);
	lab_equal(got, data, len, 0);
	free(got);
}

static inline void lab_holds(struct lab *lab, int64_t ino, const uint8_t *data, size_t len)
{
	struct file *f = lab_open_file(lab, ino, O_RDONLY);

	lab_same(f, data, len);
	file_close(f, O_RDONLY);
	ck_assert_uint_eq(lab_node(lab, ino).size, len);
}

/* xorshift64*: bytes and numbers that a seed names. */
static inline uint64_t lab_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * UINT64_C(2685821657736338717);
}

static inline void lab_fill(uint64_t *state, uint8_t *out, size_t len)
{
	for (size_t i = 0; i < len; i++)
		out[i] = (uint8_t)(lab_random(state) >> 32);
}

/* As many bytes as asked for and one more, for free(). */
static inline uint8_t *lab_bytes(uint64_t seed, size_t len)
{
	uint8_t *out = malloc(len + 1);

	ck_assert_ptr_nonnull(out);
	lab_fill(&seed, out, len);
	return out;
}

#endif
