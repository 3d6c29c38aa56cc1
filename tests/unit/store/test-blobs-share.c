/* SPDX-License-Identifier: GPL-3.0-or-later */
/* backend/store/blobs.h among several users: the test for writers, and many threads at once. */
#include "config.h"

#include "blobs-unit.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>

START_TEST(writers_are_seen)
{
	struct place p;
	struct blob *reader;
	int writer;

	place_open(&p);
	ck_assert(blobs_caps(p.blobs)->lease);
	blob_make(p.blobs, 4, 'q', 4096);
	ck_assert_int_eq(blobs_quiet(p.blobs, 4), 1);
	ck_assert_int_eq(blobs_get(p.blobs, 4, &reader), 0);
	ck_assert_int_eq(blobs_quiet(p.blobs, 4), 1);
	writer = blobs_open_write(p.blobs, 4);
	ck_assert_int_ge(writer, 0);
	ck_assert_int_eq(blobs_quiet(p.blobs, 4), 0);
	close(writer);
	ck_assert_int_eq(blobs_quiet(p.blobs, 4), 1);
	blob_put(reader);
	place_close(&p);
}
END_TEST

/* Maps the blob writable, closes its descriptor, tells so, and stays until told to go. */
static _Noreturn void hold_mapping(struct blobs *b, int tell, int wait)
{
	int fd = blobs_open_write(b, 4);
	char *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	char byte = 'k';

	close(fd);
	if (map == MAP_FAILED || write(tell, &byte, 1) != 1 || read(wait, &byte, 1) != 1)
		_exit(1);
	map[0] = 'M';
	_exit(0);
}

START_TEST(mappings_are_seen)
{
	struct place p;
	int told[2], go[2], status = -1;
	char byte;
	pid_t child;

	place_open(&p);
	blob_make(p.blobs, 4, 'q', 4096);
	ck_assert_int_eq(pipe(told), 0);
	ck_assert_int_eq(pipe(go), 0);
	child = fork();
	if (child == 0) {
		close(told[0]);
		close(go[1]);
		hold_mapping(p.blobs, told[1], go[0]);
	}
	close(told[1]);
	close(go[0]);
	ck_assert_int_eq(read(told[0], &byte, 1), 1);
	ck_assert_int_eq(blobs_quiet(p.blobs, 4), 0);
	ck_assert_int_eq(write(go[1], &byte, 1), 1);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(blobs_quiet(p.blobs, 4), 1);
	ck_assert(blob_is(p.blobs, 4, 'M', 1, 0));
	close(told[0]);
	close(go[1]);
	place_close(&p);
}
END_TEST

START_TEST(quiet_without_the_right_to_a_lease)
{
	struct place p;
	int result;

	place_open(&p);
	blob_make(p.blobs, 4, 'q', 10);
	if (geteuid() == 0) {
		ck_assert_int_eq(chmod(p.dir, 0755), 0);
		ck_assert_int_eq(chmod(p.path, 0755), 0);
		ck_assert_int_eq(fchmodat(p.dir_fd, "blobs/00", 0755, 0), 0);
		ck_assert_int_eq(fchmodat(p.dir_fd, "blobs/00/0000000000000004", 0644, 0), 0);
		ck_assert_int_eq(seteuid(65534), 0);
		result = blobs_quiet(p.blobs, 4);
		ck_assert_int_eq(seteuid(0), 0);
		ck_assert_int_eq(result, 1);
	}
	place_close(&p);
}
END_TEST

struct opener {
	struct blobs *blobs;
	atomic_bool stop;
	atomic_uint opened;
};

static void *open_and_close(void *arg)
{
	struct opener *opener = arg;

	while (!opener->stop) {
		int fd = blobs_open_write(opener->blobs, 4);

		ck_assert_int_ge(fd, 0);
		close(fd);
		opener->opened++;
	}
	return NULL;
}

/* The kernel signals who holds a lease that is broken; the process must not die of it. */
START_TEST(writers_that_come_during_the_test)
{
	struct place p;
	struct opener opener = { 0 };
	pthread_t thread;
	unsigned quiet = 0;

	place_open(&p);
	blob_make(p.blobs, 4, 'q', 10);
	opener.blobs = p.blobs;
	ck_assert_int_eq(pthread_create(&thread, NULL, open_and_close, &opener), 0);
	for (unsigned i = 0; i < 20000 || opener.opened < 1000; i++) {
		int result = blobs_quiet(p.blobs, 4);

		ck_assert_int_ge(result, 0);
		quiet += (unsigned)result;
	}
	opener.stop = true;
	pthread_join(thread, NULL);
	ck_assert_uint_gt(quiet, 0);
	ck_assert_int_eq(blobs_quiet(p.blobs, 4), 1);
	place_close(&p);
}
END_TEST

enum { THREADS = 4, BLOBS = 64, ROUNDS = 3000 };

struct reader {
	struct blobs *blobs;
	unsigned seed;
	unsigned gone; /* found missing */
	bool wrong;
};

