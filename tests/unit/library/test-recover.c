/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Recovery: writers are killed with SIGKILL at random points while they write, flush, sync and the
 * sealer seals; afterwards every file must hold what was flushed last, or what the change that was
 * under way had made of it. And drafts whose files are gone.
 */
#include "config.h"

#include "file-unit.h"
#include "library/check.h"
#include "library/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>

enum { KILLS = 12, WRITERS = 3, FILES = 4, BODY_MAX = 150000, PIECE = 30000 };

struct state {
	size_t size;
	uint8_t bytes[BODY_MAX];
};

/* One file as its writer knows it; lies in memory that outlives the writer. */
struct witness {
	int64_t ino;       /* 0: not made yet */
	atomic_uint now;   /* states[now] was flushed; the other one is what is under way */
	atomic_uint going; /* whether something is */
	struct state states[2];
};

struct shared {
	struct lab lab;
	atomic_uint changes;
	struct witness files[WRITERS][FILES];
};

struct writer {
	struct shared *shared;
	int number;
	uint64_t state;
};

static void state_grow(struct state *s, size_t size)
{
	if (size > s->size) {
		memset(s->bytes + s->size, 0, size - s->size);
		s->size = size;
	}
}

/* Does one change to the file and to `s`. */
static void change(struct file *f, struct state *s, uint64_t *state)
{
	size_t off = lab_random(state) % (BODY_MAX - PIECE), len = 1 + lab_random(state) % PIECE;

	switch (lab_random(state) % 6) {
	case 0:
		s->size > off ? (void)(s->size = off) : state_grow(s, off);
		ck_assert_int_eq(file_truncate(f, off), 0);
		break;
	case 1:
		if (off < s->size)
			memset(s->bytes + off, 0, off + len > s->size ? s->size - off : len);
		ck_assert_int_eq(
			file_allocate(f, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off, len), 0);
		break;
	default:
		if (lab_random(state) % 2)
			off = s->size < BODY_MAX - PIECE ? s->size : 0;
		state_grow(s, off + len);
		lab_fill(state, s->bytes + off, len);
		ck_assert_int_eq(file_write(f, s->bytes + off, len, off), (ssize_t)len);
	}
}

static void change_file(struct shared *shared, struct witness *w, uint64_t *state)
{
	struct file *f = lab_open_file(&shared->lab, w->ino, O_RDWR);

	for (uint64_t n = 1 + lab_random(state) % 4; n; n--) {
		unsigned now = atomic_load(&w->now);
		struct state *next = &w->states[1 - now];

		*next = w->states[now];
		atomic_store(&w->going, 1);
		change(f, next, state);
		ck_assert_int_eq(lab_random(state) % 8 ? file_flush(f) : file_sync(f, false), 0);
		atomic_store(&w->now, 1 - now);
		atomic_store(&w->going, 0);
		atomic_fetch_add(&shared->changes, 1);
	}
	lab_close_file(f, O_RDWR);
}

/* A file that comes and goes besides, so that drafts are recycled. */
static void come_and_go(struct shared *shared, int number, uint64_t *state)
{
	char name[32];
	uint8_t data[3000];

	snprintf(name, sizeof(name), "t%d", number);
	lab_fill(state, data, sizeof(data));
	int64_t ino = lab_put(&shared->lab, name, data, sizeof(data));

	lab_holds(&shared->lab, ino, data, sizeof(data));
	ck_assert_int_eq(
		tree_unlink(shared->lab.lib, &lab_who, TREE_ROOT, name, strlen(name), NULL), 0);
}

static void *write_on(void *arg)
{
	struct writer *w = arg;

	for (;;) {
		change_file(w->shared, &w->shared->files[w->number][lab_random(&w->state) % FILES],
			    &w->state);
		if (lab_random(&w->state) % 4 == 0)
			come_and_go(w->shared, w->number, &w->state);
	}
	return NULL;
}

static void name_of(char name[32], int writer, int file)
{
	snprintf(name, 32, "w%df%d", writer, file);
}

/* The child: never returns. */
static void write_until_killed(struct shared *shared, uint64_t seed)
{
	struct writer writers[WRITERS];
	pthread_t ids[WRITERS];
	char name[32];

	lab_open(&shared->lab);
	for (int i = 0; i < WRITERS; i++) {
		snprintf(name, sizeof(name), "t%d", i);
		(void)tree_unlink(shared->lab.lib, &lab_who, TREE_ROOT, name, strlen(name), NULL);
		for (int k = 0; k < FILES; k++) {
			struct witness *w = &shared->files[i][k];

			name_of(name, i, k);
			if (!w->ino)
				w->ino = lab_put(&shared->lab, name, NULL, 0);
		}
		writers[i] = (struct writer){ shared, i, seed * 1000 + (uint64_t)i + 1 };
		ck_assert_int_eq(pthread_create(&ids[i], NULL, write_on, &writers[i]), 0);
	}
	for (;;)
		pause();
}

