/* SPDX-License-Identifier: GPL-3.0-or-later */
/* garner status and sync: how a library stands, and waiting until what was written is sealed. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

#include "cmd.h"
#include "library/control.h"
#include "library/report.h"
#include "library/sealer.h"
#include "util/cleanup.h"
#include "util/parse.h"
#include "util/time.h"

enum { KEY_JSON = 'j', KEY_TIMEOUT = 't' };

#define STATUS_TIMEOUT_MS 5000
#define NS_PER_MS INT64_C(1000000)

static json_t *report_json(const char *path, const struct report *r)
{
	return json_pack(
		"{s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
		"library", cmd_json_text(path, strlen(path)), "folders", (json_int_t)r->folders,
		"assets", (json_int_t)r->assets, "others", (json_int_t)r->others, "bytes",
		(json_int_t)r->bytes, "trash_items", (json_int_t)r->trash_items, "trash_bytes",
		(json_int_t)r->trash_bytes, "drafts", (json_int_t)r->drafts, "draft_bytes",
		(json_int_t)r->draft_bytes, "doubts", (json_int_t)r->doubts, "objects",
		(json_int_t)r->objects, "object_bytes", (json_int_t)r->object_bytes, "chunks",
		(json_int_t)r->chunks, "chunk_bytes", (json_int_t)r->chunk_bytes, "journal",
		(json_int_t)r->journal);
}

/* What the mounting process says of itself; NULL when nobody mounts the library. */
static json_t *ask_mount(const char *path)
{
	json_t *answer = NULL;

	return control_call(path, "{\"do\":\"status\"}", STATUS_TIMEOUT_MS, &answer) ? NULL
										     : answer;
}

static void print_free(const char *path)
{
	struct statvfs st;
	char free_text[16], total[16];

	if (statvfs(path, &st))
		return;
	printf("disk:      %s free of %s\n",
	       cmd_size((uint64_t)st.f_bavail * st.f_frsize, free_text),
	       cmd_size((uint64_t)st.f_blocks * st.f_frsize, total));
}

static long long number(const json_t *object, const char *name)
{
	return json_integer_value(json_object_get(object, name));
}

/* What the mount says of its queue. */
static void print_sealing(const json_t *sealing)
{
	const char *error = json_string_value(json_object_get(sealing, "last_error"));
	const char *at = json_string_value(json_object_get(sealing, "last_error_at"));
	char a[16], b[16], c[16];

	printf("sealing:   %lld files waiting, %s; since the mount %lld done, %s, of which %s "
	       "new\n",
	       number(sealing, "pending_files"),
	       cmd_size((uint64_t)number(sealing, "pending_bytes"), a),
	       number(sealing, "sealed_files"),
	       cmd_size((uint64_t)number(sealing, "sealed_bytes"), b),
	       cmd_size((uint64_t)number(sealing, "new_bytes"), c));
	if (error)
		printf("trouble:   %s, at inode %lld, %s\n", error,
		       number(sealing, "last_error_ino"), at ? at : "");
}

/* Where it is mounted and by whom; a mount for reading only has no control socket and says nothing of itself. */
static void print_mount(const char *at, const json_t *mounted)
{
	const json_t *files = json_object_get(mounted, "files");
	const char *path = json_string_value(json_object_get(mounted, "data_path"));
	const char *transport = json_string_value(json_object_get(mounted, "transport"));

	if (!at && !mounted) {
		printf("mounted:   no\n");
		return;
	}
	printf("mounted:   ");
	if (at)
		cmd_print_name(at, strlen(at));
	else
		printf("yes");
	if (!mounted) {
		printf(", read-only or not answering\n");
		return;
	}
	printf(", by process %lld, %s, requests over %s\nopen:      %lld files, %lld for writing",
	       number(mounted, "pid"), path ? path : "", transport ? transport : "",
	       number(files, "open"), number(files, "writing"));
	if (number(files, "held"))
		printf(", %lld sealed when their readers have closed them", number(files, "held"));
	putchar('\n');
	print_sealing(json_object_get(mounted, "sealing"));
}

static void print_report(const char *path, const struct report *r)
{
	char a[16], b[16];

	printf("library:   ");
	cmd_print_name(path, strlen(path));
	putchar('\n');
	printf("tree:      %llu folders, %llu assets, %llu others; %s\n",
	       (unsigned long long)r->folders, (unsigned long long)r->assets,
	       (unsigned long long)r->others, cmd_size(r->bytes, a));
	printf("trash:     %llu items, %s\n", (unsigned long long)r->trash_items,
	       cmd_size(r->trash_bytes, a));
	printf("unsealed:  %llu assets, %s\n", (unsigned long long)r->drafts,
	       cmd_size(r->draft_bytes, a));
	printf("content:   %llu objects of %s in %llu chunks of %s\n",
	       (unsigned long long)r->objects, cmd_size(r->object_bytes, a),
	       (unsigned long long)r->chunks, cmd_size(r->chunk_bytes, b));
	print_free(path);
	if (r->doubts)
		printf("trouble:   the disk failed to keep what was written to %lld assets; "
		       "'garner "
		       "fsck' names them\n",
		       (long long)r->doubts);
}

