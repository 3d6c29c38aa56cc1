/* SPDX-License-Identifier: GPL-3.0-or-later */
/* garner fsck. Exit codes as fsck(8): 0 clean, 1 mended, 4 faults are left, 8 could not check, 16 usage. */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "cmd.h"
#include "library/check.h"
#include "util/err.h"

enum { KEY_DEEP = 'd', KEY_REPAIR = 'r', KEY_JSON = 'j' };
enum { FSCK_CLEAN = 0, FSCK_MENDED = 1, FSCK_FAULTS = 4, FSCK_FAILED = 8, FSCK_USAGE = 16 };

static const struct cmd_option options[] = {
	{ "deep", KEY_DEEP, NULL, "read and hash everything that is stored" },
	{ "repair", KEY_REPAIR, NULL, "mend what can be mended, mark what cannot" },
	{ "json", KEY_JSON, NULL, "print JSON" },
	{ 0 },
};

struct output {
	json_t *faults; /* NULL: text */
	struct cmd_progress progress;
};

static void on_fault(void *arg, const char *line)
{
	struct output *o = arg;

	cmd_progress_end(&o->progress);
	if (o->faults)
		json_array_append_new(o->faults, cmd_json_text(line, strlen(line)));
	else
		puts(line);
}

static void on_progress(void *arg, uint64_t done, uint64_t of)
{
	struct output *o = arg;

	o->progress.done_items = done;
	o->progress.total_items = of;
	cmd_progress_show(&o->progress);
}

static int print_result(struct output *o, const struct check_result *r)
{
	char size[16];

	if (o->faults)
		return cmd_print_json(json_pack(
			"{s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "objects", (json_int_t)r->objects,
			"chunks", (json_int_t)r->chunks, "bytes_hashed",
			(json_int_t)r->bytes_hashed, "found", (json_int_t)r->faults, "mended",
			(json_int_t)r->mended, "damaged_assets", (json_int_t)r->damaged_assets,
			"faults", o->faults));
	printf("%llu objects and %llu chunks checked", (unsigned long long)r->objects,
	       (unsigned long long)r->chunks);
	if (r->bytes_hashed)
		printf(", %s hashed", cmd_size(r->bytes_hashed, size));
	printf("; %llu faults, %llu mended, %llu damaged assets\n", (unsigned long long)r->faults,
	       (unsigned long long)r->mended, (unsigned long long)r->damaged_assets);
	return CMD_OK;
}

static int check(const struct cmd *cmd, const char *path, int flags, bool json)
{
	struct output o = { .faults = json ? json_array() : NULL };
	const struct check_watch watch = { .fault = on_fault, .progress = on_progress, .arg = &o };
	struct check_result r;
	struct library *lib;
	int err;

	err = library_open(path, flags & CHECK_REPAIR ? LIBRARY_MOUNT : LIBRARY_RDONLY, &lib);
	if (err) {
		cmd_fail_library(cmd, path, err);
		json_decref(o.faults);
		return err == ERR_CORRUPT || err == ERR_SCHEMA ? FSCK_FAULTS : FSCK_FAILED;
	}
	cmd_progress_begin(&o.progress, "checking");
	err = check_library(lib, flags, &watch, &r);
	cmd_progress_end(&o.progress);
	library_close(lib);
	if (err) {
		json_decref(o.faults);
		cmd_fail(cmd, path, err);
		return FSCK_FAILED;
	}
	if (print_result(&o, &r))
		return FSCK_FAILED;
	if (r.faults == r.mended)
		return r.faults ? FSCK_MENDED : FSCK_CLEAN;
	return FSCK_FAULTS;
}

static int run(const struct cmd *cmd, int argc, char **argv)
{
	struct cmd_line l;
	bool json = false;
	int key, flags = 0;

	cmd_begin(&l, cmd, argc, argv);
	while ((key = cmd_next(&l)) >= 0) {
		if (key == KEY_DEEP)
			flags |= CHECK_DEEP;
		if (key == KEY_REPAIR)
			flags |= CHECK_REPAIR;
		json = json || key == KEY_JSON;
	}
	if (key == CMD_STOP)
		return l.exit ? FSCK_USAGE : FSCK_CLEAN;
	return check(cmd, l.argv[0], flags, json);
}

const struct cmd cmd_fsck = {
	.name = "fsck",
	.operands = "LIBRARY",
	.summary = "Check a library, and mend it",
	.options = options,
	.min_operands = 1,
	.max_operands = 1,
	.run = run,
};
