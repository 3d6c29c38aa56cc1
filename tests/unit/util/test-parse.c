/* SPDX-License-Identifier: GPL-3.0-or-later */
/* util/parse.h */
#include "config.h"

#include "../unit.h"
#include "util/parse.h"
#include "util/time.h"

#include <errno.h>

START_TEST(sizes)
{
	static const struct {
		const char *text;
		int err;
		uint64_t value;
	} cases[] = {
		{ "0", 0, 0 },
		{ "17", 0, 17 },
		{ "17B", 0, 17 },
		{ "8k", 0, 8192 },
		{ "8K", 0, 8192 },
		{ "8KiB", 0, 8192 },
		{ "8kB", 0, 8000 },
		{ "4M", 0, 4194304 },
		{ "4m", 0, 4194304 },
		{ "4MiB", 0, 4194304 },
		{ "4MB", 0, 4000000 },
		{ "1G", 0, 1073741824 },
		{ "1GB", 0, 1000000000 },
		{ "2TiB", 0, UINT64_C(2) << 40 },
		{ "3PB", 0, UINT64_C(3000000000000000) },
		{ "18446744073709551615", 0, UINT64_MAX },
		{ "18446744073709551616", -ERANGE, 0 },
		{ "16384P", -ERANGE, 0 },
		{ "16383P", 0, UINT64_C(16383) << 50 },
		{ "99999999999999999999k", -ERANGE, 0 },
		{ "", -EINVAL, 0 },
		{ "k", -EINVAL, 0 },
		{ "-1", -EINVAL, 0 },
		{ "+1", -EINVAL, 0 },
		{ " 1", -EINVAL, 0 },
		{ "1 ", -EINVAL, 0 },
		{ "1 M", -EINVAL, 0 },
		{ "1.5M", -EINVAL, 0 },
		{ "1X", -EINVAL, 0 },
		{ "1MX", -EINVAL, 0 },
		{ "1Mi", -EINVAL, 0 },
		{ "1iB", -EINVAL, 0 },
		{ "1MiBs", -EINVAL, 0 },
		{ "1\x0b", -EINVAL, 0 },
		{ "0x10", -EINVAL, 0 },
		{ "99999999999999999999X", -EINVAL, 0 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t value = 0;

		ck_assert_msg(parse_size(cases[i].text, &value) == cases[i].err, "%s",
			      cases[i].text);
		ck_assert_msg(value == cases[i].value, "%s", cases[i].text);
	}
}
END_TEST

START_TEST(durations)
{
	static const struct {
		const char *text;
		int err;
		int64_t value;
	} cases[] = {
		{ "0", 0, 0 },
		{ "5ns", 0, 5 },
		{ "5us", 0, 5000 },
		{ "250ms", 0, 250 * TIME_NS_PER_MS },
		{ "2s", 0, 2 * TIME_NS_PER_S },
		{ "3m", 0, 180 * TIME_NS_PER_S },
		{ "24h", 0, 86400 * TIME_NS_PER_S },
		{ "30d", 0, 30 * 86400 * TIME_NS_PER_S },
		{ "2w", 0, 14 * 86400 * TIME_NS_PER_S },
		{ "9223372036s", 0, 9223372036 * TIME_NS_PER_S },
		{ "9223372037s", -ERANGE, 0 },
		{ "99999999999999999999s", -ERANGE, 0 },
		{ "1", -EINVAL, 0 },
		{ "s", -EINVAL, 0 },
		{ "", -EINVAL, 0 },
		{ "-2s", -EINVAL, 0 },
		{ "2 s", -EINVAL, 0 },
		{ "2S", -EINVAL, 0 },
		{ "2y", -EINVAL, 0 },
		{ "1h30m", -EINVAL, 0 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int64_t value = 0;

		ck_assert_msg(parse_duration(cases[i].text, &value) == cases[i].err, "%s",
			      cases[i].text);
		ck_assert_msg(value == cases[i].value, "%s", cases[i].text);
	}
}
END_TEST

START_TEST(numbers)
{
	uint64_t value = 1;
	uint32_t octal = 1;

	ck_assert_int_eq(parse_u64("65535", 65535, &value), 0);
	ck_assert_uint_eq(value, 65535);
	ck_assert_int_eq(parse_u64("65536", 65535, &value), -ERANGE);
	ck_assert_int_eq(parse_u64("12a", 65535, &value), -EINVAL);
	ck_assert_int_eq(parse_u64("", 65535, &value), -EINVAL);
	ck_assert_uint_eq(value, 65535);
	ck_assert_int_eq(parse_octal("022", 0777, &octal), 0);
	ck_assert_uint_eq(octal, 022);
	ck_assert_int_eq(parse_octal("1000", 0777, &octal), -ERANGE);
	ck_assert_int_eq(parse_octal("028", 0777, &octal), -EINVAL);
	ck_assert_uint_eq(octal, 022);
}
END_TEST

START_TEST(truths)
{
	static const char *const words[] = { "no", "false", "off", "0", "yes", "true", "on", "1" };
	bool value;

	for (int i = 0; i < 8; i++) {
		value = i < 4;
		ck_assert_int_eq(parse_bool(words[i], &value), 0);
		ck_assert_int_eq(value, i >= 4);
	}
	ck_assert_int_eq(parse_bool("Yes", &value), -EINVAL);
	ck_assert_int_eq(parse_bool("", &value), -EINVAL);
	ck_assert_int_eq(parse_bool("yes ", &value), -EINVAL);
}
END_TEST

UNIT_MAIN("parse", 10, sizes, durations, numbers, truths)
