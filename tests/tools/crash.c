/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The writer and the judge of crash tests. The writer makes, extends, edits, renames and removes files until the filesystem under it dies, and notes in a log
 * elsewhere what it is about to do and what was acknowledged as durable. The judge reads the log and looks at every file afterwards.
 *
 *	crash write DIR LOG SEED	exit 0 when an I/O error ended it (the filesystem died), 2 on anything else
 *	crash verify DIR LOG		exit 0: every acknowledged byte and name is there, 1: not
 *
 * Every 4 KiB block says which file, block and generation it is; a block must be of a generation from the last acknowledged to the last begun. A log
 * line is one write(2): "b FILE BLOCK GENERATION" begun, "a FILE BLOCK GENERATION" acknowledged by fsync, "r FILE" removal begun, "n FILE" renamed to its final
 * name and the folder synced.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK 4096
#define FILES 64
#define BLOCKS 600 /* of one file: 2.4 MiB */

struct file_state {
	uint32_t begun[BLOCKS], acked[BLOCKS];
	bool exists, removed, renamed;
};

static struct file_state states[FILES];
static uint64_t random_state;

static uint64_t draw(void)
{
	uint64_t z = (random_state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static void make_block(unsigned file, unsigned block, uint32_t generation, unsigned char out[BLOCK])
{
	uint64_t x = ((uint64_t)file << 48) ^ ((uint64_t)block << 32) ^ generation;
	uint32_t head[4] = { 0x6761726e, file, block, generation };

	for (size_t i = 0; i < BLOCK; i += 8) {
		x = x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		memcpy(out + i, &x, 8);
	}
	memcpy(out, head, sizeof head);
}

static void path_of(const char *dir, unsigned file, bool renamed, char out[512])
{
	snprintf(out, 512, "%s/%s%u", dir, renamed ? "file-" : "new-", file);
}

/* The filesystem died under us: that is what the test is about. */
static bool died(int err)
{
	return err == ENOTCONN || err == EIO || err == ECONNABORTED || err == ENODEV ||
	       err == ECANCELED;
}

static void note(int log, char what, unsigned file, unsigned block, uint32_t generation)
{
	char line[64];
	int len = snprintf(line, sizeof line, "%c %u %u %u\n", what, file, block, generation);

	if (write(log, line, (size_t)len) != len) {
		perror("crash: log");
		exit(2);
	}
}

static void stop_on(const char *what)
{
	if (died(errno))
		exit(0);
	fprintf(stderr, "crash: %s: %s\n", what, strerror(errno));
	exit(2);
}

/* Writes a run of blocks with their next generation, fsyncs, acknowledges. */
static void write_run(int fd, int log, unsigned file, unsigned first, unsigned count)
{
	struct file_state *s = &states[file];
	unsigned char block[BLOCK];

	for (unsigned b = first; b < first + count; b++) {
		s->begun[b] = s->begun[b] > s->acked[b] ? s->begun[b] + 1 : s->acked[b] + 1;
		note(log, 'b', file, b, s->begun[b]);
		make_block(file, b, s->begun[b], block);
		if (pwrite(fd, block, BLOCK, (off_t)b * BLOCK) != BLOCK)
			stop_on("write");
	}
	if (draw() % 4 == 0)
		return; /* left to the close */
	if (fsync(fd))
		stop_on("fsync");
	for (unsigned b = first; b < first + count; b++) {
		s->acked[b] = s->begun[b];
		note(log, 'a', file, b, s->acked[b]);
	}
}

static void write_file(const char *dir, int log, unsigned file)
{
	struct file_state *s = &states[file];
	unsigned first, count, runs = 1 + draw() % 4;
	char path[512];
	int fd;

	path_of(dir, file, s->renamed, path);
	fd = open(path, O_RDWR | O_CREAT, 0644);
	if (fd < 0)
		stop_on("open");
	s->exists = true;
	while (runs--) {
		count = 1 + draw() % (draw() % 8 ? 8 : 200);
		first = draw() % (BLOCKS - count);
		write_run(fd, log, file, first, count);
	}
	if (close(fd))
		stop_on("close");
}

static void rename_file(const char *dir, int log, unsigned file)
{
	char from[512], to[512];
	int fd;

	path_of(dir, file, false, from);
	path_of(dir, file, true, to);
	if (rename(from, to))
		stop_on("rename");
	states[file].renamed = true;
	fd = open(dir, O_RDONLY | O_DIRECTORY);
	if (fd < 0 || fsync(fd))
		stop_on("fsync of the folder");
	close(fd);
	note(log, 'n', file, 0, 0);
}

static int run_writer(const char *dir, const char *log_path, uint64_t seed)
{
	int log = open(log_path, O_WRONLY | O_CREAT | O_APPEND, 0644);

	if (log < 0) {
		perror(log_path);
		return 2;
	}
	random_state = seed;
	for (unsigned removed = 0; removed < FILES;) {
		unsigned file = draw() % FILES;
		struct file_state *s = &states[file];

		if (s->removed)
			continue;
		if (s->exists && !s->renamed && draw() % 2) {
			rename_file(dir, log, file);
		} else if (s->renamed && draw() % 200 == 0) {
			char path[512];

			note(log, 'r', file, 0, 0);
			path_of(dir, file, true, path);
			if (unlink(path))
				stop_on("unlink");
			s->removed = true;
			removed++;
		} else {
			write_file(dir, log, file);
		}
	}
	fprintf(stderr,
		"crash: every file is written and removed, and the filesystem did not die\n");
	return 2;
}

static int read_log(const char *path)
{
	FILE *f = fopen(path, "r");
	unsigned file, block, generation;
	char what;

	if (!f) {
		perror(path);
		return -1;
	}
	while (fscanf(f, " %c %u %u %u", &what, &file, &block, &generation) == 4) {
		struct file_state *s;

		if (file >= FILES || block >= BLOCKS)
			break;
		s = &states[file];
		if (what == 'b')
			s->begun[block] = generation;
		else if (what == 'a')
			s->acked[block] = generation, s->exists = true;
		else if (what == 'r')
			s->removed = true;
		else if (what == 'n')
			s->renamed = true;
	}
	fclose(f);
	return 0;
}

static bool all_zero(const unsigned char *p)
{
	for (size_t i = 0; i < BLOCK; i++)
		if (p[i])
			return false;
	return true;
}

static int judge_block(unsigned file, unsigned block, const unsigned char *got)
{
	const struct file_state *s = &states[file];
	unsigned char want[BLOCK];
	uint32_t head[4];

	if (all_zero(got)) {
		if (!s->acked[block])
			return 0;
		fprintf(stderr, "crash: file %u block %u: zeros, generation %u was acknowledged\n",
			file, block, s->acked[block]);
		return 1;
	}
	memcpy(head, got, sizeof head);
	make_block(file, block, head[3], want);
	if (memcmp(got, want, BLOCK) != 0) {
		fprintf(stderr, "crash: file %u block %u: torn or foreign bytes\n", file, block);
		return 1;
	}
	if (head[3] >= s->acked[block] && head[3] <= s->begun[block])
		return 0;
	fprintf(stderr, "crash: file %u block %u: generation %u, acknowledged %u, begun %u\n", file,
		block, head[3], s->acked[block], s->begun[block]);
	return 1;
}

static int judge_file(const char *dir, unsigned file)
{
	const struct file_state *s = &states[file];
	unsigned char block[BLOCK];
	char path[512];
	int fd, bad = 0;

	if (s->removed || !s->exists)
		return 0;
	path_of(dir, file, true, path);
	fd = open(path, O_RDONLY);
	if (fd < 0 && !s->renamed) {
		path_of(dir, file, false, path);
		fd = open(path, O_RDONLY);
	}
	if (fd < 0) {
		fprintf(stderr, "crash: %s is gone: %s\n", path, strerror(errno));
		return 1;
	}
	for (unsigned b = 0; b < BLOCKS; b++) {
		ssize_t n = pread(fd, block, BLOCK, (off_t)b * BLOCK);

		if (n < 0) {
			fprintf(stderr, "crash: %s: %s\n", path, strerror(errno));
			bad++;
			break;
		}
		memset(block + n, 0, (size_t)(BLOCK - n));
		bad += judge_block(file, b, block);
	}
	close(fd);
	return bad;
}

int main(int argc, char **argv)
{
	int bad = 0, acked = 0;

	if (argc == 5 && strcmp(argv[1], "write") == 0)
		return run_writer(argv[2], argv[3], strtoull(argv[4], NULL, 0));
	if (argc != 4 || strcmp(argv[1], "verify") != 0) {
		fprintf(stderr, "usage: crash write DIR LOG SEED | crash verify DIR LOG\n");
		return 2;
	}
	if (read_log(argv[3]))
		return 2;
	for (unsigned file = 0; file < FILES; file++) {
		bad += judge_file(argv[2], file);
		for (unsigned b = 0; b < BLOCKS; b++)
			acked += states[file].acked[b] != 0;
	}
	printf("crash: %d blocks were acknowledged, %d faults\n", acked, bad);
	return bad ? 1 : 0;
}
