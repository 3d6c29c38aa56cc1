/* SPDX-License-Identifier: GPL-3.0-or-later */
/* garner ls and stat: what the tree holds, read from the metadata without a mount. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "cmd.h"
#include "content/hash.h"
#include "library/report.h"
#include "library/state.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/hex.h"
#include "util/uuid.h"

enum { KEY_LONG = 'l', KEY_RECURSIVE = 'R', KEY_JSON = 'j', KEY_ZERO = '0' };

static const char *kind_word(enum node_kind kind)
{
	static const char *const words[] = { "?",    "folder",           "asset",        "symlink",
					     "fifo", "character device", "block device", "socket" };

	return (size_t)kind < sizeof words / sizeof *words ? words[kind] : words[0];
}

static const char *state_word(enum node_state state)
{
	static const char *const words[] = { "?", "ACTIVE", "INCONSISTENT", "MISSING", "DELETED" };

	return (size_t)state < sizeof words / sizeof *words ? words[state] : words[0];
}

/* What of the content is where: sealed, or still being written. */
static const char *content_word(const struct node *n)
{
	return n->draft ? "draft" : "sealed";
}

/* Where the content is, of an asset. */
static const char *held_word(struct library *lib, const struct node *n)
{
	enum file_state state;

	return file_state(lib, n, &state) ? "?" : file_state_word(state);
}

static json_t *node_json(struct library *lib, const char *name, size_t len, const struct node *n)
{
	json_t *j = json_pack("{s:o, s:s, s:s, s:I, s:i, s:I, s:I, s:I, s:I, s:I, s:I}", "name",
			      cmd_json_text(name, len), "kind", kind_word(n->kind), "state",
			      state_word(n->state), "inode", (json_int_t)n->ino, "mode",
			      (int)n->mode, "uid", (json_int_t)n->uid, "gid", (json_int_t)n->gid,
			      "size", (json_int_t)n->size, "allocated", (json_int_t)n->alloc,
			      "links", (json_int_t)n->nlink, "version", (json_int_t)n->version);

	if (!j)
		return NULL;
	json_object_set_new(j, "id", cmd_json_uuid(n->asset_id));
	json_object_set_new(j, "accessed", cmd_json_time(n->atime_ns));
	json_object_set_new(j, "modified", cmd_json_time(n->mtime_ns));
	json_object_set_new(j, "changed", cmd_json_time(n->ctime_ns));
	json_object_set_new(j, "created", cmd_json_time(n->created_ns));
	if (n->kind == NODE_ASSET) {
		json_object_set_new(j, "content", json_string(content_word(n)));
		json_object_set_new(j, "held", json_string(held_word(lib, n)));
	}
	return j;
}

static void format_mode(const struct node *n, char out[11])
{
	static const char types[] = "?d-lpcbs";
	static const char bits[] = "rwxrwxrwx";

	out[0] = types[n->kind];
	for (int i = 0; i < 9; i++)
		out[1 + i] = n->mode & (0400u >> i) ? bits[i] : '-';
	if (n->mode & S_ISUID)
		out[3] = n->mode & S_IXUSR ? 's' : 'S';
	if (n->mode & S_ISGID)
		out[6] = n->mode & S_IXGRP ? 's' : 'S';
	if (n->mode & S_ISVTX)
		out[9] = n->mode & S_IXOTH ? 't' : 'T';
	out[10] = '\0';
}

static void format_time(int64_t ns, char *out, size_t size)
{
	time_t t = (time_t)(ns / 1000000000);
	struct tm tm;

	if (!localtime_r(&t, &tm) || !strftime(out, size, "%Y-%m-%d %H:%M:%S", &tm))
		snprintf(out, size, "?");
}

struct listing {
	struct library *lib;
	bool longer, recursive, zero;
	json_t *json;    /* NULL: text */
	struct buf path; /* of the folder being listed */
	int err;
};

static void print_line(const struct listing *l, const char *name, size_t len, const struct node *n)
{
	CLEANUP_BUF struct buf shown = BUF_INIT;
	char mode[11], when[32];

	if (l->longer) {
		format_mode(n, mode);
		format_time(n->mtime_ns, when, sizeof when);
		printf("%s %3lld %5u %5u %12llu %s %-9s ", mode, (long long)n->nlink, n->uid,
		       n->gid, (unsigned long long)n->size, when,
		       n->kind == NODE_ASSET ? held_word(l->lib, n) : "-");
	}
	if (l->zero) {
		fwrite(name, 1, len, stdout);
		putchar('\0');
		return;
	}
	if (!cmd_show_name(&shown, name, len))
		printf("%s\n", buf_str(&shown));
}

