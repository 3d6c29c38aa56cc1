/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the requests of the control socket mean, and their answers. */
#include "config.h"

#include "library/backup.h"
#include "library/control-internal.h"
#include "content/fetch.h"
#include "library/cache.h"
#include "library/file.h"
#include "library/pull.h"
#include "library/times.h"
#include "library/uploader.h"
#include "library/watch.h"
#include "util/err.h"
#include "util/hex.h"
#include "util/time.h"
#include "util/version.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What is open when a sync is asked for has this long to be closed. */
enum { CONTROL_SETTLE_MS = 1000 };

static int control_append(const char *bytes, size_t len, void *arg)
{
	return buf_add(arg, bytes, len) ? -1 : 0;
}

/* Writes `answer`, which it takes over (NULL: no memory), as a line. */
static int control_answer(struct control_job *job, json_t *answer, struct buf *out)
{
	int rc = -ENOMEM;

	if (answer && json_dump_callback(answer, control_append, out, JSON_COMPACT) == 0)
		rc = buf_add_byte(out, '\n');
	json_decref(answer);
	job->state = CONTROL_WRITING;
	return rc;
}

static int control_result(struct control_job *job, int rc, struct buf *out)
{
	if (rc == 0)
		return control_answer(job, json_pack("{s:b}", "ok", 1), out);
	return control_answer(
		job, json_pack("{s:b, s:s, s:i}", "ok", 0, "error", err_text(rc), "errno", rc),
		out);
}

static json_t *control_sealer(struct library *lib)
{
	struct sealer_status st;

	sealer_status(lib, &st);
	json_t *json = json_pack(
		"{s:I, s:I, s:I, s:I, s:I}", "pending_files", (json_int_t)st.pending_files,
		"pending_bytes", (json_int_t)st.pending_bytes, "sealed_files",
		(json_int_t)st.sealed_files, "sealed_bytes", (json_int_t)st.sealed_bytes,
		"new_bytes", (json_int_t)st.new_bytes);

	if (json && st.last_error) {
		char at[TIME_TEXT_LEN];

		time_format(st.last_error_ns, at);
		json_object_set_new(json, "last_error", json_string(err_text(st.last_error)));
		json_object_set_new(json, "last_error_ino", json_integer(st.last_error_ino));
		json_object_set_new(json, "last_error_at", json_string(at));
	}
	return json;
}

/* What the uploader does; NULL: there is none. */
static json_t *control_uploader(struct library *lib)
{
	struct upload_status st;

	if (!uploader_status(lib, &st))
		return json_null();
	json_t *json = json_pack("{s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:i}", "paused", st.paused,
				 "flying", (json_int_t)st.flying, "flying_bytes",
				 (json_int_t)st.flying_bytes, "sent", (json_int_t)st.sent,
				 "sent_bytes", (json_int_t)st.sent_bytes, "found",
				 (json_int_t)st.found, "bytes_per_s", (json_int_t)st.bytes_per_s,
				 "window", (int)st.window);

	if (json && st.err) {
		char at[TIME_TEXT_LEN];

		time_format(st.err_ns, at);
		json_t *why = json_string(st.why);

		/* What a server says may be no text. */
		json_object_set_new(json, "error", why ? why : json_string(err_text(st.err)));
		json_object_set_new(json, "error_at", json_string(at));
	}
	return json;
}

/* What is fetched; NULL: there is nowhere to fetch from. */
static json_t *control_fetch(struct library *lib)
{
	struct fetch_status st;

	if (!fetch_status(library_content(lib), &st))
		return json_null();
	json_t *json = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "running",
				 (json_int_t)st.transfers, "waiting", (json_int_t)st.waiting,
				 "memory_bytes", (json_int_t)st.memory_bytes, "chunks",
				 (json_int_t)st.chunks, "bytes", (json_int_t)st.bytes, "corrupt",
				 (json_int_t)st.corrupt, "failed", (json_int_t)st.failed);

	if (json && st.last_error) {
		char at[TIME_TEXT_LEN];

		time_format(st.last_error_ns, at);
		json_object_set_new(json, "error", json_string(err_text(st.last_error)));
		json_object_set_new(json, "error_at", json_string(at));
	}
	return json;
}

