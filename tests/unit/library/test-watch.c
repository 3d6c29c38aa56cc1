/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * library/watch.h: what one process changes is told in another, in order, and what is open there
 * stays as it was.
 */
#include "config.h"

#include "file-unit.h"
#include "library/control.h"
#include "library/watch.h"
#include "util/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>

enum { MANY = 700 };

/* What was told; the lock guards it. */
struct heard {
	struct lock lock;
	size_t count, content;
	char last_action[16], last_name[64], last_old[64];
	int64_t last_ino, last_parent;
	bool ordered; /* the names are n0, n1, … */
};

static void hear(void *arg, const struct watch_change *c)
{
	struct heard *h = arg;
	char want[32];

	lock_lock(&h->lock);
	snprintf(want, sizeof(want), "n%zu", h->count);
	h->ordered = h->ordered && c->len == strlen(want) && !memcmp(c->name, want, c->len);
	h->count++;
	h->content += c->content;
	snprintf(h->last_action, sizeof(h->last_action), "%s", c->action);
	snprintf(h->last_name, sizeof(h->last_name), "%.*s", (int)c->len, c->name ? c->name : "");
	snprintf(h->last_old, sizeof(h->last_old), "%.*s", (int)c->old_len,
		 c->old_name ? c->old_name : "");
	h->last_ino = c->ino;
	h->last_parent = c->parent;
	lock_unlock(&h->lock);
}

static size_t heard(struct heard *h)
{
	lock_lock(&h->lock);
	size_t count = h->count;

	lock_unlock(&h->lock);
	return count;
}

static void expect_last(struct heard *h, const char *action, const char *name, const char *old)
{
	lock_lock(&h->lock);
	ck_assert_str_eq(h->last_action, action);
	ck_assert_str_eq(h->last_name, name);
	ck_assert_str_eq(h->last_old, old);
	ck_assert_int_eq(h->last_parent, TREE_ROOT);
	lock_unlock(&h->lock);
}

static void wait_for(struct heard *h, size_t count)
{
	int64_t end = time_mono_ns() + UNIT_PATIENCE_NS;

	while (heard(h) < count && time_mono_ns() < end)
		usleep(2000);
	ck_assert_uint_eq(heard(h), count);
}

/*
 * A second process with the library open, that does one thing for each byte that it is sent and
 * answers with a byte.
 */
struct other {
	pid_t pid;
	int to, from;
};

typedef void other_fn(struct library *lib, char what);

static void other_run(const char *path, int from, int to, other_fn *fn)
{
	struct library *lib;
	char what;

	ck_assert_int_eq(library_open(path, 0, &lib), 0);
	while (read(from, &what, 1) == 1) {
		fn(lib, what);
		ck_assert_int_eq(write(to, &what, 1), 1);
	}
	library_close(lib);
	_exit(0);
}

static void other_start(struct other *o, const char *path, other_fn *fn)
{
	int to[2], from[2];

	ck_assert_int_eq(pipe(to), 0);
	ck_assert_int_eq(pipe(from), 0);
	o->pid = fork();
	ck_assert_int_ge(o->pid, 0);
	if (o->pid == 0) {
		close(to[1]);
		close(from[0]);
		other_run(path, to[0], from[1], fn);
	}
	close(to[0]);
	close(from[1]);
	o->to = to[1];
	o->from = from[0];
}

static void other_do(struct other *o, char what)
{
	char answer;

	ck_assert_int_eq(write(o->to, &what, 1), 1);
	ck_assert_int_eq(read(o->from, &answer, 1), 1);
}

static void other_end(struct other *o)
{
	int end;

	close(o->to);
	ck_assert_int_eq(waitpid(o->pid, &end, 0), o->pid);
	ck_assert(WIFEXITED(end) && WEXITSTATUS(end) == 0);
	close(o->from);
}

static void move(struct library *lib, char what)
{
	struct tree_new folder = {
		.parent = TREE_ROOT, .name = "n0", .len = 2, .mode = S_IFDIR | 0755
	};
	struct node node;

	switch (what) {
	case 'm':
		ck_assert_int_eq(tree_make(lib, &lab_who, &folder, &node), 0);
		break;
	case 'r':
		ck_assert_int_eq(
			tree_rename(lib, &lab_who, TREE_ROOT, "n0", 2, TREE_ROOT, "moved", 5, 0),
			0);
		break;
	default:
		ck_abort_msg("%c", what);
	}
	library_changed(lib);
}

