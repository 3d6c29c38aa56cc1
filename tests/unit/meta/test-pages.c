/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * backend/meta/pages.h: a copy that takes over only the pages it is told of stays the same as the database, whatever is committed, moved out of the log and
 * begun anew in between, by this process and by another that does it at the same time.
 */
#include "config.h"

#include "meta-test.h"
#include "util/io.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { PAGES_MAX = 20000, ROUNDS = 160, SIDE_ROUNDS = 60 };

struct copy {
	struct meta_pages *pages;
	unsigned char *bytes;
	uint8_t told[PAGES_MAX + 1];
	struct meta_pages_moment moment;
	unsigned all, some, again;
};

static unsigned rnd_state = 1;

static unsigned rnd(unsigned below)
{
	rnd_state = rnd_state * 1103515245 + 12345;
	return (rnd_state >> 8) % below;
}

static int take(void *arg, uint32_t page)
{
	struct copy *c = arg;

	ck_assert_uint_le(page, PAGES_MAX);
	c->told[page] = 1;
	return 0;
}

/* Takes over what is told; then all of it must be as the database is. 0, or -EAGAIN. */
static int follow(struct copy *c)
{
	static unsigned char page[65536];
	uint32_t wrong = 0;
	int err = meta_pages_begin(c->pages, take, c, &c->moment);

	ck_assert_int_eq(err, 0);
	ck_assert_uint_le(c->moment.count, PAGES_MAX);
	c->moment.all ? c->all++ : c->some++;
	if (c->moment.all)
		memset(c->told, 1, sizeof(c->told));
	for (uint32_t i = 1; i <= c->moment.count; i++) {
		unsigned char *mine = c->bytes + (size_t)(i - 1) * c->moment.page_size;

		ck_assert_int_eq(meta_pages_read(c->pages, i, page), 0);
		if (c->told[i])
			memcpy(mine, page, c->moment.page_size);
		else if (memcmp(mine, page, c->moment.page_size) != 0 && !wrong)
			wrong = i;
	}
	err = meta_pages_end(c->pages);
	if (err == -EAGAIN) {
		c->again++;
		return err;
	}
	ck_assert_int_eq(err, 0);
	ck_assert_msg(!wrong, "page %u has changed and was not told of", wrong);
	memset(c->told, 0, sizeof(c->told));
	return 0;
}

/* The copy is a whole database. */
static void check_copy(const struct copy *c, const struct meta_test_place *p)
{
	char path[160];
	sqlite3 *db = NULL;
	sqlite3_stmt *s = NULL;

	snprintf(path, sizeof(path), "%s/copy", p->folder);
	unlink(path);
	ck_assert_int_eq(io_write_file(AT_FDCWD, path, c->bytes,
				       (size_t)c->moment.count * c->moment.page_size, 0600),
			 0);
	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	ck_assert_int_eq(sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &s, NULL), SQLITE_OK);
	ck_assert_int_eq(sqlite3_step(s), SQLITE_ROW);
	ck_assert_str_eq((const char *)sqlite3_column_text(s, 0), "ok");
	sqlite3_finalize(s);
	sqlite3_close(db);
}

static struct copy *copy_new(struct meta *m)
{
	struct copy *c = calloc(1, sizeof(*c));

	ck_assert_ptr_nonnull(c);
	c->bytes = calloc(PAGES_MAX, 4096);
	ck_assert_ptr_nonnull(c->bytes);
	ck_assert_int_eq(meta_pages_new(m, &c->pages), 0);
	return c;
}

static void copy_free(struct copy *c)
{
	meta_pages_free(c->pages);
	free(c->bytes);
	free(c);
}

static void put_some(struct meta *m, unsigned most)
{
	static char value[6001];
	unsigned count = 1 + rnd(most);

	for (unsigned i = 0; i < count; i++) {
		char name[32];

		memset(value, 'a' + (int)rnd(26), sizeof(value) - 1);
		value[rnd(6000)] = 0;
		snprintf(name, sizeof(name), "n%u-%u", rnd(1U << 23), i);
		(void)meta_test_put(m, (int64_t)rnd(100) + 1, name, value);
	}
}

