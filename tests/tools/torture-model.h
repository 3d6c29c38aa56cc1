/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the tester expects a folder to hold: names, the files they point at, and every byte. */
#ifndef GARNER_TESTS_TORTURE_MODEL_H
#define GARNER_TESTS_TORTURE_MODEL_H

#include <stdbool.h>
#include <stddef.h>

#define MODEL_NAMES 64

struct model_file {
	char *bytes; /* `room` of them, zero from `size` on */
	size_t size, room;
	unsigned links;
};

struct model {
	struct model_file *names[MODEL_NAMES]; /* NULL: no such name */
};

/* The text of name number `name`; some are long, some are not UTF-8. Static. */
const char *model_name(unsigned name);

/* The file under a name, or NULL. */
struct model_file *model_at(const struct model *m, unsigned name);

/* A name that exists, the first from `from` on (around); `from` itself if none does. */
unsigned model_any(const struct model *m, size_t from);

/* An empty file that can grow to `room` bytes, under a name that is free. NULL: out of memory. */
struct model_file *model_create(struct model *m, unsigned name, size_t room);

/* rename(2), link(2), unlink(2). */
void model_rename(struct model *m, unsigned from, unsigned to);
void model_link(struct model *m, unsigned from, unsigned to);
void model_unlink(struct model *m, unsigned name);

/* The same to the bytes; ranges lie within `room`. */
void model_write(struct model_file *f, const char *bytes, size_t off, size_t len);
void model_truncate(struct model_file *f, size_t size);
void model_allocate(struct model_file *f, int mode, size_t off, size_t len);

/* Frees every file. */
void model_free(struct model *m);

#endif
