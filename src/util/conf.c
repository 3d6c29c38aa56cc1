/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Configuration over inih. inih would cut long lines in two, cut long names of sections, join
 * indented lines to the value above them and let a later key win, all in silence; the line reader
 * and the handler here see to it.
 */
#include "config.h"

#include "util/conf.h"
#include "util/cleanup.h"
#include "util/err.h"
#include "util/io.h"
#include "util/log.h"
#include "util/parse.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include <ini.h>

enum { CONF_FILE_MAX = 1 << 20, CONF_LINE_MAX = 190, CONF_SECTION_MAX = 50 };

struct conf_entry {
	struct conf_entry *next;
	char *section;
	char *key;
	char *value;
	int line;
	bool known;
};

struct conf {
	char *name;
	struct conf_entry *first;
};

struct conf_reader {
	struct conf *conf;
	const char *rest;
	int line;
	int err;
	struct buf *why;
};

/* Writes "NAME:LINE: text"; running out of memory only costs the text. */
__attribute__((format(printf, 4, 5))) static void conf_complain(const struct conf *c, int line,
								struct buf *why, const char *format,
								...)
{
	va_list args;

	buf_reset(why);
	if (line)
		buf_printf(why, "%s:%d: ", c->name, line);
	else
		buf_printf(why, "%s: ", c->name);
	va_start(args, format);
	buf_vprintf(why, format, args);
	va_end(args);
}

static struct conf_entry *conf_find(const struct conf *c, const char *section, const char *key)
{
	struct conf_entry *e = c->first;

	while (e && (strcmp(e->section, section) || strcmp(e->key, key)))
		e = e->next;
	return e;
}

static void conf_entry_free(struct conf_entry *e)
{
	free(e->section);
	free(e->key);
	free(e->value);
	free(e);
}

static struct conf_entry *conf_entry_new(const char *section, const char *key, const char *value,
					 int line)
{
	struct conf_entry *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	e->section = strdup(section);
	e->key = strdup(key);
	e->value = strdup(value);
	e->line = line;
	if (e->section && e->key && e->value)
		return e;
	conf_entry_free(e);
	return NULL;
}

static void conf_fail(struct conf_reader *r, int err, const char *text)
{
	if (r->err)
		return;
	r->err = err;
	conf_complain(r->conf, r->line, r->why, "%s", text);
}

/* inih's reader: the next line, without blanks at its front. */
static char *conf_read_line(char *out, int out_len, void *stream)
{
	struct conf_reader *r = stream;

	if (!*r->rest || r->err)
		return NULL;
	size_t len = strcspn(r->rest, "\n");
	const char *next = r->rest + len + (r->rest[len] == '\n');
	size_t blanks = strspn(r->rest, " \t");

	r->line++;
	if (len > CONF_LINE_MAX || (int)len + 1 > out_len) {
		conf_fail(r, -EINVAL, "line too long");
		return NULL;
	}
	if (blanks > len)
		blanks = len;
	if (r->rest[blanks] == '[' && len - blanks > CONF_SECTION_MAX) {
		conf_fail(r, -EINVAL, "section name too long");
		return NULL;
	}
	memcpy(out, r->rest + blanks, len - blanks);
	out[len - blanks] = '\0';
	r->rest = next;
	return out;
}

/* inih's handler: 1 to go on, 0 for a mistake. */
static int conf_take_pair(void *user, const char *section, const char *key, const char *value)
{
	struct conf_reader *r = user;

	if (conf_find(r->conf, section, key)) {
		conf_fail(r, -EINVAL, "key given twice");
		return 0;
	}
	struct conf_entry *e = conf_entry_new(section, key, value, r->line);

	if (!e) {
		conf_fail(r, -ENOMEM, err_text(-ENOMEM));
		return 0;
	}
	struct conf_entry **end = &r->conf->first;

	while (*end)
		end = &(*end)->next;
	*end = e;
	return 1;
}

static struct conf *conf_new(const char *name)
{
	struct conf *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->name = strdup(name);
	if (c->name)
		return c;
	free(c);
	return NULL;
}

int conf_parse(const char *name, const char *text, struct conf **out, struct buf *why)
{
	struct conf *c = conf_new(name);

	if (!c)
		return -ENOMEM;
	struct conf_reader r = { .conf = c, .rest = text, .why = why };
	int line = ini_parse_stream(conf_read_line, &r, conf_take_pair, &r);

	if (!r.err && line) {
		r.line = line;
		conf_fail(&r, -EINVAL, "neither a section nor 'key = value'");
	}
	if (r.err)
		conf_free(c);
	else
		*out = c;
	return r.err;
}

int conf_load(const char *path, struct conf **out, struct buf *why)
{
	CLEANUP_BUF struct buf text = BUF_INIT;
	const char *shown = log_name(path, strlen(path));
	int err = io_read_file(AT_FDCWD, path, CONF_FILE_MAX, &text);

	buf_reset(why);
	if (!err && strlen(buf_str(&text)) != text.len) {
		buf_printf(why, "%s: holds a NUL byte", shown);
		return -EINVAL;
	}
	if (err) {
		buf_printf(why, "%s: %s", shown, err_text(err));
		return err;
	}
	return conf_parse(path, buf_str(&text), out, why);
}

void conf_free(struct conf *c)
{
	if (!c)
		return;
	while (c->first) {
		struct conf_entry *e = c->first;

		c->first = e->next;
		conf_entry_free(e);
	}
	free(c->name);
	free(c);
}

const char *conf_text(struct conf *c, const char *section, const char *key)
{
	struct conf_entry *e = conf_find(c, section, key);

	if (!e)
		return NULL;
	e->known = true;
	return e->value;
}

/* The getters' ending: PARSED is what reading the key's value gave. */
static int conf_got(const struct conf *c, const char *section, const char *key, int parsed,
		    const char *wanted, struct buf *why)
{
	const struct conf_entry *e = conf_find(c, section, key);

	if (!parsed)
		return 1;
	conf_complain(c, e->line, why, "%s.%s: %s is not %s%s", section, key,
		      log_name(e->value, strlen(e->value)), wanted,
		      parsed == -ERANGE ? " that fits" : "");
	return -EINVAL;
}

int conf_size(struct conf *c, const char *section, const char *key, uint64_t *out, struct buf *why)
{
	const char *text = conf_text(c, section, key);

	return text ? conf_got(c, section, key, parse_size(text, out), "a size such as 4MiB", why)
		    : 0;
}

int conf_duration(struct conf *c, const char *section, const char *key, int64_t *out,
		  struct buf *why)
{
	const char *text = conf_text(c, section, key);

	return text ? conf_got(c, section, key, parse_duration(text, out), "a time such as 30d",
			       why)
		    : 0;
}

int conf_u64(struct conf *c, const char *section, const char *key, uint64_t max, uint64_t *out,
	     struct buf *why)
{
	const char *text = conf_text(c, section, key);

	return text ? conf_got(c, section, key, parse_u64(text, max, out), "a number", why) : 0;
}

int conf_bool(struct conf *c, const char *section, const char *key, bool *out, struct buf *why)
{
	const char *text = conf_text(c, section, key);

	return text ? conf_got(c, section, key, parse_bool(text, out), "yes or no", why) : 0;
}

int conf_check(const struct conf *c, struct buf *why)
{
	const struct conf_entry *e = c->first;

	while (e && e->known)
		e = e->next;
	if (!e)
		return 0;
	conf_complain(c, e->line, why, "unknown key %s in section %s",
		      log_name(e->key, strlen(e->key)), log_name(e->section, strlen(e->section)));
	return -EINVAL;
}
