/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the files of reaping share. Not for other files. */
#ifndef GARNER_LIBRARY_REAP_INTERNAL_H
#define GARNER_LIBRARY_REAP_INTERNAL_H

#include "backend/s3/many.h"
#include "backend/store/store-s3.h"
#include "library/backup-bucket.h"
#include "library/reap.h"
#include "util/buf.h"

/* Kinds of tombstones; the numbers of the schema. */
enum reap_kind { REAP_CHUNK = 1, REAP_MANIFEST = 2 };

struct reap_name {
	enum reap_kind kind;
	uint8_t hash[STORE_NAME_LEN];
	int64_t batch;
	uint64_t size;
};

/* Names that are deleted together. */
struct reap_list {
	struct reap_name names[S3_MANY_KEYS];
	size_t count, room; /* room: of names that may be taken at a time */
	bool taken;         /* others are being deleted by somebody, maybe */
	uint64_t state;     /* of the backup, in which the last of them was gone */
};

struct reap {
	struct meta *meta;
	uint8_t instance[16];
	int64_t grace_ns, lease_ns;
	struct reap_facts facts;
	struct reap_list list;
	struct buf why;
	bool gone[S3_MANY_KEYS];
	uint32_t floor_epoch;      /* that `floor` is of */
	uint64_t floor;            /* as far as it was found out */
	bool doubt;                /* what was taken may still be under way, */
	int64_t doubt_ns;          /* until then */
	unsigned failures, raises; /* in a row */
	int64_t hold_ns, look_ns;  /* time_mono_ns(): nothing is done, or looked for, before */
	int logged;
};

/* reap-rows.c: the tables. All return 0 or an error of meta_query() or meta_apply(). */

/* Closes the open batch where there is something in it. *UNSAFE: of some batch it is not known in which state of EPOCH it is. */
int reap_close(struct reap *r, uint32_t epoch, bool *unsafe);
/* Those are in that state. */
int reap_safe(struct reap *r, uint32_t epoch, uint64_t state);
/* Fills the list with names of KIND that are due. */
int reap_find(struct reap *r, enum reap_kind kind, uint32_t epoch);
/* Takes those of the list for LEASE_NS that nobody wants, and drops the others; the list is then of what was taken. */
int reap_take(struct reap *r, int64_t lease_ns);
/* Those of the list that are gone are done with; with RELEASE the others are free for another try. */
int reap_record(struct reap *r, bool release);

#endif
