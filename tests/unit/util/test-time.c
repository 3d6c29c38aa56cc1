/* SPDX-License-Identifier: GPL-3.0-or-later */
/* util/time.h */
#include "config.h"

#include <sys/stat.h>

#include "../unit.h"
#include "util/time.h"

START_TEST(clocks_run)
{
	int64_t mono = time_mono_ns();
	int64_t wall = time_now_ns();

	ck_assert_int_gt(wall, INT64_C(1700000000) * TIME_NS_PER_S);
	/* The clock of time(2) lags behind by a tick. */
	ck_assert_int_le(wall / TIME_NS_PER_S, time(NULL) + 1);
	ck_assert_int_ge(time_mono_ns(), mono);
}
END_TEST

/* Stamps of files and of the clock are in the order in which they were given. */
START_TEST(file_time_goes_with_stamps_of_files)
{
	FILE *file = tmpfile();
	int64_t last = 0;

	ck_assert_ptr_nonnull(file);
	for (int i = 0; i < 2000; i++) {
		int64_t now = time_file_ns();
		struct stat st;

		ck_assert_int_ge(now, last);
		ck_assert_int_le(now, time_now_ns());
		ck_assert_int_eq(futimens(fileno(file), NULL), 0);
		ck_assert_int_eq(fstat(fileno(file), &st), 0);
		last = time_from_spec(st.st_ctim);
		ck_assert_int_ge(last, now);
	}
	fclose(file);
}
END_TEST

START_TEST(specs_go_round)
{
	static const int64_t times[] = { 0,         1,          -1,
					 999999999, -999999999, -1000000000,
					 INT64_MAX, INT64_MIN,  INT64_MIN + 1 };

	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		struct timespec ts = time_to_spec(times[i]);

		ck_assert_int_ge(ts.tv_nsec, 0);
		ck_assert_int_lt(ts.tv_nsec, TIME_NS_PER_S);
		ck_assert_int_eq(time_from_spec(ts), times[i]);
	}
}
END_TEST

START_TEST(times_out_of_range_are_the_nearest)
{
	struct timespec late = { .tv_sec = INT64_C(1) << 40, .tv_nsec = 0 };
	struct timespec early = { .tv_sec = -(INT64_C(1) << 40), .tv_nsec = 5 };

	ck_assert_int_eq(time_from_spec(late), INT64_MAX);
	ck_assert_int_eq(time_from_spec(early), INT64_MIN);
}
END_TEST

START_TEST(text_is_rfc_3339)
{
	char text[TIME_TEXT_LEN];

	time_format(0, text);
	ck_assert_str_eq(text, "1970-01-01T00:00:00.000000000Z");
	time_format(-1, text);
	ck_assert_str_eq(text, "1969-12-31T23:59:59.999999999Z");
	time_format(INT64_C(1706745599000000042), text);
	ck_assert_str_eq(text, "2024-01-31T23:59:59.000000042Z");
	time_format(INT64_MAX, text);
	ck_assert_str_eq(text, "2262-04-11T23:47:16.854775807Z");
	time_format(INT64_MIN, text);
	ck_assert_str_eq(text, "1677-09-21T00:12:43.145224192Z");
}
END_TEST

UNIT_MAIN("time", 10, clocks_run, file_time_goes_with_stamps_of_files, specs_go_round,
	  times_out_of_range_are_the_nearest, text_is_rfc_3339)
