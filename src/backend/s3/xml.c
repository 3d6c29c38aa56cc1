/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Over expat. The text of the innermost element is gathered and looked at when the element ends. Entities
 * other than XML's own five are refused: nothing that S3 sends has them, and they are what bombs are
 * made of.
 */
#include "config.h"

#include "backend/s3/xml.h"
#include "util/buf.h"
#include "util/hex.h"

#include <errno.h>
#include <expat.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "util/parse.h"

enum { TEXT_MAX = 64 * 1024 };

struct reader {
	XML_Parser parser;
	unsigned depth;
	struct buf text; /* of the element that is open, or a part of it */
	int result;      /* why it was stopped */

	struct s3_xml_error *error;

	const char *wanted; /* an element; NULL: it was found */
	char *out;
	size_t out_size;

	s3_xml_key_fn *fn;
	void *arg;
	bool is_page; /* the outermost element is ListBucketResult, and it ended */
	bool in_contents, encoded, truncated;
	struct buf key;
	uint64_t size;

	s3_xml_left_fn *left;
	void *left_arg;
	bool is_answer; /* the outermost element is DeleteResult */
	struct s3_xml_error why;
};

static void stop(struct reader *r, int result)
{
	r->result = result;
	XML_StopParser(r->parser, XML_FALSE);
}

/* Names may carry a namespace's prefix. */
static const char *plain_name(const char *name)
{
	const char *colon = strrchr(name, ':');

	return colon ? colon + 1 : name;
}

static void on_text(void *arg, const XML_Char *text, int len)
{
	struct reader *r = arg;

	if (r->text.len + (size_t)len > TEXT_MAX)
		stop(r, -EBADMSG);
	else if (buf_add(&r->text, text, (size_t)len))
		stop(r, -ENOMEM);
}

static void on_entity(void *arg, const XML_Char *name, int is_parameter, const XML_Char *value,
		      int len, const XML_Char *base, const XML_Char *system, const XML_Char *public,
		      const XML_Char *notation)
{
	(void)name;
	(void)is_parameter;
	(void)value;
	(void)len;
	(void)base;
	(void)system;
	(void)public;
	(void)notation;
	stop(arg, -EBADMSG);
}

static void take(char *out, size_t size, const struct reader *r)
{
	snprintf(out, size, "%s", buf_str(&r->text));
}

static void on_error_end(void *arg, const XML_Char *full)
{
	struct reader *r = arg;
	const char *name = plain_name(full);

	if (!strcmp(name, "Code"))
		take(r->error->code, sizeof r->error->code, r);
	else if (!strcmp(name, "Message"))
		take(r->error->message, sizeof r->error->message, r);
	else if (!strcmp(name, "Region"))
		take(r->error->region, sizeof r->error->region, r);
	else if (!strcmp(name, "Endpoint"))
		take(r->error->endpoint, sizeof r->error->endpoint, r);
	buf_reset(&r->text);
}

static void on_start(void *arg, const XML_Char *full, const XML_Char **attributes)
{
	struct reader *r = arg;
	const char *name = plain_name(full);

	(void)attributes;
	buf_reset(&r->text);
	if (r->depth++ == 0)
		r->is_page = !strcmp(name, "ListBucketResult");
	if (!strcmp(name, "Contents") && r->depth == 2) {
		r->in_contents = true;
		buf_reset(&r->key);
		r->size = 0;
	}
}

/* %XX in place; '+' stands for a blank in some servers' form of it. */
static int decode(struct buf *key)
{
	size_t to = 0;

	for (size_t i = 0; i < key->len; i++) {
		char c = key->data[i];

		if (c == '%') {
			if (key->len - i < 3 || hex_decode(key->data + i + 1, 2, &c))
				return -EBADMSG;
			i += 2;
		} else if (c == '+') {
			c = ' ';
		}
		key->data[to++] = c;
	}
	key->len = to;
	if (key->data)
		key->data[to] = '\0';
	return 0;
}

static int end_contents(struct reader *r)
{
	int err;

	r->in_contents = false;
	err = r->encoded ? decode(&r->key) : 0;
	if (!err && (r->key.len == 0 || strlen(r->key.data) != r->key.len))
		err = -EBADMSG;
	return err ? err : r->fn(r->arg, buf_str(&r->key), r->size);
}

static int end_element(struct reader *r, const char *name)
{
	const char *text = buf_str(&r->text);

	if (r->depth == 1 && !strcmp(name, "Contents"))
		return end_contents(r);
	if (r->in_contents && r->depth == 2) {
		if (!strcmp(name, "Key"))
			return buf_add(&r->key, text, r->text.len);
		if (!strcmp(name, "Size"))
			return parse_u64(text, INT64_MAX, &r->size) ? -EBADMSG : 0;
	}
	if (r->depth == 1 && !strcmp(name, "IsTruncated"))
		r->truncated = !strcmp(text, "true");
	if (r->depth == 1 && !strcmp(name, "EncodingType"))
		r->encoded = !strcmp(text, "url");
	return 0;
}

