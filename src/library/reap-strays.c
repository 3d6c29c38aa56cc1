/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the bucket has and no row names. Nothing is deleted here: what is found goes the way of all that is. */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "library/reap-internal.h"
#include "util/hex.h"

enum { STRAYS_AT_ONCE = 500 };

struct strays {
	struct meta *meta;
	struct meta_op *op; /* NULL: nothing is written down */
	enum reap_kind kind;
	size_t skip; /* of each key: the folder */
	struct reap_strays *out;
};

static int strays_row(void *arg, const struct meta_row *row)
{
	(void)arg;
	(void)row;
	return 1;
}

static int strays_write(struct strays *s)
{
	int err = s->op && meta_op_count(s->op) ? meta_apply(s->meta, s->op) : 0;

	if (s->op)
		meta_op_reset(s->op);
	return err;
}

/* What has no name of ours is not ours. */
static int strays_key(void *arg, const char *key, uint64_t size)
{
	struct strays *s = arg;
	uint8_t hash[STORE_NAME_LEN];
	bool chunk = s->kind == REAP_CHUNK;

	if (strlen(key + s->skip) != 2 * sizeof(hash) ||
	    hex_decode(key + s->skip, 2 * sizeof(hash), hash))
		return 0;
	struct meta_value name = META_B(hash, sizeof(hash));
	int got = meta_query(s->meta,
			     chunk ? META_TOMBSTONE_KNOWN_CHUNK : META_TOMBSTONE_KNOWN_OBJECT, 1,
			     &name, strays_row, NULL);

	if (got)
		return got < 0 ? got : 0;
	s->out->chunks += chunk;
	s->out->chunk_bytes += chunk ? size : 0;
	s->out->manifests += !chunk;
	if (s->op)
		META_ADD(s->op, TOMBSTONE_ADD, META_ANY, 0, META_I(s->kind), name, META_I(size));
	return s->op && meta_op_count(s->op) == STRAYS_AT_ONCE ? strays_write(s) : 0;
}

static int strays_list(struct strays *s, struct backup_ship *ship, const char *folder,
		       enum reap_kind kind)
{
	s->kind = kind;
	s->skip = strlen(folder);
	int err = backup_bucket_list(backup_ship_bucket(ship), folder, strays_key, s);
	int rest = strays_write(s);

	return err ? err : rest;
}

int reap_find_strays(struct meta *m, struct backup_ship *ship, bool dry, struct reap_strays *out)
{
	struct strays s = { .meta = m, .op = dry ? NULL : meta_op_new(), .out = out };
	int err = dry || s.op ? 0 : -ENOMEM;

	*out = (struct reap_strays){ 0 };
	if (!err)
		err = strays_list(&s, ship, STORE_S3_MANIFESTS, REAP_MANIFEST);
	if (!err)
		err = strays_list(&s, ship, STORE_S3_CHUNKS, REAP_CHUNK);
	meta_op_free(s.op);
	return err;
}
