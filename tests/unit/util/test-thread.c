/* SPDX-License-Identifier: GPL-3.0-or-later */
/* util/thread.h */
#include "config.h"

#include "../unit.h"
#include "util/thread.h"

#include <signal.h>
#include <stdbool.h>

static bool blocked;

static void *look(void *arg)
{
	sigset_t set;

	pthread_sigmask(SIG_SETMASK, NULL, &set);
	blocked = sigismember(&set, SIGTERM) && sigismember(&set, SIGINT);
	return arg;
}

START_TEST(a_thread_takes_no_signals)
{
	sigset_t set;
	pthread_t id;
	void *result;

	ck_assert_int_eq(thread_start("looker", look, &blocked, &id), 0);
	ck_assert_int_eq(pthread_join(id, &result), 0);
	ck_assert_ptr_eq(result, &blocked);
	ck_assert(blocked);
	pthread_sigmask(SIG_SETMASK, NULL, &set);
	ck_assert(!sigismember(&set, SIGTERM));
}
END_TEST

UNIT_MAIN("thread", 10, a_thread_takes_no_signals)
