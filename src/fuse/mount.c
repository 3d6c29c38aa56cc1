/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The life of a mount: options, the session, the workers, the end.
 *
 * The workers are our own threads, all alive from beginning to end: each reads a request and answers it, in turns (mount-turn.c). They end when the kernel says that the
 * filesystem is gone (ENODEV), or when the signal thread has seen the last of the writes to us and shakes them out of their read.
 */
#include "config.h"

#include "fuse/mount.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fuse/mount-later.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/err.h"
#include "util/log.h"

#define DEFAULT_THREADS 10
#define SHAKE_MS 10 /* how often a worker that must end is woken */

struct mount *mount_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

struct actor mount_actor(fuse_req_t req)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);
	const struct mount *m = mount_of(req);

	return (struct actor){ .uid = m->opts.squash_uid ? m->opts.uid : ctx->uid,
			       .gid = m->opts.squash_gid ? m->opts.gid : ctx->gid,
			       .umask = ctx->umask };
}

static const struct fuse_lowlevel_ops *operations(void)
{
	static struct fuse_lowlevel_ops ops;

	mount_add_init_op(&ops);
	mount_add_name_ops(&ops);
	mount_add_attr_ops(&ops);
	mount_add_file_ops(&ops);
	mount_add_dir_ops(&ops);
	mount_add_xattr_ops(&ops);
	return &ops;
}

/* ',' and '\' would end an option's value. */
static int add_escaped(struct buf *b, const char *text)
{
	int err = 0;

	for (; *text && !err; text++) {
		if (*text == ',' || *text == '\\')
			err = buf_add_byte(b, '\\');
		if (!err)
			err = buf_add_byte(b, (unsigned char)*text);
	}
	return err;
}

static int build_options(const struct mount *m, struct buf *b)
{
	const struct mount_options *o = &m->opts;
	bool root = geteuid() == 0;
	int err = buf_add_str(b, "default_permissions,subtype=garner,fsname=");

	if (!err)
		err = add_escaped(b, library_path(m->lib));
	if (!err)
		err = buf_add_str(b, o->read_only ? ",ro" : ",rw");
	if (!err && o->allow_other)
		err = buf_add_str(b, ",allow_other");
	if (!err)
		err = buf_add_str(b, root && o->dev ? ",dev" : ",nodev");
	if (!err)
		err = buf_add_str(b, root && o->suid ? ",suid" : ",nosuid");
	if (!err && !o->exec)
		err = buf_add_str(b, ",noexec");
	if (!err && o->kernel && *o->kernel)
		err = buf_printf(b, ",%s", o->kernel);
	if (!err)
		err = mount_ring_options(m, b);
	return err;
}

static int session_new(struct mount *m)
{
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	struct buf options CLEANUP_BUF = BUF_INIT;
	int err = build_options(m, &options);

	if (err)
		return err;
	if (fuse_opt_add_arg(&args, "garner") || fuse_opt_add_arg(&args, "-o") ||
	    fuse_opt_add_arg(&args, options.data) ||
	    (m->opts.debug && fuse_opt_add_arg(&args, "-d"))) {
		fuse_opt_free_args(&args);
		return -ENOMEM;
	}
	m->se = fuse_session_new(&args, operations(), sizeof(struct fuse_lowlevel_ops), m);
	fuse_opt_free_args(&args);
	return m->se ? 0 : -EINVAL;
}

/*
 * Whether the daemon of a mount there is dead. The kernel may still know attributes and let stat(2) succeed, but figures of the filesystem are asked for each
 * time; by O_PATH, which does not wait for an automount.
 */
static bool is_dead(const char *mountpoint)
{
	CLEANUP_CLOSE int fd = open(mountpoint, O_PATH | O_CLOEXEC);
	struct statfs fs;

	return (fd < 0 || fstatfs(fd, &fs)) && (errno == ENOTCONN || errno == ECONNABORTED);
}

