/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Requests that wait for bytes which have to be fetched. Nobody waits with them: what fetches calls on_fetched(), on a thread of its own, and the call runs anew
 * there, reads what is in memory or in a file by now, and replies.
 *
 * The kernel tells once that a program which asks has a signal (by /dev/fuse, also where its requests come over io_uring), whatever signal that is. To reply EINTR to a read of a page makes it
 * fail for a program that only has a timer, which no disk does; so only those that die of it are let go. Since the kernel tells but once, it is looked from time to time then.
 *
 * libfuse holds the request's lock while it tells, and fuse_req_interrupt_func() takes it: so after on_fetched() has taken the function back nobody is about to call it.
 */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuse/mount-later.h"
#include "library/file.h"
#include "util/cleanup.h"
#include "util/time.h"

enum { AWAITS_MAX = 100 };

#define LOOK_NS (500 * TIME_NS_PER_MS) /* how often an interrupted program is looked at */

struct await {
	struct mount_call call;
	struct fetch_wait *wait;
};

static void on_interrupt(fuse_req_t req, void *arg)
{
	struct await *a = arg;

	(void)req;
	if (a)
		file_wait_cancel(a->wait, -EINTR);
}

/* Sets of signals, bit by bit as in proc(5). */
struct signals {
	unsigned long long pending, shared, blocked, ignored, caught;
};

/* False when there is no such thread. */
static bool read_signals(pid_t pid, struct signals *out)
{
	char path[32], line[256];

	snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
	CLEANUP_FILE FILE *file = fopen(path, "re");

	*out = (struct signals){ 0 };
	while (file && fgets(line, sizeof line, file)) {
		(void)sscanf(line, "SigPnd: %llx", &out->pending);
		(void)sscanf(line, "ShdPnd: %llx", &out->shared);
		(void)sscanf(line, "SigBlk: %llx", &out->blocked);
		(void)sscanf(line, "SigIgn: %llx", &out->ignored);
		(void)sscanf(line, "SigCgt: %llx", &out->caught);
	}
	return file != NULL;
}

/* Whether the thread has a signal of which its program dies. One of another PID namespace (0) cannot be looked at. */
static bool is_dying(pid_t pid)
{
	static const int harmless[] = { SIGCHLD, SIGCONT, SIGURG,  SIGWINCH,
					SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU };
	unsigned long long spared = 0;
	struct signals s;

	if (!pid)
		return false;
	if (!read_signals(pid, &s))
		return true;
	for (size_t i = 0; i < sizeof harmless / sizeof *harmless; i++)
		spared |= 1ULL << (harmless[i] - 1);
	spared |= s.blocked | s.ignored | s.caught;
	return ((s.pending | s.shared) & ~spared) != 0;
}

/* Whether the call is to wait on: it was only looked at who asks. */
static bool waits_on(struct mount_call *call, int err)
{
	bool looked = err == -ETIMEDOUT && call->interrupted && time_mono_ns() < call->deadline_ns;

	if (err != -EINTR && !looked)
		return false;
	call->interrupted = true;
	return !is_dying(fuse_req_ctx(call->req)->pid);
}

static void on_fetched(void *arg, int err)
{
	struct await *a = arg;

	fuse_req_interrupt_func(a->call.req, NULL, NULL);
	if (waits_on(&a->call, err))
		err = 0;
	else if (err == -ETIMEDOUT && a->call.interrupted && time_mono_ns() < a->call.deadline_ns)
		err = -EINTR;
	mount_call_resume(&a->call, err == -ETIMEDOUT || err == -ECANCELED ? -EIO : err);
	file_wait_free(a->wait);
	free(a);
}

/* With *deadline_ns, or briefly where who asks has been interrupted. */
static int await_wait(struct mount_call *call, struct file *file, uint64_t off, uint64_t len,
		      struct fetch_wait **out)
{
	int64_t look_ns = time_mono_ns() + LOOK_NS;
	bool brief = call->interrupted && look_ns < call->deadline_ns;
	int err = file_wait_new(file, off, len, brief ? &look_ns : &call->deadline_ns, out);

	if (!err && brief)
		file_wait_brief(*out);
	return err;
}

static int await_new(const struct mount_call *call, struct file *file, uint64_t off, uint64_t len,
		     struct await **out)
{
	struct await *a = calloc(1, sizeof *a);
	int err;

	if (!a)
		return -ENOMEM;
	a->call = *call;
	err = await_wait(&a->call, file, off, len, &a->wait);
	if (err)
		free(a);
	else
		*out = a;
	return err;
}

void mount_call_await(struct mount_call *call, struct file *file, uint64_t off, uint64_t len)
{
	struct await *a = NULL;
	int got = 0;

	/* Content that goes away again and again while it is being read. */
	if (call->awaits >= AWAITS_MAX)
		got = -EIO;
	if (!got)
		got = await_new(call, file, off, len, &a);
	if (got) {
		mount_reply_err(call->req, got == -ECANCELED ? -EIO : got);
		return;
	}
	mount_call_leave();
	/* It is told of at once if it came already; and but once. */
	if (!call->interrupted)
		fuse_req_interrupt_func(call->req, on_interrupt, a);
	got = file_wait_go(a->wait, on_fetched, a);
	if (got) {
		a->call.awaits++;
		on_fetched(a, got > 0 ? 0 : got);
	}
}
