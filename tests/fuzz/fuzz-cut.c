/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Cutting: the first bytes choose the parameters and the rest is content, cut at once and as it
 * grows, with the same result and lengths in their bounds. Chunks are small here, so that short
 * inputs have many.
 */
#include "config.h"

#include "content/chunker.h"
#include "fuzz.h"

#include <assert.h>

const struct fuzz_seed fuzz_seeds[] = {
	FUZZ_SEED("\0\0\0\0abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrst"
		  "uvwxyz"
		  "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz"
		  "01234567890123456789012345678901234567890123456789012345678901234567890123456789"
		  "01234567890"),
	FUZZ_SEED("\1\0\x10\x07 fixed"),
};
const size_t fuzz_seed_count = sizeof(fuzz_seeds) / sizeof(fuzz_seeds[0]);

static struct chunker_params choose(const uint8_t *data)
{
	uint32_t fixed = 1U + data[2];

	if (data[0] & 1)
		return (struct chunker_params){ CHUNKER_FIXED, fixed, fixed, fixed };
	return (struct chunker_params){ CHUNKER_FASTCDC, 64U + data[1] % 64, 128, 128U + data[2] };
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct chunker c;
	size_t at = 0, have = 0, done = 0;

	if (len < 4)
		return 0;
	size_t step = 1U + data[3];
	struct chunker_params params = choose(data);

	data += 4;
	len -= 4;
	if (chunker_init(&c, &params))
		return 0;
	while (at < len) {
		size_t whole = chunker_cut(&c, data + at, len - at, true);
		size_t part = 0;

		assert(whole && whole <= params.max && whole <= len - at);
		assert(whole >= params.min || whole == len - at);
		while (!(part = chunker_resume(&c, data + at, have - at, have == len, &done)))
			have = have + step < len ? have + step : len;
		assert(part == whole);
		at += part;
		done = 0;
		have = have > at ? have : at;
	}
	return 0;
}
