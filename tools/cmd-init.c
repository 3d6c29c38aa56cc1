/* SPDX-License-Identifier: GPL-3.0-or-later */
/* garner init: makes a library. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"
#include "util/cleanup.h"
#include "util/parse.h"

enum { KEY_CHUNKER = 256, KEY_MIN, KEY_AVG, KEY_MAX, KEY_HASH };

static const struct cmd_option options[] = {
	{ "chunker", KEY_CHUNKER, "KIND", "how content is cut: fastcdc (default) or fixed" },
	{ "chunk-min", KEY_MIN, "SIZE", "smallest chunk (default 1MiB)" },
	{ "chunk-avg", KEY_AVG, "SIZE", "average chunk, or the size of fixed ones (default 4MiB)" },
	{ "chunk-max", KEY_MAX, "SIZE", "largest chunk (default 8MiB)" },
	{ "hash", KEY_HASH, "NAME", "what chunks are named by: sha256 (default) or blake3" },
	CMD_S3_OPTIONS,
	{ 0 },
};

static int parse_chunk_size(const char *text, uint32_t *out)
{
	uint64_t size;

	if (parse_size(text, &size) || size == 0 || size > UINT32_MAX)
		return -1;
	*out = (uint32_t)size;
	return 0;
}

static int set_chunker(const char *name, struct chunker_params *p)
{
	if (strcmp(name, "fastcdc") == 0)
		p->kind = CHUNKER_FASTCDC;
	else if (strcmp(name, "fixed") == 0)
		p->kind = CHUNKER_FIXED;
	else
		return -1;
	return 0;
}

/* Sizes not given follow from the average, in the proportions of the default. */
static void fill_sizes(struct chunker_params *p)
{
	const struct chunker_params normal = CHUNKER_DEFAULT;

	if (!p->avg)
		p->avg = normal.avg;
	if (!p->min)
		p->min = p->kind == CHUNKER_FIXED ? p->avg : p->avg / 4;
	if (!p->max)
		p->max = p->kind == CHUNKER_FIXED ? p->avg : p->avg * 2;
}

static int set_option(const struct cmd *cmd, int key, const char *value, struct library_params *p)
{
	const char *fit = "a size such as 64KiB or 4M is wanted";
	const struct cmd_option *o = options;
	int bad = 0;

	switch (key) {
	case KEY_CHUNKER:
		bad = set_chunker(value, &p->chunker);
		fit = "fastcdc or fixed is wanted";
		break;
	case KEY_MIN:
		bad = parse_chunk_size(value, &p->chunker.min);
		break;
	case KEY_AVG:
		bad = parse_chunk_size(value, &p->chunker.avg);
		break;
	case KEY_MAX:
		bad = parse_chunk_size(value, &p->chunker.max);
		break;
	case KEY_HASH:
		bad = hash_algo_read(value, &p->algo);
		fit = "sha256 is wanted, or blake3 where garner was built with it";
		break;
	}
	if (!bad)
		return CMD_OK;
	while (o->key != key)
		o++;
	return cmd_usage(cmd, "--%s '%s': %s", o->name, value, fit);
}

static int fail(const struct cmd *cmd, const char *path, int err)
{
	switch (err) {
	case -EINVAL:
		return cmd_refuse(cmd, CMD_USAGE, path,
				  "a name of the bucket's options does not fit on a line of the "
				  "library's config");
	case -EEXIST:
		return cmd_refuse(cmd, CMD_FAILED, path, "there is a library already");
	case -ENOTEMPTY:
		return cmd_refuse(cmd, CMD_FAILED, path,
				  "not empty; a library wants a new or an empty folder");
	case -ENOENT:
		return cmd_refuse(cmd, CMD_NOT_FOUND, path,
				  "the folder to make it in does not exist");
	case -ENOTDIR:
		return cmd_refuse(cmd, CMD_NOT_FOUND, path, "there is a file in the way");
	default:
		return cmd_fail(cmd, path, err);
	}
}

static void print_made(const char *path, const struct s3_settings *s3)
{
	CLEANUP_BUF struct buf bucket = BUF_INIT;

	printf("Made the library ");
	cmd_print_name(path, strlen(path));
	if (s3->bucket && !cmd_s3_show(s3, &bucket)) {
		printf(", with the bucket ");
		cmd_print_name(buf_str(&bucket), bucket.len);
	}
	printf(".\nMount it with: garner mount ");
	cmd_print_name(path, strlen(path));
	printf(" MOUNTPOINT\n");
}

/* The bucket is tried out first: a library is made with one that works, or not at all. */
static int make(const struct cmd *cmd, const char *path, struct library_params *p,
		const struct s3_settings *s3)
{
	int err, code;

	fill_sizes(&p->chunker);
	if (chunker_check(&p->chunker))
		return cmd_usage(
			cmd,
			"chunk sizes must rise from --chunk-min over --chunk-avg to --chunk-max");
	code = cmd_s3_complete(cmd, s3);
	if (!code && s3->bucket) {
		p->s3 = s3;
		code = cmd_s3_check(cmd, s3, true);
		if (!code)
			cmd_s3_warn_taken(cmd, s3);
	}
	if (code)
		return code;
	err = library_init(path, p);
	if (err)
		return fail(cmd, path, err);
	print_made(path, s3);
	return CMD_OK;
}

static int run(const struct cmd *cmd, int argc, char **argv)
{
	struct library_params p = { .chunker.kind = CHUNKER_FASTCDC,
				    .algo = HASH_SHA256,
				    .uid = geteuid(),
				    .gid = getegid(),
				    .mode = 0755 };
	__attribute__((cleanup(s3_settings_release))) struct s3_settings s3 = { 0 };
	struct cmd_line l;
	int key, code = CMD_OK;

	cmd_begin(&l, cmd, argc, argv);
	while (!code && (key = cmd_next(&l)) >= 0)
		code = key >= CMD_S3_URL ? cmd_s3_option(cmd, key, l.value, &s3)
					 : set_option(cmd, key, l.value, &p);
	if (code)
		return code;
	return key == CMD_STOP ? l.exit : make(cmd, l.argv[0], &p, &s3);
}

const struct cmd cmd_init = {
	.name = "init",
	.operands = "LIBRARY",
	.summary = "Make a new, empty library",
	.options = options,
	.min_operands = 1,
	.max_operands = 1,
	.run = run,
};
