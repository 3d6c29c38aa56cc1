/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Room on the disk that writers of content leave alone, so that the metadata can still change when the disk is full: files can be removed, and what was
 * written can be recorded and sealed. 1/64 of the disk, from 4 to 64 MiB.
 */
#ifndef GARNER_CONTENT_ROOM_H
#define GARNER_CONTENT_ROOM_H

#include <stdatomic.h>
#include <stdint.h>

#include "backend/store/blobs.h"

/* All zero: not looked yet. Any thread. */
struct room {
	atomic_llong left; /* bytes that may be written before the disk is asked again */
};

/* The bytes that are left alone on a disk of `total` bytes. */
uint64_t room_aside(uint64_t total);

/* Takes `len` bytes of room before they are written. 0, or -ENOSPC when only what is set aside is left. A disk that cannot be asked has room. */
int room_take(struct room *r, struct blobs *blobs, uint64_t len);

#endif
