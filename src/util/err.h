/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Error values. Every function of garner that can fail returns 0 (or a count) or a negative error:
 * a negative errno, or one of the few values below that errno has no word for.
 */
#ifndef GARNER_UTIL_ERR_H
#define GARNER_UTIL_ERR_H

enum {
	/* Stored bytes are not what their name, checksum or format says. */
	ERR_CORRUPT = -1001,
	/* The reply was lost: the change may or may not have happened. */
	ERR_UNCERTAIN = -1002,
	/* Written by a newer garner than this one. */
	ERR_FUTURE = -1003,
	/* The path is not a garner library. */
	ERR_NOTLIB = -1004,
	/* Another process holds the library. */
	ERR_LOCKED = -1005,
	/* The database's tables are not those that this version makes. */
	ERR_SCHEMA = -1006,
};

/*
 * The text of an error, for people: static, never freed, never NULL. Takes errors of both kinds,
 * negative or positive; any thread.
 */
const char *err_text(int err);

/*
 * The positive errno that stands for an error where only errno is understood (FUSE replies, exit
 * paths): ERR_CORRUPT, ERR_UNCERTAIN and ERR_SCHEMA are EIO, ERR_FUTURE is EPROTONOSUPPORT,
 * ERR_NOTLIB is EINVAL, ERR_LOCKED is EBUSY, a negative errno is that errno, 0 is 0 and anything
 * unknown is EIO.
 */
int err_errno(int err);

#endif
