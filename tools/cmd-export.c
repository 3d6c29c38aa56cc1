/* SPDX-License-Identifier: GPL-3.0-or-later */
/* garner export: assets and folders written out of a library. */
#include "config.h"

#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/export-bucket.h"
#include "agent/export.h"
#include "cmd.h"
#include "library/control.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/err.h"

enum { KEY_JSON = 'j', KEY_BUCKET = 'b', FLUSH_TIMEOUT_MS = 10000 };
#define SYNC_TIMEOUT "5000" /* ms */

static const struct cmd_option options[] = {
	{ "to-bucket", KEY_BUCKET, "KEY", "as one object of the library's bucket: exports/KEY" },
	{ "json", KEY_JSON, NULL, "print the summary as JSON" },
	{ 0 },
};

struct output {
	const struct cmd *cmd;
	struct cmd_progress progress;
	struct export *run;
	struct export_stats stats;
};

static void on_failed(void *arg, const char *path, int err)
{
	struct output *o = arg;

	cmd_progress_end(&o->progress);
	cmd_fail(o->cmd, path, err);
}

static void on_progress(void *arg, const struct export_stats *s)
{
	struct output *o = arg;

	o->progress.done_items = s->assets;
	o->progress.done_bytes = s->bytes;
	cmd_progress_show(&o->progress);
}

/*
 * What was written through the mount is to be in it: sealed, where that is done in time, so that its hashes can be checked; else as it was recorded. A mount that does
 * not answer in time is no reason not to begin.
 */
static void flush_mount(const char *path)
{
	(void)control_call(path, "{\"do\":\"flush\"}", FLUSH_TIMEOUT_MS, NULL);
	(void)control_call(path, "{\"do\":\"sync\",\"timeout_ms\":" SYNC_TIMEOUT "}",
			   FLUSH_TIMEOUT_MS, NULL);
}

/* Into an existing folder under its own name, else as `dest` itself. */
static int build_target(const char *path, const char *dest, struct buf *out)
{
	const char *last = strrchr(path, '/');
	struct stat st;
	bool folder = !stat(dest, &st) && S_ISDIR(st.st_mode);

	last = last ? last + 1 : path;
	if (!folder || !*last)
		return buf_add_str(out, dest);
	return buf_printf(out, "%s/%s", dest, last);
}

/* The full path of `dest`, or of the folder that it is to be made in; NULL: there is neither. */
static char *real_place(const char *dest)
{
	CLEANUP_FREE char *copy = NULL;
	char *full = cmd_full_path(dest);

	if (full)
		return full;
	copy = strdup(dest);
	return copy ? realpath(dirname(copy), NULL) : NULL;
}

/* The mistakes that would write nothing, or write into the library's own folders. An exit code. */
static int check_dest(const struct cmd *cmd, const char *library, const char *dest, bool many)
{
	CLEANUP_FREE char *place = real_place(dest);
	CLEANUP_FREE char *full = realpath(library, NULL);
	CLEANUP_FREE char *at = cmd_mountpoint_of(library);
	struct stat st;

	if (!place)
		return cmd_refuse(cmd, CMD_NOT_FOUND, dest,
				  "the folder to write it in does not exist");
	if (many && (stat(dest, &st) || !S_ISDIR(st.st_mode)))
		return cmd_refuse(cmd, CMD_NOT_FOUND, dest, "no folder to write several into");
	if (full && cmd_lies_in(place, full))
		return cmd_refuse(cmd, CMD_USAGE, dest,
				  "in the library's own folder; an export goes elsewhere");
	if (at && cmd_lies_in(place, at))
		return cmd_refuse(cmd, CMD_USAGE, dest,
				  "in the mount of the library; 'cp' makes a copy there");
	return CMD_OK;
}

/* An exit code. */
static int export_path(struct output *o, struct library *lib, const char *path, const char *dest)
{
	CLEANUP_BUF struct buf target = BUF_INIT;
	struct node n;
	int err = tree_resolve(lib, path, &n);

	if (err) {
		o->stats.failed++;
		return cmd_fail_path(o->cmd, lib, path, err);
	}
	if (strcmp(dest, "-") == 0)
		return cmd_fail(o->cmd, path, export_content(lib, &n, STDOUT_FILENO));
	err = build_target(path, dest, &target);
	if (!err)
		err = export_tree(o->run, &n, target.data);
	o->stats.failed += err != 0;
	return cmd_fail(o->cmd, path, err);
}

/* The exit code of the first that failed. */
static int export_paths(struct output *o, struct library *lib, char *const *paths, int count,
			const char *dest)
{
	const struct export_watch watch = { .failed = on_failed,
					    .progress = on_progress,
					    .arg = o };
	int code = cmd_fail(o->cmd, library_path(lib),
			    export_begin(lib, &watch, &o->stats, &o->run));

	for (int i = 0; o->run && i < count; i++) {
		int one = export_path(o, lib, paths[i], dest);

		code = code ? code : one;
	}
	export_end(o->run);
	return code;
}

