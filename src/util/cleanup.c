/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the cleanup macros call. */
#include "config.h"

#include "util/cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void cleanup_free(void *pointer)
{
	free(*(void **)pointer); /* free() keeps errno since glibc 2.33 */
}

void cleanup_close(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	errno = saved;
}

void cleanup_file(void *file)
{
	FILE *f = *(FILE **)file;
	int saved = errno;

	if (f)
		fclose(f);
	errno = saved;
}

void cleanup_dir(void *dir)
{
	DIR *d = *(DIR **)dir;
	int saved = errno;

	if (d)
		closedir(d);
	errno = saved;
}
