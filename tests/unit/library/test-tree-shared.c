/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Many at once on one tree: threads, processes, and a process that is killed while it works. */
#include "config.h"

#include "tree-unit.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

enum { THREADS = 4, PROCESSES = 2, STEPS = 400, FOLDERS = 5, KILLS = 6 };

struct worker {
	struct tree_unit *u;
	uint64_t state;
	int64_t folders[FOLDERS];
	int bad; /* a result that no operation may give here */
};

static unsigned pick(struct worker *w, unsigned below)
{
	w->state = w->state * 6364136223846793005ull + 1442695040888963407ull;
	return (unsigned)(w->state >> 33) % below;
}

static bool is_expected(int err)
{
	static const int fine[] = { 0,       -EEXIST,  -ENOENT, -ENOTEMPTY,
				    -EISDIR, -ENOTDIR, -EINVAL, -EPERM };

	for (size_t i = 0; i < sizeof(fine) / sizeof(fine[0]); i++)
		if (err == fine[i])
			return true;
	return false;
}

static int act(struct worker *w)
{
	int64_t from = w->folders[pick(w, FOLDERS)], to = w->folders[pick(w, FOLDERS)];
	char name[3] = { 'n', (char)('0' + pick(w, 5)), 0 },
	     other[3] = { 'n', (char)('0' + pick(w, 5)), 0 };
	struct node node;

	switch (pick(w, 8)) {
	case 0:
		return tree_unit_try(w->u, from, name, S_IFDIR | 0755, NULL);
	case 1:
	case 2:
		return tree_unit_try(w->u, from, name, S_IFREG | 0644, NULL);
	case 3:
		return tree_unit_unlink(w->u, from, name);
	case 4:
		return tree_unit_rmdir(w->u, from, name);
	case 5:
		if (tree_lookup(w->u->lib, from, name, 2, &node))
			return 0;
		return tree_unit_link(w->u, node.ino, to, other);
	default:
		return tree_unit_rename(w->u, from, name, to, other,
					pick(w, 4) ? 0 : RENAME_EXCHANGE);
	}
}

static void *work(void *arg)
{
	struct worker *w = arg;

	for (int i = 0; i < STEPS && !w->bad; i++) {
		int err = act(w);

		if (!is_expected(err))
			w->bad = err;
	}
	return NULL;
}

/* The folders F0 … F4, the later ones below the earlier, which are moved about too. */
static void make_folders(struct tree_unit *u, int64_t folders[FOLDERS])
{
	char name[3] = { 'n', '0', 0 };

	for (int i = 0; i < FOLDERS; i++) {
		name[1] = (char)('0' + i);
		folders[i] = tree_unit_folder(u, i < 3 ? TREE_ROOT : folders[i - 3], name);
	}
	folders[0] = TREE_ROOT;
}

static int work_threads(struct tree_unit *u, const int64_t folders[FOLDERS], uint64_t seed)
{
	struct worker workers[THREADS];
	pthread_t threads[THREADS];
	int bad = 0;

	for (int i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){ .u = u, .state = seed + (uint64_t)i * 7919 };
		memcpy(workers[i].folders, folders, sizeof(workers[i].folders));
		if (pthread_create(&threads[i], NULL, work, &workers[i]))
			abort();
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		bad = bad ? bad : workers[i].bad;
	}
	return bad;
}

START_TEST(threads)
{
	int64_t folders[FOLDERS];
	struct tree_unit u;

	tree_unit_begin(&u, NULL);
	make_folders(&u, folders);
	for (uint64_t seed = 1; seed <= 3; seed++) {
		ck_assert_int_eq(work_threads(&u, folders, seed), 0);
		tree_unit_check(&u);
	}
	tree_unit_end(&u);
}
END_TEST

static pid_t work_process(struct tree_unit *u, const int64_t folders[FOLDERS], uint64_t seed)
{
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid)
		return pid;
	if (library_open(u->path, 0, &u->lib))
		_exit(1);
	int bad = work_threads(u, folders, seed);

	library_close(u->lib);
	_exit(bad ? 2 : 0);
}

START_TEST(processes)
{
	pid_t pids[PROCESSES];
	int64_t folders[FOLDERS];
	struct tree_unit u;
	int status;

	tree_unit_begin(&u, NULL);
	make_folders(&u, folders);
	library_close(u.lib);
	for (int i = 0; i < PROCESSES; i++)
		pids[i] = work_process(&u, folders, 100u + (uint64_t)i);
	for (int i = 0; i < PROCESSES; i++) {
		ck_assert_int_eq(waitpid(pids[i], &status, 0), pids[i]);
		ck_assert_int_eq(status, 0);
	}
	tree_unit_open(&u);
	tree_unit_end(&u);
}
END_TEST

static void kept_name(char name[32], int round, int number)
{
	snprintf(name, 32, "kept %d of %d", number, round);
}

/* Creates numbered names and tells each number once the operation has returned. */
static void create_until_killed(struct tree_unit *u, int tell, int round,
				const int64_t folders[FOLDERS])
{
	struct worker w = { .u = u, .state = (uint64_t)round };
	char name[32];

	memcpy(w.folders, folders, sizeof(w.folders));
	if (library_open(u->path, 0, &u->lib))
		_exit(1);
	for (int i = 0;; i++) {
		kept_name(name, round, i);
		if (tree_unit_try(u, TREE_ROOT, name, S_IFREG | 0644, NULL) ||
		    !is_expected(act(&w)) || !is_expected(act(&w)))
			_exit(2);
		if (write(tell, &i, sizeof(i)) != sizeof(i))
			_exit(3);
	}
}

/* The last number that was told by a child that is killed at its `after`th. */
static int kill_after(struct tree_unit *u, int round, int after, const int64_t folders[FOLDERS])
{
	int ends[2], status, told = -1, number;
	pid_t pid;

	ck_assert_int_eq(pipe(ends), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (!pid) {
		close(ends[0]);
		create_until_killed(u, ends[1], round, folders);
	}
	close(ends[1]);
	while (after-- && read(ends[0], &number, sizeof(number)) == sizeof(number))
		told = number;
	kill(pid, SIGKILL);
	while (read(ends[0], &number, sizeof(number)) == sizeof(number))
		told = number;
	close(ends[0]);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status));
	return told;
}

START_TEST(killed)
{
	int64_t folders[FOLDERS];
	struct tree_unit u;
	char name[32];
	int told;

	tree_unit_begin(&u, NULL);
	make_folders(&u, folders);
	for (int round = 0; round < KILLS; round++) {
		library_close(u.lib);
		told = kill_after(&u, round, 20 + round * 37, folders);
		ck_assert_int_ge(told, 19);
		tree_unit_open(&u);
		tree_unit_check(&u);
		for (int i = 0; i <= told; i++) {
			kept_name(name, round, i);
			ck_assert_int_ne(tree_unit_find(&u, TREE_ROOT, name), 0);
		}
	}
	tree_unit_end(&u);
}
END_TEST

UNIT_MAIN("tree shared", 240, threads, processes, killed)
