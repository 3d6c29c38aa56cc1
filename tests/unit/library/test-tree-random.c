/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Random operations against a model in memory: each must give the result that the model gives, and
 * the tree must be the model's. The seed is printed on failure; GARNER_SEED repeats it.
 */
#include "config.h"

#include "tree-unit.h"

enum { FOLDERS = 12, NAMES = 7, NODES = 20000, ENTRIES = 4000, STEPS = 6000 };

struct model_node {
	int64_t ino;
	enum node_kind kind;
	int links; /* entries; for a folder 2 + subfolders */
};

struct model_entry {
	bool used;
	int parent, node; /* indices of nodes */
	char name[8];
};

struct model {
	struct tree_unit u;
	int nodes;
	struct model_node node[NODES];
	struct model_entry entry[ENTRIES];
	uint64_t state;
};

static unsigned pick(struct model *m, unsigned below)
{
	m->state = m->state * 6364136223846793005ull + 1442695040888963407ull;
	return (unsigned)(m->state >> 33) % below;
}

static struct model_entry *find(struct model *m, int parent, const char *name)
{
	for (int i = 0; i < ENTRIES; i++)
		if (m->entry[i].used && m->entry[i].parent == parent &&
		    !strcmp(m->entry[i].name, name))
			return &m->entry[i];
	return NULL;
}

static struct model_entry *add_entry(struct model *m, int parent, const char *name, int node)
{
	int i = 0;

	while (m->entry[i].used)
		i++;
	ck_assert_int_lt(i, ENTRIES);
	m->entry[i] = (struct model_entry){ .used = true, .parent = parent, .node = node };
	strcpy(m->entry[i].name, name);
	return &m->entry[i];
}

static bool is_empty(const struct model *m, int folder)
{
	for (int i = 0; i < ENTRIES; i++)
		if (m->entry[i].used && m->entry[i].parent == folder)
			return false;
	return true;
}

static int parent_of(const struct model *m, int folder)
{
	for (int i = 0; i < ENTRIES; i++)
		if (m->entry[i].used && m->entry[i].node == folder)
			return m->entry[i].parent;
	return 0;
}

static bool is_above(const struct model *m, int folder, int above)
{
	for (;; folder = parent_of(m, folder)) {
		if (folder == above)
			return true;
		if (!folder)
			return false;
	}
}

/* A folder that is in the tree; the root is node 0. */
static int pick_folder(struct model *m)
{
	int list[ENTRIES + 1] = { 0 }, count = 1;

	for (int i = 0; i < ENTRIES; i++)
		if (m->entry[i].used && m->node[m->entry[i].node].kind == NODE_FOLDER)
			list[count++] = m->entry[i].node;
	return list[pick(m, (unsigned)count)];
}

static void pick_name(struct model *m, char name[8])
{
	static const char *const names[NAMES] = {
		"a", "B", "b", "\xff\x01", "\xc3\xa9", "x.y", "7"
	};

	strcpy(name, names[pick(m, NAMES)]);
}

static int count_folders(const struct model *m)
{
	int count = 0;

	for (int i = 0; i < ENTRIES; i++)
		count += m->entry[i].used && m->node[m->entry[i].node].kind == NODE_FOLDER;
	return count;
}

static void step_make(struct model *m)
{
	static const mode_t modes[] = { S_IFDIR | 0755, S_IFREG | 0644, S_IFREG | 0600,
					S_IFLNK | 0777, S_IFIFO | 0600 };
	int parent = pick_folder(m), made = m->nodes;
	mode_t mode = modes[count_folders(m) < FOLDERS ? pick(m, 5) : 1 + pick(m, 4)];
	int64_t ino = 0;
	char name[8];
	int want;

	pick_name(m, name);
	want = find(m, parent, name) ? -EEXIST : 0;
	ck_assert_int_eq(tree_unit_try(&m->u, m->node[parent].ino, name, mode, &ino), want);
	if (want)
		return;
	ck_assert_int_lt(made, NODES);
	m->nodes++;
	m->node[made] = (struct model_node){ ino,
					     S_ISDIR(mode)   ? NODE_FOLDER
					     : S_ISREG(mode) ? NODE_ASSET
					     : S_ISLNK(mode) ? NODE_SYMLINK
							     : NODE_FIFO,
					     S_ISDIR(mode) ? 2 : 1 };
	m->node[parent].links += S_ISDIR(mode);
	add_entry(m, parent, name, made);
	/* Some have history, so that the trash and name tunnels play their part. */
	if (S_ISREG(mode) && pick(m, 3) == 0)
		tree_unit_seal(&m->u, ino, 10);
}