static json_t *control_backup_json(struct library *lib)
{
	struct backup_status st;
	char at[TIME_TEXT_LEN];

	backup_status(lib, &st);
	time_format(st.facts.at_ns, at);
	json_t *json = json_pack("{s:s, s:I, s:I, s:I, s:I, s:I}", "state",
				 backup_mood_word(st.mood), "epoch", (json_int_t)st.facts.epoch,
				 "number", (json_int_t)st.facts.state, "steps",
				 (json_int_t)st.facts.steps, "bytes", (json_int_t)st.facts.bytes,
				 "behind_ms", (json_int_t)(st.behind_ns / TIME_NS_PER_MS));

	if (json && st.facts.state)
		json_object_set_new(json, "at", json_string(at));
	if (json && st.why[0])
		json_object_set_new(json, "error", json_string(st.why));
	return json;
}

/* What is deleted in the bucket; NULL: nothing is, by this process. */
static json_t *control_reap(struct library *lib)
{
	struct backup_status st;
	char at[TIME_TEXT_LEN];

	backup_status(lib, &st);
	if (st.mood == BACKUP_OFF)
		return NULL;
	json_t *json = json_pack("{s:I, s:I, s:I}", "chunks", (json_int_t)st.reap.chunks,
				 "chunk_bytes", (json_int_t)st.reap.chunk_bytes, "manifests",
				 (json_int_t)st.reap.manifests);

	if (json && st.reap.err) {
		time_format(st.reap.err_ns, at);
		json_object_set_new(json, "error", json_string(st.reap.why));
		json_object_set_new(json, "error_at", json_string(at));
	}
	return json;
}

/* The store and its limits; NULL: it has none to keep. */
static json_t *control_cache(struct library *lib)
{
	struct cache_status st;

	if (!cache_status(lib, &st))
		return NULL;
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:b}", "store_bytes",
			 (json_int_t)st.use.total_bytes, "dirty_bytes",
			 (json_int_t)st.use.dirty_bytes, "limit_bytes", (json_int_t)st.limit_bytes,
			 "min_free_bytes", (json_int_t)st.min_free_bytes, "evicted_bytes",
			 (json_int_t)st.evicted_bytes, "evicted", (json_int_t)st.evicted_objects,
			 "not_kept", (json_int_t)st.denied, "full", st.full, "unanswered",
			 st.unanswered);
}

static int control_status(struct library *lib, json_t *described, struct control_job *job,
			  struct buf *out)
{
	char instance[HEX_TEXT_LEN(16)];
	struct files_counts files;

	hex_encode(library_instance(lib), 16, instance);
	files_counts(lib, &files);
	json_t *json = json_pack(
		"{s:b, s:i, s:s, s:s, s:{s:I, s:I, s:I}, s:o, s:o, s:o, s:o, s:o*, s:o*}", "ok", 1,
		"pid", (int)getpid(), "version", version_text(), "instance", instance, "files",
		"open", (json_int_t)files.open, "writing", (json_int_t)files.writing, "held",
		(json_int_t)files.held, "sealing", control_sealer(lib), "uploading",
		control_uploader(lib), "fetching", control_fetch(lib), "backup",
		control_backup_json(lib), "cache", control_cache(lib), "deleting",
		control_reap(lib));

	if (json)
		json_object_update_missing(json, described);
	return control_answer(job, json, out);
}

static int control_flush(struct library *lib)
{
	int rc = files_flush(lib, true);

	if (rc == 0)
		rc = times_record(lib);
	return rc ? rc : meta_sync(library_meta(lib));
}