static void *read_at_random(void *arg)
{
	struct reader *reader = arg;

	for (int i = 0; i < ROUNDS; i++) {
		int64_t id = rand_r(&reader->seed) % BLOBS, value = -1;
		struct blob *blob = NULL;
		int err = blobs_get(reader->blobs, id, &blob);

		if (err == -ENOENT) {
			reader->gone++;
			continue;
		}
		if (err || io_pread_full(blob_fd(blob), &value, sizeof value, 0) != sizeof value ||
		    value != id || blob_id(blob) != id)
			reader->wrong = true;
		blob_put(blob);
	}
	return NULL;
}

/* Reading threads race with unlinking; what was unlinked must never be found again. */
START_TEST(threads_and_unlinking)
{
	struct place p;
	struct reader readers[THREADS] = { 0 };
	pthread_t threads[THREADS];
	struct blob *blob;
	unsigned base;

	place_open(&p);
	base = open_files();
	for (int64_t id = 0; id < BLOBS; id++) {
		ck_assert_int_eq(blobs_create(p.blobs, id), 0);
		blob_write(p.blobs, id, &id, sizeof id, 0);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		readers[i] = (struct reader){ .blobs = p.blobs, .seed = i + 1 };
		ck_assert_int_eq(pthread_create(&threads[i], NULL, read_at_random, &readers[i]), 0);
	}
	for (int64_t id = 0; id < BLOBS; id++) {
		ck_assert_int_eq(blobs_unlink(p.blobs, id), 0);
		ck_assert_int_eq(blobs_get(p.blobs, id, &blob), -ENOENT);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		ck_assert(!readers[i].wrong);
	}
	ck_assert_uint_eq(open_files(), base);
	place_close(&p);
}
END_TEST

struct chaser {
	struct blobs *blobs;
	_Atomic int64_t id; /* negative: the end */
};

static void *open_over_and_over(void *arg)
{
	struct chaser *chaser = arg;
	int64_t id;

	while ((id = chaser->id) >= 0) {
		struct blob *blob;

		if (blobs_get(chaser->blobs, id, &blob) == 0)
			blob_put(blob);
	}
	return NULL;
}

/* An open that began before the unlinking and ends after it must not be kept for others. */
START_TEST(opening_while_unlinking)
{
	struct place p;
	struct chaser chaser = { 0 };
	pthread_t threads[THREADS];
	struct blob *blob;

	place_open(&p);
	chaser.blobs = p.blobs;
	for (unsigned i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, open_over_and_over, &chaser), 0);
	for (int64_t id = 1; id <= ROUNDS; id++) {
		ck_assert_int_eq(blobs_create(p.blobs, id), 0);
		chaser.id = id;
		ck_assert_int_eq(blobs_unlink(p.blobs, id), 0);
		for (int i = 0; i < 20; i++)
			ck_assert_int_eq(blobs_get(p.blobs, id, &blob), -ENOENT);
	}
	chaser.id = -1;
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	place_close(&p);
}
END_TEST

struct maker {
	struct blobs *blobs;
	int64_t first;
	int err;
};

static void *make_and_sync(void *arg)
{
	struct maker *maker = arg;

	for (int64_t i = 0; i < 50 && !maker->err; i++) {
		maker->err = blobs_create(maker->blobs, maker->first + i * THREADS);
		if (!maker->err)
			maker->err = blobs_sync_names(maker->blobs);
	}
	return NULL;
}

