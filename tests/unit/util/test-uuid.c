/* SPDX-License-Identifier: GPL-3.0-or-later */
/* util/uuid.h */
#include "config.h"

#include "../unit.h"
#include "util/time.h"
#include "util/uuid.h"

#include <errno.h>
#include <string.h>

START_TEST(random_ones_are_version_4_and_differ)
{
	struct uuid all[100];

	for (int i = 0; i < 100; i++) {
		uuid_random(&all[i]);
		ck_assert_int_eq(all[i].b[6] >> 4, 4);
		ck_assert_int_eq(all[i].b[8] >> 6, 2);
		for (int k = 0; k < i; k++)
			ck_assert(!uuid_equal(&all[i], &all[k]));
	}
}
END_TEST

START_TEST(ordered_ones_are_version_7_and_sort_by_time)
{
	struct uuid earlier, later;

	uuid_ordered(&earlier);
	for (int i = 0; i < 100; i++) {
		int64_t start = time_mono_ns();

		while (time_mono_ns() - start < 1000)
			;
		uuid_ordered(&later);
		ck_assert_int_eq(later.b[6] >> 4, 7);
		ck_assert_int_eq(later.b[8] >> 6, 2);
		ck_assert_int_lt(memcmp(earlier.b, later.b, 8), 0);
		earlier = later;
	}
	uint64_t ms = 0;

	for (int i = 0; i < 6; i++)
		ms = ms << 8 | later.b[i];
	ck_assert_int_lt(llabs((long long)ms - time_now_ns() / TIME_NS_PER_MS), 5000);
}
END_TEST

START_TEST(text_goes_round)
{
	static const char text[] = "00112233-4455-6677-8899-aabbccddeeff";
	char back[UUID_TEXT_LEN];
	struct uuid u;

	ck_assert_int_eq(uuid_read(text, strlen(text), &u), 0);
	for (int i = 0; i < UUID_LEN; i++)
		ck_assert_int_eq(u.b[i], i * 0x11);
	uuid_format(&u, back);
	ck_assert_str_eq(back, text);
	ck_assert_int_eq(uuid_read("00112233-4455-6677-8899-AABBCCDDEEFF", 36, &u), 0);
	uuid_format(&u, back);
	ck_assert_str_eq(back, text);
}
END_TEST

START_TEST(other_text_is_refused)
{
	static const char *const bad[] = { "",
					   "0",
					   "00112233-4455-6677-8899-aabbccddeef",
					   "00112233-4455-6677-8899-aabbccddeeff0",
					   "0011223304455-6677-8899-aabbccddeeff",
					   "00112233-4455-6677-8899-aabbccddeefg",
					   " 0112233-4455-6677-8899-aabbccddeeff" };
	struct uuid u = { { 1 } };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_int_eq(uuid_read(bad[i], strlen(bad[i]), &u), -EINVAL);
	ck_assert_int_eq(uuid_read("00112233-4455-6677-8899-aabbccddee\0f", 36, &u), -EINVAL);
	ck_assert_int_eq(u.b[0], 1);
}
END_TEST

UNIT_MAIN("uuid", 10, random_ones_are_version_4_and_differ,
	  ordered_ones_are_version_7_and_sort_by_time, text_goes_round, other_text_is_refused)