static int print_stats(const struct export_stats *s, bool json)
{
	char size[16];

	if (json)
		return cmd_print_json(json_pack(
			"{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "links", (json_int_t)s->links,
			"assets", (json_int_t)s->assets, "folders", (json_int_t)s->folders,
			"others", (json_int_t)s->others, "skipped", (json_int_t)s->skipped,
			"failed", (json_int_t)s->failed, "bytes", (json_int_t)s->bytes));
	printf("%llu assets (%s), %llu links, %llu folders, %llu others written; %llu were there "
	       "already, "
	       "%llu failed\n",
	       (unsigned long long)s->assets, cmd_size(s->bytes, size),
	       (unsigned long long)s->links, (unsigned long long)s->folders,
	       (unsigned long long)s->others, (unsigned long long)s->skipped,
	       (unsigned long long)s->failed);
	return CMD_OK;
}

static int print_object(struct library *lib, const char *key, const struct export_bucket_stats *s,
			bool json)
{
	CLEANUP_BUF struct buf url = BUF_INIT;
	char size[16], copied[16];

	if (s3_settings_show(&library_settings(lib)->s3, &url) ||
	    buf_printf(&url, "/" EXPORT_BUCKET_FOLDER "%s", key))
		return cmd_fail(&cmd_export, NULL, -ENOMEM);
	if (json)
		return cmd_print_json(json_pack(
			"{s:o, s:I, s:I, s:I}", "url", cmd_json_text(buf_str(&url), url.len),
			"bytes", (json_int_t)s->bytes, "copied_bytes", (json_int_t)s->copied,
			"parts", (json_int_t)s->parts));
	cmd_print_name(buf_str(&url), url.len);
	printf(": %s, of which the server copied %s\n", cmd_size(s->bytes, size),
	       cmd_size(s->copied, copied));
	return CMD_OK;
}

/* One asset as an object in the bucket. An exit code. */
static int export_object(const struct cmd *cmd, struct library *lib, const char *path,
			 const char *key, bool json)
{
	CLEANUP_BUF struct buf why = BUF_INIT;
	struct export_bucket_stats stats = { 0 };
	struct node n;
	int err = tree_resolve(lib, path, &n);

	if (err)
		return cmd_fail_path(cmd, lib, path, err);
	err = export_to_bucket(lib, &n, key, &stats, &why);
	if (err == -ENODEV && !why.len)
		return cmd_no_bucket(cmd, library_path(lib));
	if (err == -EISDIR)
		return cmd_refuse(cmd, CMD_FAILED, path,
				  "a folder; one asset at a time becomes an object");
	if (err == -ENODATA)
		return cmd_refuse(cmd, CMD_FAILED, path,
				  "it is being written and nothing of it was sealed yet");
	if (err && why.len)
		return cmd_refuse(cmd, cmd_exit_of(err), path, "%s", buf_str(&why));
	return err ? cmd_fail(cmd, path, err) : print_object(lib, key, &stats, json);
}

static int run_bucket(const struct cmd *cmd, const struct cmd_line *l, const char *to, bool json)
{
	struct library *lib;
	int code;

	if (l->argc != 2)
		return cmd_usage(cmd, "with --to-bucket one asset is exported, and has no "
				      "destination besides");
	if (!*to || *to == '/')
		return cmd_usage(cmd, "'%s' is no key; wanted for example films/rome.mp4", to);
	flush_mount(l->argv[0]);
	lib = cmd_open(cmd, l->argv[0], LIBRARY_RDONLY, &code);
	if (!lib)
		return code;
	code = export_object(cmd, lib, l->argv[1], to, json);
	library_close(lib);
	return code;
}

static int run(const struct cmd *cmd, int argc, char **argv)
{
	struct output o = { .cmd = cmd };
	const char *dest, *to = NULL;
	struct library *lib;
	struct cmd_line l;
	bool json = false;
	int key, code;

	cmd_begin(&l, cmd, argc, argv);
	while ((key = cmd_next(&l)) >= 0) {
		json = json || key == KEY_JSON;
		to = key == KEY_BUCKET ? l.value : to;
	}
	if (key == CMD_STOP)
		return l.exit;
	if (to)
		return run_bucket(cmd, &l, to, json);
	if (l.argc < 3)
		return cmd_usage(cmd, "where to? the destination is missing");
	dest = l.argv[l.argc - 1];
	if (strcmp(dest, "-") == 0 && l.argc != 3)
		return cmd_usage(cmd, "only one asset can go to standard output");
	code = strcmp(dest, "-") == 0 ? CMD_OK : check_dest(cmd, l.argv[0], dest, l.argc > 3);
	if (code)
		return code;
	flush_mount(l.argv[0]);
	lib = cmd_open(cmd, l.argv[0], LIBRARY_RDONLY, &code);
	if (!lib)
		return code;
	cmd_progress_begin(&o.progress, "exporting");
	code = export_paths(&o, lib, l.argv + 1, l.argc - 2, dest);
	cmd_progress_end(&o.progress);
	library_close(lib);
	if (strcmp(dest, "-") != 0 && print_stats(&o.stats, json))
		return CMD_FAILED;
	return code ? code : o.stats.failed ? CMD_FAILED : CMD_OK;
}

const struct cmd cmd_export = {
	.name = "export",
	.operands = "LIBRARY PATH… DESTINATION",
	.summary = "Write assets and folders out of a library",
	.options = options,
	.min_operands = 2,
	.max_operands = -1,
	.run = run,
};
