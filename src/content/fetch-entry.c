/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Entries of the table, their lists and their files: how they are held and let go. */
#include "config.h"

#include "content/fetch-internal.h"
#include "util/large.h"
#include "util/time.h"

#include <assert.h>
#include <stdlib.h>

void fetch_list_add(struct fetch_list *list, struct fetch_entry *e)
{
	assert(!e->list);
	e->list = list;
	e->prev = list->last;
	e->next = NULL;
	if (list->last)
		list->last->next = e;
	else
		list->first = e;
	list->last = e;
}

void fetch_list_add_first(struct fetch_list *list, struct fetch_entry *e)
{
	assert(!e->list);
	e->list = list;
	e->prev = NULL;
	e->next = list->first;
	if (list->first)
		list->first->prev = e;
	else
		list->last = e;
	list->first = e;
}

void fetch_list_drop(struct fetch_entry *e)
{
	if (!e->list)
		return;
	if (e->prev)
		e->prev->next = e->next;
	else
		e->list->first = e->next;
	if (e->next)
		e->next->prev = e->prev;
	else
		e->list->last = e->prev;
	e->list = NULL;
}

struct fetch_file *fetch_file_new(struct blob *blob)
{
	struct fetch_file *file = calloc(1, sizeof(*file));

	if (!file)
		return NULL;
	file->blob = blob;
	file->refs = 1;
	return file;
}

struct fetch_file *fetch_file_get(struct fetch_file *file)
{
	__atomic_add_fetch(&file->refs, 1, __ATOMIC_RELAXED);
	return file;
}

void fetch_file_put(struct fetch_file *file)
{
	if (!file || __atomic_sub_fetch(&file->refs, 1, __ATOMIC_ACQ_REL))
		return;
	blob_put(file->blob);
	free(file);
}

struct blob *fetch_file_blob(const struct fetch_file *file)
{
	return file->blob;
}

bool fetch_file_bad(const struct fetch_file *file)
{
	return __atomic_load_n(&file->bad, __ATOMIC_ACQUIRE);
}

static void fetch_entry_free(struct fetch_entry *e)
{
	fetch_file_put(e->file);
	large_free(e->bytes, e->size);
	free(e);
}

void fetch_unlock(struct fetch *f)
{
	struct fetch_entry *dead = f->dead.first;

	f->dead = (struct fetch_list){ NULL, NULL };
	lock_unlock(&f->lock);
	while (dead) {
		struct fetch_entry *next = dead->next;

		fetch_entry_free(dead);
		dead = next;
	}
}

void fetch_table_drop_locked(struct fetch *f, struct fetch_entry *e)
{
	if (e->in_table)
		HASH_DEL(f->table, e);
	e->in_table = false;
}

void fetch_entry_drop_bytes_locked(struct fetch *f, struct fetch_entry *e)
{
	if (!e->bytes)
		return;
	large_free(e->bytes, e->size);
	e->bytes = NULL;
	f->used_bytes -= e->size;
}

void fetch_entry_kill_locked(struct fetch *f, struct fetch_entry *e)
{
	fetch_list_drop(e);
	fetch_table_drop_locked(f, e);
	fetch_entry_drop_bytes_locked(f, e);
	fetch_list_add(&f->dead, e);
}

void fetch_entry_again_locked(struct fetch *f, struct fetch_entry *e)
{
	fetch_list_drop(e);
	if (!f->params.keep || f->cancelled)
		return;
	e->refs++;
	fetch_list_add(&f->held, e);
	lock_cond_signal(&f->work);
}

void fetch_entry_put_locked(struct fetch *f, struct fetch_entry *e)
{
	if (--e->refs)
		return;
	/* What could not be written is kept for the next reader as long as the memory is not wanted. */
	if (e->phase == FETCH_HELD && !e->fetch->cancelled)
		fetch_list_add(&e->fetch->idle, e);
	else
		fetch_entry_kill_locked(f, e);
}

/* Tells those who wait for the entry. */
static void fetch_entry_tell_locked(struct fetch *f, struct fetch_entry *e) LOCK_REQUIRES(&f->lock)
{
	while (e->links) {
		struct fetch_link *l = e->links;

		e->links = l->next;
		if (l->next)
			l->next->prev = NULL;
		l->linked = false;
		fetch_wait_ready_locked(f, l->wait, e->err);
	}
}

void fetch_entry_ready_locked(struct fetch *f, struct fetch_entry *e)
{
	fetch_entry_tell_locked(f, e);
}

void fetch_entry_count_locked(struct fetch *f, int err)
{
	f->sum.failed++;
	f->sum.last_error = err;
	f->sum.last_error_ns = time_now_ns();
}

void fetch_entry_fail_locked(struct fetch *f, struct fetch_entry *e, int err)
{
	e->phase = FETCH_FAILED;
	e->err = err;
	fetch_list_drop(e);
	fetch_table_drop_locked(f, e);
	fetch_entry_drop_bytes_locked(f, e);
	fetch_entry_tell_locked(f, e);
	fetch_entry_put_locked(f, e);
}
