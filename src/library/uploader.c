/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The thread that uploads. */
#include "config.h"

#include "library/uploader.h"
#include "library/internal.h"
#include "util/thread.h"
#include "util/time.h"

#include <errno.h>
#include <stdlib.h>

/* The engine has pauses of its own, for the queue as a whole. */
enum { UPLOADER_ATTEMPTS = 3, UPLOADER_CONNECTIONS = 16 };
/* Of a limit, in bytes a second: the least that is no stall, and what a connection is worth having for. */
enum { UPLOADER_LEAST = 4096, UPLOADER_SHARE = 1 << 20 };
#define UPLOADER_DEADLINE_NS (600 * TIME_NS_PER_S)

struct uploader {
	struct upload *upload;
	bool background;
	pthread_t thread;
};

static void *uploader_main(void *arg)
{
	struct uploader *up = arg;

	/* In a mount others have work to do; elsewhere someone waits for it. */
	if (up->background)
		thread_background();
	upload_run(up->upload);
	return NULL;
}

/* A limit is shared out among connections, as few as make each worth having; and a chunk may take its time. */
static void uploader_limit(const struct library *lib, struct s3_settings *s3,
			   struct upload_params *params)
{
	uint64_t limit = lib->settings.upload_limit;

	if (!s3->connections)
		s3->connections = UPLOADER_CONNECTIONS;
	if (!limit)
		return;
	if (limit < UPLOADER_LEAST)
		limit = UPLOADER_LEAST;
	if (limit / UPLOADER_SHARE < s3->connections)
		s3->connections = limit < UPLOADER_SHARE ? 1 : (unsigned)(limit / UPLOADER_SHARE);
	s3->send_limit = limit / s3->connections;
	params->deadline_ns = UPLOADER_DEADLINE_NS +
			      (int64_t)(4 * lib->chunker.max / s3->send_limit) * TIME_NS_PER_S;
}

static int uploader_make(struct library *lib, struct upload **out)
{
	const struct library_settings *settings = library_settings(lib);
	struct upload_params params = { .small_first = settings->upload_small };
	struct s3_settings s3 = settings->s3;
	struct s3_client *client = NULL;
	int err;

	s3.attempts = UPLOADER_ATTEMPTS;
	uploader_limit(lib, &s3, &params);
	params.window = s3.connections;
	err = s3_client_new(&s3, s3_credentials_find, &client);
	if (!err)
		err = upload_new(lib->content, &client, &params, out);
	s3_client_free(client);
	return err;
}

int uploader_start(struct library *lib)
{
	struct uploader *up;
	int err;

	if (lib->uploader || !library_settings(lib)->s3.bucket || library_read_only(lib))
		return 0;
	up = calloc(1, sizeof(*up));
	if (!up)
		return -ENOMEM;
	up->background = lib->flags & LIBRARY_MOUNT;
	err = uploader_make(lib, &up->upload);
	if (!err)
		err = thread_start("garner-upload", uploader_main, up, &up->thread);
	if (err) {
		upload_free(up->upload);
		free(up);
		return err;
	}
	lib->uploader = up;
	return 0;
}

void uploader_stop(struct library *lib)
{
	struct uploader *up = lib->uploader;

	if (!up)
		return;
	upload_stop(up->upload);
	pthread_join(up->thread, NULL);
	lib->uploader = NULL;
	upload_free(up->upload);
	free(up);
}

void uploader_kick(struct library *lib, bool hurry)
{
	if (lib->uploader)
		upload_kick(lib->uploader->upload, hurry);
}

bool uploader_status(struct library *lib, struct upload_status *out)
{
	*out = (struct upload_status){ 0 };
	if (!lib->uploader)
		return false;
	upload_status(lib->uploader->upload, out);
	return true;
}
