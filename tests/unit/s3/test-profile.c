/* SPDX-License-Identifier: GPL-3.0-or-later */
/* backend/s3/profile.h */
#include "config.h"

#include "../unit.h"
#include "backend/s3/profile.h"
#include "util/cleanup.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

static const char text[] = "# mine\n"
			   "aws_access_key_id = outside\n"
			   "[default]\n"
			   "aws_access_key_id=AKIA1\r\n"
			   "aws_secret_access_key = a=b#c ; not this\n"
			   "empty =\n"
			   "[ profile other ]  ; said so\n"
			   "; aws_access_key_id = no\n"
			   "s3 =\n"
			   "  aws_access_key_id = nested\n"
			   "region = eu-west-1\t# there\n"
			   "region = eu-west-2\n"
			   "[default-2]\n"
			   "aws_access_key_id = AKIA2";

static void check_value(const char *section, const char *key, const char *wanted)
{
	CLEANUP_BUF struct buf value = BUF_INIT;

	ck_assert_int_eq(s3_profile_value(text, section, key, &value), wanted ? 1 : 0);
	ck_assert_str_eq(buf_str(&value), wanted ? wanted : "");
}

START_TEST(values)
{
	check_value("default", "aws_access_key_id", "AKIA1");
	check_value("default", "aws_secret_access_key", "a=b#c");
	check_value("default", "empty", NULL);
	check_value("default", "region", NULL);
	check_value("profile other", "region", "eu-west-2");
	check_value("profile other", "aws_access_key_id", NULL);
	check_value("default-2", "aws_access_key_id", "AKIA2");
	check_value("nobody", "aws_access_key_id", NULL);
	ck_assert(s3_profile_has(text, "profile other"));
	ck_assert(!s3_profile_has(text, "other"));
	ck_assert(!s3_profile_has("", ""));
}
END_TEST

START_TEST(long_lines)
{
	CLEANUP_BUF struct buf file = BUF_INIT;
	CLEANUP_BUF struct buf value = BUF_INIT;

	buf_add_str(&file, "[default]\naws_session_token = ");
	for (int i = 0; i < 5000; i++)
		buf_add_byte(&file, 'x');
	ck_assert_int_eq(s3_profile_value(buf_str(&file), "default", "aws_session_token", &value),
			 1);
	ck_assert_uint_eq(value.len, 5000);
}
END_TEST

static void write_file(const char *dir, const char *name, const char *bytes)
{
	char path[200];
	FILE *f;

	snprintf(path, sizeof path, "%s/%s", dir, name);
	f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	fputs(bytes, f);
	fclose(f);
}

static void clear_environment(void)
{
	static const char *const names[] = { "AWS_PROFILE",     "AWS_DEFAULT_PROFILE",
					     "AWS_REGION",      "AWS_DEFAULT_REGION",
					     "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE" };

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		unsetenv(names[i]);
}

START_TEST(files_and_names)
{
	CLEANUP_BUF struct buf path = BUF_INIT;
	CLEANUP_BUF struct buf out = BUF_INIT;
	char dir[64], config[100];
	int fd = unit_make_dir(dir);

	clear_environment();
	setenv("HOME", dir, 1);
	ck_assert_str_eq(s3_profile_name(NULL), "default");
	ck_assert_int_eq(s3_profile_region(NULL, &out), 0);
	ck_assert_int_eq(s3_profile_load(true, &path, &out), -ENOENT);
	ck_assert_ptr_nonnull(strstr(buf_str(&path), "/.aws/config"));
	ck_assert_int_eq(mkdirat(fd, ".aws", 0700), 0);
	write_file(dir, ".aws/config", "[default]\nregion=r-1\n[profile p]\nregion=r-2\n");
	ck_assert_int_eq(s3_profile_region(NULL, &out), 1);
	ck_assert_str_eq(buf_str(&out), "r-1");
	buf_reset(&out);
	ck_assert_int_eq(s3_profile_region("p", &out), 1);
	ck_assert_str_eq(buf_str(&out), "r-2");
	setenv("AWS_PROFILE", "p", 1);
	ck_assert_str_eq(s3_profile_name(NULL), "p");
	ck_assert_str_eq(s3_profile_name("q"), "q");
	setenv("AWS_REGION", "r-3", 1);
	buf_reset(&out);
	ck_assert_int_eq(s3_profile_region(NULL, &out), 1);
	ck_assert_str_eq(buf_str(&out), "r-3");
	write_file(dir, "elsewhere", "[default]\nregion=r-4\n");
	snprintf(config, sizeof config, "~/elsewhere");
	setenv("AWS_CONFIG_FILE", config, 1);
	unsetenv("AWS_REGION");
	buf_reset(&out);
	ck_assert_int_eq(s3_profile_region("default", &out), 1);
	ck_assert_str_eq(buf_str(&out), "r-4");
	clear_environment();
	unit_remove_dir(dir, fd);
}
END_TEST

UNIT_MAIN("s3/profile", 10, values, long_lines, files_and_names)
