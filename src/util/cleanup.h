/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Values that clean up after themselves when their scope ends. Each is initialised where it is
 * declared:
 *
 * 	CLEANUP_FREE char *path = NULL;
 * 	CLEANUP_CLOSE int fd = -1;
 * 	CLEANUP_BUF struct buf text = BUF_INIT;
 *
 * To keep the value, hand it on and store NULL or -1 in its place. errno is kept.
 */
#ifndef GARNER_UTIL_CLEANUP_H
#define GARNER_UTIL_CLEANUP_H

#include "util/buf.h"

/* free() of a pointer of any type */
#define CLEANUP_FREE __attribute__((cleanup(cleanup_free)))
/* close() of a descriptor unless negative */
#define CLEANUP_CLOSE __attribute__((cleanup(cleanup_close)))
/* fclose() of a FILE * unless NULL */
#define CLEANUP_FILE __attribute__((cleanup(cleanup_file)))
/* closedir() of a DIR * unless NULL */
#define CLEANUP_DIR __attribute__((cleanup(cleanup_dir)))
/* buf_release() */
#define CLEANUP_BUF __attribute__((cleanup(buf_release)))

/* Frees the pointer that POINTER points at; for CLEANUP_FREE. */
void cleanup_free(void *pointer);

/* Closes *FD unless negative; for CLEANUP_CLOSE. */
void cleanup_close(int *fd);

/* Closes the FILE * that FILE points at; for CLEANUP_FILE. */
void cleanup_file(void *file);

/* Closes the DIR * that DIR points at; for CLEANUP_DIR. */
void cleanup_dir(void *dir);

#endif