static int list_folder(struct listing *l, int64_t ino);

static int list_one(void *arg, const char *name, size_t len, int64_t cookie, const struct node *n)
{
	struct listing *l = arg;
	size_t kept = l->path.len;

	(void)cookie;
	if (buf_add(&l->path, name, len))
		return l->err = -ENOMEM;
	if (l->json)
		json_array_append_new(l->json,
				      l->recursive ? node_json(l->lib, l->path.data, l->path.len, n)
						   : node_json(l->lib, name, len, n));
	else
		print_line(l, l->recursive ? l->path.data : name, l->recursive ? l->path.len : len,
			   n);
	if (l->recursive && n->kind == NODE_FOLDER && !(l->err = buf_add_byte(&l->path, '/')))
		l->err = list_folder(l, n->ino);
	l->path.len = kept;
	l->path.data[kept] = '\0';
	return l->err;
}

static int list_folder(struct listing *l, int64_t ino)
{
	int err = tree_list(l->lib, ino, 0, list_one, l);

	return err ? err : l->err;
}

static int list_path(struct listing *l, const char *path)
{
	struct node n;
	const char *last = strrchr(path, '/');
	int err = tree_resolve(l->lib, path, &n);

	if (err)
		return err;
	buf_reset(&l->path);
	if (n.kind == NODE_FOLDER)
		return list_folder(l, n.ino);
	last = last ? last + 1 : path;
	return list_one(l, last, strlen(last), 0, &n);
}

static int run_ls(const struct cmd *cmd, int argc, char **argv)
{
	struct listing l = { 0 };
	struct cmd_line line;
	bool json = false;
	int key, code;

	cmd_begin(&line, cmd, argc, argv);
	while ((key = cmd_next(&line)) >= 0) {
		l.longer = l.longer || key == KEY_LONG;
		l.recursive = l.recursive || key == KEY_RECURSIVE;
		l.zero = l.zero || key == KEY_ZERO;
		json = json || key == KEY_JSON;
	}
	if (key == CMD_STOP)
		return line.exit;
	cmd_record_mount(line.argv[0]);
	l.lib = cmd_open(cmd, line.argv[0], LIBRARY_RDONLY, &code);
	if (!l.lib)
		return code;
	l.json = json ? json_array() : NULL;
	for (int i = 1; i < line.argc || (i == 1 && line.argc == 1); i++) {
		const char *path = line.argc == 1 ? "/" : line.argv[i];
		int one = cmd_fail_path(cmd, l.lib, path, list_path(&l, path));

		code = code ? code : one;
	}
	if (l.json && cmd_print_json(l.json))
		code = CMD_FAILED;
	buf_release(&l.path);
	library_close(l.lib);
	return code;
}

static const struct cmd_option ls_options[] = {
	{ "long", KEY_LONG, NULL,
	  "mode, links, owner, group, size, time, and where the content is too" },
	{ "recursive", KEY_RECURSIVE, NULL, "everything below, as paths" },
	{ "zero", KEY_ZERO, NULL, "end names with a NUL, and print their bytes as they are" },
	{ "json", KEY_JSON, NULL, "print JSON" },
	{ 0 },
};

const struct cmd cmd_ls = {
	.name = "ls",
	.operands = "LIBRARY [PATH…]",
	.summary = "List folders",
	.options = ls_options,
	.min_operands = 1,
	.max_operands = -1,
	.run = run_ls,
};

/* stat */

/* What stat tells beyond the node itself. */
struct more {
	int64_t versions;         /* of the asset's content */
	const char *held;         /* where that is */
	char root[HASH_TEXT_LEN]; /* of the last of them; "": empty content, or none yet */
	struct buf target;        /* of a symlink */
};

static int note_version(void *arg, const struct report_version *v)
{
	struct more *m = arg;

	m->versions++;
	m->root[0] = '\0';
	if (v->root)
		hex_encode(v->root, HASH_LEN, m->root);
	return 0;
}

