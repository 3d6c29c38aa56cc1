/* SPDX-License-Identifier: GPL-3.0-or-later */
/* garner du: sums below folders. */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "cmd.h"

enum { KEY_JSON = 'j', KEY_BYTES = 'b' };

static const struct cmd_option options[] = {
	{ "bytes", KEY_BYTES, NULL, "sizes in bytes" },
	{ "json", KEY_JSON, NULL, "print JSON" },
	{ 0 },
};

static void print_usage(const char *path, const struct tree_usage *u, bool bytes)
{
	char size[16], alloc[16];

	if (bytes)
		printf("%llu\t%llu\t%llu\t%llu\t", (unsigned long long)u->bytes,
		       (unsigned long long)u->alloc, (unsigned long long)u->assets,
		       (unsigned long long)u->folders);
	else
		printf("%-10s (%s without holes)  %llu assets  %llu folders  ",
		       cmd_size(u->bytes, size), cmd_size(u->alloc, alloc),
		       (unsigned long long)u->assets, (unsigned long long)u->folders);
	cmd_print_name(path, strlen(path));
	putchar('\n');
}

static json_t *usage_json(const char *path, const struct tree_usage *u)
{
	return json_pack("{s:o, s:I, s:I, s:I, s:I}", "path", cmd_json_text(path, strlen(path)),
			 "bytes", (json_int_t)u->bytes, "allocated", (json_int_t)u->alloc, "assets",
			 (json_int_t)u->assets, "folders", (json_int_t)u->folders);
}

static int run(const struct cmd *cmd, int argc, char **argv)
{
	struct cmd_line l;
	struct library *lib;
	json_t *all = NULL;
	bool json = false, bytes = false;
	int key, code;

	cmd_begin(&l, cmd, argc, argv);
	while ((key = cmd_next(&l)) >= 0) {
		json = json || key == KEY_JSON;
		bytes = bytes || key == KEY_BYTES;
	}
	if (key == CMD_STOP)
		return l.exit;
	cmd_record_mount(l.argv[0]);
	lib = cmd_open(cmd, l.argv[0], LIBRARY_RDONLY, &code);
	if (!lib)
		return code;
	all = json ? json_array() : NULL;
	for (int i = 1; i < l.argc || (i == 1 && l.argc == 1); i++) {
		const char *path = l.argc == 1 ? "/" : l.argv[i];
		struct tree_usage u;
		struct node n;
		int err = tree_resolve(lib, path, &n);

		if (!err)
			err = tree_usage(lib, n.ino, &u);
		if (err)
			code = cmd_fail_path(cmd, lib, path, err);
		else if (json)
			json_array_append_new(all, usage_json(path, &u));
		else
			print_usage(path, &u, bytes);
	}
	if (json && cmd_print_json(all))
		code = CMD_FAILED;
	library_close(lib);
	return code;
}

const struct cmd cmd_du = {
	.name = "du",
	.operands = "LIBRARY [PATH…]",
	.summary = "Sum up what lies below folders",
	.options = options,
	.min_operands = 1,
	.max_operands = -1,
	.run = run,
};
