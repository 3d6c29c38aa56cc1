/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Starting threads. */
#include "config.h"

#include "util/thread.h"

#include <signal.h>

int thread_start(const char *name, void *(*run)(void *arg), void *arg, pthread_t *out)
{
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int rc = -pthread_create(out, NULL, run, arg);

	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc == 0)
		pthread_setname_np(*out, name);
	return rc;
}
