/* SPDX-License-Identifier: GPL-3.0-or-later */
/* util/name.h */
#include "config.h"

#include "../unit.h"
#include "util/cleanup.h"
#include "util/name.h"

#include <errno.h>
#include <string.h>

START_TEST(what_can_be_a_name)
{
	char longest[300];

	memset(longest, 'x', sizeof(longest));
	ck_assert_int_eq(name_check("a", 1), 0);
	ck_assert_int_eq(name_check("...", 3), 0);
	ck_assert_int_eq(name_check(".a", 2), 0);
	ck_assert_int_eq(name_check("\xff\xfe", 2), 0);
	ck_assert_int_eq(name_check("\n", 1), 0);
	ck_assert_int_eq(name_check(longest, 255), 0);
	ck_assert_int_eq(name_check(longest, 256), -ENAMETOOLONG);
	ck_assert_int_eq(name_check("", 0), -EINVAL);
	ck_assert_int_eq(name_check(".", 1), -EINVAL);
	ck_assert_int_eq(name_check("..", 2), -EINVAL);
	ck_assert_int_eq(name_check("a/b", 3), -EINVAL);
	ck_assert_int_eq(name_check("a\0b", 3), -EINVAL);
}
END_TEST

static void expect_fold(const char *name, const char *folded)
{
	CLEANUP_BUF struct buf out = BUF_INIT;

	ck_assert_int_eq(name_fold(name, strlen(name), &out), 0);
	ck_assert_str_eq(buf_str(&out), folded);
}

START_TEST(names_that_fold_alike)
{
	expect_fold("", "");
	expect_fold("Readme.TXT", "readme.txt");
	expect_fold("[\\]^_`@{z", "[\\]^_`@{z");
	expect_fold("stra\xc3\x9f"
		    "e",
		    "strasse");
	expect_fold("STRASSE", "strasse");
	/* E and combining acute, and the letter made of both */
	expect_fold("CAFE\xcc\x81", "caf\xc3\xa9");
	expect_fold("Caf\xc3\x89", "caf\xc3\xa9");
	/* final and other sigma */
	expect_fold("\xce\xa3\xcf\x82", "\xcf\x83\xcf\x83");
	/* iota subscript before and after another mark */
	expect_fold("\xce\xb1\xcd\x85\xcc\x93", "\xe1\xbc\x80\xce\xb9");
	expect_fold("\xe1\xbe\x80", "\xe1\xbc\x80\xce\xb9");
	/* dotless i keeps apart */
	expect_fold("I\xc4\xb1", "i\xc4\xb1");
}
END_TEST

START_TEST(bytes_that_are_no_text_stay)
{
	expect_fold("A\xff"
		    "B",
		    "A\xff"
		    "B");
	expect_fold("\xc3", "\xc3");
	expect_fold("\xed\xa0\x80X", "\xed\xa0\x80X");
}
END_TEST

START_TEST(folding_appends)
{
	CLEANUP_BUF struct buf out = BUF_INIT;

	ck_assert_int_eq(name_fold("AB", 2, &out), 0);
	ck_assert_int_eq(name_fold("CD", 1, &out), 0);
	ck_assert_int_eq(name_fold("\xc3\x89", 2, &out), 0);
	ck_assert_str_eq(buf_str(&out), "abc\xc3\xa9");
}
END_TEST

static size_t encode(unsigned c, char *out)
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	size_t len = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;

	for (size_t i = len - 1; i > 0; i--, c >>= 6)
		out[i] = (char)(0x80 | (c & 0x3f));
	out[0] = (char)((0xf00 >> len) | c);
	return len;
}

/* Every character alone, and behind a letter with a mark that it might join or pass. */
START_TEST(a_fold_is_its_own_fold)
{
	for (unsigned c = 1; c < 0x30000; c += unit_stride()) {
		CLEANUP_BUF struct buf once = BUF_INIT;
		CLEANUP_BUF struct buf twice = BUF_INIT;
		char name[16] = "A\xcd\x85";
		size_t len = 3 + encode(c, name + 3);

		ck_assert_int_eq(name_fold(name, len, &once), 0);
		ck_assert_int_eq(name_fold(once.data, once.len, &twice), 0);
		ck_assert_msg(once.len == twice.len && memcmp(once.data, twice.data, once.len) == 0,
			      "U+%04X", c);
	}
}
END_TEST

UNIT_MAIN("name", 60, what_can_be_a_name, names_that_fold_alike, bytes_that_are_no_text_stay,
	  folding_appends, a_fold_is_its_own_fold)
