/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The room that writers of content leave alone. */
#include "config.h"

#include "content/room.h"

#include <errno.h>

#define MIB (UINT64_C(1) << 20)

/* So much is granted at a time: others may fill the disk meanwhile. */
#define GRANT (16 * MIB)

uint64_t room_aside(uint64_t total)
{
	uint64_t part = total / 64;

	return part < 4 * MIB ? 4 * MIB : part > 64 * MIB ? 64 * MIB : part;
}

int room_take(struct room *r, struct blobs *blobs, uint64_t len)
{
	uint64_t total, left;

	if (len <= INT64_MAX && atomic_fetch_sub(&r->left, (long long)len) >= (long long)len)
		return 0;
	atomic_store(&r->left, 0);
	if (blobs_space(blobs, &total, &left))
		return 0;
	if (left < room_aside(total) || left - room_aside(total) < len)
		return -ENOSPC;
	left -= room_aside(total) + len;
	atomic_store(&r->left, (long long)(left < GRANT ? left : GRANT));
	return 0;
}
