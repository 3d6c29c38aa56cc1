/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * garner push: sends what waits to be uploaded, or has the mount do it at once; waits for it; pauses it. Where nobody mounts, this process uploads, without
 * being in the way of a mount that comes meanwhile.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cmd.h"
#include "library/control.h"
#include "library/uploader.h"
#include "util/parse.h"
#include "util/time.h"

enum { KEY_WAIT = 'w', KEY_TIMEOUT = 't', KEY_PAUSE = 'p', KEY_RESUME = 'r' };
enum { ASK_MS = 5000, LOOK_MS = 50 };

#define COUNT_NS TIME_NS_PER_S
#define DEFAULT_NS (24 * 3600 * TIME_NS_PER_S)

struct push {
	const struct cmd *cmd;
	const char *path;
	struct library *lib;
	struct meta *meta;
	bool wait, pause, resume;
	int64_t timeout_ns, deadline_ns, counted_ns;
	struct upload_mark mark;
	struct upload_backlog backlog;
	struct cmd_progress progress;
	char told[256]; /* trouble that was told last */
};

/* Whether a process mounts the library, which is then told. */
static bool tell_mount(const struct push *p)
{
	return control_call(p->path, "{\"do\":\"push\"}", ASK_MS, NULL) == 0;
}

static int set_paused(struct push *p)
{
	int err = upload_pause(p->meta, p->pause);

	if (!err)
		tell_mount(p);
	return cmd_fail(p->cmd, p->path, err);
}

/* What keeps the queue back, told once; true while it does. Of this process, or of the mount. */
static bool tell_trouble(struct push *p)
{
	struct upload_status st;
	const char *why = st.why;
	json_t *answer = NULL;

	if (!uploader_status(p->lib, &st)) {
		if (control_call(p->path, "{\"do\":\"status\"}", ASK_MS, &answer))
			return false;
		why = json_string_value(
			json_object_get(json_object_get(answer, "uploading"), "error"));
	}
	bool troubled = why && *why;

	if (troubled && strcmp(why, p->told)) {
		cmd_progress_end(&p->progress);
		fprintf(stderr, "garner push: %s\n", why);
		snprintf(p->told, sizeof(p->told), "%s", why);
	}
	json_decref(answer);
	return troubled;
}

static void show_progress(struct push *p)
{
	struct upload_backlog now;

	if (upload_backlog(p->meta, &now))
		return;
	if (now.chunk_bytes > p->backlog.chunk_bytes)
		p->backlog = now;
	p->progress.total_bytes = p->backlog.chunk_bytes;
	p->progress.done_bytes = p->backlog.chunk_bytes - now.chunk_bytes;
	cmd_progress_show(&p->progress);
}

static int fail_stuck(struct push *p)
{
	if (upload_backlog(p->meta, &p->backlog))
		p->backlog.stuck = 0;
	return cmd_refuse(p->cmd, CMD_FAILED, p->path, "%llu %s cannot be uploaded: %s",
			  (unsigned long long)p->backlog.stuck,
			  p->backlog.stuck == 1 ? "chunk" : "chunks", p->backlog.why);
}

/* Now and then: who uploads, how it goes. Nonzero: the exit code to end with. */
static int look_around(struct push *p)
{
	int paused = upload_paused(p->meta);

	if (paused == 1)
		return cmd_refuse(p->cmd, CMD_FAILED, p->path,
				  "uploads are paused; 'garner push --resume' ends that");
	if (library_wait_unmounted(p->path, 0) == 0) {
		int err = uploader_start(p->lib);

		if (err)
			return cmd_fail(p->cmd, p->path, err);
	}
	show_progress(p);
	return tell_trouble(p) && !p->wait ? CMD_FAILED : CMD_OK;
}

