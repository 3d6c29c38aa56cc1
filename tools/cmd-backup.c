/* SPDX-License-Identifier: GPL-3.0-or-later */
/* garner backup and recover: the metadata into the bucket, and a library back from it. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cmd.h"
#include "library/backup.h"
#include "library/control.h"
#include "library/restore.h"
#include "util/cleanup.h"
#include "util/err.h"
#include "util/parse.h"
#include "util/time.h"

enum { KEY_JSON = 'j', KEY_TIMEOUT = 't', KEY_TAKE_OVER = 256, KEY_OLDER };

enum { BACKUP_ANSWER_MS = 5000, TOLD_ASSETS = 20 };

static const char take_over_advice[] =
	"if that machine is lost, or the other is a copy, 'garner backup --take-over' makes this "
	"library the one that is backed up";

static int exit_of(int err)
{
	switch (err) {
	case -ENODEV:
	case -ENODATA:
		return CMD_NOT_FOUND;
	case -ENOKEY:
		return CMD_DENIED;
	case -EBUSY:
		return CMD_BUSY;
	default:
		return cmd_exit_of(err);
	}
}

static int fail_backup(const struct cmd *cmd, const char *path, int err, const char *why)
{
	if (err == -ENOENT)
		return cmd_no_bucket(cmd, path);
	if (err == -ENOTCONN)
		return cmd_refuse(cmd, CMD_UNSUPPORTED, path,
				  "its mount makes no backup; [s3] backup = off in its config");
	if (err == -EEXIST)
		return cmd_refuse(cmd, CMD_FAILED, path, "%s\n  -> %s", why, take_over_advice);
	if (err == -ETIMEDOUT && !*why)
		why = "not all was sent in that time; the mount goes on with it";
	return cmd_refuse(cmd, exit_of(err), path, "%s", *why ? why : err_text(err));
}

static int print_backup(const char *state, const char *at, long long epoch, long long number,
			long long bytes, bool json)
{
	char size[16];

	if (json)
		return cmd_print_json(json_pack("{s:s, s:s, s:I, s:I, s:I}", "state", state, "at",
						at, "epoch", (json_int_t)epoch, "number",
						(json_int_t)number, "bytes", (json_int_t)bytes));
	printf("The bucket has the metadata as of %.19sZ (%lld/%lld, %s sent).\n", at, epoch,
	       number, cmd_size((uint64_t)bytes, size));
	return CMD_OK;
}

static long long number(const json_t *object, const char *name)
{
	return json_integer_value(json_object_get(object, name));
}

static int backup_in_mount(const struct cmd *cmd, const char *path, bool take_over, int timeout_ms,
			   bool json, bool *absent)
{
	json_t *answer = NULL;
	char request[96];
	int err, code;

	snprintf(request, sizeof(request), "{\"do\":\"backup\",\"timeout_ms\":%d%s}", timeout_ms,
		 take_over ? ",\"take_over\":true" : "");
	err = control_call(path, request, timeout_ms + BACKUP_ANSWER_MS, &answer);
	*absent = err == -ENOENT || err == -ECONNREFUSED;
	if (*absent)
		return CMD_OK;
	if (err)
		return cmd_fail_library(cmd, path, err);
	err = (int)number(answer, "errno");
	const char *why = json_string_value(json_object_get(answer, "why"));
	const json_t *backup = json_object_get(answer, "backup");
	const char *at = json_string_value(json_object_get(backup, "at"));

	if (err)
		code = fail_backup(cmd, path, err, why ? why : "");
	else
		code = print_backup("current", at ? at : "?", number(backup, "epoch"),
				    number(backup, "number"), number(backup, "bytes"), json);
	json_decref(answer);
	return code;
}

static int backup_here(const struct cmd *cmd, const char *path, bool take_over, bool json)
{
	CLEANUP_BUF struct buf why = BUF_INIT;
	struct backup_ship_facts facts = { 0 };
	char at[TIME_TEXT_LEN];
	struct library *lib;
	int code, err;

	lib = cmd_open(cmd, path, 0, &code);
	if (!lib)
		return code;
	err = backup_now(lib, take_over, &facts, &why);
	library_close(lib);
	if (err)
		return fail_backup(cmd, path, err, buf_str(&why));
	time_format(facts.at_ns, at);
	return print_backup("current", at, facts.epoch, (long long)facts.state,
			    (long long)facts.bytes, json);
}

static int run_backup(const struct cmd *cmd, int argc, char **argv)
{
	int64_t timeout_ns = 3600 * TIME_NS_PER_S;
	bool json = false, take_over = false, absent = false;
	struct cmd_line l;
	int key, code;

	cmd_begin(&l, cmd, argc, argv);
	while ((key = cmd_next(&l)) >= 0) {
		json = json || key == KEY_JSON;
		take_over = take_over || key == KEY_TAKE_OVER;
		if (key == KEY_TIMEOUT && (parse_duration(l.value, &timeout_ns) ||
					   timeout_ns / TIME_NS_PER_MS > INT32_MAX / 2))
			return cmd_usage(cmd, "'%s' is no time; wanted for example 30s or 10m",
					 l.value);
	}
	if (key == CMD_STOP)
		return l.exit;
	code = backup_in_mount(cmd, l.argv[0], take_over, (int)(timeout_ns / TIME_NS_PER_MS), json,
			       &absent);
	return absent ? backup_here(cmd, l.argv[0], take_over, json) : code;
}

static const struct cmd_option backup_options[] = {
	{ "take-over", KEY_TAKE_OVER, NULL,
	  "also where the bucket has the backup of another machine" },
	{ "timeout", KEY_TIMEOUT, "TIME", "wait for the mount so long (default 1h)" },
	{ "json", KEY_JSON, NULL, "print JSON" },
	{ 0 },
};

const struct cmd cmd_backup = {
	.name = "backup",
	.operands = "LIBRARY",
	.summary = "Back the metadata up into the bucket, now",
	.options = backup_options,
	.min_operands = 1,
	.max_operands = 1,
	.run = run_backup,
};

/* recover */

