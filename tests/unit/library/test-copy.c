/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Copies: what is shared, what is refused, and one failure among many. */
#include "config.h"

#include "file-unit.h"
#include "library/copy.h"
#include "library/internal.h"

#include <errno.h>
#include <string.h>

static int copy_to(struct lab *lab, int64_t ino, const char *name, unsigned flags, struct node *out)
{
	return copy_node(lab->lib, &lab_who,
			 &(struct copy){ .ino = ino,
					 .parent = TREE_ROOT,
					 .name = name,
					 .len = strlen(name),
					 .flags = flags },
			 out);
}

static int64_t make_in(struct lab *lab, int64_t parent, const char *name, mode_t mode)
{
	struct node made;

	ck_assert_int_eq(tree_make(lab->lib, &lab_who,
				   &(struct tree_new){ .parent = parent,
						       .name = name,
						       .len = strlen(name),
						       .mode = mode },
				   &made),
			 0);
	return made.ino;
}

static int journal_row(void *arg, const struct meta_row *row)
{
	*(int64_t *)arg = meta_row_int(row, 0);
	return 0;
}

/* The last row of the journal. */
static int64_t journal_top(struct lab *lab)
{
	int64_t top = 0;

	ck_assert_int_eq(meta_query(lab->lib->meta, META_WATCH_TOP, 0, NULL, journal_row, &top), 1);
	return top;
}

START_TEST(content_is_shared)
{
	static const char text[] = "what is copied";
	struct node was, copy;
	struct lab lab;
	char got[sizeof(text)];

	lab_make(&lab, NULL, LAB_EAGER);
	lab_open(&lab);
	int64_t ino = lab_put(&lab, "a", text, sizeof(text));

	lab_sync(&lab);
	was = lab_node(&lab, ino);
	ck_assert_int_eq(copy_to(&lab, ino, "b", 0, &copy), 0);
	ck_assert_int_ne(copy.ino, ino);
	ck_assert_int_eq(copy.object, was.object);
	ck_assert_uint_eq(copy.size, was.size);
	ck_assert_uint_eq(copy.alloc, was.alloc);
	ck_assert_int_eq(copy.mtime_ns, was.mtime_ns);
	ck_assert_int_ne(memcmp(copy.asset_id, was.asset_id, sizeof(was.asset_id)), 0);

	struct file *f = lab_open_file(&lab, copy.ino, O_RDONLY);

	ck_assert_int_eq(file_read(f, got, sizeof(got), 0), sizeof(got));
	ck_assert_str_eq(got, text);
	lab_close_file(f, O_RDONLY);

	/* The same once more changes nothing: not even a row is written. */
	int64_t top = journal_top(&lab);

	ck_assert_int_eq(copy_to(&lab, ino, "b", 0, &copy), 0);
	ck_assert_int_eq(journal_top(&lab), top);
	lab_remove(&lab);
}
END_TEST

START_TEST(what_is_refused)
{
	struct lab lab;

	lab_make(&lab, NULL, LAB_LAZY);
	lab_open(&lab);
	int64_t ino = lab_put(&lab, "a", "x", 1);
	int64_t folder = make_in(&lab, TREE_ROOT, "f", S_IFDIR | 0755);

	ck_assert_int_eq(copy_to(&lab, ino, "b", 0, NULL), -EBUSY);
	lab_sync(&lab);
	ck_assert_int_eq(copy_to(&lab, ino, "a", 0, NULL), -EINVAL);
	ck_assert_int_eq(copy_to(&lab, ino, "f", 0, NULL), -EEXIST);
	ck_assert_int_eq(copy_to(&lab, folder, "a", COPY_TREE, NULL), -EEXIST);
	ck_assert_int_eq(copy_to(&lab, folder, "g", 0, NULL), -EISDIR);
	ck_assert_int_eq(copy_to(&lab, ino, "..", 0, NULL), -EINVAL);
	ck_assert_int_eq(copy_to(&lab, ino + 1000, "b", 0, NULL), -ENOENT);
	ck_assert_int_eq(copy_node(lab.lib, &lab_who,
				   &(struct copy){ .ino = folder,
						   .parent = folder,
						   .name = "in",
						   .len = 2,
						   .flags = COPY_TREE },
				   NULL),
			 -EINVAL);

	/* An asset that is being written again gets no content from elsewhere. */
	int64_t other = lab_put(&lab, "o", "y", 1);

	ck_assert_int_eq(copy_to(&lab, ino, "o", 0, NULL), -EBUSY);
	ck_assert_int_eq(copy_to(&lab, ino, "o", COPY_NOREPLACE, NULL), -EEXIST);
	ck_assert_int_gt(other, 0);
	lab_remove(&lab);
}
END_TEST

