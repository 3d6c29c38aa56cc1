/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Starting threads. */
#include "config.h"

#include "util/thread.h"

#include <linux/ioprio.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { THREAD_NICE = 10, THREAD_IO_LEVEL = 7 };

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

void thread_background(void)
{
	struct sched_param param = { 0 };

	(void)pthread_setschedparam(pthread_self(), SCHED_BATCH, &param);
	(void)setpriority(PRIO_PROCESS, (id_t)gettid(), THREAD_NICE);
	(void)syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, gettid(),
		      IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, THREAD_IO_LEVEL));
}
