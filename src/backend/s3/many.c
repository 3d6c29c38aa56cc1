/* SPDX-License-Identifier: GPL-3.0-or-later */
/* DeleteObjects: its XML. */
#include "config.h"

#include "backend/s3/many.h"
#include "backend/s3/xml.h"

#include <errno.h>
#include <string.h>

/* Control characters, which XML has no form for, are no part of the keys that garner makes. */
static int many_add_text(struct buf *out, const char *text)
{
	int err = 0;

	for (; *text && !err; text++) {
		switch (*text) {
		case '&':
			err = buf_add_str(out, "&amp;");
			break;
		case '<':
			err = buf_add_str(out, "&lt;");
			break;
		case '>':
			err = buf_add_str(out, "&gt;");
			break;
		default:
			err = buf_add_byte(out, *text);
		}
	}
	return err;
}

int s3_many_body(const struct s3_settings *s, const char *const *keys, size_t count,
		 struct buf *out)
{
	int err = buf_add_str(out,
			      "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Delete xmlns="
			      "\"http://s3.amazonaws.com/doc/2006-03-01/\"><Quiet>true</Quiet>");

	for (size_t i = 0; i < count && !err; i++) {
		err = buf_add_str(out, "<Object><Key>");
		if (!err && *s->prefix)
			err = many_add_text(out, s->prefix);
		if (!err && *s->prefix)
			err = buf_add_byte(out, '/');
		if (!err)
			err = many_add_text(out, keys[i]);
		if (!err)
			err = buf_add_str(out, "</Key></Object>");
	}
	return err ? err : buf_add_str(out, "</Delete>");
}

struct many {
	size_t skip; /* of each key: the prefix */
	s3_many_fn *fn;
	void *arg;
};

static int many_left(void *arg, const char *key, const char *code)
{
	const struct many *m = arg;

	if (!strcmp(code, "NoSuchKey"))
		return 0;
	return m->fn(m->arg, strlen(key) > m->skip ? key + m->skip : "", code);
}

int s3_many_read(const struct s3_settings *s, const char *text, size_t len, s3_many_fn *fn,
		 void *arg)
{
	struct many m = { .skip = *s->prefix ? strlen(s->prefix) + 1 : 0, .fn = fn, .arg = arg };
	int err = s3_xml_read_left(text, len, many_left, &m);

	return err == -EBADMSG ? -EPROTO : err;
}
