/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The bucket behind a library, for the subcommands: its options, trying it out, how it stands. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/s3/probe.h"
#include "cmd.h"
#include "library/backup.h"
#include "util/cleanup.h"
#include "util/time.h"

enum { CHECK_S = 20, CHECK_ATTEMPTS = 2, STATE_S = 2 };

/* An empty one is as good as none. */
static int copy_text(const char *value, char **out)
{
	free(*out);
	*out = *value ? strdup(value) : NULL;
	return *value && !*out ? -ENOMEM : 0;
}

/* The mount is started elsewhere, later: the path has to be whole. */
static int set_ca_file(const char *value, struct s3_settings *s3)
{
	char *whole = realpath(value, NULL);

	if (!whole)
		return -errno;
	free(s3->ca_file);
	s3->ca_file = whole;
	return 0;
}

static int set_option(int key, const char *value, struct s3_settings *s3, struct buf *why)
{
	switch ((enum cmd_s3_key)key) {
	case CMD_S3_URL:
		return s3_settings_url(s3, value, why);
	case CMD_S3_ENDPOINT:
		return s3_settings_endpoint(s3, value, why);
	case CMD_S3_REGION:
		return copy_text(value, &s3->region);
	case CMD_S3_PROFILE:
		return copy_text(value, &s3->profile);
	case CMD_S3_STYLE:
		buf_add_str(why, "auto, path or host is wanted");
		return s3_settings_style(s3, value);
	case CMD_S3_CA_FILE:
		buf_add_str(why, "there is no such file");
		return set_ca_file(value, s3);
	case CMD_S3_SSE:
		buf_add_str(why, "AES256, aws:kms or aws:kms:KEY is wanted");
		return s3_settings_sse(s3, value);
	}
	return -EINVAL;
}

int cmd_s3_option(const struct cmd *cmd, int key, const char *value, struct s3_settings *s3)
{
	CLEANUP_BUF struct buf why = BUF_INIT;
	const struct cmd_option *o = cmd->options;
	int err = set_option(key, value, s3, &why);

	if (!err)
		return CMD_OK;
	if (err == -ENOMEM)
		return cmd_fail(cmd, NULL, err);
	while (o->key != key)
		o++;
	return cmd_usage(cmd, "--%s '%s': %s", o->name, value, buf_str(&why));
}

int cmd_s3_complete(const struct cmd *cmd, const struct s3_settings *s3)
{
	bool any = s3->endpoint || s3->region || s3->profile || s3->style || s3->ca_file || s3->sse;

	if (any && !s3->bucket)
		return cmd_usage(cmd, "which bucket? --s3 s3://BUCKET/PREFIX is missing");
	return CMD_OK;
}

int cmd_s3_show(const struct s3_settings *s3, struct buf *out)
{
	int err = s3_settings_show(s3, out);

	return err ? err : buf_printf(out, " at %s", s3->endpoint ? s3->endpoint : "Amazon S3");
}

static int exit_of(int err)
{
	switch (err) {
	case -ENODEV:
		return CMD_NOT_FOUND;
	case -EACCES:
	case -ENOKEY:
		return CMD_DENIED;
	case -ENOSPC:
		return CMD_FULL;
	default:
		return CMD_FAILED;
	}
}

static int probe(const struct cmd *cmd, const struct s3_settings *s3, struct s3_client *client,
		 bool write)
{
	CLEANUP_BUF struct buf name = BUF_INIT;
	struct s3_probe p;
	int err = s3_probe_run(client, write, time_mono_ns() + CHECK_S * TIME_NS_PER_S, &p);
	int code = err ? exit_of(err) : CMD_OK;

	cmd_s3_show(s3, &name);
	if (err)
		cmd_refuse(cmd, code, buf_str(&name), "%s%s%s", buf_str(&p.why),
			   p.advice.len ? "\n  -> " : "", buf_str(&p.advice));
	s3_probe_release(&p);
	return code;
}

/* Someone waits: what is wrong is told at once. */
static int quick_client(const struct s3_settings *s3, struct s3_client **out)
{
	struct s3_settings quick = *s3;

	quick.attempts = CHECK_ATTEMPTS;
	return s3_client_new(&quick, s3_credentials_find, out);
}

int cmd_s3_check(const struct cmd *cmd, const struct s3_settings *s3, bool write)
{
	struct s3_client *client;
	int err = quick_client(s3, &client), code;

	if (err)
		return cmd_fail(cmd, "S3", err);
	code = probe(cmd, s3, client, write);
	s3_client_free(client);
	return code;
}

void cmd_s3_warn_taken(const struct cmd *cmd, const struct s3_settings *s3)
{
	CLEANUP_BUF struct buf whose = BUF_INIT;
	CLEANUP_BUF struct buf name = BUF_INIT;
	struct s3_client *client;

	if (quick_client(s3, &client) || backup_found(client, &whose) <= 0)
		return;
	cmd_s3_show(s3, &name);
	cmd_refuse(cmd, CMD_OK, buf_str(&name),
		   "the backup of another library is there%s%s\n"
		   "  -> give this one a prefix of its own; if that one is lost, 'garner recover' "
		   "brings it back",
		   whose.len ? ": " : "", buf_str(&whose));
}

static json_t *state_json(const struct s3_settings *s3, struct s3_client *client)
{
	CLEANUP_BUF struct buf url = BUF_INIT;
	CLEANUP_BUF struct buf region = BUF_INIT;
	struct s3_probe p;
	json_t *state;
	int err = s3_probe_run(client, false, time_mono_ns() + STATE_S * TIME_NS_PER_S, &p);

	s3_settings_show(s3, &url);
	s3_client_region(client, &region);
	state = json_pack("{s:o, s:s?, s:o, s:b, s:o?, s:I}", "url",
			  cmd_json_text(buf_str(&url), url.len), "endpoint", s3->endpoint, "region",
			  cmd_json_text(buf_str(&region), region.len), "reached", !err, "error",
			  err ? cmd_json_text(buf_str(&p.why), p.why.len) : NULL, "clock_off_s",
			  (json_int_t)-p.skew_s);
	s3_probe_release(&p);
	return state;
}

json_t *cmd_s3_state(struct library *lib)
{
	struct s3_client *client;
	json_t *state;
	int err = library_s3_client(lib, 1, &client);

	if (err == -ENOENT)
		return json_null();
	if (err)
		return NULL;
	state = state_json(&library_settings(lib)->s3, client);
	s3_client_free(client);
	return state;
}
