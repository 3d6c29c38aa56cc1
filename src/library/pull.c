/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Pulling assets: some are asked for while one is waited for, so that many small ones take no longer than their bytes do. */
#include "config.h"

#include "content/fetch.h"
#include "content/view.h"
#include "library/pull.h"
#include "library/state.h"

#include <errno.h>
#include <string.h>

enum { PULL_AHEAD = 32 };

/* An asset whose chunks are asked for. */
struct pull_item {
	int err;
	struct view *view; /* NULL: it has no sealed content */
};

static void pull_begin(struct library *lib, int64_t ino, struct pull_item *item)
{
	struct content *c = library_content(lib);
	struct node n;

	*item = (struct pull_item){ .err = tree_get(lib, ino, &n) };
	if (!item->err && n.kind != NODE_ASSET)
		item->err = -EINVAL;
	if (!item->err && n.object)
		item->err = view_of_object(c, n.object, &item->view);
	if (!item->err && item->view)
		view_ask(item->view, fetch_ahead_max(c));
}

static void pull_fail(struct pull_result *out, int64_t ino, int err)
{
	out->failures[out->failed++] = (struct pull_failure){ ino, err };
}

/* Whether the asset is here: what there was no room for is not. */
static int pull_check(struct library *lib, int64_t ino)
{
	enum file_state state = FILE_STATE_LOCAL;
	struct node n;
	int err = tree_get(lib, ino, &n);

	if (!err)
		err = file_state(lib, &n, &state);
	return !err && (state == FILE_STATE_REMOTE || state == FILE_STATE_PARTIAL) ? -ENOSPC : err;
}

/* All of them, one after the other; `pulled` says which came. */
static int pull_all(struct library *lib, const int64_t *inos, size_t count, bool (*stop)(void *arg),
		    void *arg, struct pull_result *out, bool *pulled)
{
	struct pull_item items[PULL_AHEAD];
	size_t begun = 0;
	int err = 0;

	for (size_t i = 0; i < count; i++) {
		struct pull_item *item = &items[i % PULL_AHEAD];

		for (; !err && begun < count && begun < i + PULL_AHEAD; begun++)
			pull_begin(lib, inos[begun], &items[begun % PULL_AHEAD]);
		if (i >= begun)
			break;
		if (!err && !item->err && item->view)
			item->err = view_pull(item->view, stop, arg, &out->bytes);
		view_put(item->view);
		if (item->err == -ECANCELED)
			err = -ECANCELED;
		else if (!err && item->err)
			pull_fail(out, inos[i], item->err);
		pulled[i] = !item->err;
	}
	return err;
}

int pull_assets(struct library *lib, const int64_t *inos, size_t count, bool (*stop)(void *arg),
		void *arg, struct pull_result *out)
{
	bool pulled[PULL_MAX] = { false };
	int err;

	if (count > PULL_MAX)
		return -EINVAL;
	if (library_read_only(lib))
		return -EROFS;
	memset(out, 0, sizeof(*out));
	err = pull_all(lib, inos, count, stop, arg, out, pulled);
	int recorded = fetch_record(library_content(lib));

	err = err ? err : recorded;
	for (size_t i = 0; i < count && !err; i++) {
		int one = pulled[i] ? pull_check(lib, inos[i]) : 0;

		if (one)
			pull_fail(out, inos[i], one);
		out->files += pulled[i] && !one;
	}
	return err;
}
