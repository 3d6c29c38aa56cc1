/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The -o options of garner mount. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "cmd-mount.h"
#include "util/cleanup.h"
#include "util/parse.h"

void mount_request_init(struct mount_request *r)
{
	bool root = geteuid() == 0;

	*r = (struct mount_request){ .options = { .allow_other = root,
						  .dev = root,
						  .suid = root,
						  .exec = true,
						  .acl = true,
						  .passthrough = true,
						  .uring = true,
						  .writeback = true } };
}

void mount_request_release(struct mount_request *r)
{
	buf_release(&r->kernel);
}

/* Options that are words: what they set. */
struct word {
	const char *name;
	size_t field; /* offset of a bool in struct mount_options */
	bool value;
};

#define FIELD(f) offsetof(struct mount_options, f)

static const struct word words[] = {
	{ "ro", FIELD(read_only), true },
	{ "rw", FIELD(read_only), false },
	{ "allow_other", FIELD(allow_other), true },
	{ "noallow_other", FIELD(allow_other), false },
	{ "dev", FIELD(dev), true },
	{ "nodev", FIELD(dev), false },
	{ "suid", FIELD(suid), true },
	{ "nosuid", FIELD(suid), false },
	{ "exec", FIELD(exec), true },
	{ "noexec", FIELD(exec), false },
	{ "acl", FIELD(acl), true },
	{ "noacl", FIELD(acl), false },
	{ "passthrough", FIELD(passthrough), true },
	{ "nopassthrough", FIELD(passthrough), false },
	{ "uring", FIELD(uring), true },
	{ "nouring", FIELD(uring), false },
	{ "writeback", FIELD(writeback), true },
	{ "nowriteback", FIELD(writeback), false },
	{ "debug", FIELD(debug), true },
};

/* Meant for others: mount(8), systemd, init scripts, or already our way of working. */
static const char *const ignored[] = {
	"defaults", "auto",     "noauto",     "user",       "nouser",
	"users",    "owner",    "group",      "_netdev",    "default_permissions",
	"async",    "diratime", "nodiratime", "nolazytime", "lazytime",
	"loud",     "silent",   "noiversion", "iversion",   "mand",
	"nomand"
};

/* Handed to the kernel's generic layer as they are. */
static const char *const generic[] = { "sync", "dirsync" };

static bool among(const char *word, const char *const *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(word, list[i]) == 0)
			return true;
	return false;
}

static bool take_word(struct mount_options *o, const char *word)
{
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		if (strcmp(word, words[i].name) == 0) {
			*(bool *)((char *)o + words[i].field) = words[i].value;
			return true;
		}
	}
	return false;
}

static bool take_atime(struct mount_options *o, const char *word)
{
	if (strcmp(word, "noatime") == 0)
		o->atime = MOUNT_NOATIME;
	else if (strcmp(word, "relatime") == 0 || strcmp(word, "atime") == 0 ||
		 strcmp(word, "norelatime") == 0 || strcmp(word, "nostrictatime") == 0)
		o->atime = MOUNT_RELATIME;
	else if (strcmp(word, "strictatime") == 0)
		o->atime = MOUNT_STRICTATIME;
	else
		return false;
	return true;
}

/* Options with a value; 1 taken, 0 not one of them, -EINVAL a bad value. */
static int take_value(struct mount_options *o, const char *word)
{
	uint64_t n;
	uint32_t mask;

	if (strncmp(word, "uid=", 4) == 0) {
		if (parse_u64(word + 4, UINT32_MAX - 1, &n))
			return -EINVAL;
		o->uid = (uid_t)n;
		o->squash_uid = true;
	} else if (strncmp(word, "gid=", 4) == 0) {
		if (parse_u64(word + 4, UINT32_MAX - 1, &n))
			return -EINVAL;
		o->gid = (gid_t)n;
		o->squash_gid = true;
	} else if (strncmp(word, "umask=", 6) == 0) {
		if (parse_octal(word + 6, 0777, &mask))
			return -EINVAL;
		o->umask = mask;
		o->squash_umask = true;
	} else if (strncmp(word, "threads=", 8) == 0) {
		if (parse_u64(word + 8, 256, &n) || n == 0)
			return -EINVAL;
		o->threads = (int)n;
	} else {
		return 0;
	}
	return 1;
}

/* Options with a value that are for others, or that mount(8) has from the kernel's table of mounts when it remounts. */
static bool is_foreign(const char *word)
{
	static const char *const begins[] = { "x-",        "comment=",  "user=",   "user_id=",
					      "group_id=", "max_read=", "blksize=" };

	for (size_t i = 0; i < sizeof begins / sizeof *begins; i++)
		if (strncmp(word, begins[i], strlen(begins[i])) == 0)
			return true;
	return false;
}

static int take(struct mount_request *r, const char *word)
{
	int taken;

	if (!*word || take_word(&r->options, word) || take_atime(&r->options, word))
		return 0;
	taken = take_value(&r->options, word);
	if (taken)
		return taken < 0 ? taken : 0;
	if (strcmp(word, "remount") == 0) {
		r->remount = true;
		return 0;
	}
	if (strcmp(word, "nonempty") == 0) {
		r->nonempty = true;
		return 0;
	}
	if (strcmp(word, "nofail") == 0) {
		r->nofail = true;
		return 0;
	}
	if (is_foreign(word) || among(word, ignored, sizeof ignored / sizeof *ignored))
		return 0;
	if (strcmp(word, "sync") == 0)
		r->remount_flags |= MS_SYNCHRONOUS;
	if (strcmp(word, "dirsync") == 0)
		r->remount_flags |= MS_DIRSYNC;
	if (among(word, generic, sizeof generic / sizeof *generic))
		return buf_printf(&r->kernel, "%s%s", r->kernel.len ? "," : "", word);
	return -EINVAL;
}

int mount_request_parse(struct mount_request *r, const char *list, char *bad, size_t size)
{
	CLEANUP_FREE char *copy = strdup(list);
	char *state = NULL;

	if (!copy)
		return -ENOMEM;
	for (char *word = strtok_r(copy, ",", &state); word; word = strtok_r(NULL, ",", &state)) {
		int err = take(r, word);

		if (err) {
			snprintf(bad, size, "%s", word);
			return err;
		}
	}
	r->options.kernel = r->kernel.data;
	return 0;
}
