/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The log. Nothing here allocates or takes a lock of ours, so that a record can be written from
 * anywhere but a signal handler.
 */
#include "config.h"

#include "util/log.h"
#include "util/utf8.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

enum {
	LOG_RECORD_MAX = 4096,
	LOG_NAME_MAX = 1000,
	LOG_NAME_SLOTS = 4,
	LOG_ESCAPE_LEN = 4, /* \xNN */
};

static _Atomic(int) log_level_now = LOG_LEVEL_WARN;
static _Atomic(int) log_target_now = LOG_TARGET_STDERR;

static const struct {
	const char *word;
	int priority;
} log_levels[] = {
	[LOG_LEVEL_ERROR] = { "error", LOG_ERR },
	[LOG_LEVEL_WARN] = { "warning", LOG_WARNING },
	[LOG_LEVEL_INFO] = { "info", LOG_INFO },
	[LOG_LEVEL_DEBUG] = { "debug", LOG_DEBUG },
};

void log_init(enum log_level level, enum log_target target)
{
	if (target == LOG_TARGET_SYSLOG)
		openlog("garner", LOG_PID, LOG_DAEMON);
	log_level_now = (int)level;
	log_target_now = (int)target;
}

bool log_enabled(enum log_level level)
{
	return (int)level <= log_level_now;
}

/*
 * Copies TEXT to OUT (OUT_MAX bytes and a NUL), escaping what is not printable and the characters
 * of EXTRA; returns the length. What does not fit is cut, and "..." says so.
 */
static size_t log_escape(const char *text, size_t len, const char *extra, char *out, size_t out_max)
{
	size_t at = 0;

	while (len) {
		size_t step = utf8_char_len(text, len);
		unsigned char byte = (unsigned char)*text;
		bool c1 = step == 2 && byte == 0xc2 && (unsigned char)text[1] < 0xa0;
		bool plain = step && !c1 && byte >= 0x20 && byte != 0x7f &&
			     !(step == 1 && strchr(extra, byte));
		size_t take = plain ? step : LOG_ESCAPE_LEN;

		if (at + take + 3 > out_max)
			return at + (size_t)sprintf(out + at, "...");
		if (plain)
			memcpy(out + at, text, step);
		else
			sprintf(out + at, "\\x%02x", byte);
		at += take;
		text += plain ? step : 1;
		len -= plain ? step : 1;
	}
	out[at] = '\0';
	return at;
}

static void log_to_stderr(enum log_level level, const char *text)
{
	char line[LOG_RECORD_MAX + 64];
	int len = snprintf(line, sizeof(line), "garner: %s: %s\n", log_levels[level].word, text);

	/* One write, so that lines of several threads do not mix. */
	ssize_t done = write(STDERR_FILENO, line, (size_t)len);

	(void)done; /* there is nowhere left to complain */
}

void log_write(enum log_level level, const char *format, ...)
{
	char raw[LOG_RECORD_MAX], text[LOG_RECORD_MAX + 1];
	int saved = errno;
	va_list args;

	va_start(args, format);
	int len = vsnprintf(raw, sizeof(raw), format, args);

	va_end(args);
	if (len < 0)
		len = snprintf(raw, sizeof(raw), "(bad record)");
	/* A cut record keeps one byte too many, and so gets its "...". */
	size_t kept = (size_t)len < sizeof(raw) ? (size_t)len : sizeof(raw) - 1;
	log_escape(raw, kept, "", text, LOG_RECORD_MAX - 2);
	if (log_target_now == LOG_TARGET_SYSLOG)
		syslog(log_levels[level].priority, "%s", text);
	else
		log_to_stderr(level, text);
	errno = saved;
}

const char *log_name(const char *name, size_t len)
{
	static _Thread_local char slots[LOG_NAME_SLOTS][LOG_NAME_MAX + 3];
	static _Thread_local unsigned next;
	char *slot = slots[next++ % LOG_NAME_SLOTS];

	slot[0] = '"';
	size_t end = 1 + log_escape(name, len, "\"\\", slot + 1, LOG_NAME_MAX);

	slot[end] = '"';
	slot[end + 1] = '\0';
	return slot;
}