/* Tells the likeliest obstacles apart, for libfuse gives one answer to all. */
static int check_mountpoint(const char *mountpoint)
{
	struct stat st;

	if (is_dead(mountpoint)) {
		log_warn("%s: a mount whose daemon died is still there; unmounting it", mountpoint);
		if (mount_detach(mountpoint, true))
			return -ENOTCONN;
	}
	if (stat(mountpoint, &st))
		return -errno;
	if (!S_ISDIR(st.st_mode))
		return -ENOTDIR;
	if (access("/dev/fuse", F_OK))
		return -ENODEV;
	return 0;
}

static void on_shake(int sig)
{
	(void)sig;
}

/* Signals that end us are for the signal thread alone; a reader that goes away is no reason to die. */
static void block_signals(void)
{
	static const int ours[] = { SIGTERM, SIGINT, SIGHUP, SIGUSR2, SIGPIPE };
	struct sigaction shake = { .sa_handler = on_shake };
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
		sigaddset(&set, ours[i]);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	sigaction(SIGUSR1, &shake, NULL);
}

int mount_new(struct library *lib, const char *mountpoint, const struct mount_options *opts,
	      struct mount **out)
{
	struct mount *m = calloc(1, sizeof *m);
	int err;

	if (!m)
		return -ENOMEM;
	lock_init(&m->lock, LOCK_RANK_MOUNT);
	lock_cond_init(&m->decided);
	lock_cond_init(&m->worker_ended);
	mount_turns_init(&m->turns);
	lock_cond_init(&m->notified);
	m->lib = lib;
	m->opts = *opts;
	if (m->opts.threads <= 0)
		m->opts.threads = DEFAULT_THREADS;
	m->uring = m->opts.uring && mount_libfuse_uring() && mount_kernel_uring() == 1;
	err = check_mountpoint(mountpoint);
	if (!err)
		err = mount_later_new(m, m->opts.threads, m->uring ? mount_ring_requests() : 0);
	if (!err) {
		m->mountpoint = realpath(mountpoint, NULL);
		err = m->mountpoint ? session_new(m) : -errno;
	}
	if (!err) {
		/* A signal between the mount and its threads waits for them: or it would leave a mount without a daemon. */
		block_signals();
		errno = 0;
		if (fuse_session_mount(m->se, m->mountpoint))
			err = errno ? -errno : -EPERM;
		m->mounted = !err;
	}
	if (err) {
		mount_free(m);
		return err;
	}
	*out = m;
	return 0;
}

void mount_free(struct mount *m)
{
	if (!m)
		return;
	if (m->mounted)
		fuse_session_unmount(m->se);
	mount_later_free(m);
	if (m->se)
		fuse_session_destroy(m->se);
	free(m->mountpoint);
	free(m->workers);
	lock_cond_release(&m->worker_ended);
	lock_cond_release(&m->notified);
	lock_cond_release(&m->decided);
	mount_turns_release(&m->turns);
	lock_release(&m->lock);
	free(m);
}

/* After the first request, INIT, was answered: libfuse may still have found fault with what we asked of the kernel. */
static void tell_ready(struct mount *m)
{
	if (!atomic_load_explicit(&m->agreed, memory_order_relaxed) ||
	    !atomic_exchange(&m->agreed, false) || fuse_session_exited(m->se))
		return;
	m->served = true;
	if (m->ready)
		m->ready(m->ready_arg);
}

static void *work(void *arg)
{
	struct mount *m = arg;
	struct fuse_buf buf = { 0 };

	while (!fuse_session_exited(m->se)) {
		mount_turn_take(&m->turns);
		int got = fuse_session_receive_buf(m->se, &buf);

		mount_turn_give(&m->turns);
		if (got == -EINTR || got == -EAGAIN)
			continue;
		if (got <= 0)
			break;
		fuse_session_process_buf(m->se, &buf);
		tell_ready(m);
	}
	fuse_session_exit(m->se);
	mount_turns_end(&m->turns);
	free(buf.mem);
	lock_lock(&m->lock);
	atomic_fetch_sub(&m->workers_alive, 1);
	lock_cond_broadcast(&m->worker_ended);
	lock_unlock(&m->lock);
	return NULL;
}