/* What a file may hold: each byte from the state before or after the change that was cut short. */
static void check_one(struct lab *lab, struct witness *w)
{
	const struct state *old = &w->states[atomic_load(&w->now)];
	const struct state *new = atomic_load(&w->going) ? &w->states[1 - atomic_load(&w->now)]
							 : old;
	struct node node = lab_node(lab, w->ino);
	struct file *f = lab_open_file(lab, w->ino, O_RDONLY);
	static uint8_t got[BODY_MAX + 1];
	size_t low = old->size < new->size ? old->size : new->size,
	       high = old->size + new->size - low;

	ck_assert_uint_ge(node.size, low);
	ck_assert_uint_le(node.size, high);
	ck_assert_int_eq(file_read(f, got, sizeof(got), 0), (ssize_t)node.size);
	for (size_t i = 0; i < node.size; i++) {
		uint8_t a = i < old->size ? old->bytes[i] : 0,
			b = i < new->size ? new->bytes[i] : 0;

		if (got[i] != a && got[i] != b)
			ck_abort_msg("asset %lld byte %zu is %02x, neither %02x nor %02x (sizes "
				     "%zu %zu, found %zu)",
				     (long long)w->ino, i, got[i], a, b, old->size, new->size,
				     (size_t)node.size);
	}
	file_close(f, O_RDONLY);
	memcpy(w->states[0].bytes, got, node.size);
	w->states[0].size = node.size;
	atomic_store(&w->now, 0);
	atomic_store(&w->going, 0);
}

static void check_all(struct shared *shared)
{
	for (int i = 0; i < WRITERS; i++)
		for (int k = 0; k < FILES; k++)
			if (shared->files[i][k].ino)
				check_one(&shared->lab, &shared->files[i][k]);
}

/* A kill while files are made leaves one that the witness does not know. */
static void find_files(struct shared *shared)
{
	char name[32];
	struct node node;

	for (int i = 0; i < WRITERS; i++)
		for (int k = 0; k < FILES; k++) {
			name_of(name, i, k);
			if (!tree_lookup(shared->lab.lib, TREE_ROOT, name, strlen(name), &node))
				shared->files[i][k].ino = node.ino;
		}
}

static void told(void *arg, const char *line)
{
	(void)arg;
	ck_abort_msg("%s", line);
}

/* Everything that fsck looks at, and every chunk read. */
static void check_library_clean(struct lab *lab)
{
	struct check_watch watch = { .fault = told };
	struct check_result result = { 0 };

	ck_assert_int_eq(check_library(lab->lib, CHECK_DEEP, &watch, &result), 0);
	ck_assert_uint_eq(result.faults, 0);
}

/* Whether `count` changes came to pass in time; on a slow machine the writer alone takes long to begin. */
static bool wait_for_changes(struct shared *shared, unsigned count)
{
	int64_t end = time_mono_ns() + UNIT_PATIENCE_NS;

	while (atomic_load(&shared->changes) < count && time_mono_ns() < end)
		usleep(1000);
	return atomic_load(&shared->changes) >= count;
}

/* At any moment, that before the first change included; or after the writer has done `at_least` changes. */
static void kill_once(struct shared *shared, uint64_t *seed, unsigned at_least)
{
	unsigned before = atomic_load(&shared->changes);
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0)
		write_until_killed(shared, lab_random(seed) % 100000);
	ck_assert_msg(wait_for_changes(shared, before + at_least), "the writer does not begin");
	usleep((useconds_t)(20000 + lab_random(seed) % 400000));
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	int end = 0;

	ck_assert_int_eq(waitpid(pid, &end, 0), pid);
	ck_assert_msg(WIFSIGNALED(end) && WTERMSIG(end) == SIGKILL,
		      "the writer ended by itself: %x", (unsigned)end);
}

START_TEST(what_was_flushed_survives_a_kill)
{
	const char *text = getenv("GARNER_SEED");
	uint64_t seed = text ? strtoull(text, NULL, 0) : (uint64_t)time_now_ns() | 1;
	struct shared *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	ck_assert_ptr_ne(shared, MAP_FAILED);
	fprintf(stderr, "GARNER_SEED=%llu\n", (unsigned long long)seed);
	lab_make(&shared->lab, NULL, LAB_EAGER);
	for (int i = 0; i < KILLS; i++) {
		kill_once(shared, &seed, i % 3 ? 2 : 0);
		lab_open(&shared->lab);
		find_files(shared);
		check_all(shared);
		if (i % 2)
			lab_sync(&shared->lab);
		check_all(shared);
		check_library_clean(&shared->lab);
		lab_close(&shared->lab);
	}
	ck_assert_uint_gt(atomic_load(&shared->changes), KILLS);
	lab_open(&shared->lab);
	lab_sync(&shared->lab);
	check_all(shared);
	check_library_clean(&shared->lab);
	lab_remove(&shared->lab);
	munmap(shared, sizeof(*shared));
}
END_TEST