static int find_more(struct library *lib, const struct node *n, struct more *m)
{
	int err = 0;

	if (n->kind == NODE_SYMLINK)
		return tree_readlink(lib, n->ino, &m->target);
	if (n->kind == NODE_ASSET)
		m->held = held_word(lib, n);
	if (n->kind == NODE_ASSET)
		err = report_versions(lib, n->asset_id, note_version, m);
	return err < 0 ? err : 0;
}

static void print_content(const struct node *n, const struct more *m)
{
	printf("content:   %s\nversions:  %lld\n", content_word(n), (long long)m->versions);
	if (m->root[0])
		printf("root:      %s\n", m->root);
	printf("held:      %s\n", m->held);
}

static json_t *stat_json(struct library *lib, const char *path, const struct node *n,
			 const struct more *m)
{
	json_t *j = node_json(lib, path, strlen(path), n);

	if (j && n->kind == NODE_ASSET) {
		json_object_set_new(j, "versions", json_integer(m->versions));
		json_object_set_new(j, "root", m->root[0] ? json_string(m->root) : json_null());
	}
	if (j && n->kind == NODE_SYMLINK)
		json_object_set_new(j, "target", cmd_json_text(buf_str(&m->target), m->target.len));
	return j;
}

static void print_node(const char *path, const struct node *n, const struct more *more)
{
	char mode[11], when[32], id[UUID_TEXT_LEN];
	struct uuid u;

	memcpy(u.b, n->asset_id, sizeof u.b);
	uuid_format(&u, id);
	format_mode(n, mode);
	printf("path:      ");
	cmd_print_name(path, strlen(path));
	printf("\nkind:      %s\nid:        %s\ninode:     %lld\nstate:     %s\nversion:   %lld\n",
	       kind_word(n->kind), id, (long long)n->ino, state_word(n->state),
	       (long long)n->version);
	printf("mode:      %s\nowner:     %u:%u\nlinks:     %lld\nsize:      %llu\nallocated: "
	       "%llu\n",
	       mode, n->uid, n->gid, (long long)n->nlink, (unsigned long long)n->size,
	       (unsigned long long)n->alloc);
	if (n->kind == NODE_ASSET)
		print_content(n, more);
	if (n->kind == NODE_SYMLINK) {
		printf("target:    ");
		cmd_print_name(buf_str(&more->target), more->target.len);
		putchar('\n');
	}
	format_time(n->mtime_ns, when, sizeof when);
	printf("modified:  %s\n", when);
	format_time(n->ctime_ns, when, sizeof when);
	printf("changed:   %s\n", when);
	format_time(n->created_ns, when, sizeof when);
	printf("created:   %s\n", when);
}

/* Shows one path: into `all`, or as text when that is NULL. An exit code. */
static int show(const struct cmd *cmd, struct library *lib, const char *path, json_t *all)
{
	struct more more = { 0 };
	struct node n;
	int err = tree_resolve(lib, path, &n);

	if (!err)
		err = find_more(lib, &n, &more);
	if (!err && all)
		json_array_append_new(all, stat_json(lib, path, &n, &more));
	else if (!err)
		print_node(path, &n, &more);
	buf_release(&more.target);
	return cmd_fail_path(cmd, lib, path, err);
}

static int run_stat(const struct cmd *cmd, int argc, char **argv)
{
	struct cmd_line l;
	struct library *lib;
	json_t *all = NULL;
	bool json = false;
	int code;

	if (!cmd_begin_json(&l, cmd, argc, argv, &json))
		return l.exit;
	cmd_record_mount(l.argv[0]);
	lib = cmd_open(cmd, l.argv[0], LIBRARY_RDONLY, &code);
	if (!lib)
		return code;
	all = json ? json_array() : NULL;
	for (int i = 1; i < l.argc; i++) {
		int one = show(cmd, lib, l.argv[i], all);

		code = code ? code : one;
	}
	if (json && cmd_print_json(all))
		code = CMD_FAILED;
	library_close(lib);
	return code;
}

static const struct cmd_option stat_options[] = {
	{ "json", KEY_JSON, NULL, "print JSON" },
	{ 0 },
};

const struct cmd cmd_stat = {
	.name = "stat",
	.operands = "LIBRARY PATH…",
	.summary = "Show all that is known of assets and folders",
	.options = stat_options,
	.min_operands = 2,
	.max_operands = -1,
	.run = run_stat,
};
