/* SPDX-License-Identifier: GPL-3.0-or-later */
/* garner status: how a library stands. */
#include "config.h"

#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

#include "cmd.h"
#include "library/control.h"
#include "library/report.h"
#include "util/cleanup.h"
#include "util/time.h"

enum { KEY_JSON = 'j' };

#define STATUS_TIMEOUT_MS 5000

static json_t *report_json(const char *path, const struct report *r)
{
	return json_pack(
		"{s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
		"library", cmd_json_text(path, strlen(path)), "folders", (json_int_t)r->folders,
		"assets", (json_int_t)r->assets, "others", (json_int_t)r->others, "bytes",
		(json_int_t)r->bytes, "trash_items", (json_int_t)r->trash_items, "trash_bytes",
		(json_int_t)r->trash_bytes, "drafts", (json_int_t)r->drafts, "draft_bytes",
		(json_int_t)r->draft_bytes, "doubts", (json_int_t)r->doubts, "objects",
		(json_int_t)r->objects, "object_bytes", (json_int_t)r->object_bytes, "chunks",
		(json_int_t)r->chunks, "chunk_bytes", (json_int_t)r->chunk_bytes, "journal",
		(json_int_t)r->journal);
}

/* What the mounting process says of itself; NULL when nobody mounts the library. */
static json_t *ask_mount(const char *path)
{
	json_t *answer = NULL;

	return control_call(path, "{\"do\":\"status\"}", STATUS_TIMEOUT_MS, &answer) ? NULL
										     : answer;
}

static void print_free(const char *path)
{
	struct statvfs st;
	char free_text[16], total[16];

	if (statvfs(path, &st))
		return;
	printf("disk:      %s free of %s\n",
	       cmd_size((uint64_t)st.f_bavail * st.f_frsize, free_text),
	       cmd_size((uint64_t)st.f_blocks * st.f_frsize, total));
}

static long long number(const json_t *object, const char *name)
{
	return json_integer_value(json_object_get(object, name));
}

/* What the mount says of its queue. */
static void print_sealing(const json_t *sealing)
{
	const char *error = json_string_value(json_object_get(sealing, "last_error"));
	const char *at = json_string_value(json_object_get(sealing, "last_error_at"));
	char a[16], b[16], c[16];

	printf("sealing:   %lld files waiting, %s; since the mount %lld done, %s, of which %s "
	       "new\n",
	       number(sealing, "pending_files"),
	       cmd_size((uint64_t)number(sealing, "pending_bytes"), a),
	       number(sealing, "sealed_files"),
	       cmd_size((uint64_t)number(sealing, "sealed_bytes"), b),
	       cmd_size((uint64_t)number(sealing, "new_bytes"), c));
	if (error)
		printf("trouble:   %s, at inode %lld, %s\n", error,
		       number(sealing, "last_error_ino"), at ? at : "");
}

/* Where it is mounted and by whom; a mount for reading only has no control socket and says nothing of itself. */
static void print_mount(const char *at, const json_t *mounted)
{
	const json_t *files = json_object_get(mounted, "files");
	const char *path = json_string_value(json_object_get(mounted, "data_path"));
	const char *transport = json_string_value(json_object_get(mounted, "transport"));

	if (!at && !mounted) {
		printf("mounted:   no\n");
		return;
	}
	printf("mounted:   ");
	if (at)
		cmd_print_name(at, strlen(at));
	else
		printf("yes");
	if (!mounted) {
		printf(", read-only or not answering\n");
		return;
	}
	printf(", by process %lld, %s, requests over %s\nopen:      %lld files, %lld for writing",
	       number(mounted, "pid"), path ? path : "", transport ? transport : "",
	       number(files, "open"), number(files, "writing"));
	if (number(files, "held"))
		printf(", %lld sealed when their readers have closed them", number(files, "held"));
	putchar('\n');
	print_sealing(json_object_get(mounted, "sealing"));
}

static void print_report(const char *path, const struct report *r)
{
	char a[16], b[16];

	printf("library:   ");
	cmd_print_name(path, strlen(path));
	putchar('\n');
	printf("tree:      %llu folders, %llu assets, %llu others; %s\n",
	       (unsigned long long)r->folders, (unsigned long long)r->assets,
	       (unsigned long long)r->others, cmd_size(r->bytes, a));
	printf("trash:     %llu items, %s\n", (unsigned long long)r->trash_items,
	       cmd_size(r->trash_bytes, a));
	printf("unsealed:  %llu assets, %s\n", (unsigned long long)r->drafts,
	       cmd_size(r->draft_bytes, a));
	printf("content:   %llu objects of %s in %llu chunks of %s\n",
	       (unsigned long long)r->objects, cmd_size(r->object_bytes, a),
	       (unsigned long long)r->chunks, cmd_size(r->chunk_bytes, b));
	print_free(path);
	if (r->doubts)
		printf("trouble:   the disk failed to keep what was written to %lld assets; "
		       "'garner "
		       "fsck' names them\n",
		       (long long)r->doubts);
}

