/* SPDX-License-Identifier: GPL-3.0-or-later */
/* garner history: the versions of an asset and what happened to it. */
#include "config.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cmd.h"
#include "content/hash.h"
#include "library/report.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/hex.h"

enum { KEY_JSON = 'j' };

static const struct cmd_option options[] = {
	{ "json", KEY_JSON, NULL, "print JSON" },
	{ 0 },
};

struct history {
	json_t *versions, *events; /* NULL: text */
};

static void print_time(int64_t ns)
{
	time_t t = (time_t)(ns / 1000000000);
	char text[32] = "?";
	struct tm tm;

	if (localtime_r(&t, &tm))
		strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &tm);
	printf("%s", text);
}

static int show_version(void *arg, const struct report_version *v)
{
	struct history *h = arg;
	char hex[2 * HASH_LEN + 1] = "";
	json_t *j;

	if (v->root)
		hex_encode(v->root, HASH_LEN, hex);
	if (!h->versions) {
		printf("version %-4lld ", (long long)v->version);
		print_time(v->at_ns);
		printf("  %12llu bytes  uid %-5u  %.16s\n", (unsigned long long)v->size, v->actor,
		       v->root ? hex : "(empty)");
		return 0;
	}
	j = json_pack("{s:I, s:o, s:o, s:I, s:I, s:o}", "version", (json_int_t)v->version, "at",
		      cmd_json_time(v->at_ns), "modified", cmd_json_time(v->mtime_ns), "size",
		      (json_int_t)v->size, "uid", (json_int_t)v->actor, "root",
		      v->root ? json_string(hex) : json_null());
	return json_array_append_new(h->versions, j) ? -1 : 0;
}

static void print_event(const struct report_event *e)
{
	CLEANUP_BUF struct buf name = BUF_INIT;
	CLEANUP_BUF struct buf old = BUF_INIT;

	if (cmd_quote_name(&name, e->name, e->len) || cmd_quote_name(&old, e->old_name, e->old_len))
		return;
	print_time(e->at_ns);
	printf("  %-9s uid %-5u ", e->action, e->actor);
	if (e->old_len)
		printf(" from %s in folder %lld", buf_str(&old), (long long)e->old_parent);
	if (e->len)
		printf(" %s%s in folder %lld", e->old_len ? "to " : "", buf_str(&name),
		       (long long)e->parent);
	printf("%s%s\n", e->after ? "  " : "", e->after ? e->after : "");
}

static int show_event(void *arg, const struct report_event *e)
{
	struct history *h = arg;
	json_t *j;

	if (!h->events) {
		print_event(e);
		return 0;
	}
	j = json_pack("{s:I, s:o, s:s, s:I, s:I, s:I, s:o, s:I, s:o, s:o, s:o}", "seq",
		      (json_int_t)e->seq, "at", cmd_json_time(e->at_ns), "action", e->action, "uid",
		      (json_int_t)e->actor, "version", (json_int_t)e->version, "folder",
		      (json_int_t)e->parent, "name",
		      e->len ? cmd_json_text(e->name, e->len) : json_null(), "old_folder",
		      (json_int_t)e->old_parent, "old_name",
		      e->old_len ? cmd_json_text(e->old_name, e->old_len) : json_null(), "before",
		      cmd_json_stored(e->before), "after", cmd_json_stored(e->after));
	return json_array_append_new(h->events, j) ? -1 : 0;
}

static int show(struct library *lib, const char *path, struct history *h)
{
	struct node n;
	int err = tree_resolve(lib, path, &n);

	if (!err)
		err = report_versions(lib, n.asset_id, show_version, h);
	if (err >= 0)
		err = report_events(lib, n.ino, show_event, h);
	return err < 0 ? err : 0;
}

static int run(const struct cmd *cmd, int argc, char **argv)
{
	struct history h = { 0 };
	struct cmd_line l;
	struct library *lib;
	bool json = false;
	int code, err;

	if (!cmd_begin_json(&l, cmd, argc, argv, &json))
		return l.exit;
	lib = cmd_open(cmd, l.argv[0], LIBRARY_RDONLY, &code);
	if (!lib)
		return code;
	if (json) {
		h.versions = json_array();
		h.events = json_array();
	}
	err = show(lib, l.argv[1], &h);
	code = cmd_fail_path(cmd, lib, l.argv[1], err);
	library_close(lib);
	if (!json)
		return code;
	if (err) {
		json_decref(h.versions);
		json_decref(h.events);
		return code;
	}
	return cmd_print_json(json_pack("{s:o, s:o}", "versions", h.versions, "events", h.events));
}

const struct cmd cmd_history = {
	.name = "history",
	.operands = "LIBRARY PATH",
	.summary = "Show the versions of an asset and what happened to it",
	.options = options,
	.min_operands = 2,
	.max_operands = 2,
	.run = run,
};
