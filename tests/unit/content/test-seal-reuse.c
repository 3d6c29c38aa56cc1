/* SPDX-License-Identifier: GPL-3.0-or-later */
/* content/seal.h: imports that adopt or clone the source's file. The source must come to no harm whatever happens. */
#include "config.h"

#include "world.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { LEN = 200000 };

struct source {
	char path[128];
	int fd;
	uint8_t *data;
	struct stat st;
};

static void source_make(struct source *s, const struct world *w, uint8_t *data)
{
	snprintf(s->path, sizeof(s->path), "%s/source", w->dir);
	s->fd = open(s->path, O_RDWR | O_CREAT | O_EXCL, 0644);
	s->data = data;
	ck_assert_int_ge(s->fd, 0);
	ck_assert_int_eq(io_pwrite_full(s->fd, data, LEN, 0), 0);
	ck_assert_int_eq(fstat(s->fd, &s->st), 0);
}

static ssize_t source_read(void *arg, void *buf, size_t len, uint64_t off)
{
	return pread(((struct source *)arg)->fd, buf, len, (off_t)off);
}

/* That the file is as it was made, with so many names. */
static void source_is(const struct source *s, nlink_t names)
{
	uint8_t *got = malloc(LEN);
	struct stat st;

	ck_assert_int_eq(fstat(s->fd, &st), 0);
	ck_assert_uint_eq(st.st_nlink, names);
	ck_assert_int_eq(st.st_blocks, s->st.st_blocks);
	ck_assert_int_eq(st.st_size, LEN);
	ck_assert_uint_eq(st.st_mode, s->st.st_mode);
	ck_assert_int_eq(pread(s->fd, got, LEN, 0), LEN);
	ck_assert(!memcmp(got, s->data, LEN));
	free(got);
}

static void source_end(struct source *s)
{
	close(s->fd);
	free(s->data);
}

static struct seal *source_import(struct world *w, struct source *s, enum seal_reuse reuse)
{
	struct seal_source from = {
		.read = source_read, .arg = s, .size = LEN, .reuse = reuse, .fd = s->fd
	};
	struct seal *seal = NULL;

	ck_assert_int_eq(seal_import(w->content, &from, 1, NULL, NULL, &seal), 0);
	return seal;
}

/* Commits the seal as the content of a new asset. */
static void source_commit(struct world *w, struct asset *a, struct seal *seal)
{
	struct meta_op *op = meta_op_new();

	asset_make(w, a, NULL);
	ck_assert_int_eq(seal_add(seal, 0, op), 0);
	META_ADD(op, IMPORT_ATTACH, META_ONE, -EAGAIN, META_I(a->ino),
		 META_B(seal_root(seal, 0), 32), META_I(LEN), META_I(seal_stats(seal, 0)->data));
	ck_assert_int_eq(meta_apply(w->meta, op), 0);
	meta_op_free(op);
	seal_finish(seal, 0, NULL);
	asset_load(w, a);
	a->size = LEN;
}

START_TEST(an_adopted_file_is_the_blob)
{
	struct world w;
	struct source s;
	struct asset a;

	world_open(&w);
	source_make(&s, &w, stream_new(1, LEN));
	struct seal *seal = source_import(&w, &s, SEAL_ADOPT);

	source_commit(&w, &a, seal);
	ck_assert(seal_adopted(seal, 0));
	source_is(&s, 2);
	ck_assert_int_eq(unlink(s.path), 0);
	seal_free(seal);
	source_is(&s, 1);
	asset_is(&w, &a, s.data, LEN);
	ck_assert_uint_gt(world_check(&w), 0);
	world_restart(&w);
	world_collect(&w, 1, 0, 10);
	asset_is(&w, &a, s.data, LEN);
	source_end(&s);
	world_close(&w);
}
END_TEST

/* Half of it is held already: that range is given back, but not before the first name is gone. */
START_TEST(a_file_with_two_names_is_not_punched)
{
	struct world w;
	struct source s;
	struct asset half, a;
	uint8_t *data = stream_new(2, LEN);

	world_open(&w);
	asset_of(&w, &half, data, LEN / 2);
	source_make(&s, &w, data);
	struct seal *seal = source_import(&w, &s, SEAL_ADOPT);

	source_commit(&w, &a, seal);
	ck_assert_uint_lt(seal_stats(seal, 0)->new_bytes, LEN * 3 / 4);
	seal_free(seal);
	source_is(&s, 2);
	world_collect(&w, 1, 0, 10);
	source_is(&s, 2);
	asset_is(&w, &a, data, LEN);
	ck_assert_int_eq(unlink(s.path), 0);
	world_restart(&w);
	world_collect(&w, 1, 0, 10);
	asset_is(&w, &a, data, LEN);
	ck_assert_uint_lt(world_bytes(&w), LEN + LEN / 4);
	world_check(&w);
	source_end(&s);
	world_close(&w);
}
END_TEST

START_TEST(a_file_of_held_content_keeps_one_name)
{
	struct world w;
	struct source s;
	struct asset held, a;
	uint8_t *data = stream_new(3, LEN);

	world_open(&w);
	asset_of(&w, &held, data, LEN);
	source_make(&s, &w, data);
	struct seal *seal = source_import(&w, &s, SEAL_ADOPT);

	ck_assert(!seal_adopted(seal, 0));
	source_commit(&w, &a, seal);
	ck_assert_int_eq(a.object, held.object);
	seal_free(seal);
	source_is(&s, 1);
	source_end(&s);
	world_close(&w);
}
END_TEST

