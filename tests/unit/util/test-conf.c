/* SPDX-License-Identifier: GPL-3.0-or-later */
/* util/conf.h */
#include "config.h"

#include "../unit.h"
#include "util/cleanup.h"
#include "util/conf.h"
#include "util/io.h"
#include "util/time.h"

#include <errno.h>
#include <string.h>

static const char good[] = "# a library\n"
			   "name = Photos of 1999 ; and later\n"
			   "[chunks]\n"
			   "  min = 1MiB\n"
			   "\tmax=8M\r\n"
			   "\n"
			   "[store]\n"
			   "; nothing\n"
			   "retention = 30d\n"
			   "jobs = 4\n"
			   "scrub = yes\n"
			   "empty =\n";

START_TEST(values_are_found)
{
	CLEANUP_BUF struct buf why = BUF_INIT;
	struct conf *c;
	uint64_t min, max, jobs;
	int64_t retention;
	bool scrub;

	ck_assert_int_eq(conf_parse("conf", good, &c, &why), 0);
	ck_assert_str_eq(conf_text(c, "", "name"), "Photos of 1999");
	ck_assert_int_eq(conf_size(c, "chunks", "min", &min, &why), 1);
	ck_assert_int_eq(conf_size(c, "chunks", "max", &max, &why), 1);
	ck_assert_int_eq(conf_duration(c, "store", "retention", &retention, &why), 1);
	ck_assert_int_eq(conf_u64(c, "store", "jobs", 64, &jobs, &why), 1);
	ck_assert_int_eq(conf_bool(c, "store", "scrub", &scrub, &why), 1);
	ck_assert_uint_eq(min, 1 << 20);
	ck_assert_uint_eq(max, 8 << 20);
	ck_assert_int_eq(retention, 30 * 86400 * TIME_NS_PER_S);
	ck_assert_uint_eq(jobs, 4);
	ck_assert(scrub);
	ck_assert_int_eq(conf_check(c, &why), -EINVAL);
	ck_assert_str_eq(buf_str(&why), "conf:12: unknown key \"empty\" in section \"store\"");
	ck_assert_str_eq(conf_text(c, "store", "empty"), "");
	ck_assert_int_eq(conf_check(c, &why), 0);
	conf_free(c);
}
END_TEST

START_TEST(what_is_absent_stays_untouched)
{
	CLEANUP_BUF struct buf why = BUF_INIT;
	struct conf *c;
	uint64_t size = 7;
	int64_t time = 8;
	bool truth = true;

	ck_assert_int_eq(conf_parse("conf", "", &c, &why), 0);
	ck_assert_ptr_null(conf_text(c, "chunks", "min"));
	ck_assert_int_eq(conf_size(c, "chunks", "min", &size, &why), 0);
	ck_assert_int_eq(conf_u64(c, "chunks", "min", 1, &size, &why), 0);
	ck_assert_int_eq(conf_duration(c, "chunks", "min", &time, &why), 0);
	ck_assert_int_eq(conf_bool(c, "chunks", "min", &truth, &why), 0);
	ck_assert(size == 7 && time == 8 && truth);
	conf_free(c);
}
END_TEST

START_TEST(bad_values_are_told_with_their_line)
{
	CLEANUP_BUF struct buf why = BUF_INIT;
	struct conf *c;
	uint64_t size = 7;
	int64_t time = 8;
	bool truth = true;

	ck_assert_int_eq(conf_parse("conf", "[a]\nb = 4MX\nc = -1\nd = 70000\n", &c, &why), 0);
	ck_assert_int_eq(conf_size(c, "a", "b", &size, &why), -EINVAL);
	ck_assert_str_eq(buf_str(&why), "conf:2: a.b: \"4MX\" is not a size such as 4MiB");
	ck_assert_int_eq(conf_duration(c, "a", "c", &time, &why), -EINVAL);
	ck_assert_str_eq(buf_str(&why), "conf:3: a.c: \"-1\" is not a time such as 30d");
	ck_assert_int_eq(conf_u64(c, "a", "d", 65535, &size, &why), -EINVAL);
	ck_assert_str_eq(buf_str(&why), "conf:4: a.d: \"70000\" is not a number that fits");
	ck_assert_int_eq(conf_bool(c, "a", "d", &truth, &why), -EINVAL);
	ck_assert_str_eq(buf_str(&why), "conf:4: a.d: \"70000\" is not yes or no");
	ck_assert(size == 7 && time == 8 && truth);
	conf_free(c);
}
END_TEST

