/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Opening and closing a library. */
#include "config.h"

#include "content/fetch.h"
#include "library/instance.h"
#include "library/lock.h"
#include "library/settings.h"
#include "library/uploader.h"
#include "util/cleanup.h"
#include "util/err.h"
#include "util/log.h"
#include "util/time.h"
#include "util/uuid.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LIBRARY_POOL_QUEUE = 256 };

static int library_open_folder(struct library *lib)
{
	lib->dir_fd = open(lib->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (lib->dir_fd < 0)
		return -errno;
	if (!faccessat(lib->dir_fd, "garner.db", F_OK, 0))
		return 0;
	return errno == ENOENT ? ERR_NOTLIB : -errno;
}

static int library_open_meta(struct library *lib)
{
	CLEANUP_BUF struct buf path = BUF_INIT;
	int err = buf_printf(&path, "%s/garner.db", lib->path);

	if (!err)
		err = meta_open(path.data,
				library_read_only(lib) ? META_OPEN_RDONLY : META_OPEN_MIGRATE,
				&lib->meta);
	if (!err && !library_read_only(lib))
		err = meta_tidy(lib->meta);
	return err ? err : settings_read(lib);
}

static int library_open_content(struct library *lib)
{
	CLEANUP_BUF struct buf path = BUF_INIT;
	struct content_params params = { .chunker = lib->chunker,
					 .algo = lib->algo,
					 .remote = lib->settings.s3.bucket,
					 .adopt = (lib->flags & LIBRARY_MOUNT) &&
						  !library_read_only(lib) };
	int err = buf_printf(&path, "%s/blobs", lib->path);

	memcpy(params.instance, lib->instance, sizeof(params.instance));
	if (!err)
		err = blobs_open(path.data, false, library_read_only(lib), &lib->blobs);
	if (!err && !library_read_only(lib))
		err = pool_new("garner-hash", (unsigned)lib->settings.jobs, LIBRARY_POOL_QUEUE,
			       &lib->pool);
	/* In a mount it hashes for the sealer, while others work; elsewhere someone waits for it. */
	if (!err && lib->pool && lib->flags & LIBRARY_MOUNT)
		pool_background(lib->pool);
	return err ? err : content_open(lib->meta, lib->blobs, lib->pool, &params, &lib->content);
}

bool library_verify(void *arg, const uint8_t name[STORE_NAME_LEN], const void *bytes, size_t len)
{
	struct library *lib = arg;
	struct hash hash;

	return !hash_data(lib->algo, bytes, len, &hash) && !memcmp(hash.b, name, STORE_NAME_LEN);
}

/* A store of its own, and so a client: a read never stands in line behind uploads. */
static int library_open_store(struct library *lib, struct store **out)
{
	struct s3_client *client = NULL;
	int err = library_s3_client(lib, 0, &client);

	if (!err)
		err = store_s3_open(&client, library_verify, lib, 0, out);
	s3_client_free(client);
	return err;
}

static int library_open_remote(struct library *lib)
{
	struct fetch_params params = { .transfers = lib->settings.s3.connections,
				       .timeout_ns = lib->settings.read_timeout_ns,
				       .keep = !library_read_only(lib) };
	struct store *reads = NULL;
	int err = library_open_store(lib, &lib->remote);

	if (err == -ENOENT)
		return 0;
	if (!err)
		err = library_open_store(lib, &reads);
	if (!err)
		err = fetch_start(lib->content, &reads, &params);
	store_close(reads);
	return err;
}

void library_stop_fetching(struct library *lib)
{
	fetch_cancel(lib->content);
}

static int library_open_parts(struct library *lib)
{
	int err = library_open_folder(lib);

	if (!err)
		err = settings_read_config(lib);
	if (!err && lib->flags & LIBRARY_MOUNT)
		err = library_lock(lib);
	if (!err)
		err = library_open_meta(lib);
	if (!err && !library_read_only(lib))
		err = instance_start(lib);
	if (!err)
		err = library_open_content(lib);
	if (!err)
		err = library_open_remote(lib);
	if (!err)
		err = times_new(lib);
	if (!err)
		err = files_new(lib);
	if (!err && lib->flags & LIBRARY_MOUNT && !library_read_only(lib))
		err = recover_drafts(lib);
	return err;
}

int library_open(const char *path, int flags, struct library **out)
{
	struct library *lib = calloc(1, sizeof(*lib));
	struct uuid instance;
	int err;

	if (!lib)
		return -ENOMEM;
	lib->dir_fd = lib->lock_fd = lib->instance_fd = -1;
	lib->flags = flags;
	lib->path = strdup(path);
	uuid_random(&instance);
	memcpy(lib->instance, instance.b, sizeof(lib->instance));
	err = lib->path ? library_open_parts(lib) : -ENOMEM;
	if (err)
		library_close(lib);
	else
		*out = lib;
	return err;
}

int library_start(struct library *lib)
{
	bool mount = lib->flags & LIBRARY_MOUNT;
	int err = lib->pool ? pool_start(lib->pool) : 0;

	if (!err && mount)
		err = uploader_start(lib);
	if (!err && mount && !library_read_only(lib))
		err = sealer_start(lib);
	if (!err && mount)
		err = cache_start(lib);
	if (!err && mount)
		err = watch_start(lib);
	if (!err && mount)
		err = backup_start(lib);
	if (!err && mount && !library_read_only(lib))
		err = puller_new(lib);
	if (!err && mount)
		err = control_start(lib);
	return err;
}

void library_close(struct library *lib)
{
	int err;

	if (!lib)
		return;
	library_lock_leave(lib);
	/* Who waits for the bucket would keep the others from ending. */
	if (lib->content)
		fetch_cancel(lib->content);
	control_stop(lib);
	puller_stop(lib);
	watch_stop(lib);
	cache_stop(lib);
	sealer_stop(lib);
	uploader_stop(lib);
	files_free(lib);
	times_free(lib);
	store_close(lib->remote);
	content_close(lib->content);
	pool_free(lib->pool);
	blobs_close(lib->blobs);
	instance_end(lib);
	backup_stop(lib);
	if (lib->meta && !library_read_only(lib)) {
		err = meta_sync(lib->meta);
		if (err)
			log_error("%s/garner.db: the last changes may not survive a power cut: %s",
				  lib->path, err_text(err));
	}
	meta_close(lib->meta);
	if (lib->lock_fd >= 0)
		close(lib->lock_fd);
	if (lib->dir_fd >= 0)
		close(lib->dir_fd);
	settings_release(lib);
	free(lib->path);
	free(lib);
}

const char *library_path(const struct library *lib)
{
	return lib->path;
}

struct meta *library_meta(struct library *lib)
{
	return lib->meta;
}

struct content *library_content(struct library *lib)
{
	return lib->content;
}

struct store *library_remote(struct library *lib)
{
	return lib->remote;
}

const uint8_t *library_instance(const struct library *lib)
{
	return lib->instance;
}

bool library_read_only(const struct library *lib)
{
	return lib->flags & LIBRARY_RDONLY;
}

void library_kernel_stamps(struct library *lib)
{
	__atomic_store_n(&lib->kernel_stamps, true, __ATOMIC_RELAXED);
}

void library_kernel_clock(struct library *lib)
{
	__atomic_store_n(&lib->kernel_clock, true, __ATOMIC_RELAXED);
}

bool library_has_kernel_stamps(const struct library *lib)
{
	return __atomic_load_n(&lib->kernel_stamps, __ATOMIC_RELAXED);
}

int64_t library_now_ns(const struct library *lib)
{
	bool kernel = __atomic_load_n(&lib->kernel_clock, __ATOMIC_RELAXED);

	return kernel || library_has_kernel_stamps(lib) ? time_file_ns() : time_now_ns();
}

const struct library_settings *library_settings(const struct library *lib)
{
	return &lib->settings;
}

int library_s3_client(const struct library *lib, unsigned attempts, struct s3_client **out)
{
	struct s3_settings s3 = lib->settings.s3;

	if (!s3.bucket)
		return -ENOENT;
	s3.attempts = attempts;
	return s3_client_new(&s3, s3_credentials_find, out);
}
