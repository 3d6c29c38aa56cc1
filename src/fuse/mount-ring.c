/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Requests over io_uring instead of /dev/fuse: whether, and what it takes. libfuse makes the rings, a queue and a thread for each core, while it
 * answers INIT, and falls back by itself when it cannot. FORGET and INTERRUPT come by /dev/fuse in any case, so the workers stay.
 */
#include "config.h"

#include <stdio.h>
#include <sys/sysinfo.h>

#include "fuse/mount-later.h"
#include "library/control.h"
#include "util/cleanup.h"
#include "util/log.h"

/*
 * Requests that each core has room for, with a buffer of 1 MiB each that takes memory once it was used. The kernel takes the one that was used
 * last first, so it is the requests at a time that count. For many cores fewer each.
 */
#define DEPTH_MAX 32
#define DEPTH_MIN 8
#define DEPTH_ALL 512

bool mount_libfuse_uring(void)
{
#ifdef HAVE_FUSE_URING
	return true;
#else
	return false;
#endif
}

int mount_kernel_uring(void)
{
	CLEANUP_FILE FILE *p = fopen("/sys/module/fuse/parameters/enable_uring", "re");
	int c = p ? getc(p) : EOF;

	return c == EOF ? -1 : c == 'Y';
}

bool mount_ring_request(fuse_req_t req)
{
#ifdef HAVE_FUSE_URING
	return fuse_req_is_uring(req);
#else
	(void)req;
	return false;
#endif
}

char *mount_ring_memory(fuse_req_t req, size_t size)
{
#ifdef HAVE_FUSE_URING
	char *memory;
	size_t room;

	if (!fuse_req_get_payload(req, &memory, &room, NULL) && room >= size)
		return memory;
#else
	(void)req;
	(void)size;
#endif
	return NULL;
}

static int depth(void)
{
	int all = DEPTH_ALL / get_nprocs_conf();

	return all > DEPTH_MAX ? DEPTH_MAX : all < DEPTH_MIN ? DEPTH_MIN : all;
}

size_t mount_ring_requests(void)
{
	return (size_t)get_nprocs_conf() * (size_t)depth();
}

int mount_ring_options(const struct mount *m, struct buf *b)
{
	return m->uring ? buf_printf(b, ",io_uring,io_uring_q_depth=%d", depth()) : 0;
}

void mount_ring_note(fuse_req_t req)
{
	struct mount *m = mount_of(req);

	if (!m->uring || atomic_load_explicit(&m->uring_known, memory_order_relaxed) ||
	    atomic_exchange(&m->uring_known, true))
		return;
	if (!mount_ring_request(req)) {
		log_warn("%s: io_uring cannot be used: going on without", m->mountpoint);
		mount_ring_describe(m, false);
	}
}

void mount_ring_describe(struct mount *m, bool uring)
{
	(void)control_describe(m->lib, "transport", uring ? "io_uring" : "/dev/fuse");
}

void mount_ring_stop(struct mount *m)
{
	mount_later_stop(m);
	/* The session has ended, so this does no more than what it does last: it ends the rings. */
	if (m->uring)
		(void)fuse_session_loop(m->se);
}

#ifdef TSAN_URING

/*
 * ThreadSanitizer sees threads meet at locks and at descriptors, but not in the memory that io_uring shares with the kernel: what a thread did before it gave a
 * reply to the ring comes before what another does for a request that it takes from there. The linker puts these two before the functions of liburing and
 * of libfuse that they are named after (--wrap, by configure).
 */
struct io_uring;

void __tsan_acquire(void *address);
void __tsan_release(void *address);
int __real_io_uring_submit(struct io_uring *ring);
int __wrap_io_uring_submit(struct io_uring *ring);
void __real_fuse_session_process_uring_cqe(struct fuse_session *se, fuse_req_t req, void *in,
					   void *op, void *payload, size_t len);
void __wrap_fuse_session_process_uring_cqe(struct fuse_session *se, fuse_req_t req, void *in,
					   void *op, void *payload, size_t len);

static char kernel;

int __wrap_io_uring_submit(struct io_uring *ring)
{
	__tsan_release(&kernel);
	return __real_io_uring_submit(ring);
}

void __wrap_fuse_session_process_uring_cqe(struct fuse_session *se, fuse_req_t req, void *in,
					   void *op, void *payload, size_t len)
{
	__tsan_acquire(&kernel);
	__real_fuse_session_process_uring_cqe(se, req, in, op, payload, len);
}

#endif
