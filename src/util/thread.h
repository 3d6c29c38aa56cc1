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

#endif
