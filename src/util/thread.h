/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Starting a thread that lives as long as the part that it serves. */
#ifndef GARNER_UTIL_THREAD_H
#define GARNER_UTIL_THREAD_H

#include <pthread.h>

/*
 * Starts a thread that runs RUN(ARG), is called NAME (at most 15 bytes) and takes no signals. *OUT
 * is for pthread_join(). 0 or a negative errno.
 */
int thread_start(const char *name, void *(*run)(void *arg), void *arg, pthread_t *out);

/*
 * From now on the calling thread gives way to others: it gets what processor and disk time they leave (nice 10, batch
 * scheduling, the last of the disk's best-effort classes). What the system refuses stays as it was.
 */
void thread_background(void);

#endif
