/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The file LIBRARY/backup. */
#include "config.h"

#include "library/backup-state.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stddef.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "util/io.h"
#include "util/uuid.h"

enum { STATE_VERSION = 1 };

static const char state_magic[8] = "garnbkst";

static_assert(sizeof(struct backup_state_head) <= BACKUP_STATE_HEAD, "the head has its room");

static bool state_hash(const struct backup_state_head *head, uint8_t out[32])
{
	return EVP_Digest(head, offsetof(struct backup_state_head, check), out, NULL, EVP_sha256(),
			  NULL);
}

/* Whether what was read is a head of this library. */
static bool state_good(const struct backup_state_head *head, const uint8_t *library)
{
	uint8_t check[32];

	return !memcmp(head->magic, state_magic, sizeof(state_magic)) &&
	       head->version == STATE_VERSION && state_hash(head, check) &&
	       !memcmp(head->check, check, sizeof(check)) &&
	       !memcmp(head->library, library, sizeof(head->library));
}

static void state_begin(struct backup_state_head *head, const uint8_t *library,
			const uint8_t *place, uint32_t flags)
{
	struct uuid token;

	uuid_random(&token);
	*head = (struct backup_state_head){ .version = STATE_VERSION, .flags = flags, .next = 1 };
	memcpy(head->magic, state_magic, sizeof(state_magic));
	memcpy(head->library, library, sizeof(head->library));
	memcpy(head->place, place, sizeof(head->place));
	memcpy(head->token, token.b, sizeof(head->token));
}

int backup_state_open(int dir_fd, const uint8_t library[16], const uint8_t place[16],
		      struct backup_state *out)
{
	struct backup_state_head head = { 0 };

	memset(out, 0, sizeof(*out));
	out->fd = openat(dir_fd, "backup", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (out->fd < 0)
		return -errno;
	int err = flock(out->fd, LOCK_EX | LOCK_NB) < 0 ? -errno : 0;
	ssize_t got = err ? 0 : io_pread_full(out->fd, &head, sizeof(head), 0);

	if (err || got < 0) {
		backup_state_close(out);
		return err == -EWOULDBLOCK ? -EBUSY : err ? err : (int)got;
	}
	out->head = head;
	if (got < (ssize_t)sizeof(head) || !state_good(&head, library))
		state_begin(&out->head, library, place, 0);
	else if (memcmp(head.place, place, sizeof(head.place)) != 0)
		state_begin(&out->head, library, place, head.flags);
	return 0;
}

void backup_state_close(struct backup_state *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}

int backup_state_reset(struct backup_state *s, uint32_t epoch)
{
	uint8_t library[16], place[16];

	memcpy(library, s->head.library, sizeof(library));
	memcpy(place, s->head.place, sizeof(place));
	state_begin(&s->head, library, place, s->head.flags);
	s->head.epoch = epoch;
	s->cached = s->dirty = false;
	return ftruncate(s->fd, BACKUP_STATE_HEAD) < 0 ? -errno : 0;
}

static uint64_t state_at(uint64_t first)
{
	return BACKUP_STATE_HEAD + first * sizeof(struct backup_entry);
}

static int state_flush(struct backup_state *s)
{
	if (!s->dirty)
		return 0;
	int err = io_pwrite_full(s->fd, s->cache, sizeof(s->cache), state_at(s->first));

	s->dirty = err != 0;
	return err;
}

/* Has the entries around PAGE in the cache. */
static int state_cache(struct backup_state *s, uint32_t page)
{
	uint64_t first = (page - 1) / BACKUP_STATE_CACHE * (uint64_t)BACKUP_STATE_CACHE;

	if (s->cached && s->first == first)
		return 0;
	int err = state_flush(s);

	if (err)
		return err;
	s->cached = false;
	ssize_t got = io_pread_full(s->fd, s->cache, sizeof(s->cache), state_at(first));

	if (got < 0)
		return (int)got;
	memset((char *)s->cache + got, 0, sizeof(s->cache) - (size_t)got);
	s->first = first;
	s->cached = true;
	return 0;
}

int backup_state_get(struct backup_state *s, uint32_t page, struct backup_entry *out)
{
	int err = state_cache(s, page);

	if (!err)
		*out = s->cache[(page - 1) % BACKUP_STATE_CACHE];
	return err;
}

int backup_state_put(struct backup_state *s, uint32_t page, struct backup_entry entry)
{
	int err = state_cache(s, page);

	if (err)
		return err;
	s->cache[(page - 1) % BACKUP_STATE_CACHE] = entry;
	s->dirty = true;
	return 0;
}

int backup_state_write(struct backup_state *s, bool sync)
{
	uint64_t synced = s->head.synced;
	int err = state_flush(s);

	/* The entries first: a head that says that they are durable is written when they are. */
	if (!err && sync)
		err = io_sync_data(s->fd);
	if (!err && sync)
		s->head.synced = s->head.seq;
	if (!err && !state_hash(&s->head, s->head.check))
		err = -EIO;
	if (!err)
		err = io_pwrite_full(s->fd, &s->head, sizeof(s->head), 0);
	if (!err && sync)
		err = io_sync_data(s->fd);
	if (err)
		s->head.synced = synced;
	return err;
}
