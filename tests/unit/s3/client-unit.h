/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the tests of the client with a server that goes wrong share: one object, and getting it. */
#ifndef TESTS_UNIT_S3_CLIENT_UNIT_H
#define TESTS_UNIT_S3_CLIENT_UNIT_H

#include "s3-unit.h"

enum { LEN = 60000 };

static uint8_t bytes[LEN], back[LEN + 1];

static inline void open_with_object(struct lab *lab)
{
	for (size_t i = 0; i < LEN; i++)
		bytes[i] = (uint8_t)(i * 31 + (i >> 8));
	lab_open(lab);
	ck_assert_int_eq(lab_put(lab, "k", bytes, LEN), 0);
}

static inline int get_all(struct lab *lab, int64_t ms)
{
	memset(back, 0xee, sizeof back);
	return lab_call(
		lab,
		(struct s3_request){
			.verb = S3_GET, .key = "k", .into = back, .into_size = sizeof back },
		ms);
}

static inline void check_all(const struct lab *lab)
{
	ck_assert_uint_eq(lab->len, LEN);
	ck_assert_mem_eq(back, bytes, LEN);
}

#endif