struct failures {
	int64_t ino;
	int err, count;
};

static int note_failure(void *arg, int64_t ino, int err)
{
	struct failures *f = arg;

	f->ino = ino;
	f->err = err;
	f->count++;
	return 0;
}

/* One asset among many cannot be copied: it alone is left out, and links to what failed are made anew. */
START_TEST(one_failure_among_many)
{
	enum { MANY = 300 };
	struct failures failures = { 0 };
	struct node copy, n;
	struct lab lab;
	char name[16];

	lab_make(&lab, NULL, LAB_LAZY);
	lab_open(&lab);
	int64_t folder = make_in(&lab, TREE_ROOT, "f", S_IFDIR | 0755);
	int64_t deep = make_in(&lab, folder, "deep", S_IFDIR | 0755);
	int64_t linked = make_in(&lab, folder, "l0", S_IFREG | 0644);

	ck_assert_int_eq(tree_link(lab.lib, &lab_who, linked, deep, "l1", 2, &n), 0);
	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		make_in(&lab, folder, name, S_IFREG | 0644);
	}
	ck_assert_int_eq(tree_lookup(lab.lib, folder, "n5", 2, &n), 0);
	int64_t written = n.ino;
	struct file *f = lab_open_file(&lab, written, O_RDWR);

	ck_assert_int_eq(file_write(f, "x", 1, 0), 1);
	ck_assert_int_eq(copy_node(lab.lib, &lab_who,
				   &(struct copy){ .ino = folder,
						   .parent = TREE_ROOT,
						   .name = "g",
						   .len = 1,
						   .flags = COPY_TREE,
						   .failed = note_failure,
						   .arg = &failures },
				   &copy),
			 0);
	ck_assert_int_eq(failures.count, 1);
	ck_assert_int_eq(failures.ino, written);
	ck_assert_int_eq(failures.err, -EBUSY);
	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		ck_assert_int_eq(tree_lookup(lab.lib, copy.ino, name, strlen(name), &n),
				 i == 5 ? -ENOENT : 0);
	}
	int64_t first, deeper;

	ck_assert_int_eq(tree_lookup(lab.lib, copy.ino, "l0", 2, &n), 0);
	ck_assert_int_eq(n.nlink, 2);
	first = n.ino;
	ck_assert_int_eq(tree_lookup(lab.lib, copy.ino, "deep", 4, &n), 0);
	deeper = n.ino;
	ck_assert_int_eq(tree_lookup(lab.lib, deeper, "l1", 2, &n), 0);
	ck_assert_int_eq(n.ino, first);

	/* Without anyone to tell, it is the result. */
	ck_assert_int_eq(copy_to(&lab, folder, "h", COPY_TREE, NULL), -EBUSY);
	lab_close_file(f, O_RDWR);
	lab_remove(&lab);
}
END_TEST

/* Another user owns the copy, and takes no set-id bits along. */
START_TEST(owner)
{
	const struct actor other = { .uid = 1234, .gid = 55, .umask = 022 };
	struct node copy, set = { .mode = 06755, .uid = 7, .gid = 8 };
	struct lab lab;

	lab_make(&lab, NULL, LAB_EAGER);
	lab_open(&lab);
	int64_t ino = make_in(&lab, TREE_ROOT, "a", S_IFREG | 0644);

	ck_assert_int_eq(tree_set(lab.lib, &lab_who, ino, TREE_SET_UID | TREE_SET_GID, &set, NULL),
			 0);
	ck_assert_int_eq(tree_set(lab.lib, &lab_who, ino, TREE_SET_MODE, &set, NULL), 0);
	ck_assert_int_eq(copy_to(&lab, ino, "b", 0, &copy), 0);
	ck_assert_uint_eq(copy.uid, 7);
	ck_assert_uint_eq(copy.mode, 06755);
	ck_assert_int_eq(
		copy_node(lab.lib, &other,
			  &(struct copy){ .ino = ino, .parent = TREE_ROOT, .name = "c", .len = 1 },
			  &copy),
		0);
	ck_assert_uint_eq(copy.uid, 1234);
	ck_assert_uint_eq(copy.gid, 55);
	ck_assert_uint_eq(copy.mode, 0755);
	lab_remove(&lab);
}
END_TEST

UNIT_MAIN("copy", 60, content_is_shared, what_is_refused, one_failure_among_many, owner)
