/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Numbers, sizes and times as people write them in options and in the configuration. Strict: no
 * sign, no blank, no fraction, nothing after the value. All return 0, -EINVAL for anything else
 * than the form given, -ERANGE for a value that does not fit; *OUT is untouched unless 0.
 */
#ifndef GARNER_UTIL_PARSE_H
#define GARNER_UTIL_PARSE_H

#include <stdbool.h>
#include <stdint.h>

/* A decimal number, at most MAX. */
int parse_u64(const char *text, uint64_t max, uint64_t *out);

/* An octal number, with or without leading zeros, at most MAX: `022`. */
int parse_octal(const char *text, uint32_t max, uint32_t *out);

/*
 * A number of bytes with an optional unit: k, M, G, T, P (of 1024, either case), the same followed
 * by iB; or followed by B alone, of 1000; or B. `4MiB` = `4M` = `4m`, `8k` = 8192, `1GB` = 10^9.
 */
int parse_size(const char *text, uint64_t *out);

/*
 * A time in nanoseconds: a number followed by ns, us, ms, s, m (minute), h, d, w; `0` needs no
 * unit. `30d`, `2s`.
 */
int parse_duration(const char *text, int64_t *out_ns);

/* yes, true, on, 1; no, false, off, 0; in lower case. */
int parse_bool(const char *text, bool *out);

#endif
