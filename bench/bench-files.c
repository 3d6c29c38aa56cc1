/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Times what a user does with files in one folder, once each, and prints a line "NAME RATE UNIT" for each. bench/bench-mount runs it in turn on
 * the native disk and on mounts, and compares.
 *
 *	bench-files DIR [--size MIB] [--files N] [--rest SECONDS] [--mount]
 *
 * --size 0: only what is done with small files.
 * --rest: between writing the big file and reading it, and before writing at random, so that what a mount does with written files by itself is over (default 0: it is not).
 * --mount: DIR is in a FUSE mount, so "backing" is measured with the caches of the disk below alone.
 */
#include "config.h"

#include <fcntl.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MIB (1024 * 1024)
#define PAGE 4096

static const char *dir;
static size_t size_mib = 256;
static unsigned files = 5000;
static unsigned rest_s;
static bool in_mount;
static char *block;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void report(const char *name, double amount, double seconds, const char *unit)
{
	printf("%s %.1f %s\n", name, amount / seconds, unit);
}

static const char *path_of(const char *name)
{
	static char path[4096];

	snprintf(path, sizeof path, "%s/%s", dir, name);
	return path;
}

static const char *file_of(const char *kind, unsigned i)
{
	char name[64];

	snprintf(name, sizeof name, "%s-%06u", kind, i);
	return path_of(name);
}

static uint64_t draw(uint64_t *state)
{
	uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	return z ^ (z >> 27);
}

/* Incompressible and never the same, so that nothing is deduplicated. */
static void fill_block(void)
{
	static uint64_t state;

	if (!state)
		state = (uint64_t)time(NULL) ^ ((uint64_t)getpid() << 32);
	for (size_t i = 0; i < MIB; i += 8) {
		uint64_t x = draw(&state);

		memcpy(block + i, &x, 8);
	}
}

static int open_big(int flags)
{
	int fd = open(path_of("big"), flags | O_CLOEXEC, 0644);

	if (fd < 0)
		die("big");
	return fd;
}

static void write_big(void)
{
	double start;
	int fd;

	fill_block();
	start = now();
	fd = open_big(O_CREAT | O_TRUNC | O_WRONLY);
	for (size_t i = 0; i < size_mib; i++) {
		memcpy(block, &i, sizeof i); /* each block differs */
		if (write(fd, block, MIB) != MIB)
			die("write");
	}
	if (close(fd))
		die("close");
	report("write-1MiB", (double)size_mib, now() - start, "MiB/s");
}

static void write_small(void)
{
	const unsigned count = 20000;
	double start = now();
	int fd = open(path_of("small-writes"), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644);

	for (unsigned i = 0; i < count; i++)
		if (write(fd, block, PAGE) != PAGE)
			die("write");
	if (close(fd))
		die("close");
	report("write-4KiB", count, now() - start, "/s");
	unlink(path_of("small-writes"));
}

/* Into a new file of the whole size. */
static void write_random(void)
{
	const unsigned count = 20000;
	uint64_t state = 9;
	int fd = open(path_of("random"), O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0644);
	double start;

	if (fd < 0)
		die("random");
	for (size_t i = 0; i < size_mib; i++)
		if (write(fd, block, MIB) != MIB)
			die("write");
	start = now();
	for (unsigned i = 0; i < count; i++)
		if (pwrite(fd, block, PAGE,
			   (off_t)(draw(&state) % (size_mib * MIB / PAGE)) * PAGE) != PAGE)
			die("pwrite");
	report("write-4KiB-random", count, now() - start, "/s");
	close(fd);
}

/* Over the file of write_random(). */
static void write_mapped(void)
{
	int fd = open(path_of("random"), O_RDWR | O_CLOEXEC);
	char *map = mmap(NULL, size_mib * MIB, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	double start = now();

	if (map == MAP_FAILED)
		die("mmap");
	for (size_t i = 0; i < size_mib; i++)
		memcpy(map + i * MIB, block, MIB);
	if (msync(map, size_mib * MIB, MS_SYNC))
		die("msync");
	report("mmap-write-msync", (double)size_mib, now() - start, "MiB/s");
	munmap(map, size_mib * MIB);
	close(fd);
	unlink(path_of("random"));
}

/* Needs root: whether it could be done. */
static bool drop_caches(void)
{
	int drop = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);

	sync();
	if (drop < 0)
		return false;
	if (write(drop, "3", 1) != 1)
		die("drop_caches");
	close(drop);
	return true;
}

