/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Requests that wait for bytes which have to be fetched. Nobody waits with them: what fetches calls on_fetched(), on a thread of its own, and the call runs anew
 * there, reads what is in memory or in a file by now, and replies.
 *
 * An interrupt of the program (by /dev/fuse, also where its requests come over io_uring) ends the wait. libfuse holds the request's lock while it tells of one, and
 * fuse_req_interrupt_func() takes it: so after on_fetched() has taken the function back nobody is about to call it.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "fuse/mount-later.h"
#include "library/file.h"

enum { AWAITS_MAX = 100 };

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

static void on_fetched(void *arg, int err)
{
	struct await *a = arg;

	fuse_req_interrupt_func(a->call.req, NULL, NULL);
	mount_call_resume(&a->call, err == -ETIMEDOUT || err == -ECANCELED ? -EIO : err);
	file_wait_free(a->wait);
	free(a);
}

static int await_new(const struct mount_call *call, struct file *file, uint64_t off, uint64_t len,
		     struct await **out)
{
	struct await *a = calloc(1, sizeof *a);
	int err;

	if (!a)
		return -ENOMEM;
	a->call = *call;
	err = file_wait_new(file, off, len, &a->call.deadline_ns, &a->wait);
	if (err)
		free(a);
	else
		*out = a;
	return err;
}

void mount_call_await(struct mount_call *call, struct file *file, uint64_t off, uint64_t len)
{
	struct await *a = NULL;
	/* Content that goes away again and again while it is being read. */
	int got = call->awaits++ < AWAITS_MAX ? await_new(call, file, off, len, &a) : -EIO;

	if (got) {
		mount_reply_err(call->req, got == -ECANCELED ? -EIO : got);
		return;
	}
	mount_call_leave();
	/* It is told of at once if it came already. */
	fuse_req_interrupt_func(call->req, on_interrupt, a);
	got = file_wait_go(a->wait, on_fetched, a);
	if (got)
		on_fetched(a, got > 0 ? 0 : got);
}
