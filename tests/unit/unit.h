/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The frame of a unit test: START_TEST(name) … END_TEST for each case, then
 *
 * 	UNIT_MAIN("subject", 10, first_case, second_case)
 *
 * where the number is the seconds that a case may take. And a folder of its own for a case that
 * needs files.
 */
#ifndef GARNER_TESTS_UNIT_UNIT_H
#define GARNER_TESTS_UNIT_UNIT_H

#include <check.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Runs `count` cases as one suite; main's result. */
static inline int unit_run(const char *name, int seconds, const TTest *const *cases, size_t count)
{
	Suite *suite = suite_create(name);
	TCase *tcase = tcase_create(name);
	SRunner *runner = srunner_create(suite);

	tcase_set_timeout(tcase, seconds);
	for (size_t i = 0; i < count; i++)
		tcase_add_test(tcase, cases[i]);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);

	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#define UNIT_MAIN(name, seconds, ...)                                                              \
	int main(void)                                                                             \
	{                                                                                          \
		const TTest *const cases[] = { __VA_ARGS__ };                                      \
                                                                                                   \
		return unit_run(name, seconds, cases, sizeof(cases) / sizeof(cases[0]));           \
	}

/*
 * How far a loop over very many inputs goes from one to the next: 1, or UNIT_STRIDE where each step is slow, as under valgrind. It thins out what is tried, never what is
 * asked of it.
 */
static inline unsigned unit_stride(void)
{
	const char *text = getenv("UNIT_STRIDE");
	int stride = text ? atoi(text) : 1;

	return stride > 0 ? (unsigned)stride : 1;
}

/*
 * How long is waited for what is bound to come, and what is given to a request that is to be answered: some machines stand still for a while. What is to end by
 * itself, and not by a deadline, ends in half of it.
 */
enum { UNIT_PATIENCE_MS = 120 * 1000 };
#define UNIT_PATIENCE_NS (UNIT_PATIENCE_MS * INT64_C(1000000))

/* Makes an empty folder, writes its path to `path` and gives a descriptor of it. */
static inline int unit_make_dir(char path[64])
{
	const char *parent = getenv("TMPDIR");

	ck_assert_int_lt(snprintf(path, 64, "%s/garner-unit-XXXXXX", parent ? parent : "/tmp"), 64);
	ck_assert_ptr_nonnull(mkdtemp(path));
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	return fd;
}

static inline int unit_remove_one(const char *path, const struct stat *st, int type,
				  struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

/* Removes what unit_make_dir() made, with all that is in it. */
static inline void unit_remove_dir(const char *path, int fd)
{
	close(fd);
	ck_assert_int_eq(nftw(path, unit_remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

#endif
