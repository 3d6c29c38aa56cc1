/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Command lines, messages and exit codes of the subcommands. */
#include "config.h"

#include "cmd.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/buf.h"
#include "util/cleanup.h"
#include "util/err.h"

#define MAX_OPTIONS 32
#define KEY_HELP 1

static size_t option_count(const struct cmd *cmd)
{
	size_t n = 0;

	while (cmd->options && cmd->options[n].name)
		n++;
	return n;
}

static void print_help(const struct cmd *cmd)
{
	printf("usage: garner %s [OPTION…] %s\n\n%s.\n\nOptions:\n", cmd->name, cmd->operands,
	       cmd->summary);
	for (size_t i = 0; i < option_count(cmd); i++) {
		const struct cmd_option *o = &cmd->options[i];
		char left[64];
		bool has_short = o->key > ' ' && o->key < 127;

		snprintf(left, sizeof left, "%c%c%s --%s%s%s", has_short ? '-' : ' ',
			 has_short ? o->key : ' ', has_short ? "," : " ", o->name,
			 o->arg ? " " : "", o->arg ? o->arg : "");
		printf("  %-30s %s\n", left, o->help);
	}
	printf("  %-30s %s\n", "    --help", "show this and exit");
}

void cmd_begin(struct cmd_line *l, const struct cmd *cmd, int argc, char **argv)
{
	*l = (struct cmd_line){ .cmd = cmd, .argc = argc, .argv = argv };
	optind = 0;
	opterr = 0;
}

static int stop(struct cmd_line *l, int code)
{
	l->exit = code;
	return CMD_STOP;
}

static int end_of_options(struct cmd_line *l)
{
	int count = l->argc - optind;

	if (count < l->cmd->min_operands)
		return stop(l, cmd_usage(l->cmd, "missing operand; wanted: %s", l->cmd->operands));
	if (l->cmd->max_operands >= 0 && count > l->cmd->max_operands)
		return stop(l, cmd_usage(l->cmd, "extra operand '%s'",
					 l->argv[optind + l->cmd->max_operands]));
	l->argv += optind;
	l->argc = count;
	return CMD_END;
}

static int bad_option(struct cmd_line *l, bool needs_argument)
{
	const char *given = l->argv[optind - 1];
	char letter[3] = { '-', (char)optopt, '\0' };

	if (optopt > ' ' && optopt < 127 && strncmp(given, "--", 2) != 0)
		given = letter;
	if (!needs_argument && optopt && strncmp(given, "--", 2) == 0 && strchr(given, '='))
		return stop(l, cmd_usage(l->cmd, "option '%.*s' takes no argument",
					 (int)strcspn(given, "="), given));
	return stop(l, cmd_usage(l->cmd,
				 needs_argument ? "option '%s' needs an argument"
						: "unknown option '%s'",
				 given));
}

int cmd_next(struct cmd_line *l)
{
	struct option longs[MAX_OPTIONS + 2] = { { 0 } };
	char shorts[2 * MAX_OPTIONS + 2] = ":";
	size_t n = option_count(l->cmd), s = 1;
	int key;

	for (size_t i = 0; i < n && i < MAX_OPTIONS; i++) {
		const struct cmd_option *o = &l->cmd->options[i];

		longs[i] = (struct option){ .name = o->name,
					    .has_arg = o->arg ? required_argument : no_argument,
					    .val = o->key };
		if (o->key > ' ' && o->key < 127) {
			shorts[s++] = (char)o->key;
			if (o->arg)
				shorts[s++] = ':';
		}
	}
	longs[n] = (struct option){ .name = "help", .val = KEY_HELP };
	key = getopt_long(l->argc, l->argv, shorts, longs, NULL);
	l->value = optarg;
	if (key == -1)
		return end_of_options(l);
	if (key == KEY_HELP) {
		print_help(l->cmd);
		return stop(l, CMD_OK);
	}
	if (key == '?' || key == ':')
		return bad_option(l, key == ':');
	return key;
}

bool cmd_begin_json(struct cmd_line *l, const struct cmd *cmd, int argc, char **argv, bool *json)
{
	int key;

	cmd_begin(l, cmd, argc, argv);
	*json = false;
	while ((key = cmd_next(l)) >= 0)
		*json = true;
	return key == CMD_END;
}

int cmd_usage(const struct cmd *cmd, const char *format, ...)
{
	va_list args;

	fprintf(stderr, "garner %s: ", cmd->name);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "\nusage: garner %s [OPTION…] %s\nTry 'garner %s --help'.\n", cmd->name,
		cmd->operands, cmd->name);
	return CMD_USAGE;
}

int cmd_exit_of(int err)
{
	switch (err) {
	case 0:
		return CMD_OK;
	case -ENOENT:
	case -ENOTDIR:
		return CMD_NOT_FOUND;
	case ERR_CORRUPT:
	case ERR_NOTLIB:
	case ERR_FUTURE:
	case ERR_SCHEMA:
		return CMD_DAMAGED;
	case ERR_LOCKED:
	case -EBUSY:
		return CMD_BUSY;
	case -ENOSPC:
	case -EDQUOT:
		return CMD_FULL;
	case -EACCES:
	case -EPERM:
	case -EROFS:
		return CMD_DENIED;
	case -ENODEV:
	case -EOPNOTSUPP:
		return CMD_UNSUPPORTED;
	default:
		return CMD_FAILED;
	}
}

static void print_about(const struct cmd *cmd, const char *what)
{
	CLEANUP_BUF struct buf quoted = BUF_INIT;

	fprintf(stderr, "garner %s: ", cmd->name);
	if (what && !cmd_quote_name(&quoted, what, strlen(what)))
		fprintf(stderr, "%s: ", quoted.len ? quoted.data : "''");
}

int cmd_fail(const struct cmd *cmd, const char *what, int err)
{
	if (err) {
		print_about(cmd, what);
		fprintf(stderr, "%s\n", err_text(err));
	}
	return cmd_exit_of(err);
}

int cmd_refuse(const struct cmd *cmd, int code, const char *what, const char *format, ...)
{
	va_list args;

	print_about(cmd, what);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	return code;
}

int cmd_no_bucket(const struct cmd *cmd, const char *library)
{
	return cmd_refuse(cmd, CMD_UNSUPPORTED, library,
			  "the library has no bucket; [s3] of its config says which");
}

struct actor cmd_actor(void)
{
	mode_t mask = umask(0);

	umask(mask);
	return (struct actor){ .uid = geteuid(), .gid = getegid(), .umask = mask };
}
