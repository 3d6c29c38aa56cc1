/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Figures for garner status, and the past of an asset. */
#include "config.h"

#include "library/report.h"

#include <stdlib.h>

#include "backend/meta/meta.h"
#include "util/buf.h"

static int take_node(void *arg, const struct meta_row *row)
{
	struct report *r = arg;
	int64_t kind = meta_row_int(row, 0);
	uint64_t count = (uint64_t)meta_row_int(row, 1);

	if (kind == NODE_FOLDER) {
		r->folders = count;
	} else if (kind == NODE_ASSET) {
		r->assets = count;
		r->bytes = (uint64_t)meta_row_int(row, 2);
	} else {
		r->others += count;
	}
	return 0;
}

static int take_pair(void *arg, const struct meta_row *row)
{
	uint64_t *pair = arg;

	pair[0] = (uint64_t)meta_row_int(row, 0);
	pair[1] = (uint64_t)meta_row_int(row, 1);
	return 0;
}

static int take_one(void *arg, const struct meta_row *row)
{
	*(int64_t *)arg = meta_row_int(row, 0);
	return 0;
}

/* What is not in the bucket, where there is one. 0 or an error of meta_query(). */
static int take_uploads(struct library *lib, struct report *r)
{
	int paused = 0, err = 0;

	r->uploads = library_remote(lib);
	if (!r->uploads)
		return 0;
	err = upload_backlog(library_meta(lib), &r->upload);
	if (!err)
		err = reap_backlog(library_meta(lib), &r->reap);
	if (!err)
		paused = upload_paused(library_meta(lib));
	r->upload_paused = paused == 1;
	return paused < 0 ? paused : err;
}

int report_library(struct library *lib, struct report *out)
{
	struct meta *m = library_meta(lib);
	struct report r = { 0 };
	uint64_t trash[2], drafts[2], objects[2], chunks[2];
	int err = meta_query(m, META_REPORT_NODES, 0, NULL, take_node, &r);

	if (err >= 0)
		err = meta_query(m, META_REPORT_TRASH, 0, NULL, take_pair, trash);
	if (err >= 0)
		err = meta_query(m, META_REPORT_DRAFTS, 0, NULL, take_pair, drafts);
	if (err >= 0)
		err = meta_query(m, META_REPORT_DOUBTS, 0, NULL, take_one, &r.doubts);
	if (err >= 0)
		err = meta_query(m, META_REPORT_OBJECTS, 0, NULL, take_pair, objects);
	if (err >= 0)
		err = meta_query(m, META_REPORT_CHUNKS, 0, NULL, take_pair, chunks);
	if (err >= 0)
		err = meta_query(m, META_REPORT_JOURNAL, 0, NULL, take_one, &r.journal);
	if (err >= 0)
		err = take_uploads(lib, &r);
	if (err < 0)
		return err;
	r.trash_items = trash[0];
	r.trash_bytes = trash[1];
	r.drafts = drafts[0];
	r.draft_bytes = drafts[1];
	r.objects = objects[0];
	r.object_bytes = objects[1];
	r.chunks = chunks[0];
	r.chunk_bytes = chunks[1];
	*out = r;
	return 0;
}

struct version_walk {
	int (*fn)(void *arg, const struct report_version *v);
	void *arg;
};

static int give_version(void *arg, const struct meta_row *row)
{
	const struct version_walk *w = arg;
	size_t len;
	struct report_version v = {
		.version = meta_row_int(row, 0),
		.at_ns = meta_row_int(row, 1),
		.actor = (uid_t)meta_row_int(row, 2),
		.size = (uint64_t)meta_row_int(row, 3),
		.mtime_ns = meta_row_int(row, 4),
		.root = meta_row_bytes(row, 5, &len),
	};

	return w->fn(w->arg, &v);
}

int report_versions(struct library *lib, const uint8_t asset_id[16],
		    int (*fn)(void *arg, const struct report_version *v), void *arg)
{
	struct version_walk w = { .fn = fn, .arg = arg };

	return META_QUERY(library_meta(lib), HISTORY_VERSIONS, give_version, &w,
			  META_B(asset_id, 16));
}

struct event_walk {
	int (*fn)(void *arg, const struct report_event *e);
	void *arg;
	int64_t last;
};

static int give_event(void *arg, const struct meta_row *row)
{
	struct event_walk *w = arg;
	size_t unused;
	struct report_event e = {
		.seq = meta_row_int(row, 0),
		.at_ns = meta_row_int(row, 1),
		.actor = (uid_t)meta_row_int(row, 2),
		.action = meta_row_bytes(row, 3, &unused),
		.version = meta_row_int(row, 4),
		.parent = meta_row_int(row, 5),
		.old_parent = meta_row_int(row, 7),
		.before = meta_row_bytes(row, 9, &unused),
		.after = meta_row_bytes(row, 10, &unused),
	};

	e.name = meta_row_bytes(row, 6, &e.len);
	e.old_name = meta_row_bytes(row, 8, &e.old_len);
	w->last = e.seq;
	return w->fn(w->arg, &e);
}

int report_events(struct library *lib, int64_t ino,
		  int (*fn)(void *arg, const struct report_event *e), void *arg)
{
	struct event_walk w = { .fn = fn, .arg = arg };
	int rows;

	do
		rows = META_QUERY(library_meta(lib), HISTORY_EVENTS, give_event, &w, META_I(ino),
				  META_I(w.last));
	while (rows > 0);
	return rows;
}
