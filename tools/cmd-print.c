/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What subcommands print: sizes, names, progress. */
#include "config.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/time.h"
#include "util/utf8.h"

#define NS_PER_S INT64_C(1000000000)
#define SHOW_EVERY_NS (NS_PER_S / 10)

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

/* Whether the character at `text`, of `n` bytes, would move the cursor, end a line, or turn the order of what follows. */
static bool is_control(const char *text, size_t n)
{
	unsigned char a = (unsigned char)text[0], b = n > 1 ? (unsigned char)text[1] : 0;
	unsigned char c = n > 2 ? (unsigned char)text[2] : 0;

	if (n == 1)
		return a < ' ' || a == 127;
	if (n == 2)
		return a == 0xc2 && b < 0xa0;
	return a == 0xe2 && ((b == 0x80 && (c == 0x8e || c == 0x8f || (c >= 0xa8 && c <= 0xae))) ||
			     (b == 0x81 && c >= 0xa6 && c <= 0xa9));
}

static bool has_odd_bytes(const char *name, size_t len)
{
	if (len >= 2 && memcmp(name, "$'", 2) == 0)
		return true;
	for (size_t at = 0; at < len;) {
		size_t n = utf8_char_len(name + at, len - at);

		if (n == 0 || is_control(name + at, n))
			return true;
		at += n;
	}
	return false;
}

static int add_escaped(struct buf *out, const char *text, size_t n)
{
	int err = 0;

	if (n == 1 && (*text == '\'' || *text == '\\'))
		return buf_printf(out, "\\%c", *text);
	if (n && !is_control(text, n))
		return buf_add(out, text, n);
	if (n == 1 && *text == '\n')
		return buf_add_str(out, "\\n");
	if (n == 1 && *text == '\t')
		return buf_add_str(out, "\\t");
	for (size_t i = 0; i < (n ? n : 1) && !err; i++)
		err = buf_printf(out, "\\x%02x", (unsigned char)text[i]);
	return err;
}

int cmd_quote_name(struct buf *out, const char *name, size_t len)
{
	int err;

	if (!has_odd_bytes(name, len))
		return buf_add(out, name, len);
	err = buf_add_str(out, "$'");
	for (size_t at = 0; at < len && !err;) {
		size_t n = utf8_char_len(name + at, len - at);

		err = add_escaped(out, name + at, n);
		at += n ? n : 1;
	}
	return err ? err : buf_add_byte(out, '\'');
}

/* Whether a shell would take the name for something else than one word. */
static bool is_shell_word(const char *name, size_t len)
{
	if (len == 0 || *name == '~' || *name == '#')
		return false;
	for (size_t i = 0; i < len; i++)
		if (strchr(" !\"$&'()*;<=>?[\\]^`{|}", name[i]))
			return false;
	return true;
}

int cmd_show_name(struct buf *out, const char *name, size_t len)
{
	int err;

	if (!isatty(STDOUT_FILENO))
		return buf_add(out, name, len);
	if (has_odd_bytes(name, len) || is_shell_word(name, len))
		return cmd_quote_name(out, name, len);
	err = buf_add_byte(out, '\'');
	for (size_t i = 0; i < len && !err; i++)
		err = name[i] == '\'' ? buf_add_str(out, "'\\''")
				      : buf_add_byte(out, (unsigned char)name[i]);
	return err ? err : buf_add_byte(out, '\'');
}

void cmd_print_name(const char *name, size_t len)
{
	CLEANUP_BUF struct buf quoted = BUF_INIT;

	if (!cmd_quote_name(&quoted, name, len))
		fwrite(quoted.data, 1, quoted.len, stdout);
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
