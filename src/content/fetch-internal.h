/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the files of fetching share. Not for other folders.
 *
 * A chunk's phases:
 *
 *   FINDING   one thread asks the metadata for its name and whether it has a place by now
 *   ASKED     in line: f->asked, or f->ahead when nobody waits for it
 *   RUNNING   its transfer is under way
 *   ARRIVED   its bytes are here, unchecked; in f->arrived. Wrong ones: ASKED again, a few times
 *   HELD      they are its bytes, in memory. In f->held until they are written; those that cannot be stay, and when nobody needs them they are in
 *             f->idle until the memory is wanted
 *   PLACED    they are in a file. In the list of its cache, or in f->bundled, until that is recorded; then the entry goes with its last user
 *   FAILED    it could not be had. Not in the table any more
 *
 * One lock guards all of it, but for what says otherwise; nothing is waited for under it. Entries are freed after it was given back (f->dead).
 */
#ifndef GARNER_CONTENT_FETCH_INTERNAL_H
#define GARNER_CONTENT_FETCH_INTERNAL_H

#define HASH_NONFATAL_OOM 1
#define uthash_nonfatal_oom(element) ((void)(element))
#include <uthash.h>

#include "content/content-internal.h"
#include "content/fetch.h"

enum { FETCH_THREADS_MAX = 4, FETCH_TRIES = 4, FETCH_VAIN = 64 };

enum fetch_phase {
	FETCH_FINDING,
	FETCH_ASKED,
	FETCH_RUNNING,
	FETCH_ARRIVED,
	FETCH_HELD,
	FETCH_PLACED,
	FETCH_FAILED,
};

struct fetch_file {
	struct blob *blob;
	unsigned refs; /* atomic */
	bool bad;      /* atomic */
};

struct fetch_entry;

/* Entries in a row; each is in one list at most. */
struct fetch_list {
	struct fetch_entry *first, *last;
};

struct fetch_entry {
	UT_hash_handle hh;
	struct fetch *fetch;
	int64_t chunk;
	int64_t object; /* where it was wanted: … */
	uint64_t at;    /* … its offset in that */
	struct hash hash;
	uint64_t size;
	enum fetch_phase phase;
	int err;    /* of FAILED */
	bool ahead; /* nobody has waited for it so far */
	bool in_table;
	unsigned tries; /* bodies that came */
	unsigned refs;  /* waits and readers; the work on it counts as one, until it is recorded */
	unsigned readers;        /* of `bytes`, without the lock */
	uint8_t *bytes;          /* from RUNNING to PLACED, and as long as it is read */
	uint64_t ticket;         /* of RUNNING */
	struct fetch_file *file; /* of PLACED: … */
	uint64_t off;            /* … where in it */
	struct bundle *bundle;   /* that it was appended to; NULL: it is in a cache, or was found */
	struct fetch_link *links;
	struct fetch_list *list;
	struct fetch_entry *prev, *next;
};

/* A wait and one chunk that it waits for. */
struct fetch_link {
	struct fetch_wait *wait;
	struct fetch_entry *entry;
	struct fetch_link *prev, *next; /* of the entry's, while linked */
	bool linked;
};

enum fetch_wait_phase { FETCH_WAIT_ADDING, FETCH_WAIT_ARMED, FETCH_WAIT_DUE, FETCH_WAIT_OVER };

struct fetch_wait {
	struct fetch *fetch;
	int64_t deadline_ns;
	bool brief; /* nobody has waited in vain when it is over */
	enum fetch_wait_phase phase;
	int err;
	size_t left; /* chunks that are not here yet */
	fetch_done_fn *done;
	void *arg;
	struct fetch_link *links;
	size_t count, cap;
	struct fetch_wait *prev, *next; /* of f->armed or f->due */
};

/* A cache blob of this process: the chunks of one object. */
struct fetch_cache {
	UT_hash_handle hh;
	int64_t object, blob;
	int64_t pieces, recorded; /* chunks of the object, and those of them that are recorded */
	int fd;
	uint64_t size;
	bool making;      /* one thread makes it */
	unsigned writers; /* threads that write to it, or record what it has */
	int64_t used_ns;  /* last written, by time_mono_ns() */
	struct fetch_file *file;
	struct fetch_list unrecorded;
	struct fetch_cache *next_gone;
};

/* A chunk that somebody waited for in vain. */
struct fetch_vain {
	int64_t chunk;
	int64_t at_ns; /* time_mono_ns() */
};

struct fetch {
	struct content *content;
	struct store *remote;
	struct fetch_params params;

	struct lock lock;      /* guards what follows */
	struct lock_cond work; /* there is something for a thread of ours */
	struct lock_cond
		change; /* a cache was made, nobody is told any more, or a recording is over */
	struct fetch_entry *table;
	struct fetch_list asked, ahead, arrived, held, idle, bundled, dead;
	struct fetch_wait *armed, *due;
	struct fetch_cache *caches;
	pthread_t threads[FETCH_THREADS_MAX];
	unsigned thread_count;
	bool cancelled, stop;
	bool recording;
	int kept_err; /* of the last that was to be kept: logged once */
	unsigned running, telling;
	unsigned keeping;    /* entries that are being written */
	size_t unrecorded;   /* entries */
	int64_t record_ns;   /* when to record, by time_mono_ns(); 0: there is nothing */
	uint64_t used_bytes; /* memory of entries */
	struct fetch_status sum;
	/* The last who waited in vain, and when a chunk came last: fetch_was_vain_locked(). */
	struct fetch_vain vain[FETCH_VAIN];
	unsigned vain_next;
	int64_t came_ns;
	int64_t told_ns; /* when a failure was logged */
};

