/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Texts and errno values of the error numbers. */
#include "config.h"

#include "util/err.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char *err_text(int err)
{
	switch (err) {
	case 0:
		return "success";
	case ERR_CORRUPT:
		return "stored data is damaged";
	case ERR_UNCERTAIN:
		return "outcome unknown: the reply was lost";
	case ERR_FUTURE:
		return "written by a newer version of garner";
	case ERR_NOTLIB:
		return "not a garner library";
	case ERR_LOCKED:
		return "library is in use by another process";
	case ERR_SCHEMA:
		return "database tables are not as expected";
	default:
		break;
	}
	/* Descriptions are static and untranslated, unlike strerror's. */
	const char *text = err > -1000 ? strerrordesc_np(abs(err)) : NULL;

	return text ? text : "unknown error";
}

int err_errno(int err)
{
	switch (err) {
	case ERR_FUTURE:
		return EPROTONOSUPPORT;
	case ERR_NOTLIB:
		return EINVAL;
	case ERR_LOCKED:
		return EBUSY;
	default:
		return err <= 0 && err > -1000 ? -err : EIO;
	}
}