/* The bucket behind it, where there is one. */
static void print_s3(const json_t *s3)
{
	const char *url = json_string_value(json_object_get(s3, "url"));
	const char *endpoint = json_string_value(json_object_get(s3, "endpoint"));
	const char *error = json_string_value(json_object_get(s3, "error"));

	if (!url)
		return;
	printf("s3:        ");
	cmd_print_name(url, strlen(url));
	printf(" at %s, ", endpoint ? endpoint : "Amazon S3");
	if (error)
		printf("not reached: %s\n", error);
	else
		printf("reached\n");
}

static int show_status(const char *path, const struct report *r, json_t *s3, bool json)
{
	CLEANUP_FREE char *at = cmd_mountpoint_of(path);
	json_t *mounted = ask_mount(path), *all;

	if (!json) {
		print_report(path, r);
		print_mount(at, mounted);
		print_s3(s3);
		json_decref(mounted);
		json_decref(s3);
		return CMD_OK;
	}
	all = report_json(path, r);
	json_object_set_new(all, "mountpoint", at ? cmd_json_text(at, strlen(at)) : json_null());
	json_object_set_new(all, "mount", mounted ? mounted : json_null());
	json_object_set_new(all, "s3", s3 ? s3 : json_null());
	return cmd_print_json(all);
}

static int run_status(const struct cmd *cmd, int argc, char **argv)
{
	struct cmd_line l;
	struct library *lib;
	struct report r;
	json_t *s3;
	bool json = false;
	int key, code;

	cmd_begin(&l, cmd, argc, argv);
	while ((key = cmd_next(&l)) >= 0)
		json = true;
	if (key == CMD_STOP)
		return l.exit;
	lib = cmd_open(cmd, l.argv[0], LIBRARY_RDONLY, &code);
	if (!lib)
		return code;
	code = cmd_fail(cmd, l.argv[0], report_library(lib, &r));
	s3 = code ? NULL : cmd_s3_state(lib);
	library_close(lib);
	return code ? code : show_status(l.argv[0], &r, s3, json);
}

static const struct cmd_option status_options[] = {
	{ "json", KEY_JSON, NULL, "print JSON" },
	{ 0 },
};

const struct cmd cmd_status = {
	.name = "status",
	.operands = "LIBRARY",
	.summary = "Show how a library stands",
	.options = status_options,
	.min_operands = 1,
	.max_operands = 1,
	.run = run_status,
};

/* sync */

static int fail_sync(const struct cmd *cmd, const char *path, int err)
{
	if (err == -ETIMEDOUT)
		return cmd_refuse(
			cmd, CMD_FAILED, path,
			"not everything was sealed in that time; the rest is sealed later");
	return cmd_fail_library(cmd, path, err);
}

/* What is open for writing, mapped, or held by a reader cannot be sealed; that is no failure, but worth a word. */
static void tell_skipped(long long skipped)
{
	if (skipped)
		fprintf(stderr, "garner sync: left out what is still open: %lld %s\n", skipped,
			skipped == 1 ? "file" : "files");
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
	err = control_call(path, request, timeout_ms + STATUS_TIMEOUT_MS, &answer);
	*absent = err == -ENOENT || err == -ECONNREFUSED;
	if (!err)
		err = (int)json_integer_value(json_object_get(answer, "errno"));
	if (!err)
		tell_skipped(number(answer, "skipped"));
	json_decref(answer);
	return *absent ? CMD_OK : fail_sync(cmd, path, err);
}

static int run_sync(const struct cmd *cmd, int argc, char **argv)
{
	int64_t timeout_ns = 3600 * 1000 * NS_PER_MS;
	struct cmd_line l;
	bool absent;
	int key, code;

	cmd_begin(&l, cmd, argc, argv);
	while ((key = cmd_next(&l)) >= 0)
		if (parse_duration(l.value, &timeout_ns) || timeout_ns / NS_PER_MS > INT32_MAX / 2)
			return cmd_usage(cmd, "'%s' is no time; wanted for example 30s or 10m",
					 l.value);
	if (key == CMD_STOP)
		return l.exit;
	code = seal_in_mount(cmd, l.argv[0], (int)(timeout_ns / NS_PER_MS), &absent);
	return absent ? seal_here(cmd, l.argv[0], time_mono_ns() + timeout_ns) : code;
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
