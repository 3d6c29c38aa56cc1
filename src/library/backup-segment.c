/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Packing and unpacking of segments. */
#include "config.h"

#include "library/backup-segment.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#include "util/cleanup.h"
#include "util/err.h"
#include "util/io.h"

enum { SEGMENT_VERSION = 1, SEGMENT_LEVEL = 3, SEGMENT_HASH = 32, SEGMENT_PAGE_MAX = 65536 };

static const char segment_magic[8] = "garnmeta";

struct segment_part {
	uint64_t at;
	size_t len;
};

struct backup_segment {
	struct backup_segment_head head; /* of the part that is being made */
	int dir_fd, fd;                  /* fd: the file; -1: not needed yet */
	uint64_t file_len, bytes, pages;
	struct buf numbers, raw; /* of the part that is being made */
	struct buf last;         /* the body of the last part */
	struct segment_part *parts;
	uint32_t count, room;
	ZSTD_CCtx *zstd;
};

void backup_segment_key(const struct backup_segment_name *name, char key[BACKUP_SEGMENT_KEY_MAX])
{
	snprintf(key, BACKUP_SEGMENT_KEY_MAX,
		 "meta/%08" PRIx32 "/%012" PRIx64 "-%012" PRIx64 "-%04" PRIx32 "-%04" PRIx32,
		 name->epoch, name->to, name->from, name->part, name->parts);
}

bool backup_segment_parse(const char *key, struct backup_segment_name *out)
{
	struct backup_segment_name name;
	char again[BACKUP_SEGMENT_KEY_MAX];

	if (sscanf(key, "meta/%8" SCNx32 "/%12" SCNx64 "-%12" SCNx64 "-%4" SCNx32 "-%4" SCNx32,
		   &name.epoch, &name.to, &name.from, &name.part, &name.parts) != 5)
		return false;
	backup_segment_key(&name, again);
	if (strcmp(again, key) != 0 || name.from >= name.to || name.part >= name.parts)
		return false;
	*out = name;
	return true;
}