struct recovery {
	struct cmd_progress progress;
	json_t *assets; /* NULL: text */
	json_t *damaged;
	uint64_t told, all;
};

static void on_progress(void *arg, const char *what, uint64_t done, uint64_t of)
{
	struct recovery *r = arg;

	r->progress.what = what;
	r->progress.done_items = done;
	r->progress.total_items = of;
	cmd_progress_show(&r->progress);
}

static void on_damaged(void *arg, const char *what)
{
	struct recovery *r = arg;

	cmd_progress_end(&r->progress);
	fprintf(stderr, "garner recover: %s\n", what);
	json_array_append_new(r->damaged, json_string(what));
}

static void on_asset(void *arg, const char *path, bool missing)
{
	struct recovery *r = arg;

	cmd_progress_end(&r->progress);
	if (r->assets) {
		json_array_append_new(r->assets,
				      json_pack("{s:o, s:s}", "path",
						cmd_json_text(path, strlen(path)), "state",
						missing ? "missing" : "inconsistent"));
		return;
	}
	if (r->told++ >= TOLD_ASSETS)
		return;
	printf("%s: ", missing ? "missing content" : "has older content");
	cmd_print_name(*path ? path : "(in the trash)", strlen(*path ? path : "(in the trash)"));
	putchar('\n');
}

static int print_recovered(const char *path, const struct restore_result *r,
			   const struct recovery *told)
{
	char at[TIME_TEXT_LEN], size[16], fetched[16];

	time_format(r->at_ns, at);
	if (told->assets)
		return cmd_print_json(json_pack(
			"{s:o, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:O, s:b, s:O}",
			"library", cmd_json_text(path, strlen(path)), "as_of", at, "epoch",
			(json_int_t)r->epoch, "number", (json_int_t)r->state, "fetched_bytes",
			(json_int_t)r->bytes, "assets", (json_int_t)r->assets, "bytes",
			(json_int_t)r->size, "chunks", (json_int_t)r->chunks, "chunks_in_bucket",
			(json_int_t)r->chunks_here, "inconsistent", (json_int_t)r->fallen_back,
			"missing", (json_int_t)r->missing, "assets_changed", told->assets, "older",
			r->older, "damaged", told->damaged));
	if (told->told > TOLD_ASSETS)
		printf("… and %llu more; 'garner ls -l' shows each\n",
		       (unsigned long long)(told->told - TOLD_ASSETS));
	printf("Recovered the library ");
	cmd_print_name(path, strlen(path));
	printf(" as of %.19sZ: %llu assets of %s (%s fetched).\n", at,
	       (unsigned long long)r->assets, cmd_size(r->size, size), cmd_size(r->bytes, fetched));
	printf("Of %llu chunks the bucket has %llu; %llu assets lack content, %llu have what was "
	       "sealed before the last change.\n",
	       (unsigned long long)r->chunks, (unsigned long long)r->chunks_here,
	       (unsigned long long)r->missing, (unsigned long long)r->fallen_back);
	if (r->older)
		printf("It is not the newest state, which is damaged in the bucket.\n");
	printf("Mount it with: garner mount ");
	cmd_print_name(path, strlen(path));
	printf(" MOUNTPOINT\n");
	return CMD_OK;
}