static void read_whole(const char *name)
{
	double start = now();
	int fd = open_big(O_RDONLY);

	while (read(fd, block, MIB) > 0)
		continue;
	close(fd);
	report(name, (double)size_mib, now() - start, "MiB/s");
}

static void read_at_random(const char *name, unsigned count, uint64_t seed)
{
	uint64_t state = seed;
	double start = now();
	int fd = open_big(O_RDONLY);

	for (unsigned i = 0; i < count; i++)
		if (pread(fd, block, PAGE,
			  (off_t)(draw(&state) % (size_mib * MIB / PAGE)) * PAGE) != PAGE)
			die("pread");
	close(fd);
	report(name, count, now() - start, "/s");
}

/* A mount's cache is let go of, that of the file below stays. */
static void drop_mount(void)
{
	int fd = open_big(O_RDONLY);

	if (in_mount && posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED))
		die("fadvise");
	close(fd);
}

static void read_all(void)
{
	if (drop_caches())
		read_whole("read-1MiB-cold");
	read_whole("read-1MiB-warm");
	drop_mount();
	read_whole("read-1MiB-backing");
	read_at_random("read-4KiB-random", 20000, 7);
	drop_mount();
	read_at_random("read-4KiB-random-backing", 20000, 11);
	if (drop_caches())
		read_at_random("read-4KiB-random-cold", 4000, 13);
}

static void read_mapped(void)
{
	double start = now();
	int fd = open_big(O_RDONLY);
	const char *map = mmap(NULL, size_mib * MIB, PROT_READ, MAP_SHARED, fd, 0);
	volatile unsigned sum = 0;

	if (map == MAP_FAILED)
		die("mmap");
	for (size_t i = 0; i < size_mib * MIB; i += 64)
		sum += (unsigned char)map[i];
	munmap((void *)(uintptr_t)map, size_mib * MIB);
	close(fd);
	report("mmap-read", (double)size_mib, now() - start, "MiB/s");
}

static void sync_small(void)
{
	const unsigned count = files < 200 ? files : 200;
	double start = now();
	int fd = open(path_of("synced"), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644);

	if (fd < 0)
		die("synced");
	for (unsigned i = 0; i < count; i++)
		if (pwrite(fd, block, PAGE, (off_t)i * PAGE) != PAGE || fdatasync(fd))
			die("fdatasync");
	close(fd);
	report("write-4KiB-fdatasync", count, now() - start, "/s");
}

static void create_synced(void)
{
	const unsigned count = files < 200 ? files : 200;
	double start = now();

	for (unsigned i = 0; i < count; i++) {
		int fd = open(file_of("s", i), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);

		if (fd < 0 || write(fd, block, PAGE) != PAGE || fsync(fd) || close(fd))
			die("create");
	}
	report("create-4KiB-fsync", count, now() - start, "/s");
	for (unsigned i = 0; i < count; i++)
		unlink(file_of("s", i));
}

static void create_files(void)
{
	double start = now();

	for (unsigned i = 0; i < files; i++) {
		int fd = open(file_of("a", i), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);

		memcpy(block, &i, sizeof i);
		if (fd < 0 || write(fd, block, PAGE) != PAGE || close(fd))
			die("create");
	}
	report("create-4KiB", files, now() - start, "/s");
}

static void read_files(void)
{
	double start = now();

	for (unsigned i = 0; i < files; i++) {
		int fd = open(file_of("a", i), O_RDONLY | O_CLOEXEC);

		if (fd < 0 || read(fd, block, PAGE) != PAGE)
			die("read");
		close(fd);
	}
	report("open-read-4KiB-close", files, now() - start, "/s");
}

static void stat_all(const char *name)
{
	double start = now();
	struct stat st;

	for (unsigned i = 0; i < files; i++)
		if (stat(file_of("a", i), &st))
			die("stat");
	report(name, files, now() - start, "/s");
}

