/* SPDX-License-Identifier: GPL-3.0-or-later */
/* garner doctor: what on this machine limits garner, and what to do about it. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "backend/s3/probe.h"
#include "backend/store/blobs.h"
#include "cmd.h"
#include "fuse/mount.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/privilege.h"
#include "util/time.h"

enum { KEY_JSON = 'j' };

static const struct cmd_option options[] = {
	{ "json", KEY_JSON, NULL, "print JSON" },
	{ 0 },
};

enum verdict { GOOD, LIMIT, BROKEN };

struct findings {
	json_t *json; /* NULL: text */
	bool broken;
};

/* One finding: what was looked at, what was found, and what to do when it is not good (NULL: nothing). */
static void tell(struct findings *f, enum verdict v, const char *what, const char *found,
		 const char *advice)
{
	static const char *const words[] = { "good", "limit", "broken" };
	static const char *const marks[] = { "  ok  ", " LIMIT", "BROKEN" };

	f->broken = f->broken || v == BROKEN;
	if (f->json)
		json_array_append_new(f->json, json_pack("{s:s, s:s, s:s, s:s?}", "verdict",
							 words[v], "what", what, "found", found,
							 "advice", v == GOOD ? NULL : advice));
	else
		printf("%s  %-22s %s%s%s\n", marks[v], what, found,
		       v == GOOD || !advice ? "" : "\n                               -> ",
		       v == GOOD || !advice ? "" : advice);
}

/* The number in a file of /proc or /sys; -1 when there is none. */
static long read_number(const char *path)
{
	CLEANUP_FILE FILE *f = fopen(path, "re");
	long n;

	return f && fscanf(f, "%ld", &n) == 1 ? n : -1;
}

static void look_at_device(struct findings *f)
{
	CLEANUP_CLOSE int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);

	if (fd >= 0)
		tell(f, GOOD, "/dev/fuse", "can be opened", NULL);
	else if (errno == ENOENT || errno == ENXIO || errno == ENODEV)
		tell(f, BROKEN, "/dev/fuse", "is not there",
		     "load the module ('modprobe fuse'), or give the container the device "
		     "(--device /dev/fuse --cap-add SYS_ADMIN)");
	else if (access("/usr/bin/fusermount3", X_OK) == 0)
		tell(f, GOOD, "/dev/fuse", "is reached through fusermount3", NULL);
	else
		tell(f, BROKEN, "/dev/fuse", strerror(errno),
		     "install the package fuse3, whose fusermount3 lets ordinary users mount");
}

static void look_at_kernel(struct findings *f)
{
	int major = 0, minor = 0;
	struct utsname u;

	if (uname(&u) || sscanf(u.release, "%d.%d", &major, &minor) != 2)
		return;
	if (major > 6 || (major == 6 && minor >= 9))
		tell(f, GOOD, "kernel", u.release, NULL);
	else
		tell(f, LIMIT, "kernel", u.release,
		     "from 6.9 on the kernel can pass reads and writes through to the disk without "
		     "garner");
}

static void look_at_libfuse(struct findings *f)
{
	CLEANUP_BUF struct buf text = BUF_INIT;

	if (buf_printf(&text, "%s, built for %s", mount_libfuse_version(), mount_libfuse_built()))
		return;
	if (mount_libfuse_passthrough())
		tell(f, GOOD, "libfuse", text.data, NULL);
	else
		tell(f, LIMIT, "libfuse", text.data,
		     "3.17 brings passthrough and O_TMPFILE; garner's own path is "
		     "in use");
}

/* What it takes for the kernel to read and write the disk's files without the daemon. */
static void look_at_passthrough(struct findings *f)
{
	struct utsname u;
	int major = 0, minor = 0;

	if (!mount_libfuse_passthrough())
		tell(f, LIMIT, "passthrough", "not in this libfuse",
		     "./setup builds garner with a newer one");
	else if (uname(&u) || sscanf(u.release, "%d.%d", &major, &minor) != 2 || major < 6 ||
		 (major == 6 && minor < 9))
		tell(f, LIMIT, "passthrough", "not in this kernel", "Linux 6.9 or later has it");
	else if (!privilege_sys_admin())
		tell(f, LIMIT, "passthrough", "not for this user",
		     "mount as root: the kernel wants CAP_SYS_ADMIN of who hands it files");
	else
		tell(f, GOOD, "passthrough", "for all that one file holds whole", NULL);
}

static void look_at_uring(struct findings *f)
{
	int kernel = mount_kernel_uring();

	if (!mount_libfuse_uring())
		tell(f, LIMIT, "FUSE over io_uring", "not in this libfuse",
		     "./setup builds garner with a newer one");
	else if (kernel < 0)
		tell(f, LIMIT, "FUSE over io_uring", "not in this kernel",
		     "Linux 6.14 or later has it");
	else if (!kernel)
		tell(f, LIMIT, "FUSE over io_uring", "switched off",
		     "echo Y > /sys/module/fuse/parameters/enable_uring; for good: "
		     "echo options fuse enable_uring=Y > /etc/modprobe.d/fuse.conf");
	else
		tell(f, GOOD, "FUSE over io_uring", "for whatever is mounted from now on", NULL);
}

static void look_at_limits(struct findings *f)
{
	long watches = read_number("/proc/sys/fs/inotify/max_user_watches");
	char text[64];
	struct rlimit files;

	snprintf(text, sizeof text, "%ld watches", watches);
	tell(f, watches >= 100000 ? GOOD : LIMIT, "inotify", text,
	     "sysctl fs.inotify.max_user_watches=1048576 lets larger sources be watched");
	if (getrlimit(RLIMIT_NOFILE, &files))
		return;
	snprintf(text, sizeof text, "%llu open files (hard limit %llu)",
		 (unsigned long long)files.rlim_cur, (unsigned long long)files.rlim_max);
	tell(f, files.rlim_max >= 4096 ? GOOD : LIMIT, "descriptors", text,
	     "raise it: 'ulimit -n 65536', or LimitNOFILE= in the unit");
}

