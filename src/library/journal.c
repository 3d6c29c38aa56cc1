/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Rows of the journal. */
#include "config.h"

#include "library/journal.h"
#include "library/internal.h"
#include "util/utf8.h"

#include <errno.h>
#include <string.h>

static struct meta_value journal_text(const char *text)
{
	return text ? META_T(text, strlen(text)) : META_N();
}

static struct meta_value journal_bytes(const char *bytes, size_t len)
{
	return bytes ? META_B(bytes, len) : META_N();
}

static struct meta_value journal_ino(int64_t ino)
{
	return ino ? META_I(ino) : META_N();
}

void journal_add(struct meta_op *op, struct library *lib, const struct actor *who, int64_t at_ns,
		 const struct journal_row *row)
{
	META_ADD(op, JOURNAL_ADD, META_ONE, -EIO, META_I(at_ns),
		 META_B(lib->instance, sizeof(lib->instance)), META_I(who ? who->uid : 0),
		 journal_text(row->action), META_I(row->ino), journal_ino(row->parent),
		 journal_bytes(row->name, row->name_len), journal_ino(row->old_parent),
		 journal_bytes(row->old_name, row->old_name_len), journal_text(row->before),
		 journal_text(row->after), journal_text(who ? who->request : NULL));
}

static int journal_quote_byte(struct buf *out, unsigned char byte)
{
	switch (byte) {
	case '"':
		return buf_add_str(out, "\\\"");
	case '\\':
		return buf_add_str(out, "\\\\");
	default:
		return buf_printf(out, "\\u%04x", byte < 0x80 ? byte : 0xdc00u + byte);
	}
}

int journal_quote(struct buf *out, const char *bytes, size_t len)
{
	int err = buf_add_byte(out, '"');

	for (size_t i = 0; !err && i < len;) {
		unsigned char byte = (unsigned char)bytes[i];
		size_t run = utf8_char_len(bytes + i, len - i);

		if (!run || byte < 0x20 || byte == '"' || byte == '\\' || byte == 0x7f) {
			err = journal_quote_byte(out, byte);
			run = 1;
		} else {
			err = buf_add(out, bytes + i, run);
		}
		i += run;
	}
	return err ? err : buf_add_byte(out, '"');
}
