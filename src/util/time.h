/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Times as nanoseconds in an int64_t: good for the years 1678 to 2262. */
#ifndef GARNER_UTIL_TIME_H
#define GARNER_UTIL_TIME_H

#include <stdint.h>
#include <time.h>

#define TIME_NS_PER_S INT64_C(1000000000)
#define TIME_NS_PER_MS INT64_C(1000000)

/* Bytes of a formatted time, the NUL included. */
enum { TIME_TEXT_LEN = 31 };

/* Nanoseconds since 1970 by the wall clock, which may jump. Any thread. */
int64_t time_now_ns(void);

/*
 * The time that the kernel would stamp a file with now: not before any stamp that it gave so far, on
 * whatever filesystem, and not after any that it gives from now on. It goes in ticks of some
 * milliseconds, and finer where someone looks (Linux 6.13 and later, "multigrain timestamps"); so it
 * is not time_now_ns(), which runs ahead of it. About 1 µs. Any thread.
 */
int64_t time_file_ns(void);

/* Nanoseconds by a clock that only goes forward, from no fixed start. */
int64_t time_mono_ns(void);

/* NS as a timespec with 0 <= tv_nsec < 10^9, also before 1970. */
struct timespec time_to_spec(int64_t ns);

/* TS as nanoseconds; times out of range become the nearest in range. */
int64_t time_from_spec(struct timespec ts);

/* Writes NS as UTC in RFC 3339's form, `2024-01-31T23:59:58.000000001Z`. */
void time_format(int64_t ns, char text[TIME_TEXT_LEN]);

#endif
