/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Writing and reading manifests. */
#include "config.h"

#include "content/manifest.h"
#include "content/chunker.h"
#include "util/err.h"

#include <errno.h>
#include <string.h>

enum { MANIFEST_NUMBER_MAX = 10 }; /* bytes of a 64-bit number */

static int manifest_add_number(struct buf *b, uint64_t number)
{
	uint8_t bytes[MANIFEST_NUMBER_MAX];
	size_t len = 0;

	while (number >= 0x80) {
		bytes[len++] = (uint8_t)(number | 0x80);
		number >>= 7;
	}
	bytes[len++] = (uint8_t)number;
	return buf_add(b, bytes, len);
}

int manifest_init(struct manifest *m, enum hash_algo algo, uint64_t size)
{
	const uint8_t head[] = { MANIFEST_VERSION, (uint8_t)algo };

	*m = (struct manifest){ .algo = algo, .size = size };
	int err = buf_add(&m->bytes, head, sizeof(head));

	if (!err)
		err = manifest_add_number(&m->bytes, size);
	if (err)
		manifest_release(m);
	return err;
}

void manifest_release(struct manifest *m)
{
	buf_release(&m->bytes);
}

/* Writes the hole that was held back. */
static int manifest_flush_hole(struct manifest *m)
{
	if (!m->hole)
		return 0;
	int err = manifest_add_number(&m->bytes, m->hole << 1 | 1);

	if (!err)
		m->hole = 0;
	return err;
}

int manifest_add_chunk(struct manifest *m, uint32_t len, const struct hash *hash)
{
	if (!len || len > CHUNKER_LEN_MAX || len > m->size - m->at)
		return -EINVAL;
	int err = manifest_flush_hole(m);

	if (!err)
		err = buf_reserve(&m->bytes, MANIFEST_NUMBER_MAX + HASH_LEN);
	if (err)
		return err;
	m->at += len;
	manifest_add_number(&m->bytes, (uint64_t)len << 1);
	return buf_add(&m->bytes, hash->b, HASH_LEN);
}

int manifest_add_hole(struct manifest *m, uint64_t len)
{
	if (len > m->size - m->at || m->hole + len > UINT64_MAX >> 1)
		return -EINVAL;
	m->at += len;
	m->hole += len;
	return 0;
}

int manifest_end(struct manifest *m, struct hash *root)
{
	if (m->at != m->size)
		return -EINVAL;
	int err = manifest_flush_hole(m);

	return err ? err : hash_data(m->algo, m->bytes.data, m->bytes.len, root);
}

struct manifest_cursor {
	const uint8_t *at;
	size_t left;
	bool after_hole;
};

/* The next number, or ERR_CORRUPT when cut short, longer than 64 bits or not the shortest form. */
static int manifest_get_number(struct manifest_cursor *c, uint64_t *out)
{
	uint64_t number = 0;

	for (unsigned i = 0; i < MANIFEST_NUMBER_MAX && i < c->left; i++) {
		uint8_t byte = c->at[i];

		number |= (uint64_t)(byte & 0x7f) << (7 * i);
		if (byte & 0x80)
			continue;
		if ((i && !byte) || (i == MANIFEST_NUMBER_MAX - 1 && byte > 1))
			return ERR_CORRUPT;
		c->at += i + 1;
		c->left -= i + 1;
		*out = number;
		return 0;
	}
	return ERR_CORRUPT;
}

static int manifest_get_head(struct manifest_cursor *c, struct manifest_head *head)
{
	if (c->left < 2 || c->at[0] == 0)
		return ERR_CORRUPT;
	enum hash_algo algo = (enum hash_algo)c->at[1];

	if (c->at[0] != MANIFEST_VERSION || !hash_algo_name(algo))
		return ERR_FUTURE;
	c->at += 2;
	c->left -= 2;
	head->algo = algo;
	return manifest_get_number(c, &head->size);
}

/*
 * Reads the part that begins at part->offset, of which `room` bytes are left to the end; its hash
 * goes to *hash.
 */
static int manifest_get_part(struct manifest_cursor *c, uint64_t room, struct manifest_part *part,
			     struct hash *hash)
{
	uint64_t number;
	int err = manifest_get_number(c, &number);

	if (err)
		return err;
	bool hole = number & 1;

	part->len = number >> 1;
	part->hash = hole ? NULL : hash;
	if (!part->len || part->len > room || (hole && c->after_hole))
		return ERR_CORRUPT;
	c->after_hole = hole;
	if (hole)
		return 0;
	if (part->len > CHUNKER_LEN_MAX || c->left < HASH_LEN)
		return ERR_CORRUPT;
	memcpy(hash->b, c->at, HASH_LEN);
	c->at += HASH_LEN;
	c->left -= HASH_LEN;
	return 0;
}

int manifest_read(const void *data, size_t len, struct manifest_head *head,
		  int (*part)(void *arg, const struct manifest_part *part), void *arg)
{
	struct manifest_cursor c = { .at = data, .left = len };
	struct manifest_head own;
	struct manifest_part p = { .offset = 0 };
	struct hash hash;
	int err = manifest_get_head(&c, &own);

	if (err)
		return err;
	if (head)
		*head = own;
	while (p.offset < own.size) {
		err = manifest_get_part(&c, own.size - p.offset, &p, &hash);
		if (!err)
			err = part(arg, &p);
		if (err)
			return err;
		p.offset += p.len;
	}
	return c.left ? ERR_CORRUPT : 0;
}