/* What the mount says of fetching. */
static void print_fetching(const json_t *fetching)
{
	const char *error = json_string_value(json_object_get(fetching, "error"));
	const char *at = json_string_value(json_object_get(fetching, "error_at"));
	char bytes[16], memory[16];

	if (!json_is_object(fetching))
		return;
	printf("fetched:   %lld chunks of %s since the mount, %lld failed; %lld under way, %s in "
	       "memory\n",
	       number(fetching, "chunks"), cmd_size((uint64_t)number(fetching, "bytes"), bytes),
	       number(fetching, "failed"),
	       number(fetching, "running") + number(fetching, "waiting"),
	       cmd_size((uint64_t)number(fetching, "memory_bytes"), memory));
	if (error)
		printf("trouble:   the last chunk did not come: %s, %s\n", error, at ? at : "");
}

/* What the mount says of the backup in the bucket. */
static void print_backup(const json_t *backup)
{
	const char *state = json_string_value(json_object_get(backup, "state"));
	const char *at = json_string_value(json_object_get(backup, "at"));
	const char *error = json_string_value(json_object_get(backup, "error"));
	char size[16];

	if (!state || !strcmp(state, "off"))
		return;
	printf("backup:    %s", state);
	if (at)
		printf(", as of %.19sZ", at);
	if (number(backup, "behind_ms") >= 1000)
		printf(", %lld s behind", number(backup, "behind_ms") / 1000);
	printf("; %s sent in %lld steps since the mount\n",
	       cmd_size((uint64_t)number(backup, "bytes"), size), number(backup, "steps"));
	if (error)
		printf("trouble:   backup: %s\n", error);
}

/* What the mount says of the store as a cache of the bucket. */
static void print_cache(const json_t *cache)
{
	char store[16], dirty[16], limit[16], evicted[16];

	if (!cache)
		return;
	printf("store:     %s, %s of it not in the bucket",
	       cmd_size((uint64_t)number(cache, "store_bytes"), store),
	       cmd_size((uint64_t)number(cache, "dirty_bytes"), dirty));
	if (number(cache, "limit_bytes"))
		printf("; limit for the rest %s",
		       cmd_size((uint64_t)number(cache, "limit_bytes"), limit));
	printf("; %s evicted since the mount\n",
	       cmd_size((uint64_t)number(cache, "evicted_bytes"), evicted));
	if (json_is_true(json_object_get(cache, "unanswered")))
		printf("trouble:   nothing is evicted while the bucket does not answer\n");
	else if (json_is_true(json_object_get(cache, "full")))
		printf("trouble:   the store is full, and nothing more can be evicted now\n");
}

/* The bucket behind it, where there is one. */
static void print_s3(const json_t *s3)
{
	const char *url = json_string_value(json_object_get(s3, "url"));
	const char *endpoint = json_string_value(json_object_get(s3, "endpoint"));
	const char *error = json_string_value(json_object_get(s3, "error"));

	if (!url)
		return;
	printf("s3:        ");
	cmd_print_name(url, strlen(url));
	printf(" at %s, ", endpoint ? endpoint : "Amazon S3");
	if (error)
		printf("not reached: %s\n", error);
	else
		printf("reached\n");
}

/* How long it takes at the present rate; "" when that is not known. */
static const char *eta(uint64_t bytes, long long rate, char *out, size_t size)
{
	unsigned long long seconds = rate > 0 ? bytes / (unsigned long long)rate : 0;

	*out = '\0';
	if (rate > 0 && seconds >= 3600)
		snprintf(out, size, ", %llu h %llu min left", seconds / 3600, seconds / 60 % 60);
	else if (rate > 0)
		snprintf(out, size, ", %llu min %llu s left", seconds / 60, seconds % 60);
	return out;
}

/* What is not in the bucket yet, and what the mount says of sending it. */
static void print_uploads(const struct report *r, const json_t *mounted)
{
	const struct upload_backlog *b = &r->upload;
	const json_t *now = json_object_get(mounted, "uploading");
	const char *error = json_string_value(json_object_get(now, "error"));
	const char *at = json_string_value(json_object_get(now, "error_at"));
	long long rate = number(now, "bytes_per_s");
	char left[48], bytes[16], speed[16];

	if (!r->uploads)
		return;
	if (b->chunks + b->objects)
		printf("uploads:   %llu chunks of %s, of %llu contents wait",
		       (unsigned long long)b->chunks, cmd_size(b->chunk_bytes, bytes),
		       (unsigned long long)b->objects);
	else
		printf("uploads:   nothing waits");
	if (r->upload_paused)
		printf("; paused");
	else if (b->chunks + b->objects && rate > 0)
		printf("; %s/s%s", cmd_size((uint64_t)rate, speed),
		       eta(b->chunk_bytes, rate, left, sizeof left));
	putchar('\n');
	if (error)
		printf("trouble:   uploads wait: %s, %s\n", error, at ? at : "");
	if (b->stuck)
		printf("trouble:   %llu chunks cannot be uploaded: %s\n",
		       (unsigned long long)b->stuck, b->why);
}