/* Until all up to the mark is there. */
static int wait_for_all(struct push *p)
{
	int left, code = CMD_OK;

	while ((left = upload_left(p->meta, &p->mark)) == 1 && !code) {
		int64_t now = time_mono_ns();

		if (now >= p->deadline_ns)
			return cmd_refuse(p->cmd, CMD_FAILED, p->path,
					  "not everything was uploaded in that time; the rest is "
					  "uploaded later");
		if (now >= p->counted_ns) {
			p->counted_ns = now + COUNT_NS;
			code = look_around(p);
		}
		nanosleep(&(struct timespec){ .tv_nsec = LOOK_MS * TIME_NS_PER_MS }, NULL);
	}
	if (left < 0)
		return cmd_fail(p->cmd, p->path, left);
	return left == 2 ? fail_stuck(p) : code;
}

static int send_all(struct push *p)
{
	int err = upload_sweep(p->meta, NULL, NULL), code;

	if (!err)
		err = upload_mark(p->meta, &p->mark);
	if (!err)
		err = upload_retry(p->meta);
	if (err)
		return cmd_fail(p->cmd, p->path, err);
	if (tell_mount(p) && !p->wait)
		return CMD_OK;
	cmd_progress_begin(&p->progress, "uploading");
	code = wait_for_all(p);
	cmd_progress_end(&p->progress);
	return code;
}

/*
 * Opens it. Content that waits to be sealed is no less written than the rest; but to take a library up as a mount does, with backup and all, only to find
 * that nothing waits, takes longer than many an upload.
 */
static int open_sealed(struct push *p)
{
	int code = CMD_OK;

	p->lib = cmd_open(p->cmd, p->path, 0, &code);
	if (!p->lib || !p->wait ||
	    (library_has_drafts(p->lib) == 0 && library_wait_unmounted(p->path, 0) == 0))
		return code;
	library_close(p->lib);
	p->lib = NULL;
	code = cmd_seal(p->cmd, p->path, p->timeout_ns);
	if (!code)
		p->lib = cmd_open(p->cmd, p->path, 0, &code);
	return code;
}

static int push(struct push *p)
{
	int code;

	p->deadline_ns = time_mono_ns() + p->timeout_ns;
	code = open_sealed(p);
	if (!p->lib)
		return code;
	p->meta = library_meta(p->lib);
	if (!library_remote(p->lib))
		code = cmd_no_bucket(p->cmd, p->path);
	else if (p->pause || p->resume)
		code = set_paused(p);
	else
		code = send_all(p);
	library_close(p->lib);
	return code;
}

static int run(const struct cmd *cmd, int argc, char **argv)
{
	struct push p = { .cmd = cmd, .timeout_ns = DEFAULT_NS };
	struct cmd_line l;
	int key;

	cmd_begin(&l, cmd, argc, argv);
	while ((key = cmd_next(&l)) >= 0) {
		p.wait = p.wait || key == KEY_WAIT;
		p.pause = p.pause || key == KEY_PAUSE;
		p.resume = p.resume || key == KEY_RESUME;
		if (key == KEY_TIMEOUT &&
		    (parse_duration(l.value, &p.timeout_ns) || p.timeout_ns > DEFAULT_NS))
			return cmd_usage(cmd, "'%s' is no time; wanted for example 30s or 10m",
					 l.value);
	}
	if (key == CMD_STOP)
		return l.exit;
	if (p.pause + p.resume + p.wait > 1)
		return cmd_usage(cmd, "--wait, --pause and --resume exclude one another");
	p.path = l.argv[0];
	return push(&p);
}

static const struct cmd_option options[] = {
	{ "wait", KEY_WAIT, NULL, "until everything written so far is in the bucket" },
	{ "timeout", KEY_TIMEOUT, "TIME", "give up after this long (default 24h)" },
	{ "pause", KEY_PAUSE, NULL, "send nothing from now on" },
	{ "resume", KEY_RESUME, NULL, "end a pause" },
	{ 0 },
};

const struct cmd cmd_push = {
	.name = "push",
	.operands = "LIBRARY",
	.summary = "Upload what is not in the bucket yet",
	.options = options,
	.min_operands = 1,
	.max_operands = 1,
	.run = run,
};
