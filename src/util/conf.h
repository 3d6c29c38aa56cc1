/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A library's configuration: an INI file of `[section]`, `key = value` and comments from `;` or `#`
 * at the start of a line or `;` after a blank. Read whole, then asked for by section and key; every
 * complaint says file and line. A file is at most 1 MiB, a line at most 190 bytes, a line with a
 * section's name at most 50. One thread at a time.
 *
 * The getters return 1 and set *OUT, 0 with *OUT untouched when the file does not have the key, or
 * -EINVAL after writing to WHY what is wrong with the value. A key that was asked for counts as
 * known; conf_check() then finds misspelt ones.
 */
#ifndef GARNER_UTIL_CONF_H
#define GARNER_UTIL_CONF_H

#include "util/buf.h"

#include <stdbool.h>
#include <stdint.h>

struct conf;

/*
 * Reads the file PATH. 0 and *OUT, which the caller ends with conf_free(); -EINVAL for a file with
 * a mistake; a negative errno of reading, -EFBIG or -ENOMEM. On an error WHY gets one line of text
 * that names file, line and mistake.
 */
int conf_load(const char *path, struct conf **out, struct buf *why);

/* As conf_load() for text in memory, which complaints call NAME. */
int conf_parse(const char *name, const char *text, struct conf **out, struct buf *why);

/* Frees C and every string that it gave out. NULL is fine. */
void conf_free(struct conf *c);

/* The text of a key, which is C's, or NULL when the file does not have it. */
const char *conf_text(struct conf *c, const char *section, const char *key);

/* A size as parse_size() reads it. */
int conf_size(struct conf *c, const char *section, const char *key, uint64_t *out, struct buf *why);

/* A duration as parse_duration() reads it, in nanoseconds. */
int conf_duration(struct conf *c, const char *section, const char *key, int64_t *out,
		  struct buf *why);

/* A decimal number up to MAX. */
int conf_u64(struct conf *c, const char *section, const char *key, uint64_t max, uint64_t *out,
	     struct buf *why);

/* A truth value as parse_bool() reads it. */
int conf_bool(struct conf *c, const char *section, const char *key, bool *out, struct buf *why);

/*
 * Whether every key of the file has been asked for: 0, or -EINVAL with the first one that has not
 * in WHY.
 */
int conf_check(const struct conf *c, struct buf *why);

#endif
