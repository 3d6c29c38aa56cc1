/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Settings: those of this machine in LIBRARY/config, and those of the library, which hold for
 * life, in its table `setting` (library_id, chunker, chunk_min, chunk_avg, chunk_max, algo,
 * created).
 */
#ifndef GARNER_LIBRARY_SETTINGS_H
#define GARNER_LIBRARY_SETTINGS_H

#include "library/internal.h"

/*
 * Writes the file with every setting as a comment, but for those of S3 when there are any (NULL: none).
 * Durable on 0; else a negative errno, -EINVAL when they cannot be written so that they are read back.
 */
int settings_write_config(int dir_fd, const struct s3_settings *s3);

/*
 * Writes the file of a recovered library: TEXT, that of the lost machine (NULL: it is not known), but with the bucket and the way to it that S3 has. Else as
 * settings_write_config().
 */
int settings_restore_config(int dir_fd, const char *text, const struct s3_settings *s3);

/*
 * Reads LIBRARY/config of lib->path; a missing file or key means the default. 0; -EINVAL (logged
 * with file and line), a negative errno of reading. settings_release() ends it, also after an error.
 */
int settings_read_config(struct library *lib);

/* Frees what the machine's settings hold. */
void settings_release(struct library *lib);

/* Adds the library's own settings to `op`. 0, or -EINVAL for parameters that make no sense. */
int settings_add(struct meta_op *op, const struct library_params *params, int64_t now);

/*
 * Reads them: lib->id, chunker, algo. 0; ERR_CORRUPT (missing or unreadable, logged); -ENOTSUP
 * (this build lacks the hash).
 */
int settings_read(struct library *lib);

#endif