START_TEST(threads_that_create_and_sync)
{
	struct place p;
	struct maker makers[THREADS];
	pthread_t threads[THREADS];

	place_open(&p);
	for (unsigned i = 0; i < THREADS; i++) {
		makers[i] = (struct maker){ .blobs = p.blobs, .first = i };
		ck_assert_int_eq(pthread_create(&threads[i], NULL, make_and_sync, &makers[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		ck_assert_int_eq(makers[i].err, 0);
	}
	place_close(&p);
}
END_TEST

START_TEST(alone_is_who_nobody_reads_beside)
{
	struct place p;
	struct blob *blob;

	place_open(&p);
	blob_make(p.blobs, 1, 'a', 8192);
	ck_assert_int_eq(blobs_alone(p.blobs, 1), 1);
	ck_assert_int_eq(blobs_get(p.blobs, 1, &blob), 0);
	ck_assert_int_eq(blobs_alone(p.blobs, 1), 0);
	char *map = mmap(NULL, 8192, PROT_READ, MAP_SHARED, blob_fd(blob), 0);

	ck_assert_ptr_ne(map, MAP_FAILED);
	blob_put(blob);
	ck_assert_int_eq(blobs_alone(p.blobs, 1), 0);
	munmap(map, 8192);
	ck_assert_int_eq(blobs_alone(p.blobs, 1), 1);
	ck_assert_int_eq(blobs_alone(p.blobs, 2), -ENOENT);
	place_close(&p);
}
END_TEST

START_TEST(a_claim_is_one_users)
{
	struct place p;
	struct blob *a, *b;

	place_open(&p);
	blob_make(p.blobs, 1, 'a', 100);
	ck_assert_int_eq(blobs_get(p.blobs, 1, &a), 0);
	ck_assert_int_eq(blobs_get(p.blobs, 1, &b), 0);
	ck_assert(blob_claim(a));
	ck_assert(!blob_claim(b));
	blob_unclaim(a);
	ck_assert(blob_claim(b));
	blob_unclaim(b);
	blob_put(a);
	blob_put(b);
	place_close(&p);
}
END_TEST

/* Reads through a handle until told to stop; all that it may see are 'a's. */
struct watcher {
	struct blob *blob;
	atomic_bool stop;
	atomic_int wrong;
};

static void *watch_bytes(void *arg)
{
	struct watcher *w = arg;
	char buf[4096];

	while (!atomic_load(&w->stop)) {
		ck_assert_int_eq(blob_read(w->blob, buf, sizeof buf, 0), (ssize_t)sizeof buf);
		for (size_t i = 0; i < sizeof buf; i++)
			if (buf[i] != 'a')
				atomic_fetch_add(&w->wrong, 1);
	}
	return NULL;
}

START_TEST(another_blob_stands_in)
{
	struct place p;
	struct watcher w = { 0 };
	struct blob *own, *fresh;
	pthread_t threads[4];
	char byte;

	place_open(&p);
	blob_make(p.blobs, 1, 'a', 4096);
	blob_make(p.blobs, 2, 'a', 4096);
	ck_assert_int_eq(blobs_get(p.blobs, 1, &w.blob), 0);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, watch_bytes, &w), 0);
	ck_assert_int_eq(blobs_stand_in(p.blobs, 1, 3, &own), -ENOENT);
	ck_assert_int_eq(blobs_stand_in(p.blobs, 1, 2, &own), 0);
	/* Whoever looks from now on sees the file of before no more. */
	blob_write(p.blobs, 1, "b", 1, 0);
	ck_assert_int_eq(blobs_get(p.blobs, 1, &fresh), 0);
	ck_assert_ptr_eq(fresh, own);
	ck_assert_int_eq(blob_read(fresh, &byte, 1, 0), 1);
	ck_assert_int_eq(byte, 'b');
	ck_assert_int_eq(blob_read(w.blob, &byte, 1, 0), 1);
	ck_assert_int_eq(byte, 'a');
	atomic_store(&w.stop, true);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	ck_assert_int_eq(atomic_load(&w.wrong), 0);
	blob_put(w.blob);
	blob_put(own);
	blob_put(fresh);
	place_close(&p);
}
END_TEST

static void assert_byte(struct blob *blob, char want)
{
	char byte = 0;

	ck_assert_int_eq(blob_read(blob, &byte, 1, 0), 1);
	ck_assert_int_eq(byte, want);
}

/* What stands in may be replaced itself: then so is it for those that were turned to it. */
START_TEST(what_stands_in_is_followed)
{
	struct place p;
	struct blob *first, *second, *own1, *own2;

	place_open(&p);
	for (int id = 1; id <= 3; id++)
		blob_make(p.blobs, id, 'a', 100);
	ck_assert_int_eq(blobs_get(p.blobs, 1, &first), 0);
	ck_assert_int_eq(blobs_stand_in(p.blobs, 1, 2, &own1), 0);
	blob_write(p.blobs, 1, "b", 1, 0);
	ck_assert_int_eq(blobs_get(p.blobs, 2, &second), 0);
	ck_assert_int_eq(blobs_stand_in(p.blobs, 2, 3, &own2), 0);
	blob_write(p.blobs, 2, "c", 1, 0);
	assert_byte(first, 'a');
	assert_byte(second, 'a');
	assert_byte(own1, 'b');
	assert_byte(own2, 'c');
	blob_put(first);
	blob_put(second);
	blob_put(own1);
	blob_put(own2);
	place_close(&p);
}
END_TEST

START_TEST(a_claim_stays_with_the_file)
{
	struct place p;
	struct blob *before, *own;

	place_open(&p);
	blob_make(p.blobs, 1, 'a', 100);
	blob_make(p.blobs, 2, 'a', 100);
	ck_assert_int_eq(blobs_get(p.blobs, 1, &before), 0);
	ck_assert(blob_claim(before));
	ck_assert_int_eq(blobs_stand_in(p.blobs, 1, 2, &own), 0);
	ck_assert(!blob_claim(own));
	ck_assert(!blob_claim(before));
	blob_unclaim(own);
	ck_assert(!blob_claim(before));
	ck_assert(blob_claim(own));
	blob_unclaim(own);
	blob_put(before);
	blob_put(own);
	place_close(&p);
}
END_TEST

UNIT_MAIN("blobs shared", 60, writers_are_seen, mappings_are_seen,
	  quiet_without_the_right_to_a_lease, writers_that_come_during_the_test,
	  threads_and_unlinking, opening_while_unlinking, threads_that_create_and_sync,
	  alone_is_who_nobody_reads_beside, a_claim_is_one_users, another_blob_stands_in,
	  what_stands_in_is_followed, a_claim_stays_with_the_file)