static int64_t control_deadline(const json_t *request)
{
	json_int_t ms = json_integer_value(json_object_get(request, "timeout_ms"));

	return ms > 0 && ms < INT64_MAX / TIME_NS_PER_MS / 2 ? time_mono_ns() + ms * TIME_NS_PER_MS
							     : INT64_MAX;
}

/* What was written is recorded first, so that the backup has it. */
static int control_backup(struct library *lib, const json_t *request, struct control_job *job,
			  struct buf *out)
{
	int rc = control_flush(lib);

	if (rc)
		return control_result(job, rc, out);
	job->deadline_ns = control_deadline(request);
	job->backup = backup_ask(lib, json_is_true(json_object_get(request, "take_over")));
	job->state = CONTROL_BACKING_UP;
	return 0;
}

static int control_pull(struct library *lib, const json_t *request, struct control_job *job,
			struct buf *out)
{
	const json_t *list = json_object_get(request, "inodes"), *one;
	int64_t inos[PULL_MAX];
	size_t i;

	if (!json_is_array(list) || json_array_size(list) > PULL_MAX)
		return control_result(job, -EINVAL, out);
	json_array_foreach(list, i, one) inos[i] = json_integer_value(one);
	int rc = puller_ask(lib, inos, json_array_size(list), &job->pull);

	if (rc)
		return control_result(job, rc, out);
	job->state = CONTROL_PULLING;
	return 0;
}

static int control_pull_done(struct library *lib, struct control_job *job, struct buf *out)
{
	struct pull_result result;
	int err = 0, rc;

	if (!puller_answer(lib, job->pull, &err, &result))
		return 0;
	json_t *failed = json_array();

	for (size_t i = 0; i < result.failed && !err; i++)
		json_array_append_new(failed,
				      json_pack("[I, i]", (json_int_t)result.failures[i].ino,
						result.failures[i].err));
	if (err)
		rc = control_result(job, err, out);
	else
		rc = control_answer(job,
				    json_pack("{s:b, s:I, s:I, s:O}", "ok", 1, "files",
					      (json_int_t)result.files, "bytes",
					      (json_int_t)result.bytes, "failed", failed),
				    out);
	json_decref(failed);
	return rc ? rc : 1;
}

static int control_evict(struct library *lib, const json_t *request, struct control_job *job,
			 struct buf *out)
{
	job->evict = cache_evict_begin(lib, json_integer_value(json_object_get(request, "ino")));
	if (job->evict < 0)
		return control_result(job, (int)job->evict, out);
	job->state = CONTROL_EVICTING;
	return 0;
}

static int control_sync(const json_t *request, struct control_job *job)
{
	job->deadline_ns = control_deadline(request);
	job->settle_ns = time_mono_ns() + CONTROL_SETTLE_MS * TIME_NS_PER_MS;
	job->state = CONTROL_SYNCING;
	return 0;
}

/*
 * The kernel tells of a close(2) some time after it, so what is open here when a sync is asked for may have been closed before. True once the sync
 * has its ticket.
 */
static bool control_settled(struct library *lib, struct control_job *job)
{
	int64_t now = time_mono_ns();
	struct files_counts files;

	if (!job->settle_ns)
		return true;
	files_counts(lib, &files);
	if (files.writing + files.held && now < job->settle_ns && now < job->deadline_ns)
		return false;
	job->settle_ns = 0;
	sealer_ticket(lib, &job->sync);
	return true;
}

static int control_do(struct library *lib, json_t *described, const json_t *request,
		      struct control_job *job, struct buf *out)
{
	const char *what = json_string_value(json_object_get(request, "do"));

