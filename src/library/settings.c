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
#include <string.h>
#include <unistd.h>

#define SETTINGS_FILE "config"

enum { SETTINGS_JOBS_MAX = 256 };

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
	"#sync = 5s\n";

int settings_write_config(int dir_fd)
{
	return io_write_file(dir_fd, SETTINGS_FILE, settings_text, sizeof(settings_text) - 1, 0644);
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
						   .jobs = cores > 0 ? (int)cores : 1 };
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
