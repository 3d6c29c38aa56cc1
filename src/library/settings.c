/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Settings of the machine and of the library. */
#include "config.h"

#include "library/settings.h"
#include "util/cleanup.h"
#include "util/conf.h"
#include "util/err.h"
#include "util/io.h"
#include "util/log.h"
#include "util/parse.h"
#include "util/time.h"
#include "util/uuid.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SETTINGS_FILE "config"

enum { SETTINGS_JOBS_MAX = 256, SETTINGS_CONNECTIONS_MAX = 256 };
enum { SETTINGS_EDGE = 64 << 10, SETTINGS_EDGE_MAX = 1 << 20 };

static const char settings_text[] =
	"# Settings of this machine for this library; read when it is opened.\n"
	"# A line that begins with '#' is a comment and shows the default.\n"
	"\n"
	"[trash]\n"
	"# How long deleted assets and folders can be restored; 0: not at all.\n"
	"#retention = 30d\n"
	"\n"
	"[seal]\n"
	"# Rest between the last close of a file and its sealing.\n"
	"#delay = 1s\n"
	"# Threads that hash; default: one for each core.\n"
	"#jobs = 4\n"
	"\n"
	"[log]\n"
	"# Changes of the tree survive a power cut after at most this time, without fsync.\n"
	"#sync = 5s\n"
	"\n"
	"[cache]\n"
	"# With a bucket: how much this store may take on the disk beside what is not uploaded "
	"yet; "
	"0: no limit.\n"
	"#limit = 0\n"
	"# What is fetched leaves this much of the disk free for writing, and for it is evicted; "
	"default: 5 % of\n"
	"# the disk, at most 10 GiB.\n"
	"#min-free = 10GiB\n"
	"# First and last bytes of each asset that stay when the rest is evicted.\n"
	"#edge = 64KiB\n"
	"\n"
	"[s3]\n"
	"# The bucket behind the library. Keys are no setting: they are found as the AWS tools "
	"find them.\n"
	"#url = s3://BUCKET/PREFIX\n"
	"# Where it is served; default: Amazon's endpoint of the region.\n"
	"#endpoint = https://HOST:PORT\n"
	"# Default: of the environment or the profile, else us-east-1.\n"
	"#region = us-east-1\n"
	"# Of ~/.aws/credentials and ~/.aws/config.\n"
	"#profile = default\n"
	"# Whether the bucket's name goes into the path or the host; auto: into the host at "
	"Amazon's.\n"
	"#style = auto\n"
	"# Certificates to trust instead of the system's.\n"
	"#ca-file = /etc/ssl/certs/ca-certificates.crt\n"
	"# Encryption by the server: AES256, aws:kms or aws:kms:KEY; default: as the bucket has "
	"it.\n"
	"#encryption = AES256\n"
	"# Connections at a time.\n"
	"#connections = 16\n"
	"# How long a read waits for what is not on this machine before it fails.\n"
	"#read-timeout = 30s\n"
	"# Bytes a second that uploads take at most; 0: as fast as it goes.\n"
	"#upload-limit = 0\n"
	"# Which chunks are uploaded first: oldest or smallest.\n"
	"#upload-order = oldest\n"
	"# How long what nothing needs any more stays in the bucket. It goes later as long as a "
	"backup "
	"there still\n"
	"# names it, and never without a backup.\n"
	"#delete-after = 7d\n"
	"# Whether a mount backs the metadata up into the bucket.\n"
	"#backup = on\n";

/* One text of the section, where the file has it; *ERR is kept when it is there already. */
static void settings_take_text(struct conf *conf, const char *key, char **out, int *err)
{
	const char *text = conf_text(conf, "s3", key);

	if (!text || !*text || *err)
		return;
	*out = strdup(text);
	if (!*out)
		*err = -ENOMEM;
}

/* A value that a setter reads: its complaint goes to `why` with the key's name. */
static void settings_take_word(struct conf *conf, const char *key, struct s3_settings *s3,
			       int (*set)(struct s3_settings *s3, const char *text,
					  struct buf *why),
			       struct buf *why, int *err)
{
	CLEANUP_BUF struct buf cause = BUF_INIT;
	const char *text = conf_text(conf, "s3", key);

	if (!text || *err)
		return;
	*err = set(s3, text, &cause);
	if (*err != -EINVAL)
		return;
	buf_reset(why);
	buf_printf(why, SETTINGS_FILE ": s3.%s = %s: %s", key, text,
		   cause.len ? buf_str(&cause) : "is not one of the words that it can be");
}