static void on_end(void *arg, const XML_Char *full)
{
	struct reader *r = arg;
	int result;

	r->depth--;
	result = end_element(r, plain_name(full));
	buf_reset(&r->text);
	if (result)
		stop(r, result);
}

/* 0, or why the text was not read to its end. */
static int run(struct reader *r, const char *text, size_t len, XML_StartElementHandler start,
	       XML_EndElementHandler end)
{
	int err = len > INT_MAX ? -EBADMSG : 0;

	r->parser = XML_ParserCreate("UTF-8");
	if (!r->parser)
		return -ENOMEM;
	XML_SetUserData(r->parser, r);
	XML_SetElementHandler(r->parser, start, end);
	XML_SetCharacterDataHandler(r->parser, on_text);
	XML_SetEntityDeclHandler(r->parser, on_entity);
	if (!err && XML_Parse(r->parser, text, (int)len, XML_TRUE) != XML_STATUS_OK)
		err = r->result ? r->result : -EBADMSG;
	XML_ParserFree(r->parser);
	buf_release(&r->text);
	buf_release(&r->key);
	return err;
}

static void on_error_start(void *arg, const XML_Char *name, const XML_Char **attributes)
{
	struct reader *r = arg;

	(void)name;
	(void)attributes;
	buf_reset(&r->text);
}

void s3_xml_read_error(const char *text, size_t len, struct s3_xml_error *out)
{
	struct reader r = { .error = out };

	*out = (struct s3_xml_error){ .code = "" };
	if (run(&r, text, len, on_error_start, on_error_end))
		*out = (struct s3_xml_error){ .code = "" };
}

static void on_wanted_end(void *arg, const XML_Char *full)
{
	struct reader *r = arg;

	if (r->wanted && !strcmp(plain_name(full), r->wanted)) {
		take(r->out, r->out_size, r);
		r->wanted = NULL;
	}
	buf_reset(&r->text);
}

int s3_xml_read_text(const char *text, size_t len, const char *name, char *out, size_t size)
{
	struct reader r = { .wanted = name, .out = out, .out_size = size };
	int err = run(&r, text, len, on_error_start, on_wanted_end);

	return err ? err : r.wanted ? -EBADMSG : 0;
}

/*
 * A page is read twice: whether its keys are encoded may be told after them, and nothing is told of a
 * page that is not whole.
 */
static int note_nothing(void *arg, const char *key, uint64_t size)
{
	(void)arg;
	(void)key;
	(void)size;
	return 0;
}

int s3_xml_read_page(const char *text, size_t len, s3_xml_key_fn *fn, void *arg, bool *more)
{
	struct reader first = { .fn = note_nothing };
	struct reader second = { .fn = fn, .arg = arg };
	int err = run(&first, text, len, on_start, on_end);

	if (err || !first.is_page)
		return err ? err : -EBADMSG;
	second.encoded = first.encoded;
	err = run(&second, text, len, on_start, on_end);
	if (!err)
		*more = first.truncated;
	return err;
}

static void on_left_start(void *arg, const XML_Char *full, const XML_Char **attributes)
{
	struct reader *r = arg;
	const char *name = plain_name(full);

	(void)attributes;
	buf_reset(&r->text);
	if (r->depth++ == 0)
		r->is_answer = !strcmp(name, "DeleteResult");
	if (r->depth == 2) {
		buf_reset(&r->key);
		*r->why.code = '\0';
	}
}

static void on_left_end(void *arg, const XML_Char *full)
{
	struct reader *r = arg;
	const char *name = plain_name(full);
	int result = 0;

	r->depth--;
	if (r->depth == 2 && !strcmp(name, "Key"))
		result = buf_add(&r->key, buf_str(&r->text), r->text.len);
	else if (r->depth == 2 && !strcmp(name, "Code"))
		take(r->why.code, sizeof r->why.code, r);
	else if (r->depth == 1 && r->is_answer && !strcmp(name, "Error"))
		result = r->left(r->left_arg, buf_str(&r->key), r->why.code);
	buf_reset(&r->text);
	if (result)
		stop(r, result);
}

static int note_nothing_left(void *arg, const char *key, const char *code)
{
	(void)arg;
	(void)key;
	(void)code;
	return 0;
}

/* Twice, as a page. */
int s3_xml_read_left(const char *text, size_t len, s3_xml_left_fn *fn, void *arg)
{
	struct reader first = { .left = note_nothing_left };
	struct reader second = { .left = fn, .left_arg = arg };
	int err = run(&first, text, len, on_left_start, on_left_end);

	if (err || !first.is_answer)
		return err ? err : -EBADMSG;
	return run(&second, text, len, on_left_start, on_left_end);
}
