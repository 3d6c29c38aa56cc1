/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Segments of a backup. The input is laid over the head and the beginning of the packed pages of a good one, and the hash at its end made right again, so that what is behind the hash is reached; and it
 * is read as a key. What is taken has page numbers that rise, within the database, and all the bytes that it tells of.
 */
#include "config.h"

#include "fuzz.h"
#include "library/backup-segment.h"
#include "util/cleanup.h"
#include "util/err.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE = 512, PAGES = 5, HASH = 32, MAGIC = 8 };

const struct fuzz_seed fuzz_seeds[] = {
	FUZZ_SEED(""),
	FUZZ_SEED("\0\0\0\0\0\0\0\0\0"),
	FUZZ_SEED("meta/00000001/00000000000b-00000000000a-0000-0001"),
	FUZZ_SEED("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1"),
};
const size_t fuzz_seed_count = sizeof(fuzz_seeds) / sizeof(fuzz_seeds[0]);

static void make(struct buf *body)
{
	const struct backup_segment_head head = {
		.page_size = PAGE, .from = 1, .to = 2, .count = 9
	};
	struct backup_segment *s = backup_segment_new(&head, AT_FDCWD);
	unsigned char page[PAGE];
	int err = s ? 0 : -ENOMEM;

	for (uint32_t i = 0; i < PAGES && !err; i++) {
		memset(page, (int)i, sizeof(page));
		err = backup_segment_add(s, 2 * i + 1 < 10 ? 2 * i + 1 : 9, page);
	}
	if (!err)
		err = backup_segment_end(s, 7);
	if (!err)
		err = backup_segment_body(s, 0, body);
	assert(!err);
	backup_segment_free(s);
}

static void try_key(const uint8_t *data, size_t len)
{
	CLEANUP_FREE char *text = strndup((const char *)data, len);
	struct backup_segment_name name;
	char again[BACKUP_SEGMENT_KEY_MAX];

	if (!text || !backup_segment_parse(text, &name))
		return;
	backup_segment_key(&name, again);
	assert(!strcmp(text, again) && name.from < name.to && name.part < name.parts);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	CLEANUP_BUF struct buf body = BUF_INIT;
	CLEANUP_BUF struct buf raw = BUF_INIT;
	struct backup_segment_head head;
	uint32_t before = 0, page;

	try_key(data, len);
	make(&body);
	for (size_t i = 0; i < len && MAGIC + i < body.len - HASH; i++)
		body.data[MAGIC + i] ^= (char)data[i];
	EVP_Digest(body.data, body.len - HASH, (unsigned char *)body.data + body.len - HASH, NULL,
		   EVP_sha256(), NULL);
	int err = backup_segment_read(body.data, body.len, &head, &raw);

	assert(!err || err == ERR_CORRUPT || err == ERR_FUTURE || err == -ENOMEM);
	if (err)
		return 0;
	assert(raw.len == (size_t)head.pages * (4 + head.page_size));
	for (uint32_t i = 0; i < head.pages; i++, before = page) {
		backup_segment_page(&head, &raw, i, &page);
		assert(page > before && page <= head.count);
	}
	return 0;
}
