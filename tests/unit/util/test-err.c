/* SPDX-License-Identifier: GPL-3.0-or-later */
/* util/err.h */
#include "config.h"

#include "../unit.h"
#include "util/err.h"

#include <errno.h>
#include <string.h>

static const int own[] = { ERR_CORRUPT, ERR_UNCERTAIN, ERR_FUTURE,
			   ERR_NOTLIB,  ERR_LOCKED,    ERR_SCHEMA };

START_TEST(each_own_error_has_its_text)
{
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
		ck_assert_int_lt(own[i], -1000);
		ck_assert_str_ne(err_text(own[i]), "unknown error");
		for (size_t k = 0; k < i; k++)
			ck_assert_str_ne(err_text(own[i]), err_text(own[k]));
	}
}
END_TEST

START_TEST(errno_has_the_text_of_libc)
{
	ck_assert_str_eq(err_text(-ENOENT), strerror(ENOENT));
	ck_assert_str_eq(err_text(EIO), strerror(EIO));
	ck_assert_str_eq(err_text(0), "success");
	ck_assert_str_eq(err_text(-999), "unknown error");
	ck_assert_str_eq(err_text(-5000), "unknown error");
}
END_TEST

START_TEST(errno_is_positive_and_known)
{
	ck_assert_int_eq(err_errno(0), 0);
	ck_assert_int_eq(err_errno(-ENOSPC), ENOSPC);
	ck_assert_int_eq(err_errno(ERR_CORRUPT), EIO);
	ck_assert_int_eq(err_errno(ERR_UNCERTAIN), EIO);
	ck_assert_int_eq(err_errno(ERR_SCHEMA), EIO);
	ck_assert_int_eq(err_errno(ERR_LOCKED), EBUSY);
	ck_assert_int_eq(err_errno(ERR_NOTLIB), EINVAL);
	ck_assert_int_eq(err_errno(ERR_FUTURE), EPROTONOSUPPORT);
	ck_assert_int_eq(err_errno(-5000), EIO);
	ck_assert_int_eq(err_errno(7), EIO);
}
END_TEST

UNIT_MAIN("err", 10, each_own_error_has_its_text, errno_has_the_text_of_libc,
	  errno_is_positive_and_known)
