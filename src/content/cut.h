/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The cutter: reads content, cuts it into chunks and hashes them. The calling thread reads and
 * cuts, threads of a pool hash what was cut meanwhile, and the results come in order on the calling
 * thread. It is safe to run cutters inside tasks of that same pool: what no thread has taken up
 * when its turn comes is hashed by the caller.
 */
#ifndef GARNER_CONTENT_CUT_H
#define GARNER_CONTENT_CUT_H

#include "content/chunker.h"
#include "content/hash.h"
#include "util/pool.h"

#include <sys/types.h>

struct cut; /* buffers and state of one run after another */

struct cut_params {
	const struct chunker *chunker; /* outlives the cutter */
	enum hash_algo algo;
	struct pool *pool; /* outlives the cutter; NULL: the caller hashes */
	unsigned
		buffers; /* >= 2: chunks that are in memory at most, each up to the chunker's max */
};

/* A run of data; what lies between two of them is a hole and is neither read nor cut. */
struct cut_extent {
	uint64_t offset;
	uint64_t len;
};

struct cut_source {
	/*
	 * Reads up to `len` bytes at `off`: the count, at least 1, or a negative errno. 0 means
	 * that the content ended early. Called on the calling thread, in ascending order of
	 * offsets, each byte once.
	 */
	ssize_t (*read)(void *arg, void *buf, size_t len, uint64_t off);
	void *arg;
	const struct cut_extent
		*extents; /* ascending, not overlapping, none empty; each is cut on its own */
	size_t extent_count;
};

struct cut_chunk {
	uint64_t offset;
	uint32_t len;
	struct hash hash;
};

struct cut_sink {
	/*
	 * Gets each chunk, in order of offsets, on the calling thread, with its bytes, which are
	 * the cutter's and valid until it returns. 0: go on. Anything else ends the run.
	 */
	int (*emit)(void *arg, const struct cut_chunk *chunk, const uint8_t *data);
	/* Asked before every read whether to give up: 0 to go on. May be NULL. */
	int (*stop)(void *arg);
	void *arg;
};

/*
 * Makes a cutter. Memory for chunks is taken when it is first needed and kept until cut_free(). 0
 * and *out, which is the caller's; -EINVAL for fewer than 2 buffers, -ENOTSUP for an algorithm that
 * this build lacks, -ENOMEM.
 */
int cut_new(const struct cut_params *params, struct cut **out);

/*
 * Cuts one content. One run at a time on one cutter. Returns 0 when everything was emitted;
 * otherwise the run ended early with: what emit returned (negative or positive, as it was);
 * -ECANCELED (stop said so); the error of read; -ESTALE (the content ended before its extents did);
 * -ENOMEM. Chunks emitted before that stand.
 */
int cut_run(struct cut *c, const struct cut_source *source, const struct cut_sink *sink);

/*
 * Ends a cutter that has no run. Its memory may live on for the moment that a pool's thread needs
 * to notice. NULL is fine.
 */
void cut_free(struct cut *c);

#endif
