/* SPDX-License-Identifier: GPL-3.0-or-later */
/* library/sealer.h: what is sealed when, what a change during a seal does, and a full disk. */
#include "config.h"

#include "file-unit.h"
#include "library/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mount.h>

enum { BODY = 200000, READERS = 3, EDITS = 60, LARGE = 24 << 20, DISK_FILES = 400 };
#define WAIT_NS UNIT_PATIENCE_NS

static struct sealer_status status(struct lab *lab)
{
	struct sealer_status st;

	sealer_status(lab->lib, &st);
	return st;
}

START_TEST(equal_contents_are_one_object)
{
	struct lab lab;
	uint8_t *data = malloc(BODY);
	uint64_t seed = 1;

	lab_fill(&seed, data, BODY);
	lab_make(&lab, NULL, LAB_LAZY);
	lab_open(&lab);
	int64_t a = lab_put(&lab, "a", data, BODY), b = lab_put(&lab, "b", data, BODY);
	int64_t c = lab_put(&lab, "c", data, 1000), d = lab_put(&lab, "d", data, 1000);

	ck_assert_uint_eq(status(&lab).pending_files, 4);
	ck_assert_uint_eq(status(&lab).pending_bytes, 2 * BODY + 2000);
	lab_sync(&lab);
	ck_assert_int_eq(lab_node(&lab, a).object, lab_node(&lab, b).object);
	ck_assert_int_eq(lab_node(&lab, c).object, lab_node(&lab, d).object);
	ck_assert_uint_eq(status(&lab).pending_files, 0);
	ck_assert_uint_eq(status(&lab).pending_bytes, 0);
	ck_assert_uint_eq(status(&lab).sealed_files, 4);
	ck_assert_uint_eq(status(&lab).sealed_bytes, 2 * BODY + 2000);
	ck_assert_uint_le(status(&lab).new_bytes, BODY + 1000);
	lab_remove(&lab);
	free(data);
}
END_TEST

START_TEST(a_sync_leaves_out_what_is_open_for_writing)
{
	struct lab lab;
	struct node node;

	lab_make(&lab, NULL, LAB_LAZY);
	lab_open(&lab);
	struct file *f = lab_create(&lab, "a", &node);

	ck_assert_int_eq(file_write(f, "abc", 3, 0), 3);
	lab_sync(&lab);
	ck_assert_int_eq(lab_node(&lab, node.ino).object, 0);
	lab_close_file(f, O_RDWR);
	f = lab_open_file(&lab, node.ino, O_RDWR);
	uint64_t skipped = 0;

	ck_assert_int_eq(sealer_sync(lab.lib, time_mono_ns() + WAIT_NS, &skipped), 0);
	struct files_counts files;

	ck_assert_uint_eq(skipped, 0); /* nobody has it mapped */
	files_counts(lab.lib, &files);
	ck_assert_uint_eq(files.open, 1);
	ck_assert_uint_eq(files.writing, 1);
	ck_assert_uint_eq(files.held, 0);
	ck_assert_int_eq(lab_node(&lab, node.ino).object, 0);
	lab_close_file(f, O_RDWR);
	lab_sync(&lab);
	ck_assert_int_ne(lab_node(&lab, node.ino).object, 0);
	lab_remove(&lab);
}
END_TEST

START_TEST(the_delay_is_kept)
{
	struct lab lab;

	lab_make(&lab, NULL, "[seal]\ndelay = 300ms\n");
	lab_open(&lab);
	int64_t begin = time_mono_ns(), ino = lab_put(&lab, "a", "abc", 3);

	while (lab_node(&lab, ino).draft && time_mono_ns() < begin + WAIT_NS)
		usleep(5000);
	ck_assert_int_eq(lab_node(&lab, ino).draft, 0);
	ck_assert_int_ge(time_mono_ns() - begin, 300 * TIME_NS_PER_MS);
	lab_remove(&lab);
}
END_TEST

struct reading {
	struct lab *lab;
	int64_t ino;
	const uint8_t *data;
	atomic_bool stop;
	atomic_ulong rounds;
};