START_TEST(an_adoption_that_is_given_up_leaves_no_trace)
{
	struct world w;
	struct source s;

	world_open(&w);
	source_make(&s, &w, stream_new(4, LEN));
	struct seal *seal = source_import(&w, &s, SEAL_ADOPT);

	source_is(&s, 2);
	seal_free(seal);
	source_is(&s, 1);
	ck_assert_uint_eq(world_bytes(&w), 0);
	source_end(&s);
	world_close(&w);
}
END_TEST

/* The process dies with the file adopted and nothing committed: who comes next must not take the blob for a spare draft. */
START_TEST(a_crash_does_not_harm_the_source)
{
	struct world w;
	struct source s;
	char dir[64];
	int fd = unit_make_dir(dir), status;

	snprintf(w.dir, sizeof(w.dir), "%s", dir);
	source_make(&s, &w, stream_new(5, LEN));
	pid_t pid = fork();

	if (!pid) {
		struct meta_op *op = meta_op_new();

		world_open_in(&w, dir, &WORLD_SMALL, 512);
		source_import(&w, &s, SEAL_ADOPT);
		META_ADD(op, INSTANCE_END, META_ONE, 0, META_B(w.params.instance, 16), META_I(2));
		/* Dead at once: nothing is given back. */
		if (!meta_apply(w.meta, op))
			(void)kill(getpid(), SIGKILL);
		_exit(1);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	source_is(&s, 2);
	struct world again = { .params = { .chunker = WORLD_SMALL,
					   .algo = HASH_SHA256,
					   .bundle_limit = 512,
					   .bundle_size = 65536,
					   .adopt = true },
			       .dir_fd = fd };
	struct asset a;
	uint8_t *other = stream_new(6, LEN);

	snprintf(again.dir, sizeof(again.dir), "%s", dir);
	snprintf(again.db, sizeof(again.db), "%s/garner.db", dir);
	snprintf(again.store, sizeof(again.store), "%s/blobs", dir);
	world_enter(&again, 0);
	asset_of(&again, &a, other, LEN);
	source_is(&s, 2);
	world_collect(&again, 1, 0, 10);
	source_is(&s, 1);
	asset_is(&again, &a, other, LEN);
	free(other);
	source_end(&s);
	world_close(&again);
}
END_TEST

START_TEST(an_adoption_can_be_undone)
{
	struct world w;
	struct source s;
	struct asset a, again;

	world_open(&w);
	source_make(&s, &w, stream_new(7, LEN));
	struct seal *seal = source_import(&w, &s, SEAL_ADOPT);

	source_commit(&w, &a, seal);
	ck_assert_int_eq(seal_disown(seal, 0), 0);
	ck_assert(!seal_adopted(seal, 0));
	seal_free(seal);
	source_is(&s, 1);
	seal = source_import(&w, &s, SEAL_COPY);
	source_commit(&w, &again, seal);
	seal_free(seal);
	ck_assert_int_eq(again.object, a.object);
	ck_assert_int_eq(ftruncate(s.fd, 0), 0);
	asset_is(&w, &a, s.data, LEN);
	world_check(&w);
	source_end(&s);
	world_close(&w);
}
END_TEST

START_TEST(what_cannot_be_adopted_is_copied)
{
	struct world w;
	struct source s = { .data = stream_new(8, LEN) };
	struct asset a;

	world_open(&w);
	s.fd = memfd_create("source", MFD_CLOEXEC);
	ck_assert_int_ge(s.fd, 0);
	ck_assert_int_eq(io_pwrite_full(s.fd, s.data, LEN, 0), 0);
	struct seal *seal = source_import(&w, &s, SEAL_ADOPT);

	ck_assert(!seal_adopted(seal, 0));
	source_commit(&w, &a, seal);
	seal_free(seal);
	asset_is(&w, &a, s.data, LEN);
	source_end(&s);
	world_close(&w);
}
END_TEST

/* As a clone where the filesystem has reflinks, else as a copy: nobody can tell. */
START_TEST(a_clone_is_as_good_as_a_copy)
{
	struct world w;
	struct source s;
	struct asset half, a;
	uint8_t *data = stream_new(9, LEN);

	world_open(&w);
	asset_of(&w, &half, data, LEN / 2);
	source_make(&s, &w, data);
	struct seal *seal = source_import(&w, &s, SEAL_CLONE);

	source_commit(&w, &a, seal);
	seal_free(seal);
	source_is(&s, 1);
	ck_assert_int_eq(ftruncate(s.fd, 0), 0);
	asset_is(&w, &a, data, LEN);
	world_check(&w);
	source_end(&s);
	world_close(&w);
}
END_TEST

UNIT_MAIN("seal-reuse", 30, an_adopted_file_is_the_blob, a_file_with_two_names_is_not_punched,
	  a_file_of_held_content_keeps_one_name, an_adoption_that_is_given_up_leaves_no_trace,
	  a_crash_does_not_harm_the_source, an_adoption_can_be_undone,
	  what_cannot_be_adopted_is_copied, a_clone_is_as_good_as_a_copy)
