/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The program garner: finds the subcommand and runs it. Called as mount.garner or mount.fuse.garner (by mount(8), from fstab) it is 'garner mount' in
 * mount's own form: DEVICE DIR [-sfnv] [-o OPTIONS].
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd-mount.h"
#include "cmd.h"
#include "util/version.h"

/* clang-format off */
const struct cmd *const cmd_all[] = {
	&cmd_init, &cmd_mount, &cmd_umount, &cmd_status, &cmd_sync, &cmd_push, &cmd_pull, &cmd_ls, &cmd_stat, &cmd_mkdir, &cmd_cp, &cmd_mv, &cmd_rm, &cmd_restore,
	&cmd_purge, &cmd_history, &cmd_du, &cmd_import, &cmd_export, &cmd_evict, &cmd_pin, &cmd_unpin, &cmd_gc,
	&cmd_backup, &cmd_recover,
	&cmd_fsck, &cmd_doctor, NULL
};
/* clang-format on */

static void print_commands(void)
{
	printf("usage: garner COMMAND [OPTION…] …\n\nA virtual filesystem for large libraries of "
	       "media and documents.\n\nCommands:\n");
	for (size_t i = 0; cmd_all[i]; i++)
		printf("  %-10s %s\n", cmd_all[i]->name, cmd_all[i]->summary);
	printf("\n'garner COMMAND --help' tells more, 'man garner' all.\n");
}

static bool is_mount_helper(const char *name)
{
	const char *base = strrchr(name, '/');

	base = base ? base + 1 : name;
	return strcmp(base, "mount.garner") == 0 || strcmp(base, "mount.fuse.garner") == 0;
}

/* Output that could not be written (a full disk behind a redirection) is a failure. */
static int finish(int code)
{
	if (fflush(stdout) || ferror(stdout)) {
		perror("garner: standard output");
		return code ? code : CMD_FAILED;
	}
	return code;
}

int main(int argc, char **argv)
{
	if (argc > 0 && is_mount_helper(argv[0]))
		return cmd_mount_helper(argc, argv);
	if (argc < 2) {
		print_commands();
		return CMD_USAGE;
	}
	if (strcmp(argv[1], "--version") == 0) {
		printf("garner %s\n", version_text());
		return finish(CMD_OK);
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
		print_commands();
		return finish(CMD_OK);
	}
	for (size_t i = 0; cmd_all[i]; i++)
		if (strcmp(argv[1], cmd_all[i]->name) == 0)
			return finish(cmd_all[i]->run(cmd_all[i], argc - 1, argv + 1));
	fprintf(stderr, "garner: unknown %s '%s'\nTry 'garner --help'.\n",
		argv[1][0] == '-' ? "option" : "command", argv[1]);
	return CMD_USAGE;
}
