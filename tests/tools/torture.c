/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A random tester for a filesystem, in the manner of fsx (A. Tevanian, 1991) but with many files, names and links at once: does random things in a
 * folder and to a model in memory, and compares. Everything follows from the seed, so a failure is repeated by the line printed with it.
 *
 *	torture DIR --seed N --ops N [--files N] [--size BYTES] [--remount COMMAND --every N]
 *
 * COMMAND (run by sh) unmounts and mounts again; all is compared after it. Exit 0: all the same; 1: a difference; 2: it could not run.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "torture-model.h"

struct torture {
	const char *dir;
	const char *remount;
	uint64_t seed, ops, every;
	unsigned files;
	size_t size;
	uint64_t state; /* of the random numbers */
	uint64_t done;
	struct model model;
	char *buf, *other;
	const char *doing;
};

/* splitmix64 (S. Vigna, public domain algorithm) */
static uint64_t draw(struct torture *t)
{
	uint64_t z = (t->state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static size_t below(struct torture *t, size_t n)
{
	return n ? (size_t)(draw(t) % n) : 0;
}

static void die(const struct torture *t, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4), noreturn));

static void die(const struct torture *t, int code, const char *format, ...)
{
	va_list args;

	fprintf(stderr, "torture: operation %llu (%s): ", (unsigned long long)t->done,
		t->doing ? t->doing : "start");
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "\nrepeat with: torture %s --seed %llu --ops %llu --files %u --size %zu\n",
		t->dir, (unsigned long long)t->seed, (unsigned long long)t->ops, t->files, t->size);
	exit(code);
}

static void path_of(const struct torture *t, unsigned name, char out[512])
{
	snprintf(out, 512, "%s/%s", t->dir, model_name(name));
}

static int open_name(struct torture *t, unsigned name, int flags)
{
	char path[512];
	int fd;

	path_of(t, name, path);
	fd = open(path, flags | O_CLOEXEC, 0644);
	if (fd < 0)
		die(t, 1, "open %s: %s", path, strerror(errno));
	return fd;
}

static void compare(struct torture *t, const char *got, size_t off, size_t len,
		    const struct model_file *f)
{
	for (size_t i = 0; i < len; i++)
		if (got[i] != f->bytes[off + i])
			die(t, 1, "byte %zu of %zu is %02x, wanted %02x", off + i, f->size,
			    (unsigned char)got[i], (unsigned char)f->bytes[off + i]);
}

static void check_size(struct torture *t, int fd, const struct model_file *f)
{
	struct stat st;

	if (fstat(fd, &st))
		die(t, 1, "fstat: %s", strerror(errno));
	if ((size_t)st.st_size != f->size)
		die(t, 1, "size is %lld, wanted %zu", (long long)st.st_size, f->size);
	if ((unsigned)st.st_nlink != f->links)
		die(t, 1, "link count is %u, wanted %u", (unsigned)st.st_nlink, f->links);
}

static void do_read(struct torture *t, unsigned name, struct model_file *f)
{
	size_t off = below(t, f->size + 1), len = below(t, f->size - off + 100) + 1,
	       want = off + len > f->size ? f->size - off : len;
	int fd = open_name(t, name, O_RDONLY);
	ssize_t got = pread(fd, t->buf, len, (off_t)off);

	if (got < 0 || (size_t)got != want)
		die(t, 1, "read of %zu at %zu gave %zd, wanted %zu", len, off, got, want);
	compare(t, t->buf, off, want, f);
	check_size(t, fd, f);
	close(fd);
}

static void fill(struct torture *t, char *buf, size_t len)
{
	uint64_t pattern = draw(t);
	bool repeat = below(t, 4) == 0;

	for (size_t i = 0; i < len; i++) {
		if (i % 8 == 0 && !repeat)
			pattern = pattern * UINT64_C(6364136223846793005) + 1442695040888963407u;
		buf[i] = (char)(pattern >> (8 * (i % 8)));
	}
}

static void pick_range(struct torture *t, size_t limit, size_t *off, size_t *len)
{
	*off = below(t, limit);
	*len = 1 + below(t, limit - *off);
	if (below(t, 3) == 0) { /* edges of pages are where it breaks */
		*off &= ~(size_t)4095;
		*len = (*len + 4095) & ~(size_t)4095;
		if (*off + *len > limit)
			*len = limit - *off;
	}
}

static void do_write(struct torture *t, unsigned name, struct model_file *f)
{
	int flags = O_RDWR;
	size_t off, len;
	int fd;

	pick_range(t, t->size, &off, &len);
	fill(t, t->buf, len);
	if (below(t, 8) == 0)
		flags |= O_SYNC;
	if (below(t, 8) == 0) {
		flags |= O_APPEND;
		off = f->size;
		if (off + len > t->size)
			len = t->size - off;
		if (!len)
			return;
	}
	fd = open_name(t, name, flags);
	if (pwrite(fd, t->buf, len, (off_t)off) != (ssize_t)len)
		die(t, 1, "write of %zu at %zu: %s", len, off, strerror(errno));
	model_write(f, t->buf, off, len);
	if (below(t, 10) == 0 && fsync(fd))
		die(t, 1, "fsync: %s", strerror(errno));
	check_size(t, fd, f);
	close(fd);
}