/* A worker blocked in its read ends only when a signal interrupts it; one may come just before the read, so it is sent until it is heard. */
static void end_workers(struct mount *m)
{
	fuse_session_exit(m->se);
	mount_turns_end(&m->turns);
	while (atomic_load(&m->workers_alive) > 0) {
		for (int i = 0; i < m->worker_count; i++)
			pthread_kill(m->workers[i], SIGUSR1);
		usleep(SHAKE_MS * 1000);
	}
}

/*
 * Ends the mount from inside: unmounts while the workers still answer, so that the kernel hands over every dirty page. A mount in use is written
 * back file by file and then taken away from its name.
 */
static void unmount_served(struct mount *m)
{
	int err = mount_detach(m->mountpoint, false);

	if (err == -EBUSY) {
		mount_write_back(m);
		err = mount_detach(m->mountpoint, true);
	}
	if (err)
		log_warn("%s: cannot unmount: %s", m->mountpoint, err_text(err));
}

static void *wait_signals(void *arg)
{
	struct mount *m = arg;
	sigset_t set;
	int sig;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGUSR2);
	if (sigwait(&set, &sig) || sig == SIGUSR2)
		return NULL; /* the mount ended from outside */
	m->told_to_end = true;
	log_info("%s: ending on signal %d", m->mountpoint, sig);
	/* Who waits for the bucket would hold the mount. */
	library_stop_fetching(m->lib);
	unmount_served(m);
	mount_notify_end(m);
	end_workers(m);
	return NULL;
}

static int start_workers(struct mount *m)
{
	int count = m->opts.threads;

	m->workers = calloc((size_t)count, sizeof *m->workers);
	if (!m->workers)
		return -ENOMEM;
	for (int i = 0; i < count; i++) {
		int err;

		atomic_fetch_add(&m->workers_alive, 1);
		err = pthread_create(&m->workers[i], NULL, work, m);
		if (err) {
			atomic_fetch_sub(&m->workers_alive, 1);
			if (m->worker_count)
				break; /* fewer will do */
			return -err;
		}
		m->worker_count++;
	}
	return 0;
}

/* They are joined only when nobody signals them any more. */
static void await_workers(struct mount *m)
{
	lock_lock(&m->lock);
	while (atomic_load(&m->workers_alive) > 0)
		lock_cond_wait(&m->worker_ended, &m->lock);
	lock_unlock(&m->lock);
}

int mount_serve(struct mount *m, void (*ready)(void *arg), void *arg)
{
	int err;

	m->ready = ready;
	m->ready_arg = arg;
	err = library_start(m->lib);
	if (err)
		return err;
	err = mount_later_start(m);
	if (!err)
		err = mount_notify_start(m);
	if (err)
		return err;
	err = start_workers(m);
	if (err) {
		mount_notify_stop(m);
		return err;
	}
	err = -pthread_create(&m->signals, NULL, wait_signals, m);
	if (err)
		end_workers(m);
	await_workers(m);
	if (!err) {
		pthread_kill(m->signals, SIGUSR2);
		pthread_join(m->signals, NULL);
	}
	for (int i = 0; i < m->worker_count; i++)
		pthread_join(m->workers[i], NULL);
	library_stop_fetching(m->lib);
	mount_ring_stop(m);
	mount_notify_stop(m);
	mount_close_handles(m);
	return err || m->served || m->told_to_end ? err : -EPROTO;
}

#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)

const char *mount_libfuse_version(void)
{
	return fuse_pkgversion();
}

const char *mount_libfuse_built(void)
{
	return TEXT(FUSE_MAJOR_VERSION) "." TEXT(FUSE_MINOR_VERSION);
}

bool mount_libfuse_passthrough(void)
{
	int major = 0, minor = 0;

	return sscanf(fuse_pkgversion(), "%d.%d", &major, &minor) == 2 &&
	       (major > 3 || minor >= 17);
}
