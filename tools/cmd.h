/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the subcommands of garner share. A subcommand is a `const struct cmd` in a file of its own, listed in main.c: its options are data, from which
 * parsing, --help and the tests of man pages and completion are made.
 */
#ifndef GARNER_TOOLS_CMD_H
#define GARNER_TOOLS_CMD_H

#include <jansson.h>
#include <stdbool.h>

#include "library/library.h"
#include "library/tree.h"

/* Exit codes, the same for every subcommand but fsck, whose codes are those of fsck(8). */
enum cmd_exit {
	CMD_OK = 0,
	CMD_FAILED = 1,      /* something asked for was not done; stderr says what */
	CMD_USAGE = 2,       /* the command line is wrong */
	CMD_NOT_FOUND = 3,   /* no such library, path or mountpoint */
	CMD_DAMAGED = 4,     /* not a library, damaged, or from another version */
	CMD_BUSY = 5,        /* in use by another process */
	CMD_FULL = 6,        /* no space or quota */
	CMD_DENIED = 7,      /* permission, or a read-only disk */
	CMD_UNSUPPORTED = 8, /* this machine cannot do it: no /dev/fuse, … */
};

struct cmd_option {
	const char *name; /* long form, without dashes */
	int key;          /* short form when printable, and what cmd_next() returns */
	const char *arg;  /* name of its argument; NULL: none */
	const char *help; /* one line */
};

struct cmd {
	const char *name;
	const char *operands; /* as in the usage line: "LIBRARY PATH…" */
	const char *summary;  /* one line */
	const struct cmd_option
		*options; /* ends with a zeroed one; may be NULL. --help is every command's */
	int min_operands, max_operands; /* max < 0: any number */
	int (*run)(const struct cmd *cmd, int argc,
		   char **argv); /* argv[0] is the command's name; returns an exit code */
};

/* The command line while it is read. */
struct cmd_line {
	const struct cmd *cmd;
	int argc;
	char **argv;       /* operands are moved to the end, from argv[optind] on */
	const char *value; /* argument of the option just returned */
	int exit;          /* when cmd_next() returned CMD_STOP: end with this code */
};
#define CMD_END (-1)
#define CMD_STOP (-2)

/* Starts reading. */
void cmd_begin(struct cmd_line *l, const struct cmd *cmd, int argc, char **argv);
/*
 * The key of the next option; CMD_END when there are no more and the number of operands is right (l->argv and l->argc are then the operands alone);
 * CMD_STOP after --help or a mistake, which was told on stderr.
 */
