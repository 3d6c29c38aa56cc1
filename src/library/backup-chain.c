/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Segments in a bucket. */
#include "config.h"

#include "library/backup-chain.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static int chain_add(struct backup_chain *c, const struct backup_segment_name *name)
{
	if (c->count == c->room) {
		size_t room = c->room ? 2 * c->room : 64;
		struct backup_link *links = realloc(c->links, room * sizeof(*links));

		if (!links)
			return -ENOMEM;
		c->links = links;
		c->room = room;
	}
	c->links[c->count++] = (struct backup_link){ .from = name->from,
						     .to = name->to,
						     .parts = name->parts };
	return 0;
}

/* Parts of one segment come one after the other; of two tries with different numbers of parts neither is whole by the other's. */
static int chain_key(void *arg, const char *key, uint64_t size)
{
	struct backup_chain *c = arg;
	struct backup_segment_name name;
	struct backup_link *last = c->count ? &c->links[c->count - 1] : NULL;
	int err = 0;

	if (!backup_segment_parse(key, &name) || name.epoch != c->epoch)
		return 0;
	if (!last || last->to != name.to || last->from != name.from || last->parts != name.parts)
		err = chain_add(c, &name);
	if (err)
		return err;
	c->links[c->count - 1].have++;
	c->links[c->count - 1].bytes += size;
	return 0;
}

int backup_chain_list(struct backup_bucket *b, uint32_t epoch, struct backup_chain *out)
{
	char prefix[BACKUP_SEGMENT_KEY_MAX];
	int err;

	*out = (struct backup_chain){ .epoch = epoch };
	snprintf(prefix, sizeof(prefix), "meta/%08" PRIx32 "/", epoch);
	err = backup_bucket_list(b, prefix, chain_key, out);
	if (err)
		backup_chain_free(out);
	return err;
}

void backup_chain_free(struct backup_chain *c)
{
	free(c->links);
	*c = (struct backup_chain){ 0 };
}

const struct backup_link *backup_chain_next(const struct backup_chain *c, uint64_t at)
{
	const struct backup_link *best = NULL;

	for (size_t i = 0; i < c->count; i++) {
		const struct backup_link *l = &c->links[i];

		if (l->have == l->parts && l->from <= at && l->to > at &&
		    (!best || l->to > best->to))
			best = l;
	}
	return best;
}

uint64_t backup_chain_end(const struct backup_chain *c)
{
	const struct backup_link *l;
	uint64_t at = 0;

	while ((l = backup_chain_next(c, at)))
		at = l->to;
	return at;
}

uint64_t backup_chain_top(const struct backup_chain *c)
{
	uint64_t top = 0;

	for (size_t i = 0; i < c->count; i++)
		if (c->links[i].to > top)
			top = c->links[i].to;
	return top;
}

uint64_t backup_chain_known(const struct backup_chain *c)
{
	uint64_t known = 0;

	for (size_t i = 0; i < c->count; i++) {
		const struct backup_link *l = &c->links[i];
		uint64_t state = l->have == l->parts ? l->to : l->from;

		known = state > known ? state : known;
	}
	return known;
}

void backup_chain_drop(struct backup_chain *c, const struct backup_link *link)
{
	for (size_t i = 0; i < c->count; i++) {
		struct backup_link *l = &c->links[i];

		if (l->from == link->from && l->to == link->to && l->parts == link->parts)
			l->have = 0;
	}
}
