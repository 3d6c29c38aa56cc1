/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What must always hold of nodes and entries. */
#include "config.h"

#include "library/tree-internal.h"

#include <errno.h>
#include <stdio.h>

enum { TREE_FAULT_TEXT = 200 };

/*
 * Each statement gives the rows that break one rule; the columns stand between the parts of the
 * text.
 */
static const struct tree_rule {
	enum meta_stmt stmt;
	const char *text[4];
} tree_rules[] = {
	{ META_CHECK_ENTRY_NODE,
	  { "entry ", " in folder ", " points at node ", ", which does not exist" } },
	{ META_CHECK_ENTRY_PARENT,
	  { "entry ", " lies in ", ", which is no folder, and points at node ", "" } },
	{ META_CHECK_ENTRY_NAME, { "entry ", " in folder ", " has a name of ", " bytes" } },
	{ META_CHECK_LINKS, { "node ", " has link count ", " and ", " entries" } },
	{ META_CHECK_FOLDER_LINKS, { "folder ", " has link count ", " where ", " is right" } },
	{ META_CHECK_FOLDER_NAMES, { "folder ", " has ", " entries that name it in state ", "" } },
	{ META_CHECK_REACHED,
	  { "folder ", " (kind ", ", link count ", ") cannot be reached from the root" } },
	{ META_CHECK_NAMELESS,
	  { "node ", " in state ", " with link count ",
	    " is neither in the trash nor an orphan" } },
	{ META_CHECK_TRASH,
	  { "the trash has node ", ", whose state is ", " (4 is right); as an orphan: ", "" } },
	{ META_CHECK_ORPHAN,
	  { "node ", " is called an orphan, but its state is ", " and its link count ", "" } },
	{ META_CHECK_XATTR,
	  { "node ", " has extended attributes and does not exist (", ", ", ")" } },
	{ META_CHECK_VERSION,
	  { "node ", " has object ", " at version ", ", and no version records it" } },
};

struct tree_checking {
	void (*report)(void *arg, const char *line);
	void *arg;
	const struct tree_rule *rule;
};

static int tree_fault_read(void *arg, const struct meta_row *row)
{
	const struct tree_checking *check = arg;
	const char *const *text = check->rule->text;
	char line[TREE_FAULT_TEXT];

	snprintf(line, sizeof(line), "%s%lld%s%lld%s%lld%s", text[0],
		 (long long)meta_row_int(row, 0), text[1], (long long)meta_row_int(row, 1), text[2],
		 (long long)meta_row_int(row, 2), text[3]);
	check->report(check->arg, line);
	return 0;
}

int tree_check(struct library *lib, void (*report)(void *arg, const char *line), void *arg)
{
	struct tree_checking check = { .report = report, .arg = arg };
	struct node root;
	int faults = 0, err = tree_row(lib, TREE_ROOT, &root);

	if (err && err != -ENOENT)
		return err;
	if (err || root.kind != NODE_FOLDER || root.state == NODE_DELETED) {
		report(arg, "the root folder is missing");
		faults++;
	}
	for (size_t i = 0; i < sizeof(tree_rules) / sizeof(tree_rules[0]); i++) {
		check.rule = &tree_rules[i];
		err = meta_query(lib->meta, check.rule->stmt, 0, NULL, tree_fault_read, &check);
		if (err < 0)
			return err;
		faults += err;
	}
	return faults;
}
