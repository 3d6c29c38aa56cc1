/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which garner this is, for --version, the log and the library's own record of the program that
 * last wrote it.
 */
#ifndef GARNER_UTIL_VERSION_H
#define GARNER_UTIL_VERSION_H

/* The version as text, such as "0.1.0". A constant; never NULL. */
const char *version_text(void);

#endif
