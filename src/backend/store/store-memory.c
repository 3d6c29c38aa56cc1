/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The driver that keeps chunks in a sorted array. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backend/store/store-memory.h"
#include "util/err.h"
#include "util/lock.h"

struct chunk {
	uint8_t name[STORE_NAME_LEN];
	size_t size;
	uint8_t *bytes;
};

struct memory {
	struct store store;
	store_verify_fn *verify;
	void *verify_arg;
	uint64_t capacity;

	struct lock lock;     /* guards all that follows */
	struct chunk *chunks; /* ascending by name, each name once */
	size_t count, room;
	uint64_t used; /* the sum of their sizes, never above capacity */
};

static struct memory *memory_of(struct store *s)
{
	return (struct memory *)s;
}

/* The first chunk whose name is not below `name`. */
static size_t lower_bound_locked(const struct memory *m, const uint8_t *name)
	LOCK_REQUIRES(&m->lock)
{
	size_t low = 0, high = m->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (memcmp(m->chunks[middle].name, name, STORE_NAME_LEN) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct chunk *find_locked(struct memory *m, const uint8_t *name) LOCK_REQUIRES(&m->lock)
{
	size_t i = lower_bound_locked(m, name);

	if (i < m->count && memcmp(m->chunks[i].name, name, STORE_NAME_LEN) == 0)
		return &m->chunks[i];
	return NULL;
}

static void memory_close(struct store *s)
{
	struct memory *m = memory_of(s);

	for (size_t i = 0; i < m->count; i++)
		free(m->chunks[i].bytes);
	free(m->chunks);
	lock_release(&m->lock);
	free(m);
}

static int memory_has(struct store *s, const uint8_t *name)
{
	struct memory *m = memory_of(s);
	int found;

	lock_lock(&m->lock);
	found = find_locked(m, name) != NULL;
	lock_unlock(&m->lock);
	return found;
}

static int memory_stat(struct store *s, const uint8_t *name, struct store_info *out)
{
	struct memory *m = memory_of(s);
	const struct chunk *chunk;

	lock_lock(&m->lock);
	chunk = find_locked(m, name);
	if (chunk)
		out->size = chunk->size;
	lock_unlock(&m->lock);
	return chunk ? 0 : -ENOENT;
}

static int make_room_locked(struct memory *m) LOCK_REQUIRES(&m->lock)
{
	size_t room = m->room ? 2 * m->room : 16;
	struct chunk *chunks;

	if (m->count < m->room)
		return 0;
	chunks = realloc(m->chunks, room * sizeof *chunks);
	if (!chunks)
		return -ENOMEM;
	m->chunks = chunks;
	m->room = room;
	return 0;
}

/* Takes `bytes` over when it returns 0. */
static int insert_locked(struct memory *m, const uint8_t *name, uint8_t *bytes, size_t len)
	LOCK_REQUIRES(&m->lock)
{
	size_t i = lower_bound_locked(m, name);
	int err;

	if (len > m->capacity - m->used)
		return -ENOSPC;
	err = make_room_locked(m);
	if (err)
		return err;
	memmove(&m->chunks[i + 1], &m->chunks[i], (m->count - i) * sizeof *m->chunks);
	m->chunks[i] = (struct chunk){ .size = len, .bytes = bytes };
	memcpy(m->chunks[i].name, name, STORE_NAME_LEN);
	m->count++;
	m->used += len;
	return 0;
}

static int memory_put(struct store *s, const uint8_t *name, const void *bytes, size_t len)
{
	struct memory *m = memory_of(s);
	struct chunk *chunk;
	uint8_t *copy;
	int err = 0;

	if (!m->verify(m->verify_arg, name, bytes, len))
		return -EBADMSG;
	copy = malloc(len);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, bytes, len);
	lock_lock(&m->lock);
	chunk = find_locked(m, name);
	if (chunk) {
		/* Good or damaged, these bytes are right. */
		memcpy(chunk->bytes, bytes, len);
	} else {
		err = insert_locked(m, name, copy, len);
		if (!err)
			copy = NULL;
	}
	lock_unlock(&m->lock);
	free(copy);
	return err;
}

static ssize_t memory_get(struct store *s, const uint8_t *name, void *buf, size_t len, uint64_t off)
{
	struct memory *m = memory_of(s);
	const struct chunk *chunk;
	ssize_t count = -ENOENT;

	lock_lock(&m->lock);
	chunk = find_locked(m, name);
	if (chunk) {
		size_t rest = off < chunk->size ? chunk->size - (size_t)off : 0;

		count = (ssize_t)(len < rest ? len : rest);
		memcpy(buf, chunk->bytes + (rest ? off : 0), (size_t)count);
	}
	lock_unlock(&m->lock);
	return count;
}

static int memory_del(struct store *s, const uint8_t *name)
{
	struct memory *m = memory_of(s);
	struct chunk *chunk;
	uint8_t *bytes = NULL;

	lock_lock(&m->lock);
	chunk = find_locked(m, name);
	if (chunk) {
		bytes = chunk->bytes;
		m->used -= chunk->size;
		m->count--;
		memmove(chunk, chunk + 1, (size_t)(m->chunks + m->count - chunk) * sizeof *chunk);
	}
	lock_unlock(&m->lock);
	free(bytes);
	return chunk ? 0 : -ENOENT;
}

/* The next chunk after `last` (NULL: the first): name and size. False at the end. */
static bool next_chunk(struct memory *m, const uint8_t *last, struct chunk *out)
{
	size_t i = 0;
	bool found;

	lock_lock(&m->lock);
	if (last) {
		i = lower_bound_locked(m, last);
		i += i < m->count && memcmp(m->chunks[i].name, last, STORE_NAME_LEN) == 0;
	}
	found = i < m->count;
	if (found)
		*out = m->chunks[i];
	lock_unlock(&m->lock);
	return found;
}

static int memory_list(struct store *s, const uint8_t *after, store_list_fn *fn, void *arg)
{
	struct memory *m = memory_of(s);
	struct chunk chunk;
	int result = 0;

	while (!result && next_chunk(m, after, &chunk)) {
		result = fn(arg, chunk.name, chunk.size);
		after = chunk.name;
	}
	return result;
}

static int memory_scan(struct store *s, const uint8_t *name)
{
	struct memory *m = memory_of(s);
	struct store_info info = { 0 };
	uint8_t *bytes;
	ssize_t count;
	bool good;
	int err = memory_stat(s, name, &info);

	if (err)
		return err;
	bytes = malloc(info.size);
	if (!bytes)
		return -ENOMEM;
	count = memory_get(s, name, bytes, info.size, 0);
	good = count > 0 && m->verify(m->verify_arg, name, bytes, (size_t)count);
	free(bytes);
	if (count < 0)
		return (int)count;
	return good ? 0 : ERR_CORRUPT;
}

static int memory_health(struct store *s, struct store_health *out)
{
	struct memory *m = memory_of(s);

	lock_lock(&m->lock);
	out->total_bytes = m->capacity;
	out->free_bytes = m->capacity - m->used;
	lock_unlock(&m->lock);
	out->status = out->free_bytes > 0 ? 0 : -ENOSPC;
	return 0;
}

static const struct store_ops store_memory_ops = {
	.scheme = "memory",
	.close = memory_close,
	.has = memory_has,
	.stat = memory_stat,
	.put = memory_put,
	.get = memory_get,
	.del = memory_del,
	.list = memory_list,
	.scan = memory_scan,
	.health = memory_health,
};

int store_memory_new(uint64_t capacity_bytes, store_verify_fn *verify, void *arg,
		     struct store **out)
{
	struct memory *m = calloc(1, sizeof *m);

	if (!m)
		return -ENOMEM;
	m->store.ops = &store_memory_ops;
	m->store.flags = STORE_CAN_VERIFY | STORE_IS_LOCAL;
	m->verify = verify;
	m->verify_arg = arg;
	m->capacity = capacity_bytes;
	lock_init(&m->lock, LOCK_RANK_STORE);
	*out = &m->store;
	return 0;
}

int store_memory_damage(struct store *s, const uint8_t name[STORE_NAME_LEN])
{
	struct memory *m = memory_of(s);
	struct chunk *chunk;

	lock_lock(&m->lock);
	chunk = find_locked(m, name);
	if (chunk)
		chunk->bytes[0] ^= 0x55;
	lock_unlock(&m->lock);
	return chunk ? 0 : -ENOENT;
}