static void step_unlink(struct model *m)
{
	int parent = pick_folder(m), want = 0;
	struct model_entry *entry;
	char name[8];

	pick_name(m, name);
	entry = find(m, parent, name);
	if (!entry)
		want = -ENOENT;
	else if (m->node[entry->node].kind == NODE_FOLDER)
		want = -EISDIR;
	ck_assert_int_eq(tree_unit_unlink(&m->u, m->node[parent].ino, name), want);
	if (!want) {
		m->node[entry->node].links--;
		entry->used = false;
	}
}

static void step_rmdir(struct model *m)
{
	int parent = pick_folder(m), want = 0;
	struct model_entry *entry;
	char name[8];

	pick_name(m, name);
	entry = find(m, parent, name);
	if (!entry)
		want = -ENOENT;
	else if (m->node[entry->node].kind != NODE_FOLDER)
		want = -ENOTDIR;
	else if (!is_empty(m, entry->node))
		want = -ENOTEMPTY;
	ck_assert_int_eq(tree_unit_rmdir(&m->u, m->node[parent].ino, name), want);
	if (!want) {
		m->node[parent].links--;
		entry->used = false;
	}
}

static void step_link(struct model *m)
{
	int parent = pick_folder(m), from = pick_folder(m), want = 0;
	struct model_entry *source;
	char name[8];

	pick_name(m, name);
	source = find(m, from, name);
	if (!source)
		return;
	pick_name(m, name);
	if (m->node[source->node].kind == NODE_FOLDER)
		want = -EPERM;
	else if (find(m, parent, name))
		want = -EEXIST;
	ck_assert_int_eq(
		tree_unit_link(&m->u, m->node[source->node].ino, m->node[parent].ino, name), want);
	if (!want) {
		m->node[source->node].links++;
		add_entry(m, parent, name, source->node);
	}
}

static int rename_result(const struct model *m, const struct model_entry *source,
			 const struct model_entry *target, int to, unsigned flags)
{
	bool folder = source && m->node[source->node].kind == NODE_FOLDER;
	bool onto = target && m->node[target->node].kind == NODE_FOLDER;

	if (!source || (!target && flags == RENAME_EXCHANGE))
		return -ENOENT;
	if (target && flags == RENAME_NOREPLACE)
		return -EEXIST;
	if (target && source->node == target->node)
		return 0;
	if (target && !flags && folder != onto)
		return folder ? -ENOTDIR : -EISDIR;
	if (folder && is_above(m, to, source->node))
		return -EINVAL;
	if (flags == RENAME_EXCHANGE && onto && is_above(m, source->parent, target->node))
		return -EINVAL;
	return onto && !flags && !is_empty(m, target->node) ? -ENOTEMPTY : 0;
}

static void rename_apply(struct model *m, struct model_entry *source, struct model_entry *target,
			 int to, const char *name, unsigned flags)
{
	struct model_node *moved = &m->node[source->node],
			  *other = target ? &m->node[target->node] : NULL;
	int node = source->node;

	if (moved == other)
		return;
	if (flags == RENAME_EXCHANGE) {
		m->node[source->parent].links += (other->kind == NODE_FOLDER) -
						 (moved->kind == NODE_FOLDER);
		m->node[to].links += (moved->kind == NODE_FOLDER) - (other->kind == NODE_FOLDER);
		source->node = target->node;
		target->node = node;
		return;
	}
	if (target) {
		if (other->kind == NODE_FOLDER)
			m->node[to].links--;
		else
			other->links--;
		target->used = false;
	}
	m->node[source->parent].links -= moved->kind == NODE_FOLDER;
	m->node[to].links += moved->kind == NODE_FOLDER;
	source->used = false;
	add_entry(m, to, name, node);
}

