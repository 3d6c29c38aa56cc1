/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Credentials, found as the AWS tools find them: the environment, the shared files and their profiles, the
 * endpoint of a container (ECS, EKS), that of the instance (EC2's IMDSv2). The first place that has
 * some decides. Looking may ask the network: never from the loop of http.h; keeper.h sees to that.
 */
#ifndef BACKEND_S3_CREDENTIALS_H
#define BACKEND_S3_CREDENTIALS_H

#include <stdbool.h>
#include <stdint.h>

#include "util/buf.h"

struct s3_credentials {
	char *id, *secret;
	char *token;        /* NULL: none */
	int64_t expires_ns; /* time_now_ns(); 0: they do not lapse by themselves */
	const char *found;  /* where: "environment", "profile", "container", "instance"; static */
};

/*
 * Looks for credentials; PROFILE, unless NULL, is the profile that was asked for, and goes before the
 * environment. *STOP true ends the asking of the network soon. On 0 *OUT (overwritten) is ended with
 * s3_credentials_release(). -ENOKEY: there are none, and WHY says where was looked; -EINVAL: what was
 * found is of no use, and WHY says why; another negative error of the network or files, with WHY;
 * -ENOMEM.
 */
int s3_credentials_find(const char *profile, const bool *stop, struct s3_credentials *out,
			struct buf *why);

/*
 * Reads what the endpoints of containers and instances answer: a JSON object with AccessKeyId,
 * SecretAccessKey, Token, Expiration. 0, -EINVAL for anything else, -ENOMEM.
 */
int s3_credentials_read(const char *text, size_t len, struct s3_credentials *out);

/* Makes *OUT, which is overwritten, a copy. 0 or -ENOMEM with *OUT empty. */
int s3_credentials_copy(const struct s3_credentials *c, struct s3_credentials *out);

/* Whether both are the same keys. */
bool s3_credentials_same(const struct s3_credentials *a, const struct s3_credentials *b);

/* Wipes and frees what C holds and makes it empty. */
void s3_credentials_release(struct s3_credentials *c);

#endif