/* Gives the lock back and frees what is dead. */
void fetch_unlock(struct fetch *f) LOCK_RELEASES(&f->lock);

/* What the metadata knows of a chunk. */
struct fetch_row {
	struct content *content;
	bool found;
	struct hash hash;
	uint64_t size;
	struct blob *blob; /* NULL: it has no place, or none whose file is there */
	uint64_t start;
};

/*
 * Fills *OUT: whether the chunk is here by now, and where. Its blob is the caller's to put, also on an error. 0, ERR_CORRUPT (no such chunk), or an error of
 * meta_query() or blobs_get(). Without the lock.
 */
int fetch_find(struct content *c, int64_t chunk, struct fetch_row *out);

/* Lists. An entry is in one at most. */
void fetch_list_add(struct fetch_list *list, struct fetch_entry *e);
void fetch_list_add_first(struct fetch_list *list, struct fetch_entry *e);
void fetch_list_drop(struct fetch_entry *e);

/* The chunk's entry with one more reference, found or made; then its transfer is in line. `ahead`: nobody waits. NULL: -ENOMEM. */
struct fetch_entry *fetch_entry_get(struct fetch *f, int64_t chunk, int64_t object, uint64_t at,
				    bool ahead);
void fetch_entry_put_locked(struct fetch *f, struct fetch_entry *e) LOCK_REQUIRES(&f->lock);
/* Of f->idle: what could not be written is wanted again, and is tried once more, since there may be room by now. */
void fetch_entry_again_locked(struct fetch *f, struct fetch_entry *e) LOCK_REQUIRES(&f->lock);

/* The entry is as it will be for who waits: HELD, PLACED, or with `err` FAILED. They are told. */
void fetch_entry_ready_locked(struct fetch *f, struct fetch_entry *e) LOCK_REQUIRES(&f->lock);
void fetch_entry_fail_locked(struct fetch *f, struct fetch_entry *e, int err)
	LOCK_REQUIRES(&f->lock);
/* Counts a chunk that nobody got, for fetch_status(). */
void fetch_entry_count_locked(struct fetch *f, int err) LOCK_REQUIRES(&f->lock);
/* Takes it out of the table: who asks for the chunk next gets another entry. */
void fetch_table_drop_locked(struct fetch *f, struct fetch_entry *e) LOCK_REQUIRES(&f->lock);
/* Has it freed when the lock is given back; nobody has it any more. */
void fetch_entry_kill_locked(struct fetch *f, struct fetch_entry *e) LOCK_REQUIRES(&f->lock);
/* Frees the bytes. */
void fetch_entry_drop_bytes_locked(struct fetch *f, struct fetch_entry *e) LOCK_REQUIRES(&f->lock);

/*
 * The kernel asks again, page by page, for what it could not read ahead: who asks for a chunk right after somebody waited for it in vain is not kept waiting as long
 * again, unless a chunk has come since. Its transfer goes on, or begins.
 */
void fetch_note_vain_locked(struct fetch *f, struct fetch_entry *e) LOCK_REQUIRES(&f->lock);
bool fetch_was_vain_locked(const struct fetch *f, const struct fetch_entry *e)
	LOCK_REQUIRES(&f->lock);

/* Begins transfers as memory and their number allow. */
void fetch_pump_locked(struct fetch *f) LOCK_REQUIRES(&f->lock);

/* One link's chunk is here, or not to be had. */
void fetch_wait_ready_locked(struct fetch *f, struct fetch_wait *w, int err)
	LOCK_REQUIRES(&f->lock);
/* Ends those whose time is over; the time of the next. */
int64_t fetch_wait_expire_locked(struct fetch *f, int64_t now_ns) LOCK_REQUIRES(&f->lock);
/* Ends all. */
void fetch_wait_end_all_locked(struct fetch *f, int err) LOCK_REQUIRES(&f->lock);
/* Tells the first who is due; the lock is given up meanwhile. */
void fetch_wait_tell_locked(struct fetch *f) LOCK_REQUIRES(&f->lock);

/* Starts the threads. 0 or a negative errno. */
int fetch_work_start_locked(struct fetch *f) LOCK_REQUIRES(&f->lock);

/* Writes the bytes of an entry, HELD and in no list, to a file; the lock is given up meanwhile. */
void fetch_keep_locked(struct fetch *f, struct fetch_entry *e) LOCK_REQUIRES(&f->lock);
/* Closes what is complete, bad, or was not written to for a while. The lock is given up meanwhile. */
void fetch_caches_trim_locked(struct fetch *f) LOCK_REQUIRES(&f->lock);
/* Closes all caches; nothing is written any more. */
void fetch_caches_release(struct fetch *f);

/* Has what is placed recorded in a moment. */
void fetch_record_soon_locked(struct fetch *f) LOCK_REQUIRES(&f->lock);
/* Records what is placed; the lock is given up meanwhile. 0 or the first error. */
int fetch_record_locked(struct fetch *f) LOCK_REQUIRES(&f->lock);
/* Entries that are recorded, or lost, need no work any more. */
void fetch_record_end_locked(struct fetch *f, struct fetch_list *list) LOCK_REQUIRES(&f->lock);
/* What was appended to bundles is named by rows now, or lost: they may be closed. */
void fetch_record_put_bundles(struct fetch *f, struct fetch_list *list);

/* A counted file; takes the reference on `blob`. NULL: -ENOMEM, and the reference is the caller's. */
struct fetch_file *fetch_file_new(struct blob *blob);
struct fetch_file *fetch_file_get(struct fetch_file *file);

#endif
