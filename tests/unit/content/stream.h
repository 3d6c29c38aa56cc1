/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Pseudo-random bytes that every run and every machine makes alike: SplitMix64, little-endian. */
#ifndef GARNER_TESTS_UNIT_CONTENT_STREAM_H
#define GARNER_TESTS_UNIT_CONTENT_STREAM_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

static inline uint64_t stream_next(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* A number from 0 to `below` - 1. */
static inline size_t stream_below(uint64_t *state, size_t below)
{
	return (size_t)(stream_next(state) % below);
}

static inline void stream_fill(uint64_t *state, uint8_t *out, size_t len)
{
	uint64_t number = 0;

	for (size_t i = 0; i < len; i++) {
		number = i % 8 ? number >> 8 : stream_next(state);
		out[i] = (uint8_t)number;
	}
}

/* `len` bytes of the stream that begins with `seed`, for free(). */
static inline uint8_t *stream_new(uint64_t seed, size_t len)
{
	uint8_t *out = malloc(len ? len : 1);

	if (out)
		stream_fill(&seed, out, len);
	return out;
}

#endif
