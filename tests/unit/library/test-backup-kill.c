/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Processes that back up, and that recover, are killed with SIGKILL at random moments while they are at it. Afterwards the bucket gives back a state that the library was in, the next backup gives back
 * all of it, and a recovery that was cut short is begun anew by the same call. The processes are this program, run again with arguments. GARNER_TEST_KILLS says how many of each (default 20).
 */
#include "config.h"

#include "backup-unit.h"
#include "library/backup.h"

#include <signal.h>
#include <sys/wait.h>

enum { KILLS = 20, KILL_AFTER_US = 150000, RECOVER_US = 60000 };

/* Changes the tree and has the mount's own thread back it up, until it is killed. */
static int work_backup(const char *path, const char *number)
{
	static const struct actor who = { .umask = 022 };
	struct library *lib = NULL;
	int result = 0;

	ck_assert_int_eq(library_open(path, LIBRARY_MOUNT, &lib), 0);
	ck_assert_int_eq(library_start(lib), 0);
	for (unsigned i = 0;; i++) {
		char id[64];
		uint64_t ticket;

		snprintf(id, sizeof(id), "%s%03u", number, i);
		backup_unit_change(lib, &who, (unsigned)atoi(id), i % 7 ? 3 : 150);
		ticket = backup_ask(lib, false);
		while (!backup_told(lib, ticket, &result))
			usleep(200);
	}
	return 0;
}

static int work_recover(const char *path, const char *url)
{
	static const struct restore_watch watch;
	struct s3_settings s3 = backup_unit_settings(url);
	struct restore_result result;
	struct buf why = BUF_INIT;

	int err = restore_library(path, &s3, false, &watch, &result, &why);

	s3_settings_release(&s3);
	buf_release(&why);
	return err ? 1 : 0;
}

/* Runs this program as WHAT and kills it after a while; whether it had ended by itself. */
static bool run(const char *what, const char *path, const char *more, unsigned us)
{
	char exe[512] = "";
	int status = 0;

	/* Its name, since under valgrind the link itself is that of valgrind. */
	ck_assert_int_gt(readlink("/proc/self/exe", exe, sizeof(exe) - 1), 0);
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		execl(exe, "worker", what, path, more, (char *)NULL);
		_exit(127);
	}
	usleep(us);
	kill(pid, SIGKILL);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status) || (WIFEXITED(status) && WEXITSTATUS(status) == 0));
	return WIFEXITED(status);
}

static unsigned kills(void)
{
	const char *text = getenv("GARNER_TEST_KILLS");

	return text ? (unsigned)atoi(text) : KILLS / unit_stride() + 1;
}

START_TEST(backup_is_killed)
{
	struct backup_unit u;
	struct restore_result before = { 0 }, now = { 0 };

	backup_unit_begin(&u, "");
	library_close(u.tree.lib);
	for (unsigned i = 0; i < kills(); i++) {
		struct buf why = BUF_INIT;
		char number[16];
		uint64_t there = 0;

		snprintf(number, sizeof(number), "%u", i + 1);
		run("backup", u.tree.path, number, 20000 + backup_unit_dice(&u, KILL_AFTER_US));
		/* What is there adds up, which its sum says, and is never older than what was there. */
		int err = backup_unit_there(&u, &there, &now);

		ck_assert(err == 0 || (err == -ENODATA && !before.state));
		if (!err) {
			ck_assert_uint_ge(now.state, before.state);
			before = now;
		}
		if (i % 3)
			continue;
		tree_unit_open(&u.tree);
		err = backup_now(u.tree.lib, false, NULL, &why);
		ck_assert_msg(!err, "%d: %s", err, buf_str(&why));
		backup_unit_same(&u);
		library_close(u.tree.lib);
	}
	ck_assert_uint_lt(backup_unit_objects(&u, "meta/"), 120);
	tree_unit_open(&u.tree);
	backup_unit_end(&u);
}
END_TEST

START_TEST(recover_is_killed)
{
	struct backup_unit u;
	struct buf why = BUF_INIT;
	char path[96], other[128];
	unsigned whole = 0;

	backup_unit_begin(&u, "[trash]\nretention = 5d\n");
	for (unsigned i = 0; i < 5; i++) {
		backup_unit_change(u.tree.lib, &u.tree.who, i, 300);
		ck_assert_int_eq(backup_now(u.tree.lib, false, NULL, &why), 0);
	}
	snprintf(path, sizeof(path), "%s/again", u.tree.dir);
	snprintf(other, sizeof(other), "rm -rf %s", path);
	for (unsigned i = 0; i < kills(); i++)
		if (run("recover", path, server_url(u.server),
			1000 + backup_unit_dice(&u, RECOVER_US))) {
			whole++;
			ck_assert_int_eq(system(other), 0);
		}
	/* Some were cut short, and here and there one after that was not. */
	ck_assert_uint_lt(whole, kills());
	snprintf(other, sizeof(other), "%s/garner.db", path);
	if (access(other, F_OK))
		ck_assert_int_eq(work_recover(path, server_url(u.server)), 0);
	struct library *lib;

	ck_assert_int_eq(library_open(path, 0, &lib), 0);
	ck_assert_int_eq(tree_check(lib, tree_unit_fault, NULL), 0);
	ck_assert_mem_eq(lib->id, u.tree.lib->id, sizeof(lib->id));
	ck_assert_int_eq(lib->settings.retention_ns, 5 * 24 * 3600 * TIME_NS_PER_S);
	/* It owns the backup from now on. */
	ck_assert_int_eq(backup_now(lib, false, NULL, &why), 0);
	ck_assert_int_eq(backup_now(u.tree.lib, false, NULL, &why), -EEXIST);
	library_close(lib);
	ck_assert_int_eq(work_recover(path, server_url(u.server)), 1);
	buf_release(&why);
	backup_unit_end(&u);
}
END_TEST

static char **worker;

START_TEST(works)
{
	int result = strcmp(worker[1], "backup") ? work_recover(worker[2], worker[3])
						 : work_backup(worker[2], worker[3]);

	ck_assert_int_eq(result, 0);
}
END_TEST

int main(int argc, char **argv)
{
	const TTest *const cases[] = { backup_is_killed, recover_is_killed }, *const work[] = {
		works
	};

	if (argc != 4)
		return unit_run("backup-kill", 600, cases, sizeof(cases) / sizeof(cases[0]));
	worker = argv;
	setenv("CK_FORK", "no", 1);
	setenv("CK_VERBOSITY", "silent", 1);
	return unit_run("worker", 600, work, 1);
}