START_TEST(a_change_is_told_before_the_poke_is_answered)
{
	struct lab lab;
	struct heard h = { .ordered = true };
	struct other other;
	struct node node;

	lock_init(&h.lock, LOCK_RANK_LEAF);
	lab_make(&lab, NULL, LAB_LAZY);
	other_start(&other, lab.path, move);
	lab_open(&lab);
	watch_listen(lab.lib, hear, &h);
	(void)lab_put(&lab, "own", "x", 1);
	other_do(&other, 'm');
	ck_assert_uint_eq(heard(&h), 1);
	expect_last(&h, "create", "n0", "");
	other_do(&other, 'r');
	ck_assert_uint_eq(heard(&h), 2);
	expect_last(&h, "rename", "moved", "n0");
	watch_listen(lab.lib, NULL, NULL);
	ck_assert_int_eq(tree_lookup(lab.lib, TREE_ROOT, "moved", 5, &node), 0);
	ck_assert_int_eq(h.last_ino, node.ino);
	other_end(&other);
	lab_remove(&lab);
	lock_release(&h.lock);
}
END_TEST

static void make_many(struct library *lib, char what)
{
	(void)what;
	for (int i = 0; i < MANY; i++) {
		char name[32];
		struct node node;
		struct tree_new folder = { .parent = TREE_ROOT,
					   .name = name,
					   .mode = S_IFDIR | 0755 };

		folder.len = (size_t)snprintf(name, sizeof(name), "n%d", i);
		ck_assert_int_eq(tree_make(lib, &lab_who, &folder, &node), 0);
	}
}

START_TEST(without_a_poke_it_is_told_by_the_time_and_in_order)
{
	struct lab lab;
	struct heard h = { .ordered = true };
	struct other other;

	lock_init(&h.lock, LOCK_RANK_LEAF);
	lab_make(&lab, NULL, LAB_LAZY);
	other_start(&other, lab.path, make_many);
	lab_open(&lab);
	watch_listen(lab.lib, hear, &h);
	other_do(&other, 'x');
	wait_for(&h, MANY);
	watch_listen(lab.lib, NULL, NULL);
	ck_assert(h.ordered);
	other_end(&other);
	lab_remove(&lab);
	lock_release(&h.lock);
}
END_TEST

static int64_t shared_ino;

/*
 * Times and a name go; content of an asset is exchanged as an import would do it: a row that says
 * so.
 */
static void change_asset(struct library *lib, char what)
{
	struct node values = { .mtime_ns = 77 };

	switch (what) {
	case 't':
		ck_assert_int_eq(tree_set(lib, &lab_who, shared_ino, TREE_SET_MTIME, &values, NULL),
				 0);
		break;
	case 'u':
		ck_assert_int_eq(tree_unlink(lib, &lab_who, TREE_ROOT, "a", 1, NULL), 0);
		break;
	default:
		ck_abort_msg("%c", what);
	}
	library_changed(lib);
}

START_TEST(an_open_file_follows_times_and_survives_its_name)
{
	struct lab lab;
	struct other other;
	struct node node;

	lab_make(&lab, NULL, LAB_LAZY "[trash]\nretention = 0\n");
	lab_open(&lab);
	shared_ino = lab_put(&lab, "a", "hello", 5);
	lab_sync(&lab);
	lab_close(&lab);
	other_start(&other, lab.path, change_asset);
	lab_open(&lab);
	struct file *f = lab_open_file(&lab, shared_ino, O_RDWR);

	ck_assert_int_eq(file_write(f, "J", 1, 0), 1);
	ck_assert_int_eq(file_flush(f), 0);
	other_do(&other, 't');
	ck_assert_int_eq(lab_node(&lab, shared_ino).mtime_ns, 77);
	other_do(&other, 'u');
	lab_same(f, (const uint8_t *)"Jello", 5);
	lab_sync(&lab);
	lab_same(f, (const uint8_t *)"Jello", 5);
	lab_close_file(f, O_RDWR);
	lab_sync(&lab);
	ck_assert_int_eq(tree_get(lab.lib, shared_ino, &node), -ENOENT);
	other_end(&other);
	lab_remove(&lab);
}
END_TEST

UNIT_MAIN("watch", 60, a_change_is_told_before_the_poke_is_answered,
	  without_a_poke_it_is_told_by_the_time_and_in_order,
	  an_open_file_follows_times_and_survives_its_name)
