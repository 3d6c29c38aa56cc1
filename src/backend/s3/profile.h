/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The INI files of the AWS tools, ~/.aws/credentials and ~/.aws/config. Not util/conf: their lines are
 * longer than inih takes (session tokens), they have indented blocks within a key, and what garner does not
 * know in them is other programs' business.
 */
#ifndef BACKEND_S3_PROFILE_H
#define BACKEND_S3_PROFILE_H

#include <stdbool.h>

#include "util/buf.h"

/*
 * Appends the value of KEY in section SECTION of TEXT to OUT. Of a key that is there twice the last
 * counts. 1, 0 when it is not there, -ENOMEM.
 */
int s3_profile_value(const char *text, const char *section, const char *key, struct buf *out);

/* Whether TEXT has a section of that name. */
bool s3_profile_has(const char *text, const char *section);

/*
 * Appends the text of the credentials file (AWS_SHARED_CREDENTIALS_FILE, else ~/.aws/credentials) or,
 * with CONFIG, of the configuration (AWS_CONFIG_FILE, else ~/.aws/config) to OUT, and its path to PATH. 0,
 * -ENOENT, or another negative error of reading; a file above 1 MiB is -EFBIG.
 */
int s3_profile_load(bool config, struct buf *path, struct buf *out);

/* The profile in use: ASKED, else AWS_PROFILE, AWS_DEFAULT_PROFILE, "default". */
const char *s3_profile_name(const char *asked);

/*
 * Appends the region of the profile to OUT: AWS_REGION, AWS_DEFAULT_REGION, the configuration's.
 * 1, 0 when nothing says one, -ENOMEM.
 */
int s3_profile_region(const char *asked, struct buf *out);

#endif
