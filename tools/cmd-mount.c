/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * garner mount, and mount.garner for fstab. The parent waits until the mount answers (or has failed, with the child's exit code); the child, gone to the
 * background before it makes a thread or opens the database, serves.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd-mount.h"
#include "cmd.h"
#include "library/control.h"
#include "util/cleanup.h"
#include "util/err.h"
#include "util/log.h"

#define ANSWER_MS 5000
#define LARGE_BYTES (256 << 10)

static const struct cmd_option options[] = {
	{ "foreground", 'f', NULL, "stay in the foreground, log to stderr" },
	{ "options", 'o', "LIST", "mount options, see garner-mount(1)" },
	{ "debug", 'd', NULL, "print every request (implies -f)" },
	{ 0 },
};

struct serving {
	const char *library, *mountpoint;
	struct mount_options *options;
	bool nonempty; /* as in struct mount_request */
	int ready_fd;  /* the parent waits for a byte here; -1: in the foreground */
};

/* The child's goodbye to the terminal. */
static void on_ready(void *arg)
{
	struct serving *s = arg;
	int null;

	if (s->ready_fd < 0)
		return;
	log_init(LOG_LEVEL_INFO, LOG_TARGET_SYSLOG);
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null >= 0) {
		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
		if (null > STDERR_FILENO)
			close(null);
	}
	if (write(s->ready_fd, "", 1) != 1)
		log_warn("the process that mounted is gone");
	close(s->ready_fd);
	s->ready_fd = -1;
}

static const char *mount_advice(int err)
{
	switch (err) {
	case -ENODEV:
		return "there is no /dev/fuse; load the module with 'modprobe fuse', or give the "
		       "container the device";
	case -EBUSY:
		return "the mountpoint is in use";
	case -EPERM:
	case -EACCES:
		return "not allowed to mount here; ordinary users need fusermount3 (package fuse3) "
		       "and a mountpoint of their own";
	default:
		return NULL;
	}
}

/* As other filesystems do, ours goes over a folder that is not empty; but that is seldom meant. */
static void warn_hidden(const struct cmd *cmd, const char *mountpoint)
{
	CLEANUP_DIR DIR *d = cmd_is_automount(mountpoint) ? NULL : opendir(mountpoint);
	struct dirent *e;

	while (d && (e = readdir(d))) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		cmd_refuse(cmd, 0, mountpoint,
			   "not empty; what is in it is hidden while the library is mounted");
		return;
	}
}

/* Each file that is open in the mount takes a descriptor or two here: as many as we may have. */
static void raise_files(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
}

/*
 * Chunks on their way to and from a bucket, of some MiB each, go back to the system when they are done with. By itself glibc would raise this limit to what was
 * freed last, and keep as much as was ever under way.
 */
static void give_memory_back(void)
{
#ifdef M_MMAP_THRESHOLD
	(void)mallopt(M_MMAP_THRESHOLD, LARGE_BYTES);
#endif
}

static int serve(const struct cmd *cmd, struct serving *s)
{
	struct library *lib;
	struct mount *m = NULL;
	const char *advice;
	int code, err;

	raise_files();
	give_memory_back();
	lib = cmd_open(cmd, s->library,
		       s->options->read_only ? LIBRARY_RDONLY | LIBRARY_MOUNT : LIBRARY_MOUNT,
		       &code);
	if (!lib)
		return code;
	if (!s->nonempty)
		warn_hidden(cmd, s->mountpoint);
	err = mount_new(lib, s->mountpoint, s->options, &m);
	if (!err)
		err = mount_serve(m, on_ready, s);
	mount_free(m);
	library_close(lib);
	advice = err ? mount_advice(err) : NULL;
	if (advice)
		fprintf(stderr, "garner %s: %s\n", cmd->name, advice);
	return cmd_fail(cmd, s->mountpoint, err);
}

/* The exit code of a child that ended before it was ready. */
static int wait_child(const struct cmd *cmd, pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return cmd_fail(cmd, "waiting for the daemon", -errno);
	if (WIFEXITED(status))
		return WEXITSTATUS(status) ? WEXITSTATUS(status) : CMD_FAILED;
	fprintf(stderr, "garner %s: the daemon was killed by signal %d\n", cmd->name,
		WTERMSIG(status));
	return CMD_FAILED;
}

static int run_child(const struct cmd *cmd, struct serving *s, int ready_fd)
{
	s->ready_fd = ready_fd;
	setsid();
	if (chdir("/"))
		return cmd_fail(cmd, "/", -errno);
	return serve(cmd, s);
}

static int serve_in_background(const struct cmd *cmd, struct serving *s)
{
	int ends[2];
	char byte;
	ssize_t got;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC))
		return cmd_fail(cmd, "pipe", -errno);
	fflush(NULL);
	pid = fork();
	if (pid < 0)
		return cmd_fail(cmd, "fork", -errno);
	if (pid == 0) {
		close(ends[0]);
		exit(run_child(cmd, s, ends[1]));
	}
	close(ends[1]);
	do
		got = read(ends[0], &byte, 1);
	while (got < 0 && errno == EINTR);
	close(ends[0]);
	return got == 1 ? CMD_OK : wait_child(cmd, pid);
}

/*
 * Remounting changes the kernel's flags alone. A library that was mounted with ro is open for reading only, which shows in that it has no control
 * socket: no remount makes it writable.
 */
