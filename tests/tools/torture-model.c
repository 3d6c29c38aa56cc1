/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the random tester expects: names, links and bytes. */
#include "config.h"

#include "torture-model.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *model_name(unsigned name)
{
	static char text[256];

	if (name % 7 == 3)
		snprintf(text, sizeof text, "bytes-\xff\xfe-%u", name);
	else if (name % 7 == 5)
		snprintf(text, sizeof text, "%0255u", name);
	else
		snprintf(text, sizeof text, "file %u", name);
	return text;
}

struct model_file *model_at(const struct model *m, unsigned name)
{
	return m->names[name];
}

unsigned model_any(const struct model *m, size_t from)
{
	for (unsigned i = 0; i < MODEL_NAMES; i++)
		if (m->names[(from + i) % MODEL_NAMES])
			return (unsigned)((from + i) % MODEL_NAMES);
	return (unsigned)from;
}

struct model_file *model_create(struct model *m, unsigned name, size_t room)
{
	struct model_file *f = calloc(1, sizeof *f);

	if (!f || !(f->bytes = calloc(1, room))) {
		free(f);
		return NULL;
	}
	f->room = room;
	f->links = 1;
	m->names[name] = f;
	return f;
}

static void drop(struct model_file *f)
{
	if (--f->links)
		return;
	free(f->bytes);
	free(f);
}

void model_rename(struct model *m, unsigned from, unsigned to)
{
	if (m->names[from] == m->names[to])
		return; /* two names of one file: rename(2) does nothing */
	if (m->names[to])
		drop(m->names[to]);
	m->names[to] = m->names[from];
	m->names[from] = NULL;
}

void model_link(struct model *m, unsigned from, unsigned to)
{
	m->names[to] = m->names[from];
	m->names[to]->links++;
}

void model_unlink(struct model *m, unsigned name)
{
	drop(m->names[name]);
	m->names[name] = NULL;
}

void model_write(struct model_file *f, const char *bytes, size_t off, size_t len)
{
	memmove(f->bytes + off, bytes, len);
	if (off + len > f->size)
		f->size = off + len;
}

void model_truncate(struct model_file *f, size_t size)
{
	if (size < f->size)
		memset(f->bytes + size, 0, f->size - size);
	f->size = size;
}

void model_allocate(struct model_file *f, int mode, size_t off, size_t len)
{
	if (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
		memset(f->bytes + off, 0, len);
	if (!(mode & FALLOC_FL_KEEP_SIZE) && off + len > f->size)
		f->size = off + len;
}

void model_free(struct model *m)
{
	for (unsigned i = 0; i < MODEL_NAMES; i++)
		if (m->names[i])
			model_unlink(m, i);
}