/* What the settings say of deleting there. */
struct status_bucket {
	int64_t delete_after_ns;
	bool backup;
};

/* What nothing needs in the bucket any more, and what the mount says of deleting it. */
static void print_deletions(const struct report *r, const struct status_bucket *bucket,
			    const json_t *mounted)
{
	const struct reap_backlog *b = &r->reap;
	const json_t *now = json_object_get(mounted, "deleting");
	const char *error = json_string_value(json_object_get(now, "error"));
	const char *at = json_string_value(json_object_get(now, "error_at"));
	char waiting[16], done[16], when[TIME_TEXT_LEN];

	if (!r->uploads || (!b->chunks && !b->manifests && !number(now, "chunks") && !error))
		return;
	time_format(b->first_ns + bucket->delete_after_ns, when);
	printf("deletions: %llu chunks of %s in the bucket are not needed any more",
	       (unsigned long long)b->chunks, cmd_size(b->chunk_bytes, waiting));
	if (!bucket->backup)
		printf("; nothing is deleted without a backup");
	else if (b->first_ns)
		printf(", the first go from %.19sZ on", when);
	printf("; %lld of %s deleted since the mount\n", number(now, "chunks"),
	       cmd_size((uint64_t)number(now, "chunk_bytes"), done));
	if (error)
		printf("trouble:   deleting in the bucket: %s, %s\n", error, at ? at : "");
}

static json_t *deletions_json(const struct report *r)
{
	const struct reap_backlog *b = &r->reap;

	if (!r->uploads)
		return json_null();
	return json_pack("{s:I, s:I, s:I}", "chunks", (json_int_t)b->chunks, "chunk_bytes",
			 (json_int_t)b->chunk_bytes, "manifests", (json_int_t)b->manifests);
}

static json_t *uploads_json(const struct report *r)
{
	const struct upload_backlog *b = &r->upload;

	if (!r->uploads)
		return json_null();
	return json_pack("{s:I, s:I, s:I, s:I, s:s?, s:b}", "chunks", (json_int_t)b->chunks,
			 "chunk_bytes", (json_int_t)b->chunk_bytes, "objects",
			 (json_int_t)b->objects, "stuck", (json_int_t)b->stuck, "stuck_why",
			 b->stuck ? b->why : NULL, "paused", r->upload_paused);
}

static int show_status(const char *path, const struct report *r, json_t *s3,
		       const struct status_bucket *bucket, bool json)
{
	CLEANUP_FREE char *at = cmd_mountpoint_of(path);
	json_t *mounted = ask_mount(path), *all;

	if (!json) {
		print_report(path, r);
		print_mount(at, mounted);
		print_uploads(r, mounted);
		print_deletions(r, bucket, mounted);
		print_s3(s3);
		print_fetching(json_object_get(mounted, "fetching"));
		print_backup(json_object_get(mounted, "backup"));
		print_cache(json_object_get(mounted, "cache"));
		json_decref(mounted);
		json_decref(s3);
		return CMD_OK;
	}
	all = report_json(path, r);
	json_object_set_new(all, "mountpoint", at ? cmd_json_text(at, strlen(at)) : json_null());
	json_object_set_new(all, "mount", mounted ? mounted : json_null());
	json_object_set_new(all, "s3", s3 ? s3 : json_null());
	json_object_set_new(all, "uploads", uploads_json(r));
	json_object_set_new(all, "deletions", deletions_json(r));
	return cmd_print_json(all);
}

static int run_status(const struct cmd *cmd, int argc, char **argv)
{
	struct cmd_line l;
	struct library *lib;
	struct status_bucket bucket;
	struct report r;
	json_t *s3;
	bool json = false;
	int code;

	if (!cmd_begin_json(&l, cmd, argc, argv, &json))
		return l.exit;
	lib = cmd_open(cmd, l.argv[0], LIBRARY_RDONLY, &code);
	if (!lib)
		return code;
	code = cmd_fail(cmd, l.argv[0], report_library(lib, &r));
	s3 = code ? NULL : cmd_s3_state(lib);
	bucket = (struct status_bucket){ library_settings(lib)->delete_after_ns,
					 library_settings(lib)->backup };
	library_close(lib);
	return code ? code : show_status(l.argv[0], &r, s3, &bucket, json);
}

static const struct cmd_option status_options[] = {
	{ "json", KEY_JSON, NULL, "print JSON" },
	{ 0 },
};

const struct cmd cmd_status = {
	.name = "status",
	.operands = "LIBRARY",
	.summary = "Show how a library stands",
	.options = status_options,
	.min_operands = 1,
	.max_operands = 1,
	.run = run_status,
};