START_TEST(a_new_file_keeps_what_was_written_after_its_last_flush)
{
	struct shared *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint8_t data[9000];
	uint64_t seed = 7;

	lab_fill(&seed, data, sizeof(data));
	lab_make(&shared->lab, NULL, LAB_LAZY);
	pid_t pid = fork();

	if (pid == 0) {
		struct node node;

		lab_open(&shared->lab);
		struct file *f = lab_create(&shared->lab, "a", &node);

		ck_assert_int_eq(file_write(f, data, 1000, 0), 1000);
		ck_assert_int_eq(file_flush(f), 0);
		ck_assert_int_eq(file_write(f, data + 1000, 8000, 1000), 8000);
		shared->files[0][0].ino = node.ino;
		(void)kill(getpid(), SIGKILL);
	}
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	lab_open(&shared->lab);
	lab_holds(&shared->lab, shared->files[0][0].ino, data, sizeof(data));
	lab_remove(&shared->lab);
	munmap(shared, sizeof(*shared));
}
END_TEST

/* Removes the file of the draft that the node has. */
static void lose_draft(struct lab *lab, int64_t ino)
{
	struct buf path = BUF_INIT;

	ck_assert_int_eq(blobs_path(content_blobs(library_content(lab->lib)),
				    lab_node(lab, ino).draft, &path),
			 0);
	lab_close(lab);
	ck_assert_int_eq(unlink(buf_str(&path)), 0);
	buf_release(&path);
}

/* A missing file is not given up by itself: it may come back. Then it is, by fsck --repair. */
static void give_up_lost(struct lab *lab, int64_t ino)
{
	uint64_t count = 0;
	struct file *f = NULL;

	ck_assert_int_eq(lab_node(lab, ino).state, NODE_INCONSISTENT);
	ck_assert_int_ne(lab_node(lab, ino).draft, 0);
	ck_assert_int_eq(file_open(lab->lib, &(struct actor){ 0 }, ino, O_RDONLY, &f), -EIO);
	ck_assert_int_eq(recover_give_up(lab->lib, &count), 0);
	ck_assert_uint_eq(count, 1);
	ck_assert_int_eq(lab_node(lab, ino).state, NODE_INCONSISTENT);
	ck_assert_int_eq(lab_node(lab, ino).draft, 0);
}

START_TEST(a_lost_draft_leaves_what_was_sealed)
{
	struct lab lab;
	uint8_t data[50000];
	uint64_t seed = 8;

	lab_fill(&seed, data, sizeof(data));
	lab_make(&lab, NULL, LAB_LAZY);
	lab_open(&lab);
	int64_t ino = lab_put(&lab, "a", data, sizeof(data));

	lab_sync(&lab);
	struct file *f = lab_open_file(&lab, ino, O_RDWR);

	ck_assert_int_eq(file_write(f, "longer", 6, sizeof(data)), 6);
	lab_close_file(f, O_RDWR);
	lose_draft(&lab, ino);
	lab_open(&lab);
	give_up_lost(&lab, ino);
	lab_holds(&lab, ino, data, sizeof(data));
	f = lab_open_file(&lab, ino, O_RDWR);
	ck_assert_int_eq(file_write(f, "x", 1, 0), 1);
	lab_close_file(f, O_RDWR);
	lab_sync(&lab);
	data[0] = 'x';
	lab_holds(&lab, ino, data, sizeof(data));
	ck_assert_int_eq(lab_node(&lab, ino).state, NODE_ACTIVE);
	int64_t fresh = lab_put(&lab, "b", data, 100);

	lose_draft(&lab, fresh);
	lab_open(&lab);
	give_up_lost(&lab, fresh);
	lab_holds(&lab, fresh, data, 0);
	lab_remove(&lab);
}
END_TEST

START_TEST(many_drafts_of_a_former_run_are_all_sealed)
{
	struct lab lab;
	char name[32];
	static int64_t inos[1500];

	lab_make(&lab, NULL, LAB_LAZY);
	lab_open(&lab);
	for (int i = 0; i < 1500; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		inos[i] = lab_put(&lab, name, name, strlen(name));
	}
	struct sealer_status st;

	sealer_status(lab.lib, &st);
	ck_assert_uint_gt(st.pending_files, 0);
	lab_reopen(&lab);
	lab_sync(&lab);
	for (int i = 0; i < 1500; i++) {
		struct node node = lab_node(&lab, inos[i]);

		if (node.draft || !node.object)
			ck_abort_msg("file %d is not sealed", i);
	}
	lab_remove(&lab);
}
END_TEST

UNIT_MAIN("recover", 120, what_was_flushed_survives_a_kill,
	  a_new_file_keeps_what_was_written_after_its_last_flush,
	  a_lost_draft_leaves_what_was_sealed, many_drafts_of_a_former_run_are_all_sealed)
