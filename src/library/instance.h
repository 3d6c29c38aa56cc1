/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * This process as the library knows it: a row of the table instance from opening to closing. A
 * process that dies leaves its row open; so each also holds a lock, for as long as it lives, on
 * one byte of LIBRARY/instances (an open file description lock, at the place that its id names),
 * and whoever opens the library next ends the rows whose byte no one locks. Works across
 * containers, where process ids do not.
 */
#ifndef GARNER_LIBRARY_INSTANCE_H
#define GARNER_LIBRARY_INSTANCE_H

#include "library/internal.h"

/*
 * Writes the row for lib->instance and ends those of the dead. On 0 lib->instance_fd is open,
 * until instance_end(). -EACCES, -ENOSPC, … and errors of meta_apply().
 */
int instance_start(struct library *lib);

/* The id of this machine, as in the table agent. 0, -ENOMEM, -EIO. */
int instance_machine(uint8_t id[16]);

/* Ends the row. Nothing when instance_start() did not succeed. */
void instance_end(struct library *lib);

#endif
