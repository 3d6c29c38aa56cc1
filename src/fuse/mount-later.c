/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The pools for requests that may take long, and the thread that replies to them. */
#include "config.h"

#include "fuse/mount-later.h"

#include <errno.h>
#include <stdlib.h>

#include "util/err.h"
#include "util/pool.h"

/* Inodes that share a counter only send a call to the pool in vain. */
#define SLOW_COUNTERS 256

/* Threads for what waits for other requests, and how much of that can be on its way. */
#define WAITS_THREADS 4
#define WAITS_MAX 4096

struct mount_later {
	struct pool *work;               /* what is slow; with io_uring only */
	struct pool *waits;              /* what waits for requests, which may be in `work` */
	struct pool *replies;            /* one thread that sends what they reply */
	atomic_uint slow[SLOW_COUNTERS]; /* calls on the pool, by inode */
};

enum reply { REPLY_ERR, REPLY_OPEN, REPLY_ATTR, REPLY_BYTES, REPLY_WRITE, REPLY_LSEEK };

/* A call on the pool, and what it replies. */
struct put_off {
	struct mount_call call;
	struct mount_later *later;
	enum reply reply;
	int err;
	struct fuse_file_info fi;
	struct stat attr;
	const char *bytes;
	size_t count;
	off_t pos;
	bool left; /* nothing is to be replied: mount_call_leave() */
};

/* The call that this thread of the pool carries out. */
static _Thread_local struct put_off *current;

/* This thread takes requests. */
static _Thread_local bool serving;

static atomic_uint *slow_counter(struct mount_later *l, fuse_ino_t ino)
{
	return &l->slow[ino % SLOW_COUNTERS];
}

/* What waits for a request on its inode is nothing for that to wait for. */
static void count_slow(struct put_off *p, unsigned by)
{
	if (p->call.waits)
		return;
	if (p->call.ino)
		atomic_fetch_add(slow_counter(p->later, p->call.ino), by);
	if (p->call.other)
		atomic_fetch_add(slow_counter(p->later, p->call.other), by);
}

static void send_reply(void *arg)
{
	struct put_off *p = arg;
	fuse_req_t req = p->call.req;

	switch (p->reply) {
	case REPLY_OPEN:
		fuse_reply_open(req, &p->fi);
		break;
	case REPLY_ATTR:
		fuse_reply_attr(req, &p->attr, MOUNT_TIMEOUT_S);
		break;
	case REPLY_BYTES:
		fuse_reply_buf(req, p->bytes, p->count);
		break;
	case REPLY_WRITE:
		fuse_reply_write(req, p->count);
		break;
	case REPLY_LSEEK:
		fuse_reply_lseek(req, p->pos);
		break;
	case REPLY_ERR:
		fuse_reply_err(req, p->err);
		break;
	}
	free(p);
}

static void end_call(struct put_off *p)
{
	/* There is room for every request; the thread ends after this one. */
	if (p->left)
		free(p);
	else if (pool_submit(p->later->replies, send_reply, p))
		send_reply(p);
}

static void carry_out(void *arg)
{
	struct put_off *p = arg;

	current = p;
	p->call.run(&p->call);
	current = NULL;
	count_slow(p, -1U);
	end_call(p);
}

void mount_call_leave(void)
{
	if (current)
		current->left = true;
}

/* Other threads than those that take requests from /dev/fuse, where every thread may reply, have one to send their replies. */
void mount_call_resume(struct mount_call *call, int err)
{
	struct put_off *p = mount_ring_request(call->req) ? calloc(1, sizeof *p) : NULL;

	serving = true;
	if (p) {
		p->call = *call;
		p->later = mount_of(call->req)->later;
		p->err = EIO;
		current = p;
	}
	if (err)
		mount_reply_err(call->req, err);
	else
		call->run(p ? &p->call : call);
	current = NULL;
	if (p)
		end_call(p);
}

static int put_off(struct mount_later *l, const struct mount_call *call)
{
	struct put_off *p = calloc(1, sizeof *p);
	int err;

	if (!p)
		return -ENOMEM;
	p->call = *call;
	p->later = l;
	p->err = EIO;
	count_slow(p, 1);
	err = pool_try_submit(call->waits ? l->waits : l->work, carry_out, p);
	if (err) {
		count_slow(p, -1U);
		free(p);
	}
	return err == -ECANCELED ? -ENOTCONN : err;
}

