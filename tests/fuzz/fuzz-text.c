/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The small readers of text: numbers, sizes, times, UUIDs, hashes, digits, names and what the log
 * makes of any bytes.
 */
#include "config.h"

#include "content/hash.h"
#include "fuzz.h"
#include "util/cleanup.h"
#include "util/hex.h"
#include "util/log.h"
#include "util/name.h"
#include "util/parse.h"
#include "util/utf8.h"
#include "util/uuid.h"

#include <assert.h>
#include <string.h>
#include <strings.h>

const struct fuzz_seed fuzz_seeds[] = {
	FUZZ_SEED("16383PiB"),
	FUZZ_SEED("9223372036s"),
	FUZZ_SEED("0777"),
	FUZZ_SEED("yes"),
	FUZZ_SEED("00112233-4455-6677-8899-aabbccddeeff"),
	FUZZ_SEED("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
	FUZZ_SEED("Stra\xc3\x9f"
		  "e CAFE\xcc\x81 \xce\xb1\xcd\x85\xcc\x93.\xf0\x9f\x98\x80"),
	FUZZ_SEED("..\xff\xfe\x1b[31m\"\\"),
};
const size_t fuzz_seed_count = sizeof(fuzz_seeds) / sizeof(fuzz_seeds[0]);

static void try_numbers(const char *text)
{
	uint64_t number = 0;
	uint32_t octal = 0;
	int64_t time = 0;
	bool truth;
	size_t of_size = strspn(text, "0123456789kKmMgGtTpPiB");

	assert(parse_u64(text, 1000, &number) || number <= 1000);
	assert(parse_octal(text, 0777, &octal) || octal <= 0777);
	assert(parse_duration(text, &time) || time >= 0);
	if (!parse_size(text, &number))
		assert(of_size == strlen(text));
	if (!parse_bool(text, &truth))
		assert(strlen(text) <= 5);
}

/* What is read is written again as the same text, but for the case of its letters. */
static void try_names_of_things(const char *text, size_t len)
{
	char back[HASH_TEXT_LEN];
	unsigned char bytes[512];
	struct uuid uuid;
	struct hash hash;

	if (!uuid_read(text, len, &uuid)) {
		uuid_format(&uuid, back);
		assert(strcasecmp(back, text) == 0);
	}
	if (!hash_read(text, len, &hash)) {
		hash_hex(&hash, back);
		assert(strcasecmp(back, text) == 0);
	}
	if (len / 2 <= sizeof(bytes) && !hex_decode(text, len, bytes))
		assert(len % 2 == 0);
}

static void try_fold(const char *text, size_t len)
{
	CLEANUP_BUF struct buf once = BUF_INIT;
	CLEANUP_BUF struct buf twice = BUF_INIT;
	int err = name_check(text, len);

	if (!err)
		assert(len && len <= NAME_LEN_MAX && !memchr(text, '/', len));
	err = name_fold(text, len, &once);
	assert(!err && once.len <= 3 * len);
	err = name_fold(buf_str(&once), once.len, &twice);
	assert(!err && twice.len == once.len &&
	       memcmp(buf_str(&once), buf_str(&twice), once.len) == 0);
}

static void try_log(const char *text, size_t len)
{
	const char *name = log_name(text, len);

	for (size_t left = strlen(name), step; left; left -= step, name += step) {
		step = utf8_char_len(name, left);
		assert(step && (unsigned char)*name >= 0x20 && *name != 0x7f);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	CLEANUP_BUF struct buf text = BUF_INIT;
	int err = buf_add(&text, data, len);

	assert(!err);
	try_numbers(buf_str(&text));
	try_names_of_things(buf_str(&text), len);
	try_fold(buf_str(&text), len);
	try_log(buf_str(&text), len);
	return 0;
}