static void rename_files(void)
{
	double start = now();
	char from[4096];

	for (unsigned i = 0; i < files; i++) {
		snprintf(from, sizeof from, "%s", file_of("a", i));
		if (rename(from, file_of("b", i)))
			die("rename");
	}
	report("rename", files, now() - start, "/s");
}

enum { JOBS = 4 };

/* Job J of JOBS; each does its part of what is named in the call. */
static void job_read(unsigned j)
{
	uint64_t state = 100 + j;
	int fd = open_big(O_RDONLY);

	for (unsigned i = 0; i < 50000; i++)
		if (pread(fd, block, PAGE,
			  (off_t)(draw(&state) % (size_mib * MIB / PAGE)) * PAGE) != PAGE)
			die("pread");
	close(fd);
}

static void job_create(unsigned j)
{
	for (unsigned i = j; i < files; i += JOBS) {
		int fd = open(file_of("j", i), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);

		memcpy(block, &i, sizeof i);
		if (fd < 0 || write(fd, block, PAGE) != PAGE || close(fd))
			die("create");
	}
}

static void job_open(unsigned j)
{
	for (unsigned i = j; i < files; i += JOBS) {
		int fd = open(file_of("j", i), O_RDONLY | O_CLOEXEC);

		if (fd < 0 || read(fd, block, PAGE) != PAGE || close(fd))
			die("read");
	}
}

static void job_unlink(unsigned j)
{
	for (unsigned i = j; i < files; i += JOBS)
		if (unlink(file_of("j", i)))
			die("unlink");
}

/* The rate of all jobs together. */
static void in_jobs(const char *name, void (*job)(unsigned j), double amount)
{
	double start = now();
	int status;

	fflush(stdout);
	for (unsigned j = 0; j < JOBS; j++) {
		pid_t pid = fork();

		if (pid < 0)
			die("fork");
		if (pid == 0) {
			job(j);
			_exit(0);
		}
	}
	for (unsigned j = 0; j < JOBS; j++)
		if (wait(&status) < 0 || status) {
			fprintf(stderr, "bench-files: a job of %s failed\n", name);
			exit(1);
		}
	report(name, amount, now() - start, "/s");
}

static void all_jobs(void)
{
	if (size_mib)
		in_jobs("read-4KiB-random-4-jobs", job_read, JOBS * 50000);
	in_jobs("create-4KiB-4-jobs", job_create, files);
	in_jobs("open-read-4KiB-close-4-jobs", job_open, files);
	in_jobs("unlink-4-jobs", job_unlink, files);
}

static void unlink_files(void)
{
	double start = now();

	for (unsigned i = 0; i < files; i++)
		if (unlink(file_of("b", i)))
			die("unlink");
	report("unlink", files, now() - start, "/s");
	unlink(path_of("big"));
	unlink(path_of("synced"));
}

static void big_files(void)
{
	write_big();
	sleep(rest_s);
	read_all();
	read_mapped();
	write_small();
	sleep(rest_s);
	write_random();
	write_mapped();
}

int main(int argc, char **argv)
{
	static const struct option longs[] = { { "size", 1, NULL, 's' },
					       { "files", 1, NULL, 'f' },
					       { "rest", 1, NULL, 'r' },
					       { "mount", 0, NULL, 'm' },
					       { 0 } };
	int key;

	while ((key = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (key == 's')
			size_mib = strtoul(optarg, NULL, 10);
		else if (key == 'f')
			files = (unsigned)strtoul(optarg, NULL, 10);
		else if (key == 'r')
			rest_s = (unsigned)strtoul(optarg, NULL, 10);
		else if (key == 'm')
			in_mount = true;
		else
			return 2;
	}
	block = malloc(MIB);
	if (argc - optind != 1 || !block || !files) {
		fprintf(stderr, "usage: bench-files DIR [--size MIB] [--files N] "
				"[--rest SECONDS] [--mount]\n");
		return 2;
	}
	dir = argv[optind];
	if (size_mib)
		big_files();
	sync_small();
	create_synced();
	create_files();
	stat_all("stat-first");
	stat_all("stat-warm");
	read_files();
	rename_files();
	all_jobs();
	unlink_files();
	free(block);
	return 0;
}
