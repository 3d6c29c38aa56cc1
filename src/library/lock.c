/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who mounts a library. */
#include "config.h"

#include "library/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "util/buf.h"
#include "util/cleanup.h"
#include "util/err.h"
#include "util/io.h"
#include "util/log.h"
#include "util/time.h"

#define LOCK_FILE "mount.lock"
#define NS_PER_MS INT64_C(1000000)

enum { PID_TEXT = 32, POLL_MS = 10, HOLDER_MS = 1000, LEAVING_MS = 30000 };

static void pause_for(int ms)
{
	nanosleep(&(struct timespec){ .tv_nsec = ms * NS_PER_MS }, NULL);
}

/* The holder's process id as text; empty while it leaves. */
static void read_holder(int fd, char pid[PID_TEXT])
{
	ssize_t got = io_pread_full(fd, pid, PID_TEXT - 1, 0);

	pid[got > 0 ? got : 0] = '\0';
	pid[strcspn(pid, "\n")] = '\0';
}

/* The pid is a help for people; the lock alone counts. */
static void note_holder(struct library *lib)
{
	char pid[PID_TEXT];
	int len = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());

	if (ftruncate(lib->lock_fd, 0) || io_pwrite_full(lib->lock_fd, pid, (size_t)len, 0))
		log_warn("%s/" LOCK_FILE ": cannot be written: %s", lib->path, strerror(errno));
}

/* 0 taken, -EWOULDBLOCK held by another, or a negative errno. */
static int try_lock(int fd, int how)
{
	return flock(fd, how | LOCK_NB) ? -errno : 0;
}

static int wait_lock(struct library *lib)
{
	int64_t start = time_mono_ns();
	char pid[PID_TEXT] = "";
	int err;

	while ((err = try_lock(lib->lock_fd, LOCK_EX)) == -EWOULDBLOCK) {
		read_holder(lib->lock_fd, pid);
		if (time_mono_ns() - start > (pid[0] ? HOLDER_MS : LEAVING_MS) * NS_PER_MS)
			break;
		pause_for(POLL_MS);
	}
	if (err != -EWOULDBLOCK)
		return err;
	log_error("%s: mounted already, by process %s", lib->path, pid[0] ? pid : "(unknown)");
	return ERR_LOCKED;
}

int library_lock(struct library *lib)
{
	bool read_only = library_read_only(lib);
	int flags = read_only ? O_RDONLY | O_CLOEXEC : O_RDWR | O_CREAT | O_CLOEXEC;
	int err;

	lib->lock_fd = openat(lib->dir_fd, LOCK_FILE, flags, 0644);
	if (lib->lock_fd < 0)
		return read_only && errno == ENOENT ? 0 : -errno;
	err = wait_lock(lib);
	if (err) {
		/* Not held: leaving must not empty the holder's file. */
		close(lib->lock_fd);
		lib->lock_fd = -1;
	} else if (!read_only) {
		note_holder(lib);
	}
	return err;
}

void library_lock_leave(struct library *lib)
{
	if (lib->lock_fd >= 0 && !library_read_only(lib) && ftruncate(lib->lock_fd, 0))
		log_warn("%s/" LOCK_FILE ": cannot be written: %s", lib->path, strerror(errno));
}

int library_wait_unmounted(const char *path, int timeout_ms)
{
	int64_t end = time_mono_ns() + timeout_ms * NS_PER_MS;
	CLEANUP_BUF struct buf file = BUF_INIT;
	CLEANUP_CLOSE int fd = -1;
	int err = buf_printf(&file, "%s/" LOCK_FILE, path);

	if (err)
		return err;
	fd = open(file.data, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
	while ((err = try_lock(fd, LOCK_SH)) == -EWOULDBLOCK) {
		if (time_mono_ns() >= end)
			return -ETIMEDOUT;
		pause_for(POLL_MS);
	}
	return err;
}