static int settings_set_style(struct s3_settings *s3, const char *text, struct buf *why)
{
	(void)why;
	return s3_settings_style(s3, text);
}

static int settings_set_sse(struct s3_settings *s3, const char *text, struct buf *why)
{
	(void)why;
	return s3_settings_sse(s3, text);
}

static int settings_take_s3(struct conf *conf, struct s3_settings *s3, struct buf *why)
{
	uint64_t connections = 0;
	int err = 0;

	settings_take_word(conf, "url", s3, s3_settings_url, why, &err);
	settings_take_word(conf, "endpoint", s3, s3_settings_endpoint, why, &err);
	settings_take_word(conf, "style", s3, settings_set_style, why, &err);
	settings_take_word(conf, "encryption", s3, settings_set_sse, why, &err);
	settings_take_text(conf, "region", &s3->region, &err);
	settings_take_text(conf, "profile", &s3->profile, &err);
	settings_take_text(conf, "ca-file", &s3->ca_file, &err);
	if (!err &&
	    conf_u64(conf, "s3", "connections", SETTINGS_CONNECTIONS_MAX, &connections, why) < 0)
		err = -EINVAL;
	s3->connections = (unsigned)connections;
	return err;
}

static int settings_add_line(struct buf *out, const char *key, const char *value)
{
	return value ? buf_printf(out, "%s = %s\n", key, value) : 0;
}

static int settings_add_s3(struct buf *out, const struct s3_settings *s3)
{
	const char *style = s3->style ? s3_settings_style_word(s3->style) : NULL;
	int err = buf_add_str(out, "url = ");

	if (!err)
		err = s3_settings_show(s3, out);
	if (!err)
		err = buf_add_byte(out, '\n');
	if (!err)
		err = settings_add_line(out, "endpoint", s3->endpoint);
	if (!err)
		err = settings_add_line(out, "region", s3->region);
	if (!err)
		err = settings_add_line(out, "profile", s3->profile);
	if (!err)
		err = settings_add_line(out, "style", style);
	if (!err)
		err = settings_add_line(out, "ca-file", s3->ca_file);
	if (!err && s3->sse)
		err = buf_printf(out, "encryption = %s%s%s\n", s3->sse, s3->kms_key ? ":" : "",
				 s3->kms_key ? s3->kms_key : "");
	return err;
}

