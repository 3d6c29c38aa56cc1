/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Manifests: what is taken is written again as the very same bytes; everything else is refused as
 * damaged or from the future.
 */
#include "config.h"

#include "content/chunker.h"
#include "content/manifest.h"
#include "fuzz.h"
#include "util/err.h"

#include <assert.h>
#include <string.h>

#define HASH_TEXT "0123456789abcdef0123456789abcdef"

const struct fuzz_seed fuzz_seeds[] = {
	FUZZ_SEED("\1\1\0"),
	FUZZ_SEED("\1\1\xac\x86\x01\xc8\x01" HASH_TEXT "\x81\x80\x02\x90\x0b" HASH_TEXT),
	FUZZ_SEED("\1\1\xff\xff\xff\xff\xff\xff\xff\xff\x7f\xff\xff\xff\xff\xff\xff\xff\xff\xff\1"),
	FUZZ_SEED("\1\1\3\2" HASH_TEXT "\2" HASH_TEXT "\2" HASH_TEXT),
};
const size_t fuzz_seed_count = sizeof(fuzz_seeds) / sizeof(fuzz_seeds[0]);

/* The first part begins the copy, which needs the size that the head says. */
struct copy {
	struct manifest_head head;
	struct manifest manifest;
	bool begun;
};

static void copy_begin(struct copy *c)
{
	if (c->begun)
		return;
	int err = manifest_init(&c->manifest, c->head.algo, c->head.size);

	assert(!err);
	c->begun = true;
}

static int copy_part(void *arg, const struct manifest_part *part)
{
	struct copy *c = arg;

	copy_begin(c);
	assert(part->offset == c->manifest.at);
	assert(part->len > 0 && part->len <= c->head.size - part->offset);
	assert(!part->hash || part->len <= CHUNKER_LEN_MAX);
	return part->hash ? manifest_add_chunk(&c->manifest, (uint32_t)part->len, part->hash)
			  : manifest_add_hole(&c->manifest, part->len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct copy c = { .begun = false };
	struct hash root;
	int err = manifest_read(data, len, &c.head, copy_part, &c);

	assert(err == 0 || err == ERR_CORRUPT || err == ERR_FUTURE);
	if (!err && hash_available(c.head.algo)) {
		copy_begin(&c);
		err = manifest_end(&c.manifest, &root);
		assert(!err);
		assert(c.manifest.bytes.len == len &&
		       memcmp(c.manifest.bytes.data, data, len) == 0);
	}
	if (c.begun)
		manifest_release(&c.manifest);
	return 0;
}