static void do_truncate(struct torture *t, unsigned name, struct model_file *f)
{
	size_t size = below(t, 5) == 0 ? 0 : below(t, t->size);
	char path[512];

	path_of(t, name, path);
	if (truncate(path, (off_t)size))
		die(t, 1, "truncate to %zu: %s", size, strerror(errno));
	model_truncate(f, size);
}

static void do_allocate(struct torture *t, unsigned name, struct model_file *f)
{
	static const int modes[] = { 0, FALLOC_FL_KEEP_SIZE,
				     FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				     FALLOC_FL_ZERO_RANGE,
				     FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE };
	int mode = modes[below(t, sizeof modes / sizeof *modes)];
	size_t off, len;
	int fd = open_name(t, name, O_RDWR);

	pick_range(t, t->size, &off, &len);
	if (!fallocate(fd, mode, (off_t)off, (off_t)len))
		model_allocate(f, mode, off, len);
	else if (errno != EOPNOTSUPP)
		die(t, 1, "fallocate mode %d of %zu at %zu: %s", mode, len, off, strerror(errno));
	check_size(t, fd, f);
	close(fd);
}

static void do_map(struct torture *t, unsigned name, struct model_file *f)
{
	size_t off, len;
	int fd = open_name(t, name, O_RDWR);
	char *map;

	if (!f->size) {
		close(fd);
		return;
	}
	map = mmap(NULL, f->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd); /* the mapping keeps the file */
	if (map == MAP_FAILED)
		die(t, 1, "mmap: %s", strerror(errno));
	compare(t, map, 0, f->size, f);
	pick_range(t, f->size, &off, &len);
	fill(t, map + off, len);
	model_write(f, map + off, off, len);
	if (below(t, 4) == 0 && msync(map, f->size, MS_SYNC))
		die(t, 1, "msync: %s", strerror(errno));
	munmap(map, f->size);
}

static void do_copy(struct torture *t, unsigned name, struct model_file *f)
{
	unsigned other = model_any(&t->model, below(t, t->files));
	struct model_file *to = model_at(&t->model, other);
	size_t from, len, at;
	off_t in, out;
	int source, target;

	if (!to || to == f || !f->size)
		return;
	pick_range(t, f->size, &from, &len);
	at = below(t, t->size - len + 1);
	source = open_name(t, name, O_RDONLY);
	target = open_name(t, other, O_WRONLY);
	for (in = (off_t)from, out = (off_t)at; in < (off_t)(from + len);) {
		ssize_t n = copy_file_range(source, &in, target, &out, from + len - (size_t)in, 0);

		if (n <= 0)
			die(t, 1, "copy_file_range of %zu: %s", len,
			    n ? strerror(errno) : "nothing copied");
	}
	model_write(to, f->bytes + from, at, len);
	check_size(t, target, to);
	close(source);
	close(target);
}

/* Data must be where the model has bytes that are not zero. */
static void do_seek(struct torture *t, unsigned name, struct model_file *f)
{
	int fd = open_name(t, name, O_RDONLY);
	off_t data = 0, hole;

	while (data < (off_t)f->size) {
		off_t from = data;

		data = lseek(fd, from, SEEK_DATA);
		if (data < 0 && errno != ENXIO)
			die(t, 1, "SEEK_DATA at %lld: %s", (long long)from, strerror(errno));
		for (off_t i = from; i < (data < 0 ? (off_t)f->size : data); i++)
			if (f->bytes[i])
				die(t, 1, "SEEK_DATA at %lld passed over data at %lld",
				    (long long)from, (long long)i);
		if (data < 0)
			break;
		hole = lseek(fd, data, SEEK_HOLE);
		if (hole <= data || hole > (off_t)f->size)
			die(t, 1, "SEEK_HOLE at %lld gave %lld of %zu", (long long)data,
			    (long long)hole, f->size);
		data = hole;
	}
	close(fd);
}

static void do_rename(struct torture *t, unsigned name)
{
	unsigned to = (unsigned)below(t, t->files);
	char from[512], into[512];

	path_of(t, name, from);
	path_of(t, to, into);
	if (rename(from, into))
		die(t, 1, "rename to %s: %s", into, strerror(errno));
	model_rename(&t->model, name, to);
}

static void do_link(struct torture *t, unsigned name)
{
	unsigned to = (unsigned)below(t, t->files);
	char from[512], into[512];
	int err;

	path_of(t, name, from);
	path_of(t, to, into);
	err = link(from, into) ? errno : 0;
	if (err != (model_at(&t->model, to) ? EEXIST : 0))
		die(t, 1, "link to %s: %s", into, strerror(err));
	if (!err)
		model_link(&t->model, name, to);
}

static void do_unlink(struct torture *t, unsigned name)
{
	char path[512];

	path_of(t, name, path);
	if (unlink(path))
		die(t, 1, "unlink: %s", strerror(errno));
	model_unlink(&t->model, name);
}