static int remount(const struct cmd *cmd, const char *mountpoint, const struct mount_request *r)
{
	CLEANUP_FREE char *library = cmd_library_at(mountpoint);
	const struct mount_options *o = &r->options;
	unsigned long flags = MS_REMOUNT | r->remount_flags | (o->read_only ? MS_RDONLY : 0) |
			      (o->dev ? 0 : MS_NODEV) | (o->suid ? 0 : MS_NOSUID) |
			      (o->exec ? 0 : MS_NOEXEC);

	if (!library)
		return cmd_refuse(cmd, CMD_NOT_FOUND, mountpoint, "no library is mounted there");
	if (!o->read_only && control_call(library, "{\"do\":\"status\"}", ANSWER_MS, NULL))
		return cmd_refuse(cmd, CMD_DENIED, mountpoint,
				  "was mounted read-only; to write, unmount it and mount it again");
	if (mount(NULL, mountpoint, NULL, flags, NULL) == 0)
		return CMD_OK;
	if (errno == EBUSY)
		return cmd_refuse(cmd, CMD_BUSY, mountpoint, "files are open for writing");
	return cmd_fail(cmd, mountpoint, -errno);
}

/* The mistakes that would show only later, or in a riddle. An exit code. */
static int check_places(const struct cmd *cmd, const char *library, const char *mountpoint)
{
	CLEANUP_BUF struct buf database = BUF_INIT;
	struct stat st;

	if (buf_printf(&database, "%s/garner.db", mountpoint))
		return cmd_fail(cmd, NULL, -ENOMEM);
	if (cmd_lies_in(library, mountpoint) || cmd_lies_in(mountpoint, library))
		return cmd_refuse(cmd, CMD_USAGE, mountpoint,
				  "mounted there, the library would lie in its own mount, or the "
				  "mount in it; take another folder");
	if (stat(mountpoint, &st) == 0 && !S_ISDIR(st.st_mode))
		return cmd_refuse(cmd, CMD_NOT_FOUND, mountpoint,
				  "not a folder; a mountpoint is one");
	if (access(database.data, F_OK) == 0)
		return cmd_refuse(cmd, CMD_USAGE, mountpoint,
				  "a library itself; the library comes first, then the mountpoint");
	return CMD_OK;
}

static int mount_library(const struct cmd *cmd, const char *library, const char *mountpoint,
			 struct mount_request *r, bool foreground)
{
	CLEANUP_FREE char *from = NULL;
	CLEANUP_FREE char *to = NULL;
	struct serving s = { .options = &r->options, .nonempty = r->nonempty, .ready_fd = -1 };
	int code;

	if (r->remount)
		return remount(cmd, mountpoint, r);
	from = realpath(library, NULL);
	if (!from)
		return cmd_fail_library(cmd, library, -errno);
	to = cmd_full_path(mountpoint);
	if (!to && errno == ENOENT)
		return cmd_refuse(cmd, CMD_NOT_FOUND, mountpoint,
				  "there is no such folder to mount at; make it first");
	if (!to)
		return cmd_fail(cmd, mountpoint, -errno);
	code = check_places(cmd, from, to);
	if (code)
		return code;
	s.library = from;
	s.mountpoint = to;
	return foreground ? serve(cmd, &s) : serve_in_background(cmd, &s);
}

static int run(const struct cmd *cmd, int argc, char **argv)
{
	struct mount_request r __attribute__((cleanup(mount_request_release)));
	struct cmd_line l;
	bool foreground = false;
	char bad[64];
	int key;

	mount_request_init(&r);
	cmd_begin(&l, cmd, argc, argv);
	while ((key = cmd_next(&l)) >= 0) {
		if (key == 'f' || key == 'd')
			foreground = true;
		if (key == 'd')
			r.options.debug = true;
		if (key == 'o' && mount_request_parse(&r, l.value, bad, sizeof bad))
			return cmd_usage(cmd, "unknown or malformed mount option '%s'", bad);
	}
	if (key == CMD_STOP)
		return l.exit;
	return mount_library(cmd, l.argv[0], l.argv[1], &r, foreground);
}

const struct cmd cmd_mount = {
	.name = "mount",
	.operands = "LIBRARY MOUNTPOINT",
	.summary = "Mount a library",
	.options = options,
	.min_operands = 2,
	.max_operands = 2,
	.run = run,
};

#define HELPER_USAGE 1
#define HELPER_FAILED 32

static int helper_usage(const char *why)
{
	fprintf(stderr,
		"mount.garner: %s\nusage: mount.garner LIBRARY MOUNTPOINT [-sfnv] [-o OPTIONS]\n",
		why);
	return HELPER_USAGE;
}

int cmd_mount_helper(int argc, char **argv)
{
	struct mount_request r __attribute__((cleanup(mount_request_release)));
	bool fake = false;
	char bad[64], text[128];
	int key;

	mount_request_init(&r);
	while ((key = getopt(argc, argv, "sfnvo:t:N:")) != -1) {
		if (key == '?')
			return helper_usage("unknown option");
		if (key == 'f')
			fake = true;
		if (key == 'o' && mount_request_parse(&r, optarg, bad, sizeof bad)) {
			snprintf(text, sizeof text, "unknown or malformed mount option '%s'", bad);
			return helper_usage(text);
		}
	}
	if (argc - optind != 2)
		return helper_usage("wanted: a library and a mountpoint");
	if (fake)
		return 0;
	if (mount_library(&cmd_mount, argv[optind], argv[optind + 1], &r, false) == CMD_OK)
		return 0;
	return r.nofail && access(argv[optind], F_OK) && errno == ENOENT ? 0 : HELPER_FAILED;
}