static void *read_on(void *arg)
{
	struct reading *r = arg;

	while (!atomic_load(&r->stop)) {
		lab_holds(r->lab, r->ino, r->data, BODY);
		atomic_fetch_add(&r->rounds, 1);
	}
	return NULL;
}

START_TEST(readers_see_the_same_bytes_while_it_is_sealed)
{
	struct lab lab;
	uint8_t *data = malloc(BODY);
	pthread_t ids[READERS];
	uint64_t seed = 3;

	lab_fill(&seed, data, BODY);
	lab_make(&lab, NULL, LAB_EAGER);
	lab_open(&lab);
	struct reading reading = { .lab = &lab,
				   .ino = lab_put(&lab, "a", data, BODY),
				   .data = data };

	for (int i = 0; i < READERS; i++)
		ck_assert_int_eq(pthread_create(&ids[i], NULL, read_on, &reading), 0);
	for (int i = 0; i < EDITS; i++) {
		struct file *f = lab_open_file(&lab, reading.ino, O_RDWR);
		size_t off = lab_random(&seed) % (BODY - 5000);

		ck_assert_int_eq(file_write(f, data + off, 5000, off), 5000);
		lab_close_file(f, O_RDWR);
		if (i % 3)
			lab_sync(&lab);
	}
	atomic_store(&reading.stop, true);
	for (int i = 0; i < READERS; i++)
		pthread_join(ids[i], NULL);
	ck_assert_uint_gt(atomic_load(&reading.rounds), READERS);
	lab_sync(&lab);
	ck_assert_uint_gt(status(&lab).sealed_files, EDITS / 2);
	lab_remove(&lab);
	free(data);
}
END_TEST

START_TEST(a_change_gives_the_seal_up_and_is_kept)
{
	struct lab lab;
	uint8_t *data = malloc(LARGE);
	uint64_t seed = 4;
	int64_t end = time_mono_ns() + WAIT_NS;

	lab_fill(&seed, data, LARGE);
	lab_make(&lab, NULL, LAB_EAGER);
	lab_open(&lab);
	int64_t ino = lab_put(&lab, "a", data, LARGE);

	for (unsigned i = 0; !status(&lab).given_up && time_mono_ns() < end; i++) {
		usleep(1000 * (i % 40));
		struct file *f = lab_open_file(&lab, ino, O_RDWR);

		data[i] ^= 0x55;
		ck_assert_int_eq(file_write(f, data + i, 1, i), 1);
		lab_close_file(f, O_RDWR);
	}
	ck_assert_uint_gt(status(&lab).given_up, 0);
	lab_sync(&lab);
	ck_assert_int_eq(lab_node(&lab, ino).draft, 0);
	lab_holds(&lab, ino, data, LARGE);
	lab_remove(&lab);
	free(data);
}
END_TEST

START_TEST(a_stop_does_not_wait_for_the_seal)
{
	struct lab lab;
	uint8_t *data = malloc(LARGE);
	uint64_t seed = 5;

	lab_fill(&seed, data, LARGE);
	lab_make(&lab, NULL, LAB_EAGER);
	lab_open(&lab);
	int64_t ino = lab_put(&lab, "a", data, LARGE);

	lab_reopen(&lab);
	lab_holds(&lab, ino, data, LARGE);
	lab_sync(&lab);
	ck_assert_int_ne(lab_node(&lab, ino).object, 0);
	lab_holds(&lab, ino, data, LARGE);
	lab_remove(&lab);
	free(data);
}
END_TEST

/* Files of one pattern each, until the disk is full; their number. */
static int fill_disk(struct lab *lab, int64_t *inos, uint8_t *data, size_t len)
{
	for (int i = 0; i < DISK_FILES; i++) {
		char name[32];
		struct tree_new what = { .parent = TREE_ROOT,
					 .name = name,
					 .mode = S_IFREG | 0644 };
		struct node node;
		struct file *f;

		what.len = (size_t)snprintf(name, sizeof(name), "f%d", i);
		int rc = file_create(lab->lib, &lab_who, &what, O_RDWR, &node, &f);

		if (rc) {
			ck_assert_int_eq(rc, -ENOSPC);
			return i;
		}
		memcpy(data, &i, sizeof(i));
		ssize_t n = file_write(f, data, len, 0);

		rc = file_flush(f);
		file_close(f, O_RDWR);
		if (n != (ssize_t)len || rc) {
			ck_assert(n == -ENOSPC || n >= 0);
			ck_assert(rc == 0 || rc == -ENOSPC);
			return i;
		}
		inos[i] = node.ino;
	}
	ck_abort_msg("the disk is not full");
}

