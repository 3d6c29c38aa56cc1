/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the control-*.c share. Not for other files. */
#ifndef GARNER_LIBRARY_CONTROL_INTERNAL_H
#define GARNER_LIBRARY_CONTROL_INTERNAL_H

#include <sys/un.h>

#include "library/control.h"
#include "library/internal.h"
#include "library/sealer.h"
#include "util/buf.h"

enum control_state {
	CONTROL_READING,
	CONTROL_SYNCING,
	CONTROL_BACKING_UP,
	CONTROL_PULLING,
	CONTROL_EVICTING,
	CONTROL_POKING,
	CONTROL_WRITING
};

/* A request that may take longer than the thread may wait. */
struct control_job {
	enum control_state state; /* READING: none */
	struct sealer_ticket sync;
	uint64_t poke, backup, pull; /* tickets */
	int64_t evict;               /* one too */
	int64_t deadline_ns;         /* of a sync or backup; time_mono_ns() */
	int64_t settle_ns; /* a sync waits until then for what is open, and has no ticket yet; 0: it has */
};

/*
 * Starts on one request line. Either `out` has the answer (with its newline) and job->state is
 * WRITING, or the job is to be looked at with control_job_done() until it says so. -ENOMEM: cut the
 * client off.
 */
int control_request(struct library *lib, json_t *described, const char *line, size_t len,
		    struct control_job *job, struct buf *out);
/* Whether the job is one that control_job_done() is to be asked about. */
static inline bool control_job_waits(const struct control_job *job)
{
	return job->state != CONTROL_READING && job->state != CONTROL_WRITING;
}
/* 1: `out` has the answer, the state is WRITING; 0: not yet; -ENOMEM. */
int control_job_done(struct library *lib, struct control_job *job, struct buf *out);

/* The address of the socket in folder `dir_fd`, however long the folder's path is. */
void control_address(int dir_fd, struct sockaddr_un *out);

#define CONTROL_NAME "control"

#endif
