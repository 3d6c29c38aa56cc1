/* SPDX-License-Identifier: GPL-3.0-or-later */
/* garner pull: fetches what is in the bucket alone; by the mount, where there is one. */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "library/control.h"
#include "library/pull.h"
#include "library/state.h"
#include "util/buf.h"
#include "util/cleanup.h"

enum { KEY_JSON = 'j', ASK_MS = 5000 };

#define BATCH_BYTES (UINT64_C(256) << 20) /* progress is shown after each batch */

struct pull {
	const struct cmd *cmd;
	const char *path; /* of the library */
	struct library *lib;
	bool mounted;
	json_t *failed; /* of --json */
	uint64_t files, bytes;
	struct cmd_progress progress;
	int code;
	struct buf at; /* the path of what the walk has come to */
	/* Assets that wait to be pulled, with their paths. */
	int64_t inos[PULL_MAX];
	char *paths[PULL_MAX];
	size_t count;
	uint64_t size;
};

static void tell(struct pull *p, const char *path, int err)
{
	int code = cmd_exit_of(err);

	cmd_progress_end(&p->progress);
	p->code = p->code ? p->code : code;
	(void)cmd_fail(p->cmd, path, err);
	if (p->failed)
		json_array_append_new(p->failed,
				      json_pack("{s:o, s:i}", "path",
						cmd_json_text(path, strlen(path)), "errno", err));
}

static const char *path_of(const struct pull *p, int64_t ino)
{
	for (size_t i = 0; i < p->count; i++) {
		if (p->inos[i] == ino)
			return p->paths[i];
	}
	return "?";
}

/* What the mount answered. 0 or negative. */
static int take_answer(struct pull *p, const json_t *answer)
{
	const json_t *failed = json_object_get(answer, "failed"), *one;
	size_t i;

	if (!json_is_true(json_object_get(answer, "ok")))
		return (int)json_integer_value(json_object_get(answer, "errno"));
	p->files += (uint64_t)json_integer_value(json_object_get(answer, "files"));
	p->bytes += (uint64_t)json_integer_value(json_object_get(answer, "bytes"));
	json_array_foreach(failed, i, one)
		tell(p, path_of(p, json_integer_value(json_array_get(one, 0))),
		     (int)json_integer_value(json_array_get(one, 1)));
	return 0;
}

static int ask_mount(struct pull *p)
{
	CLEANUP_BUF struct buf request = BUF_INIT;
	json_t *answer = NULL;
	int err = buf_add_str(&request, "{\"do\":\"pull\",\"inodes\":[");

	for (size_t i = 0; i < p->count && !err; i++)
		err = buf_printf(&request, "%s%" PRId64, i ? "," : "", p->inos[i]);
	if (!err)
		err = buf_add_str(&request, "]}");
	if (!err)
		err = control_call(p->path, request.data, -1, &answer);
	if (!err)
		err = take_answer(p, answer);
	json_decref(answer);
	return err;
}

static int pull_here(struct pull *p)
{
	struct pull_result result;
	int err = pull_assets(p->lib, p->inos, p->count, NULL, NULL, &result);

	if (err)
		return err;
	p->files += result.files;
	p->bytes += result.bytes;
	for (size_t i = 0; i < result.failed; i++)
		tell(p, path_of(p, result.failures[i].ino), result.failures[i].err);
	return 0;
}

/* Pulls what waits. */
static int pull_batch(struct pull *p)
{
	int err = !p->count ? 0 : p->mounted ? ask_mount(p) : pull_here(p);

	for (size_t i = 0; i < p->count; i++)
		free(p->paths[i]);
	p->progress.done_items += p->count;
	p->progress.done_bytes += p->size;
	p->count = 0;
	p->size = 0;
	cmd_progress_show(&p->progress);
	return err;
}

/* An asset that is not all here joins the batch. */
static int pull_asset(struct pull *p, const struct node *n)
{
	enum file_state state;
	int err = file_state(p->lib, n, &state);

	if (err || state == FILE_STATE_LOCAL || (state == FILE_STATE_DIRTY && !n->object))
		return err;
	p->paths[p->count] = strdup(buf_str(&p->at));
	if (!p->paths[p->count])
		return -ENOMEM;
	p->inos[p->count++] = n->ino;
	p->size += n->size;
	return p->count == PULL_MAX || p->size >= BATCH_BYTES ? pull_batch(p) : 0;
}

static int pull_node(struct pull *p, const struct node *n);

static int pull_entry(void *arg, const char *name, size_t len, int64_t cookie, const struct node *n)
{
	struct pull *p = arg;
	size_t kept = p->at.len;
	int err = kept && p->at.data[kept - 1] != '/' ? buf_add_byte(&p->at, '/') : 0;

	(void)cookie;
	if (!err)
		err = buf_add(&p->at, name, len);
	if (!err)
		err = pull_node(p, n);
	p->at.len = kept;
	p->at.data[kept] = '\0';
	return err;
}

static int pull_node(struct pull *p, const struct node *n)
{
	if (n->kind == NODE_ASSET)
		return pull_asset(p, n);
	return n->kind == NODE_FOLDER ? tree_list(p->lib, n->ino, 0, pull_entry, p) : 0;
}

static void pull_path(struct pull *p, const char *path)
{
	struct node n;
	int err = tree_resolve(p->lib, path, &n);
	int code = cmd_fail_path(p->cmd, p->lib, path, err);

	p->code = p->code ? p->code : code;
	if (err)
		return;
	buf_reset(&p->at);
	err = buf_add_str(&p->at, path);
	if (!err)
		err = pull_node(p, &n);
	if (!err)
		err = pull_batch(p);
	if (err)
		tell(p, path, err);
}

static bool is_mounted(const char *path)
{
	return control_call(path, "{\"do\":\"flush\"}", ASK_MS, NULL) == 0;
}

static int run(const struct cmd *cmd, int argc, char **argv)
{
	struct pull p = { .cmd = cmd };
	struct cmd_line l;
	bool json = false;

	if (!cmd_begin_json(&l, cmd, argc, argv, &json))
		return l.exit;
	p.path = l.argv[0];
	p.mounted = is_mounted(p.path);
	p.lib = cmd_open(cmd, p.path, p.mounted ? LIBRARY_RDONLY : 0, &p.code);
	if (!p.lib)
		return p.code;
	p.failed = json ? json_array() : NULL;
	cmd_progress_begin(&p.progress, "pulled");
	for (int i = 1; i < l.argc; i++)
		pull_path(&p, l.argv[i]);
	cmd_progress_end(&p.progress);
	if (json && cmd_print_json(json_pack("{s:I, s:I, s:o}", "files", (json_int_t)p.files,
					     "bytes", (json_int_t)p.bytes, "failed", p.failed)))
		p.code = CMD_FAILED;
	buf_release(&p.at);
	library_close(p.lib);
	return p.code;
}

static const struct cmd_option options[] = {
	{ "json", KEY_JSON, NULL, "print JSON" },
	{ 0 },
};

const struct cmd cmd_pull = {
	.name = "pull",
	.operands = "LIBRARY PATH…",
	.summary = "Fetch what is in the bucket alone",
	.options = options,
	.min_operands = 2,
	.max_operands = -1,
	.run = run,
};
