/* SPDX-License-Identifier: GPL-3.0-or-later */
/* garner import: takes files and folder trees into a library. */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/import.h"
#include "cmd.h"
#include "util/cleanup.h"
#include "util/err.h"
#include "util/parse.h"

enum { KEY_INTO = 'i', KEY_MOVE = 'm', KEY_JOBS = 'J', KEY_DRY_RUN = 'n', KEY_JSON = 'j' };
enum { JOBS_MAX = 64 };

static const struct cmd_option options[] = {
	{ "into", KEY_INTO, "FOLDER", "the folder that takes them, made if missing; default /" },
	{ "move", KEY_MOVE, NULL, "remove each source once it is safely in the library" },
	{ "jobs", KEY_JOBS, "N", "files at once; default: the library's setting" },
	{ "dry-run", KEY_DRY_RUN, NULL, "say what would be done, change nothing" },
	{ "json", KEY_JSON, NULL, "print the summary as JSON" },
	{ 0 },
};

struct request {
	const struct cmd *cmd;
	const char *into;
	bool move, dry_run, json;
	unsigned jobs;
	struct cmd_progress progress;
};

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
	(void)number;
	interrupted = 1;
}

/* The first ^C ends the run cleanly, a second one at once. */
static void catch_signals(void)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND };

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

static void on_tell(void *arg, bool failed, const char *path, const char *why)
{
	const struct request *r = arg;

	cmd_refuse(r->cmd, failed ? CMD_FAILED : CMD_OK, path, "%s", why);
}

static int on_progress(void *arg, const struct import_stats *now)
{
	struct request *r = arg;

	r->progress.done_items = now->added + now->changed + now->unchanged + now->linked +
				 now->others;
	r->progress.done_bytes = now->bytes;
	cmd_progress_show(&r->progress);
	return interrupted;
}

static int read_jobs(const struct cmd *cmd, const char *text, unsigned *out)
{
	uint64_t jobs;

	if (parse_u64(text, JOBS_MAX, &jobs) || !jobs)
		return cmd_usage(cmd, "'%s' is no number of jobs from 1 to %d", text, JOBS_MAX);
	*out = (unsigned)jobs;
	return CMD_OK;
}

static int read_options(struct cmd_line *l, struct request *r)
{
	int key, code = CMD_OK;

	while ((key = cmd_next(l)) >= 0 && !code) {
		if (key == KEY_INTO)
			r->into = l->value;
		else if (key == KEY_JOBS)
			code = read_jobs(r->cmd, l->value, &r->jobs);
		r->move = r->move || key == KEY_MOVE;
		r->dry_run = r->dry_run || key == KEY_DRY_RUN;
		r->json = r->json || key == KEY_JSON;
	}
	if (code || key == CMD_STOP) {
		l->exit = code ? code : l->exit;
		return CMD_STOP;
	}
	return 0;
}

/* The folder with what is missing of its path; in a dry run *ino is 0 when something is missing. */
static int find_folder(struct library *lib, const struct actor *who, const char *path, bool dry_run,
		       int64_t *ino)
{
	CLEANUP_FREE char *part = strdup(path);
	struct node n;
	int err = part ? tree_get(lib, TREE_ROOT, &n) : -ENOMEM;

	for (char *save, *name = err ? NULL : strtok_r(part, "/", &save); name && !err;
	     name = strtok_r(NULL, "/", &save)) {
		struct tree_new what = {
			.parent = n.ino, .name = name, .len = strlen(name), .mode = S_IFDIR | 0777
		};

		if (!strcmp(name, "."))
			continue;
		err = tree_lookup(lib, what.parent, what.name, what.len, &n);
		if (err == -ENOENT && dry_run) {
			*ino = 0;
			return 0;
		}
		if (err == -ENOENT)
			err = tree_make(lib, who, &what, &n);
		if (!err && n.kind != NODE_FOLDER)
			err = -ENOTDIR;
	}
	if (!err)
		*ino = n.ino;
	return err;
}

static json_t *stats_json(const struct import_stats *s)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "folders",
			 (json_int_t)s->folders, "added", (json_int_t)s->added, "changed",
			 (json_int_t)s->changed, "unchanged", (json_int_t)s->unchanged, "linked",
			 (json_int_t)s->linked, "others", (json_int_t)s->others, "removed",
			 (json_int_t)s->removed, "skipped", (json_int_t)s->skipped, "failed",
			 (json_int_t)s->failed, "bytes", (json_int_t)s->bytes, "stored_bytes",
			 (json_int_t)s->stored_bytes);
}

static int print_stats(const struct request *r, const struct import_stats *s)
{
	char read[16], stored[16];

	if (r->json)
		return cmd_print_json(stats_json(s));
	printf("%s%llu assets added, %llu changed, %llu unchanged, %llu links, %llu others, %llu "
	       "folders; %s read, "
	       "%s of it new",
	       r->dry_run ? "would be done: " : "", (unsigned long long)s->added,
	       (unsigned long long)s->changed, (unsigned long long)s->unchanged,
	       (unsigned long long)s->linked, (unsigned long long)s->others,
	       (unsigned long long)s->folders, cmd_size(s->bytes, read),
	       cmd_size(s->stored_bytes, stored));
	if (r->move)
		printf("; %llu sources removed", (unsigned long long)s->removed);
	if (s->failed)
		printf("; %llu failed", (unsigned long long)s->failed);
	putchar('\n');
	return CMD_OK;
}

static int import(struct library *lib, struct request *r, int count, char **sources)
{
	CLEANUP_FREE char *mount = cmd_mountpoint_of(library_path(lib));
	struct import_stats stats = { 0 };
	struct import_options o = {
		.who = cmd_actor(),
		.move = r->move,
		.dry_run = r->dry_run,
		.jobs = r->jobs,
		.mount = mount,
		.tell = on_tell,
		.progress = on_progress,
		.arg = r,
	};
	int err = find_folder(lib, &o.who, r->into, r->dry_run, &o.into), code;

	if (err)
		return cmd_fail(r->cmd, r->into, err);
	cmd_progress_begin(&r->progress, "importing");
	err = import_run(lib, &o, sources, (size_t)count, &stats);
	cmd_progress_end(&r->progress);
	code = print_stats(r, &stats);
	if (err == -ECANCELED && interrupted)
		return cmd_refuse(
			r->cmd, CMD_FAILED, NULL,
			"interrupted; what is done stays, the same command goes on from here");
	if (err)
		return cmd_fail(r->cmd, library_path(lib), err);
	return code ? code : stats.failed ? CMD_FAILED : CMD_OK;
}

static int run(const struct cmd *cmd, int argc, char **argv)
{
	struct request r = { .cmd = cmd, .into = "/" };
	struct cmd_line l;
	struct library *lib;
	int code, err;

	cmd_begin(&l, cmd, argc, argv);
	if (read_options(&l, &r))
		return l.exit;
	lib = cmd_open(cmd, l.argv[0], r.dry_run ? LIBRARY_RDONLY : 0, &code);
	if (!lib)
		return code;
	catch_signals();
	err = library_start(lib);
	code = err ? cmd_fail_library(cmd, l.argv[0], err)
		   : import(lib, &r, l.argc - 1, l.argv + 1);
	library_close(lib);
	return code;
}

const struct cmd cmd_import = {
	.name = "import",
	.operands = "LIBRARY SOURCE…",
	.summary = "Take files and folders into a library",
	.options = options,
	.min_operands = 2,
	.max_operands = -1,
	.run = run,
};
