/* SPDX-License-Identifier: GPL-3.0-or-later */
/* util/version.h: what the build calls itself. */
#include "config.h"

#include <check.h>
#include <stdlib.h>

#include "util/version.h"

START_TEST(version_is_the_package_version)
{
	ck_assert_str_eq(version_text(), PACKAGE_VERSION);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("version");
	TCase *cases = tcase_create("version");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(cases, version_is_the_package_version);
	suite_add_tcase(suite, cases);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
