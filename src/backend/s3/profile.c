/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reading the AWS tools' files (AWS SDKs and Tools Reference Guide, "Shared config and credentials
 * files"): sections in brackets, `key = value` at the start of a line, comments from # or ; at the start
 * of a line or after a blank; an indented line belongs to the key above it.
 */
#include "config.h"

#include "backend/s3/profile.h"
#include "util/cleanup.h"
#include "util/io.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FILE_MAX = 1 << 20 };

struct span {
	const char *at;
	size_t len;
};

static struct span trim(struct span s)
{
	while (s.len && strchr(" \t\r", s.at[s.len - 1]))
		s.len--;
	while (s.len && strchr(" \t", *s.at)) {
		s.at++;
		s.len--;
	}
	return s;
}

static bool span_is(struct span s, const char *text)
{
	return s.len == strlen(text) && !memcmp(s.at, text, s.len);
}

/* The next line of *REST; false at the end. */
static bool next_line(const char **rest, struct span *line)
{
	size_t len = strcspn(*rest, "\n");

	if (!**rest)
		return false;
	*line = (struct span){ *rest, len };
	*rest += len + ((*rest)[len] == '\n');
	return true;
}

/* Whether the line opens a section, and which. */
static bool is_section(struct span line, struct span *name)
{
	const char *end;

	if (!line.len || *line.at != '[')
		return false;
	end = memchr(line.at, ']', line.len);
	if (!end)
		return false;
	*name = trim((struct span){ line.at + 1, (size_t)(end - line.at) - 1 });
	return true;
}

/* A comment in a line begins after a blank. */
static struct span cut_comment(struct span value)
{
	for (size_t i = 1; i < value.len; i++)
		if ((value.at[i] == '#' || value.at[i] == ';') && strchr(" \t", value.at[i - 1]))
			value.len = i;
	return trim(value);
}

static bool is_pair(struct span line, const char *key, struct span *value)
{
	const char *equals = line.len ? memchr(line.at, '=', line.len) : NULL;

	if (!equals || strchr(" \t#;", *line.at) ||
	    !span_is(trim((struct span){ line.at, (size_t)(equals - line.at) }), key))
		return false;
	*value = cut_comment(
		(struct span){ equals + 1, line.len - (size_t)(equals - line.at) - 1 });
	return true;
}

int s3_profile_value(const char *text, const char *section, const char *key, struct buf *out)
{
	struct span line, name, value, found = { NULL, 0 };
	bool inside = false;

	while (next_line(&text, &line)) {
		if (is_section(line, &name))
			inside = span_is(name, section);
		else if (inside && is_pair(line, key, &value))
			found = value;
	}
	if (!found.at || !found.len)
		return 0;
	return buf_add(out, found.at, found.len) ? -ENOMEM : 1;
}

bool s3_profile_has(const char *text, const char *section)
{
	struct span line, name;

	while (next_line(&text, &line))
		if (is_section(line, &name) && span_is(name, section))
			return true;
	return false;
}

/* The user's home: HOME, or what the system's list of users says. */
static int add_home(struct buf *path)
{
	const char *home = getenv("HOME");
	struct passwd entry, *found = NULL;
	char room[4096];

	if (home && *home)
		return buf_add_str(path, home);
	if (getpwuid_r(geteuid(), &entry, room, sizeof room, &found) || !found)
		return -ENOENT;
	return buf_add_str(path, found->pw_dir);
}

int s3_profile_load(bool config, struct buf *path, struct buf *out)
{
	const char *told = getenv(config ? "AWS_CONFIG_FILE" : "AWS_SHARED_CREDENTIALS_FILE");
	int err;

	if (told && *told) {
		err = 0;
		if (!strncmp(told, "~/", 2)) {
			err = add_home(path);
			told++;
		}
		if (!err)
			err = buf_add_str(path, told);
	} else {
		err = add_home(path);
		if (!err)
			err = buf_add_str(path, config ? "/.aws/config" : "/.aws/credentials");
	}
	return err ? err : io_read_file(AT_FDCWD, buf_str(path), FILE_MAX, out);
}

const char *s3_profile_name(const char *asked)
{
	const char *name = asked;

	if (!name || !*name)
		name = getenv("AWS_PROFILE");
	if (!name || !*name)
		name = getenv("AWS_DEFAULT_PROFILE");
	return name && *name ? name : "default";
}

int s3_profile_region(const char *asked, struct buf *out)
{
	CLEANUP_BUF struct buf text = BUF_INIT;
	CLEANUP_BUF struct buf path = BUF_INIT;
	CLEANUP_BUF struct buf section = BUF_INIT;
	const char *name = s3_profile_name(asked), *region = getenv("AWS_REGION");
	int found;

	if (!region || !*region)
		region = getenv("AWS_DEFAULT_REGION");
	if (region && *region)
		return buf_add_str(out, region) ? -ENOMEM : 1;
	if (s3_profile_load(true, &path, &text))
		return 0;
	if (buf_printf(&section, "profile %s", name))
		return -ENOMEM;
	found = s3_profile_value(buf_str(&text), buf_str(&section), "region", out);
	if (found || strcmp(name, "default"))
		return found;
	return s3_profile_value(buf_str(&text), "default", "region", out);
}
