/* SPDX-License-Identifier: GPL-3.0-or-later */
/* garner sync: waiting until what was written is sealed. */
#include "config.h"

#include <errno.h>
#include <stdio.h>

#include "cmd.h"
#include "library/control.h"
#include "library/sealer.h"
#include "util/parse.h"
#include "util/time.h"

enum { KEY_TIMEOUT = 't', ANSWER_MS = 5000 };

#define CMD_SYNC_NS (3600 * TIME_NS_PER_S)

static int fail_sync(const struct cmd *cmd, const char *path, int err)
{
	if (err == -ETIMEDOUT)
		return cmd_refuse(
			cmd, CMD_FAILED, path,
			"not everything was sealed in that time; the rest is sealed later");
	return cmd_fail_library(cmd, path, err);
}

/* What is open for writing, mapped, or held by a reader cannot be sealed; that is no failure, but worth a word. */
static void tell_skipped(const struct cmd *cmd, long long skipped)
{
	if (skipped)
		fprintf(stderr, "garner %s: left out what is still open: %lld %s\n", cmd->name,
			skipped, skipped == 1 ? "file" : "files");
}

/* Nobody mounts it: this process takes up the drafts and seals them. */
static int seal_here(const struct cmd *cmd, const char *path, int64_t deadline_ns)
{
	struct library *lib;
	int code, err;

	lib = cmd_open(cmd, path, LIBRARY_MOUNT, &code);
	if (!lib)
		return code;
	err = library_start(lib);
	if (!err)
		err = sealer_sync(lib, deadline_ns, NULL);
	library_close(lib);
	return fail_sync(cmd, path, err);
}

static int seal_in_mount(const struct cmd *cmd, const char *path, int timeout_ms, bool *absent)
{
	json_t *answer = NULL;
	char request[64];
	int err;

	snprintf(request, sizeof request, "{\"do\":\"sync\",\"timeout_ms\":%d}", timeout_ms);
	err = control_call(path, request, timeout_ms + ANSWER_MS, &answer);
	*absent = err == -ENOENT || err == -ECONNREFUSED;
	if (!err)
		err = (int)json_integer_value(json_object_get(answer, "errno"));
	if (!err)
		tell_skipped(cmd, json_integer_value(json_object_get(answer, "skipped")));
	json_decref(answer);
	return *absent ? CMD_OK : fail_sync(cmd, path, err);
}

int cmd_seal(const struct cmd *cmd, const char *path, int64_t timeout_ns)
{
	bool absent;
	int code = seal_in_mount(cmd, path, (int)(timeout_ns / TIME_NS_PER_MS), &absent);

	return absent ? seal_here(cmd, path, time_mono_ns() + timeout_ns) : code;
}

static int run_sync(const struct cmd *cmd, int argc, char **argv)
{
	int64_t timeout_ns = CMD_SYNC_NS;
	struct cmd_line l;
	int key;

	cmd_begin(&l, cmd, argc, argv);
	while ((key = cmd_next(&l)) >= 0)
		if (parse_duration(l.value, &timeout_ns) ||
		    timeout_ns / TIME_NS_PER_MS > INT32_MAX / 2)
			return cmd_usage(cmd, "'%s' is no time; wanted for example 30s or 10m",
					 l.value);
	if (key == CMD_STOP)
		return l.exit;
	return cmd_seal(cmd, l.argv[0], timeout_ns);
}

static const struct cmd_option sync_options[] = {
	{ "timeout", KEY_TIMEOUT, "TIME", "give up after this long (default 1h)" },
	{ 0 },
};

const struct cmd cmd_sync = {
	.name = "sync",
	.operands = "LIBRARY",
	.summary = "Wait until everything written so far is sealed",
	.options = sync_options,
	.min_operands = 1,
	.max_operands = 1,
	.run = run_sync,
};