int cmd_next(struct cmd_line *l);
/* The whole of it for a command without options but --json: whether that was given. False: end with l->exit. */
bool cmd_begin_json(struct cmd_line *l, const struct cmd *cmd, int argc, char **argv, bool *json);
/* Tells a mistake of usage on stderr; returns CMD_USAGE. */
int cmd_usage(const struct cmd *cmd, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Prints "garner CMD: WHAT: text of err" on stderr (what: may be NULL) and returns the exit code that stands for err. 0 gives CMD_OK and prints nothing. */
int cmd_fail(const struct cmd *cmd, const char *what, int err);
int cmd_exit_of(int err);
/* Tells that the library there has no bucket; returns the exit code that stands for it. */
int cmd_no_bucket(const struct cmd *cmd, const char *library);
/* Prints "garner CMD: WHAT: why" on stderr and returns `code`. */
int cmd_refuse(const struct cmd *cmd, int code, const char *what, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/*
 * Has the process that mounts the library, where there is one, record what it has not recorded yet, so that others see sizes and times as its users do. One that
 * does not answer in time is no obstacle.
 */
void cmd_record_mount(const char *library);

/*
 * Waits until everything written and closed so far is sealed: by the mount, or here where nobody mounts. CMD_OK, or the code of a failure that was
 * told. TIMEOUT_NS is at most a day.
 */
int cmd_seal(const struct cmd *cmd, const char *path, int64_t timeout_ns);

/* Opens a library for a subcommand; failure is told, with advice. *exit is set and NULL returned. */
struct library *cmd_open(const struct cmd *cmd, const char *path, int flags, int *exit);
/* cmd_fail() for what library_open() or a mount of the library at `path` gave, with advice. */
int cmd_fail_library(const struct cmd *cmd, const char *path, int err);
/* Where in the library a path of its mount leads: a pointer into `path`, or to "/"; NULL when it does not lead there. */
const char *cmd_path_below(struct library *lib, const char *path);
/* cmd_fail() for a path within the library, with advice when it seems to be one outside of it. */
int cmd_fail_path(const struct cmd *cmd, struct library *lib, const char *path, int err);

/*
 * What the table of mounts says; all are to be freed, NULL: there is none (or no memory). The library that is mounted at a path (the topmost mount
 * there), where a library is mounted, and the full path of a mountpoint, also of one whose daemon is dead.
 */
char *cmd_library_at(const char *mountpoint);
char *cmd_mountpoint_of(const char *library);
char *cmd_full_path(const char *path);
/* Whether `inner` is `outer` or lies below it; both are full paths. */
bool cmd_lies_in(const char *inner, const char *outer);
/* Whether a full path is one that waits to be mounted when it is used: whoever is to mount there must not look into it. */
bool cmd_is_automount(const char *mountpoint);

/*
 * The options that say which bucket, for a list of options. cmd_s3_option() takes one into `s3`: CMD_OK; CMD_USAGE, which was told.
 * cmd_s3_complete() is for when all were read: whether they make sense together.
 */
/* clang-format off */
#define CMD_S3_OPTIONS \
	{ "s3", CMD_S3_URL, "s3://BUCKET/PREFIX", "the bucket behind the library" }, \
	CMD_S3_WAY_OPTIONS
#define CMD_S3_WAY_OPTIONS \
	{ "endpoint", CMD_S3_ENDPOINT, "URL", "where it is served (default: Amazon's)" }, \
	{ "region", CMD_S3_REGION, "NAME", "default: as the AWS tools find it" }, \
	{ "profile", CMD_S3_PROFILE, "NAME", "of the AWS tools' files, for the keys" }, \
	{ "style", CMD_S3_STYLE, "STYLE", "bucket in the path or the host: auto, path, host" }, \
	{ "ca-file", CMD_S3_CA_FILE, "FILE", "certificates to trust instead of the system's" }, \
	{ "encryption", CMD_S3_SSE, "KIND", "by the server: AES256, aws:kms or aws:kms:KEY" }
/* clang-format on */
enum cmd_s3_key {
	CMD_S3_URL = 1000,
	CMD_S3_ENDPOINT,
	CMD_S3_REGION,
	CMD_S3_PROFILE,
	CMD_S3_STYLE,
	CMD_S3_CA_FILE,
	CMD_S3_SSE,
};
int cmd_s3_option(const struct cmd *cmd, int key, const char *value, struct s3_settings *s3);
int cmd_s3_complete(const struct cmd *cmd, const struct s3_settings *s3);
/* Tries the bucket out: lists and, with WRITE, writes, reads and deletes. CMD_OK, or the code of a failure that was told with advice. */
int cmd_s3_check(const struct cmd *cmd, const struct s3_settings *s3, bool write);
/* Says on standard error if the prefix has the backup of a library already, whose it is, and what to do. */
void cmd_s3_warn_taken(const struct cmd *cmd, const struct s3_settings *s3);
/* Appends "s3://BUCKET/PREFIX at ENDPOINT". 0 or -ENOMEM. */
int cmd_s3_show(const struct s3_settings *s3, struct buf *out);
/* How the library's bucket stands, asked with a short deadline, as JSON; JSON's null: it has none. NULL without memory. */
json_t *cmd_s3_state(struct library *lib);

/* Who runs the command, for journal and new nodes. */
struct actor cmd_actor(void);

/* Prints JSON on stdout with a newline and drops the reference; NULL: there was no memory for it. Returns CMD_OK, or CMD_FAILED, which was told. */
int cmd_print_json(json_t *value);
/*
 * A string for cmd_print_json() alone. Bytes that are not UTF-8 are printed as the escapes \udc80 to \udcff (lone surrogates, as PEP 383
 * does), so that nothing is lost. NULL without memory.
 */
json_t *cmd_json_text(const char *text, size_t len);
/* JSON that the journal holds, for cmd_print_json() alone; JSON's null when there is none. */
json_t *cmd_json_stored(const char *text);
/* The time as JSON text in RFC 3339 UTC with nanoseconds. */
json_t *cmd_json_time(int64_t ns);
json_t *cmd_json_uuid(const uint8_t id[16]);

/* A progress line on stderr, on a terminal only and at most ten times a second. total 0: unknown. cmd_progress_end() clears it. */
struct cmd_progress {
	const char *what;
	uint64_t done_bytes, total_bytes, done_items, total_items;
	int64_t started_ns, shown_ns;
	bool terminal;
};
void cmd_progress_begin(struct cmd_progress *p, const char *what);
void cmd_progress_show(struct cmd_progress *p);
void cmd_progress_end(struct cmd_progress *p);

/* "1.4 MiB"; `out` has at least 16 bytes. Returns out. */
char *cmd_size(uint64_t bytes, char *out);

/*
 * Appends a name as text on one line: as it is, or as the shell word $'…' with escapes if there are bytes in it that are not UTF-8, that control a terminal,
 * or that begin such a word. 0 or -ENOMEM.
 */
int cmd_quote_name(struct buf *out, const char *name, size_t len);
/* The same on stdout. */
void cmd_print_name(const char *name, size_t len);
/* Appends a name of a list as ls(1) does: on a terminal as a shell would read it back, else its bytes. 0 or -ENOMEM. */
int cmd_show_name(struct buf *out, const char *name, size_t len);

extern const struct cmd *const cmd_all[]; /* NULL-terminated, in the order of --help */

extern const struct cmd cmd_init, cmd_mount, cmd_umount, cmd_status, cmd_sync, cmd_push, cmd_pull,
	cmd_ls, cmd_stat, cmd_cp, cmd_mv, cmd_rm, cmd_mkdir, cmd_restore, cmd_purge, cmd_history,
	cmd_import, cmd_export, cmd_du, cmd_evict, cmd_pin, cmd_unpin, cmd_gc, cmd_fsck, cmd_doctor;
extern const struct cmd cmd_backup, cmd_recover;

#endif
