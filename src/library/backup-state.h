/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What this machine knows of its backup, in the file LIBRARY/backup: which states of the database the bucket has, and of each page the sum that it was sent with last and in which state.
 * With that the pages that changed while nobody watched are found by reading the database once, and nothing is sent twice.
 *
 * Crashes. A page's entry is written after the bucket has the page. Entries are durable up to state `synced` only: whoever begins asks the bucket which states beyond that there
 * are and takes the pages in them for changed. So what a crash, or a power cut, leaves of the file is never believed more than it is worth, and a file that is lost costs a
 * backup from the beginning.
 *
 * The file: a head, padded to BACKUP_STATE_HEAD bytes, then an entry for each page. In this machine's byte order. One thread at a time.
 */
#ifndef GARNER_LIBRARY_BACKUP_STATE_H
#define GARNER_LIBRARY_BACKUP_STATE_H

#include <stdbool.h>
#include <stdint.h>

enum { BACKUP_STATE_HEAD = 4096, BACKUP_LEVELS = 4, BACKUP_STATE_CACHE = 1024 };

/* flags */
enum { BACKUP_TAKE_OVER = 1 /* the library was recovered: its owner before is lost */ };

struct backup_state_head {
	char magic[8];
	uint32_t version, flags;
	uint8_t library[16]; /* id */
	uint8_t place[16];   /* hash of where the bucket is */
	uint8_t token[16];   /* random; of the claim that is ours */
	uint8_t run[16];     /* of the process that works, or worked last */
	uint32_t epoch;      /* that is ours; 0: none */
	uint32_t page_size;
	uint32_t count; /* pages of the database in state `seq` */
	uint64_t seq;   /* the last state that the bucket has */
	uint64_t synced;
	uint64_t next; /* the number of the next state that is tried */
	uint64_t sum;  /* of state `seq` */
	int64_t at_ns; /* when the database was in it */
	/* A segment of level i begins where the last of that level or above ended; so many of the level below came since. Level 0 are single steps, the highest has all pages. */
	uint64_t level_at[BACKUP_LEVELS];
	uint32_t level_count[BACKUP_LEVELS];
	uint64_t pages_since; /* pages sent since the last segment that has all */
	uint8_t config[32];   /* hash of the configuration that the bucket has */
	uint8_t check[32];    /* hash of all before */
};

struct backup_entry {
	uint64_t sum;   /* backup_page_sum(); 0: to be sent anew */
	uint64_t state; /* in which it was sent last */
};

struct backup_state {
	int fd;
	struct backup_state_head head;
	/* Entries of pages first + 1 on, as in the file or, when dirty, newer. */
	struct backup_entry cache[BACKUP_STATE_CACHE];
	uint64_t first;
	bool cached, dirty;
};

/*
 * Opens LIBRARY/backup, made if it is not there, and locks it: -EBUSY when another process has it. A file that is none, or of another library, counts as empty; one of another
 * place too, but for its flags. Ended with backup_state_close(). 0 or a negative errno.
 */
int backup_state_open(int dir_fd, const uint8_t library[16], const uint8_t place[16],
		      struct backup_state *out);

/* Closes it; entries that are not in the file yet are lost. For one that was opened, or is zeroed but for fd = -1. */
void backup_state_close(struct backup_state *s);

/* Forgets all that was sent: what follows begins with state 1 of EPOCH, under a new token. Flags stay. The file is as before until the head is written. */
int backup_state_reset(struct backup_state *s, uint32_t epoch);

/* The entry of a page, from 1 on. */
int backup_state_get(struct backup_state *s, uint32_t page, struct backup_entry *out);
int backup_state_put(struct backup_state *s, uint32_t page, struct backup_entry entry);

/* Writes head and entries; with SYNC head.synced becomes head.seq, and all is durable on 0. */
int backup_state_write(struct backup_state *s, bool sync);

#endif
