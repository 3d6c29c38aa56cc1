/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Running cases that each have a folder. */
#include "config.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cases.h"

int dir = -1;

void cases_folder(const char *parent)
{
	char path[4096];

	snprintf(path, sizeof path, "%s/case-XXXXXX", parent);
	ck_assert_ptr_nonnull(mkdtemp(path));
	ck_assert_int_eq(chmod(path, 0777), 0);
	dir = open(path, O_RDONLY | O_DIRECTORY);
	ck_assert_int_ge(dir, 0);
}

static void end(void)
{
	close(dir);
}

int cases_run(const char *name, void (*begin)(void), cases_group *const *groups, size_t count)
{
	TCase *tc = tcase_create(name);
	Suite *s = suite_create(name);
	SRunner *r;
	int failed;

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, begin, end);
	for (size_t g = 0; g < count; g++) {
		size_t n;
		const TTest *const *cases = groups[g](&n);

		for (size_t i = 0; i < n; i++)
			tcase_add_test(tc, cases[i]);
	}
	suite_add_tcase(s, tc);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