static int fail_recover(const struct cmd *cmd, const char *path, int err, const char *why,
			const struct restore_result *older)
{
	char at[TIME_TEXT_LEN];

	switch (err) {
	case -ESTALE:
		time_format(older->at_ns, at);
		return cmd_refuse(
			cmd, CMD_DAMAGED, path,
			"the newest state in the bucket is damaged; the newest that is "
			"whole is as of %.19sZ\n  -> 'garner recover --older' brings that "
			"back; what was changed after it is lost then",
			at);
	case -EEXIST:
		return cmd_refuse(cmd, CMD_FAILED, path, "there is a library already");
	case -ENOTEMPTY:
		return cmd_refuse(
			cmd, CMD_FAILED, path,
			"not empty; a library is recovered into a new or an empty folder");
	case -ENODATA:
		return cmd_refuse(cmd, CMD_NOT_FOUND, path,
				  "there is no backup below that prefix of the bucket");
	case ERR_CORRUPT:
		return cmd_refuse(cmd, CMD_DAMAGED, path, "the backup is damaged: %s", why);
	default:
		return cmd_refuse(cmd, exit_of(err), path, "%s", *why ? why : err_text(err));
	}
}

static int recover(const struct cmd *cmd, const char *path, const struct s3_settings *s3,
		   bool older, bool json)
{
	struct recovery told = { .assets = json ? json_array() : NULL, .damaged = json_array() };
	const struct restore_watch watch = {
		.progress = on_progress, .asset = on_asset, .damaged = on_damaged, .arg = &told
	};
	CLEANUP_BUF struct buf why = BUF_INIT;
	struct restore_result result = { 0 };
	int err, code;

	cmd_progress_begin(&told.progress, "asking the bucket");
	err = restore_library(path, s3, older, &watch, &result, &why);
	cmd_progress_end(&told.progress);
	code = err ? fail_recover(cmd, path, err, buf_str(&why), &result)
		   : print_recovered(path, &result, &told);
	json_decref(told.assets);
	json_decref(told.damaged);
	return code;
}

static int run_recover(const struct cmd *cmd, int argc, char **argv)
{
	__attribute__((cleanup(s3_settings_release))) struct s3_settings s3 = { 0 };
	CLEANUP_BUF struct buf why = BUF_INIT;
	struct cmd_line l;
	bool json = false, older = false;
	int key, err, code = CMD_OK;

	cmd_begin(&l, cmd, argc, argv);
	while (!code && (key = cmd_next(&l)) >= 0) {
		if (key >= CMD_S3_URL)
			code = cmd_s3_option(cmd, key, l.value, &s3);
		json = json || key == KEY_JSON;
		older = older || key == KEY_OLDER;
	}
	if (code || key == CMD_STOP)
		return code ? code : l.exit;
	err = s3_settings_url(&s3, l.argv[0], &why);
	if (err)
		return cmd_usage(cmd, "'%s': %s", l.argv[0],
				 why.len ? buf_str(&why) : err_text(err));
	/* The likeliest mistakes, told at once and before anything is made. */
	code = cmd_s3_check(cmd, &s3, false);
	return code ? code : recover(cmd, l.argv[1], &s3, older, json);
}

static const struct cmd_option recover_options[] = {
	CMD_S3_WAY_OPTIONS,
	{ "older", KEY_OLDER, NULL, "where the newest state is damaged, the newest that is whole" },
	{ "json", KEY_JSON, NULL, "print JSON" },
	{ 0 },
};

const struct cmd cmd_recover = {
	.name = "recover",
	.operands = "s3://BUCKET/PREFIX LIBRARY",
	.summary = "Bring a library back from its bucket",
	.options = recover_options,
	.min_operands = 2,
	.max_operands = 2,
	.run = run_recover,
};
