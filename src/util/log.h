/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The log: one line per record, to stderr or to syslog. An error is logged once, where it is found,
 * with its object and cause; never with secrets. Whatever a record is made of, it stays one line of
 * valid UTF-8: control characters and bytes that are not UTF-8 are written as \xNN. A record longer
 * than about 4 KiB is cut and ends in "...".
 */
#ifndef GARNER_UTIL_LOG_H
#define GARNER_UTIL_LOG_H

#include <stdbool.h>
#include <stddef.h>

enum log_level {
	LOG_LEVEL_ERROR, /* something asked for was not done */
	LOG_LEVEL_WARN,  /* done, but someone should look */
	LOG_LEVEL_INFO,  /* starts, stops, background work finished */
	LOG_LEVEL_DEBUG,
};

enum log_target {
	LOG_TARGET_STDERR, /* "garner: warning: text" */
	LOG_TARGET_SYSLOG, /* facility daemon, with the process id */
};

/*
 * Sets the lowest level that is written and where to. Before the first call warnings and errors go
 * to stderr. May be called again, from any thread.
 */
void log_init(enum log_level level, enum log_target target);

/* Whether a record of LEVEL would be written. */
bool log_enabled(enum log_level level);

/*
 * Writes one record, whatever log_init said; use the macros below. FORMAT has no newline at its
 * end. Keeps errno. Any thread; records do not mix.
 */
void log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_at(level, ...)                                                                         \
	do {                                                                                       \
		if (log_enabled(level))                                                            \
			log_write(level, __VA_ARGS__);                                             \
	} while (0)

/* As printf; the arguments are looked at only if the level is enabled. */
#define log_error(...) log_at(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...) log_at(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...) log_at(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_at(LOG_LEVEL_DEBUG, __VA_ARGS__)

/*
 * A file's name or path for use in a record: quoted, with quotes, backslashes, control characters
 * and bytes that are not UTF-8 escaped, so that two different names never look the same; above 1000
 * bytes it is cut and ends in "...". The text is the calling thread's and is overwritten by the
 * fourth call after this one.
 */
const char *log_name(const char *name, size_t len);

#endif
