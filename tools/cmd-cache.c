/* SPDX-License-Identifier: GPL-3.0-or-later */
/* garner evict, pin and unpin: what of the content stays on this machine. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cmd.h"
#include "library/cache.h"
#include "library/control.h"
#include "util/buf.h"
#include "util/cleanup.h"

enum { KEY_JSON = 'j' };

/* evict */

/* The same figures, of this process or of the mount. */
struct evicted {
	uint64_t evicted, freed_bytes, pinned, open, unsent, unanswered, small, lost;
};

static void add_stats(struct evicted *sum, const struct cache_result *r)
{
	sum->evicted += r->stats.evicted;
	sum->freed_bytes += r->stats.freed_bytes;
	sum->pinned += r->stats.pinned;
	sum->open += r->stats.open;
	sum->unsent += r->stats.unsent + r->unsealed;
	sum->unanswered += r->stats.unanswered;
	sum->small += r->stats.small;
	sum->lost += r->stats.lost;
}

static uint64_t number(const json_t *object, const char *name)
{
	return (uint64_t)json_integer_value(json_object_get(object, name));
}

static void add_answer(struct evicted *sum, const json_t *answer)
{
	sum->evicted += number(answer, "evicted");
	sum->freed_bytes += number(answer, "freed_bytes");
	sum->pinned += number(answer, "pinned");
	sum->open += number(answer, "open");
	sum->unsent += number(answer, "unsent");
	sum->unanswered += number(answer, "unanswered");
	sum->small += number(answer, "small");
	sum->lost += number(answer, "lost");
}

/* Whether the mount did it: 1; 0: nobody mounts the library; negative: it failed. */
static int evict_in_mount(const char *path, int64_t ino, struct evicted *sum)
{
	json_t *answer = NULL;
	char request[64];

	snprintf(request, sizeof request, "{\"do\":\"evict\",\"ino\":%lld}", (long long)ino);
	int err = control_call(path, request, -1, &answer);

	if (err == -ENOENT || err == -ECONNREFUSED)
		return 0;
	if (!err)
		err = (int)json_integer_value(json_object_get(answer, "errno"));
	if (!err)
		add_answer(sum, answer);
	json_decref(answer);
	return err ? err : 1;
}

static int print_evicted(const struct evicted *e, bool json)
{
	char freed[16];

	if (json)
		return cmd_print_json(json_pack(
			"{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "evicted",
			(json_int_t)e->evicted, "freed_bytes", (json_int_t)e->freed_bytes, "pinned",
			(json_int_t)e->pinned, "open", (json_int_t)e->open, "unsent",
			(json_int_t)e->unsent, "unanswered", (json_int_t)e->unanswered, "small",
			(json_int_t)e->small, "lost", (json_int_t)e->lost));
	printf("evicted %llu %s, gave back %s\n", (unsigned long long)e->evicted,
	       e->evicted == 1 ? "content" : "contents", cmd_size(e->freed_bytes, freed));
	return CMD_OK;
}

static void tell_kept(uint64_t count, const char *why)
{
	if (count)
		fprintf(stderr, "garner evict: stays here: %llu %s\n", (unsigned long long)count,
			why);
}

/* What is small stays by design, and is told where nothing else would say why so little went. */
static int tell_all_kept(const struct evicted *e)
{
	if (!e->evicted)
		tell_kept(e->small, "no larger than the two ends that always stay ([cache] edge)");
	tell_kept(e->pinned, "pinned");
	tell_kept(e->open, "open, mapped, or changed since they were sealed");
	tell_kept(e->unsent, "not in the bucket yet ('garner push --wait' waits for that)");
	tell_kept(e->unanswered, "because the bucket does not answer");
	tell_kept(e->lost, "chunks that the bucket has lost; they are sent again");
	return e->pinned + e->open + e->unsent + e->unanswered + e->lost ? CMD_FAILED : CMD_OK;
}

static int fail_evict(const struct cmd *cmd, struct library *lib, const char *path, int err)
{
	if (err == -ENODEV)
		return cmd_no_bucket(cmd, library_path(lib));
	return cmd_fail_path(cmd, lib, path, err);
}

/* All paths, by the mount or (`here`) by this process. */
static int evict_paths(const struct cmd *cmd, struct library *lib, const struct cmd_line *l,
		       bool *here, struct evicted *sum)
{
	int code = CMD_OK;

	for (int i = 1; i < l->argc; i++) {
		struct cache_result r = { 0 };
		struct node n;
		int err = tree_resolve(lib, l->argv[i], &n), one;

		if (!err && *here) {
			err = cache_evict(lib, n.ino, &r);
			add_stats(sum, &r);
		} else if (!err) {
			err = evict_in_mount(l->argv[0], n.ino, sum);
			if (err == 0) {
				*here = true;
				return CMD_OK;
			}
			err = err < 0 ? err : 0;
		}
		one = fail_evict(cmd, lib, l->argv[i], err);
		code = code ? code : one;
	}
	return code;
}

