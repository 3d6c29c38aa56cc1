/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The backup that a mount makes by itself, beside other processes, and over a full disk. */
#include "config.h"

#include <signal.h>
#include <sys/resource.h>

#include "backup-unit.h"
#include "library/backup.h"

START_TEST(one_process_at_a_time)
{
	struct backup_unit u;
	struct buf why = BUF_INIT;

	backup_unit_begin(&u, "");
	struct backup_ship *ship = backup_unit_begun(&u);

	ck_assert_int_eq(backup_now(u.tree.lib, false, NULL, &why), -EBUSY);
	backup_ship_free(ship);
	ck_assert_int_eq(backup_now(u.tree.lib, false, NULL, &why), 0);
	backup_unit_same(&u);
	buf_release(&why);
	backup_unit_end(&u);
}
END_TEST

static enum backup_mood mood(struct library *lib)
{
	struct backup_status st;

	backup_status(lib, &st);
	return st.mood;
}

/* Whether what is left at the end of a mount is sent, for which there is a moment alone. */
static bool end_sends(struct backup_unit *u)
{
	struct library *mount;
	uint64_t there = 0;

	ck_assert_int_eq(library_open(u->tree.path, LIBRARY_MOUNT, &mount), 0);
	ck_assert_int_eq(library_start(mount), 0);
	while (mood(mount) != BACKUP_CURRENT)
		usleep(1000);
	backup_unit_change(mount, &u->tree.who, 2, 5);
	library_close(mount);
	ck_assert_int_eq(backup_unit_there(u, &there, NULL), 0);
	return there == backup_unit_here(u->tree.path);
}

/* The thread of a mount waits for another process, sends what changes by itself, and is off where it is switched off. */
START_TEST(a_mount_backs_up)
{
	struct backup_unit u;
	struct library *mount;
	int result = 1, tries = 0;

	backup_unit_begin(&u, "");
	struct backup_ship *ship = backup_unit_begun(&u);

	ck_assert_int_eq(library_open(u.tree.path, LIBRARY_MOUNT, &mount), 0);
	ck_assert_int_eq(mood(mount), BACKUP_OFF);
	ck_assert_int_eq(library_start(mount), 0);
	while (mood(mount) != BACKUP_FAILING)
		usleep(1000);
	backup_ship_free(ship);
	while (mood(mount) != BACKUP_CURRENT)
		usleep(1000);
	backup_unit_change(mount, &u.tree.who, 1, 5);
	uint64_t ticket = backup_ask(mount, false);

	while (!backup_told(mount, ticket, &result))
		usleep(1000);
	ck_assert_int_eq(result, 0);
	backup_unit_same(&u);
	library_close(mount);
	while (!end_sends(&u))
		ck_assert_int_lt(++tries, 10);
	backup_unit_end(&u);
}
END_TEST

/* A setting of more pages than are written down at a time, and fewer than a part of a segment has. */
static void change_many_pages(struct library *lib)
{
	enum { LEN = 6 << 20 };
	char *text = malloc(LEN);
	struct meta_op *op = meta_op_new();

	memset(text, 'x', LEN);
	META_ADD(op, SETTING_SET, META_ONE, 0, META_T("large", 5), META_T(text, LEN));
	ck_assert_int_eq(meta_apply(lib->meta, op), 0);
	meta_op_free(op);
	free(text);
}

static void wait_for_mood(struct library *lib, enum backup_mood wanted)
{
	int64_t until = time_mono_ns() + UNIT_PATIENCE_NS;

	while (mood(lib) != wanted && time_mono_ns() < until)
		usleep(1000);
	ck_assert_int_eq(mood(lib), wanted);
}

/* What cannot be written down for want of space is made up for once there is some. */
START_TEST(a_full_disk_is_got_over)
{
	struct backup_unit u;
	struct library *mount;
	struct rlimit before, small;

	backup_unit_begin(&u, "");
	ck_assert_int_eq(library_open(u.tree.path, LIBRARY_MOUNT, &mount), 0);
	ck_assert_int_eq(library_start(mount), 0);
	wait_for_mood(mount, BACKUP_CURRENT);
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
	small = before;
	small.rlim_cur = BACKUP_STATE_HEAD;
	signal(SIGXFSZ, SIG_IGN);
	change_many_pages(mount);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
	wait_for_mood(mount, BACKUP_FAILING);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
	wait_for_mood(mount, BACKUP_CURRENT);
	backup_unit_same(&u);
	library_close(mount);
	backup_unit_end(&u);
}
END_TEST

UNIT_MAIN("backup-mount", 120, one_process_at_a_time, a_mount_backs_up, a_full_disk_is_got_over)
