/* SPDX-License-Identifier: GPL-3.0-or-later */
/* garner gc: gives back the space of what nothing refers to. A mount does the same by itself, a little at a time. */
#include "config.h"

#include <stdio.h>

#include "cmd.h"
#include "content/collect.h"
#include "library/backup.h"
#include "util/err.h"
#include "util/parse.h"
#include "util/time.h"

enum { KEY_BUCKET = 'b', KEY_DRY = 'n', KEY_GRACE = 'g', KEY_JSON = 'j' };
enum { STEP_ROWS = 1000 };

#define NORMAL_GRACE_NS (INT64_C(3600) * 1000000000)

static const struct cmd_option options[] = {
	{ "bucket", KEY_BUCKET, NULL, "also look for what the bucket has and nothing here names" },
	{ "dry-run", KEY_DRY, NULL, "with --bucket: say what there is, and delete nothing" },
	{ "grace", KEY_GRACE, "TIME",
	  "keep chunks that were freed less than this ago (default 1h)" },
	{ "json", KEY_JSON, NULL, "print JSON" },
	{ 0 },
};

static int collect(struct library *lib, int64_t grace_ns, struct collect_stats *stats)
{
	int err = tree_trash_expire(lib, time_now_ns());

	while (err >= 0 && (err = tree_sweep(lib, 0, STEP_ROWS)) > 0)
		continue;
	if (err < 0)
		return err;
	do
		err = collect_step(library_content(lib), time_now_ns(), grace_ns, STEP_ROWS, stats);
	while (err > 0);
	return err;
}

/* What became of the bucket. */
struct bucket {
	bool there;     /* there is one, */
	bool backup;    /* with a backup, without which nothing is deleted */
	bool look, dry; /* for what nothing names, */
	struct reap_strays strays;
	struct reap_facts facts;
	struct reap_backlog left;
	int err;
	struct buf why;
};

/* The local store is collected also when the bucket cannot be reached; what is due there waits. */
static int reap(struct library *lib, struct bucket *b)
{
	b->there = library_settings(lib)->s3.bucket;
	b->backup = library_settings(lib)->backup;
	if (b->there && b->backup)
		b->err = backup_reap(lib, b->look ? &b->strays : NULL, b->dry, &b->facts, &b->why);
	if (b->err && !b->why.len)
		buf_add_str(&b->why, err_text(b->err));
	return b->there ? reap_backlog(library_meta(lib), &b->left) : 0;
}

static json_t *bucket_json(const struct bucket *b)
{
	const struct reap_facts *f = &b->facts;

	if (!b->there)
		return json_null();
	json_t *json = json_pack(
		"{s:I, s:I, s:I, s:I, s:I, s:s*}", "chunks", (json_int_t)f->chunks, "chunk_bytes",
		(json_int_t)f->chunk_bytes, "manifests", (json_int_t)f->manifests, "waiting_chunks",
		(json_int_t)b->left.chunks, "waiting_bytes", (json_int_t)b->left.chunk_bytes,
		"error", b->err ? buf_str(&b->why) : NULL);

	if (json && b->look)
		json_object_set_new(json, "strays",
				    json_pack("{s:I, s:I, s:I}", "chunks",
					      (json_int_t)b->strays.chunks, "chunk_bytes",
					      (json_int_t)b->strays.chunk_bytes, "manifests",
					      (json_int_t)b->strays.manifests));
	return json;
}

static void print_bucket(const struct bucket *b)
{
	char gone[16], left[16], strays[16];

	if (!b->there)
		return;
	if (b->look)
		printf("found %llu chunks (%s) and %llu manifests in the bucket that nothing "
		       "names\n",
		       (unsigned long long)b->strays.chunks,
		       cmd_size(b->strays.chunk_bytes, strays),
		       (unsigned long long)b->strays.manifests);
	printf("deleted %llu chunks (%s) in the bucket; %llu (%s) that nothing needs are there "
	       "still\n",
	       (unsigned long long)b->facts.chunks, cmd_size(b->facts.chunk_bytes, gone),
	       (unsigned long long)b->left.chunks, cmd_size(b->left.chunk_bytes, left));
	if (!b->backup)
		fprintf(stderr, "Nothing is deleted in the bucket without a backup of the metadata "
				"there.\n");
	else if (b->err)
		fprintf(stderr, "garner: nothing more is deleted in the bucket for now: %s\n",
			buf_str(&b->why));
}

static int print_stats(const struct collect_stats *s, const struct bucket *b, bool json)
{
	char chunks[16], punched[16];

	if (json && b->dry)
		return cmd_print_json(json_pack("{s:o}", "bucket", bucket_json(b)));
	if (json)
		return cmd_print_json(json_pack(
			"{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "objects",
			(json_int_t)s->objects, "chunks", (json_int_t)s->chunks, "chunk_bytes",
			(json_int_t)s->chunk_bytes, "blobs", (json_int_t)s->blobs, "drafts",
			(json_int_t)s->drafts, "strays", (json_int_t)s->strays, "punched_bytes",
			(json_int_t)s->punched_bytes, "bucket", bucket_json(b)));
	if (!b->dry)
		printf("removed %llu objects, %llu chunks (%s), %llu blobs, %llu drafts, %llu "
		       "strays; gave "
		       "back %s within blobs\n",
		       (unsigned long long)s->objects, (unsigned long long)s->chunks,
		       cmd_size(s->chunk_bytes, chunks), (unsigned long long)s->blobs,
		       (unsigned long long)s->drafts, (unsigned long long)s->strays,
		       cmd_size(s->punched_bytes, punched));
	print_bucket(b);
	return CMD_OK;
}

static int run(const struct cmd *cmd, int argc, char **argv)
{
	int64_t grace_ns = NORMAL_GRACE_NS;
	struct collect_stats stats = { 0 };
	struct bucket bucket = { .why = BUF_INIT };
	struct library *lib;
	struct cmd_line l;
	bool json = false;
	int key, code;

	cmd_begin(&l, cmd, argc, argv);
	while ((key = cmd_next(&l)) >= 0) {
		json = json || key == KEY_JSON;
		bucket.look = bucket.look || key == KEY_BUCKET;
		bucket.dry = bucket.dry || key == KEY_DRY;
		if (key == KEY_GRACE && parse_duration(l.value, &grace_ns))
			return cmd_usage(cmd, "'%s' is no time; wanted for example 30s or 2h",
					 l.value);
	}
	if (key == CMD_STOP)
		return l.exit;
	if (bucket.dry && !bucket.look)
		return cmd_usage(cmd, "--dry-run is for --bucket");
	lib = cmd_open(cmd, l.argv[0], LIBRARY_MOUNT, &code);
	if (!lib) {
		if (code == CMD_BUSY)
			fprintf(stderr, "A mounted library is collected by its mount.\n");
		return code;
	}
	code = cmd_fail(cmd, l.argv[0], bucket.dry ? 0 : collect(lib, grace_ns, &stats));
	if (!code)
		code = cmd_fail(cmd, l.argv[0], reap(lib, &bucket));
	library_close(lib);
	code = code ? code : print_stats(&stats, &bucket, json);
	buf_release(&bucket.why);
	return code;
}

const struct cmd cmd_gc = {
	.name = "gc",
	.operands = "LIBRARY",
	.summary = "Give back the space of what nothing refers to",
	.options = options,
	.min_operands = 1,
	.max_operands = 1,
	.run = run,
};
