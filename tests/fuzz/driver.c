/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Runs a fuzzer without libFuzzer, so that every `make check` does: on inputs that are made from
 * the fuzzer's own seeds by the same random changes each time. With --enable-fuzzers the fuzzers
 * are linked with libFuzzer instead, which looks for new paths: `tests/fuzz/fuzz-NAME
 * -max_total_time=60`.
 *
 *   FUZZ_ROUNDS  inputs to try (default 200000)
 *   FUZZ_SEED    where the random numbers begin
 *
 * Arguments are files to try instead, such as an input that libFuzzer kept.
 */
#include "config.h"

#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DRIVER_INPUT_MAX = 1024, DRIVER_CHANGES_MAX = 8 };

static uint64_t driver_state;

static size_t driver_below(size_t below)
{
	driver_state ^= driver_state << 13;
	driver_state ^= driver_state >> 7;
	driver_state ^= driver_state << 17;
	return (size_t)(driver_state % below);
}

/* Changes one byte, or moves, drops or doubles some; the new length. */
static size_t driver_change(uint8_t *data, size_t len)
{
	static const uint8_t often[] = {
		0, 1, 0x7f, 0x80, 0xff, ' ', '/', '\n', '"', '0', '[', '='
	};
	size_t at = driver_below(len + 1), some = 1 + driver_below(16);
	uint8_t byte = driver_below(2) ? often[driver_below(sizeof(often))]
				       : (uint8_t)driver_below(256);

	some = some < len - at ? some : len - at;
	switch (driver_below(4)) {
	case 0:
		if (at < len)
			data[at] = byte;
		return len;
	case 1:
		memmove(data + at, data + at + some, len - at - some);
		return len - some;
	case 2:
		if (len + some > DRIVER_INPUT_MAX)
			return at;
		memmove(data + at + some, data + at, len - at);
		return len + some;
	default:
		if (len == DRIVER_INPUT_MAX)
			return len;
		memmove(data + at + 1, data + at, len - at);
		data[at] = byte;
		return len + 1;
	}
}

/* Gives the fuzzer an input of its exact size, so that a sanitizer sees a read past its end. */
static void driver_try(const uint8_t *data, size_t len)
{
	uint8_t *exact = malloc(len ? len : 1);

	if (!exact)
		abort();
	memcpy(exact, data, len);
	LLVMFuzzerTestOneInput(exact, len);
	free(exact);
}

static int driver_try_file(const char *path)
{
	static uint8_t data[1 << 20];
	FILE *f = fopen(path, "rb");

	if (!f) {
		perror(path);
		return EXIT_FAILURE;
	}
	size_t len = fread(data, 1, sizeof(data), f);

	fclose(f);
	driver_try(data, len);
	return EXIT_SUCCESS;
}

static uint64_t driver_setting(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 10) : otherwise;
}

int main(int argc, char **argv)
{
	uint64_t rounds = driver_setting("FUZZ_ROUNDS", 200000);
	uint8_t data[DRIVER_INPUT_MAX];
	int failed = EXIT_SUCCESS;

	for (int i = 1; i < argc; i++)
		failed |= driver_try_file(argv[i]);
	if (argc > 1)
		return failed;
	driver_state = driver_setting("FUZZ_SEED", 0) ^ UINT64_C(0x9e3779b97f4a7c15);
	for (uint64_t round = 0; round < rounds; round++) {
		const struct fuzz_seed *seed = &fuzz_seeds[round % fuzz_seed_count];
		size_t len = seed->len,
		       changes = round < fuzz_seed_count ? 0 : 1 + driver_below(DRIVER_CHANGES_MAX);

		memcpy(data, seed->data, len);
		while (changes--)
			len = driver_change(data, len);
		driver_try(data, len);
	}
	return EXIT_SUCCESS;
}