static bool meets_slow(struct mount_later *l, const struct mount_call *call)
{
	return (call->ino && atomic_load(slow_counter(l, call->ino))) ||
	       (call->other && atomic_load(slow_counter(l, call->other)));
}

/* Whether the call is done, on the thread of a ring. */
static bool do_at_once(struct mount_later *l, struct mount_call *call)
{
	if (meets_slow(l, call))
		return false;
	if (call->at_once)
		return call->at_once(call);
	if (call->slow)
		return false;
	call->run(call);
	return true;
}

void mount_call(struct mount_call *call)
{
	struct mount_later *l = mount_of(call->req)->later;
	int err;

	serving = true;
	if (!call->waits && !mount_ring_request(call->req)) {
		call->run(call);
		return;
	}
	if (!call->waits && do_at_once(l, call))
		return;
	err = put_off(l, call);
	if (err)
		mount_reply_err(call->req, err);
}

bool mount_later_must(void)
{
	return serving || current;
}

struct task {
	void (*fn)(struct mount *m, int64_t ino);
	struct mount *m;
	int64_t ino;
};

static void do_task(void *arg)
{
	struct task *t = arg;

	t->fn(t->m, t->ino);
	free(t);
}

int mount_later_do(struct mount *m, void (*fn)(struct mount *m, int64_t ino), int64_t ino)
{
	struct task *t = malloc(sizeof *t);
	int err;

	if (!t)
		return -ENOMEM;
	*t = (struct task){ .fn = fn, .m = m, .ino = ino };
	err = pool_try_submit(m->later->waits, do_task, t);
	if (err)
		free(t);
	return err;
}

int mount_later_new(struct mount *m, int threads, size_t requests)
{
	struct mount_later *l = calloc(1, sizeof *l);
	int err;

	if (!l)
		return -ENOMEM;
	m->later = l;
	err = pool_new("garner-reply", 1, WAITS_MAX + requests, &l->replies);
	if (!err)
		err = pool_new("garner-waits", WAITS_THREADS, WAITS_MAX, &l->waits);
	if (!err && requests)
		err = pool_new("garner-later", (unsigned)threads, requests, &l->work);
	return err;
}

int mount_later_start(struct mount *m)
{
	struct mount_later *l = m->later;
	int err = pool_start(l->replies);

	if (!err)
		err = pool_start(l->waits);
	if (!err && l->work)
		err = pool_start(l->work);
	return err;
}

void mount_later_stop(struct mount *m)
{
	if (m->later->work)
		pool_stop(m->later->work);
	pool_stop(m->later->waits);
	pool_stop(m->later->replies);
}

void mount_later_free(struct mount *m)
{
	if (!m->later)
		return;
	pool_free(m->later->work);
	pool_free(m->later->waits);
	pool_free(m->later->replies);
	free(m->later);
	m->later = NULL;
}

void mount_reply_err(fuse_req_t req, int err)
{
	if (!current) {
		fuse_reply_err(req, err_errno(err));
		return;
	}
	current->reply = REPLY_ERR;
	current->err = err_errno(err);
}

int mount_reply_open(fuse_req_t req, const struct fuse_file_info *fi)
{
	if (!current)
		return fuse_reply_open(req, fi);
	current->reply = REPLY_OPEN;
	current->fi = *fi;
	return 0;
}

void mount_reply_attr(fuse_req_t req, const struct stat *st)
{
	if (!current) {
		fuse_reply_attr(req, st, MOUNT_TIMEOUT_S);
		return;
	}
	current->reply = REPLY_ATTR;
	current->attr = *st;
}

void mount_reply_bytes(fuse_req_t req, const char *bytes, size_t len)
{
	if (!current) {
		fuse_reply_buf(req, bytes, len);
		return;
	}
	current->reply = REPLY_BYTES;
	current->bytes = bytes;
	current->count = len;
}

void mount_reply_write(fuse_req_t req, size_t count)
{
	if (!current) {
		fuse_reply_write(req, count);
		return;
	}
	current->reply = REPLY_WRITE;
	current->count = count;
}

void mount_reply_lseek(fuse_req_t req, off_t pos)
{
	if (!current) {
		fuse_reply_lseek(req, pos);
		return;
	}
	current->reply = REPLY_LSEEK;
	current->pos = pos;
}
