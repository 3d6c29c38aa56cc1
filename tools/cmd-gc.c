/* SPDX-License-Identifier: GPL-3.0-or-later */
/* garner gc: gives back the space of what nothing refers to. A mount does the same by itself, a little at a time. */
#include "config.h"

#include <stdio.h>

#include "cmd.h"
#include "content/collect.h"
#include "util/err.h"
#include "util/parse.h"
#include "util/time.h"

enum { KEY_GRACE = 'g', KEY_JSON = 'j' };
enum { STEP_ROWS = 1000 };

#define NORMAL_GRACE_NS (INT64_C(3600) * 1000000000)

static const struct cmd_option options[] = {
	{ "grace", KEY_GRACE, "TIME",
	  "keep chunks that were freed less than this ago (default 1h)" },
	{ "json", KEY_JSON, NULL, "print JSON" },
	{ 0 },
};

static int collect(struct library *lib, int64_t grace_ns, struct collect_stats *stats)
{
	int err = tree_trash_expire(lib, time_now_ns());

	while (err >= 0 && (err = tree_sweep(lib, 0, STEP_ROWS)) > 0)
		continue;
	if (err < 0)
		return err;
	do
		err = collect_step(library_content(lib), time_now_ns(), grace_ns, STEP_ROWS, stats);
	while (err > 0);
	return err;
}

static int print_stats(const struct collect_stats *s, bool json)
{
	char chunks[16], punched[16];

	if (json)
		return cmd_print_json(json_pack(
			"{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "objects", (json_int_t)s->objects,
			"chunks", (json_int_t)s->chunks, "chunk_bytes", (json_int_t)s->chunk_bytes,
			"blobs", (json_int_t)s->blobs, "drafts", (json_int_t)s->drafts, "strays",
			(json_int_t)s->strays, "punched_bytes", (json_int_t)s->punched_bytes));
	printf("removed %llu objects, %llu chunks (%s), %llu blobs, %llu drafts, %llu strays; gave "
	       "back %s within blobs\n",
	       (unsigned long long)s->objects, (unsigned long long)s->chunks,
	       cmd_size(s->chunk_bytes, chunks), (unsigned long long)s->blobs,
	       (unsigned long long)s->drafts, (unsigned long long)s->strays,
	       cmd_size(s->punched_bytes, punched));
	return CMD_OK;
}

static int run(const struct cmd *cmd, int argc, char **argv)
{
	int64_t grace_ns = NORMAL_GRACE_NS;
	struct collect_stats stats = { 0 };
	struct library *lib;
	struct cmd_line l;
	bool json = false;
	int key, code;

	cmd_begin(&l, cmd, argc, argv);
	while ((key = cmd_next(&l)) >= 0) {
		json = json || key == KEY_JSON;
		if (key == KEY_GRACE && parse_duration(l.value, &grace_ns))
			return cmd_usage(cmd, "'%s' is no time; wanted for example 30s or 2h",
					 l.value);
	}
	if (key == CMD_STOP)
		return l.exit;
	lib = cmd_open(cmd, l.argv[0], LIBRARY_MOUNT, &code);
	if (!lib) {
		if (code == CMD_BUSY)
			fprintf(stderr, "A mounted library is collected by its mount.\n");
		return code;
	}
	code = cmd_fail(cmd, l.argv[0], collect(lib, grace_ns, &stats));
	library_close(lib);
	return code ? code : print_stats(&stats, json);
}

const struct cmd cmd_gc = {
	.name = "gc",
	.operands = "LIBRARY",
	.summary = "Give back the space of what nothing refers to",
	.options = options,
	.min_operands = 1,
	.max_operands = 1,
	.run = run,
};
