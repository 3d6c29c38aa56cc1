/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The thread that uploads. */
#include "config.h"

#include "library/uploader.h"
#include "library/internal.h"
#include "util/thread.h"

#include <errno.h>
#include <stdlib.h>

/* The engine has pauses of its own, for the queue as a whole. */
enum { UPLOADER_ATTEMPTS = 3 };

struct uploader {
	struct upload *upload;
	pthread_t thread;
};

static void *uploader_main(void *arg)
{
	struct uploader *up = arg;

	thread_background();
	upload_run(up->upload);
	return NULL;
}

static int uploader_make(struct library *lib, struct upload **out)
{
	const struct library_settings *settings = library_settings(lib);
	struct upload_params params = { .window = settings->s3.connections };
	struct s3_client *client = NULL;
	int err = library_s3_client(lib, UPLOADER_ATTEMPTS, &client);

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
