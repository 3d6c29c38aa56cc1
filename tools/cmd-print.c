/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What subcommands print: JSON, sizes, names, progress. */
#include "config.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cmd.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/time.h"
#include "util/utf8.h"
#include "util/uuid.h"

#define NS_PER_S INT64_C(1000000000)
#define SHOW_EVERY_NS (NS_PER_S / 10)

int cmd_print_json(json_t *value)
{
	int bad = !value || json_dumpf(value, stdout, JSON_INDENT(2) | JSON_ENCODE_ANY);

	json_decref(value);
	return bad || putchar('\n') == EOF ? CMD_FAILED : CMD_OK;
}

json_t *cmd_json_text(const char *text, size_t len)
{
	CLEANUP_BUF struct buf out = BUF_INIT;
	size_t at = 0;
	int err = 0;

	while (at < len && !err) {
		size_t n = utf8_char_len(text + at, len - at);
		unsigned char raw = (unsigned char)text[at];

		if (n) {
			err = buf_add(&out, text + at, n);
		} else {
			/* U+DC80 + (byte - 0x80): no character, so JSON cannot hold it raw; spelled out as text */
			err = buf_printf(&out, "\\udc%02x", raw);
			n = 1;
		}
		at += n;
	}
	return err ? NULL : json_stringn(buf_str(&out), out.len);
}

json_t *cmd_json_time(int64_t ns)
{
	int64_t s = ns / NS_PER_S, rest = ns % NS_PER_S;
	char text[64], full[96];
	struct tm tm;
	time_t t;

	if (rest < 0) {
		rest += NS_PER_S;
		s--;
	}
	t = (time_t)s;
	if (!gmtime_r(&t, &tm) || !strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm))
		return json_null();
	snprintf(full, sizeof full, "%s.%09lldZ", text, (long long)rest);
	return json_string(full);
}

json_t *cmd_json_uuid(const uint8_t id[16])
{
	char text[UUID_TEXT_LEN];
	struct uuid u;

	memcpy(u.b, id, sizeof u.b);
	uuid_format(&u, text);
	return json_string(text);
}

char *cmd_size(uint64_t bytes, char *out)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	double value = (double)bytes;
	size_t unit = 0;

	while (value >= 1024 && unit + 1 < sizeof units / sizeof *units) {
		value /= 1024;
		unit++;
	}
	snprintf(out, 16, unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
	return out;
}

int cmd_show_name(struct buf *out, const char *name, size_t len)
{
	int err = 0;

	for (size_t at = 0; at < len && !err;) {
		size_t n = utf8_char_len(name + at, len - at);
		unsigned char first = (unsigned char)name[at];

		if (n == 0 || first < ' ' || first == 127)
			err = buf_add_byte(out, '?');
		else
			err = buf_add(out, name + at, n);
		at += n ? n : 1;
	}
	return err;
}

void cmd_progress_begin(struct cmd_progress *p, const char *what)
{
	*p = (struct cmd_progress){ .what = what,
				    .started_ns = time_mono_ns(),
				    .terminal = isatty(STDERR_FILENO) };
}

static void show_rate(const struct cmd_progress *p, double seconds)
{
	char size[16];

	if (seconds <= 0)
		return;
	fprintf(stderr, "  %s/s", cmd_size((uint64_t)((double)p->done_bytes / seconds), size));
	if (p->total_bytes > p->done_bytes && p->done_bytes) {
		double left = (double)(p->total_bytes - p->done_bytes) * seconds /
			      (double)p->done_bytes;

		fprintf(stderr, "  %.0f s left", left);
	}
}

void cmd_progress_show(struct cmd_progress *p)
{
	int64_t now = time_mono_ns();
	char done[16], total[16];

	if (!p->terminal || now - p->shown_ns < SHOW_EVERY_NS)
		return;
	p->shown_ns = now;
	fprintf(stderr, "\r\033[K%s: %llu", p->what, (unsigned long long)p->done_items);
	if (p->total_items)
		fprintf(stderr, " of %llu", (unsigned long long)p->total_items);
	fprintf(stderr, " files, %s", cmd_size(p->done_bytes, done));
	if (p->total_bytes)
		fprintf(stderr, " of %s", cmd_size(p->total_bytes, total));
	show_rate(p, (double)(now - p->started_ns) / (double)NS_PER_S);
	fflush(stderr);
}

void cmd_progress_end(struct cmd_progress *p)
{
	if (p->terminal && p->shown_ns)
		fputs("\r\033[K", stderr);
}