/* Reads from a file whose name is gone. */
static void do_unlink_open(struct torture *t, unsigned name, struct model_file *f)
{
	int fd = open_name(t, name, O_RDWR);
	size_t size = f->size;

	memcpy(t->other, f->bytes, size);
	do_unlink(t, name);
	if (pread(fd, t->buf, t->size, 0) != (ssize_t)size || memcmp(t->buf, t->other, size) != 0)
		die(t, 1, "an unlinked open file of %zu bytes does not read back", size);
	close(fd);
}

static void do_create(struct torture *t)
{
	unsigned name = (unsigned)below(t, t->files);
	struct model_file *old = model_at(&t->model, name);
	int fd = open_name(t, name, O_CREAT | O_RDWR | O_TRUNC);

	if (old)
		model_truncate(old, 0);
	else if (!model_create(&t->model, name, t->size))
		die(t, 2, "out of memory");
	close(fd);
	do_write(t, name, model_at(&t->model, name));
}

static void verify_all(struct torture *t)
{
	char path[512];
	struct stat st;

	t->doing = "comparing all";
	for (unsigned name = 0; name < t->files; name++) {
		struct model_file *f = model_at(&t->model, name);
		int fd;

		path_of(t, name, path);
		if (!f) {
			if (!lstat(path, &st) || errno != ENOENT)
				die(t, 1, "%s is there and should not be", path);
			continue;
		}
		fd = open_name(t, name, O_RDONLY);
		check_size(t, fd, f);
		if (pread(fd, t->buf, t->size + 1, 0) != (ssize_t)f->size)
			die(t, 1, "%s: short read", path);
		compare(t, t->buf, 0, f->size, f);
		close(fd);
	}
}

static void step(struct torture *t)
{
	unsigned name = model_any(&t->model, below(t, t->files));
	struct model_file *f = model_at(&t->model, name);
	size_t kind = below(t, 100);

#define DO(text, call) (t->doing = (text), (call))
	if (!f || kind < 8)
		DO("create", do_create(t));
	else if (kind < 28)
		DO("read", do_read(t, name, f));
	else if (kind < 53)
		DO("write", do_write(t, name, f));
	else if (kind < 60)
		DO("truncate", do_truncate(t, name, f));
	else if (kind < 68)
		DO("fallocate", do_allocate(t, name, f));
	else if (kind < 76)
		DO("mmap", do_map(t, name, f));
	else if (kind < 82)
		DO("copy_file_range", do_copy(t, name, f));
	else if (kind < 86)
		DO("seek", do_seek(t, name, f));
	else if (kind < 92)
		DO("rename", do_rename(t, name));
	else if (kind < 95)
		DO("link", do_link(t, name));
	else if (kind < 98)
		DO("unlink", do_unlink(t, name));
	else
		DO("unlink while open", do_unlink_open(t, name, f));
#undef DO
}

static void run(struct torture *t)
{
	for (t->done = 0; t->done < t->ops; t->done++) {
		step(t);
		if (t->every && t->done % t->every == t->every - 1) {
			t->doing = "remount";
			if (t->remount && system(t->remount))
				die(t, 2, "'%s' failed", t->remount);
			verify_all(t);
		}
	}
	verify_all(t);
}

static int usage(void)
{
	fprintf(stderr, "usage: torture DIR --seed N --ops N [--files N] [--size BYTES] [--remount "
			"COMMAND --every N]\n");
	return 2;
}

int main(int argc, char **argv)
{
	static const struct option longs[] = { { "seed", 1, NULL, 's' },
					       { "ops", 1, NULL, 'o' },
					       { "files", 1, NULL, 'f' },
					       { "size", 1, NULL, 'z' },
					       { "remount", 1, NULL, 'r' },
					       { "every", 1, NULL, 'e' },
					       { 0 } };
	struct torture t = { .seed = 1, .ops = 1000, .files = 12, .size = 300000 };
	int key;

	while ((key = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		uint64_t n = optarg ? strtoull(optarg, NULL, 0) : 0;

		switch (key) {
		case 's':
			t.seed = n;
			break;
		case 'o':
			t.ops = n;
			break;
		case 'f':
			t.files = (unsigned)n;
			break;
		case 'z':
			t.size = n;
			break;
		case 'r':
			t.remount = optarg;
			break;
		case 'e':
			t.every = n;
			break;
		default:
			return usage();
		}
	}
	if (argc - optind != 1 || !t.files || t.files > MODEL_NAMES || !t.size)
		return usage();
	t.dir = argv[optind];
	t.state = t.seed;
	t.buf = malloc(t.size + 8192);
	t.other = malloc(t.size + 8192);
	if (!t.buf || !t.other)
		return 2;
	run(&t);
	printf("torture: %llu operations, seed %llu: all the same\n", (unsigned long long)t.ops,
	       (unsigned long long)t.seed);
	model_free(&t.model);
	free(t.buf);
	free(t.other);
	return 0;
}
