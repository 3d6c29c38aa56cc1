/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Helpers of the metadata's tests. */
#include "config.h"

#include "meta-test.h"

#include <errno.h>
#include <sys/wait.h>

static void meta_test_locate_file(const char *folder, char path[128])
{
	snprintf(path, 128, "%s/garner.db", folder);
}

const struct meta_test_driver meta_test_drivers[] = {
	{ .name = "sqlite", .ops = &meta_sqlite_ops, .locate = meta_test_locate_file },
};
const int meta_test_driver_count = sizeof(meta_test_drivers) / sizeof(meta_test_drivers[0]);

void meta_test_begin(struct meta_test_place *p, const struct meta_test_driver *d)
{
	p->folder_fd = unit_make_dir(p->folder);
	d->locate(p->folder, p->path);
}

void meta_test_end(struct meta_test_place *p)
{
	unit_remove_dir(p->folder, p->folder_fd);
}

struct meta *meta_test_open(const struct meta_test_place *p, const struct meta_test_driver *d,
			    int flags)
{
	struct meta *m = NULL;

	ck_assert_int_eq(meta_open_with(d->ops, p->path, flags, &meta_catalogue_schema, &m), 0);
	return m;
}

void meta_test_add(struct meta_op *op, int64_t number, const char *name, const char *value)
{
	META_ADD(op, XATTR_INSERT, META_ONE, -EEXIST, META_I(number), META_B(name, strlen(name)),
		 META_B(value, strlen(value)));
}

int meta_test_put(struct meta *m, int64_t number, const char *name, const char *value)
{
	struct meta_op *op = meta_op_new();

	if (!op)
		return -ENOMEM;
	meta_test_add(op, number, name, value);
	int err = meta_apply(m, op);

	meta_op_free(op);
	return err;
}

int meta_test_count(struct meta *m, int64_t number)
{
	return META_QUERY(m, XATTR_LIST, meta_test_any_row, NULL, META_I(number));
}

void meta_test_add_folder(struct meta_op *op, int64_t ino)
{
	unsigned char id[16] = { 0 };

	memcpy(id, &ino, sizeof(ino));
	META_ADD(op, NODE_INSERT, META_ONE, 0, META_I(ino), META_B(id, sizeof(id)), META_I(1),
		 META_I(1), META_I(0755), META_I(0), META_I(0), META_I(0), META_I(0), META_I(0),
		 META_I(0), META_I(0), META_I(0), META_I(0), META_I(2), META_N(), META_I(1),
		 META_N());
}

enum { NODE_GET_LINKS = 14 };

static int meta_test_links_row(void *arg, const struct meta_row *row)
{
	*(int64_t *)arg = meta_row_int(row, NODE_GET_LINKS);
	return 0;
}

int64_t meta_test_links(struct meta *m, int64_t ino)
{
	int64_t links = -1;

	ck_assert_int_ge(META_QUERY(m, NODE_GET, meta_test_links_row, &links, META_I(ino)), 0);
	return links;
}

int meta_test_number_row(void *arg, const struct meta_row *row)
{
	*(int64_t *)arg = meta_row_int(row, 0);
	return 0;
}

int meta_test_any_row(void *arg, const struct meta_row *row)
{
	(void)arg;
	(void)row;
	return 0;
}

void meta_test_report(void *arg, const char *line)
{
	if (line[0] != '\0')
		++*(int *)arg;
}

void meta_test_threads(int count, void *(*work)(void *arg), void *args, size_t size)
{
	pthread_t ids[16];

	ck_assert_int_le(count, 16);
	for (int i = 0; i < count; i++)
		ck_assert_int_eq(
			pthread_create(&ids[i], NULL, work, (char *)args + (size_t)i * size), 0);
	for (int i = 0; i < count; i++)
		ck_assert_int_eq(pthread_join(ids[i], NULL), 0);
}

pid_t meta_test_fork(int (*work)(void *arg), void *arg)
{
	fflush(NULL);
	pid_t child = fork();

	ck_assert_int_ge(child, 0);
	if (child == 0)
		_exit(work(arg));
	return child;
}

int meta_test_wait(pid_t child)
{
	int status;

	ck_assert_int_eq(waitpid(child, &status, 0), child);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
