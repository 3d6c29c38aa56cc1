/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * JSON of the subcommands. A name is bytes, and JSON holds characters: a byte 0xNN that is not part of UTF-8 is printed as the escape \udcNN, a lone
 * surrogate, as the journal writes it and as PEP 383 does. jansson takes no such string, so within this file's values a NUL leads an escape of ours: NUL and
 * two hex digits stand for that byte, "00" for NUL itself. Printing turns them into what is meant.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cmd.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/utf8.h"
#include "util/uuid.h"

#define NS_PER_S INT64_C(1000000000)

#define LEAD "\\u0000" /* how jansson prints the NUL that leads */
enum { LEAD_LEN = 6, DIGITS_LEN = 2, ESCAPE_LEN = 6 };

/* Prints what jansson made of a value. */
static void print_meant(const char *text)
{
	while (*text) {
		size_t plain = strcspn(text, "\\");

		fwrite(text, 1, plain, stdout);
		text += plain;
		if (strncmp(text, LEAD, LEAD_LEN) == 0) {
			const char *digits = text + LEAD_LEN;

			printf("\\u%s%.2s", memcmp(digits, "00", DIGITS_LEN) ? "dc" : "00", digits);
			text = digits + DIGITS_LEN;
		} else if (*text) {
			fwrite(text, 1, 2, stdout);
			text += 2;
		}
	}
}

int cmd_print_json(json_t *value)
{
	CLEANUP_FREE char *text = value ? json_dumps(value, JSON_INDENT(2) | JSON_ENCODE_ANY)
					: NULL;

	json_decref(value);
	if (!text) {
		fprintf(stderr, "garner: no memory for the JSON\n");
		return CMD_FAILED;
	}
	print_meant(text);
	return putchar('\n') == EOF ? CMD_FAILED : CMD_OK;
}

json_t *cmd_json_text(const char *text, size_t len)
{
	CLEANUP_BUF struct buf out = BUF_INIT;
	int err = 0;

	for (size_t at = 0; at < len && !err;) {
		size_t n = utf8_char_len(text + at, len - at);

		if (n && text[at]) {
			err = buf_add(&out, text + at, n);
			at += n;
		} else {
			err = buf_printf(&out, "%c%02x", '\0', (unsigned char)text[at]);
			at++;
		}
	}
	return err ? NULL : json_stringn(buf_str(&out), out.len);
}

/* Whether `text` begins with an escape of one of the bytes 80 to ff, or of NUL. */
static bool is_escaped_byte(const char *text)
{
	return strncmp(text, LEAD, LEAD_LEN) == 0 ||
	       (strncmp(text, "\\udc", ESCAPE_LEN - DIGITS_LEN) == 0 && text[4] >= '8' && text[5]);
}

json_t *cmd_json_stored(const char *text)
{
	CLEANUP_BUF struct buf out = BUF_INIT;
	json_t *value = NULL;
	int err = 0;

	while (text && *text && !err) {
		size_t plain = strcspn(text, "\\");

		err = buf_add(&out, text, plain);
		text += plain;
		if (err || !*text)
			break;
		if (is_escaped_byte(text)) {
			err = buf_printf(&out, LEAD "%.2s", text + ESCAPE_LEN - DIGITS_LEN);
			text += ESCAPE_LEN;
		} else {
			plain = text[1] ? 2 : 1;
			err = buf_add(&out, text, plain);
			text += plain;
		}
	}
	if (!err && out.len)
		value = json_loadb(out.data, out.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
	return value ? value : json_null();
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
