/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Clocks and forms of time. */
#include "config.h"

#include "util/time.h"

#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

static int64_t time_read(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return time_from_spec(ts);
}

int64_t time_now_ns(void)
{
	return time_read(CLOCK_REALTIME);
}

/* A file without a name that is touched to see the kernel's stamp, for the life of the process. */
static int time_file = -1;
static pthread_once_t time_file_once = PTHREAD_ONCE_INIT;

static void time_file_open(void)
{
	time_file = memfd_create("garner-clock", MFD_CLOEXEC);
}

/*
 * No clock that can be read goes with the kernel's stamps: CLOCK_REALTIME_COARSE lacks the floor that a finer stamp of any file sets for
 * all that come later (Documentation/filesystems/multigrain-ts.rst). The look at the stamp is what makes the next one finer.
 */
int64_t time_file_ns(void)
{
	struct stat st;

	pthread_once(&time_file_once, time_file_open);
	if (time_file < 0 || futimens(time_file, NULL) || fstat(time_file, &st))
		return time_read(CLOCK_REALTIME_COARSE);
	return time_from_spec(st.st_ctim);
}

int64_t time_mono_ns(void)
{
	return time_read(CLOCK_MONOTONIC);
}

struct timespec time_to_spec(int64_t ns)
{
	struct timespec ts = {
		.tv_sec = ns / TIME_NS_PER_S,
		.tv_nsec = ns % TIME_NS_PER_S,
	};

	if (ts.tv_nsec < 0) {
		ts.tv_sec--;
		ts.tv_nsec += TIME_NS_PER_S;
	}
	return ts;
}

int64_t time_from_spec(struct timespec ts)
{
	__int128 ns = (__int128)ts.tv_sec * TIME_NS_PER_S + ts.tv_nsec;

	if (ns < INT64_MIN)
		return INT64_MIN;
	return ns > INT64_MAX ? INT64_MAX : (int64_t)ns;
}

void time_format(int64_t ns, char text[TIME_TEXT_LEN])
{
	struct timespec ts = time_to_spec(ns);
	struct tm tm;

	gmtime_r(&ts.tv_sec, &tm);
	/* The modulus tells the compiler that the year has four digits. */
	snprintf(text, TIME_TEXT_LEN, "%04u-%02u-%02uT%02u:%02u:%02u.%09uZ",
		 (unsigned)(tm.tm_year + 1900) % 10000, (unsigned)(tm.tm_mon + 1) % 100,
		 (unsigned)tm.tm_mday % 100, (unsigned)tm.tm_hour % 100, (unsigned)tm.tm_min % 100,
		 (unsigned)tm.tm_sec % 100, (unsigned)ts.tv_nsec % 1000000000);
}
