/* SPDX-License-Identifier: GPL-3.0-or-later */
/* util/log.h, by what arrives on stderr. */
#include "config.h"

#include "../unit.h"
#include "util/log.h"
#include "util/utf8.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

static char captured[1 << 17];
static FILE *capture_file;
static int capture_saved;

static void capture_begin(void)
{
	capture_file = tmpfile();
	ck_assert_ptr_nonnull(capture_file);
	capture_saved = dup(STDERR_FILENO);
	dup2(fileno(capture_file), STDERR_FILENO);
}

static const char *capture_end(void)
{
	dup2(capture_saved, STDERR_FILENO);
	close(capture_saved);
	rewind(capture_file);
	captured[fread(captured, 1, sizeof(captured) - 1, capture_file)] = '\0';
	fclose(capture_file);
	return captured;
}

START_TEST(levels_are_kept)
{
	capture_begin();
	log_init(LOG_LEVEL_INFO, LOG_TARGET_STDERR);
	log_error("e %d", 1);
	log_warn("w");
	log_info("i");
	log_debug("d");
	log_init(LOG_LEVEL_ERROR, LOG_TARGET_STDERR);
	log_warn("not this");
	ck_assert_str_eq(capture_end(),
			 "garner: error: e 1\ngarner: warning: w\ngarner: info: i\n");
}
END_TEST

START_TEST(a_record_is_one_line_of_utf8)
{
	capture_begin();
	errno = EXDEV;
	log_error("a\nb\x1b[31m\x7f \xc3\xa4 \xff \xc2\x85 \\ \"%s\"", "x\ty");
	ck_assert_int_eq(errno, EXDEV);
	ck_assert_str_eq(
		capture_end(),
		"garner: error: a\\x0ab\\x1b[31m\\x7f \xc3\xa4 \\xff \\xc2\\x85 \\ \"x\\x09y\"\n");
}
END_TEST

START_TEST(a_long_record_is_cut)
{
	char text[10000];

	for (size_t len = 4000; len < 4200; len++) {
		memset(text, '\n', len);
		text[len] = '\0';
		capture_begin();
		log_error("%s", text);
		const char *line = capture_end();
		size_t got = strlen(line);

		ck_assert_uint_lt(got, 4200);
		ck_assert_str_eq(line + got - 4, "...\n");
		ck_assert_ptr_eq(strchr(line, '\n'), line + got - 1);
	}
}
END_TEST

START_TEST(nothing_short_is_cut)
{
	char text[4001];

	memset(text, 'x', 4000);
	text[4000] = '\0';
	capture_begin();
	log_error("%s", text);
	const char *line = capture_end();

	ck_assert_uint_eq(strlen(line), strlen("garner: error: ") + 4000 + 1);
	ck_assert_ptr_null(strstr(line, "..."));
}
END_TEST

START_TEST(names_are_quoted)
{
	ck_assert_str_eq(log_name("plain", 5), "\"plain\"");
	ck_assert_str_eq(log_name("", 0), "\"\"");
	ck_assert_str_eq(log_name("a\"b\\c\n\xfe", 7), "\"a\\x22b\\x5cc\\x0a\\xfe\"");
	ck_assert_str_eq(log_name("a\0b", 3), "\"a\\x00b\"");
	ck_assert_str_eq(log_name("a\\x0a", 5), "\"a\\x5cx0a\"");
}
END_TEST

START_TEST(four_names_live_at_once)
{
	const char *one = log_name("1", 1), *two = log_name("2", 1);
	const char *three = log_name("3", 1), *four = log_name("4", 1);

	ck_assert_str_eq(one, "\"1\"");
	ck_assert_str_eq(two, "\"2\"");
	ck_assert_str_eq(three, "\"3\"");
	ck_assert_str_eq(four, "\"4\"");
}
END_TEST

START_TEST(a_long_name_is_cut)
{
	char name[2000];

	memset(name, '\x01', sizeof(name));
	const char *text = log_name(name, sizeof(name));
	size_t len = strlen(text);

	ck_assert_uint_le(len, 1002);
	ck_assert_str_eq(text + len - 4, "...\"");
}
END_TEST

static void *write_lines(void *arg)
{
	for (int i = 0; i < 500; i++)
		log_error("%s %04d", (const char *)arg, i);
	return NULL;
}

START_TEST(threads_do_not_mix)
{
	static char names[4][16] = { "aaaaaaaaaaaa", "bbbbbbbbbbbb", "cccccccccccc",
				     "dddddddddddd" };
	pthread_t ids[4];

	capture_begin();
	/* Appending is what a terminal and a journal do. */
	fcntl(STDERR_FILENO, F_SETFL, O_APPEND);
	for (int i = 0; i < 4; i++)
		pthread_create(&ids[i], NULL, write_lines, names[i]);
	for (int i = 0; i < 4; i++)
		pthread_join(ids[i], NULL);
	const char *line = capture_end();

	for (int i = 0; i < 2000; i++, line += 33) {
		ck_assert_int_eq(strncmp(line, "garner: error: ", 15), 0);
		ck_assert_uint_eq(strspn(line + 15, (char[]){ line[15], 0 }), 12);
		ck_assert_int_eq(line[32], '\n');
	}
	ck_assert_int_eq(*line, '\0');
}
END_TEST

UNIT_MAIN("log", 20, levels_are_kept, a_record_is_one_line_of_utf8, a_long_record_is_cut,
	  nothing_short_is_cut, names_are_quoted, four_names_live_at_once, a_long_name_is_cut,
	  threads_do_not_mix)
