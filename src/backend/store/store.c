/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The wrappers around the drivers' callbacks: what callers and drivers owe is checked here. */
#include "config.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "backend/store/store.h"

void store_close(struct store *s)
{
	if (s)
		s->ops->close(s);
}

int store_has(struct store *s, const uint8_t name[STORE_NAME_LEN])
{
	int result = s->ops->has(s, name);

	assert(result <= 1);
	return result;
}

int store_stat(struct store *s, const uint8_t name[STORE_NAME_LEN], struct store_info *out)
{
	struct store_info info = { 0 };
	int err = s->ops->stat(s, name, &info);

	assert(err <= 0);
	if (!err)
		*out = info;
	return err;
}

int store_put(struct store *s, const uint8_t name[STORE_NAME_LEN], const void *bytes, size_t len)
{
	int err;

	if (len == 0)
		return -EINVAL;
	err = s->ops->put(s, name, bytes, len);
	assert(err <= 0);
	return err;
}

ssize_t store_get(struct store *s, const uint8_t name[STORE_NAME_LEN], void *buf, size_t len,
		  uint64_t off)
{
	char nothing;
	ssize_t count;

	assert(len <= SSIZE_MAX);
	/* Whether the chunk is there is told for no bytes, too. */
	count = len > 0 ? s->ops->get(s, name, buf, len, off)
			: s->ops->get(s, name, &nothing, 1, UINT64_MAX);
	assert(count <= (ssize_t)len);
	return count;
}

int store_delete(struct store *s, const uint8_t name[STORE_NAME_LEN])
{
	int err = s->ops->del(s, name);

	assert(err <= 0);
	return err;
}

struct walk {
	store_list_fn *fn;
	void *arg;
	bool begun;
	uint8_t last[STORE_NAME_LEN];
};

static int check_order(void *arg, const uint8_t name[STORE_NAME_LEN], uint64_t size)
{
	struct walk *walk = arg;

	assert(!walk->begun || memcmp(walk->last, name, STORE_NAME_LEN) < 0);
	walk->begun = true;
	memcpy(walk->last, name, STORE_NAME_LEN);
	return walk->fn(walk->arg, name, size);
}

int store_list(struct store *s, const uint8_t *after, store_list_fn *fn, void *arg)
{
	struct walk walk = { .fn = fn, .arg = arg, .begun = after != NULL };

	if (after)
		memcpy(walk.last, after, STORE_NAME_LEN);
	return s->ops->list(s, after, check_order, &walk);
}

ssize_t store_url(struct store *s, const uint8_t name[STORE_NAME_LEN], unsigned seconds, char *out,
		  size_t size)
{
	ssize_t len;

	if (!(s->flags & STORE_CAN_URL))
		return -EOPNOTSUPP;
	len = s->ops->url(s, name, seconds, out, size);
	assert(len < (ssize_t)size);
	return len;
}

int store_scan(struct store *s, const uint8_t name[STORE_NAME_LEN])
{
	int err = s->ops->scan(s, name);

	assert(err <= 0);
	return err;
}

int store_health(struct store *s, struct store_health *out)
{
	struct store_health health = { 0 };
	int err = s->ops->health(s, &health);

	assert(err <= 0 && health.status <= 0);
	if (!err)
		*out = health;
	return err;
}