static void check_disk(struct lab *lab, const int64_t *inos, int count, uint8_t *data, size_t len)
{
	for (int i = 0; i < count; i++) {
		memcpy(data, &i, sizeof(i));
		lab_holds(lab, inos[i], data, len);
	}
}

START_TEST(a_full_disk_loses_nothing)
{
	struct lab lab;
	char dir[64], ballast[96];
	int dir_fd = unit_make_dir(dir);
	static int64_t inos[DISK_FILES];
	static uint8_t data[90000], block[4096];
	uint64_t seed = 6;

	ck_assert_int_eq(unshare(CLONE_NEWNS), 0);
	ck_assert_int_eq(mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL), 0);
	ck_assert_int_eq(mount("tmpfs", dir, "tmpfs", 0, "size=24m"), 0);
	snprintf(ballast, sizeof(ballast), "%s/ballast", dir);
	int fd = open(ballast, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	ck_assert_int_eq(posix_fallocate(fd, 0, 6 << 20), 0);
	lab_fill(&seed, data, sizeof(data));
	lab_make(&lab, dir, LAB_LAZY);
	lab_open(&lab);
	int count = fill_disk(&lab, inos, data, sizeof(data));

	ck_assert_int_gt(count, 20);
	while (write(fd, block, sizeof(block)) > 0)
		continue;
	check_disk(&lab, inos, count, data, sizeof(data));
	int rc = sealer_sync(lab.lib, time_mono_ns() + WAIT_NS, NULL);

	ck_assert_int_eq(rc, -ENOSPC);
	ck_assert_int_eq(status(&lab).last_error, -ENOSPC);
	check_disk(&lab, inos, count, data, sizeof(data));
	ck_assert_int_eq(ftruncate(fd, 0), 0);
	lab_sync(&lab);
	ck_assert_int_eq(status(&lab).last_error, 0);
	for (int i = 0; i < count; i++)
		ck_assert_int_ne(lab_node(&lab, inos[i]).object, 0);
	lab_reopen(&lab);
	check_disk(&lab, inos, count, data, sizeof(data));
	lab_close(&lab);
	close(fd);
	ck_assert_int_eq(umount2(dir, MNT_DETACH), 0);
	unit_remove_dir(dir, dir_fd);
}
END_TEST

/* Sealed is when the space of what was held already is free again. */
START_TEST(a_sync_gives_space_back)
{
	enum { LEN = 3 << 20 };
	struct lab lab;
	uint8_t *data = lab_bytes(1, LEN);
	uint64_t bytes = 0;

	lab_make(&lab, NULL, LAB_LAZY);
	lab_open(&lab);
	lab_put(&lab, "a", data, LEN);
	lab_sync(&lab);
	int64_t ino = lab_put(&lab, "b", data, LEN), draft = lab_node(&lab, ino).draft;

	lab_sync(&lab);
	if (!blobs_caps(lab.lib->blobs)->reflink &&
	    blobs_stat(lab.lib->blobs, draft, NULL, &bytes) == 0)
		ck_assert_uint_eq(bytes, 0);
	lab_holds(&lab, ino, data, LEN);
	lab_remove(&lab);
	free(data);
}
END_TEST

UNIT_MAIN("sealer", 120, a_sync_gives_space_back, equal_contents_are_one_object,
	  a_sync_leaves_out_what_is_open_for_writing, the_delay_is_kept,
	  readers_see_the_same_bytes_while_it_is_sealed, a_change_gives_the_seal_up_and_is_kept,
	  a_stop_does_not_wait_for_the_seal, a_full_disk_loses_nothing)