static bool settings_same_text(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

/* Whether the text says the same as the settings: lines have a limit, and ` ;` begins a comment. */
static int settings_check_s3(const char *text, const struct s3_settings *s3)
{
	CLEANUP_BUF struct buf why = BUF_INIT;
	struct s3_settings back = { 0 };
	struct conf *conf = NULL;
	int err = conf_parse(SETTINGS_FILE, text, &conf, &why);

	if (!err)
		err = settings_take_s3(conf, &back, &why);
	if (!err && !(settings_same_text(s3->bucket, back.bucket) &&
		      settings_same_text(s3->prefix, back.prefix) &&
		      settings_same_text(s3->endpoint, back.endpoint) &&
		      settings_same_text(s3->region, back.region) &&
		      settings_same_text(s3->profile, back.profile) &&
		      settings_same_text(s3->ca_file, back.ca_file) &&
		      settings_same_text(s3->sse, back.sse) &&
		      settings_same_text(s3->kms_key, back.kms_key) && s3->style == back.style))
		err = -EINVAL;
	s3_settings_release(&back);
	conf_free(conf);
	return err;
}

int settings_write_config(int dir_fd, const struct s3_settings *s3)
{
	CLEANUP_BUF struct buf text = BUF_INIT;
	int err = buf_add_str(&text, settings_text);

	if (!err && s3)
		err = settings_add_s3(&text, s3);
	if (!err && s3)
		err = settings_check_s3(text.data, s3);
	return err ? err : io_write_file(dir_fd, SETTINGS_FILE, text.data, text.len, 0644);
}

/* Whether a line of the section [s3] says where the bucket is. */
static bool settings_is_way(const char *line, size_t len)
{
	static const char *const keys[] = { "url",   "endpoint", "region",     "profile",
					    "style", "ca-file",  "encryption", NULL };
	size_t key = 0;

	while (key < len && strchr(" \t=:", line[key]) == NULL)
		key++;
	for (size_t i = 0; keys[i]; i++)
		if (strlen(keys[i]) == key && !strncmp(line, keys[i], key))
			return true;
	return false;
}

/* Copies TEXT, with the lines of S3 in place of those that say the same. */
static int settings_merge(const char *text, const struct s3_settings *s3, struct buf *out)
{
	bool inside = false, done = false;
	int err = 0;

	while (*text && !err) {
		size_t len = strcspn(text, "\n"), blank = strspn(text, " \t");
		const char *line = text + blank;

		if (*line == '[')
			inside = !strncmp(line, "[s3]", 4);
		if (!inside || !settings_is_way(line, len > blank ? len - blank : 0))
			err = buf_add(out, text, len);
		if (!err)
			err = buf_add_byte(out, '\n');
		if (!err && inside && !done) {
			err = settings_add_s3(out, s3);
			done = true;
		}
		text += len + (text[len] == '\n');
	}
	if (!err && !done)
		err = buf_add_str(out, "\n[s3]\n");
	return err || done ? err : settings_add_s3(out, s3);
}

int settings_restore_config(int dir_fd, const char *text, const struct s3_settings *s3)
{
	CLEANUP_BUF struct buf merged = BUF_INIT;
	int err = text ? settings_merge(text, s3, &merged) : -EINVAL;

	if (!err)
		err = settings_check_s3(buf_str(&merged), s3);
	/* What cannot be read is no use. */
	if (err == -EINVAL)
		return settings_write_config(dir_fd, s3);
	return err ? err : io_write_file(dir_fd, SETTINGS_FILE, merged.data, merged.len, 0644);
}

static int settings_take_uploads(struct conf *conf, struct library_settings *settings,
				 struct buf *why)
{
	const char *order = conf_text(conf, "s3", "upload-order");
	int err = conf_size(conf, "s3", "upload-limit", &settings->upload_limit, why);

	if (err < 0 || !order)
		return err;
	settings->upload_small = !strcmp(order, "smallest");
	if (settings->upload_small || !strcmp(order, "oldest"))
		return 0;
	buf_reset(why);
	buf_printf(why, SETTINGS_FILE ": s3.upload-order = %s: is neither oldest nor smallest",
		   order);
	return -EINVAL;
}

static int settings_take_cache(struct conf *conf, struct library_settings *settings,
			       struct buf *why)
{
	int err = conf_size(conf, "cache", "limit", &settings->cache_limit, why);

	if (err >= 0)
		err = conf_size(conf, "cache", "min-free", &settings->cache_min_free, why);
	if (err >= 0)
		err = conf_size(conf, "cache", "edge", &settings->cache_edge, why);
	if (err < 0 || settings->cache_edge <= SETTINGS_EDGE_MAX)
		return err;
	buf_printf(why, SETTINGS_FILE ": cache.edge: at most 1MiB");
	return -EINVAL;
}

static int settings_take(struct conf *conf, struct library_settings *settings, struct buf *why)
{
	uint64_t jobs = (uint64_t)settings->jobs;
	int err = conf_duration(conf, "trash", "retention", &settings->retention_ns, why);

	if (err >= 0)
		err = conf_duration(conf, "seal", "delay", &settings->seal_delay_ns, why);
	if (err >= 0)
		err = conf_u64(conf, "seal", "jobs", SETTINGS_JOBS_MAX, &jobs, why);
	if (err >= 0)
		err = conf_duration(conf, "log", "sync", &settings->sync_every_ns, why);
	if (err >= 0)
		err = settings_take_cache(conf, settings, why);
	if (err >= 0)
		err = conf_duration(conf, "s3", "read-timeout", &settings->read_timeout_ns, why);
	if (err >= 0)
		err = settings_take_s3(conf, &settings->s3, why);
	if (err >= 0)
		err = settings_take_uploads(conf, settings, why);
	if (err >= 0)
		err = conf_duration(conf, "s3", "delete-after", &settings->delete_after_ns, why);
	if (err >= 0)
		err = conf_bool(conf, "s3", "backup", &settings->backup, why);
	if (err >= 0)
		err = conf_check(conf, why);
	if (err >= 0 && jobs)
		settings->jobs = (int)jobs;
	return err < 0 ? err : 0;
}

int settings_read_config(struct library *lib)
{
	CLEANUP_BUF struct buf path = BUF_INIT;
	CLEANUP_BUF struct buf why = BUF_INIT;
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	struct conf *conf = NULL;
	int err = buf_printf(&path, "%s/%s", lib->path, SETTINGS_FILE);

	lib->settings = (struct library_settings){ .retention_ns = 30 * 24 * 3600 * TIME_NS_PER_S,
						   .seal_delay_ns = TIME_NS_PER_S,
						   .sync_every_ns = 5 * TIME_NS_PER_S,
						   .read_timeout_ns = 30 * TIME_NS_PER_S,
						   .delete_after_ns = 7 * 24 * 3600 * TIME_NS_PER_S,
						   .jobs = cores > 0 ? (int)cores : 1,
						   .cache_min_free = UINT64_MAX,
						   .cache_edge = SETTINGS_EDGE,
						   .backup = true };
	if (!err)
		err = conf_load(path.data, &conf, &why);
	if (err == -ENOENT)
		return 0;
	if (!err)
		err = settings_take(conf, &lib->settings, &why);
	if (err)
		log_error("%s", why.len ? buf_str(&why) : err_text(err));
	conf_free(conf);
	return err;
}

void settings_release(struct library *lib)
{
	s3_settings_release(&lib->settings.s3);
}

static void settings_add_text(struct meta_op *op, const char *name, const char *value)
{
	META_ADD(op, SETTING_SET, META_ONE, 0, META_T(name, strlen(name)),
		 META_T(value, strlen(value)));
}

static void settings_add_number(struct meta_op *op, const char *name, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	settings_add_text(op, name, text);
}

int settings_add(struct meta_op *op, const struct library_params *params, int64_t now)
{
	char text[UUID_TEXT_LEN], time[TIME_TEXT_LEN];
	struct uuid id;

	if (chunker_check(&params->chunker) || !hash_available(params->algo))
		return -EINVAL;
	uuid_random(&id);
	uuid_format(&id, text);
	settings_add_text(op, "library_id", text);
	settings_add_text(op, "chunker",
			  params->chunker.kind == CHUNKER_FIXED ? "fixed" : "fastcdc");
	settings_add_number(op, "chunk_min", params->chunker.min);
	settings_add_number(op, "chunk_avg", params->chunker.avg);
	settings_add_number(op, "chunk_max", params->chunker.max);
	settings_add_text(op, "algo", hash_algo_name(params->algo));
	time_format(now, time);
	settings_add_text(op, "created", time);
	return 0;
}

static int settings_value_read(void *arg, const struct meta_row *row)
{
	size_t len;
	const void *bytes = meta_row_bytes(row, 0, &len);

	buf_reset(arg);
	return buf_add(arg, bytes, len);
}

/* The text of a setting, in `out`. ERR_CORRUPT where there is none. */
static int settings_get(struct library *lib, const char *name, struct buf *out)
{
	int count = META_QUERY(lib->meta, SETTING_GET, settings_value_read, out,
			       META_T(name, strlen(name)));

	return count > 0 ? 0 : count < 0 ? count : ERR_CORRUPT;
}

static int settings_get_number(struct library *lib, const char *name, uint32_t *out)
{
	CLEANUP_BUF struct buf text = BUF_INIT;
	uint64_t value;
	int err = settings_get(lib, name, &text);

	if (err)
		return err;
	if (parse_u64(text.data, UINT32_MAX, &value))
		return ERR_CORRUPT;
	*out = (uint32_t)value;
	return 0;
}

static int settings_read_chunker(struct library *lib)
{
	CLEANUP_BUF struct buf text = BUF_INIT;
	int err = settings_get(lib, "chunker", &text);

	if (err)
		return err;
	if (strcmp(text.data, "fastcdc") && strcmp(text.data, "fixed"))
		return ERR_CORRUPT;
	lib->chunker.kind = strcmp(text.data, "fixed") ? CHUNKER_FASTCDC : CHUNKER_FIXED;
	err = settings_get_number(lib, "chunk_min", &lib->chunker.min);
	if (!err)
		err = settings_get_number(lib, "chunk_avg", &lib->chunker.avg);
	if (!err)
		err = settings_get_number(lib, "chunk_max", &lib->chunker.max);
	return !err && chunker_check(&lib->chunker) ? ERR_CORRUPT : err;
}

static int settings_read_names(struct library *lib)
{
	CLEANUP_BUF struct buf text = BUF_INIT;
	struct uuid id;
	int err = settings_get(lib, "library_id", &text);

	if (err)
		return err;
	if (uuid_read(text.data, text.len, &id))
		return ERR_CORRUPT;
	memcpy(lib->id, id.b, sizeof(lib->id));
	err = settings_get(lib, "algo", &text);
	if (err)
		return err;
	err = hash_algo_read(text.data, &lib->algo);
	return err == -EINVAL ? ERR_CORRUPT : err;
}

int settings_read(struct library *lib)
{
	int err = settings_read_names(lib);

	if (!err)
		err = settings_read_chunker(lib);
	if (err)
		log_error("%s/garner.db: the library's settings cannot be read: %s", lib->path,
			  err_text(err));
	return err;
}