static const char *filesystem_word(const char *path)
{
	struct statfs st;

	if (statfs(path, &st))
		return "unknown";
	switch ((unsigned long)st.f_type) {
	case 0xef53:
		return "ext4";
	case 0x58465342:
		return "xfs";
	case 0x9123683e:
		return "btrfs";
	case 0x01021994:
		return "tmpfs";
	case 0x6969:
		return "nfs";
	case 0xff534d42:
	case 0xfe534d42:
		return "smb";
	case 0x2fc12fc1:
		return "zfs";
	default:
		return "other";
	}
}

static void look_at_disk(struct findings *f, const char *library, struct library *lib)
{
	const char *type = filesystem_word(library);
	const struct blobs_caps *caps = blobs_caps(content_blobs(library_content(lib)));
	struct statvfs st;
	char text[64], left[16];

	if (strcmp(type, "nfs") == 0 || strcmp(type, "smb") == 0)
		tell(f, BROKEN, "library's disk", type,
		     "a database must not lie on a network share: move the library to a local "
		     "disk");
	else
		tell(f, GOOD, "library's disk", type, NULL);
	tell(f, caps->reflink ? GOOD : LIMIT, "reflink",
	     caps->reflink ? "works" : "not on this filesystem",
	     "on XFS or btrfs copies and duplicates share storage; here duplicates are given back "
	     "by punching holes");
	tell(f, caps->punch ? GOOD : LIMIT, "hole punching",
	     caps->punch ? "works" : "not on this filesystem",
	     "space of duplicates and of what was collected comes back only with whole blobs");
	tell(f, caps->lease ? GOOD : LIMIT, "leases",
	     caps->lease ? "work" : "not on this filesystem",
	     "garner cannot tell whether a file is still mapped for writing; it seals after the "
	     "last close");
	if (statvfs(library, &st))
		return;
	snprintf(text, sizeof text, "%s free", cmd_size((uint64_t)st.f_bavail * st.f_frsize, left));
	tell(f, st.f_bavail > st.f_blocks / 50 ? GOOD : LIMIT, "free space", text,
	     "less than 2 % is free: make room, or 'garner gc'");
}

enum { S3_ATTEMPTS = 2, S3_S = 20 };

static void tell_s3_ways(struct findings *f, struct s3_client *client)
{
	bool kept = s3_client_conditional(client) == S3_CONDITIONAL_YES;
	char text[64];

	tell(f, kept ? GOOD : LIMIT, "S3 conditional put", kept ? "works" : "not by this server",
	     "of two machines that upload the same at the same time, both do; nothing is lost");
	if (!s3_client_skew_s(client))
		return;
	snprintf(text, sizeof text, "is off by %lld s", -(long long)s3_client_skew_s(client));
	tell(f, LIMIT, "clock", text, "requests are signed by the server's time; let NTP set it");
}

/* The library's bucket: reached, listed, and unless only looking is allowed written, read and deleted from. */
static void look_at_s3(struct findings *f, struct library *lib)
{
	const struct s3_settings *s3 = &library_settings(lib)->s3;
	bool write = !library_read_only(lib);
	CLEANUP_BUF struct buf name = BUF_INIT;
	struct s3_client *client;
	struct s3_probe p;

	if (library_s3_client(lib, S3_ATTEMPTS, &client))
		return;
	cmd_s3_show(s3, &name);
	if (s3_probe_run(client, write, time_mono_ns() + S3_S * TIME_NS_PER_S, &p)) {
		tell(f, BROKEN, "S3", buf_str(&p.why), p.advice.len ? buf_str(&p.advice) : NULL);
	} else {
		tell(f, GOOD, "S3", buf_str(&name), NULL);
		tell_s3_ways(f, client);
	}
	s3_probe_release(&p);
	s3_client_free(client);
}

static int look_at_library(const struct cmd *cmd, struct findings *f, const char *path)
{
	struct library *lib;
	int code;

	lib = cmd_open(cmd, path, 0, &code);
	if (!lib)
		return code;
	look_at_disk(f, path, lib);
	look_at_s3(f, lib);
	library_close(lib);
	return CMD_OK;
}

static int run(const struct cmd *cmd, int argc, char **argv)
{
	struct findings f = { 0 };
	struct cmd_line l;
	int key, code = CMD_OK, printed;

	cmd_begin(&l, cmd, argc, argv);
	while ((key = cmd_next(&l)) >= 0)
		f.json = f.json ? f.json : json_array();
	if (key == CMD_STOP)
		return l.exit;
	look_at_device(&f);
	look_at_kernel(&f);
	look_at_libfuse(&f);
	look_at_passthrough(&f);
	look_at_uring(&f);
	look_at_limits(&f);
	if (l.argc)
		code = look_at_library(cmd, &f, l.argv[0]);
	printed = f.json ? cmd_print_json(f.json) : CMD_OK;
	if (code || printed)
		return code ? code : printed;
	return f.broken ? CMD_UNSUPPORTED : CMD_OK;
}

const struct cmd cmd_doctor = {
	.name = "doctor",
	.operands = "[LIBRARY]",
	.summary = "Tell what on this machine limits garner",
	.options = options,
	.min_operands = 0,
	.max_operands = 1,
	.run = run,
};