/* The finaliser of splitmix64 (Steele, Lea, Flood, 2014): without it pages that change places would go unnoticed. */
static uint64_t segment_mix(uint64_t x)
{
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

uint64_t backup_page_sum(uint32_t page, const void *bytes, size_t len)
{
	uint8_t hash[SEGMENT_HASH] = { 0 };
	uint64_t word = 0;

	EVP_Digest(bytes, len, hash, NULL, EVP_sha256(), NULL);
	for (int i = 0; i < 8; i++)
		word = word << 8 | hash[i];
	word = segment_mix(word + page * UINT64_C(0x9e3779b97f4a7c15));
	return word ? word : 1;
}

static void segment_put(unsigned char **p, uint64_t value, int bytes)
{
	for (int i = 0; i < bytes; i++)
		*(*p)++ = (unsigned char)(value >> 8 * i);
}

static uint64_t segment_get(const unsigned char **p, int bytes)
{
	uint64_t value = 0;

	for (int i = 0; i < bytes; i++)
		value |= (uint64_t) * (*p)++ << 8 * i;
	return value;
}

static void segment_write_head(const struct backup_segment_head *h, unsigned char *p)
{
	memcpy(p, segment_magic, sizeof(segment_magic));
	p += sizeof(segment_magic);
	segment_put(&p, h->version, 4);
	segment_put(&p, h->page_size, 4);
	segment_put(&p, h->from, 8);
	segment_put(&p, h->to, 8);
	segment_put(&p, h->part, 4);
	segment_put(&p, h->last, 4);
	segment_put(&p, h->pages, 4);
	segment_put(&p, h->count, 4);
	segment_put(&p, h->sum, 8);
	segment_put(&p, (uint64_t)h->at_ns, 8);
	memcpy(p, h->library, 16);
	memcpy(p + 16, h->run, 16);
	p += 32;
	segment_put(&p, h->raw_len, 4);
	segment_put(&p, h->packed_len, 4);
}

static void segment_read_head(const unsigned char *p, struct backup_segment_head *h)
{
	p += sizeof(segment_magic);
	h->version = (uint32_t)segment_get(&p, 4);
	h->page_size = (uint32_t)segment_get(&p, 4);
	h->from = segment_get(&p, 8);
	h->to = segment_get(&p, 8);
	h->part = (uint32_t)segment_get(&p, 4);
	h->last = (uint32_t)segment_get(&p, 4);
	h->pages = (uint32_t)segment_get(&p, 4);
	h->count = (uint32_t)segment_get(&p, 4);
	h->sum = segment_get(&p, 8);
	h->at_ns = (int64_t)segment_get(&p, 8);
	memcpy(h->library, p, 16);
	memcpy(h->run, p + 16, 16);
	p += 32;
	h->raw_len = (uint32_t)segment_get(&p, 4);
	h->packed_len = (uint32_t)segment_get(&p, 4);
}

struct backup_segment *backup_segment_new(const struct backup_segment_head *head, int dir_fd)
{
	struct backup_segment *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->head = *head;
	s->head.version = SEGMENT_VERSION;
	s->head.part = s->head.last = s->head.pages = 0;
	s->dir_fd = dir_fd;
	s->fd = -1;
	s->zstd = ZSTD_createCCtx();
	if (s->zstd)
		return s;
	free(s);
	return NULL;
}

void backup_segment_free(struct backup_segment *s)
{
	if (!s)
		return;
	if (s->fd >= 0)
		close(s->fd);
	ZSTD_freeCCtx(s->zstd);
	buf_release(&s->numbers);
	buf_release(&s->raw);
	buf_release(&s->last);
	free(s->parts);
	free(s);
}

/* A file without a name; where the disk has none such, one that loses it at once. */
static int segment_file(struct backup_segment *s)
{
	static const char name[] = "backup.part";

	s->fd = openat(s->dir_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (s->fd >= 0)
		return 0;
	s->fd = openat(s->dir_fd, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (s->fd < 0)
		return -errno;
	return unlinkat(s->dir_fd, name, 0) < 0 ? -errno : 0;
}

/* Moves the part that was the last so far to the file. */
static int segment_file_last(struct backup_segment *s)
{
	int err = s->fd < 0 ? segment_file(s) : 0;

	if (!err)
		err = io_pwrite_full(s->fd, s->last.data, s->last.len, s->file_len);
	if (!err)
		s->file_len += s->last.len;
	return err;
}

static int segment_new_part(struct backup_segment *s)
{
	if (s->count == BACKUP_SEGMENT_PARTS_MAX)
		return -EFBIG;
	if (s->count == s->room) {
		uint32_t room = s->room ? 2 * s->room : 16;
		struct segment_part *parts = realloc(s->parts, room * sizeof(*parts));

		if (!parts)
			return -ENOMEM;
		s->parts = parts;
		s->room = room;
	}
	int err = s->count ? segment_file_last(s) : 0;

	if (!err)
		s->parts[s->count++] = (struct segment_part){ .at = s->file_len };
	return err;
}

/* Packs the pages that were added since into `last`: head, frame, hash. */
static int segment_pack(struct backup_segment *s)
{
	struct backup_segment_head *h = &s->head;
	size_t room = ZSTD_compressBound(s->numbers.len + s->raw.len), packed = 0;
	int err = buf_reserve(&s->numbers, s->raw.len);

	if (!err && s->raw.len)
		err = buf_add(&s->numbers, s->raw.data, s->raw.len);
	buf_reset(&s->last);
	if (!err)
		err = buf_reserve(&s->last, BACKUP_SEGMENT_HEAD + room + SEGMENT_HASH);
	if (err)
		return err;
	packed = ZSTD_compressCCtx(s->zstd, s->last.data + BACKUP_SEGMENT_HEAD, room,
				   buf_str(&s->numbers), s->numbers.len, SEGMENT_LEVEL);
	if (ZSTD_isError(packed))
		return -ENOMEM;
	h->raw_len = (uint32_t)s->numbers.len;
	h->packed_len = (uint32_t)packed;
	s->last.len = BACKUP_SEGMENT_HEAD + packed;
	segment_write_head(h, (unsigned char *)s->last.data);
	if (!EVP_Digest(s->last.data, s->last.len, (unsigned char *)s->last.data + s->last.len,
			NULL, EVP_sha256(), NULL))
		return -EIO;
	s->last.len += SEGMENT_HASH;
	return 0;
}

static int segment_end_part(struct backup_segment *s)
{
	int err = segment_new_part(s);

	if (!err)
		err = segment_pack(s);
	if (err)
		return err;
	s->parts[s->count - 1].len = s->last.len;
	s->bytes += s->last.len;
	s->head.part++;
	s->head.pages = 0;
	buf_reset(&s->numbers);
	buf_reset(&s->raw);
	return 0;
}

int backup_segment_add(struct backup_segment *s, uint32_t page, const void *bytes)
{
	unsigned char number[4], *p = number;
	int err = 0;

	if (s->head.pages == BACKUP_SEGMENT_PAGES)
		err = segment_end_part(s);
	segment_put(&p, page, 4);
	if (!err)
		err = buf_add(&s->numbers, number, sizeof(number));
	if (!err)
		err = buf_add(&s->raw, bytes, s->head.page_size);
	if (err)
		return err;
	s->head.pages++;
	s->pages++;
	return 0;
}

int backup_segment_end(struct backup_segment *s, uint64_t sum)
{
	s->head.sum = sum;
	s->head.last = 1;
	int err = segment_end_part(s);

	buf_release(&s->numbers);
	buf_release(&s->raw);
	return err;
}

const struct backup_segment_head *backup_segment_head(const struct backup_segment *s)
{
	return &s->head;
}

uint64_t backup_segment_pages(const struct backup_segment *s)
{
	return s->pages;
}

uint64_t backup_segment_bytes(const struct backup_segment *s)
{
	return s->bytes;
}

uint32_t backup_segment_parts(const struct backup_segment *s)
{
	return s->count;
}

int backup_segment_body(const struct backup_segment *s, uint32_t part, struct buf *out)
{
	const struct segment_part *p = &s->parts[part];

	if (part == s->count - 1)
		return buf_add(out, s->last.data, s->last.len);
	int err = buf_reserve(out, p->len);

	if (err)
		return err;
	ssize_t got = io_pread_full(s->fd, out->data + out->len, p->len, p->at);

	if (got != (ssize_t)p->len)
		return got < 0 ? (int)got : -EIO;
	out->len += p->len;
	return 0;
}

static bool segment_head_good(const struct backup_segment_head *h, size_t len)
{
	return h->page_size >= 512 && h->page_size <= SEGMENT_PAGE_MAX &&
	       !(h->page_size & (h->page_size - 1)) && h->from < h->to &&
	       h->pages <= BACKUP_SEGMENT_PAGES &&
	       h->raw_len == (uint64_t)h->pages * (4 + h->page_size) &&
	       h->packed_len == len - BACKUP_SEGMENT_HEAD - SEGMENT_HASH;
}

/* Page numbers rise and lie within the database. */
static bool segment_pages_good(const struct backup_segment_head *h, const struct buf *raw)
{
	uint32_t before = 0, page;

	for (uint32_t i = 0; i < h->pages; i++, before = page) {
		backup_segment_page(h, raw, i, &page);
		if (page <= before || page > h->count)
			return false;
	}
	return true;
}

int backup_segment_read(const void *body, size_t len, struct backup_segment_head *head,
			struct buf *raw)
{
	uint8_t hash[SEGMENT_HASH];
	const unsigned char *b = body;
	struct backup_segment_head h;

	if (len < BACKUP_SEGMENT_HEAD + SEGMENT_HASH ||
	    memcmp(b, segment_magic, sizeof(segment_magic)) != 0 ||
	    !EVP_Digest(b, len - SEGMENT_HASH, hash, NULL, EVP_sha256(), NULL) ||
	    memcmp(hash, b + len - SEGMENT_HASH, SEGMENT_HASH) != 0)
		return ERR_CORRUPT;
	segment_read_head(b, &h);
	if (h.version != SEGMENT_VERSION)
		return ERR_FUTURE;
	if (!segment_head_good(&h, len))
		return ERR_CORRUPT;
	buf_reset(raw);
	int err = buf_reserve(raw, h.raw_len);

	if (err)
		return err;
	if (ZSTD_decompress(raw->data, h.raw_len, b + BACKUP_SEGMENT_HEAD, h.packed_len) !=
	    h.raw_len)
		return ERR_CORRUPT;
	raw->len = h.raw_len;
	if (!segment_pages_good(&h, raw))
		return ERR_CORRUPT;
	*head = h;
	return 0;
}

const void *backup_segment_page(const struct backup_segment_head *head, const struct buf *raw,
				uint32_t index, uint32_t *page)
{
	const unsigned char *p = (const unsigned char *)raw->data + (size_t)4 * index;

	*page = (uint32_t)segment_get(&p, 4);
	return raw->data + (size_t)4 * head->pages + (size_t)index * head->page_size;
}
