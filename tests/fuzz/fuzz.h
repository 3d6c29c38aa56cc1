/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a fuzzer is: the function that libFuzzer calls, with assertions for what must hold on any
 * input, and a few inputs of the right form for the driver to begin with.
 */
#ifndef GARNER_TESTS_FUZZ_FUZZ_H
#define GARNER_TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

struct fuzz_seed {
	const char *data;
	size_t len; /* at most 1024 */
};

/* clang-format off */
#define FUZZ_SEED(text) { text, sizeof(text) - 1 }
/* clang-format on */

extern const struct fuzz_seed fuzz_seeds[];
extern const size_t fuzz_seed_count;

/* Tries one input; aborts where something does not hold. Returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#endif