static void exec(sqlite3 *db, const char *sql)
{
	int rc = sqlite3_exec(db, sql, NULL, NULL, NULL);

	ck_assert(rc == SQLITE_OK || rc == SQLITE_BUSY || rc == SQLITE_LOCKED);
}

/* What else may happen to the log. */
static void disturb(sqlite3 *db)
{
	switch (rnd(6)) {
	case 0:
		exec(db, "PRAGMA wal_checkpoint(PASSIVE)");
		break;
	case 1:
		exec(db, "PRAGMA wal_checkpoint(RESTART)");
		break;
	case 2:
		exec(db, "BEGIN; DELETE FROM xattr WHERE ino = 5; ROLLBACK");
		break;
	case 3:
		exec(db, "DELETE FROM xattr WHERE ino % 7 = 3");
		break;
	default:
		break;
	}
}

static sqlite3 *open_raw(const struct meta_test_place *p)
{
	sqlite3 *db = NULL;

	ck_assert_int_eq(sqlite3_open(p->path, &db), SQLITE_OK);
	exec(db, "PRAGMA wal_autocheckpoint = 0; PRAGMA synchronous = OFF");
	sqlite3_busy_timeout(db, UNIT_PATIENCE_MS);
	return db;
}

START_TEST(follows)
{
	struct meta_test_place p;

	meta_test_begin(&p, &meta_test_drivers[0]);
	struct meta *m = meta_test_open(&p, &meta_test_drivers[0], META_OPEN_CREATE);
	struct copy *c = copy_new(m);
	sqlite3 *db = open_raw(&p);

	ck_assert_int_eq(meta_pages_changed(c->pages), 1);
	for (unsigned i = 0; i < ROUNDS / unit_stride() + 40; i++) {
		put_some(m, i % 10 ? 4 : 60);
		ck_assert_int_eq(meta_pages_changed(c->pages), 1);
		disturb(db);
		if (rnd(3) == 0)
			put_some(m, 3);
		ck_assert_int_eq(follow(c), 0);
		if (i % 50 == 0)
			check_copy(c, &p);
	}
	check_copy(c, &p);
	/* One moment does not know; hardly any other. */
	ck_assert_uint_ge(c->all, 1);
	ck_assert_uint_gt(c->some, c->all * 5);
	ck_assert_int_eq(meta_pages_changed(c->pages), 0);
	sqlite3_close(db);
	copy_free(c);
	meta_close(m);
	meta_test_end(&p);
}
END_TEST

static int write_beside(void *arg)
{
	const struct meta_test_place *p = arg;
	struct meta *m = meta_test_open(p, &meta_test_drivers[0], 0);
	sqlite3 *db = open_raw(p);

	for (rnd_state = 77;;) {
		put_some(m, 6);
		disturb(db);
	}
	return 0;
}

START_TEST(follows_another_process)
{
	struct meta_test_place p;

	meta_test_begin(&p, &meta_test_drivers[0]);
	struct meta *m = meta_test_open(&p, &meta_test_drivers[0], META_OPEN_CREATE);
	struct copy *c = copy_new(m);
	pid_t child = meta_test_fork(write_beside, &p);

	for (unsigned i = 0; i < SIDE_ROUNDS / unit_stride() + 5; i++) {
		put_some(m, 3);
		(void)follow(c);
		usleep(rnd(10000));
	}
	kill(child, SIGKILL);
	(void)meta_test_wait(child);
	while (follow(c) != 0)
		continue;
	check_copy(c, &p);
	copy_free(c);
	meta_close(m);
	meta_test_end(&p);
}
END_TEST

START_TEST(refuses)
{
	struct meta_test_place p;
	struct meta_pages *pages = NULL;

	meta_test_begin(&p, &meta_test_drivers[0]);
	meta_close(meta_test_open(&p, &meta_test_drivers[0], META_OPEN_CREATE));
	struct meta *m = meta_test_open(&p, &meta_test_drivers[0], META_OPEN_RDONLY);

	ck_assert_int_eq(meta_pages_new(m, &pages), -EROFS);
	ck_assert_ptr_null(pages);
	meta_pages_free(NULL);
	meta_close(m);
	meta_test_end(&p);
}
END_TEST

UNIT_MAIN("pages", 60, follows, follows_another_process, refuses)