START_TEST(mistakes_are_told_with_their_line)
{
	static const struct {
		const char *text, *why;
	} cases[] = {
		{ "[a]\nb\n", "conf:2: neither a section nor 'key = value'" },
		{ "x = 1\n[a\nb = 1\n", "conf:2: neither a section nor 'key = value'" },
		{ "[a]\nb = 1\nc = 2\nb = 3\n", "conf:4: key given twice" },
	};
	struct conf *c = NULL;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CLEANUP_BUF struct buf why = BUF_INIT;

		ck_assert_int_eq(conf_parse("conf", cases[i].text, &c, &why), -EINVAL);
		ck_assert_str_eq(buf_str(&why), cases[i].why);
	}
	ck_assert_ptr_null(c);
}
END_TEST

START_TEST(long_lines_are_refused_not_cut)
{
	CLEANUP_BUF struct buf text = BUF_INIT;
	CLEANUP_BUF struct buf why = BUF_INIT;
	struct conf *c;

	ck_assert_int_eq(buf_printf(&text, "k = %0186d\n", 5), 0);
	ck_assert_int_eq(conf_parse("conf", text.data, &c, &why), 0);
	ck_assert_uint_eq(strlen(conf_text(c, "", "k")), 186);
	conf_free(c);
	buf_reset(&text);
	ck_assert_int_eq(buf_printf(&text, "a = 1\nk = %0187d\n", 5), 0);
	ck_assert_int_eq(conf_parse("conf", text.data, &c, &why), -EINVAL);
	ck_assert_str_eq(buf_str(&why), "conf:2: line too long");
}
END_TEST

START_TEST(long_names_are_not_cut)
{
	CLEANUP_BUF struct buf text = BUF_INIT;
	CLEANUP_BUF struct buf why = BUF_INIT;
	struct conf *c;

	ck_assert_int_eq(buf_printf(&text, "[%070d]\nk = 1\n[%070d]\nk = 2\n", 1, 2), 0);
	int err = conf_parse("conf", text.data, &c, &why);

	ck_assert_int_eq(err, -EINVAL);
	ck_assert_str_eq(buf_str(&why), "conf:1: section name too long");
}
END_TEST

START_TEST(files_are_read)
{
	CLEANUP_BUF struct buf why = BUF_INIT;
	char dir[64], path[80], expect[200];
	struct conf *c;
	int fd = unit_make_dir(dir);

	snprintf(path, sizeof(path), "%s/config", dir);
	ck_assert_int_eq(conf_load(path, &c, &why), -ENOENT);
	snprintf(expect, sizeof(expect), "\"%s\": No such file or directory", path);
	ck_assert_str_eq(buf_str(&why), expect);
	ck_assert_int_eq(io_write_file(fd, "config", good, strlen(good), 0600), 0);
	ck_assert_int_eq(conf_load(path, &c, &why), 0);
	ck_assert_str_eq(conf_text(c, "store", "jobs"), "4");
	conf_free(c);
	ck_assert_int_eq(io_write_file(fd, "config", "a = 1\0", 6, 0600), 0);
	ck_assert_int_eq(conf_load(path, &c, &why), -EINVAL);
	unit_remove_dir(dir, fd);
}
END_TEST

UNIT_MAIN("conf", 10, values_are_found, what_is_absent_stays_untouched,
	  bad_values_are_told_with_their_line, mistakes_are_told_with_their_line,
	  long_lines_are_refused_not_cut, long_names_are_not_cut, files_are_read)