static int run_evict(const struct cmd *cmd, int argc, char **argv)
{
	struct evicted sum = { 0 };
	struct library *lib;
	struct cmd_line l;
	bool json = false, here = false;
	int code, kept;

	if (!cmd_begin_json(&l, cmd, argc, argv, &json))
		return l.exit;
	lib = cmd_open(cmd, l.argv[0], LIBRARY_RDONLY, &code);
	if (!lib)
		return code;
	code = evict_paths(cmd, lib, &l, &here, &sum);
	library_close(lib);
	if (here) {
		lib = cmd_open(cmd, l.argv[0], LIBRARY_MOUNT, &code);
		if (!lib)
			return code;
		sum = (struct evicted){ 0 };
		code = evict_paths(cmd, lib, &l, &here, &sum);
		library_close(lib);
	}
	kept = print_evicted(&sum, json);
	if (!kept)
		kept = tell_all_kept(&sum);
	return code ? code : kept;
}

static const struct cmd_option evict_options[] = {
	{ "json", KEY_JSON, NULL, "print JSON" },
	{ 0 },
};

const struct cmd cmd_evict = {
	.name = "evict",
	.operands = "LIBRARY PATH…",
	.summary = "Give back the space of what is in the bucket",
	.options = evict_options,
	.min_operands = 2,
	.max_operands = -1,
	.run = run_evict,
};

/* pin, unpin */

struct pins {
	const struct cmd *cmd;
	struct library *lib;
	json_t *list; /* NULL: as text */
};

static int show_pin(void *arg, int64_t ino, int64_t since_ns)
{
	CLEANUP_BUF struct buf path = BUF_INIT;
	struct pins *p = arg;
	int err = tree_path(p->lib, ino, &path);

	/* In the trash: the pin holds again when it is restored. */
	if (err == -ENOENT)
		return 0;
	if (err)
		return err;
	if (p->list)
		return json_array_append_new(p->list, json_pack("{s:o, s:I, s:o}", "path",
								cmd_json_text(path.data, path.len),
								"inode", (json_int_t)ino, "since",
								cmd_json_time(since_ns)))
			       ? -ENOMEM
			       : 0;
	cmd_print_name(path.data, path.len);
	putchar('\n');
	return 0;
}

static int list_pins(const struct cmd *cmd, struct library *lib, const char *library, bool json)
{
	struct pins p = { cmd, lib, json ? json_array() : NULL };
	int code = cmd_fail(cmd, library, cache_pins(lib, show_pin, &p));

	if (json && !code)
		return cmd_print_json(p.list);
	json_decref(p.list);
	return code;
}

typedef int pin_action(struct library *lib, int64_t ino);

static int act_on(const struct cmd *cmd, struct library *lib, const struct cmd_line *l,
		  pin_action *act)
{
	int code = CMD_OK;

	for (int i = 1; i < l->argc; i++) {
		struct node n;
		int one, err = tree_resolve(lib, l->argv[i], &n);

		one = cmd_fail_path(cmd, lib, l->argv[i], err);
		if (!err)
			err = act(lib, n.ino);
		if (!one && err == -ENOENT)
			one = cmd_refuse(cmd, CMD_FAILED, l->argv[i],
					 cache_pinned(lib, n.ino) == 1
						 ? "a folder above it is pinned, not it"
						 : "is not pinned");
		else if (!one)
			one = cmd_fail(cmd, l->argv[i], err);
		code = code ? code : one;
	}
	return code;
}

static int run_pins(const struct cmd *cmd, int argc, char **argv, pin_action *act)
{
	struct library *lib;
	struct cmd_line l;
	bool json = false;
	int code;

	if (!cmd_begin_json(&l, cmd, argc, argv, &json))
		return l.exit;
	if (json && l.argc > 1)
		return cmd_usage(cmd, "--json is for the list of pins, without a PATH");
	lib = cmd_open(cmd, l.argv[0], l.argc > 1 ? 0 : LIBRARY_RDONLY, &code);
	if (!lib)
		return code;
	if (l.argc > 1)
		code = act_on(cmd, lib, &l, act);
	else
		code = list_pins(cmd, lib, l.argv[0], json);
	library_close(lib);
	return code;
}

static int run_pin(const struct cmd *cmd, int argc, char **argv)
{
	return run_pins(cmd, argc, argv, cache_pin);
}

static int run_unpin(const struct cmd *cmd, int argc, char **argv)
{
	return run_pins(cmd, argc, argv, cache_unpin);
}

static const struct cmd_option pin_options[] = {
	{ "json", KEY_JSON, NULL, "list the pins as JSON" },
	{ 0 },
};

const struct cmd cmd_pin = {
	.name = "pin",
	.operands = "LIBRARY [PATH…]",
	.summary = "Keep content on this machine, or list what is kept",
	.options = pin_options,
	.min_operands = 1,
	.max_operands = -1,
	.run = run_pin,
};

const struct cmd cmd_unpin = {
	.name = "unpin",
	.operands = "LIBRARY PATH…",
	.summary = "Let pinned content go again",
	.min_operands = 2,
	.max_operands = -1,
	.run = run_unpin,
};