	if (what && !strcmp(what, "status"))
		return control_status(lib, described, job, out);
	if (what && !strcmp(what, "flush"))
		return control_result(job, control_flush(lib), out);
	if (what && !strcmp(what, "push")) {
		uploader_kick(lib, true);
		return control_result(job, 0, out);
	}
	if (what && !strcmp(what, "sync"))
		return control_sync(request, job);
	if (what && !strcmp(what, "evict"))
		return control_evict(lib, request, job, out);
	if (what && !strcmp(what, "backup"))
		return control_backup(lib, request, job, out);
	if (what && !strcmp(what, "pull"))
		return control_pull(lib, request, job, out);
	if (what && !strcmp(what, "poke")) {
		job->poke = watch_poke(lib);
		job->state = CONTROL_POKING;
		return 0;
	}
	return control_result(job, -EINVAL, out);
}

int control_request(struct library *lib, json_t *described, const char *line, size_t len,
		    struct control_job *job, struct buf *out)
{
	json_t *request = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
	int rc;

	*job = (struct control_job){ 0 };
	if (json_is_object(request))
		rc = control_do(lib, described, request, job, out);
	else
		rc = control_result(job, -EINVAL, out);
	json_decref(request);
	return rc;
}

static int control_sync_done(struct library *lib, struct control_job *job, struct buf *out)
{
	uint64_t skipped = 0;
	struct files_counts files;
	int result = 0;

	if (!control_settled(lib, job))
		return 0;
	if (!sealer_ticket_done(lib, &job->sync, &result, &skipped)) {
		if (time_mono_ns() < job->deadline_ns)
			return 0;
		result = -ETIMEDOUT;
	}
	files_counts(lib, &files);
	skipped += files.writing + files.held;
	int rc = result ? control_result(job, result, out)
			: control_answer(
				  job,
				  json_pack("{s:b, s:I}", "ok", 1, "skipped", (json_int_t)skipped),
				  out);

	return rc ? rc : 1;
}

static int control_backup_done(struct library *lib, struct control_job *job, struct buf *out)
{
	struct backup_status st;
	int result = 0;

	if (!backup_told(lib, job->backup, &result)) {
		if (time_mono_ns() < job->deadline_ns)
			return 0;
		result = -ETIMEDOUT;
	}
	backup_status(lib, &st);
	if (st.why[0] == 0 && result)
		snprintf(st.why, sizeof(st.why), "%s", err_text(result));
	json_t *answer = json_pack("{s:b, s:s, s:i, s:o}", "ok", result == 0, "error",
				   result ? err_text(result) : "", "errno", result, "backup",
				   control_backup_json(lib));

	if (answer && result)
		json_object_set_new(answer, "why", json_string(st.why));
	int rc = control_answer(job, answer, out);

	return rc ? rc : 1;
}

static int control_evict_done(struct library *lib, struct control_job *job, struct buf *out)
{
	struct cache_result r;
	int err = 0;

	if (!cache_evict_done(lib, job->evict, &r, &err))
		return 0;
	if (!err) {
		const struct evict_stats *st = &r.stats;

		err = control_answer(job,
				     json_pack("{s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
					       "ok", 1, "evicted", (json_int_t)st->evicted,
					       "freed_bytes", (json_int_t)st->freed_bytes, "pinned",
					       (json_int_t)st->pinned, "open", (json_int_t)st->open,
					       "unsent", (json_int_t)(st->unsent + r.unsealed),
					       "unanswered", (json_int_t)st->unanswered, "small",
					       (json_int_t)st->small, "lost", (json_int_t)st->lost),
				     out);
	} else {
		err = control_result(job, err, out);
	}
	return err ? err : 1;
}

int control_job_done(struct library *lib, struct control_job *job, struct buf *out)
{
	if (job->state == CONTROL_EVICTING)
		return control_evict_done(lib, job, out);
	if (job->state == CONTROL_BACKING_UP)
		return control_backup_done(lib, job, out);
	if (job->state == CONTROL_PULLING)
		return control_pull_done(lib, job, out);
	if (job->state == CONTROL_SYNCING)
		return control_sync_done(lib, job, out);
	if (!watch_told(lib, job->poke))
		return 0;
	int rc = control_result(job, 0, out);

	return rc ? rc : 1;
}