static void step_rename(struct model *m)
{
	static const unsigned all_flags[] = { 0, 0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE };
	int from = pick_folder(m), to = pick_folder(m), want;
	unsigned flags = all_flags[pick(m, 5)];
	struct model_entry *source, *target;
	char name[8], new_name[8];

	pick_name(m, name);
	pick_name(m, new_name);
	source = find(m, from, name);
	target = find(m, to, new_name);
	want = rename_result(m, source, target, to, flags);
	ck_assert_int_eq(
		tree_unit_rename(&m->u, m->node[from].ino, name, m->node[to].ino, new_name, flags),
		want);
	if (!want)
		rename_apply(m, source, target, to, new_name, flags);
}

struct walk {
	struct model *m;
	int folder, count;
};

static int walk_entry(void *arg, const char *bytes, size_t len, int64_t cookie,
		      const struct node *node)
{
	struct walk *walk = arg;
	struct model_entry *entry;
	char name[8] = { 0 };

	(void)cookie;
	ck_assert_uint_lt(len, sizeof(name));
	memcpy(name, bytes, len);
	entry = find(walk->m, walk->folder, name);
	ck_assert_ptr_nonnull(entry);
	ck_assert_int_eq(node->ino, walk->m->node[entry->node].ino);
	ck_assert_int_eq(node->kind, walk->m->node[entry->node].kind);
	ck_assert_int_eq(node->nlink, walk->m->node[entry->node].links);
	walk->count++;
	return 0;
}

static void compare(struct model *m)
{
	int used = 0, seen = 0;

	for (int i = -1; i < ENTRIES; i++) {
		struct walk walk = { .m = m, .folder = i < 0 ? 0 : m->entry[i].node };

		if (i >= 0 && !m->entry[i].used)
			continue;
		used += i >= 0;
		if (i >= 0 && m->node[walk.folder].kind != NODE_FOLDER)
			continue;
		ck_assert_int_eq(
			tree_list(m->u.lib, m->node[walk.folder].ino, 0, walk_entry, &walk), 0);
		seen += walk.count;
	}
	ck_assert_int_eq(used, seen);
	ck_assert_int_eq(tree_unit_get(&m->u, TREE_ROOT).nlink, m->node[0].links);
}

static void run(struct model *m)
{
	static void (*const steps[])(struct model *) = { step_make,   step_make,  step_make,
							 step_unlink, step_rmdir, step_rename,
							 step_rename, step_link };

	for (int i = 1; i <= STEPS; i++) {
		steps[pick(m, sizeof(steps) / sizeof(steps[0]))](m);
		if (i % 500 == 0)
			compare(m);
		if (i % 1500 == 0) {
			tree_unit_sweep(&m->u);
			tree_unit_check(&m->u);
			library_close(m->u.lib);
			tree_unit_open(&m->u);
			compare(m);
		}
	}
}

START_TEST(like_the_model)
{
	struct model *m = calloc(1, sizeof(*m));
	const char *seed = getenv("GARNER_SEED");

	ck_assert_ptr_nonnull(m);
	m->state = seed ? strtoull(seed, NULL, 10) : (uint64_t)time_now_ns();
	fprintf(stderr, "GARNER_SEED=%llu\n", (unsigned long long)m->state);
	tree_unit_begin(&m->u, NULL);
	m->nodes = 1;
	m->node[0] = (struct model_node){ TREE_ROOT, NODE_FOLDER, 2 };
	run(m);
	tree_unit_end(&m->u);
	free(m);
}
END_TEST

UNIT_MAIN("tree random", 240, like_the_model)
